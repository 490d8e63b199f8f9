from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtui.core.edit import Edit, EditHistory, representable, same
from gradtui.errors import UsageError

zs = st.floats(allow_nan=False).filter(lambda z: z != 0)


@given(zs)
def test_toggle_goes_there_and_back_for_every_z(z):
    history = EditHistory.of(np.zeros((2, 2)))
    there = history.toggle((0, 1), z)
    assert there.value((0, 1)) == z
    back = there.toggle((0, 1), z)
    assert back.value((0, 1)) == 0
    assert back.pending_count == 0
    assert back.toggle((0, 1), z).value((0, 1)) == z


@given(zs, st.floats())
def test_toggle_of_any_value_that_is_not_zero_gives_zero(z, value):
    history = EditHistory.of(np.array([[value]])).toggle((0, 0), z)
    assert history.value((0, 0)) == (z if value == 0 else 0)


operations = st.lists(
    st.one_of(
        st.tuples(st.just("toggle"), st.integers(0, 3), zs),
        st.tuples(st.just("set"), st.integers(0, 3), st.floats()),
        st.tuples(st.just("revert"), st.just(0), st.just(0.0)),
        st.tuples(st.just("undo"), st.just(0), st.just(0.0)),
        st.tuples(st.just("redo"), st.just(0), st.just(0.0)),
    ),
    max_size=12,
)


def apply(history, operation):
    kind, at, value = operation
    cell = divmod(at, 2)
    if kind == "toggle":
        return history.toggle(cell, value)
    if kind == "set":
        return history.set_value(cell, value)
    return getattr(history, kind)()


@given(operations)
def test_undo_and_redo_are_inverse(done):
    base = np.array([[0.0, 1.5], [np.nan, -2.0]])
    history = EditHistory.of(base)
    for operation in done:
        before = history
        history = apply(history, operation)
        if operation[0] not in ("undo", "redo") and history is not before:
            np.testing.assert_array_equal(history.undo().applied(), before.applied())
            np.testing.assert_array_equal(history.undo().redo().applied(), history.applied())
            assert not history.can_redo
    end = history.applied()
    steps = 0
    while history.can_undo:
        history, steps = history.undo(), steps + 1
    np.testing.assert_array_equal(history.applied(), base)
    assert history.pending_count == 0
    assert history.undo() is history
    for _ in range(steps):
        history = history.redo()
    np.testing.assert_array_equal(history.applied(), end)


@given(operations)
def test_pending_is_the_difference_to_the_base(done):
    base = np.array([[0.0, 1.5], [np.nan, -2.0]])
    history = EditHistory.of(base)
    for operation in done:
        history = apply(history, operation)
    written = history.applied()
    differing = {
        cell for cell in np.ndindex(base.shape) if not same(float(base[cell]), float(written[cell]))
    }
    assert {edit.cell for edit in history.pending} == differing == set(history.cells)
    for edit in history.pending:
        assert same(edit.before, float(base[edit.cell]))
        assert same(edit.after, float(written[edit.cell]))


@pytest.mark.parametrize(
    ("dtype", "value", "held"),
    [
        ("f4", 0.1, float(np.float32(0.1))),
        ("f2", 0.1, float(np.float16(0.1))),
        ("f8", math.inf, math.inf),
        ("u1", 255.0, 255),
        ("i8", -(2.0**63), -(2**63)),
        ("?", 1.0, 1),
    ],
)
def test_what_a_dtype_holds(dtype, value, held):
    assert representable(np.dtype(dtype), value) == held
    array = EditHistory.of(np.zeros((1, 1), dtype=dtype)).set_value((0, 0), value).applied()
    assert array.dtype == np.dtype(dtype)
    assert array[0, 0] == held


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("f4", 1e300), ("f2", 1e6), ("u1", 256.0), ("u1", -1.0), ("i4", 0.5), ("i4", math.nan),
        ("i4", math.inf), ("?", 2.0), ("i8", 2.0**63),
    ],
)  # fmt: skip
def test_what_a_dtype_cannot_hold_is_refused(dtype, value):
    history = EditHistory.of(np.zeros((1, 1), dtype=dtype))
    with pytest.raises(UsageError, match="cannot hold"):
        history.set_value((0, 0), value)
    assert history.pending_count == 0


@pytest.mark.parametrize("cell", [(2, 0), (0, -1), (0,), (0, 0, 0)])
def test_cells_that_do_not_exist(cell):
    history = EditHistory.of(np.zeros((2, 2)))
    for call in (lambda: history.toggle(cell, 1.0), lambda: history.set_values({cell: 1.0})):
        with pytest.raises(UsageError, match="no cell"):
            call()


def test_channels_of_explicit_mode_are_part_of_the_cell():
    history = EditHistory.of(np.zeros((9, 2, 2))).toggle((7, 1, 0), -0.5)
    assert history.pending == (Edit((7, 1, 0), 0.0, -0.5),)
    assert np.argwhere(history.applied()).tolist() == [[7, 1, 0]]


def test_many_cells_are_one_step():
    history = EditHistory.of(np.zeros((2, 2))).set_values({(0, 0): 1.0, (1, 1): 2.0})
    assert history.pending_count == 2
    assert history.undo().pending_count == 0
    assert history.revert().undo().pending_count == 2
    assert history.set_values({(0, 0): 1.0}) is history


def test_edits_on_newer_data():
    history = (
        EditHistory.of(np.array([[0.0, 0.0], [0.0, 0.0]]))
        .set_value((0, 0), 1.0)
        .set_value((0, 1), 2.0)
        .set_value((1, 0), 3.0)
    )
    newer = np.array([[0.0, 2.0], [9.0, 5.0]])
    moved = history.rebased(newer)
    assert (moved.kept, moved.settled, moved.conflicts, moved.lost) == (
        ((0, 0),), ((0, 1),), ((1, 0),), (),
    )  # fmt: skip
    assert moved.history.applied().tolist() == [[1.0, 2.0], [3.0, 5.0]]
    assert moved.history.pending_count == 2
    assert moved.history.undo().applied()[1, 0] in (0.0, 9.0)
    lost = history.rebased(np.zeros((3, 3)))
    assert lost.lost == ((0, 0), (0, 1), (1, 0))
    assert lost.history.pending_count == 0


def test_after_a_save_nothing_is_pending_and_undo_brings_it_back():
    history = EditHistory.of(np.zeros((1, 2))).toggle((0, 0), 1.0)
    saved = history.rebased(history.applied()).history
    assert saved.pending_count == 0
    undone = saved.undo()
    assert undone.applied().tolist() == [[0.0, 0.0]]
    assert undone.pending == (Edit((0, 0), 1.0, 0.0),)
    assert undone.redo().pending_count == 0


def test_an_input_that_changed_its_dtype():
    history = EditHistory.of(np.zeros((1, 1))).set_value((0, 0), 0.5)
    moved = history.rebased(np.zeros((1, 1), dtype=np.int8))
    assert moved.lost == ((0, 0),)
    assert moved.history.applied().dtype == np.int8


def test_the_base_cannot_be_written_to():
    history = EditHistory.of(np.zeros((1, 1)))
    with pytest.raises(ValueError, match="read-only"):
        history.base[0, 0] = 1
    assert EditHistory().pending_count == 0
    assert EditHistory().applied().shape == (0, 0)


class TestOwnSaveInFlight:
    """What is edited between a save and its arrival is an edit of what was saved."""

    def test_taking_an_edit_back_stays_an_edit(self):
        saved = EditHistory.of(np.zeros((2, 2))).toggle((0, 0), 1.0)
        back = saved.toggle((0, 0), 1.0)
        assert back.pending_count == 0
        moved = back.rebased(saved.applied(), (saved.cells,))
        assert moved.conflicts == ()
        assert moved.history.cells == {(0, 0): 0.0}
        assert moved.kept == ((0, 0),)

    def test_another_value_is_no_conflict(self):
        saved = EditHistory.of(np.zeros((2, 2))).set_value((0, 0), 5.0)
        moved = saved.set_value((0, 0), 7.0).rebased(saved.applied(), (saved.cells,))
        assert moved.conflicts == ()
        assert moved.history.cells == {(0, 0): 7.0}
        undone = moved.history.undo()
        assert undone.cells == {}
        assert undone.undo().cells == {(0, 0): 0.0}

    def test_two_saves_arrive_one_after_the_other(self):
        first = EditHistory.of(np.zeros((2, 2))).set_value((0, 0), 5.0)
        second = first.set_value((0, 0), 6.0).set_value((1, 1), 1.0)
        third = second.set_value((0, 0), 7.0)
        moved = third.rebased(first.applied(), (first.cells, second.cells))
        assert moved.history.cells == {(0, 0): 7.0, (1, 1): 1.0}
        moved = moved.history.rebased(second.applied(), (second.cells,))
        assert moved.history.cells == {(0, 0): 7.0}
        assert moved.conflicts == ()

    def test_what_another_wrote_is_still_a_conflict(self):
        saved = EditHistory.of(np.zeros((2, 2))).set_value((0, 0), 5.0)
        other = saved.applied()
        other[0, 0] = 9
        moved = saved.set_value((0, 0), 7.0).rebased(other, (saved.cells,))
        assert moved.conflicts == ((0, 0),)
        assert moved.history.cells == {(0, 0): 7.0}
        # Before that edit the cell was what the other wrote, now.
        assert (
            EditHistory.of(np.zeros((2, 2))).toggle((0, 0), 1.0).rebased(other).history.undo().cells
            == {}
        )

    def test_many_edits_are_moved_at_once(self):
        history = EditHistory.of(np.zeros((40, 40)))
        for k in range(1600):
            history = history.toggle((k // 40, k % 40), 1.0)
        moved = history.rebased(history.applied(), (history.cells,)).history
        assert moved.pending_count == 0
        for _ in range(1600):
            moved = moved.undo()
        assert moved.pending_count == 1600
        assert not moved.applied().any()
