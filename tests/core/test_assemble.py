from __future__ import annotations

import math
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtui.core.assemble import assemble
from gradtui.core.estimate import ESTIMATES
from gradtui.core.flow import DenseFlow, OuterFlow, SparseFlow, SummedFlow
from gradtui.core.order import in_order, topological
from gradtui.core.session import Session
from gradtui.errors import InvalidContents, UsageError

NONE = np.zeros((0, 0))
A = np.array([[1.0, -2.0], [0.0, 4.0]])
B = np.array([[3.0, 1.0, 0.0]])


def session(flow_info, input=NONE, target=NONE, **kwargs) -> Session:
    return assemble(flow_info, input, target, **kwargs)


def root(flows=None, gradients=None, **more):
    gradients = {"a": A, "b": B} if gradients is None else gradients
    return {"activation_gradients": gradients, "gradient_flows": flows or {}, **more}


def test_a_dense_pair_is_a_view_of_the_file():
    matrix = np.arange(12, dtype=np.float32).reshape(4, 3)
    found = session(root({("a", "b"): matrix}), A, B, folder="run", generation=3, writer="gradtui")
    (pair,) = found.pairs
    assert pair.kind == "measured"
    assert isinstance(pair.flow, DenseFlow)
    assert np.shares_memory(pair.flow.matrix, matrix)
    assert np.shares_memory(found.layer("a").gradient, A)
    assert np.shares_memory(found.input, A)
    assert (found.folder, found.generation, found.writer) == ("run", 3, "gradtui")
    assert math.isnan(pair.residual)
    assert math.isnan(pair.bypass_share)
    assert pair.bypass.size == 0
    assert found.nbytes == matrix.nbytes + 2 * A.nbytes + 2 * B.nbytes
    assert session(found_root := root({("a", "b"): matrix.tolist()})).pairs[0].flow.shape == (4, 3)
    assert found_root["gradient_flows"]


@pytest.mark.parametrize("name", ESTIMATES)
def test_none_is_estimated_and_can_be_estimated_anew(name):
    first = session(root({("a", "b"): None}))
    changed = first.with_estimate(name)
    (pair,) = changed.pairs
    assert (pair.kind, pair.estimate) == ("estimated", name)
    assert isinstance(pair.flow, OuterFlow)
    expected = session(root({("a", "b"): None}), estimate=name).pairs[0].flow.dense()
    np.testing.assert_array_equal(pair.flow.dense(), expected)
    assert first.pairs[0].estimate == "proportional"
    with pytest.raises(UsageError):
        first.with_estimate("best")


def test_listed_links():
    cells = {"indices_in": ([0, 1, 1], [0, 0, 1]), "indices_out": ([0, 0, 0], [2, 0, 1])}
    plain = session(root({("a", "b"): cells})).pairs[0]
    assert plain.kind == "listed"
    assert plain.flow.dense().tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0]]
    valued = session(root({("a", "b"): {**cells, "values": np.array([5, -6, 7])}})).pairs[0]
    assert valued.kind == "measured"
    assert isinstance(valued.flow, SparseFlow)
    assert valued.flow.dense()[0, 2] == 5
    arrays = {"indices_in": np.array([[0, 1], [0, 1]]), "indices_out": np.array([[0.0, 0], [1, 2]])}
    assert session(root({("a", "b"): arrays})).pairs[0].flow.link_count == 2
    twice = {"indices_in": ([0, 0], [0, 0]), "indices_out": ([0, 0], [1, 1])}
    assert session(root({("a", "b"): twice})).pairs[0].flow.row(0).values.tolist() == [1.0]
    one_value = {**cells, "values": 2.0}
    assert session(root({("a", "b"): one_value})).pairs[0].flow.row_sums().sum() == 6
    nothing: dict[str, object] = {"indices_in": ([], []), "indices_out": ([], [])}
    assert session(root({("a", "b"): nothing})).pairs[0].flow.link_count == 0


def test_a_summed_pair_waits_for_its_rows():
    meta = {
        "pairs": [
            {
                "source": "a",
                "target": "b",
                "form": "summed",
                "row_sums": np.array([1.0, 2, 3, 4]),
                "column_sums": np.array([5.0, 3, 2]),
                "link_count": 7,
                "residual": 0.4,
                "bypass": np.zeros(4),
                "bypass_share": 0.25,
            }
        ]
    }
    (pair,) = session(root({("a", "b"): None}, meta=meta)).pairs
    assert isinstance(pair.flow, SummedFlow)
    assert (pair.kind, pair.flow.link_count) == ("measured", 7)
    assert pair.flow.row_sums().tolist() == [1, 2, 3, 4]
    assert pair.residual == pytest.approx(0.1)
    assert pair.bypass.tolist() == [0, 0, 0, 0]
    assert pair.bypass_share == 0.25
    whole = session(root({("a", "b"): None}, meta=meta)).with_pair(pair)
    assert whole.pairs[0] is pair


def test_explicit_mode():
    nine = np.zeros((9, 2, 2))
    nine[5, 0, 0] = -3.0
    found = session(root({("a", "b"): None}, {"a": nine, "b": nine}), nine, nine)
    assert found.explicit
    (pair,) = found.pairs
    assert pair.kind == "explicit"
    assert pair.flow.row(0).targets.tolist() == [1]
    assert pair.flow.row(0).values.tolist() == [-3.0]
    assert found.layer("a").map().tolist() == [[-3.0, 0.0], [0.0, 0.0]]
    # Without nine channels there is nothing explicit to read.
    plain = session(root({("a", "b"): None}), nine)
    assert plain.explicit
    assert plain.pairs[0].kind == "estimated"
    assert not session(root({("a", "b"): None}, {"a": nine, "b": nine}), A).explicit


def test_gradients_that_the_file_lacks_are_sums_of_the_flow():
    matrix = np.array([[1.0, 2, 3], [0, 0, 1]])
    found = session(root({("a", "b"): matrix}, {}))
    assert found.layer("a").map().tolist() == [[6.0, 1.0]]
    assert found.layer("a").origin == "row sums"
    assert found.layer("b").map().tolist() == [[1.0, 2.0, 4.0]]
    assert found.layer("b").origin == "column sums"
    assert len(found.notes) == 2
    assert "'a'" in found.notes[0]
    meta = {"layers": {"a": {"shape": [1, 7, 2, 1]}, "b": {"shape": [9]}}}
    shaped = session(root({("a", "b"): matrix}, {}, meta=meta))
    assert shaped.layer("a").shape == (2, 1)
    assert shaped.layer("b").shape == (1, 3)
    cells = {"indices_in": ([0, 1], [1, 2]), "indices_out": ([0, 2], [0, 0]), "values": [2.0, 5.0]}
    listed = session(root({("a", "b"): cells}, {}))
    assert listed.layer("a").map().tolist() == [[0, 2, 0], [0, 0, 5]]
    assert listed.layer("b").map().tolist() == [[2], [0], [5]]


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (np.float32(2), (1, 1)),
        (3, (1, 1)),
        ([1.0, 2.0], (1, 2)),
        (np.zeros((2, 3)), (2, 3)),
        (np.zeros((5, 2, 3)), (2, 3)),
        (np.zeros((1, 5, 2, 3)), (2, 3)),
        (np.zeros((0, 3)), (0, 3)),
        (np.zeros(0), (1, 0)),
        (np.zeros((0, 2, 3)), (2, 3)),
        (np.zeros((2, 2), dtype=bool), (2, 2)),
        (np.full((2, 2), np.nan), (2, 2)),
    ],
)
def test_shapes_of_gradients(value, shape):
    found = session(root(gradients={"a": value}))
    assert found.layer("a").shape == shape


def test_channels():
    channels = np.ones((3, 2, 2))
    found = session(root(channel_gradients={"a": channels}))
    assert found.layer("a").channels.shape == (3, 2, 2)
    assert found.layer("b").channels.shape == (0, 0, 0)
    with pytest.raises(InvalidContents, match=r"channel_gradients 'a' is 3x2x3, .* 2x2"):
        session(root(channel_gradients={"a": np.ones((3, 2, 3))}))


LISTED = {"indices_in": ([0], [0]), "indices_out": ([0], [0])}
BAD = [
    (None, "neither"),
    ([], "list, not a dict"),
    ({}, "neither"),
    ({"other": 1}, "neither"),
    (root(gradients=[A]), "activation_gradients is a list"),
    ({"gradient_flows": 3}, "gradient_flows is a int"),
    (root(gradients={3: A}), "a int: a layer's name is text"),
    (root(gradients={"a": A.astype(complex)}), "'a' has the complex dtype"),
    (root(gradients={"a": A.astype(object)}), "'a' has the object dtype"),
    (root(gradients={"a": np.array(["x"])}), "'a' has the text dtype"),
    (root(gradients={"a": np.array([b"x"])}), "'a' has the bytes dtype"),
    (root(gradients={"a": np.zeros(2, dtype=[("x", "f4")])}), "'a' has the structured dtype"),
    (root(gradients={"a": np.zeros(2, dtype="M8[s]")}), "'a' has the datetime64.* dtype"),
    (root(gradients={"a": np.zeros((2, 2, 2, 2))}), "'a' has the shape 2x2x2x2"),
    (root(gradients={"a": "text"}), "'a' is a str"),
    (root(gradients={"a": [[1], [1, 2]]}), "'a'"),
    (root({"a": A}), "gradient_flows 'a': a key is a pair"),
    (root({("a", "b", "c"): A}), "a tuple: a key is a pair"),
    (root({("a", 3): A}), "a tuple: a key is a pair"),
    (root({("a", "a"): None}), "('a', 'a'): a layer does not flow into itself"),
    (root({("a", "b"): np.zeros((3, 4))}), r"\('a', 'b'\): 3x4, but 'a' has 4 nodes and 'b' has 3"),
    (root({("a", "b"): np.zeros(3)}), "1 dimensions"),
    (root({("a", "b"): np.zeros((4, 3), dtype=object)}), r"\('a', 'b'\) has the object dtype"),
    (root({("a", "b"): "x"}), r"\('a', 'b'\) is a str"),
    (root({("a", "c"): None}), r"\('a', 'c'\): no flow is given, and 'c' has no"),
    (root({("a", "b"): {}}), "indices_in is not a pair"),
    (root({("a", "b"): {**LISTED, "indices_out": ([0], [0], [0])}}), "indices_out is not a pair"),
    (root({("a", "b"): {**LISTED, "indices_out": ([0, 0], [0, 1])}}), "differ in length"),
    (root({("a", "b"): {**LISTED, "indices_out": ([1], [0])}}), "a cell outside 'b', which is 1x3"),
    (root({("a", "b"): {**LISTED, "indices_in": ([-1], [0])}}), "a cell below 0"),
    (root({("a", "b"): {**LISTED, "indices_in": ([0.5], [0])}}), "not whole"),
    (root({("a", "b"): {**LISTED, "indices_in": ([1 << 40], [0])}}), "beyond every map"),
    (root({("a", "b"): {**LISTED, "indices_in": ([1 << 70], [0])}}), "object|text|not an array"),
    (
        root({("c", "b"): {"indices_in": ([1 << 30], [1 << 30]), "indices_out": ([0], [0])}}),
        "which no gradient vouches for",
    ),
    (root({("c", "d"): np.zeros((0, 1 << 40), dtype="i1")}, {}), "holds nothing, but claims"),
    (root({("a", "b"): {**LISTED, "values": [1, 2]}}), "2 values for 1 links"),
    (root({("a", "b"): {**LISTED, "values": [1j]}}), "values has the complex"),
]


@pytest.mark.parametrize(("flow_info", "reason"), BAD)
def test_what_is_wrong_is_refused_by_name(flow_info, reason):
    if "('a', 'a')" in reason:
        reason = r"\('a', 'a'\)"
    with pytest.raises(InvalidContents, match=reason) as refused:
        session(flow_info)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 2), complex), np.zeros((2, 2), object), np.zeros((2, 2, 2, 2))]
)
def test_bad_maps_are_refused(bad):
    with pytest.raises(InvalidContents, match="input"):
        session(root(), bad)
    with pytest.raises(InvalidContents, match="target"):
        session(root(), A, bad)


@pytest.mark.parametrize(
    "entry",
    [
        {"form": "summed", "row_sums": np.zeros(3), "column_sums": np.zeros(3)},
        {"form": "summed", "row_sums": np.zeros(4)},
        {"form": "summed", "row_sums": "x", "column_sums": np.zeros(3)},
    ],
)
def test_sums_that_do_not_fit_are_refused(entry):
    meta = {"pairs": [{"source": "a", "target": "b", **entry}]}
    with pytest.raises(InvalidContents, match=r"\('a', 'b'\)"):
        session(root({("a", "b"): None}, meta=meta))


def test_garbage_in_meta_is_no_harm():
    metas: list[object] = [
        3, [], {"pairs": 3}, {"pairs": [3, {}, {"source": 1}]}, {"layers": {"a": 3}},
    ]  # fmt: skip
    for meta in metas:
        assert len(session(root({("a", "b"): None}, meta=meta)).pairs) == 1
    entry = {"source": "a", "target": "b", "residual": "x", "bypass_share": None, "bypass": [1, 2]}
    with pytest.raises(InvalidContents, match="bypass has 2 numbers for 4 nodes"):
        session(root({("a", "b"): np.zeros((4, 3))}, meta={"pairs": [entry]}))
    entry["bypass"] = None
    (pair,) = session(root({("a", "b"): np.zeros((4, 3))}, meta={"pairs": [entry]})).pairs
    assert math.isnan(pair.residual)
    assert math.isnan(pair.bypass_share)


def test_hostile_names_are_named_harmlessly():
    name = "x\x1b]0;pwned\x07\n" + "y" * 500
    with pytest.raises(InvalidContents) as refused:
        session(root(gradients={name: "text"}))
    text = str(refused.value)
    assert text.isprintable()
    assert len(text) < 200


def test_order_of_layers():
    gradients = {name: np.ones(1) for name in ("head", "mid", "stem")}
    flows = {("mid", "head"): None, ("stem", "mid"): None}
    found = session(root(flows, gradients))
    assert [layer.name for layer in found.layers] == ["stem", "mid", "head"]
    assert [pair.key for pair in found.pairs] == [("stem", "mid"), ("mid", "head")]
    named = session(root(flows, gradients, layer_order=["mid", "nothing", "stem", 3, "mid"]))
    assert [layer.name for layer in named.layers] == ["mid", "stem", "head"]


names = st.lists(st.sampled_from("abcdef"), unique=True)
edges = st.lists(st.tuples(st.sampled_from("abcdefx"), st.sampled_from("abcdefx")))


@given(names, edges)
def test_order_is_a_permutation_and_topological_where_it_can_be(given_names, given_edges):
    order = topological(given_names, given_edges)
    assert sorted(order) == sorted(given_names)
    forward = [(a, b) for a, b in given_edges if a < b]
    place = {name: at for at, name in enumerate(topological(given_names, forward))}
    assert all(place[a] < place[b] for a, b in forward if a in place and b in place)
    assert topological(given_names, []) == tuple(given_names)


def test_circles_keep_the_given_order():
    assert topological(["a", "b", "c"], [("a", "b"), ("b", "a"), ("b", "c")]) == ("a", "b", "c")
    assert topological(["a", "b"], [("a", "a")]) == ("a", "b")
    assert in_order("ba", ["a", "b"]) == ("a", "b")
    assert in_order(["b"], ["a", "b"]) == ("b", "a")


def test_sessions():
    empty = Session.empty()
    assert (empty.layers, empty.pairs, empty.nbytes) == ((), (), 0)
    assert empty.input.shape == (0, 0)
    assert empty.pairs_from("a") == empty.pairs_to("a") == ()
    assert not empty.has_layer("a")
    found = session(MappingProxyType(root({("a", "b"): None})))
    assert found.pairs_from("a") == found.pairs_to("b") == found.pairs
    assert found.pairs_from("b") == ()
    with pytest.raises(KeyError):
        found.layer("c")
    with pytest.raises(ValueError, match="read-only"):
        found.layer("a").gradient[0, 0] = 1


def test_numbers_of_float64_size_stay_finite():
    gradients = {"a": np.array([1e300, -5e-324]), "b": np.array([1e300, 1e-300])}
    for name in ESTIMATES:
        (pair,) = session(root({("a", "b"): None}, gradients), estimate=name).pairs
        assert pair.flow.extent().nonfinite == 0


@pytest.mark.parametrize("dtype", ["u1", "u2", "u8", "i1", "i8"])
def test_listed_cells_of_any_integers_give_a_layer_its_sums(dtype):
    cells = (np.array([0, 1, 1], dtype), np.array([0, 0, 2], dtype))
    listed = {"indices_in": cells, "indices_out": cells, "values": np.array([1.0, 2.0, 3.0])}
    session = assemble(
        {"activation_gradients": {}, "gradient_flows": {("a", "b"): listed}},
        np.zeros((1, 1)), np.zeros((1, 1)), folder="", generation=0, writer="foreign",
    )  # fmt: skip
    assert session.layer("a").gradient.tolist() == [[1.0, 0.0, 0.0], [2.0, 0.0, 3.0]]
