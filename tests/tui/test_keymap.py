"""Keys: no two actions on one key, counts, marks, and a user's own keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtui.tui.keymap import BINDINGS, VIEWS, Keymap, KeyReader, Pressed, rebound


def test_no_key_is_claimed_twice_in_any_view():
    claims = [(view, key) for binding in BINDINGS for view in binding.views for key in binding.keys]
    assert len(set(claims)) == len(claims)


def test_ids_are_unique_and_nothing_needs_ctrl_alt_esc_or_a_function_key():
    assert len({binding.id for binding in BINDINGS}) == len(BINDINGS)
    for binding in BINDINGS:
        plain = [k for k in binding.keys if not k.startswith(("ctrl+", "alt+", "f1", "escape"))]
        # Suspending is the shell's own habit; what cancel leaves, backspace and any other key leave too.
        assert plain or binding.id in ("suspend", "cancel")
        assert binding.help


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("l", [Pressed("move.right")]),
        ("512l", [Pressed("move.right", 512)]),
        ("0", [Pressed("move.row-start")]),
        ("10j0", [Pressed("move.down", 10), Pressed("move.row-start")]),
        ("ma'a", [Pressed("mark.set", 0, "a"), Pressed("mark.jump", 0, "a")]),
        ("m5l", [Pressed("mark.set", 0, "5"), Pressed("move.right")]),
        ("5G", [Pressed("move.bottom", 5)]),
        ("3%l", [Pressed("move.right")]),
    ],
)
def test_counts_and_marks(keys, expected):
    reader = KeyReader(Keymap())
    pressed = [reader.feed("values", key) for key in keys]
    assert [p for p in pressed if p is not None] == expected
    assert reader.pending == ""


@given(st.lists(st.sampled_from([*"0123456789hjklmg'?:%", "left", "é", "٣"]), max_size=60))
def test_any_keys_are_taken_without_an_error(keys):
    reader = KeyReader(Keymap())
    for key in keys:
        for view in VIEWS:
            pressed = reader.feed(view, key)
            assert pressed is None or 0 <= pressed.count < 10**9


def ids(keymap, view, key):
    """The action of a key; empty for none."""
    found = keymap.find(view, key)
    return found.id if found else ""


def test_a_key_can_be_rebound():
    keymap, problems = rebound({"move.left": "Q", "view.flow": "f ctrl+f"})
    assert problems == ()
    assert keymap.find("values", "Q") is not None
    assert keymap.find("values", "h") is None
    assert ids(keymap, "overview", "ctrl+f") == "view.flow"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"no.such": "a"}, ["no.such"]),
        ({"move.left": "j"}, ["j", "move.left", "move.down"]),
        ({"move.left": "7"}, ["move.left", "digit"]),
        ({"move.left": ""}, ["move.left"]),
    ],
)
def test_a_wrong_rebinding_is_refused_with_its_names(keys, words):
    keymap, problems = rebound(keys)
    assert len(problems) == 1
    assert all(word in problems[0] for word in words)
    assert ids(keymap, "values", "h") == "move.left"


def test_a_key_of_other_views_is_known_there():
    keymap = Keymap()
    assert keymap.elsewhere("overview", "w") == ("history",)
    assert keymap.elsewhere("history", "w") == ()
    assert keymap.elsewhere("history", "é") == ()
