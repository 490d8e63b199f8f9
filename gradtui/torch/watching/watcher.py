"""The course of a watched training: where a step begins, what is read in it, where it ends."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import torch

from gradtui.core.run.records import Event
from gradtui.torch.watching.backward import graph_task
from gradtui.torch.watching.by_hand import StepsByHand
from gradtui.torch.watching.collected import Collected
from gradtui.torch.watching.columns import Columns, Numbers, Rows
from gradtui.torch.watching.evaluation import Evaluation
from gradtui.torch.watching.gradients import Gradients
from gradtui.torch.watching.job import Job, Scribe
from gradtui.torch.watching.keeping import MOST_AT_ONCE, Keeping
from gradtui.torch.watching.looks import Looks
from gradtui.torch.watching.optimizers import ScalerLook, rates_of
from gradtui.torch.watching.parameters import Parameters
from gradtui.torch.watching.passes import EVAL, TRAIN, Passes
from gradtui.torch.watching.ranks import ddp_around
from gradtui.torch.watching.reduced import ReducedGradients
from gradtui.torch.watching.sentinel import Sentinel
from gradtui.torch.watching.used import Used

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import nn
    from torch.optim import Optimizer

    from gradtui.folder.requests import Request
    from gradtui.torch.watching.collecting import Collector
    from gradtui.torch.watching.guard import Guard
    from gradtui.torch.watching.late import Later
    from gradtui.torch.watching.parameters import Before
    from gradtui.torch.watching.settings import Settings
    from gradtui.torch.watching.structure import Owned
    from gradtui.torch.watching.values import Meter

# Values of a large parameter that tell the size of its update: each is a place in memory far from the last.
UPDATE_SAMPLE: Final = 256


class Watcher:
    """One model's steps.

    Attributes:
        step: the number of the step under way.
        requests: of the screen, put there by another thread.
        optimizers: whose steps are the steps; none: every one's, and the weights may be changed without any.
        gradients: what reads the gradients of ``parameters``.
        model: gives the model, while there is one.
        parameters: the model's.
    """

    def __init__(
        self,
        settings: Settings,
        owned: Sequence[Owned],
        collector: Collector,
        meter: Meter,
        guard: Guard,
        scaler: Any,
        put: Callable[[Job], None],
        reduced: bool = False,
    ) -> None:
        self.step = settings.start_step
        self.numbers = Numbers()
        self.settings, self.guard, self.collector = settings, guard, collector
        self._meter, self._put = meter, put
        self._every, self._logged = Columns(self.numbers), Columns(self.numbers)
        self._train, self._eval = Columns(self.numbers), Columns(self.numbers)
        self._rows = Rows(self.numbers)
        self.parameters = Parameters(owned, meter, self._every, self._logged)
        self._sentinel = collector.sentinel
        self._late = meter.late
        # What devices see is known in the writer's thread, some steps later.
        afterwards = Sentinel(guard, meter.late)
        afterwards.on_turn = self._on_turn_elsewhere
        self.scribe = Scribe(
            settings, self.numbers, self._every, self._logged, self._rows, afterwards
        )
        self._scaler = ScalerLook(scaler, meter.late)
        self._job = Job(self.step, 0.0)
        self._is_first = True
        self._begun = self._stepped = False
        self._alarm = 0
        self._steppers: list[int] = []
        self._groups: dict[int, int] = {}
        self._update_sample = 0 if settings.exact_updates else settings.sample_n
        self._before: dict[int, Before] = {}
        self._optimizer_seen = False
        self.optimizers: Sequence[Optimizer] = ()
        self._old_factor: Later = 1.0
        # The backward pass in which an optimizer stepped last; -1 for none.
        self._stepped_within = -1
        self._passes = Passes()
        self._evaluation = Evaluation(collector, lambda: self._new_collected(self._eval))
        reader = ReducedGradients if reduced else Gradients
        self.gradients = reader(
            self.parameters, meter, collector.sentinel, guard, settings.sample_n
        )
        self.gradients.on_first = self._on_first_gradient
        self.gradients.listen()
        self._by_hand = StepsByHand(
            self.parameters,
            self.gradients,
            self._update_sample,
            lambda error: guard.failed("backward", error),
        )
        self.model: Callable[[], nn.Module | None] = lambda: None
        self.on_first_step: Callable[[Optimizer, nn.Module | None], None] = lambda *_: None
        self.on_logged: Callable[[], None] = lambda: None
        self.on_first_end: Callable[[], Iterable[Event]] = tuple
        self._around: nn.Module | None = None
        self._looks = Looks(self.parameters)
        self.keeping = Keeping(settings.keep, settings.keep_values, self.parameters)
        collector.keeping = self.keeping
        self._used = Used(self.parameters, self.gradients, collector, self.keeping, meter.late)
        self.requests: deque[Request] = deque()
        collector.on_root, collector.on_root_done = self._on_root, self._on_root_done
        collector.on_call_outside = self._on_call_outside
        self._sentinel.on_turn = self._on_turn
        collector.factor = self._scaler.factor

    # ---- forward passes

    def _on_root(self, module: nn.Module) -> int:
        # First: what pass this is counts for the step that it begins.
        if torch.is_grad_enabled() or not module.training:
            self._settle()
        kind = self._passes.kind_of(module)
        if kind == TRAIN:
            self._begin()
        elif kind == EVAL:
            self._evaluation.begin(self.step)
        return kind

    def _on_root_done(self, output: object) -> None:
        if self.collector.mode == EVAL:
            collected = self._evaluation.end()
            if collected is not None:
                self._send(Job(self._current, time.time(), collected=[collected]))
        elif self.collector.mode == TRAIN:
            self.gradients.after_forward(output)
            if self._may_be_by_hand:
                self._by_hand.after_forward(output)
        self.collector.mode = TRAIN

    def _on_call_outside(self, part: nn.Module) -> int:
        if self._stepped and torch.is_grad_enabled():
            self.finish_step()
        kind = self._passes.kind_of_part(self.model() or part, part)
        if kind == TRAIN and not self._begun:
            self._begin()
        return kind

    def _begin(self) -> None:
        """A forward pass of the training begins: a new step, or one more of the same."""
        if self._stepped:
            self.finish_step()
        if self._begun:
            return
        self._begun = True
        if self._is_first:
            self._around = ddp_around()
        self._job = Job(self.step, time.time(), scalars=self._job.scalars)
        self.collector.tokens[TRAIN] += 1
        due = self._is_first or self.step % self.settings.log_freq == 0
        logged = due or self._alarm > 0
        if self._alarm:  # Else it is not touched: the writer's thread may set it at any time.
            self._alarm -= 1
        if self.requests:
            self._take_requests()
        if logged or self.keeping.is_asked:
            self._log_in_full()
        self._old_factor = self._scaler.factor()

    def _settle(self) -> None:
        """A step that is over goes."""
        if self._begun and not self._stepped:
            self._look_for_other_steps()
        if self._stepped:
            self.finish_step()

    def _take_requests(self) -> None:
        """What the screen asked for since the last step: what is at hand is copied now."""
        taken = [self.requests.popleft() for _ in range(min(len(self.requests), MOST_AT_ONCE))]
        try:
            self.keeping.ask(taken)
        except Exception as error:  # noqa: BLE001 - told by the guard, never in a user's step
            self.guard.failed("a request", error)

    def _log_in_full(self) -> None:
        self.collector.collected = self._new_collected(self._train)
        self.gradients.full = True
        self.on_logged()

    def _new_collected(self, columns: Columns) -> Collected:
        return Collected(self._meter, columns, self._rows, self.settings.sample_n)

    def _on_turn(self) -> None:
        """Something turned non-finite: the rest of this step and the next are recorded in full."""
        self._alarm = 2
        if self.collector.collected is None and self._begun:
            self._log_in_full()
            self._alarm = 1

    def _on_turn_elsewhere(self) -> None:
        """A device has met something non-finite: the next two steps are recorded in full."""
        self._alarm = 2

    # ---- backward passes

    def _on_first_gradient(self) -> None:
        """A backward pass has begun to make gradients."""
        # Where optimizers step within it, and before our hooks, it is not the next step's.
        is_of_step = self._stepped and self._stepped_within == graph_task() != -1
        if not self._begun or (self._stepped and not is_of_step):
            self._begin()
        if self._may_be_by_hand:
            self._by_hand.remember()

    @property
    def _may_be_by_hand(self) -> bool:
        """Whether no optimizer is known whose steps are the steps."""
        return not self.optimizers and not self._optimizer_seen

    # ---- the optimizer

    def before_optimizer(self, optimizer: Optimizer, has_closure: bool) -> None:
        """An optimizer is about to step; called for every optimizer that is looked at."""
        if not self.collector.active:
            return
        try:
            is_logged = self.gradients.full
            if self._looks.is_due(optimizer, is_first=self._is_first, is_logged=is_logged):
                around, self._around = self._around, None
                before = self.parameters.owned
                self.on_first_step(optimizer, around)
                self._looks.looked(optimizer, before)
            numbers = self.parameters.numbers_of(optimizer)
            self._scaler.steps(optimizer, is_ours=bool(numbers))
            if not numbers:
                return
            if self._stepped and id(optimizer) in self._steppers:
                self.finish_step()
            if not self._begun:
                self._begin()
            self._optimizer_seen = True
            self._by_hand.forget()
            if not has_closure:
                self._used.by_optimizer(self._job, optimizer, numbers)
            sample = min(self._update_sample, UPDATE_SAMPLE)
            self._before[id(optimizer)] = self.parameters.before_step(numbers, sample, has_closure)
            self._job.scalars.update(rates_of(optimizer, self._groups, self._late))
            self._job.scalars.update(self._scaler.scalars())
        except Exception as error:  # noqa: BLE001 - told by the guard, never in a user's step
            self.guard.failed("before the optimizer's step", error)

    def renew(self, owned: Sequence[Owned]) -> None:
        """The model's parameters are these now."""
        self.gradients.renew(self.parameters.renew(owned))
        self._by_hand.forget()

    def after_optimizer(self, optimizer: Optimizer, has_closure: bool) -> None:
        """An optimizer has stepped."""
        if not self.collector.active:
            return
        try:
            before = self._before.pop(id(optimizer), None)
            if before is None:
                return
            if has_closure:
                # The gradients that it used came while it stepped.
                self._used.by_optimizer(self._job, optimizer, before.numbers)
            if before.numbers:
                # Only now is it known which had a gradient, where those came within the step.
                used = self.gradients.used
                update = self.parameters.after_step(before, used)
                self._job.updates.append(update.promised(self._late))
            self._stepped, self._stepped_within = True, graph_task()
            self._steppers.append(id(optimizer))
            broken = getattr(optimizer, "found_inf", None)
            if broken is not None:
                self._job.skips.append(self._late.scalar(broken))
        except Exception as error:  # noqa: BLE001 - as above
            self.guard.failed("after the optimizer's step", error)

    def _look_for_other_steps(self) -> None:
        """A backward pass and no optimizer's hook: was the step skipped, or made by hand?"""
        if self.gradients.were_made() and self._look_for_a_skip():
            self._stepped = True
        elif self._may_be_by_hand:
            update = self._by_hand.update()
            if update is not None:
                self._job.events += self._by_hand.notes()
                self._used.by_hand(self._job)
                self._job.updates.append(update.promised(self._late))
                self._stepped = True

    def _look_for_a_skip(self) -> bool:
        """Whether the scaler skipped this step, or that of one of several optimizers."""
        if not self._scaler.skipped(self.optimizers):
            return False
        self._used.by_nobody(self._job, self._old_factor)
        self._sentinel_events()
        bad = self._job.events[0].text if self._job.events else "the gradients"
        self._job.events.append(Event("skipped", f"the scaler skipped this step: {bad}"))
        self._job.scalars.update(self._scaler.scalars())
        return True

    # ---- the end of a step

    def log(self, scalars: dict[str, Later]) -> None:
        """Numbers of the run: they belong to the step that was taken last, until the next one begins."""
        if self._begun or self._is_first:
            self._job.scalars.update(scalars)
        else:
            self._send(Job(self.step - 1, time.time(), scalars=scalars))

    def epoch(self, number: int) -> None:
        """An epoch ends: it is told at the first step of the next one."""
        step = self.step + 1 if self._begun and self._stepped else self.step
        event = Event("epoch", f"epoch {number}", "", {"epoch": number})
        self._put(Job(step, time.time(), events=[event]))

    def happened(self, event: Event) -> None:
        """Something to be said at the step under way."""
        self._put(Job(self._current, time.time(), events=[event]))

    @property
    def _current(self) -> int:
        """The step under way, else the last."""
        return self.step if self._begun or self._is_first else self.step - 1

    def finish_step(self) -> None:
        """The step is over: what it found goes to the writer."""
        self._look_for_a_skip()
        job, collected = self._job, self.collector.collected
        self.collector.finish_step()
        self._sentinel_events()
        job.time = time.time()
        if self._is_first:
            job.events += self.on_first_end()
        if collected is not None:
            job.collected.append(collected)
            self.collector.collected = None
        job.kept, job.maps, job.replies = self.keeping.finish()
        job.edges = self.collector.edges.news()
        self.collector.edges.forget()
        self.gradients.forget()
        self.gradients.full = False
        self._job = Job(self.step + 1, 0.0)
        if self._stepped:
            self._passes.stepped()
        self._begun = self._stepped = self._used.values_read = self._is_first = False
        self._by_hand.forget()
        self._steppers.clear()
        self._before.clear()
        self.step += 1
        self._send(job)

    def close(self) -> None:
        """Nothing comes any more: what the last step found goes to the writer."""
        if self._begun and not self._stepped:
            self._look_for_other_steps()
            if not self._stepped and self.gradients.were_made():
                self._used.by_hand(self._job)
            self._sentinel_events()
        # Half a step is worth telling where there is no other, or where something turned non-finite in it.
        if self._stepped or self._is_first or self._job.tells:
            self.finish_step()
        elif self._job.checks:
            self._send(Job(self.step, time.time(), checks=self._job.checks))

    def let_go(self) -> None:
        """Hold nothing of the model; nothing of it is looked at any more."""
        self.collector.let_go()
        self.parameters.renew(())
        self.gradients.forget()
        self.gradients.listen()
        self._by_hand.forget()
        self._before, self.optimizers, self._around = {}, (), None

    def _sentinel_events(self) -> None:
        self._job.checks, self._sentinel.checks = self._job.checks + self._sentinel.checks, []
        self._job.events += self._sentinel.take()

    def _send(self, job: Job) -> None:
        """A job goes to the writer, and what it was promised with it."""
        self._late.send()
        for collected in job.collected:
            collected.let_go()
        self._put(job)
