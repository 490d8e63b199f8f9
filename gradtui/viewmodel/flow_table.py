"""The Flow view: a node's gradient followed through the layers, as a text Sankey with a cursor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.arrays import finite_parts
from gradtui.core.death import where_it_dies
from gradtui.viewmodel.detail import pair_kind
from gradtui.viewmodel.fitting import fitting
from gradtui.viewmodel.flow_lines import BLANK, Drawing, columns_that_fit, draw, heading, node_width
from gradtui.viewmodel.flow_paths import MISSING, Fan, fans, row_ends
from gradtui.viewmodel.links import node_of, pair_threshold, threshold_words
from gradtui.viewmodel.overview import percent
from gradtui.viewmodel.selection import connections, shown_pairs
from gradtui.viewmodel.summary import chain_rule
from gradtui.viewmodel.text import (
    Span,
    TextLine,
    clip,
    line,
    line_width,
    number,
    printable,
    safe_label,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.session import Session
    from gradtui.viewmodel.flow_lines import Path
    from gradtui.viewmodel.selection import Cell, Selection

LABEL: Final = 20
BAR: Final = 8


@dataclass(frozen=True, slots=True)
class FlowTable:
    """The table and what stands around it.

    Attributes:
        header: threshold, how many links, which node, how the flow is known.
        columns: the layers' names above their columns.
        lines: one line for each row.
        ends: for each row the layer and cell that enter goes to.
        cursor: the row of the cursor; 0 where there are none.
        footer: totals of the layers, bypass, and the layer's other pairs.
    """

    header: TextLine = ()
    columns: TextLine = ()
    lines: tuple[TextLine, ...] = ()
    ends: tuple[tuple[str, Cell], ...] = ()
    cursor: int = 0
    footer: tuple[TextLine, ...] = ()


def flow_table(
    session: Session,
    selection: Selection,
    *,
    width: int,
    header_width: int = 0,
    ascii: bool = False,
    watched: bool = False,
) -> FlowTable:
    """Return the table of the selected node in ``width`` columns of text.

    Args:
        session: the generation on the screen.
        selection: reconciled with it; ``top`` says how many links are shown.
        width: columns; nothing is wider.
        header_width: columns of the header, where it stands on a line of its own; 0 for ``width``.
        ascii: without box characters.
        watched: whether the folder holds a watched training, in which nobody measures a flow.
    """
    found = fans(session, selection)
    header = _header(session, selection, found, header_width or width, ascii)
    footer = _footer(session, selection, found, width, ascii)
    columns: TextLine = ()
    lines: tuple[TextLine, ...] = ()
    if not found:
        words = "no flow from or to this layer" if session.layers else "nothing to show yet"
        if watched and not session.pairs:
            words = "a watched training has no flow; gradtui debug and gradtui demo have"
        return FlowTable(header, (), (clip(line((words, "dim")), width),), (), 0, footer)
    if not any(fan.paths for fan in found):
        words = _nothing(session, selection, found)
        return FlowTable(header, (), (clip(line((words, "dim")), width),), (), 0, footer)
    if len(found) == 2 and width >= 60 and all(fan.paths for fan in found):
        columns, lines = _both(found[0], found[1], width, ascii)
    else:
        # Where both don't fit side by side, the rows of the second go on where the first one's end.
        for fan in found:
            names, rows = _one(fan, width, ascii) if fan.paths else ((), ())
            columns, lines = columns or names, lines + rows[len(lines) :]
    ends = row_ends(found)
    return FlowTable(
        header, columns, lines, ends, min(max(selection.row, 0), max(len(ends) - 1, 0)), footer
    )


def flow_rows(session: Session, selection: Selection) -> tuple[tuple[str, Cell], ...]:
    """Return for each row of the table the layer and the cell that enter goes to."""
    return row_ends(fans(session, selection))


def _nothing(session: Session, selection: Selection, found: Sequence[Fan]) -> str:
    """Why there are no rows."""
    if any(fan.missing for fan in found):
        return MISSING
    node = node_of(session, selection.layer, selection.node)
    if node >= 0 and not session.layer(selection.layer).map()[selection.node]:
        lost = where_it_dies(session, selection.layer, node)
        source, target = safe_label(lost.source, LABEL), safe_label(lost.target, LABEL)
        return f"no gradient: lost between {target} and {source}" if lost.target else "no gradient"
    total = sum(fan.total for fan in found)
    return f"none of {total:,} links reaches the threshold" if total else "this node has no links"


def _one(fan: Fan, width: int, ascii: bool) -> tuple[TextLine, tuple[TextLine, ...]]:
    """A table of one direction, with the layers in the order of the network."""
    count = min(columns_that_fit(width, node_width(fan.paths, width)), len(fan.layers))
    paths, root = _turned([path[:count] for path in fan.paths], fan, count)
    names = fan.layers[:count] if fan.way == "out" else tuple(reversed(fan.layers[:count]))
    drawing = draw(paths, width, root=root, columns=count, ascii=ascii)
    return heading(names, drawing.starts, width, root), drawing.lines


def _turned(paths: Sequence[Path], fan: Fan, count: int) -> tuple[list[Path], int]:
    """Rows left to right, and the column of the selected node: a fan-in ends at it."""
    if fan.way == "out":
        return list(paths), 0
    return [(*(BLANK,) * (count - len(path)), *reversed(path)) for path in paths], count - 1


def _both(out: Fan, into: Fan, width: int, ascii: bool) -> tuple[TextLine, tuple[TextLine, ...]]:
    """Fan-in at the left of the selected node, fan-out at its right, a column each."""
    left_paths, root = _turned([path[:2] for path in into.paths], into, 2)
    right_paths = [path[:2] for path in out.paths]
    cell = node_width([*left_paths, *right_paths], width)
    half = (width + cell) // 2
    left = draw(left_paths, half, root=root, columns=2, ascii=ascii)
    right = draw(right_paths, width - left.starts[1], root=0, columns=2, ascii=ascii)
    names = (into.layers[1], out.layers[0], out.layers[1])
    starts = (0, left.starts[1], left.starts[1] + right.starts[1])
    lines = []
    for row in range(max(len(left.lines), len(right.lines))):
        spans = _padded(left, row, left.starts[1])
        spans += right.lines[row] if row < len(right.lines) else ()
        lines.append(clip(tuple(spans), width))
    return heading(names, starts, width, 1), tuple(lines)


def _padded(drawing: Drawing, row: int, width: int) -> list[Span]:
    """One line up to the column where the selected node begins."""
    if row >= len(drawing.lines):
        return [Span(" " * width)]
    spans: list[Span] = []
    used = 0
    for span in drawing.lines[row]:
        if used >= width:
            break
        text = span.text[: width - used]
        spans.append(Span(text, span.role))
        used += len(text)
    return [*spans, Span(" " * (width - used))] if used < width else spans


def _header(
    session: Session, selection: Selection, found: Sequence[Fan], width: int, ascii: bool
) -> TextLine:
    row, column = selection.node
    place = f"{safe_label(selection.layer, LABEL)} ({row},{column})"
    pairs = shown_pairs(session, selection)
    if not pairs:
        return fitting([line((place, "title"))], width)
    pair = pairs[0]
    words = " and ".join("fan-out" if fan.way == "out" else "fan-in" for fan in found)
    counted = [
        f"{'top ' if len(fan.paths) < fan.above else ''}{len(fan.paths)} of {fan.total:,}"
        for fan in found
    ]
    threshold = threshold_words(pair_threshold(session, selection, pair))
    parts = [
        line(f"{words} of ", (place, "title")),
        line(threshold.replace("≥", ">=") if ascii else threshold),
        line(", ".join(counted)),
        line((pair_kind(pair), "warn" if pair.kind == "estimated" else "dim")),
        *_rule(session, selection, ascii),
    ]
    return fitting(parts, width)


def _rule(session: Session, selection: Selection, ascii: bool) -> list[TextLine]:
    parts = []
    for pair in shown_pairs(session, selection):
        rule = chain_rule(pair)
        if rule != "unknown":
            good = rule == "holds"
            mark = ("ok" if good else "broken") if ascii else ("✓" if good else "✗")
            parts.append(
                line("chain rule ", (mark, "good" if good else "bad"), f" ({pair.residual:.0e})")
            )
    return parts


def _footer(
    session: Session, selection: Selection, found: Sequence[Fan], width: int, ascii: bool
) -> tuple[TextLine, ...]:
    """The sums of |gradient| of the layers on the screen, the bypass, and the pairs not shown."""
    names = list(
        dict.fromkeys(name for fan in reversed(found) for name in _in_order(fan, width, len(found)))
    )
    totals = {name: _total(session, name) for name in names}
    largest = max((t for t in totals.values() if math.isfinite(t)), default=0.0)
    parts = [line(("layers Σ|g|" if not ascii else "layers sum|g|", "dim"))]
    for name, total in totals.items():
        size = round(BAR * (total / largest)) if largest and math.isfinite(total) else 0
        bar = ("#" if ascii else "▇") * max(size, 1 if total else 0)
        parts.append(
            line(
                f"{safe_label(name, LABEL)} ", (bar, "value"), " " if bar else "", number(total, 8)
            )
        )
    for pair in shown_pairs(session, selection):
        if not math.isnan(pair.bypass_share):
            parts.append(line(f"bypass {percent(pair.bypass_share)}"))
        node = node_of(session, pair.source, selection.node)
        if selection.layer == pair.source and 0 <= node < pair.bypass.size and pair.bypass[node]:
            parts.append(line(f"of this node {number(float(pair.bypass[node]), 8)}"))
    lines = [fitting(parts, width, in_order=True)] if totals else []
    others = [name for name in connections(session, selection) if name != selection.connected]
    if others:
        named = ", ".join(safe_label(name, LABEL) for name in others[:6])
        more = f" and {len(others) - 6} more" if len(others) > 6 else ""
        lines.append(clip(line(("other pairs ", "dim"), named + more, ("  P", "key")), width))
    return tuple(one for one in lines if line_width(one))


def _in_order(fan: Fan, width: int, fans_shown: int) -> tuple[str, ...]:
    """The layers whose columns are on the screen, in the order of the network."""
    count = 2 if fans_shown > 1 else columns_that_fit(width, node_width(fan.paths, width))
    names = fan.layers[:count]
    return names if fan.way == "out" else tuple(reversed(names))


def _total(session: Session, name: str) -> float:
    with np.errstate(over="ignore"):
        return sum(float(np.abs(part).sum()) for part in finite_parts(session.layer(name).map()))


def tsv(session: Session, selection: Selection) -> str:
    """Return all links of the table as tab-separated text: a line for each node of each row."""
    lines = ["way\trow\thop\tlayer\tr\tc\tlink\tflow\tend"]
    for fan in fans(session, selection):
        for row, path in enumerate(fan.paths):
            for hop, node in enumerate(path):
                cells = (
                    fan.way,
                    row,
                    hop,
                    printable(node.layer),
                    *node.cell,
                    repr(node.flow),
                    node.end,
                )
                lines.append("\t".join(str(cell) for cell in cells))
    return "\n".join(lines) + "\n"
