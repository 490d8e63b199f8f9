"""`watch` and `unwatch`: how a person begins and ends to watch a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradtui.errors import GradtuiError, UsageError
from gradtui.torch.lifeline import say
from gradtui.torch.watching.architecture import draw_architecture
from gradtui.torch.watching.handle import WatchHandle
from gradtui.torch.watching.live import close_gone, handles_of
from gradtui.torch.watching.place import FolderPlace, Place
from gradtui.torch.watching.ranks import rank_and_world, training_name
from gradtui.torch.watching.settings import LOGS, checked

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from torch import nn
    from torch.optim import Optimizer

    from gradtui.core.run.records import Entry


def watch(
    model: nn.Module,
    optimizer: Optimizer | Sequence[Optimizer] | None = None,
    *,
    folder: str | os.PathLike[str] = "gradtui-run",
    scaler: Any = None,
    log: Iterable[str] = LOGS,
    log_freq: int = 10,
    include: Iterable[str] | str = (),
    exclude: Iterable[str] | str = (),
    sample_n: int | None = 1000,
    bins: int = 64,
    reject_outlier_proportion: float = 0.0,
    time_log: bool = True,
    keep: Iterable[str] | str = (),
    exact_updates: bool = False,
    max_calls: int = 128,
    history_limit: int = 1 << 30,
    start_step: int = 0,
) -> WatchHandle:
    """Record a training as it goes by, for ``gradtui FOLDER`` beside it.

    The training is what it was: the same numbers bit for bit, no random number drawn, no exception of
    ours. At each step the norm of each parameter's gradient and the size of its update are
    recorded, and a sum of each leaf module's output and of its gradient is looked at, so that a non-finite
    value is named where it is born. Every ``log_freq`` steps, and at once when something turned non-finite,
    statistics and histograms of all inputs, outputs, their gradients and parameters follow.

    A step is an ``optimizer.step()``, from ``start_step``, also one that a scaler skipped. With gradient accumulation calls
    are numbered over all forward passes of a step. A forward pass in evaluation mode is recorded, marked, when
    ``log_freq`` steps passed since the last one that was; one in training mode without gradients is not. Where steps
    follow on passes in evaluation mode alone (fine-tuning), these are the training's, from the second step on.

    What changes in the midst of a training is followed: parameters that are unfrozen or frozen, and modules that are put
    in, replaced or taken out, have their numbers from the next forward pass of the model on, or are let go.

    A model that is gone, and all that was in it, is watched no more, though nobody closed the handle.

    In a training of several processes every rank calls this with the same folder and writes its own part; no collective
    is run. Parameters' gradients are those after the reduction (or this rank's shards), those of inputs and outputs are of
    the rank's own loss. Of what ``torch.compile`` runs, parameters alone are seen; the run says so.
    ``torch.cuda.make_graphed_callables`` takes no module that has hooks: call it before this, or `unwatch` for it.

    A run holds at most 256 names of inputs and outputs of each module, 1,024 of attached tensors and 4,096 of numbers that
    are logged: of a model that names what it returns anew at each call, the first ones. That is told in ``problems``.

    On a GPU no step waits for it: numbers are promised, come back in one copy a step and are read by the writer's
    thread, so that what is not finite is told, and recorded in full, a few steps later. On steps that are not
    recorded in full a 1 in ``nan`` or ``inf`` then says that there are some, uncounted; of a tensor that is not finite the
    counts alone are known. A step that is made by hand, without an optimizer, and full tensors (``keep``) are waited for.

    Args:
        model: any module; its hooks, names and ``state_dict()`` stay what they are to others.
        optimizer: whose steps are the steps; one, several, or none: then every optimizer that holds one of the
            model's parameters, also one that is made later. ``handle.optimizer = ...`` changes it.
        folder: the run's folder; a second model of this process gets a folder of its own within it.
        scaler: the ``GradScaler``, if there is one: gradients are recorded unscaled, skipped steps as skipped.
        log: of ``io`` (inputs and outputs), ``io_grad`` (gradients with respect to both), ``params``, ``params_grad``.
        log_freq: steps between two full records.
        include: modules to look at, by path (``encoder.*``) or class name; all by default.
        exclude: modules to leave out, likewise; their parameters are still read.
        sample_n: values of a tensor that its histogram is made of; None for as many as a histogram can count.
        bins: of each histogram.
        reject_outlier_proportion: share of values farthest from the median that histograms leave out, counted.
        time_log: whether the time of each call is taken, on logged steps.
        keep: modules, parameters and attached tensors that are kept whole; of batches of images or sequences the first
            sample.
        exact_updates: updates from all of each parameter, where else those of more than 4,096 values are told from a sample; it
            takes a copy of the weights.
        max_calls: calls of one module in one step that are recorded.
        history_limit: bytes of history; the oldest is thinned, then dropped.
        start_step: the number of the first step, of a training that goes on from a checkpoint.

    Returns:
        A handle: ``handle.log(loss=loss)``, ``handle.epoch()``, ``handle.close()``; also a context manager. Where
        nothing can be recorded (another training writes this folder) it is inactive and says why in ``problems``.

    Raises:
        UsageError: for arguments that make no sense.
    """
    settings = checked(
        log=log,
        log_freq=log_freq,
        include=include,
        exclude=exclude,
        sample_n=sample_n,
        bins=bins,
        reject_outlier_proportion=reject_outlier_proportion,
        time_log=time_log,
        keep=keep,
        exact_updates=exact_updates,
        max_calls=max_calls,
        history_limit=history_limit,
        start_step=start_step,
    )
    close_gone()
    rank, world = rank_and_world()
    kind = type(model).__name__
    problem = ""
    try:
        training = training_name(world)
        place: Place = FolderPlace(folder, kind, settings.history_limit, rank, world, training)
    except UsageError:
        raise
    except GradtuiError as error:
        problem = str(error)
        place = Place(_Nowhere(), rank, world)
    handle = WatchHandle(model, optimizer, settings, scaler, place)
    if not problem and rank == 0:
        handle.draw_with(lambda model: draw_architecture(model, handle.folder))
    if problem:
        handle.close()
        handle.problems.append(problem)
        say(f"gradtui: not watching {kind}: {problem}")
    return handle


def unwatch(model: nn.Module) -> None:
    """Close every watcher of a model."""
    for handle in handles_of(model):
        handle.close()


class _Nowhere:
    """Takes records and keeps none."""

    dropped, problem = 0, ""

    def write(self, entry: Entry) -> None:
        """Take a record."""

    def flush(self, timeout: float) -> bool:
        """Nothing waits."""
        return timeout >= 0

    def close(self, timeout: float) -> bool:
        """Nothing is open."""
        return timeout >= 0
