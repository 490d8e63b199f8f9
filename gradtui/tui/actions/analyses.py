"""Commands that look at a whole run: its analyses, and the features of a layer as a moving picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.errors import UsageError

if TYPE_CHECKING:
    from gradtui.tui.actions.desk import Desk


def analyse(desk: Desk, _words: list[str]) -> None:
    """Show gradients by epoch, clusters of weights, kernels and features alike."""
    _need_run(desk)
    desk.room.analyse()


def gif(desk: Desk, words: list[str]) -> None:
    """Write the kept features of a layer; of the selected one where no layer is named."""
    _need_run(desk)
    if not 1 <= len(words) <= 2:
        raise UsageError("usage: gif [LAYER] FILE.gif")
    layer = words[0] if len(words) == 2 else desk.selection.run.path or "(root)"
    desk.room.picture(layer, words[-1])


def kept_names(desk: Desk) -> tuple[str, ...]:
    """Return names of kept tensors, for completion."""
    if not desk.watching:
        return ()
    return tuple(dict.fromkeys(each.kept.key.name for each in desk.watch.run.kept))


def _need_run(desk: Desk) -> None:
    if not desk.watching:
        raise UsageError("no training run in this folder: gradtui.torch.watch(model) writes one")
