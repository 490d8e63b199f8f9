"""A run as JSON and as text."""

from __future__ import annotations

import json

import numpy as np
import pytest
from kit.runs import Training as Made
from kit.runs import deep

from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Entry, Layout, Scalars, Start
from gradtui.core.run.run import Run
from gradtui.diagnosis.diagnose import diagnose
from gradtui.viewmodel.check import check_document, check_text, failed, verdict_of
from gradtui.viewmodel.run.document import run_parts
from gradtui.viewmodel.run.page import run_text


def document(run, **options):
    return json.loads("".join(run_parts(run, diagnose(run), **options)))


def sick():
    training = deep(4, "Tanh", decay=0.0028, steps=600)
    training.of("head", "gradient", "l2", "bias")[:] = np.nan
    return training


def test_the_empty_run_is_null():
    assert document(Run.empty()) is None


def test_modules_have_their_last_statistics():
    training = sick()
    found = document(training.run())
    assert (found["last_step"], found["world"], found["model"]) == (599, 1, "Net")
    assert found["scalars"]["loss"]["step"] == 599
    modules = {module["path"]: module for module in found["modules"]}
    assert modules["body.act0"]["class"] == "Tanh"
    assert modules["body.0"]["parameters"][0]["shape"] == [64, 64]
    tensors = {(t["role"], t["slot"]): t for t in modules["body.0"]["statistics"]}
    assert tensors["gradient", "weight"]["l2"] == pytest.approx(
        float(training.of("body.0", "gradient", "l2", "weight")[-1])
    )
    assert tensors["gradient", "weight"]["step"] == 599
    assert tensors["update", "weight"]["ratio"] > 0
    assert tensors["output", ""]["zero_share"] == 0
    # No gradient is not there, and not 0.
    assert ("gradient", "bias") not in {
        (t["role"], t["slot"]) for t in modules["head"]["statistics"]
    }
    assert "history" not in found


def test_findings_are_told_whole():
    (finding,) = [f for f in document(sick().run())["findings"] if f["rule"] == "vanishing"]
    assert (finding["path"], finding["word"], finding["flag"], finding["until"]) == (
        "body.0",
        "VAN",
        "v",
        None,
    )
    assert finding["also"] == ["body.1"]
    assert finding["why"]
    assert finding["advice"]


@pytest.mark.parametrize("points", [10, 100, 0])
def test_the_series_are_bounded(points):
    training = sick()
    found = document(training.run(), history=True, points=points)
    series = {(s["path"], s["role"], s["slot"], s["quantity"]): s for s in found["history"]}
    loss = series["", "run", "loss", "value"]
    assert len(loss["values"]) == (points or 600)
    assert loss["steps"][-1] == 599
    assert (loss["low"] is None) == (points == 0)
    whole = training.of("", "run", "value", "loss")
    if points:
        assert min(loss["low"]) == pytest.approx(float(whole.min()))
        assert max(loss["high"]) == pytest.approx(float(whole.max()))
    assert ("head", "gradient", "bias", "l2") not in series
    assert not any(s["sampled"] for s in found["history"])


def test_series_of_samples_are_marked():
    keys = tuple(SeriesKey("a", "update", quantity, "weight") for quantity in ("l2", "base_l2"))
    rows = (Start("r", "M"), Layout(0, "scalars", keys, (0, 1)), Scalars(0, np.ones(2, np.float32)))
    run = Run.of({0: [Entry(0, 0.0, record) for record in rows]})
    assert [s["sampled"] for s in document(run, history=True)["history"]] == [True, True]


def test_numbers_that_json_lacks():
    training = deep(2)
    training.of("", "run", "value", "loss")[-1] = np.nan
    training.of("body.0", "gradient", "l2", "weight")[-1] = np.inf
    found = document(training.run(), history=True)
    assert found["scalars"]["loss"]["value"] == "nan"
    assert found["history"][0]["values"][-1] == "nan"


def test_the_page_names_modules_findings_and_series():
    run = sick().run()
    text = run_text(run, diagnose(run), ("a note\x1b",), history=True)
    for word in (
        "run of Net",
        "step 599",
        "body",
        "act0",
        "VAN",
        "why:",
        "try:",
        "gradient l2",
        "a note",
    ):
        assert word in text
    assert "\x1b" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_the_verdict():
    run = sick().run()
    verdict = verdict_of("f", None, run, diagnose(run))
    assert failed(verdict, "warn")
    assert not failed(verdict, "bad")
    assert check_text(verdict, "bad").splitlines()[-1].startswith("f, step 599: ")
    found = json.loads(check_document(verdict, "warn"))
    assert (found["failed"], found["step"], found["fail_on"]) == (True, 599, "warn")
    assert json.loads(check_document(verdict_of("f"), "note"))["failed"] is False


def test_names_that_speak_to_the_terminal():
    bad = "\x1b]0;title\x07\u202e[/]\u200b\n"
    training = deep(2)
    training.layer(f"evil{bad}", kind=f"Linear{bad}", gradient=0.0)
    training.set("", "run", "value", 1.0, slot=f"loss{bad}")
    training.happens(9, "non-finite", bad, f"evil{bad}", role="output", slot=bad, nan=1)
    run = training.run()
    findings = diagnose(run)
    assert findings
    verdict = verdict_of(f"folder{bad}", None, run, findings)
    for text in (run_text(run, findings, (bad,), history=True), check_text(verdict, "warn")):
        assert all(c == "\n" or c.isprintable() for c in text)
    for text in ("".join(run_parts(run, findings, history=True)), check_document(verdict, "warn")):
        assert text.isascii()
        assert "\x1b" not in text


def test_the_page_has_a_row_of_the_model_and_counts_it():
    training = Made(steps=20).layer("a").layer("b")
    lines = run_text(training.run(), ()).splitlines()
    header = next(n for n, line in enumerate(lines) if "grad trend" in line)
    rows = lines[header + 1 : lines.index("", header)]
    assert rows[0].split()[0] == "Net"
    assert f"run of Net, {len(rows)} modules" in lines[0]


def test_a_series_of_several_layouts_is_listed_once_and_whole():
    """A number of a first layout that a second one has too, among others, and with a scalar that was NaN at first."""
    start, _, _, _, *_ = Made(steps=1).layer("a").entries()
    mine, other = (SeriesKey("a", "gradient", "l2", slot) for slot in ("weight", "bias"))
    loss = SeriesKey("", "run", "value", "loss")
    layouts = (
        Layout(0, "scalars", (mine, loss)),
        Layout(1, "scalars", (other, mine, loss)),
    )
    entries = [start, *(Entry(-1, 0.0, layout) for layout in layouts)]
    for step in range(40):
        last = np.nan if step < 10 else 1.0
        numbers = (step, last) if step < 20 or step % 2 else (0.5, step, last)
        entries.append(Entry(step, 0.0, Scalars(len(numbers) - 2, np.array(numbers, np.float32))))
    for points in (0, 10):
        found = document(Run.of({0: entries}), history=True, points=points)["history"]
        series = {(s["path"], s["role"], s["slot"], s["quantity"]): s for s in found}
        assert len(series) == len(found) == 3
        whole = series["a", "gradient", "weight", "l2"]
        assert whole["values"] == whole["steps"]
        assert whole["steps"] == sorted(set(whole["steps"]))
        assert len(whole["steps"]) == (points or 40)
        assert series["a", "gradient", "bias", "l2"]["steps"][-1] in (38, 39)
        assert series["", "run", "loss", "value"]["values"][0] == "nan"
        assert len(series["", "run", "loss", "value"]["values"]) == (points or 40)
