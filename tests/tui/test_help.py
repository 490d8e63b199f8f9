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
    assert first[0] == f" in {view.capitalize()}"
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


def test_of_a_run_the_help_says_what_keys_and_commands_do_there():
    for view, own, others in (
        (
            "overview",
            ("next finding", "find a module by name", "◇"),
            ("the layers that match", "layer with a flag", "generation"),
        ),
        (
            "history",
            ("next module, the same number", "back to the Overview"),
            ("layer with a flag",),
        ),
        ("values", ("to the next kept tensors",), ("unsaved", "linked above", "generation")),
    ):
        idle = frozenset({"edit.write", "pair.next", "threshold.type", "edit.set"})
        lines = help_lines(Keymap(), view, 80, idle, watched=True)
        shown = " ".join(" ".join(map(text_of, lines)).split())
        for words in own:
            assert words in shown, (view, words)
        for words in ("heatmap", "debug folder", *others):
            assert words not in shown, (view, words)
        assert "a run: " not in shown


def test_of_a_run_commands_about_runs_come_first():
    lines = [text_of(each) for each in help_lines(Keymap(), "overview", 80, watched=True)]
    names = [each.split()[0] for each in lines if each.startswith("   :")]
    assert names.index(":series") < names.index(":overview") < names.index(":region")
    assert names.index(":series") < names.index(":q")
    plain_names = [
        text_of(each).split()[0]
        for each in help_lines(Keymap(), "overview", 80)
        if text_of(each).startswith("   :")
    ]
    assert sorted(plain_names) == sorted(names)
