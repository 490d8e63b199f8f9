"""The second line of the views of a run, and what the first says of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from gradtui.core.run.records import Event
from gradtui.viewmodel.fitting import fitting
from gradtui.viewmodel.run.choice import APART, NEWEST
from gradtui.viewmodel.run.lines import title_of
from gradtui.viewmodel.run.quantities import place_name, quantity_name
from gradtui.viewmodel.run.snapshots import is_of_evaluation
from gradtui.viewmodel.run.window import following
from gradtui.viewmodel.text import Span, TextLine, counted, line, number, safe_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.run.keys import SeriesKey
    from gradtui.core.run.run import Run
    from gradtui.diagnosis.finding import Finding
    from gradtui.viewmodel.generations import Generations
    from gradtui.viewmodel.run.choice import RunChoice
    from gradtui.viewmodel.run.curves import Chart
    from gradtui.viewmodel.run.training import Training
    from gradtui.viewmodel.run.window import Window

INTERRUPTED: Final = "interrupted"
_LAST_EVENTS: Final = 32
"""Of each rank, among which the note of an error is that ended the training: there may be very many before."""


def run_words(
    run: Run,
    findings: Sequence[Finding],
    behind: int,
    *,
    older: bool = False,
    ended: str = "",
) -> list[TextLine]:
    """Return the step, whether the screen is held, how the run ended and how many findings there are, for the header.

    ``behind`` is how many newer steps there are than the one shown; below 0 the run is followed. ``older`` says that
    the folder has a newer run, ``ended`` how its process did, where that was not well: "failed" or "killed".
    """
    spans = [Span(f"step {run.last_step}" if run.last_step >= 0 else "no step yet")]
    if older:
        spans.append(Span(" of an older run", "warn"))
    if behind >= 0:
        spans.append(Span(f" paused, {behind} newer", "warn"))
    bad = sum(each.severity == "bad" for each in findings)
    warn = sum(each.severity == "warn" for each in findings)
    ended = ended or how_it_ended(run)
    words = [Span(ended, "warn" if ended == INTERRUPTED else "bad")] if ended else []
    if bad:
        words += [Span(" ")] if words else []
        words.append(Span(f"bad {bad}", "bad"))
    if warn:
        words += [Span(" ")] if words else []
        words.append(Span(f"warn {warn}", "warn"))
    return [tuple(spans), tuple(words) or line(("ok", "good"))]


def how_it_ended(run: Run) -> str:
    """How the training ended, as its watcher notes: "failed", "interrupted" by a person or by who closed its generator; empty where it did well, or goes on."""
    errors = [
        entry.record.error
        for rank in run.ranks
        for entry in rank.events[-_LAST_EVENTS:]
        if isinstance(entry.record, Event) and entry.record.error
    ]
    if all(error.startswith(("KeyboardInterrupt", "GeneratorExit")) for error in errors):
        return INTERRUPTED if errors else ""
    return "failed"


def scalars(run: Run, rank: int | None = None) -> list[TextLine]:
    """Return the newest loss and learning rate, and other scalars of the run."""
    # A column is found by its role: of very many series none other is looked at.
    column = run.column("run", "value", rank=rank)
    found = sorted(
        zip(column.keys, column.values.tolist(), strict=True),
        key=lambda one: (one[0].slot != "loss", not one[0].slot.startswith("lr"), one[0].slot),
    )
    parts = []
    for key, value in found[:4]:
        role = "" if math.isfinite(value) else "bad"
        parts.append(
            line((f"{safe_label(key.slot, 12)} ", "dim"), (number(value, 8, digits=3), role))
        )
    return parts


def reading_words(reading: float) -> list[TextLine]:
    """Say how much of the history was read; nothing once it all was."""
    return [line((f"reading {reading:.0%}", "warn"))] if reading < 1 else []


def rank_words(run: Run, choice: RunChoice) -> list[TextLine]:
    """Say which ranks are shown, where there are several."""
    if run.world <= 1:
        return []
    here = len(run.ranks)
    count = f"{here} of {run.world} ranks" if here != run.world else f"{run.world} ranks"
    if choice.rank == APART:
        return [line((f"{count} apart", "highlight"))]
    if choice.rank >= 0:
        return [line((f"rank {choice.rank}", "highlight"), (f" of {count}", "dim"))]
    return [line((f"{count} together", "dim"))]


def snapshot_words(generations: Generations, width: int) -> TextLine:
    """Return the second line of Values where it shows the tensors that a run keeps."""
    count = generations.count
    place = count - generations.behind
    parts = [
        line((" Values", "title")),
        line(("kept tensors ", ""), (f"{place} of {count}", "highlight")),
        line(("[ ]", "key"), (" other steps", "dim")),
        line((counted(len(generations.shown.layers), "tensor"), "dim")),
        line((")", "key"), (" next tensor", "dim")),
        line(("A", "key"), (" plays", "dim")),
    ]
    if generations.comparing and generations.baseline.layers:
        step = generations.baseline.meta.get("step", generations.baseline.generation)
        parts.insert(2, line((f"minus step {step}", "highlight")))
    return fitting(parts, width)


def kept_words(generations: Generations) -> TextLine:
    """Return the step at which the tensors on the screen were kept, for the header."""
    shown = generations.shown
    behind = f", {generations.behind} newer" if generations.behind else ""
    phase = " in an evaluation" if is_of_evaluation(shown) else ""
    return line(f"kept at step {shown.meta.get('step')}", (phase, "highlight"), (behind, "warn"))


def overview_words(
    run: Run, training: Training, choice: RunChoice, rows: int, reading: float, width: int
) -> TextLine:
    """Return the second line of the Overview of a run."""
    flags = training.flags
    parts = [line((" Overview", "title"))]
    parts += reading_words(reading)
    parts += rank_words(run, choice)
    worrying = sum(finding.severity != "note" for finding in flags.findings)
    notes = len(flags.findings) - worrying
    if worrying:
        words = counted(worrying, "finding")
        parts.append(line((f"{words}, e goes to {'it' if worrying == 1 else 'them'}", "warn")))
    elif notes:
        parts.append(line(("no findings", "good"), (f", {counted(notes, 'note')}", "dim")))
    else:
        parts.append(line(("no findings", "good")))
    # Before all that can be seen elsewhere: a narrow screen has them too.
    logged = scalars(run, choice.one_rank)
    parts += logged[:2]
    if choice.filter:
        parts.append(line((f"only {safe_label(choice.filter, 20)}: {rows}", "highlight")))
    if choice.sort != "order":
        parts.append(line((f"sorted by {title_of(choice.sort)}", "dim")))
    parts += logged[2:]
    if not choice.filter:
        # The model itself is one of them, and has a row.
        parts.append(line((counted(int(training.tree.named.sum()), "module"), "dim")))
        if tensors := int(training.tree.tensors.sum()):
            parts.append(line((counted(tensors, "attached tensor"), "dim")))
    return fitting(parts, width)


def history_words(
    run: Run,
    choice: RunChoice,
    key: SeriesKey | None,
    chart: Chart,
    window: Window,
    reading: float,
    width: int,
) -> TextLine:
    """Return the second line of the History view."""
    parts = [line((" History", "title"))]
    if key is None:
        parts.append(line(("nothing recorded for this module", "dim")))
        return fitting(parts, width)
    place = safe_label(place_name(key), 36, keep="both")
    if choice.mode == "inputs":
        whose = safe_label(key.path, 36, keep="both") or "the model"
        parts.append(line(("inputs", "title"), f" of {whose} side by side"))
    else:
        parts.append(line((quantity_name(key), "title"), f" {place}" if place else ""))
    if choice.baseline != NEWEST:
        # Before what a narrow screen has no room for: the curves themselves are other ones.
        words = "minus" if choice.comparing else "baseline"
        parts.append(line((f"{words} step {choice.baseline}", "highlight")))
    parts += reading_words(reading)
    parts.append(line(("cursor ", "dim"), f"{window.cursor}"))
    follow = "" if following(choice) else " fixed"
    parts.append(
        line((f"steps {window.first}..{min(window.last, window.newest)}", "dim"), (follow, "warn"))
    )
    if choice.mode == "series":
        axis = "log" if chart.log else chart.note or "linear"
        parts.append(line((axis, "dim")))
    parts += rank_words(run, choice)
    if choice.pins:
        parts.append(line((f"{len(choice.pins)} pinned", "dim")))
    return fitting(parts, width)
