"""Pictures of a terminal's screen, for looking at: pyte to SVG, and to PNG where ``rsvg-convert`` is at hand."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    import pyte

WIDTH: Final = 9
HEIGHT: Final = 18
_BACKGROUND: Final = "121212"
_FOREGROUND: Final = "d8d8d8"
_NAMES: Final = {
    "black": "000000", "red": "cd3131", "green": "0dbc79", "brown": "e5e510", "blue": "2472c8",
    "magenta": "bc3fbc", "cyan": "11a8cd", "white": "e5e5e5", "brightblack": "666666",
    "brightred": "f14c4c", "brightgreen": "23d18b", "brightbrown": "f5f543", "brightyellow": "f5f543",
    "brightblue": "3b8eea", "brightmagenta": "d670d6", "brightcyan": "29b8db", "brightwhite": "ffffff",
}  # fmt: skip


def _colour(name: str, default: str) -> str:
    if name == "default":
        return default
    return _NAMES.get(name, name)


def svg_of(screen: pyte.Screen) -> str:
    """The screen as SVG; blocks and half blocks are drawn as areas, as terminals do."""
    width, height = screen.columns * WIDTH, screen.lines * HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">',
        f'<rect width="{width}" height="{height}" fill="#{_BACKGROUND}"/>',
    ]
    for y in range(screen.lines):
        row = screen.buffer[y]
        for x in range(screen.columns):
            cell = row[x]
            ink, area = _colour(cell.fg, _FOREGROUND), _colour(cell.bg, _BACKGROUND)
            if cell.reverse:
                ink, area = area, ink
            left, top = x * WIDTH, y * HEIGHT
            if area != _BACKGROUND:
                parts.append(_area(left, top, HEIGHT, area))
            if cell.data in ("▀", "█"):
                parts.append(_area(left, top, HEIGHT // 2 if cell.data == "▀" else HEIGHT, ink))
            elif cell.data.strip():
                parts.append(
                    _text(left, top, cell.data, ink, bold=cell.bold, underline=cell.underscore)
                )
    return "".join([*parts, "</svg>"])


def _area(left: int, top: int, height: int, colour: str) -> str:
    return f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{height}" fill="#{colour}" shape-rendering="crispEdges"/>'


def _text(left: int, top: int, text: str, colour: str, *, bold: bool, underline: bool) -> str:
    weight = ' font-weight="bold"' if bold else ""
    line = ' text-decoration="underline"' if underline else ""
    return (
        f'<text x="{left}" y="{top + 14}" font-family="DejaVu Sans Mono,monospace" font-size="15"'
        f'{weight}{line} fill="#{colour}">{escape(text)}</text>'
    )


def save(screen: pyte.Screen, path: str | Path) -> Path:
    """Write the screen as ``path``.svg, and as PNG beside it where it can be; the better of the two."""
    svg = Path(path).with_suffix(".svg")
    svg.write_text(svg_of(screen), encoding="utf-8")
    converter = shutil.which("rsvg-convert")
    if converter is None:
        return svg
    png = svg.with_suffix(".png")
    subprocess.run([converter, str(svg), "-o", str(png)], check=True)
    return png
