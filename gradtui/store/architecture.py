"""The architecture that a folder holds, read again when it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.errors import FileBusy, UnreadableFile
from gradtui.folder.location import DebugFolder
from gradtui.folder.stamp import MISSING, stamp

if TYPE_CHECKING:
    from gradtui.core.architecture.graph import ModuleGraph
    from gradtui.store.publishing import Publisher


def load_graph(location: str) -> ModuleGraph:
    """Return the graph of a folder's model, an empty one where it holds none.

    Raises:
        UnreadableFile: when the file is broken, hostile or too large.
        FileBusy: when it changed while it was read.
    """
    # Here: most folders hold no graph, and need not import what reads one.
    from gradtui.folder.graph_file import read_graph
    from gradtui.store.run.memory import no_collection

    with no_collection():
        return read_graph(DebugFolder.at(location).graph)


def load_failure(location: str) -> str:
    """What the process that traced into a folder says it failed of, in one line; "" where it says nothing."""
    from gradtui.folder.adapter_state import read_adapter

    adapter = read_adapter(DebugFolder.at(location))
    return adapter.message if adapter.state == "failed" else ""


class GraphLook:
    """Looks at the graph's file, and publishes what it holds; the last good graph stays where it is broken."""

    def __init__(self, folder: DebugFolder, published: Publisher) -> None:
        self._folder = folder
        self._published = published
        self._seen = MISSING

    def look(self) -> None:
        """Read the graph if its file is another one than at the last look."""
        now = stamp(self._folder.graph)
        if now == self._seen:
            return
        self._seen = now
        if now == MISSING:
            return
        try:
            self._published.folder(graph=load_graph(self._folder.shown), graph_problem="")
        except UnreadableFile as error:
            self._published.folder(graph_problem=f"graph.json: {error.reason}")
        except FileBusy:
            # Its writer replaces it whole: the next look finds it.
            self._seen = MISSING
