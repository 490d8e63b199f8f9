"""Likeness of channels against loops over pairs, and what a number can't be given for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gradtui.core.analysis.similarity import similarity
from gradtui.errors import UsageError


def slow(features, dim, measure):
    """Every ordered pair of every sample, by the definition."""
    array = np.asarray(features, np.float64)
    samples = [array] if dim == 0 else list(array)
    axis = 0 if dim == 0 else dim - 1
    found = []
    for sample in samples:
        rows = [np.take(sample, k, axis).ravel() for k in range(sample.shape[axis])]
        for i, one in enumerate(rows):
            for j, other in enumerate(rows):
                if i == j:
                    continue
                if measure == "cosine":
                    found.append(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
                else:
                    p = np.exp(one - one.max()) / np.exp(one - one.max()).sum()
                    q = np.exp(other - other.max()) / np.exp(other - other.max()).sum()
                    found.append(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
    return np.mean(found)


@pytest.mark.parametrize("measure", ["cosine", "kl"])
@pytest.mark.parametrize("dim", [0, 1, 2, 3])
def test_agrees_with_the_definition_along_any_dimension(measure, dim):
    features = np.random.default_rng(dim).normal(size=(2, 3, 4, 5))
    found = similarity(features, dim, measure)
    assert found.value == pytest.approx(slow(features, dim, measure), rel=1e-12)
    assert found.channels == features.shape[dim]
    samples = 1 if dim == 0 else 2
    assert found.pairs == samples * found.channels * (found.channels - 1)
    assert similarity(features, dim - 4, measure).value == found.value


def test_identical_channels():
    # BBDecoder gives -7.76 for the divergence of channels that are the same.
    features = np.repeat(np.random.default_rng(0).normal(size=(2, 1, 6, 6)), 8, axis=1)
    assert similarity(features, 1, "kl").value == pytest.approx(0.0, abs=1e-12)
    assert similarity(features, 1, "cosine").value == pytest.approx(1.0)
    assert similarity(features + np.arange(8)[:, None, None], 1, "kl").value == pytest.approx(
        0.0, abs=1e-12
    )


def test_the_dimension_is_moved_not_reshaped():
    # Along dimension 2 the channels are the same; a mere reshape would compare others.
    features = np.broadcast_to(np.arange(12.0).reshape(1, 3, 1, 4), (1, 3, 5, 4))
    assert similarity(features, 2, "kl").value == pytest.approx(0.0, abs=1e-12)
    assert similarity(features, 2).value == pytest.approx(1.0)
    assert similarity(features, 1).value < 1 - 1e-3


@settings(max_examples=60)
@given(
    arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
    ),
    st.sampled_from(["cosine", "kl"]),
)
def test_any_numbers(features, measure):
    for dim in range(features.ndim):
        found = similarity(features, dim, measure)
        assert math.isnan(found.value) == (found.pairs == 0)
        if found.pairs and measure == "cosine":
            assert -1 <= found.value <= 1
        elif found.pairs:
            assert found.value >= 0
        assert found.matrix.shape == (features.shape[dim],) * 2


def test_channels_that_cannot_be_compared():
    features = np.random.default_rng(0).normal(size=(1, 4, 5))
    without = similarity(features[:, :2])
    features[0, 2] = 0
    features[0, 3, 1] = np.nan
    found = similarity(features)
    assert (found.value, found.pairs, found.left_out) == (without.value, 2, 2)
    assert np.isnan(found.matrix[2]).all()
    # A channel of zeros is a distribution like any other.
    assert similarity(features, 1, "kl").left_out == 1
    for shape in ((1, 1, 5), (0, 3, 5), (1, 3, 0), (1, 0, 5)):
        assert math.isnan(similarity(np.ones(shape)).value)
        assert math.isnan(similarity(np.ones(shape), 1, "kl").value) or shape == (1, 3, 0)


def test_very_small_and_very_large_numbers():
    features = np.array([[[1e-200, 0.0], [1e-200, 1e-200], [1e200, 1e200]]])
    matrix = similarity(features).matrix
    assert matrix[0, 1] == pytest.approx(math.sqrt(0.5))
    assert matrix[1, 2] == pytest.approx(1.0)
    assert np.isfinite(similarity(features, 1, "kl").value)


def test_what_is_refused():
    with pytest.raises(UsageError, match="cosine, kl"):
        similarity(np.ones((2, 2)), 1, "euclid")
    with pytest.raises(UsageError, match="dim=4"):
        similarity(np.ones((2, 2)), 4)
    with pytest.raises(UsageError):
        similarity(np.float32(3), 0)
