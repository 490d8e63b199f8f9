"""Thousands of keys at random over every kind of folder: whatever is pressed, the screen goes on."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest
from kit import places
from kit.pilot import driven

from gradtui.tui.actions.commands import COMMANDS
from gradtui.tui.keymap import BINDINGS

# What leaves the screen, or the terminal, is not for chance.
KEPT_OUT = {"quit", "log.leave", "suspend", "save.svg"}
KEYS = [
    *sorted({key for b in BINDINGS if b.id not in KEPT_OUT for key in b.keys}),
    *"123456789ab%é",
]
SIZES = [(120, 40), (80, 24), (59, 20), (40, 10), (20, 5), (5, 3), (1, 1)]
WORDS = [
    "", "0", "1", "-1", "3", "1e400", "-inf", "nan", "0.5", "1e-320", "9" * 30, "9" * 5000, "x", "é", "2 3", "1 2 0 3",
    "-5 7 100 3", "default", "99999999999 99999999999",
]  # fmt: skip
TYPED = [
    "enter",
    "escape",
    "backspace",
    "tab",
    "up",
    "down",
    "left",
    "1",
    "2",
    "a",
    "e",
    "space",
    "minus",
]
LINES = ("find", "filter", "threshold", "offsets", "set", "z")
FOLDERS = {
    "branched": places.branched_folder,
    "explicit": partial(places.golden, name="c6_explicit_8x8"),
    "lists": partial(places.golden, name="c5_dict_lists"),
    "nan": places.unfinished,
    "hollow": places.hollow,
    "barren": places.barren,
    "names": places.hostile_names,
}


def command(chance: random.Random, d) -> str:
    """A command with words that fit it, or don't."""
    one = chance.choice([c for c in COMMANDS if c.name not in ("q", "q!", "wq", "svg", "w", "w!")])
    return f"{one.name} {chance.choice([*one.words(d.desk), *WORDS])}"


@pytest.mark.parametrize("name", FOLDERS)
async def test_random_keys(tmp_path, name, monkeypatch):
    monkeypatch.delenv("TMUX", raising=False)
    chance = random.Random(name)
    folder = FOLDERS[name](tmp_path)
    done: list[Any] = []
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.wait(lambda: d.app.shell.workspace is not None and d.work.views.is_attached)
        try:
            for _ in range(200):
                if len(d.app.screen_stack) > 1:
                    done.append("z")
                    await d.pilot.press("z")
                elif d.work.is_typing:
                    done.append(chance.choice(TYPED))
                    await d.pilot.press(done[-1])
                elif chance.random() < 0.15:
                    done.append(command(chance, d))
                    d.work.answered("command", done[-1])
                elif chance.random() < 0.03:
                    done.append((chance.choice(LINES), chance.choice(WORDS)))
                    d.work.answered(*done[-1])
                elif chance.random() < 0.03:
                    done.append(chance.choice(SIZES))
                    await d.pilot.resize_terminal(*done[-1])
                else:
                    done.append(chance.choice(KEYS))
                    await d.work.pressed(done[-1])
                    await d.work.open_prompt()
                if chance.random() < 0.1:
                    await d.settle()
            await d.settle()
        except Exception as error:
            raise AssertionError(f"after {done[-12:]}") from error
        assert d.app.is_running
