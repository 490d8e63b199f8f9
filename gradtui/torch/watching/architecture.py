"""The architecture of a watched model, in its folder: the tree at once, the dataflow of the first pass after it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from gradtui.errors import GradtuiError
from gradtui.folder.graph_file import write_graph
from gradtui.folder.location import DebugFolder
from gradtui.torch.tracing.passive import FirstPass, architecture_of

if TYPE_CHECKING:
    from torch import nn

    from gradtui.core.architecture.graph import ModuleGraph


def draw_architecture(model: nn.Module, folder: str) -> FirstPass:
    """Write a model's graph into a folder, now and after its first training pass.

    A disk that refuses it is no reason to tell a training of.

    Returns:
        The hooks on the model, to be removed when the watching ends.
    """
    place = DebugFolder.at(folder)

    def write(graph: ModuleGraph) -> None:
        with contextlib.suppress(GradtuiError, OSError):
            write_graph(place, graph)

    with contextlib.suppress(Exception):
        # A model can be made of anything; a training without its picture is still a training.
        write(architecture_of(model))
    return FirstPass(model, write)
