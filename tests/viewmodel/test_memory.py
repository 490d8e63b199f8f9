"""What is shown of a large map costs no copy of it in floats: eight bytes for each byte of a file."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from gradtui.core.arrays import BLOCK, finite_parts
from gradtui.core.difference import difference
from gradtui.core.edit import EditHistory
from gradtui.core.layer import Layer
from gradtui.core.reduce import strongest
from gradtui.core.scale import SCALES
from gradtui.core.session import Session
from gradtui.viewmodel.choices import first_selection
from gradtui.viewmodel.detail import layer_detail
from gradtui.viewmodel.readout import readout
from gradtui.viewmodel.selection import MAP_KEYS, Selection, reconcile
from gradtui.viewmodel.summary import summarize
from gradtui.viewmodel.values import value_maps

SIDE = 2048
BLOCKS = 12 * 8 * BLOCK
"""What a scan may hold at once: a dozen blocks in float64."""
DTYPES = ["i1", "?", "u1", "f2", "f4"]


def session_of(dtype, seed=1, shape=(SIDE, SIDE)):
    rng = np.random.default_rng(seed)
    values = rng.integers(-100, 100, shape).astype(dtype)
    return Session(layers=(Layer("a", values),), input=values)


def peak(work):
    work()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shape", [(SIDE, SIDE), (9, SIDE // 2, SIDE // 2)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_screen_costs_blocks_and_no_copy(dtype, shape):
    session = session_of(dtype, shape=shape)
    room = dict.fromkeys(MAP_KEYS, (40, 60))

    def screen():
        selection = reconcile(first_selection(Selection(), session), session)
        edits = EditHistory.of(session.input)
        summary = summarize(session, session)
        for scale in SCALES:
            selection = selection.__class__(
                layer="a", cursors=selection.cursors, focus=selection.focus, scale=scale
            )
            value_maps(session, selection, edits, room=room)
        value_maps(session, selection, edits, seen=())
        readout(session, session, selection, edits)
        layer_detail(session, summary, "a", 80)

    # The nine channels of an input are put together, in their own dtype, and their sum is kept.
    stack = session.input.nbytes if len(shape) == 3 else 0
    assert peak(screen) < BLOCKS + stack


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_difference_is_as_wide_as_its_numbers(dtype):
    session, before = session_of(dtype), session_of(dtype, 2)
    width = 2 if np.dtype(dtype).kind != "f" else np.dtype(dtype).itemsize
    assert peak(lambda: difference(session, before)) < 2 * width * SIDE * SIDE + BLOCKS


def test_differences_of_every_dtype_are_right():
    for dtype in ("?", "i1", "u1", "i2", "u2", "i4", "u4", "f2", "f4", "f8", ">f4"):
        kind = np.dtype(dtype).kind
        ends = [0, 1] if kind == "b" else [
            (np.finfo if kind == "f" else np.iinfo)(dtype).min,
            (np.finfo if kind == "f" else np.iinfo)(dtype).max,
        ]  # fmt: skip
        first, second = np.array([ends], dtype), np.array([ends[::-1]], dtype)
        found = difference(
            Session(layers=(Layer("a", first),)), Session(layers=(Layer("a", second),))
        )
        with np.errstate(over="ignore"):
            right = first.astype(np.float64) - second.astype(np.float64)
        np.testing.assert_array_equal(found.layers[0].map(), right, dtype)


def test_the_strongest_cell_and_the_finite_parts():
    values = np.array([[1, np.nan], [-3, np.inf]])
    assert strongest(values) == 2
    assert strongest(values.T) == 1
    assert strongest(np.full((2, 2), np.nan)) == strongest(np.zeros((0, 3))) == 0
    assert strongest(np.array([-128, 127], np.int8)) == 0
    assert np.concatenate([*finite_parts(values)]).tolist() == [1, -3]
    assert not list(finite_parts(np.zeros((0, 3))))
    large = np.arange(3 * BLOCK, dtype=np.float32)[None]
    assert [part.size for part in finite_parts(large)] == [BLOCK] * 3
    assert strongest(large) == large.size - 1
