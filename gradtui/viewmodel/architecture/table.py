"""The architecture as lines: lanes, name, shape, costs and hotspot of each row, and what is told of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from gradtui.viewmodel.architecture.columns import HOT_CELLS, columns_of
from gradtui.viewmodel.architecture.figures import bar, shape_text, short
from gradtui.viewmodel.architecture.gradients import flag_of, gradient_of
from gradtui.viewmodel.text import Span, cell_width, printable, safe_label

if TYPE_CHECKING:
    from gradtui.core.architecture.categories import Colours
    from gradtui.core.architecture.graph import GraphNode
    from gradtui.viewmodel.architecture.columns import Column
    from gradtui.viewmodel.architecture.layout import ArchitectureRow
    from gradtui.viewmodel.architecture.listing import ArchitectureView
    from gradtui.viewmodel.text import TextLine

LEAST_FOR_MARK: Final = 20
"""Cells for a row's name from which "failed" stands behind it; the name's colour says it too."""


def architecture_header(view: ArchitectureView, width: int, *, ascii: bool = False) -> TextLine:
    """The line above the rows; the column that sorts is marked."""
    columns = columns_of(width, live=bool(view.live))
    room = width - sum(column.width + 1 for column in columns)
    choices = view.choices
    down, up = ("v", "^") if ascii else ("▾", "▴")
    arrow = down if choices.descending else up
    name = "layer" + (arrow if choices.sort == "layer" else "")
    spans = [Span((" " + name).ljust(room)[:room], "dim")]
    for column in columns:
        title = (
            f"{choices.hot[:4]}·"
            if column.sort == "hot" and choices.hot != "flops"
            else column.title
        )
        title += arrow if column.sort == choices.sort else ""
        text = (
            title.ljust(column.width)
            if column.sort in ("hot", "flag")
            else title.rjust(column.width)
        )
        role = "title" if column.sort == choices.sort else "dim"
        spans.append(Span(" " + text[: column.width], role))
    return tuple(spans)


def architecture_line(
    view: ArchitectureView, place: int, width: int, colours: Colours, *, ascii: bool = False
) -> TextLine:
    """One row as a line of exactly ``width`` columns (of none below 8)."""
    if width < 8:
        return ()
    row = view.row(place)
    node = view.graph.nodes[row.number]
    columns = columns_of(width, live=bool(view.live))
    room = width - sum(column.width + 1 for column in columns)
    lead = view.gutter(place, ascii=ascii)
    lead = f" {lead} " if lead else " "
    if len(lead) > room // 2:
        lead = lead[: room // 2]
    name, classes = row_names(view, row)
    space = max(room - len(lead), 1)
    failed = has_failed(view, row)
    mark = _mark(node, failed=failed, ascii=ascii) if space > LEAST_FOR_MARK else ""
    space -= len(mark)
    # Of a path the end tells most, of an operation with what was merged into it the beginning.
    kept: Literal["start", "end"] = "start" if node.kind == "operation" else "end"
    name = safe_label(name, max(space - min(cell_width(classes) + 1, space // 3), 1), keep=kept)
    left = space - cell_width(name) - 1
    classes = safe_label(classes, left, keep="start") if left > 2 else ""
    spans = [
        Span(lead, "dim"),
        Span(name, "bad" if failed else _role_of(_state(view, node), node.guessed)),
        Span(" " + classes if classes else "", colours.of(node.name, node.kind)),
        Span(mark, "bad" if failed else "warn"),
    ]
    used = len(lead) + len(mark) + cell_width(name) + (cell_width(classes) + 1 if classes else 0)
    spans.append(Span(" " * max(room - used, 0)))
    for column in columns:
        text, role = _cell(view, row, place, column, ascii=ascii)
        padded = (
            text.ljust(column.width) if column.sort in ("hot", "flag") else text.rjust(column.width)
        )
        spans.append(Span(" " + padded, role))
    return tuple(span for span in spans if span.text)


def _mark(node: GraphNode, *, failed: bool, ascii: bool) -> str:
    """What stands behind the name of a row that failed, or that comes after a guess."""
    if failed:
        return " x failed" if ascii else " ✗ failed"
    return " ?" if node.guessed else ""


def has_failed(view: ArchitectureView, row: ArchitectureRow) -> bool:
    """Whether the forward pass ended in what the row stands for."""
    if row.role == "own":
        # The calls around the failure failed too; where they stand open, the row inside tells it.
        return view.graph.fault.node == row.number
    numbers = (row.number, *row.merged, *row.members)
    return any(view.graph.nodes[number].state == "failed" for number in numbers)


def flagged(view: ArchitectureView) -> list[int]:
    """Places of the listed rows that failed, come after a guess, or have a finding; ascending."""
    layout, nodes = view.layout, view.graph.nodes
    columns = view.graph.columns
    marked = columns.guessed[layout.numbers]
    failed = layout.row_of[np.flatnonzero(columns.failed)]
    failed = np.append(failed, np.flatnonzero(layout.numbers == view.graph.fault.node))
    for row in {*failed[failed >= 0].tolist()}:
        marked[row] |= has_failed(view, layout.row(row))
    known = {path for path, one in view.live.items() if one.word}
    if known:
        numbers = enumerate(layout.numbers.tolist())
        found = [row for row, number in numbers if nodes[number].path in known]
        marked[[row for row in found if nodes[layout.numbers[row]].kind == "module"]] = True
        # What a row hides is found on it.
        flagged_nodes = (node.kind == "module" and node.path in known for node in nodes)
        rows = layout.row_of[np.flatnonzero(np.fromiter(flagged_nodes, np.bool_, len(nodes)))]
        marked[rows[rows >= 0]] = True
    places: list[int] = np.flatnonzero(marked[view.shown]).tolist()
    return places


def called(view: ArchitectureView, text: str) -> list[int]:
    """Places of the listed rows whose name or classes, as they are shown, hold a text; ascending."""
    wanted = text.lower()
    return [
        place
        for place in range(len(view.shown))
        if wanted in printable(" ".join(row_names(view, view.row(place)))).lower()
    ]


def _state(view: ArchitectureView, node: GraphNode) -> str:
    # Of a tree that nobody ran, "not run" tells nothing of a module.
    return "run" if view.graph.stage == "static" else node.state


def _unreached(view: ArchitectureView, node: GraphNode) -> str:
    return "not run" if _state(view, node) == "not run" else ""


def _role_of(state: str, guessed: bool) -> str:
    return "dim" if state == "not run" else "warn" if guessed else ""


def row_names(view: ArchitectureView, row: ArchitectureRow) -> tuple[str, str]:
    """A row's name, and its classes or what else it is; both as the model has them.

    A module with parameters that was merged into the row is named with its path: nobody finds it elsewhere.
    """
    nodes = view.graph.nodes
    node = nodes[row.number]
    call = f"#{node.call}" if node.call else ""
    merged = [_merged_name(nodes[number]) for number in row.merged]
    if row.role in ("repeat", "folded"):
        name = _between(node.path, nodes[row.members[-1]].path) if row.members else node.path
        times = f" ×{len(row.members)}" if row.members else ""
        return (name or "(model)") + call, "+".join((node.name + times, *merged))
    if row.role == "own":
        return (node.path or "(model)") + call, "its own parameters"
    classes = "+".join((node.name, *merged))
    if node.kind == "module":
        return (node.path or "(model)") + call, classes
    if node.kind == "operation":
        return classes, node.path
    return node.name, node.kind


def _merged_name(node: GraphNode) -> str:
    own = node.kind == "module" and (node.parameters or node.shared)
    return f"{node.path} {node.name}" if own and not node.name.endswith(_SMALL) else node.name


_SMALL: Final = ("Norm", "Norm1d", "Norm2d", "Norm3d", "PReLU")
"""Modules with few parameters that go without saying beside the one before them."""


def _between(first: str, last: str) -> str:
    """``layers.0`` and ``layers.79`` as ``layers.[0…79]``; of calls of one module its path."""
    if first == last:
        return first
    head, _, a = first.rpartition(".")
    other, _, b = last.rpartition(".")
    return f"{head + '.' if head else ''}[{a}…{b}]" if head == other else f"{first} … {last}"


def _cell(
    view: ArchitectureView, row: ArchitectureRow, place: int, column: Column, *, ascii: bool
) -> tuple[str, str]:
    node, last = view.graph.nodes[row.number], view.graph.nodes[row.last]
    if column.sort == "out":
        if row.role == "own":
            return "", ""
        text = shape_text(last.shape) if last.dtype else (_unreached(view, node))
        return (text if len(text) <= column.width else text[: column.width - 1] + "…"), "dim"
    if column.sort == "hot":
        return bar(view.heat[place], HOT_CELLS, ascii=ascii), "highlight"
    if column.sort == "flag":
        flag, word = flag_of(view.graph, row, view.live)
        return f"{flag} {word}"[: column.width].rstrip(), "bad" if flag in "!X" else "dim"
    if column.sort == "gradient":
        if node.kind != "module" or node.path not in view.live:
            return "", ""
        norm, is_lost = gradient_of(view.graph, row, view.live)
        if is_lost:
            return "nan", "bad"
        return (f"{norm:.1e}" if norm == norm else "-"), "value"
    value = {"params": row.parameters, "FLOPs": row.flops, "bytes": row.bytes}[column.sort]
    if column.sort == "params" and not value and row.shared:
        return "(" + short(row.shared) + ")", "dim"
    return (short(value), "value") if value else ("·", "dim")


def architecture_tsv(view: ArchitectureView) -> str:
    """The rows as they are listed, as tab-separated text with a header."""
    lines = ["layer\tclass\tout\tdtype\tparameters\tshared\tflops\tbytes\tstate\tguessed"]
    for place in range(len(view.shown)):
        row = view.row(place)
        node, last = view.graph.nodes[row.number], view.graph.nodes[row.last]
        name, classes = (printable(text) for text in row_names(view, row))
        shape = "x".join(map(str, last.shape)) if last.dtype else ""
        cells = (
            name, classes, shape, last.dtype, row.parameters, row.shared, row.flops, row.bytes, node.state,
            int(node.guessed),
        )  # fmt: skip
        lines.append("\t".join(str(cell) for cell in cells))
    return "\n".join(lines) + "\n"
