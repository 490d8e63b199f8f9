"""What is known of one module of a run, the most important line first; a finding with its reasons and advice."""

from __future__ import annotations

import math
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from gradtui.core.run.keys import VALUES, SeriesKey
from gradtui.viewmodel.fitting import GAP, fitting
from gradtui.viewmodel.overview import ROLE_OF_FLAG, percent
from gradtui.viewmodel.run.choice import NEWEST
from gradtui.viewmodel.run.density import bars_of, distribution_at
from gradtui.viewmodel.run.distribution import estimate_mark, zero_words
from gradtui.viewmodel.run.flags import sign
from gradtui.viewmodel.run.lines import ASCII_BARS, BARS
from gradtui.viewmodel.run.numbers import is_lost
from gradtui.viewmodel.run.quantities import place_name, short_name
from gradtui.viewmodel.text import (
    Span,
    TextLine,
    clip,
    counted,
    line,
    line_width,
    number,
    printable,
    safe_label,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.run.keys import Role
    from gradtui.core.run.records import ParameterInfo, Placement
    from gradtui.core.run.run import Run
    from gradtui.diagnosis.finding import Finding
    from gradtui.viewmodel.run.density import Distribution
    from gradtui.viewmodel.run.training import Training

BINS: Final = 32
LEAST_LINES: Final = 5
"""Rows that the detail of a run has on a screen of 24."""
LEAST_SENTENCE: Final = 36
"""Columns that what was found keeps beside the step and the place among the findings."""
_NEIGHBOURS: Final = 3
_OF_TENSORS: Final[tuple[Role, ...]] = ("output", "output gradient")
# Which gradient it is in a run of several ranks: of all together, and of one.
_PLACED: Final = {
    "replicated": ("mean of the ranks", "mean of the ranks, as of rank"),
    "sharded": ("all shards", "shard of rank"),
}


def module_detail(
    run: Run,
    training: Training,
    path: str,
    width: int,
    *,
    rank: int | None = None,
    clock: str = "",
    finding: Finding | None = None,
    cursor: int = NEWEST,
    rows: int = LEAST_LINES,
    ascii: bool = False,
) -> tuple[TextLine, ...]:
    """Return the lines about a module, with its newest numbers.

    Args:
        run: the run.
        training: made of it.
        path: the module; a path that is not in the tree gives no lines.
        width: columns.
        rank: of one rank; None: all together.
        finding: the one to tell of, where it is about the module; else the worst.
        cursor: the step that is looked at; a norm of another one says its own.
        rows: how many of the lines have room.
        clock: when the newest record was made, as a time of day.
        ascii: without block characters.
    """
    node = training.tree.node(path)
    if node < 0:
        return ()
    own = training.tree.parameters.get(path, ())
    if path in training.tree.aliases:
        return tuple(clip(each, width) for each in _alias(training, path))
    lines = [_title(run, training, node, own, rank, width)]
    chosen = told(training, path, finding)
    if chosen is not None:
        words = finding_lines(chosen, path, width, training.flags.findings, rows=rows)
        # The reasons and the advice must have room before all else.
        lines = [*lines, *words] if len(words) <= rows - 1 else [*words, *lines]
    slot = _main(own)
    cursor = run.last_step if cursor == NEWEST else cursor
    if slot is not None:
        key = SeriesKey(path, "gradient", "l2", slot.name)
        lines += _values(run, key, rank, width, cursor, placement=slot.placement, ascii=ascii)
    elif training.tree.tensors[node]:
        for role in _OF_TENSORS:
            lines += _values(run, SeriesKey(path, role, "l2"), rank, width, cursor, ascii=ascii)
    lines.append(_sharing(training, path, slot))
    lines.append(_flow(run, training, node, width))
    lines.append(_when(run, training, node, width, clock))
    lines += [_parameter(run, info, rank) for info in own if info is not slot]
    return tuple(clip(each, width) for each in lines if each)


def told(training: Training, path: str, finding: Finding | None) -> Finding | None:
    """Return the finding that is told of a module: the one given where it is about it, else the worst; None for none."""
    node = training.tree.node(path)
    found = training.flags.below(node, int(training.tree.ends[node])) if node >= 0 else ()
    if finding is not None and finding in found:
        return finding
    return found[0] if found else None


def finding_lines(
    finding: Finding,
    path: str,
    width: int,
    findings: Sequence[Finding] = (),
    *,
    rows: int = LEAST_LINES,
) -> list[TextLine]:
    """Return a finding as lines: what and since when, why it was judged so, what to try.

    What has no room ends with three dots: the page of the findings has it whole.

    Args:
        finding: which.
        path: the module it is told for, whose name need not be said.
        width: columns.
        findings: all of them, to say which of how many it is.
        rows: how many lines have room.
    """
    mark = sign(finding)
    role = ROLE_OF_FLAG[mark]
    where = "" if finding.path in (path, "") or finding.path in finding.what else finding.path
    until = "" if finding.ongoing else f" until {finding.until}"
    others = [each for each in findings if each.severity != "note"] or list(findings)
    place = next((n for n, each in enumerate(others, 1) if each is finding), 0)
    which = f"{place} of {len(others)}" if place and len(others) > 1 else ""
    what = line(
        (f" {mark} ", role),
        (safe_label(where, 32) + " " if where else "", "title"),
        (printable(finding.what), role),
    )
    since = line(f"since step {finding.since}{until}")
    hint = ", e goes on" if which else ""
    # The key is said in the headline, too.
    for ending in (which + hint, which):
        rest = [since, line((ending, "dim"))]
        room = width - sum(line_width(part) + len(GAP) for part in rest if part)
        if line_width(what) <= room:
            break
    why, advice = (
        _wrapped(label, text, role, width)
        for label, text, role in (
            (" why  ", finding.why, ""),
            (" try  ", finding.advice.removeprefix("Try "), "good"),
        )
    )
    left = max(rows - 1, 2)
    # Where not both have room, the advice has one row: its beginning tells what to do. The reasons have what is left.
    why = _cut(why, max(left - 1, 1), width)
    advice = _cut(advice, left - len(why), width)
    return [
        # The sentence gives way: it can be read whole, and the step and the place stand nowhere else here.
        fitting([clip(what, max(room, LEAST_SENTENCE)), *rest], width),
        *why,
        *advice,
    ]


def _wrapped(label: str, text: str, role: str, width: int) -> list[TextLine]:
    """A sentence in as many lines as it needs, each under the first."""
    rows = wrap(printable(text), max(width - len(label) - 1, 8))
    return [
        clip(line((" " * len(label) if n else label, "dim"), (row, role)), width)
        for n, row in enumerate(rows)
    ]


def _cut(lines: list[TextLine], most: int, width: int) -> list[TextLine]:
    """The first of some lines; where some are left out, three dots at the end of the last say so."""
    if len(lines) <= most:
        return lines
    kept = lines[: max(most, 1)]
    return [*kept[:-1], (*clip(kept[-1], width - 1), Span("…", "dim"))]


def _main(own: tuple[ParameterInfo, ...]) -> ParameterInfo | None:
    """The parameter of the most dimensions: a module's weight."""
    return max(own, key=lambda info: len(info.shape), default=None)


def _title(
    run: Run,
    training: Training,
    node: int,
    own: tuple[ParameterInfo, ...],
    rank: int | None,
    width: int,
) -> TextLine:
    tree = training.tree
    if not node:
        parts = [line((f" {tree.labels[0]}", "title"), ("  the whole model", "dim"))]
    else:
        name = safe_label(tree.paths[node], max(width // 2, 12))
        kind = "attached tensor" if tree.tensors[node] else safe_label(tree.kinds[node], 24)
        parts = [line((f" {name}", "title"), (f"  {kind}", "dim"))]
    main = _main(own)
    if main is not None:
        frozen = "" if main.trainable else " frozen"
        if not tree.tips[node]:
            # The row is of all below: these are the one parameter's.
            parts.append(line((f"its own {printable(main.name)}:", "dim")))
        parts.append(line(f"{printable(main.dtype)} {tree.shapes[node]}", (frozen, "warn")))
        key = SeriesKey(tree.paths[node], "parameter", "minimum", main.name)
        low, high = run.latest(key, rank), run.latest(key.of("maximum"), rank)
        if not math.isnan(low):
            parts.append(line(("W ", "dim"), f"{_short(low)} .. {_short(high)}"))
    elif int(tree.ends[node]) > node + 1:
        below = slice(node + 1, int(tree.ends[node]))
        for flags, what in ((tree.named, "module"), (tree.tensors, "attached tensor")):
            if count := int(flags[below].sum()):
                parts.append(line((f"{counted(count, what)} below", "dim")))
    zeros = float(training.numbers.zeros[node])
    own_zeros = run.latest(SeriesKey(tree.paths[node], "output", "zero_share"), rank)
    is_group = not (tree.tips[node] or tree.tensors[node])
    if not math.isnan(zeros) and is_group and not math.isnan(own_zeros):
        # The row is of all below: its own output has another share.
        parts.append(
            line(("zeros of y ", "dim"), percent(own_zeros), (" all below ", "dim"), percent(zeros))
        )
    elif not math.isnan(zeros):
        parts.append(line(("zeros of y ", "dim"), percent(zeros)))
    elif training.numbers.lost[node]:
        parts.append(line(("zeros of y ", "dim"), ("nan", "bad")))
    dead = float(training.numbers.dead[node])
    if dead > 0:
        parts.append(line(("dead units ", "dim"), (percent(dead), "warn")))
    return fitting(parts, width)


def _alias(training: Training, path: str) -> list[TextLine]:
    """A second path of a module: which one has its numbers."""
    first = training.tree.aliases[path]
    return [
        line((f" {printable(path)}", "title"), ("  is the same module as ", "dim"), printable(first)),
        line((" its numbers, of all its calls, stand there: ", "dim"), ("enter", "key"), (" goes to it", "dim")),
    ]  # fmt: skip


def _sharing(training: Training, path: str, main: ParameterInfo | None) -> TextLine:
    """Which parameters are another module's, and where else the module or its own weight is used."""
    if tied := training.tree.tied.get(path):
        return line(
            (" ", ""),
            *((f"{printable(one)}  ", "") for one in tied),
            ("whose row counts it", "dim"),
        )
    if main is not None and main.shared:
        return line(
            (f" {printable(main.name)} is used as ", "dim"), ", ".join(map(printable, main.shared))
        )
    again = [other for other, first in training.tree.aliases.items() if first == path]
    if again and main is None:
        return line((" is used as ", "dim"), ", ".join(map(printable, again)), (" too", "dim"))
    return ()


def _values(
    run: Run,
    key: SeriesKey,
    rank: int | None,
    width: int,
    cursor: int,
    *,
    placement: Placement = "local",
    ascii: bool,
) -> list[TextLine]:
    """A tensor, by the key of its norm: norm, extremes, quantiles, and its distribution in one row.

    The norm is of more steps than the rest: each says its step, where it is not the one before it.
    """
    parts = []
    norm = run.latest(key, rank)
    low, high = run.latest(key.of("minimum"), rank), run.latest(key.of("maximum"), rank)
    bad = sum(run.latest(key.of(name), rank) for name in ("nan", "inf"))
    if not math.isnan(norm):
        name = safe_label(short_name(key), 24)
        step, of_range = (run.series(each, rank).last_step for each in (key, key.of("minimum")))
        parts.append(line((f" {name} ", "dim"), _norm(run, key, rank), *_at(step, cursor)))
        if not math.isnan(low):
            parts.append(line(f"{_short(low)} .. {_short(high)}", *_at(of_range, step)))
        if run.world > 1 and placement in _PLACED:
            whole, alone = _PLACED[placement]
            parts.append(line((whole if rank is None else f"{alone} {rank}", "dim")))
    if bad > 0:
        parts.append(line((f"{int(bad):,} not finite", "bad")))
    found_key = key.of(VALUES)
    found = distribution_at(run, found_key, run.last_step, rank)
    lines = []
    if found.total:
        about = estimate_mark(run, found_key, found, rank)
        parts += [line(f"p{p} {about}{_short(found.quantile(p / 100))}") for p in (1, 50, 99)]
        lines.append(_histogram(found, ascii=ascii))
    return [fitting(parts, width), *lines] if parts else lines


def _at(step: int, wanted: int) -> TextLine:
    """The step of a number, where it is not the one that was wanted."""
    return () if step == wanted else (Span(f" at {step}", "dim"),)


def _histogram(found: Distribution, *, ascii: bool) -> TextLine:
    if found.all_zero:
        words = zero_words(found.total)
        return line((" hist ", "dim"), (words, "value"), (f"  at step {found.step}", "dim"))
    held = found.counts.nonzero()[0]
    low, high = float(found.edges[held[0]]), float(found.edges[held[-1] + 1])
    counts = bars_of(found, BINS, low, high).tolist()
    ramp = " " + (ASCII_BARS if ascii else BARS)
    most = max(counts)
    bars = "".join(ramp[math.ceil(count / most * (len(ramp) - 1) - 1e-9)] for count in counts)
    return line(
        (" hist ", "dim"), (bars, "value"),
        (f"  {_short(low)} .. {_short(high)}  at step {found.step}", "dim"),
    )  # fmt: skip


def _flow(run: Run, training: Training, node: int, width: int) -> TextLine:
    """What feeds the module and what it feeds, and the time of a call."""
    path = training.tree.paths[node]
    sources = [source.path for source, target in run.edges.every if target.path == path]
    targets = [target.path for source, target in run.edges.every if source.path == path]
    parts = []
    if sources:
        parts.append(line((" in<-", "dim"), _names(sources)))
    if targets:
        parts.append(line((" out->", "dim"), _names(targets)))
    seconds = float(training.numbers.seconds[node])
    if not math.isnan(seconds):
        parts.append(line((" time ", "dim"), f"{number(1e3 * seconds, 6, digits=3)} ms"))
    norm = float(training.numbers.output_gradient[node])
    if not math.isnan(norm) or training.numbers.lost_gradient[node]:
        parts.append(line((" |dy|2 ", "dim"), _short(norm)))
    return fitting(parts, width) if parts else ()


def _names(paths: list[str]) -> str:
    names = [safe_label(path or "(model)", 24) for path in dict.fromkeys(paths)]
    more = f" +{len(names) - _NEIGHBOURS}" if len(names) > _NEIGHBOURS else ""
    return ", ".join(names[:_NEIGHBOURS]) + more


def _when(run: Run, training: Training, node: int, width: int, clock: str) -> TextLine:
    step = int(training.numbers.steps[node])
    behind = f" of {run.last_step}" if 0 <= step != run.last_step else ""
    parts = [line((f" step {step if step >= 0 else run.last_step}{behind}", "dim"))]
    if clock:
        parts.append(line((f"recorded {clock}", "dim")))
    info = run.start
    if info is not None and info.device:
        parts.append(line((f"{printable(info.device)}  torch {printable(info.torch)}", "dim")))
    return fitting(parts, width)


def _parameter(run: Run, info: ParameterInfo, rank: int | None) -> TextLine:
    key = SeriesKey(info.path, "parameter", "l2", info.name)
    gradient = SeriesKey(info.path, "gradient", "l2", info.name)
    shape = "x".join(str(size) for size in info.shape) or "scalar"
    return line(
        (f" {safe_label(place_name(key), 24)} ", "dim"),
        f"{shape}  |W|2 {_norm(run, key, rank)}  |dW|2 ",
        (_norm(run, gradient, rank), "value"),
        ("" if info.trainable else "  frozen", "warn"),
        (f"  shared with {safe_label(info.shared[0], 30)}" if info.shared else "", "dim"),
    )


def _norm(run: Run, key: SeriesKey, rank: int | None) -> str:
    """The newest norm of a tensor: of its finite part, ``nan`` where it has none, ``none`` where nothing was measured."""
    value = run.latest(key, rank)
    if math.isnan(value):
        return "none"
    return "nan" if is_lost(run, key, rank) else _short(value)


def _short(value: float) -> str:
    return number(value, 8, digits=2)
