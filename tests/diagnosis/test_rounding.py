"""Which gradient norms are only what float32 leaves of a zero."""

from __future__ import annotations

import numpy as np
import pytest

from gradtui.diagnosis.bounds import USUAL
from gradtui.diagnosis.rounding import is_rounding


@pytest.mark.parametrize(
    ("norms", "expected"),
    [
        ([], []),
        ([0.5], [False]),
        ([1e-9], [False]),
        ([0.0, 0.5], [True, False]),
        ([0.5, 1e-9, 0.03, 4e-11], [False, True, False, True]),
        # A recurrent layer that explodes before its head, and one that vanishes behind it, layer by layer.
        ([1e9, 1e8, 0.5], [False, False, False]),
        ([1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1.0], [False] * 7),
        # All of a training that has converged.
        ([1e-9, 2e-9, 1e-10], [False, False, False]),
        ([np.nan, np.inf, 1e-9, 0.5], [False, False, True, False]),
    ],
)
def test_only_what_is_tiny_and_far_below_all_others_is(norms, expected):
    assert is_rounding(np.array(norms, np.float64), USUAL).tolist() == expected
