"""The help: what can be pressed here comes first, and nothing is missing at any width."""

from __future__ import annotations

import pytest

from gradtui.tui.keymap import VIEWS, Keymap
from gradtui.tui.screens.help import help_lines
from gradtui.viewmodel.text import line_width
from gradtui.viewmodel.text import plain as text_of


@pytest.mark.parametrize("view", VIEWS)
def test_the_first_screen_of_the_help_has_all_keys_of_the_view(view):
    """22 rows of 80 columns: the title and the keys that scroll take the rest."""
    keymap = Keymap()
    first = [text_of(text) for text in help_lines(keymap, view, 80)[:22]]
    assert first[0] == (" in hisTory" if view == "history" else f" in {view.capitalize()}")
    shown = " ".join(" ".join(first).split())
    for binding in keymap.of_view(view):
        if binding.views != VIEWS:
            assert f"{', '.join(binding.keys)} {binding.help}" in shown, binding.id


@pytest.mark.parametrize("width", [1, 5, 12, 20, 40, 66, 80, 120, 200])
def test_the_help_lists_every_key_at_every_width(width):
    for view in VIEWS:
        keymap = Keymap()
        lines = help_lines(keymap, view, width)
        assert all(line_width(text) <= width for text in lines)
        if width >= 40:
            shown = " ".join(" ".join(map(text_of, lines)).split())
            for binding in keymap.of_view(view):
                assert ", ".join(binding.keys) in shown, binding.id
                assert binding.help.split()[-1] in shown, binding.id


def test_the_help_has_two_columns_of_commands_where_there_is_room():
    narrow, wide = (help_lines(Keymap(), "values", width) for width in (99, 120))
    assert len(wide) < 0.8 * len(narrow)
    words = " ".join(" ".join(text_of(text).split()) for text in wide)
    for name in ("editing", "commands", "write the edited input", ":svg", "what is drawn"):
        assert name in words
    assert all(line_width(text) <= 120 for text in wide)


def test_what_cannot_act_is_left_out():
    keymap = Keymap()
    whole = help_lines(keymap, "values", 80)
    some = help_lines(keymap, "values", 80, frozenset({"edit.set"}))
    for words in ("set a value", "set the cell under the cursor"):
        assert any(words in text_of(text) for text in whole)
        assert not any(words in text_of(text) for text in some)
