"""Kernels alike, and the words for them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradtui.core.analysis.kernels import KernelPair, chance_bound, kernels_alike
from gradtui.core.analysis.weights import look_at_weights
from gradtui.errors import UsageError


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_random_kernels_are_not_alike():
    for shape in ((64, 16, 3, 3), (32, 1, 3, 3), (300, 64), (200, 3), (500, 2), (64, 4)):
        for seed in range(5):
            assert kernels_alike(normal(*shape, seed=seed)).pair_count == 0, shape


def test_copies_scaled_and_turned_ones_are_found():
    weight = normal(16, 8, 3, 3)
    weight[3] = weight[7] + 0.02 * normal(8, 3, 3, seed=1)
    weight[5] = -1.2 * weight[2]
    weight[9] = 3 * weight[2]
    weight[12] = -weight[0]
    found = kernels_alike(weight.astype(np.float16))
    assert found.groups == ((2, 5, 9), (0, 12), (3, 7))
    assert found.pair_count == 5
    likeness = {(pair.first, pair.second): pair for pair in found.pairs}
    assert likeness[3, 7].likeness == "alike"
    assert likeness[2, 9].likeness == "scaled"
    assert likeness[2, 9].ratio == pytest.approx(3, rel=1e-2)
    assert likeness[2, 5].likeness == "sign-flipped, scaled"
    assert likeness[0, 12].likeness == "sign-flipped"
    assert "9 ≈ 3 × 2" in likeness[2, 9].words
    assert "5 ≈ -1.2 × 2 (cosine -1.000)" in likeness[2, 5].words
    assert [abs(p.cosine) for p in found.pairs] == sorted(
        (abs(p.cosine) for p in found.pairs), reverse=True
    )


def test_kernels_of_a_transposed_convolution_are_its_second_dimension():
    weight = normal(8, 6, 3, 3)
    weight[:, 4] = weight[:, 1]
    assert kernels_alike(weight, axis=1).groups == ((1, 4),)
    assert kernels_alike(weight).groups == ()


def test_zero_and_broken_kernels_are_apart():
    weight = normal(6, 4, 3)
    weight[1] = 0
    weight[4] = 0
    weight[2, 0, 0] = np.nan
    found = kernels_alike(weight)
    assert (found.zero, found.nonfinite, found.groups) == ((1, 4), (2,), ())
    assert found.compared == 3


@pytest.mark.parametrize("shape", [(), (0,), (5,), (0, 3), (3, 0), (1, 5), (4, 1), (4, 1, 1, 1)])
def test_nothing_to_compare(shape):
    found = kernels_alike(np.ones(shape))
    assert (found.pairs, found.groups) == ((), ())


def test_lengths_far_apart():
    weight = np.stack([normal(9) * factor for factor in (1e-200, 1e200, 1.0)])
    found = kernels_alike(weight)
    assert found.groups == ((0, 1, 2),)
    assert all(np.isfinite(pair.ratio) for pair in found.pairs)


def test_a_layer_of_copies_is_counted_and_not_listed():
    found = kernels_alike(np.tile(normal(1, 9), (3000, 1)))
    assert found.pair_count == 3000 * 2999 // 2
    assert len(found.pairs) == 1000
    assert len(found.groups[0]) == 3000


def test_the_bound_of_chance():
    """Of random directions, expected pairs above the bound stay within the chance, and not far below it."""
    directions = normal(2000, 4)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    cosines = np.abs(directions @ directions.T)[np.triu_indices(2000, 1)]
    # The same formula, for as many pairs as would be expected to give fifty: a thousand times the chance.
    bound = chance_bound(cosines.size // 1000, 4)
    assert 25 <= (cosines >= bound).sum() <= 60
    assert chance_bound(10, 1) == math.inf
    assert chance_bound(0, 9) == 0
    assert chance_bound(45, 4) > chance_bound(45, 9) > chance_bound(45, 576)


def test_what_is_refused():
    with pytest.raises(UsageError, match="bound"):
        kernels_alike(normal(3, 3), bound=0)
    with pytest.raises(UsageError, match="axis"):
        kernels_alike(normal(3, 3), axis=2)
    assert KernelPair(0, 1, 0.99, 1.04).likeness == "alike"


def test_remarks_say_what_is_odd_and_nothing_of_the_ordinary():
    assert look_at_weights("w", normal(32, 16, 3, 3) * 0.05).remarks == ()
    weight = normal(16, 100)
    weight[0] = 0
    weight[3] = 2 * weight[4]
    weight[5, 5] = np.inf
    assert look_at_weights("w", weight).remarks == (
        "1 of 1600 values are NaN or infinite",
        "1 of 16 kernels are zero: 0",
        "1 of 16 kernels hold NaN or infinities: 5",
        "2 of 16 kernels have a twin (|cosine| ≥ 0.95): 4 ≈ 0.5 × 3 (cosine 1.000)",
    )
    ends = look_at_weights("w", np.sign(normal(20, 50)) + 0.02 * normal(20, 50, seed=1)).remarks
    assert ends[0].startswith("2 clusters, around -1")
    assert "may saturate" in ends[1]
    assert look_at_weights("w", np.where(normal(9, 9) > 0.9, 1.0, 0)).remarks[0].endswith("are 0")


def test_the_histogram_holds_every_finite_value():
    values = np.append(normal(99), [np.nan])
    found = look_at_weights("b", values, bins=7)
    assert found.counts.sum() == 99
    assert found.edges[[0, -1]].tolist() == [np.nanmin(values), np.nanmax(values)]
    assert found.mean == pytest.approx(np.nanmean(values))
    assert (found.count, found.nonfinite) == (100, 1)
    for empty in (np.zeros(0), np.full(3, np.nan)):
        assert np.isnan(look_at_weights("b", empty).mean)
        assert look_at_weights("b", empty).counts.size == 0
    assert look_at_weights("b", normal(50)).remarks == ()
    same = look_at_weights("b", np.full(4, 2.0))
    assert (same.counts.tolist(), same.deviation, same.mean) == ([4], 0, 2)
    assert np.isnan(same.at_ends)


def test_a_large_parameter_is_looked_at_in_pieces():
    weight = normal(6000, 120).astype(np.float16)
    weight[:, :60] += 30
    found = look_at_weights("w", weight)
    exact = weight.astype(np.float64)
    assert found.counts.sum() == weight.size
    assert (found.mean, found.deviation) == pytest.approx((exact.mean(), exact.std()), rel=1e-9)
    assert [round(c.centre) for c in found.clusters] == [0, 30]
    assert found.kernels.compared == 4096
    assert found.remarks[-1] == "4096 of 6000 kernels were compared"
