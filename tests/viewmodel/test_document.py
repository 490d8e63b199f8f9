"""The JSON document of `gradtui show`, and the page of text."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from kit.sessions import explicit_session, readme_session, skip_session

from gradtui.core.estimate import ESTIMATES, estimate
from gradtui.core.flow_forms import DenseFlow, SummedFlow
from gradtui.core.layer import Layer
from gradtui.core.session import Pair, Session
from gradtui.viewmodel.document import json_parts, show_document, show_text


def document_of(session: Session, **options: bool) -> Any:
    return show_document(session, **options)


def strict(text):
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def test_the_document():
    assert show_document(readme_session()) == {
        "schema": 1,
        "folder": "data/test_",
        "generation": 7,
        "writer": "gradtui",
        "layers": [
            {
                "name": "conv1", "shape": [4, 4], "norm": pytest.approx(15.8875, abs=1e-3),
                "min": pytest.approx(3.97), "max": 4.0, "nonfinite": 0,
            },
            {
                "name": "conv2", "shape": [2, 2], "norm": pytest.approx(31.805, abs=1e-3),
                "min": pytest.approx(15.88), "max": pytest.approx(15.93), "nonfinite": 0,
            },
            {"name": "conv3", "shape": [1, 1], "norm": 4.0, "min": 4.0, "max": 4.0, "nonfinite": 0},
        ],
        "pairs": [
            {
                "source": "conv1", "target": "conv2", "kind": "measured", "estimate": None,
                "shape": [16, 4], "links": 64, "min": -1.0, "max": 1.0,
                "threshold": pytest.approx(0.995), "residual": 1e-7, "bypass": 0.0,
            },
            {
                "source": "conv2", "target": "conv3", "kind": "measured", "estimate": None,
                "shape": [4, 1], "links": 4, "min": 1.0, "max": 1.0, "threshold": 1.0,
                "residual": 2e-7, "bypass": None,
            },
        ],
        "input": {"shape": [4, 4], "dtype": "float64"},
        "target": {"shape": [4, 4], "dtype": "float64"},
        "findings": [],
    }  # fmt: skip


def odd_session():
    values = np.array([[np.nan, np.inf], [-np.inf, 0.0]])
    layers = (
        Layer("a", np.full((1, 2), np.nan)),
        Layer("b", values[:1]),
        Layer("c", np.ones((1, 2))),
    )
    pairs = (
        Pair("a", "b", "measured", DenseFlow(values)),
        Pair("b", "c", "estimated", estimate("equal", values[:1], np.ones((1, 2))), "equal"),
        Pair("a", "c", "measured", SummedFlow(np.ones(2), np.ones(2))),
    )
    return Session(layers=layers, pairs=pairs)


def test_what_json_lacks_has_words():
    document = document_of(odd_session(), full=True)
    assert document["pairs"][0]["flow"] == [["nan", "inf"], ["-inf", 0.0]]
    assert document["layers"][0]["min"] is None
    assert document["pairs"][2]["flow"] is None
    assert document["input"] is None
    assert [f["flag"] for f in document["findings"]] == ["X", "X"]
    strict("".join(json_parts(odd_session(), full=True)))


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize(
    "session",
    [readme_session(), skip_session(), explicit_session(3), odd_session(), Session.empty()],
    ids=["readme", "skip", "explicit", "odd", "empty"],
)
def test_pieces_make_the_same_document(session, full):
    written = strict("".join(json_parts(session, full=full)))
    # A session alone is no run.
    assert written == {**show_document(session, full=full), "run": None}


@pytest.mark.parametrize("name", ESTIMATES)
def test_estimates_are_named_and_dense(name):
    session = Session(
        layers=(Layer("a", np.array([[1.0, -2.0]])), Layer("b", np.array([[3.0, 0.0, 1.0]]))),
        pairs=(
            Pair("a", "b", "estimated", estimate(name, [[1.0, -2.0]], [[3.0, 0.0, 1.0]]), name),
        ),
    )
    (pair,) = document_of(session, full=True)["pairs"]
    assert (pair["kind"], pair["estimate"]) == ("estimated", name)
    assert np.shape(pair["flow"]) == (2, 3)
    assert f"estimated ({name})" in show_text(session)


def test_sparse_flows_are_lists_of_links():
    (pair,) = document_of(explicit_session(2), full=True)["pairs"]
    assert pair["flow"] == {"rows": [0, 1, 2, 3], "cols": [3, 2, 1, 0], "values": [1.0] * 4}


def test_the_page_of_text():
    text = show_text(replace(readme_session(), notes=("a note",)), ["a note", "another"])
    lines = text.splitlines()
    assert lines[0] == "data/test_  generation 7, written by gradtui"
    assert "conv1 -> conv2" in text
    assert lines[-2:] == ["  a note", "  another"]
    assert "no pairs" in show_text(Session.empty())


def test_the_page_is_harmless():
    session = Session(layers=(Layer("\x1b[2J\u202e", np.ones((1, 1))),), notes=("\x07",))
    assert all(c.isprintable() or c == "\n" for c in show_text(session))


def test_what_a_run_keeps_is_not_said_to_lack_what_a_run_never_has():
    kept = Session(writer="gradtui", generation=12, layers=(Layer("conv#1", np.ones((2, 3))),))
    text = show_text(kept, kept=True)
    assert text.startswith("gradients of outputs that the run keeps  generation 12")
    assert "conv#1" in text
    for words in ("input", "target", "no pairs"):
        assert words in show_text(kept)
        assert words not in text
