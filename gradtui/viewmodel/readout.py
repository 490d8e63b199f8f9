"""Two lines about the cell under the cursor: the number itself, what it was, and whether it adds up.

The parts of a line are in the order of their worth; where the screen is narrow the last ones go,
whole, and none is cut in the middle.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.arrays import finite_parts
from gradtui.viewmodel.contents import map_content
from gradtui.viewmodel.detail import pair_kind
from gradtui.viewmodel.fitting import fitting
from gradtui.viewmodel.links import linked_cells, node_of
from gradtui.viewmodel.overview import percent
from gradtui.viewmodel.selection import (
    layer_place,
    layer_shape,
    map_shape,
    shown_direction,
    shown_pairs,
)
from gradtui.viewmodel.summary import RESIDUAL_LIMIT
from gradtui.viewmodel.text import (
    Span,
    TextLine,
    line,
    number,
    safe_label,
)

if TYPE_CHECKING:
    from gradtui.core.arrays import Array
    from gradtui.core.edit import EditHistory
    from gradtui.core.session import Pair, Session
    from gradtui.viewmodel.selection import Cell, MapKey, Selection

LABEL: Final = 18
NUMBER: Final = 7
WIDEST: Final = 9


def readout(
    session: Session,
    previous: Session,
    selection: Selection,
    edits: EditHistory,
    *,
    width: int = 80,
    ascii: bool = False,
) -> tuple[TextLine, TextLine]:
    """Return the two lines under the maps, for the cursor of the map with the keys.

    Numbers keep their columns while the cursor moves: what does not change is not sent again.

    Args:
        session: the generation on the screen.
        previous: the one before it, empty where there was none.
        selection: reconciled with the session.
        edits: the edits that are not written yet.
        width: columns; nothing is wider.
        ascii: without other characters.
    """
    selection = _on_the_row(session, selection)
    key = selection.focus
    if not map_content(session, selection, key).array.size:
        return (fitting([line(("nothing here", "dim"))], width), ())
    value = cell_value(session, selection, key, selection.cursor(key), edits)
    first = [
        _place(session, selection, key),
        line((number(value, WIDEST, digits=6, signed=True).ljust(WIDEST), _sign(value))),
        *_score(session, selection, edits, key, value),
        *_changes(session, previous, selection, edits, key, value),
    ]
    second = _linked(session, selection, edits, key)
    if key not in ("input", "target"):
        pairs = shown_pairs(session, selection)
        first.extend(part for pair in pairs for part in _adds_up(session, selection, pair))
        second = [part for pair in pairs for part in _link(session, selection, pair)] + second
        second.extend(
            line((pair_kind(pair), "warn" if pair.kind == "estimated" else "dim")) for pair in pairs
        )
    if ascii:
        first, second = [_plain(part) for part in first], [_plain(part) for part in second]
    return fitting(first, width), fitting(second, width)


def _on_the_row(session: Session, selection: Selection) -> Selection:
    """In the Flow view the lines are about the selected node and the link of the row with the cursor."""
    if selection.view != "flow":
        return selection
    # Here: the first screen shows maps, and need not wait for this import.
    from gradtui.viewmodel.flow_paths import fans, row_ends

    ends = row_ends(fans(session, selection))
    if selection.row < len(ends):
        layer, cell = ends[selection.row]
        if layer == selection.connected:
            selection = selection.with_cursor(layer_place(layer), cell)
    return replace(selection, focus="source")


_ASCII: Final = str.maketrans(
    {"Σ": "sum", "σ": " sd", "✓": "ok", "✗": "NOT", "≠": "!=", "→": "->", "←": "<-", "…": "~"}
)


def _plain(part: TextLine) -> TextLine:
    return tuple(Span(span.text.translate(_ASCII), span.role) for span in part)


def _fixed(value: float, *, signed: bool = False) -> str:
    return number(value, NUMBER, signed=signed).ljust(NUMBER)


def cell_value(
    session: Session,
    selection: Selection,
    key: MapKey,
    cell: Cell,
    edits: EditHistory | None = None,
) -> float:
    """Return the number of a cell, in the channel that is shown; NaN where there is no such cell."""
    plane = _plane(session, selection, key, edits)
    row, column = cell
    if not (0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]):
        return math.nan
    return float(plane[row, column])


def _plane(
    session: Session, selection: Selection, key: MapKey, edits: EditHistory | None = None
) -> Array:
    return map_content(session, selection, key, edits).plane(selection.tile)


def _sign(value: float) -> str:
    if not math.isfinite(value):
        return "bad"
    return "negative" if value < 0 else "positive" if value > 0 else "value"


def _place(session: Session, selection: Selection, key: MapKey) -> TextLine:
    """The cell, in as many columns as the last cell of its map takes."""
    row, column = selection.cursor(key)
    height, width = map_shape(session, selection, key)
    name = f"{key.upper()} " if key in ("input", "target") else ""
    text = f"{name}({row},{column})"
    return line((text.ljust(len(f"{name}({height - 1},{width - 1})")), "title"))


def _changes(
    session: Session,
    previous: Session,
    selection: Selection,
    edits: EditHistory,
    key: MapKey,
    value: float,
) -> list[TextLine]:
    """What the cell was: on disk, when it is edited, and in the generation before."""
    parts: list[TextLine] = []
    cell = selection.cursor(key)
    if key == "input" and edits.pending_count:
        disk = cell_value(session, selection, key, cell)
        if disk != value:
            parts.append(line(("edited", "edited"), f" from {_fixed(disk)}"))
    if previous.layers or previous.input.size:
        here, there = _plane(session, selection, key), _plane(previous, selection, key)
        if here.shape == there.shape:
            parts.append(line(f"was {_fixed(cell_value(previous, selection, key, cell))}"))
    return parts


def _score(
    session: Session, selection: Selection, edits: EditHistory, key: MapKey, value: float
) -> list[TextLine]:
    """How many standard deviations the value lies from the mean of its map's finite cells."""
    count, largest, mean, spread = _distribution(_plane(session, selection, key, edits))
    if count < 2 or not math.isfinite(value) or spread <= np.finfo(np.float64).eps:
        return []
    score = (value / largest - mean) / spread
    return [line(f"{number(score, 5, digits=2, signed=True)}σ".ljust(6))]


def _distribution(plane: Array) -> tuple[int, float, float, float]:
    """How many cells are finite, the largest magnitude, and mean and deviation in units of that.

    Looked at in blocks: a large map of bytes is never a map of floats eight times its size. Without
    finite cells all are 0; where every cell is 0 the unit is 1.
    """
    sizes = [
        (piece.size, float(np.abs(piece).max())) for piece in finite_parts(plane) if piece.size
    ]
    count = sum(size for size, _ in sizes)
    if not count:
        return 0, 0.0, 0.0, 0.0
    # Scaled first: squares of large gradients overflow.
    largest = max(most for _, most in sizes) or 1.0
    mean = math.fsum(float((piece / largest).sum()) for piece in finite_parts(plane)) / count
    squares = math.fsum(
        float(np.square(piece / largest - mean).sum()) for piece in finite_parts(plane)
    )
    return count, largest, mean, math.sqrt(squares / count)


def _adds_up(session: Session, selection: Selection, pair: Pair) -> list[TextLine]:
    """Whether the links of the node sum up to its gradient, with what went by other ways."""
    in_target = selection.focus == "connected"
    direction = shown_direction(session, selection)
    name = selection.connected if in_target else selection.layer
    node = node_of(session, name, selection.cursor(selection.focus))
    if node < 0:
        return []
    if name == pair.target and (in_target or direction == "in"):
        if not pair.flow.has_column(node):
            return [line(("column of links not in the folder", "warn"))]
        total = float(pair.flow.column(node).values.sum())
        return [line(f"feeds {_fixed(total)} into {safe_label(pair.source, LABEL)}")]
    return _row_sum(session, pair, node)


def _row_sum(session: Session, pair: Pair, node: int) -> list[TextLine]:
    if not pair.flow.has_row(node):
        return [line(("row of links not in the folder", "warn"))]
    with np.errstate(invalid="ignore", over="ignore"):
        total = float(pair.flow.row(node).values.sum())
    words = f"Σ flow {_fixed(total)}"
    if pair.kind in ("explicit", "listed"):
        return [line(f"{words} over {len(pair.flow.row(node))} links")]
    gradient = session.layer(pair.source).map()
    one = float(gradient[divmod(node, gradient.shape[1])])
    by = float(pair.bypass[node]) if pair.bypass.size > node else math.nan
    rest = one - total - (0.0 if math.isnan(by) else by)
    scale = max(float(np.abs(part).max(initial=0.0)) for part in finite_parts(gradient))
    holds = abs(rest) <= RESIDUAL_LIMIT * scale
    passed = [line(f"bypass {_fixed(by)}")] if not math.isnan(by) else []
    if holds:
        equation = "= gradient" if not by or math.isnan(by) else "+ bypass = gradient"
        return [line(f"{words} {equation} ", ("✓", "good")), *passed]
    if pair.kind == "measured" and not math.isnan(by):
        return [
            line(f"{words} + bypass ≠ gradient ", ("✗", "bad"), f" off {_fixed(rest)}"),
            *passed,
        ]
    if pair.kind == "estimated":
        return [line(f"{words} ≠ gradient ", ("✗", "warn"), " (estimated)")]
    if math.isnan(rest):
        return [line(words)]
    return [line(f"{words} ", (f"{_fixed(rest)} unexplained", "warn"))]


def _link(session: Session, selection: Selection, pair: Pair) -> list[TextLine]:
    """The link between the two cursors, as a number and as a share of the source's gradient."""
    cells = {
        selection.layer: selection.node,
        selection.connected: selection.cursor("connected"),
    }
    source = node_of(session, pair.source, cells[pair.source])
    target = node_of(session, pair.target, cells[pair.target])
    if source < 0 or target < 0:
        return []
    other: MapKey = "connected" if selection.focus == "source" else "source"
    name = selection.connected if other == "connected" else selection.layer
    row, column = selection.cursor(other)
    arrow = "→" if (name == pair.target) else "←"
    height, width = layer_shape(session, name)
    cell = f"({row},{column})".ljust(len(f"({height - 1},{width - 1})"))
    place = f"{arrow} {safe_label(name, LABEL)} {cell}"
    if not (pair.flow.has_row(source) or pair.flow.has_column(target)):
        return [line(place)]
    found = pair.flow.row(source) if pair.flow.has_row(source) else pair.flow.column(target)
    here = found.values[(found.sources == source) & (found.targets == target)]
    value = float(here.sum()) if here.size else 0.0
    gradient = session.layer(pair.source).map()
    total = float(gradient[divmod(source, gradient.shape[1])])
    share = value / total if total and math.isfinite(total) else math.nan
    spans = [
        Span(f"{place} flow "),
        Span(_fixed(value, signed=True), _sign(value)),
    ]
    # A share of a gradient whose parts cancel can be any number, and would say nothing.
    words = percent(share) if 0 <= share <= 1 else ""
    spans.append(Span(f" {words:<5}", "dim"))
    return [tuple(spans)]


def _linked(
    session: Session, selection: Selection, edits: EditHistory, focus: MapKey
) -> list[TextLine]:
    """The numbers that lie under the cursor in the other maps."""
    found = linked_cells(session, selection)
    parts: list[TextLine] = []
    for key in ("source", "input", "target"):
        cell = found.get(key)
        if cell is None or key == focus:
            continue
        value = cell_value(session, selection, key, cell, edits)
        name = safe_label(selection.layer, LABEL) if key == "source" else key.upper()
        moved = cell != selection.cursor(focus)
        where = f" ({cell[0]},{cell[1]})" if moved or key == "source" else ""
        parts.append(line((f"{name}{where} ", "dim"), (_fixed(value), _sign(value))))
    return parts
