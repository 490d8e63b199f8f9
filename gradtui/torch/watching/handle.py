"""The handle of a watched training."""

from __future__ import annotations

import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch

from gradtui.core.run.records import Entry, Event
from gradtui.torch.watching.collecting import Collector
from gradtui.torch.watching.copied import CopiedHandle
from gradtui.torch.watching.edges import EdgeFinder
from gradtui.torch.watching.guard import Guard, said_by
from gradtui.torch.watching.hooked import Hooked
from gradtui.torch.watching.live import closed, opened
from gradtui.torch.watching.logged import logged
from gradtui.torch.watching.optimizers import StepHooks, stepped
from gradtui.torch.watching.ranks import run_name
from gradtui.torch.watching.recorder import Recorder
from gradtui.torch.watching.reduced import ReducedGradients, is_reduced
from gradtui.torch.watching.retelling import Retelling
from gradtui.torch.watching.sentinel import Sentinel
from gradtui.torch.watching.structure import parameters_of, start_of, thawed, unmatched
from gradtui.torch.watching.unseen import notes_on
from gradtui.torch.watching.values import Meter
from gradtui.torch.watching.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn
    from torch.optim import Optimizer
    from typing_extensions import Self

    from gradtui.core.run.records import Start
    from gradtui.torch.watching.place import Place
    from gradtui.torch.watching.settings import Settings
    from gradtui.torch.watching.structure import Owned

CLOSE_SECONDS = 10.0
GONE = "the model is gone: its watching ended"


class WatchHandle:
    """A watched training; a context manager, or call `close`.

    Attributes:
        problems: one line for each thing that went wrong on our side; the training never sees them.
        is_gone: whether the model is gone, and nobody closed this: that is done by the next `watch`, or at the end.
    """

    is_gone = False

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer | Sequence[Optimizer] | None,
        settings: Settings,
        scaler: Any,
        place: Place,
    ) -> None:
        """Set the hooks; see `watch`."""
        self._place = place
        self._model = weakref.ref(model)
        self._draw: Callable[[nn.Module], Any] | None = None
        self._drawing: Any = None
        self._retelling, self._is_untold = Retelling(), False
        self._closed = False
        self._guard = Guard(self._on_failure, self._aside)
        self.problems = self._guard.problems
        meter = Meter()
        sentinel = Sentinel(self._guard, meter.late)
        self._collector = Collector(settings, self._guard, sentinel, EdgeFinder())
        self._collector.names.tell = self._tell
        owned = parameters_of(model)
        self._watcher = Watcher(
            settings, owned, self._collector, meter, self._guard, scaler, self._put,
            reduced=is_reduced(owned, place.world),
        )  # fmt: skip
        self._recorder = Recorder(
            self._watcher.scribe, place, self._guard.failed, self._watcher.requests
        )
        self._recorder.told = self._guard.problems.append
        self._late = meter.late
        self._run = run_name(place.training, place.shown)
        self._settings, self._started = settings, time.time()
        self._told = self._start(model, owned)
        self._write(self._told)
        self._watcher.model = self._model
        self._watcher.on_first_step = self._look_again
        self._watcher.gradients.on_thawed = self._thawed
        self._watcher.on_first_end = self._notes
        self._steps = StepHooks(self._watcher.before_optimizer, self._watcher.after_optimizer)
        self.optimizer = optimizer
        self._hooked = Hooked(self._collector, settings, self._look_before_pass, self._gone)
        self._hooked.look(model)
        self._watcher.on_logged = self._hooked.doubt
        if scripted := self._hooked.scripted:
            some = ", ".join(scripted[:3]) + (", ..." if len(scripted) > 3 else "")
            self._tell(f"scripted modules take no hooks, their calls are not seen: {some}")
        self._watcher.keeping.choose(self._collector.sites)
        for problem in unmatched(model, settings):
            self._tell(problem)
        opened(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        self.ended_with(error)
        self.close()

    @property
    def step(self) -> int:
        """The number of the step that is under way; steps are counted from 0."""
        return self._watcher.step

    @property
    def active(self) -> bool:
        """Whether anything is recorded: not after `close`, nor after three failures."""
        return self._collector.active

    @property
    def optimizer(self) -> Sequence[Optimizer]:
        """The optimizers whose steps are the steps; none: every one that holds a parameter of the model. None when closed."""
        return self._optimizers

    @optimizer.setter
    def optimizer(self, given: Optimizer | Sequence[Optimizer] | None) -> None:
        if given is None:
            self._optimizers: tuple[Optimizer, ...] = ()
        elif isinstance(given, torch.optim.Optimizer):
            self._optimizers = (given,)
        else:
            self._optimizers = tuple(given)
        self._watcher.optimizers = self._optimizers
        self._steps.on(self._optimizers)

    def log(self, **scalars: Any) -> None:
        """Record numbers of the run, such as ``loss=loss``; they belong to the step that was taken last.

        A name that the run uses itself (``grad_norm``, ``lr.0``) becomes ``grad_norm.logged``.

        Args:
            **scalars: numbers, or tensors of one value; what is neither is told in `problems`.
        """
        if not self.active:
            return
        self._guard.do("log", lambda: self._log(scalars))

    def epoch(self, number: int | None = None) -> None:
        """Say that an epoch ends here: ``number``, else one more than the last. The next step is the next epoch's."""
        self._guard.do("epoch", lambda: self._end_epoch(number))

    _epoch = -1
    _around: weakref.ref[nn.Module] | None = None

    def flush(self, timeout: float = CLOSE_SECONDS) -> None:
        """Wait until what was found so far is written; the step under way is not."""
        self._recorder.flush(timeout)
        self._place.writer.flush(timeout)

    def close(self) -> None:
        """Take all hooks off and finish writing; more than once is once."""
        if self._closed:
            return
        self._closed = True
        # Each by itself: closing must not end a training either, and what fails leaves the rest to be done.
        ends = (
            self._finish,
            self._take_off,
            self._hooked.close,
            self._steps.remove,
            self._end_records,
        )
        for end in ends:
            self._guard.do("closing", end)
        closed(self)
        self._let_go()

    def ended_with(self, error: BaseException | None) -> None:
        """Say in the run what ended the training, if that is an error."""
        if error is None or self._closed or not self.active:
            return
        if not isinstance(error, SystemExit) or error.code:
            said = said_by(error)
            self._put_event(Event("note", f"the training ended with {said}", "", {"error": said}))

    def attached(self, tensor: torch.Tensor, parent: nn.Module, name: str) -> None:
        """A tensor was attached to a module: it is this handle's if the module is."""
        path = self._hooked.paths.get(id(parent))
        if path is not None and self.active:
            self._collector.attached(tensor, parent, f"{path}.{name}" if path else name)

    def abandon(self) -> None:
        """Be silent in a process that was forked off: nobody would write there."""
        self._be_silent()
        self._closed = True

    def draw_with(self, draw: Callable[[nn.Module], Any]) -> None:
        """Have the model drawn, now and when its modules are others; ``draw`` returns what is to be removed in the end."""
        self._draw = draw
        self._draw_again()

    def watches(self, model: nn.Module) -> bool:
        """Whether this is a model's handle."""
        return self._model() is model

    @property
    def folder(self) -> str:
        """Where the run is recorded."""
        return self._place.shown

    def __deepcopy__(self, _: object) -> CopiedHandle:
        return CopiedHandle()

    def __reduce__(self) -> tuple[Any, ...]:
        return CopiedHandle, ()

    # ---- our own affairs

    def _start(self, model: nn.Module, owned: Sequence[Owned]) -> Start:
        return start_of(
            model, owned, self._settings, run=self._run, place=self._place, started=self._started
        )

    def _look_again(self, optimizer: Optimizer, around: nn.Module | None) -> None:
        """Is the model what it was? Looked at before the first step, and when an optimizer has other parameters."""
        model = self._model()
        if model is None:
            return
        is_other = self._hooked.look(model)
        if around is not None:
            self._around = weakref.ref(around)
        around = self._around() if self._around is not None else None
        before, owned = self._watcher.parameters.owned, parameters_of(model, around)
        same = [id(item.tensor) for item in before] == [id(item.tensor) for item in owned]
        if not same or [item.info for item in before] != [item.info for item in owned]:
            held = stepped(optimizer)
            # Between forward and backward pass a sharded model shows other tensors than the optimizer's.
            if same or sum(id(i.tensor) in held for i in owned) > sum(
                id(i.tensor) in held for i in before
            ):
                self._watcher.renew(owned)
                is_other = True
        if is_other:
            self._watcher.keeping.choose(self._collector.sites)
        self._tell_structure(model)
        if self._optimizers and not any(
            map(self._watcher.parameters.numbers_of, (optimizer, *self._optimizers))
        ):
            self._tell(
                "optimizer=: it holds no parameter of the model, so its steps are not counted"
            )

    def _look_before_pass(self) -> None:
        """Where the model is made of something else, that is looked at from the pass on that begins."""
        model = self._model()
        if model is None or not self.active:
            return
        is_other = self._hooked.look(model)
        # A sharded model shows other tensors in a pass than its optimizer has: those are found when that steps.
        is_plain = not isinstance(self._watcher.gradients, ReducedGradients)
        if is_plain and not self._watcher.parameters.are_of(model):
            self._watcher.renew(parameters_of(model))
            is_other = True
        if is_other:
            self._watcher.keeping.choose(self._collector.sites)
        if is_other or self._is_untold:
            self._tell_structure(model)

    def _thawed(self) -> None:
        """Parameters were frozen and are not any more, or the other way round."""
        model = self._model()
        if model is not None:
            self._watcher.renew(list(map(thawed, self._watcher.parameters.owned)))
            self._tell_structure(model)

    def _tell_structure(self, model: nn.Module) -> None:
        """Record what the model is made of, if that is something else than was told; later, if it was told just now."""
        self._is_untold = not (self._retelling.is_due(self.step) or self._closed)
        if self._is_untold:
            self._hooked.doubt()
            return
        start = self._start(model, self._watcher.parameters.owned)
        if start == self._told:
            return
        self._retelling.told(self.step)
        modules, self._told = self._told.modules, start
        self._write(start)
        if start.modules != modules and not self._closed:
            self._draw_again()

    def _draw_again(self) -> None:
        """Draw the model as it is now; a drawing that waits for its first pass waits no more."""
        if self._drawing is not None:
            self._drawing.remove()
            self._drawing = None
        if self._draw is not None and (model := self._model()) is not None:
            # A training without its picture is still a training.
            with suppress(Exception):
                self._drawing = self._draw(model)

    def _notes(self) -> list[Event]:
        """After the first step: what a person should know of the numbers, and what is not there to be kept."""
        unmatched = self._watcher.keeping.unmatched()
        self.problems.extend(unmatched)
        found = [Event("note", problem) for problem in unmatched]
        model = self._model()
        if model is None:
            return found
        owned = self._watcher.parameters.owned
        return [*found, *notes_on(model, self._collector.sites, owned, self._place.world)]

    def _tell(self, problem: str) -> None:
        """Tell of something that is not as the person meant it, once: here, and in the run."""
        if problem not in self.problems:
            self.problems.append(problem)
            if not self._closed:
                self._put_event(Event("note", problem))

    def _put(self, job: Any) -> None:
        self._recorder.put(job)

    def _write(self, record: Any) -> None:
        self._place.writer.write(Entry(-1, time.time(), record))

    def _put_event(self, event: Event) -> None:
        self._guard.do("telling of it", lambda: self._watcher.happened(event))

    def _on_failure(self, where: str, line: str, text: str) -> None:
        self._put_event(Event("fault", line, "", {"where": where, "traceback": text}))

    def _aside(self, reason: str) -> None:
        # The hooks of optimizers stay until the handle is closed, and do nothing: one of them may be running just
        # now, and who takes it off then ends the user's step.
        self._take_off()
        self._put_event(Event("aside", reason))
        self._place.aside(reason)

    def _log(self, scalars: dict[str, Any]) -> None:
        found = logged(scalars, self._late, self._collector.names, self._tell)
        if found:
            self._watcher.log(found)

    def _end_epoch(self, number: int | None) -> None:
        try:
            self._epoch = self._epoch + 1 if number is None else int(number)
        except (TypeError, ValueError, OverflowError) as error:
            self._tell(f"epoch({number!r}): {error}")
            return
        if self.active:
            self._watcher.epoch(self._epoch)

    def _finish(self) -> None:
        self._watcher.close()
        if self._is_untold:
            self._look_before_pass()

    def _end_records(self) -> None:
        for path in sorted(self._watcher.keeping.too_large):
            self.problems.append(f"keep: {path or '(root)'} was too large to be kept")
        self._put_event(Event("closed", GONE if self.is_gone else "the watcher was closed"))
        self._recorder.close(CLOSE_SECONDS)
        self._place.close()

    def _gone(self) -> None:
        """The model is, and nobody closed this: for what may be done here see `Lifetime`; the rest is done later."""
        if not self._closed:
            self.is_gone = True
            self._be_silent()
            self._let_go()
            self.problems.append(GONE)

    def _be_silent(self) -> None:
        self._collector.active = self._collector.sentinel.active = False
        self._watcher.gradients.active = False

    def _let_go(self) -> None:
        self._watcher.let_go()
        self._steps.let_go()
        self._optimizers = ()

    def _take_off(self) -> None:
        self._collector.active = self._collector.sentinel.active = False
        self._watcher.gradients.remove()
        if self._drawing is not None:
            self._drawing.remove()
        self._hooked.remove()
        self._collector.collected = None
