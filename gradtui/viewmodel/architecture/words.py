"""What is said of a graph and of one of its rows: the headline, the fault, the details, the minimap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gradtui.viewmodel.architecture.figures import shape_text, short
from gradtui.viewmodel.architecture.gradients import flag_of, gradient_of
from gradtui.viewmodel.architecture.table import has_failed, row_names
from gradtui.viewmodel.fitting import fitting
from gradtui.viewmodel.text import Span, counted, line, safe_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.architecture.graph import ModuleGraph, Shape, TraceFault
    from gradtui.core.arrays import Floats
    from gradtui.viewmodel.architecture.layout import ArchitectureRow
    from gradtui.viewmodel.architecture.listing import ArchitectureView
    from gradtui.viewmodel.text import TextLine

STAGE_WORDS: Final = {
    "static": "the tree alone, nothing was run",
    "meta": "traced without data",
    "fake": "traced with pretended data",
    "real": "traced with data",
}


def graph_headline(view: ArchitectureView, width: int) -> TextLine:
    """The model, how it was found, and its sums, in one line."""
    graph, choices = view.graph, view.choices
    totals = graph.totals
    parts = [
        line((" Architecture", "title"), f"   {safe_label(graph.model)}"),
        line((f"{short(totals.parameters)} parameters", "value")),
    ]
    if graph.stage != "static":
        words = f"{short(totals.flops)} FLOPs" + (" so far" if graph.fault else "")
        parts.append(line((words, "value")))
    if graph.guessed:
        parts.append(line(("guessed ?", "warn")))
    if graph.stage == "static" and graph.notes:
        parts.append(line(("nothing was run: give --input 1x3x224x224 or like", "warn")))
    else:
        parts.append(line((STAGE_WORDS[graph.stage], "dim")))
    shown = len(view.shown)
    if choices.filter:
        parts.append(
            line((f"& {safe_label(choices.filter)}: {counted(shown, 'row')}", "highlight"))
        )
    if choices.merge != 0.01:
        parts.append(line((f"merge {choices.merge:g}", "dim")))
    if choices.depth >= 0:
        parts.append(line((f"depth {choices.depth}", "dim")))
    return fitting(parts, width)


def fault_lines(fault: TraceFault, width: int) -> tuple[TextLine, ...]:
    """Why a forward pass ended early: what, where, and the user's line; nothing where it did not.

    A width of 0 cuts nothing.
    """
    if not fault:
        return ()
    where = fault.path or "the model's own forward"
    operation = f" in {fault.operation}" if fault.operation else ""
    shapes = f"({', '.join(shape_text(shape) for shape in fault.inputs)})" if fault.inputs else ""
    text = fault.text.splitlines()[0] if fault.text else ""
    source = f"   {fault.source}  {fault.line}" if fault.source else ""
    told = ((f"{fault.kind}: {text}", "bad"), (f"at {where}{operation}{shapes}{source}", "warn"))
    room = max(width - 1, 0)
    return tuple(line(" ", (safe_label(words, room, keep="start"), role)) for words, role in told)


def row_detail(view: ArchitectureView, place: int, width: int) -> tuple[TextLine, ...]:
    """Two lines of one row: what it is and costs, and where its values come from and go to."""
    if not 0 <= place < len(view.shown):
        return (line(("nothing fits the filter", "dim")),) if view.choices.filter else ()
    row = view.row(place)
    graph = view.graph
    node, last = graph.nodes[row.number], graph.nodes[row.last]
    extra = f"({safe_label(node.extra)})" if node.extra else ""
    name, classes = row_names(view, row)
    kind = safe_label(classes, keep="start") + ("" if row.merged else extra)
    taken = " ".join(shape_text(shape) for shape in node.inputs)
    given = shape_text(last.shape) if last.dtype else "-"
    shared = f", {row.shared:,} shared" if row.shared else ""
    first = [
        line(" ", (safe_label(name), "title")),
        line((f"{taken or '-'} → {given} {last.dtype}", "value")),
        *([line((kind, ""))] if kind else []),
        line((f"{row.parameters:,} parameters{shared}", "value")),
        line((f"{row.flops:,} FLOPs", "value")),
        line((f"{short(row.bytes)}B", "dim")),
    ]
    if row.merged and extra:
        first.append(line((safe_label(node.name) + extra, "")))
    if has_failed(view, row):
        first.insert(1, line(("failed", "bad")))
    elif node.state == "not run":
        first.insert(1, line(("not run", "warn")))
    if node.guessed:
        first.append(line(("after a guess", "warn")))
    second = [
        line((" in ", "dim"), _named(view, view.layout.inputs(int(view.shown[place])))),
        line(("out ", "dim"), _named(view, view.layout.outputs(int(view.shown[place])))),
    ]
    if node.source:
        second.append(line((node.source, "dim")))
    if row.merged:
        second.append(line(("holds ", "dim"), (_held(graph, row), "")))
    known = view.live.get(node.path) if node.kind == "module" else None
    if known is not None:
        flag, word = flag_of(graph, row, view.live)
        if word:
            second.insert(0, line((f"{flag} {word}", "bad" if flag in "!X" else "warn")))
        norm, is_lost = gradient_of(graph, row, view.live)
        if is_lost:
            second.append(line(("|grad|2 nan", "bad")))
        elif norm == norm:
            second.append(line((f"|grad|2 {norm:.3g}", "value")))
        if known.seconds == known.seconds:
            second.append(line((f"{known.seconds * 1e3:.3g} ms a call", "value")))
    return fitting(first, width), fitting(second, width, in_order=True)


def _held(graph: ModuleGraph, row: ArchitectureRow) -> str:
    """What was merged into one row, each with its output's shape where that is another than before."""
    parts: list[str] = []
    shape: Shape | None = None
    for number in (row.number, *row.merged):
        node = graph.nodes[number]
        name = node.path if node.kind == "module" else node.name
        changed = node.shape if node.dtype and node.shape != shape else None
        parts.append(safe_label(name, 32) + (f" {shape_text(changed)}" if changed else ""))
        shape = changed or shape
    return ", ".join(parts)


def _named(view: ArchitectureView, rows: Sequence[int]) -> Span:
    names = []
    for row in rows[:4]:
        node = view.graph.nodes[view.layout.numbers[row]]
        names.append(safe_label(node.label, 32))
    more = f" and {len(rows) - 4} more" if len(rows) > 4 else ""
    return Span((", ".join(names) or "-") + more, "")


def minimap(heat: Floats, height: int, top: int, page: int) -> tuple[tuple[float, bool], ...]:
    """The whole list in ``height`` cells: each cell's hottest row, and whether it is on the screen.

    Args:
        heat: [rows], 0 to 1.
        height: cells.
        top: the first row on the screen.
        page: rows on the screen.

    Returns: (heat, on the screen) for each cell; fewer cells than ``height`` for fewer rows.
    """
    rows = len(heat)
    cells = min(height, rows)
    found = []
    for cell in range(cells):
        start, end = cell * rows // cells, (cell + 1) * rows // cells
        found.append((float(heat[start:end].max()), start < top + page and end > top))
    return tuple(found)


def summary_lines(graph: ModuleGraph) -> tuple[str, ...]:
    """The sums below a printed table."""
    totals = graph.totals
    lines = [
        f"parameters   {totals.parameters:,} ({totals.trainable:,} trainable), {short(totals.parameter_bytes)}B",
        f"stage        {graph.stage}: {STAGE_WORDS[graph.stage]}",
    ]
    if graph.stage != "static":
        far = " up to the failure" if graph.fault else ""
        lines.insert(1, f"FLOPs        {totals.flops:,}{far}")
        lines.insert(2, f"activations  {short(totals.activation_bytes)}B{far}")
    return tuple(lines)
