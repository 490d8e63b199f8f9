"""Charts with axes, drawn by plotext and taken apart into lines of spans.

plotext keeps one figure for a process; it is imported when the first chart is drawn.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradtui.viewmodel.text import Span, TextLine

if TYPE_CHECKING:
    from gradtui.core.arrays import Floats
    from gradtui.viewmodel.run.curves import Chart, Curve

CURVES: Final = 6
"""Colours of curves; more curves begin again."""
_FIRST_CODE: Final = 20
"""Of the 256 colours, those from here stand for the curves until they are roles."""
_SEQUENCE: Final = re.compile(r"\x1b\[([0-9;]*)m")
_ASCII: Final = str.maketrans({"│": "|", "┤": "+", "└": "+", "┬": "+", "─": "-", "┼": "+"})
_LABEL_WIDTH: Final = 7


@dataclass(frozen=True, slots=True)
class Field:
    """Where the dots of a chart are: its lines, and the columns of the field in them."""

    lines: tuple[TextLine, ...]
    left: int
    width: int


def field_of(width: int, height: int) -> tuple[int, int]:
    """Return columns and rows of the field of a chart of this size, without axes and labels."""
    return max(width - _LABEL_WIDTH - 1, 1), max(height - 2, 1)


def drawn(chart: Chart, width: int, height: int, *, ascii: bool = False) -> Field:
    """Draw a chart into exactly ``height`` lines of ``width`` columns.

    At steps that are not finite a curve has a gap, and the axis an ``x``.

    Args:
        chart: made for the field of this size.
        width: columns, at least 12.
        height: lines, at least 4.
        ascii: without braille and box characters.
    """
    import plotext

    plotext.terminal.limit(False, False)
    figure = plotext.figure
    figure.clear()
    figure.plot_size(width, height)
    figure.axes(False)
    figure.axes(True, axis="x", side=0)
    figure.axes(True, axis="y", side=0)
    # The curves drawn last lie above: the first one is the one that the keys act on.
    for number in reversed(range(len(chart.curves))):
        curve = chart.curves[number]
        colour = plotext.pixel(_FIRST_CODE + number % CURVES)
        marker = plotext.marker("*" if ascii else "braille", colour)
        for xs, ys in _strokes(curve, chart.low):
            signal = figure.signal(xs, ys, marker=marker)
            figure.draw(signal.lines() if len(xs) > 1 else signal)
    _rule(figure.ruler("y"), chart.low, chart.high, chart.y_ticks, _LABEL_WIDTH)
    _rule(figure.ruler("x"), chart.window.first, chart.window.last, chart.x_ticks)
    lines = _lines(figure.build().string(), ascii=ascii)
    lines += [() for _ in range(height - len(lines))]
    left, columns = _LABEL_WIDTH + 1, max(width - _LABEL_WIDTH - 1, 1)
    for column in sorted({chart.window.column(step, columns) for step in _bad(chart)}):
        lines[height - 2] = _marked(lines[height - 2], left + column, "x", "bad", always=True)
    return Field(tuple(lines[:height]), left, columns)


def _bad(chart: Chart) -> list[float]:
    """All steps at which a curve is not finite."""
    return [step for curve in chart.curves for step in curve.bad.tolist()]


def _rule(
    ruler: Any, low: float, high: float, ticks: tuple[tuple[float, str], ...], width: int = 0
) -> None:
    ruler.lim(low, high)
    places = [place for place, _ in ticks]
    words = [text.rjust(width) for _, text in ticks]
    if not places:
        # A label keeps the field where it is.
        places, words = [low], [" " * max(width, 1)]
    ruler.ticks(places, words)


def _strokes(curve: Curve, bottom: float) -> list[tuple[list[float], list[float]]]:
    """The ways of the pen, lifted at each gap: at a step down to the least value, up to the greatest, then to the newest."""
    if not len(curve.x):
        return []
    y, low, high = (_grounded(values, bottom) for values in (curve.y, curve.low, curve.high))
    single = (low == y) & (high == y)
    xs = np.repeat(curve.x, np.where(single, 1, 3))
    ys = np.empty(len(xs))
    ends = np.cumsum(np.where(single, 1, 3)) - 1
    ys[ends] = y
    wide = ends[~single]
    ys[wide - 2], ys[wide - 1] = low[~single], high[~single]
    before = np.searchsorted(curve.bad, curve.x, "right")
    lifted = 1 + ends[np.flatnonzero(before[1:] != before[:-1])]
    return [
        (x.tolist(), y.tolist())
        for x, y in zip(np.split(xs, lifted), np.split(ys, lifted), strict=True)
    ]


def _grounded(values: Floats, bottom: float) -> Floats:
    """Zeros on a logarithmic axis lie at its lower end."""
    grounded: Floats = np.where(np.isneginf(values), bottom, values)
    return grounded


def _lines(text: str, *, ascii: bool) -> list[TextLine]:
    """The rows of a picture of plotext's: curves have their roles, everything else is dim."""
    lines: list[TextLine] = []
    for row in text.rstrip("\n").split("\n"):
        spans: list[Span] = []
        role, place = "dim", 0
        for found in _SEQUENCE.finditer(row):
            _add(spans, row[place : found.start()], role, ascii=ascii)
            place = found.end()
            role = _role(found.group(1), role)
        _add(spans, row[place:], role, ascii=ascii)
        lines.append(tuple(spans))
    return lines


def _role(codes: str, before: str) -> str:
    parts = codes.split(";")
    if parts[:2] == ["38", "5"] and len(parts) > 2:
        number = int(parts[2]) - _FIRST_CODE
        return f"curve {number}" if 0 <= number < CURVES else "dim"
    return "dim" if parts in ([""], ["0"]) else before


def _add(spans: list[Span], text: str, role: str, *, ascii: bool) -> None:
    if not text:
        return
    if ascii:
        text = text.translate(_ASCII)
    if spans and spans[-1].role == role:
        spans[-1] = Span(spans[-1].text + text, role)
    else:
        spans.append(Span(text, role))


def with_column(field: Field, column: int, *, ascii: bool = False) -> tuple[TextLine, ...]:
    """Return the lines of a chart with a vertical line in a column of its field; on the axis it is a mark.

    A cell with dots keeps them.
    """
    if not 0 <= column < field.width:
        return field.lines
    bar, foot = ("|", "^") if ascii else ("│", "┴")
    place = field.left + column
    found = []
    for number, text_line in enumerate(field.lines):
        rows_of_field = len(field.lines) - 2
        if number < rows_of_field:
            found.append(_marked(text_line, place, bar, "highlight"))
        elif number == rows_of_field:
            found.append(_marked(text_line, place, foot, "highlight", always=True))
        else:
            found.append(text_line)
    return tuple(found)


def _marked(
    text_line: TextLine, place: int, mark: str, role: str, *, always: bool = False
) -> TextLine:
    spans: list[Span] = []
    at = 0
    for span in text_line:
        inside = place - at
        if 0 <= inside < len(span.text):
            here = span.text[inside]
            spans += [
                Span(span.text[:inside], span.role),
                Span(mark if always or here == " " else here, role),
                Span(span.text[inside + 1 :], span.role),
            ]
        else:
            spans.append(span)
        at += len(span.text)
    if place >= at:
        spans += [Span(" " * (place - at)), Span(mark, role)]
    return tuple(span for span in spans if span.text)


def is_drawable(width: int, height: int) -> bool:
    """Whether there is room for a chart with axes."""
    return width >= 20 and height >= 5
