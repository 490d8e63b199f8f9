"""A tensor without a finite value has no norm and no shares: they read nan, not 0."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
from kit.runs import Training as Made

from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import ModuleInfo
from gradtui.diagnosis.finding import Finding
from gradtui.export.graph_json import graph_of, graph_text
from gradtui.viewmodel.architecture.live import live_of
from gradtui.viewmodel.run.detail import module_detail
from gradtui.viewmodel.run.document import run_parts
from gradtui.viewmodel.run.headline import scalars
from gradtui.viewmodel.run.lines import columns_of, row
from gradtui.viewmodel.run.training import Training, training_of
from gradtui.viewmodel.run.watch import Watch
from gradtui.viewmodel.text import plain

FINDING = Finding("non-finite", "bad", "a", "output", 25, "what", "why", "try")
SINCE = 6
SIZE = 64 * 64


def run(spoilt: float = 1.0):
    """A run of which one layer has this share of NaN from a step on."""
    made = Made(steps=10, every=1).layer("a").layer("b")
    late = made.t >= SINCE
    sizes = {"gradient": SIZE, "parameter": SIZE, "output": 2048.0, "output gradient": 2048.0}
    for role, size in sizes.items():
        slots = ("weight", "bias") if role in ("gradient", "parameter") else ("",)
        for slot in slots:
            count = 64 if slot == "bias" else size
            made.set("a", role, "nan", np.where(late, count * spoilt, 0.0), slot=slot)
            norm = made.of("a", role, "l2", slot)
            made.set("a", role, "l2", np.where(late & (spoilt == 1), 0.0, norm), slot=slot)
    made.set("", "run", "value", np.where(late, np.nan, 1.0), slot="grad_norm")
    return made.run()


def detail(made, path="a"):
    training = training_of(made, (), Training())
    return "\n".join(plain(each) for each in module_detail(made, training, path, 160))


def test_numbers_of_what_is_lost_are_none():
    numbers = training_of(run(), (), Training()).numbers
    node = numbers.tree.node("a")
    for name in ("weight", "gradient", "zeros", "dead", "output_gradient"):
        assert np.isnan(getattr(numbers, name)[node]), name
    assert numbers.lost[node]
    assert numbers.lost_gradient[node]
    other = numbers.tree.node("b")
    assert numbers.zeros[other] == 0
    assert not numbers.lost[other]
    assert not numbers.lost_gradient[other]


def test_of_what_is_lost_in_part_the_rest_is_told():
    numbers = training_of(run(0.5), (), Training()).numbers
    node = numbers.tree.node("a")
    for name in ("weight", "gradient", "zeros", "dead", "output_gradient"):
        assert np.isfinite(getattr(numbers, name)[node]), name
    assert not numbers.lost[node]


def test_the_detail_says_nan():
    text = detail(run())
    for words in ("|W|2 nan", "|dW|2 nan", "|dW|2 weight nan", "zeros of y nan", "|dy|2 nan"):
        assert words in text, text
    assert "|W|2 0" not in text
    assert "nan" not in detail(run(0.5))
    assert "nan" not in detail(run(), "b")


def cells(made, path):
    """The cells of a module's row by the columns they stand under."""
    training = training_of(made, (), Training())
    spans = row(training, training.tree.node(path), 120, flat=True, folded=False)
    names = [column.sort for column in columns_of(120)]
    return {
        name: (span.text.strip(), span.role) for name, span in zip(names, spans[1:], strict=True)
    }


def test_the_row_says_nan():
    lost = cells(run(), "a")
    for name in ("weight", "gradient", "ratio", "zeros", "dead", "output_gradient"):
        assert lost[name] == ("nan", "bad"), name
    part = cells(run(0.5), "a")
    assert part["gradient"] == part["weight"] == ("nan", "bad")
    for name in ("ratio", "zeros", "dead", "output_gradient"):
        assert "nan" not in part[name][0], name
    assert not any("nan" in text for text, _ in cells(run(), "b").values())


def test_the_row_says_inf():
    made = Made(steps=10, every=1).layer("a")
    for role, slot in (("parameter", "weight"), ("gradient", "weight"), ("output gradient", "")):
        made.of("a", role, "l2", slot)[:] = np.inf
    shown = cells(made.run(), "a")
    for name in ("weight", "gradient", "output_gradient"):
        assert shown[name] == ("inf", "bad"), name


def test_the_document_says_nan():
    document = json.loads("".join(run_parts(run(), (), history=True, points=0)))
    assert document["scalars"]["grad_norm"]["value"] == "nan"
    tensors = {each["path"]: each["statistics"] for each in document["modules"]}
    for tensor in tensors["a"]:
        if tensor["role"] in ("gradient", "parameter", "output", "output gradient"):
            assert tensor["l2"] == "nan", tensor
            assert tensor.get("zero_share", "nan") == "nan"
    assert all(tensor.get("l2") != "nan" for tensor in tensors["b"])
    key = SeriesKey("a", "gradient", "l2", "weight")
    (series,) = [
        each
        for each in document["history"]
        if (each["path"], each["role"], each["quantity"], each["slot"])
        == (key.path, key.role, key.quantity, key.slot)
    ]
    assert series["values"][SINCE:] == ["nan"] * (10 - SINCE)
    assert "nan" not in series["values"][:SINCE]


def test_a_norm_of_the_run_that_is_nan_stands_in_the_headline():
    assert "grad_norm nan" in "  ".join(plain(part) for part in scalars(run()))


def test_the_architecture_and_the_graph_say_nan():
    live = live_of(run(), ())
    assert np.isnan(live["a"].gradient)
    assert (live["a"].is_lost, live["b"].is_lost) == (True, False)
    assert live["b"].gradient > 0
    assert live_of(run(0.5), ())["a"].gradient > 0
    nodes = {node["id"]: node for node in json.loads(graph_text(graph_of(run())))["nodes"]}
    assert nodes["a"]["gradient_norm"] == "nan"
    assert nodes["b"]["gradient_norm"] > 0


def test_of_lost_values_the_series_is_shown_that_tells_how_it_came_about():
    made = Made(steps=40, every=10).layer("a")
    made.modules.append(ModuleInfo("act", "ReLU"))
    made.output("act", 32)
    for path in ("a", "act"):
        made.set(path, "output", "nan", 0)
    watch = Watch()
    watch.arrived(made.run(), (), 1.0)

    def shown(path, role, quantity, since=25, **rest):
        key = SeriesKey(path, role, quantity, **rest)
        return watch.key_of(replace(FINDING, path=path, series=(key,), since=since))

    # The gradient's norm is there at every step, the output's at each tenth.
    assert shown("a", "output", "nan") == SeriesKey("a", "gradient", "l2", "weight")
    assert shown("act", "output", "nan") == SeriesKey("act", "output", "l2")
    assert shown("a", "output", "l2") == SeriesKey("a", "output", "l2")
    assert shown("nobody", "output", "nan") is None


def test_a_parameter_s_name_that_is_cut_says_so():
    path = "bert.encoder.layer.0.attention.self.query"
    made = Made(steps=10, every=1).layer(path).run()
    assert "…" in next(each for each in detail(made, path).splitlines() if "query.bias" in each)
