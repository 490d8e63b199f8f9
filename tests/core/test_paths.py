"""The chain rule as a check, and where a gradient dies."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from gradtui.core.chain_rule import chain_rule
from gradtui.core.death import where_it_dies
from gradtui.core.flow import DenseFlow
from gradtui.core.layer import Layer
from gradtui.core.session import Pair, Session


def linear_net(sizes, seed=0):
    """Layers of single units joined by matrices: gradients and flows by hand."""
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal((n, m)) for n, m in itertools.pairwise(sizes)]
    gradients = [rng.standard_normal(sizes[-1])]
    flows: list[np.ndarray] = []
    for weight in reversed(weights):
        flows.insert(0, weight * gradients[0])
        gradients.insert(0, flows[0].sum(axis=1))
    layers = tuple(Layer(f"l{k}", g[None, :]) for k, g in enumerate(gradients))
    pairs = tuple(
        Pair(f"l{k}", f"l{k + 1}", "measured", DenseFlow(flow)) for k, flow in enumerate(flows)
    )
    return Session(layers=layers, pairs=pairs)


def test_the_chain_rule_holds_for_a_net_by_hand():
    session = linear_net([3, 4, 2])
    for pair in session.pairs:
        found = chain_rule(pair, session.layer(pair.source))
        assert found.name == "unexplained"
        assert found.relative < 1e-14
        assert found.nonfinite == 0
        assert np.abs(found.left).max() < 1e-14


def test_what_is_left_is_named_after_what_is_known():
    layer = Layer("a", np.array([[5.0, -1.0]]))
    flow = DenseFlow(np.array([[3.0], [-1.0]]))
    unknown = chain_rule(Pair("a", "b", "measured", flow), layer)
    assert (unknown.name, unknown.worst, unknown.relative) == ("unexplained", 0, 0.4)
    known = chain_rule(Pair("a", "b", "measured", flow, bypass=np.array([2.0, 0.0])), layer)
    assert (known.name, known.relative) == ("residual", 0.0)
    assert known.left.tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="not the source"):
        chain_rule(Pair("c", "b", "measured", flow), layer)


def test_chain_rule_of_bad_zero_and_empty():
    flow = DenseFlow(np.array([[np.nan], [1.0]]))
    found = chain_rule(Pair("a", "b", "measured", flow), Layer("a", np.array([[1.0, 2.0]])))
    assert (found.worst, found.relative, found.nonfinite) == (1, 0.5, 1)
    zero = DenseFlow(np.zeros((2, 1)))
    assert chain_rule(Pair("a", "b", "measured", zero), Layer("a", np.zeros((1, 2)))).relative == 0
    some = DenseFlow(np.ones((2, 1)))
    assert (
        chain_rule(Pair("a", "b", "measured", some), Layer("a", np.zeros((1, 2)))).relative
        == math.inf
    )
    for bad in (np.zeros((1, 0)), np.full((1, 2), np.nan)):
        pair = Pair("a", "b", "measured", DenseFlow(np.zeros((bad.size, 1))))
        assert math.isnan(chain_rule(pair, Layer("a", bad)).relative)
        assert chain_rule(pair, Layer("a", bad)).worst == -1


def test_where_a_gradient_dies():
    def layer(name, *values):
        return Layer(name, np.array([values], dtype=float))

    def pair(source, target):
        return Pair(source, target, "estimated", DenseFlow(np.zeros((2, 2))), "equal")

    layers = (layer("a", 0, 1), layer("b", 0, 0), layer("c", 0, 0), layer("d", 0, 2))
    pairs = (pair("a", "b"), pair("b", "c"), pair("c", "d"), pair("d", "b"))
    session = Session(layers=layers, pairs=pairs)
    death = where_it_dies(session, "a", 0)
    assert (death.source, death.target, death.passed) == ("c", "d", ("b", "c"))
    assert where_it_dies(session, "a", 1) == where_it_dies(session, "d", 1)
    assert where_it_dies(session, "a", 1).source == ""
    nowhere = Session(layers=layers[:3], pairs=pairs[:2])
    assert where_it_dies(nowhere, "a", 0).target == ""
    assert where_it_dies(nowhere, "a", 0).source == "c"
    with pytest.raises(KeyError):
        where_it_dies(session, "nothing", 0)
    with pytest.raises(IndexError):
        where_it_dies(session, "a", 2)
