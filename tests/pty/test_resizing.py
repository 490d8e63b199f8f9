"""Windows that change while keys come: the last screen is what a fresh start at that size would show."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from kit.folders import write_foreign
from kit.running import opened

from gradtui.folder.location import DebugFolder

if TYPE_CHECKING:
    from pathlib import Path

    from kit.pty_driver import Terminal

SIZES = (
    (80, 24),
    (1, 1),
    (120, 40),
    (2, 2),
    (300, 5),
    (7, 90),
    (60, 15),
    (110, 33),
    (5, 3),
    (200, 60),
    (40, 10),
)


def drawn(terminal: Terminal) -> list[str]:
    """The screen without the clock, which is of the start."""
    head, *rest = terminal.lines
    return [head.rpartition("live")[0] or head, *rest]


def there(terminal: Terminal, keys: str) -> list[str]:
    for key in keys:
        terminal.send(key)
        terminal.settle(0.05)
    terminal.settle(0.3)
    return drawn(terminal)


@pytest.mark.parametrize("view", ["v", "f", "o"])
def test_a_storm_of_sizes_and_keys(folder: DebugFolder, tmp_path: Path, view: str) -> None:
    # The same name and files in another place, so that neither start finds what the other one kept.
    dice = random.Random(7)
    ends = {"v": ((80, 24), (120, 40)), "f": ((120, 40),), "o": ((59, 13),)}[view]
    with opened(folder.root, size=(100, 30)) as stormed:
        for _ in range(30):
            stormed.resize(*dice.choice(SIZES))
            stormed.send(dice.choice("hjklhjkl0$gGJK"))
            stormed.read(dice.choice((0.0, 0.0, 0.01, 0.03)))
        for end in ends:
            stormed.resize(1, 1)
            stormed.read(0.02)
            stormed.resize(*end)
            # The first cell, whatever was under the cursor.
            storm = there(stormed, f"{view}gg0")
            other = DebugFolder.at(tmp_path / f"fresh{end[0]}" / "run")
            write_foreign(other)
            with opened(other.root, size=end) as fresh:
                calm = there(fresh, f"{view}gg0")
                assert storm[1:] == calm[1:], "\n".join([*storm, "-" * 80, *calm])
                fresh.send("q")
                assert fresh.wait_exit() == 0
        stormed.send("q")
        assert stormed.wait_exit() == 0
        assert b"Traceback" not in stormed.log


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (500, 3)])
def test_a_start_at_an_odd_size(folder: DebugFolder, size: tuple[int, int]) -> None:
    from kit.pty_driver import Terminal
    from kit.running import argv

    with Terminal(argv(folder.root), *size) as terminal:
        terminal.wait_for_bytes(b"\x1b[?1049h")
        terminal.settle(0.3)
        terminal.send("vljfo v:thre")
        terminal.settle(0.1)
        terminal.resize(80, 24)
        terminal.settle(0.2)
        for _ in ":thre":
            terminal.send("\x7f")
            terminal.settle(0.05)
        terminal.wait_for(lambda t: "INPUT" in t.text)
        terminal.send("qd")
        assert terminal.wait_exit() == 0
        assert b"Traceback" not in terminal.log
