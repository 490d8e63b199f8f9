"""Bytes on the pty for moves of the cursor, repaints and idling, at 120x40 and 256 colours."""

from __future__ import annotations

import random
import statistics
from pathlib import Path

import kit
import pytest
from kit.pty_driver import Terminal, python

DEMO = Path(kit.__file__).with_name("maps_demo.py")
pytestmark = pytest.mark.benchmark


def started(*arguments):
    terminal = Terminal(python(DEMO, *arguments), 120, 40)
    terminal.wait_for(lambda t: "ok" in t.text and "new data" in t.text)
    terminal.settle(0.3)
    return terminal


def moves(terminal, count=40):
    script = random.Random(1)
    return [terminal.cost(key, quiet=0.06).bytes for key in script.choices("hjklLJ", k=count)]


@pytest.mark.parametrize("shape", [(32, 100), (16, 16), (200, 300)])
def test_a_move_on_one_map(shape):
    rows, columns = shape
    with started("--one", "--rows", str(rows), "--columns", str(columns)) as terminal:
        costs = moves(terminal)
    print(f"\none map {rows}x{columns}: median {statistics.median(costs)} B, worst {max(costs)} B")
    if shape != (200, 300):  # a map that scrolls repaints itself
        assert statistics.median(costs) <= 200
        assert max(costs) <= 900


@pytest.mark.parametrize("shape", [(28, 24), (16, 16), (8, 8), (4, 4)])
def test_a_move_on_four_maps(shape):
    rows, columns = shape
    with started("--rows", str(rows), "--columns", str(columns)) as terminal:
        costs = moves(terminal)
    print(
        f"\nfour maps {rows}x{columns}: median {statistics.median(costs)} B, worst {max(costs)} B"
    )
    assert statistics.median(costs) <= 450
    assert max(costs) <= 900


@pytest.mark.parametrize(("data", "bound"), [("noise", 140_000), ("smooth", 45_000)])
def test_a_full_repaint(data, bound):
    with started("--one", "--rows", "72", "--columns", "117", "--data", data) as terminal:
        full = terminal.cost("r").bytes
    print(f"\nfull repaint, {data}: {full} B")
    assert full <= bound


def test_an_idle_screen_sends_nothing():
    with started() as terminal:
        assert terminal.read(10.0) == b""
