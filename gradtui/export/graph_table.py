"""An architecture as a table of text, and as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from gradtui.core.architecture.categories import Colours, category_of
from gradtui.viewmodel.architecture.listing import architecture_view
from gradtui.viewmodel.architecture.rows import Rows
from gradtui.viewmodel.architecture.table import architecture_header, architecture_line
from gradtui.viewmodel.architecture.words import fault_lines, summary_lines
from gradtui.viewmodel.text import plain, printable

if TYPE_CHECKING:
    from gradtui.core.architecture.graph import ModuleGraph
    from gradtui.viewmodel.architecture.choices import ArchitectureChoices

CSV_COLUMNS = (
    "number", "path", "call", "kind", "name", "category", "parent", "parameters", "shared", "flops", "in_shapes",
    "out_shapes", "dtype", "bytes", "source", "state", "guessed", "inputs",
)  # fmt: skip


def graph_text(
    graph: ModuleGraph, choices: ArchitectureChoices, width: int, *, ascii: bool = False
) -> str:
    """The table that the screen shows, whole, with the sums and the fault below."""
    view = architecture_view(Rows(graph), choices)
    colours = Colours()
    lines = [plain(architecture_header(view, width, ascii=ascii)).rstrip()]
    lines += [
        plain(architecture_line(view, place, width, colours, ascii=ascii)).rstrip()
        for place in range(len(view.shown))
    ]
    lines += ["", *summary_lines(graph)]
    lines += [plain(line).strip() for line in fault_lines(graph.fault, 0)]
    lines += [printable(note) for note in graph.notes]
    return "\n".join(lines) + "\n"


def graph_csv(graph: ModuleGraph) -> str:
    """Every node as a line of CSV (RFC 4180), whatever is folded or merged on a screen.

    Shapes are joined by spaces ("1x3x8x8"), inputs are the numbers of the leaves it takes from.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(CSV_COLUMNS)
    for node in graph.nodes:
        writer.writerow(
            (
                node.number,
                _cell(node.path),
                node.call,
                node.kind,
                _cell(node.name),
                category_of(node.name, node.kind),
                node.parent,
                node.parameters,
                node.shared,
                node.flops,
                " ".join("x".join(map(str, shape)) for shape in node.inputs),
                " ".join("x".join(map(str, shape)) for shape in node.shapes),
                node.dtype,
                node.bytes,
                _cell(node.source),
                node.state,
                int(node.guessed),
                " ".join(map(str, graph.producers.get(node.number, ()))),
            )
        )
    return out.getvalue()


def _cell(text: str) -> str:
    # A spreadsheet takes a leading sign for a formula.
    text = printable(text)
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text
