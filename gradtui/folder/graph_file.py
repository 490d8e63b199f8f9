"""``gradtui/graph.json``: the architecture of the model, beside what was measured of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from gradtui.core.architecture.document import to_document
from gradtui.core.architecture.graph import ModuleGraph
from gradtui.core.architecture.reading import from_document
from gradtui.errors import InvalidContents, UnreadableFile
from gradtui.folder.reading import read_regular
from gradtui.folder.writing import make_own_directory, replace_file

if TYPE_CHECKING:
    from pathlib import Path

    from gradtui.folder.location import DebugFolder

MAX_GRAPH_BYTES: Final = 256 << 20
"""A model of a million calls is smaller."""


def write_graph(folder: DebugFolder, graph: ModuleGraph) -> None:
    """Write the graph of a folder's model, whole; whoever adapts the folder does it.

    Raises:
        SaveFailed: when the disk refuses it.
    """
    make_own_directory(folder.graph.parent)
    text = json.dumps(
        to_document(graph, brief=True), ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )
    replace_file(folder.graph, text.encode("utf-8", "surrogatepass"), "adapter")


def read_graph(path: Path) -> ModuleGraph:
    """Read a graph; an empty one where there is no file.

    Raises:
        UnreadableFile: when it is broken, hostile or too large.
        FileBusy: when it changed while it was read.
    """
    if not path.exists():
        return ModuleGraph()
    data = read_regular(path, max_bytes=MAX_GRAPH_BYTES).data
    try:
        return from_document(json.loads(bytes(data)))
    except (ValueError, RecursionError, InvalidContents) as error:
        raise UnreadableFile(path, f"no graph: {str(error).splitlines()[0][:200]}") from None
