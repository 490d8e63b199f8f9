"""The rows below a chart: what each curve is at the cursor, other numbers, the distribution, what happened."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.run.keys import ROW_NORMS, VALUES
from gradtui.viewmodel.fitting import fitting
from gradtui.viewmodel.overview import ROLE_OF_FLAG, percent
from gradtui.viewmodel.run.choice import NEWEST
from gradtui.viewmodel.run.finite import bad_spans, is_bad_at
from gradtui.viewmodel.run.flags import RANKS, sign, word
from gradtui.viewmodel.run.lines import sparkline
from gradtui.viewmodel.run.quantities import SHARES, series_name, short_name
from gradtui.viewmodel.text import (
    Span,
    TextLine,
    cell_width,
    clip,
    counted,
    line,
    line_width,
    number,
    safe_label,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.arrays import Flags as Mask
    from gradtui.core.arrays import Floats
    from gradtui.core.run.keys import SeriesKey
    from gradtui.core.run.run import Run
    from gradtui.core.run.series import Series
    from gradtui.viewmodel.run.choice import RunChoice
    from gradtui.viewmodel.run.curves import Chart, Curve
    from gradtui.viewmodel.run.flags import Flags
    from gradtui.viewmodel.run.window import Window

CURVES: Final = 6
SPARK: Final = 16
LEAST_SPARK: Final = 8
LEAST_VALUE: Final = 9
"""Columns of the values below a chart, so that they stay where they are while the cursor moves."""


def value_text(key: SeriesKey, value: float, width: int = 8) -> str:
    """Return a value of a series as it is read: shares in per cent, nothing as ``none``."""
    if math.isnan(value) and key.role != "run":
        return "none"
    if key.quantity in SHARES:
        return percent(value)
    return number(value, width, digits=3)


def legend_lines(
    run: Run, chart: Chart, choice: RunChoice, width: int, most: int, *, ascii: bool = False
) -> list[TextLine]:
    """Return a line for each curve: its colour, its name, its value at the cursor, and the range in view."""
    lines = []
    for place, curve in enumerate(chart.curves[:most]):
        lines.append(_legend(run, curve, place, choice, width, ascii=ascii))
    if len(chart.curves) > most > 0:
        left = len(chart.curves) - most + 1
        lines[-1] = line((f"   {left} more curves; F gives them room", "dim"))
    return lines


def _legend(
    run: Run, curve: Curve, place: int, choice: RunChoice, width: int, *, ascii: bool
) -> TextLine:
    key = curve.key
    pin = "*" if key in choice.pins else " "
    mark = "*" if ascii else "●"
    about = "~" if run.sampled(key) else ""
    room = max(width - (44 if choice.baseline == NEWEST else 58), 12)
    name = safe_label(curve.name, room, keep="both")
    spans = [
        Span(f" {mark}", f"curve {place % CURVES}"),
        Span(f"{pin}{name.ljust(min(room, 34))} ", "title" if place == 0 else ""),
    ]
    if curve.at.step < 0:
        return clip((*spans, Span("nothing measured up to here", "dim")), width)
    rank = curve.rank if curve.rank >= 0 else None
    bad = is_bad_at(run, key, curve.at.step, rank)
    value = "nan" if bad else about + value_text(key, curve.at.value)
    spans.append(Span(value.ljust(9), "bad" if bad else "value"))
    if curve.at.step != (run.last_step if choice.cursor == NEWEST else choice.cursor):
        # Measured once in some steps: what stands here may be older than the cursor.
        spans.append(Span(f" at {curve.at.step}", "dim"))
    if choice.baseline != NEWEST and curve.before.step >= 0:
        change = curve.at.value - curve.before.value
        times = curve.at.value / curve.before.value if curve.before.value else math.nan
        factor = f" {mark_times(ascii)}{number(times, 6, digits=2)}" if times == times else ""
        spans.append(Span(f" {number(change, 8, digits=2, signed=True)}{factor}", "highlight"))
    if math.isfinite(curve.least):
        low, high = (_end_text(curve, value, choice) for value in (curve.least, curve.greatest))
        spans.append(Span(f" in view {low} .. {high}", "dim"))
    return clip(tuple(spans), width)


def _end_text(curve: Curve, value: float, choice: RunChoice) -> str:
    """An end of the range in view, as its curve is drawn: as the difference to the baseline where that is shown."""
    if not choice.comparing or curve.before.step < 0:
        return value_text(curve.key, value, 7)
    change = value - curve.before.value
    if curve.key.quantity in SHARES:
        return f"{change:+.1%}"
    return number(change, 7, digits=2, signed=True)


def mark_times(ascii: bool) -> str:
    """The sign of a factor."""
    return "x" if ascii else "×"


def spark_values(series: Series, bad: Mask, window: Window, cells: int) -> Floats:
    """Return a series' greatest value in equal parts of a window, as logarithms where none is below 0.

    A part that is 0 lies a decade below all others: nothing that was measured is left out. Infinity where one of the
    part's steps is ``bad`` [k]: not finite.
    """
    start = int(np.searchsorted(series.steps, window.first, "left"))
    stop = int(np.searchsorted(series.steps, window.last, "right"))
    found = np.full(cells, np.nan)
    if stop <= start:
        return found
    steps, values, bad = series.steps[start:stop], series.high[start:stop], bad[start:stop]
    places = np.clip((steps - window.first) * cells // (window.span + 1), 0, cells - 1)
    np.fmax.at(found, places[~bad], values[~bad])
    if np.isfinite(found).any() and np.nanmin(found) >= 0:
        with np.errstate(divide="ignore"):
            found = np.log10(found)
        zero = np.isneginf(found)
        found[zero] = (
            np.nanmin(found, where=~zero, initial=np.inf) - 1 if (found > -np.inf).any() else 0.0
        )
    found[places[bad]] = np.inf
    return found


def companion_lines(
    run: Run,
    choice: RunChoice,
    keys: Sequence[SeriesKey],
    path: str,
    window: Window,
    width: int,
    rows: int,
    *,
    ascii: bool = False,
) -> list[TextLine]:
    """Return other numbers in small, two a line where there is room: each at the cursor and over the window.

    ``path`` is the module whose name need not be said.
    """
    each = max(width // 2, 38) if width >= 76 else width
    a_line = max(width // each, 1)
    lines: list[TextLine] = []
    cells: list[Span] = []
    shown = keys[: rows * a_line]
    names = [short_name(key) if key.path == path else series_name(key) for key in shown]
    each_value = [_value_at(run, key, choice, window.cursor) for key in shown]
    value_width = max((line_width(value) for value in each_value), default=0)
    value_width = max(value_width + 1, LEAST_VALUE)
    # What tells two numbers apart may stand in the middle of their names: the course gives way to it.
    longest = max(map(cell_width, names), default=0)
    spark_width = min(max(each - value_width - 3 - longest, LEAST_SPARK), SPARK)
    name_width = max(each - spark_width - value_width - 3, 8)
    for place, key in enumerate(shown):
        series = run.series(key, choice.one_rank)
        lost = bad_spans(run, series, choice.one_rank)[1]
        spark = sparkline(spark_values(series, lost, window, spark_width), ascii=ascii)
        name = safe_label(names[place], name_width, keep="both")
        value = each_value[place]
        cells += [
            Span(f" {name.ljust(name_width)} ", "dim"),
            *value,
            Span(" " * (value_width - line_width(value))),
            Span(spark + " ", "value"),
        ]
        if place % a_line == a_line - 1:
            lines.append(clip(tuple(cells), width))
            cells = []
    if cells:
        lines.append(clip(tuple(cells), width))
    return lines


def _value_at(run: Run, key: SeriesKey, choice: RunChoice, cursor: int) -> TextLine:
    """Return the newest value up to the cursor, and the step it is of where that is an older one."""
    series = run.series(key, choice.one_rank)
    at = int(np.searchsorted(series.steps, cursor, "right")) - 1
    if at < 0:
        return (Span(value_text(key, math.nan, 7), "value"),)
    step = int(series.steps[at])
    bad = is_bad_at(run, key, step, choice.one_rank)
    text = value_text(key, float(series.values[at]), 7)
    value = Span("nan", "bad") if bad else Span(("~" if run.sampled(key) else "") + text, "value")
    return (value,) if step == cursor else (value, Span(f" at {step}", "dim"))


def marks_line(
    run: Run, flags: Flags, window: Window, columns: int, left: int, *, ascii: bool = False
) -> TextLine:
    """Return what happened, under the steps at which it did: findings, skipped steps, epochs, kept tensors."""
    row: dict[int, tuple[int, str, str]] = {}

    def put(step: int, weight: int, text: str, role: str) -> None:
        column = window.column(step, columns)
        if 0 <= column < columns and row.get(column, (0, "", ""))[0] < weight:
            row[column] = (weight, text, role)

    for happening in run.events:
        if happening.event.kind == "epoch":
            put(happening.step, 1, "'" if ascii else "╵", "dim")
        elif happening.event.kind == "skipped":
            put(happening.step, 3, "s", "warn")
        elif happening.event.kind in ("fault", "aside", "dropped"):
            put(happening.step, 4, "?", "warn")
    for kept in run.kept:
        put(kept.step, 2, "k", "dim")
    for finding in flags.findings:
        if finding.severity != "note":
            mark = sign(finding)
            put(finding.since, 4 + RANKS[finding.severity], mark, ROLE_OF_FLAG[mark])
    spans = [Span(" " * left)]
    at = 0
    for column in sorted(row):
        _, text, role = row[column]
        spans += [Span(" " * (column - at)), Span(text, role)]
        at = column + 1
    return tuple(span for span in spans if span.text) if row else ()


def flags_line(flags: Flags, width: int) -> TextLine:
    """Return the findings in a line, the worst first."""
    parts = [
        line(
            (f"{sign(finding)} ", ROLE_OF_FLAG[sign(finding)]),
            (f"step {finding.since} ", "dim"),
            f"{safe_label(finding.path or finding.name, 24)} {word(finding)}",
        )
        for finding in flags.findings[:8]
        if finding.severity != "note"
    ]
    if not parts:
        # Each of them is a note.
        notes = len(flags.findings)
        return line(
            (" no findings", "good"), (f", {counted(notes, 'note')}" if notes else "", "dim")
        )
    return clip((Span(" ", ""), *fitting(parts, width - 1)), width)


def histogram_key(keys: Sequence[SeriesKey], wanted: SeriesKey) -> SeriesKey | None:
    """Return the histogram that goes with a series: of its own tensor, else of its gradient or output; None for none."""
    for key in keys:
        if key == wanted:
            return key
    same = [key for key in keys if (key.role, key.slot) == (wanted.role, wanted.slot)]
    if same:
        return next((key for key in same if key.call == wanted.call), same[0])
    for role in ("gradient", "parameter", "output gradient", "output", "input"):
        for key in keys:
            if key.role == role and (not wanted.slot or key.slot in (wanted.slot, "")):
                return key
    return keys[0] if keys else None


def input_keys(keys: Sequence[SeriesKey], call: int = 0) -> tuple[list[SeriesKey], ...]:
    """Return the histograms of a module's inputs, by name: of their values, and of their gradients' row norms.

    Each of the ``call``; of the first one there is where the input has none of that. Groups without any are left out.
    """
    groups = []
    for role, quantity in (("input", VALUES), ("input gradient", ROW_NORMS)):
        found: dict[str, SeriesKey] = {}
        for key in sorted(keys, key=lambda key: (key.slot, key.call != call, key.call)):
            if (key.role, key.quantity, key.phase) == (role, quantity, "train"):
                found.setdefault(key.slot, key)
        if found:
            groups.append(list(found.values()))
    return tuple(groups)
