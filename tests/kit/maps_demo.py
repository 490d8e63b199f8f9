"""A small app with four linked maps and a readout, for looking at the widgets and counting bytes.

``python maps_demo.py [--one] [--rows N] [--columns N] [--data noise|smooth|nasty] [--stock] [--ascii]``;
hjkl move, n makes new data, r sends everything once more, q ends.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from textual.containers import Horizontal

from gradtui.tui.render.palette import palette_for
from gradtui.tui.screens.compositor import SparseApp
from gradtui.tui.widgets.heatmap import Heatmap
from gradtui.tui.widgets.textline import LineView
from gradtui.viewmodel.levels import LEVEL_NAN, LEVEL_POSITIVE_INF
from gradtui.viewmodel.maps import MapView
from gradtui.viewmodel.text import line, number, safe_label

if TYPE_CHECKING:
    from textual.app import ComposeResult

NASTY = "\x1b]0;owned\x07\x1b]52;c;ZXZpbA==\x07[/][@click=app.quit]conv\u202e1\u0301\u0301\u0301\u0301\u4e2d\u6587"


def example(rows: int, columns: int, data: str, seed: int) -> MapView:
    """A map of noise or of a smooth field, with marks."""
    generator = np.random.default_rng(seed)
    if data == "smooth":
        y, x = np.mgrid[0:rows, 0:columns] / max(rows, columns)
        values = np.sin(5 * x + seed) * np.cos(4 * y)
    else:
        values = generator.standard_normal((rows, columns))
    if data == "smooth":
        # Few marks and no breaks: what a calm picture costs.
        marks = np.zeros(values.shape, np.uint8)
    else:
        marks = (generator.random(values.shape) < 0.06).astype(np.uint8)
        marks |= (generator.random(values.shape) < 0.03).astype(np.uint8) * 2
        marks |= (generator.random(values.shape) < 0.02).astype(np.uint8) * 4
        marks |= (marks & 3 > 0) * (generator.random(values.shape) < 0.4).astype(np.uint8) * 16
    limit = float(np.abs(values).max()) or 1.0
    levels = np.clip((values / limit + 1) * 15.5 + 0.5, 0, 31).astype(np.uint8)
    if data == "nasty" and values.size > 4:
        values.flat[1], levels.flat[1] = np.nan, LEVEL_NAN
        values.flat[3], levels.flat[3] = np.inf, LEVEL_POSITIVE_INF
    return MapView(
        values=values, levels=levels, marks=marks.astype(np.uint8), low=-limit, high=limit
    )


class MapsDemo(SparseApp[None]):
    """Four maps, or one, and a readout of two lines."""

    CSS = "Horizontal { height: 1fr; } #readout { height: 2; } Heatmap { margin: 0 1; }"
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__()
        self.options = options
        self.sparse = self.sparse and not options.stock
        self.seed = 0
        self.at = [options.rows // 2, options.columns // 2]
        self.maps: list[MapView] = []

    def compose(self) -> ComposeResult:
        """Header, maps, readout, keys."""
        yield LineView(
            line(
                (" gradtui  ", "title"),
                safe_label(NASTY, 60) if self.options.data == "nasty" else "debug/",
            ),
            id="header",
        )
        with Horizontal():
            for _ in range(1 if self.options.one else 4):
                yield Heatmap()
        yield LineView(id="readout")
        yield LineView(
            line((" hjkl ", "key"), ("move   ", "dim"), ("n ", "key"), ("new data", "dim")),
            id="keys",
        )

    def on_mount(self) -> None:
        """Colours of the terminal, then the first data."""
        self.theme = "textual-dark" if self.options.opaque else "ansi-dark"
        palette = palette_for(self.console.color_system, ascii_only=self.options.ascii)
        for widget in self.query(Heatmap):
            widget.palette = palette
        self.new_data()

    def new_data(self) -> None:
        """Other values, the same shapes."""
        names = (("INPUT", ""), ("conv1", "gradient"), ("conv2", "fan-out"), ("TARGET", ""))
        self.maps = [
            replace(
                example(
                    self.options.rows, self.options.columns, self.options.data, self.seed * 4 + i
                ),
                title=title,
                subtitle=subtitle,
                focused=i == (0 if self.options.one else 1),
            )
            for i, (title, subtitle) in enumerate(names)
        ]
        self.show()

    def show(self) -> None:
        """Everything as it is now."""
        row, column = self.at
        for view, widget in zip(self.maps, self.query(Heatmap), strict=False):
            if view.focused:
                widget.show(replace(view, cursor=(row, column)))
            else:
                marks = view.marks.copy()
                marks[row, column] |= 8
                widget.show(replace(view, marks=marks))
        focused = next(view for view in self.maps if view.focused)
        value = float(focused.values[row, column])
        spans = [
            (f" ({row},{column})".ljust(9), "title"),
            (number(value, signed=True).ljust(8), "positive" if value > 0 else "negative"),
        ]
        others = [
            part
            for view in self.maps[: 1 if self.options.one else 4]
            for part in (
                (f"   {view.title} ", "dim"),
                (number(float(view.values[row, column]), 8).ljust(8), "value"),
            )
        ]
        was = line(
            (" was ", "dim"),
            number(value * 0.9).ljust(9),
            ("row sum = gradient ", "dim"),
            ("ok ", "good"),
        )
        self.query_one("#readout", LineView).show(line(*spans, *others), was)

    def on_key(self, event: object) -> None:
        """Move, renew, repaint, end."""
        key = getattr(event, "key", "")
        step = {"h": (0, -1), "l": (0, 1), "j": (1, 0), "k": (-1, 0), "L": (0, 8), "J": (8, 0)}.get(
            key
        )
        if step:
            self.at[0] = (self.at[0] + step[0]) % self.options.rows
            self.at[1] = (self.at[1] + step[1]) % self.options.columns
            self.show()
        elif key == "n":
            self.seed += 1
            self.new_data()
        elif key == "r":
            self.repaint_all()
        elif key == "q":
            self.exit()
        self.paint_now()


def options_of(arguments: list[str]) -> argparse.Namespace:
    """The demo's own command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--one", action="store_true")
    parser.add_argument("--stock", action="store_true")
    parser.add_argument("--ascii", action="store_true")
    parser.add_argument("--opaque", action="store_true")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--columns", type=int, default=16)
    parser.add_argument("--data", default="noise", choices=("noise", "smooth", "nasty"))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    MapsDemo(options_of(sys.argv[1:])).run()
