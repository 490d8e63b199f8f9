"""The architecture that a folder holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.folder.graph_file import read_graph
from gradtui.folder.location import DebugFolder

if TYPE_CHECKING:
    from gradtui.core.architecture.graph import ModuleGraph


def load_graph(location: str) -> ModuleGraph:
    """Return the graph of a folder's model, an empty one where it holds none.

    Raises:
        UnreadableFile: when the file is broken, hostile or too large.
        FileBusy: when it changed while it was read.
    """
    return read_graph(DebugFolder.at(location).graph)
