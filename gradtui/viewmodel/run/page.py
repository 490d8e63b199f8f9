"""A watched run as a page of text: where it stands, its modules, what was found."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.viewmodel.findings import counts, finding_lines
from gradtui.viewmodel.run.lines import header, row, sparkline
from gradtui.viewmodel.run.training import Training, training_of
from gradtui.viewmodel.text import cell_width, number, plain, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradtui.core.run.run import Run
    from gradtui.diagnosis.finding import Finding

WIDTH: Final = 110
CELLS: Final = 32
"""Cells of a series' course."""
HISTORY: Final = (
    ("run", "value"), ("gradient", "l2"), ("raw gradient", "l2"), ("update", "ratio"), ("parameter", "l2"),
    ("output", "l2"), ("output gradient", "l2"), ("output", "zero_share"), ("output", "dead_share"),
    ("output", "saturated_share"),
)  # fmt: skip
"""The series that a page has, in its order; JSON has all of them."""


def run_text(
    run: Run, findings: Sequence[Finding], notes: Sequence[str] = (), *, history: bool = False
) -> str:
    """Return a run as text: where it stands, its modules, its findings, and its series where they are asked for."""
    if run.is_empty:
        return "no run yet: its history holds no records\n"
    start = run.ranks[0].start
    ranks = f", {len(run.ranks)} of {run.world} ranks" if run.world > 1 else ""
    lines = [
        f"run of {printable(start.model)}, {len(run.modules)} modules, step {run.last_step}{ranks}",
        *_scalars(run),
        "",
        *_modules(run, findings),
        "",
        f"findings: {counts([finding.severity for finding in findings])}",
    ]
    for finding in findings:
        lines += finding_lines(finding)
    if history:
        lines += ["", *_history(run)]
    if notes:
        lines += ["", "notes", *(f"  {printable(note)}" for note in notes)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _scalars(run: Run) -> list[str]:
    column = run.column("run", "value")
    listed = [
        f"{printable(key.slot)} {number(value).strip()}"
        for key, value, step in zip(
            column.keys, column.values.tolist(), column.steps.tolist(), strict=True
        )
        if step >= 0
    ]
    return ["  ".join(listed)] if listed else []


def _modules(run: Run, findings: Sequence[Finding]) -> Iterator[str]:
    training = training_of(run, tuple(findings), Training())
    sampled = training.numbers.sampled
    yield plain(header(WIDTH, "order", False, sampled=sampled)).rstrip()
    for node in range(len(training.tree)):
        yield plain(row(training, node, WIDTH, flat=False, folded=False)).rstrip()


def _history(run: Run) -> Iterator[str]:
    rows: list[tuple[str, str, str, str]] = []
    for role, quantity in HISTORY:
        trends = run.trends(role, quantity, CELLS)
        newest = run.column(role, quantity)
        last = dict(zip(newest.keys, newest.values.tolist(), strict=True))
        for key, course in zip(trends.keys, trends.values, strict=True):
            if not np.isnan(course).all():
                what = "" if role == "run" else f"{role} {quantity}"
                value = last.get(key, math.nan)
                about = "~" if run.sampled(key) else ""
                shown = about + number(value).strip() if not math.isnan(value) else "-"
                rows.append((printable(key.name), what, sparkline(course), shown))
    widths = [max((cell_width(each[i]) for each in rows), default=0) for i in (0, 1)]
    steps = f"steps {max(run.first_step, 0)} to {run.last_step}"
    yield f"history, {steps}, the greatest of each span, logarithmic"
    for name, what, bars, shown in rows:
        room = " " * (widths[0] - cell_width(name))
        yield f"  {name}{room}  {what:<{widths[1]}}  {bars}  {shown}"
