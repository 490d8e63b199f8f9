"""Lines of spans as strips: the last door before the screen, where text is made harmless once more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.segment import Segment
from textual.strip import Strip

from gradtui.viewmodel.text import Span, cell_width, clip, printable

if TYPE_CHECKING:
    from rich.style import Style

    from gradtui.tui.render.palette import Palette
    from gradtui.viewmodel.text import TextLine


_ASCII: Final = str.maketrans(
    {
        "…": "~", "·": ".", "▾": "v", "▸": ">", "▴": "^", "→": "->", "←": "<-", "≥": ">=", "≠": "!=",
        "Σ": "sum", "σ": "sd", "✓": "ok", "✗": "NO", "×": "x", "●": "*", "┄": "-", "│": "|", "╵": "'",
    }
)  # fmt: skip
"""Signs of ours in terminals that have ASCII alone; names keep their own letters."""


def strip_of(
    text_line: TextLine, width: int, palette: Palette, *, over: Style | None = None
) -> Strip:
    """A line in exactly ``width`` columns, cut with ``…`` or filled with blanks.

    Args:
        text_line: Spans; a text that was not made printable is made so here.
        width: Columns.
        palette: Styles of the roles.
        over: The style of the whole line in place of those of its roles: a table's cursor row, whose colours
            would be patches on a bar.
    """
    if width <= 0:
        return Strip([], 0)
    text_line = tuple(
        [
            span
            if span[0].isascii() and span[0].isprintable()
            else Span(printable(span[0]), span[1])
            for span in text_line
        ]
    )
    if palette.ascii_only:
        text_line = tuple(span._replace(text=span.text.translate(_ASCII)) for span in text_line)
    segments: list[Segment] = []
    used = 0
    for text, role in clip(text_line, width):
        if not text:
            continue
        if palette.ascii_only and text.endswith("…"):
            text = text[:-1] + "~"  # noqa: PLW2901 - what the cut above has added
        segments.append(Segment(text, over or palette.role(role)))
        used += cell_width(text)
    if used < width:
        segments.append(Segment(" " * (width - used), over or palette.role("")))
    return (
        Strip(segments, max(used, width)).crop(0, width) if used > width else Strip(segments, width)
    )
