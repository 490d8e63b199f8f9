"""The analyses of a run as text and as a document."""

from __future__ import annotations

import json

import numpy as np

from gradtui.core.analysis.report import Report, analyse
from gradtui.core.run.histogram import binned
from gradtui.core.run.keys import VALUES, SeriesKey
from gradtui.core.run.records import (
    Entry,
    Event,
    Histograms,
    Kept,
    Layout,
    ParameterInfo,
    Scalars,
    Start,
)
from gradtui.core.run.run import Run
from gradtui.viewmodel.analysis import analysis_document, analysis_text

PARAMETERS = (ParameterInfo("conv", "weight", (8, 9)), ParameterInfo("off", "weight", (4,)))
GRADIENT = [SeriesKey(p.path, "gradient", q, p.name) for p in PARAMETERS for q in ("l1", "l2", "minimum", "maximum")]  # fmt: skip
WEIGHT = SeriesKey("conv", "parameter", VALUES, "weight")


def run(epochs=2):
    rng = np.random.default_rng(0)
    found = [
        Entry(-1, 0.0, Start("r", "Net", parameters=PARAMETERS)),
        Entry(-1, 0.0, Layout(1, "scalars", tuple(GRADIENT))),
        Entry(-1, 0.0, Layout(2, "histograms", (WEIGHT,))),
    ]
    for step in range(2 * epochs):
        values = np.array([72.0, 9.0, -1.0, 2.0] + [np.nan] * 4, np.float32)
        found.append(Entry(step, 0.0, Scalars(1, values)))
        if step % 2:
            found.append(Entry(step + 1, 0.0, Event("epoch", "", fields={"epoch": step // 2})))
    sample = rng.choice([-0.5, 0.5], (1, 1000)) + 0.02 * rng.standard_normal((1, 1000))
    bins = binned(sample.astype(np.float32))
    found.append(
        Entry(3, 0.0, Histograms(2, bins.counts, bins.exponents, bins.offsets, bins.tails))
    )
    weight = rng.normal(size=(8, 1, 3, 3)).astype(np.float32)
    weight[5] = -weight[2]
    found.append(Entry(3, 0.0, Kept(SeriesKey("conv", "parameter", VALUES, "weight"), weight)))
    features = np.repeat(rng.normal(size=(1, 4, 4)), 3, axis=0).astype(np.float32)
    found.append(Entry(3, 0.0, Kept(SeriesKey("conv", "output", VALUES), features)))
    return Run.of({0: found})


def test_as_text():
    lines = analysis_text(analyse(run())).splitlines()
    assert lines[0] == "gradients by epoch: 2 epochs; mean, largest and L1 of epoch 1"
    assert lines[2].split() == ["conv", "1", "2", "72", "9", "9"]
    assert lines[3].split() == ["off"] + ["none"] * 5
    text = "\n".join(lines)
    assert "weights: 1 of 1 parameter in clusters" in text
    assert "conv.weight, step 3: 2 clusters, around -0.5" in text
    assert "2 of 8 kernels have a twin (|cosine| ≥ 0.95): 5 ≈ -1 × 2 (cosine -1.000)" in text
    assert lines[-1].split() == ["conv", "3", "3×4×4", "1", "0"]


def test_a_gradient_without_a_finite_value_is_nan_and_not_0():
    one = [SeriesKey("conv", "gradient", q, "weight") for q in ("l1", "l2", "nan")]
    values = np.array([0, 0, 72], np.float32)
    found = Run.of(
        {
            0: [
                Entry(-1, 0.0, Start("r", "Net", parameters=PARAMETERS[:1])),
                Entry(-1, 0.0, Layout(1, "scalars", tuple(one))),
                Entry(0, 0.0, Scalars(1, values)),
            ]
        }
    )
    assert analysis_text(analyse(found)).splitlines()[2].split() == ["conv"] + ["nan"] * 4


def test_of_many_epochs_the_first_and_the_newest():
    head = analysis_text(analyse(run(20))).splitlines()[1]
    assert head.split()[4:] == [
        "L2",
        "of",
        "0",
        "L2",
        "of",
        "15",
        "L2",
        "of",
        "16",
        "L2",
        "of",
        "17",
        "L2",
        "of",
        "18",
        "L2",
        "of",
        "19",
    ]


def test_in_the_width_that_there_is():
    report = analyse(run(20))
    for width in (50, 60, 80, 120):
        assert max(map(len, analysis_text(report, width).splitlines())) <= width
    assert analysis_text(report, 120) == analysis_text(report)
    head = analysis_text(report, 60).splitlines()[2]
    assert head.split()[4:] == ["L2", "of", "0", "L2", "of", "18", "L2", "of", "19"]


def test_as_a_document():
    found = json.loads(json.dumps(analysis_document(analyse(run())), allow_nan=False))
    assert found["epochs"] == [0, 1]
    conv, off = found["gradients"]
    assert (conv["name"], conv["l2"], conv["mean"]) == ("conv", [9, 9], [1, 1])
    assert off["l2"] == [None, None]
    assert len(found["clusters"][0]["clusters"]) == 2
    assert found["weights"][0]["groups"] == [[2, 5]]
    assert abs(found["features"][0]["kl"]) < 1e-9


def test_an_empty_run_says_what_each_part_needs():
    text = analysis_text(Report())
    assert text.count("\n\n") == 3
    assert 'keep="conv1"' in text
    assert analysis_document(Report())["epochs"] == []
