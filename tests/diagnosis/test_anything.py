"""Whatever a run holds, diagnosing it raises nothing, warns of nothing, and says something that can be shown."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.runs import Training, deep

from gradtui.core.run.records import ParameterInfo, Placement
from gradtui.core.run.run import Run
from gradtui.diagnosis.diagnose import diagnose
from gradtui.diagnosis.finding import SEVERITIES, in_order
from gradtui.diagnosis.table import Table, bounded, lasting, ongoing, spell_of, upper
from gradtui.viewmodel.findings import finding_document, finding_lines

PLACEMENTS: tuple[Placement, ...] = ("replicated", "sharded")
ODD = [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e-38, 3e38, 1.0]


def spoil(training: Training, dice: np.random.Generator) -> None:
    """Odd numbers in odd places of odd series."""
    keys = list(training.numbers)
    for _ in range(dice.integers(1, 30)):
        key = keys[dice.integers(len(keys))]
        if key not in training.numbers:
            continue
        values = training.numbers[key]
        begin = int(dice.integers(0, len(values)))
        end = int(dice.integers(begin, len(values))) + 1
        how = dice.random()
        if how < 0.5:
            values[begin:end] = ODD[dice.integers(len(ODD))]
        elif how < 0.8:
            values[begin:end] *= 10.0 ** dice.integers(-12, 12)
        else:
            del training.numbers[key]
    for _ in range(dice.integers(0, 5)):
        kind = ["non-finite", "skipped", "dropped", "closed", "epoch"][dice.integers(5)]
        step = int(dice.integers(-1, training.steps))
        fields: list[dict[str, object]] = [
            {},
            {"role": "output", "nan": 3},
            {"role": 7, "call": None, "order": "x", "inf": True},
        ]
        training.happens(step, kind, "", "body.1", **fields[dice.integers(3)])


@settings(max_examples=120)
@given(st.integers(0, 2**32 - 1))
def test_odd_runs(seed):
    dice = np.random.default_rng(seed)
    steps = int(dice.choice([1, 2, 12, 60, 400, 900]))
    world = int(dice.choice([1, 1, 2, 3]))
    entries = {}
    for rank in range(world):
        training = deep(int(dice.integers(1, 5)), str(dice.choice(["ReLU", "Tanh"])), steps=steps)
        training.parameters = [
            ParameterInfo(
                p.path,
                p.name,
                p.shape,
                count=p.count,
                placement=PLACEMENTS[dice.integers(2)],
            )
            for p in training.parameters
        ]
        training.set("fuse", "input gradient", "l2", 1.0, slot="0")
        training.set("fuse", "input gradient", "l2", 1e-6, slot="1")
        training.edges = [
            ("body.0", "body.act0"),
            ("body.act0", "body.0"),
            ("", "nowhere"),
            ("body.0", "head"),
        ]
        with np.errstate(all="ignore"):
            spoil(training, dice)
            entries[rank] = training.entries(rank, world)
    findings = diagnose(Run.of(entries))
    assert list(findings) == list(in_order(findings))
    for finding in findings:
        assert finding.severity in SEVERITIES
        assert finding.name
        assert finding.what.endswith(".")
        assert finding.advice.endswith(".")
        assert finding.why
        assert finding.path not in finding.also
        assert -1 <= finding.since < steps
        assert finding.until < steps
        assert all(line.isprintable() for line in finding_lines(finding))
        assert finding_document(finding)["word"]


@given(st.integers(0, 2**32 - 1))
def test_since_when_against_a_slow_reading(seed):
    dice = np.random.default_rng(seed)
    rows, gap = int(dice.integers(1, 30)), int(dice.integers(0, 3))
    mask, known = dice.random((rows, 4)) < 0.7, dice.random((rows, 4)) < 0.8
    start, count = ongoing(mask, known, gap)
    for column in range(4):
        first, held, misses = -1, 0, 0
        for row in reversed(range(rows)):
            if not known[row, column]:
                continue
            if mask[row, column]:
                first, held, misses = row, held + 1, 0
            else:
                misses += 1
            if misses > gap:
                break
        assert (start[column], count[column]) == (first, held)


@given(st.integers(0, 2**32 - 1))
def test_spells_against_a_slow_reading(seed):
    dice = np.random.default_rng(seed)
    rows, gap, least = (int(dice.integers(*ends)) for ends in ((1, 40), (0, 3), (1, 6)))
    mask, known = dice.random((rows, 4)) < 0.5, dice.random((rows, 4)) < 0.8
    spell = spell_of(mask, known, gap, least)
    for column in range(4):
        groups: list[list[int]] = []
        misses = gap + 1
        for row in np.flatnonzero(known[:, column]).tolist():
            if not mask[row, column]:
                misses += 1
                continue
            if misses > gap:
                groups.append([])
            groups[-1].append(row)
            misses = 0
        long = [group for group in groups if len(group) >= least]
        if not long:
            assert spell.start[column] == -1
            continue
        newest = long[-1]
        over = newest is not groups[-1] or misses > gap
        assert (spell.start[column], spell.end[column]) == (newest[0], newest[-1])
        assert (spell.count[column], spell.over[column]) == (len(newest), over)


@given(st.integers(0, 2**32 - 1))
def test_medians_and_lasting_against_a_slow_reading(seed):
    dice = np.random.default_rng(seed)
    values = dice.random((int(dice.integers(1, 20)), 3))
    values[dice.random(values.shape) < 0.3] = np.nan
    found, steady = upper(values, 0.5), lasting(values, 3)
    for column in range(3):
        known = sorted(v for v in values[:, column] if not np.isnan(v))
        wanted = known[(len(known) + 1) // 2 - 1] if known else np.nan
        assert np.array_equal(found[column], wanted, equal_nan=True)
        for row in range(len(values)):
            window = [v for v in values[max(row - 2, 0) : row + 1, column] if not np.isnan(v)]
            assert np.array_equal(steady[row, column], min(window, default=np.nan), equal_nan=True)


def test_older_rows_are_joined_and_the_newest_are_not():
    steps = np.arange(5000)
    values = np.random.default_rng(0).random((5000, 2))
    table = bounded(Table((), steps, steps, values, values, values), 100, 50)
    assert len(table) == 150
    assert np.array_equal(table.last[-100:], values[-100:])
    assert table.low[:50].min() == values[:4900].min()
    assert table.high[:50].max() == values[:4900].max()
    assert table.steps[0] == 0
    assert table.ends[49] == 4899
