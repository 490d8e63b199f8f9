"""What a watched run holds for its own script: gradients by step and epoch, and tensors over the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.core.analysis import report
from gradtui.core.analysis.run_gradients import gradients_by_epoch, gradients_by_step
from gradtui.core.run.growing_run import GrowingRun
from gradtui.errors import FolderMissing, UsageError
from gradtui.folder.history.kept import read_evolution
from gradtui.folder.history.reader import HistoryReader
from gradtui.folder.location import DebugFolder

if TYPE_CHECKING:
    import os

    from gradtui.core.analysis.evolution import Evolution
    from gradtui.core.analysis.gradients import GradientTable
    from gradtui.core.run.run import Run


def gradient_history(
    folder: str | os.PathLike[str], every: str = "step", *, layers: bool = True
) -> GradientTable:
    """Return mean, largest, L1 and L2 of a watched run's gradients.

    They are the optimizer's: unscaled, and clipped where the script clips. A run has L2 at every step, the
    others at those that ``watch(log_freq=...)`` logs in full.

    Args:
        folder: what the run was watched into; flush the handle before, where it still goes on.
        every: ``step``, or ``epoch`` as ``handle.epoch()`` told them.
        layers: a column for each module, its own parameters together; else for each parameter.

    Raises:
        FolderMissing: no run is there.
        UsageError: for another word than the two.

    Special values: NaN where a layer had no gradient, never 0; see `GradientTable`.
    """
    if every not in ("step", "epoch"):
        raise UsageError(f"every={every!r}: step or epoch")
    by = gradients_by_step if every == "step" else gradients_by_epoch
    return by(_run(folder), layers=layers)


def evolution(folder: str | os.PathLike[str], layer: str, role: str = "") -> Evolution:
    """Return how a kept tensor changed over a watched run: ``.steps`` ``[t]`` and ``.values`` ``[t, ...]``.

    Args:
        folder: what the run was watched into, with ``watch(keep=(layer, ...))``.
        layer: a module path (``path#1`` for its second call) or a parameter's full name.
        role: whose tensor, where more than the output was kept.

    Raises:
        FolderMissing: no run is there.
        UsageError: nothing of that name was kept; it says what was.
    """
    return read_evolution(folder, layer, role)


def analyse(folder: str | os.PathLike[str]) -> report.Report:
    """Return all that `gradtui analyse` prints of a watched run, as values.

    Raises:
        FolderMissing: no run is there.
    """
    return report.analyse(_run(folder))


def _run(folder: str | os.PathLike[str]) -> Run:
    reader, growing = HistoryReader(DebugFolder.at(folder)), GrowingRun()
    try:
        while (slices := reader.poll()) or reader.is_behind:
            for part in slices:
                growing.add(part.rank, part.entries)
    finally:
        reader.close()
    run = growing.run()
    if run.is_empty:
        raise FolderMissing(folder, "no watched run is there")
    return run
