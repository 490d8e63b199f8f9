"""Every key of the view, and every command."""

from __future__ import annotations

from itertools import zip_longest
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from gradtui.tui.actions.commands import COMMANDS
from gradtui.tui.keymap import RUNS
from gradtui.tui.screens.page import PageScreen
from gradtui.viewmodel.text import Span, clip, line, line_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.tui.keymap import Keymap
    from gradtui.tui.render.palette import Palette
    from gradtui.viewmodel.text import TextLine

WIDE: Final = 100
"""Columns from which the help stands in two of its own."""
LEAST_TEXT: Final = 12
"""Columns below which text is cut rather than wrapped."""

_SYMBOLS: tuple[TextLine, ...] = (
    line((" what is drawn", "title")),
    line("   blue is negative, white is near zero, orange is positive"),
    line("   the cursor's cell is black; marked cells are linked above the threshold"),
    line("   flags: ", ("X", "bad"), " not finite   ", ("!", "warn"), " too large or not adding up   ",
         ("v", "warn"), " vanishing   . nothing found"),
)  # fmt: skip


_RUN_SYMBOLS: tuple[TextLine, ...] = (
    line((" of a training run", "title")),
    line("   ~ from a sample of the tensor   none no gradient   nan not all finite   ×8 alike modules"),
    line("   a group's row stands for all below it: norms are roots of sums of squares"),
    line("   under a chart, at their steps:  ", ("! X v", "bad"), " findings   s skipped step   k kept tensors"
         "   ╵ end of an epoch"),
    line("   a curve reaches from the least to the greatest value of the steps in a column"),
    line("   ", ("x", "bad"), " on its axis: not finite at that step, a gap in the curve"),
)  # fmt: skip


def _entry(key: str, column: int, text: str, width: int) -> tuple[TextLine, ...]:
    """A key or a command and what it does; where that does not fit beside it, below it."""
    room = width - column - 5
    if len(text) <= room and len(key) <= column:
        return (line("   ", (f"{key:<{column}}", "key"), f" {text}"),)
    if width - 5 < LEAST_TEXT:
        return (clip(line((f" {key}", "key"), f" {text}"), width),)
    below = wrap(text, width - 5, break_long_words=True)
    return (clip(line("   ", (key, "key")), width), *(line(f"     {row}") for row in below))


def help_lines(keymap: Keymap, view: str, width: int) -> tuple[TextLine, ...]:
    """Return the keys of a view in their groups, then the commands; nothing is wider than ``width``.

    Wide screens have them in two columns, read one after the other.
    """
    room = (width - 1) // 2 if width >= WIDE else width
    groups: dict[str, list[TextLine]] = {}
    for binding in keymap.of_view(view):
        rows = groups.setdefault(binding.group, [line((f" {binding.group}", "title"))])
        rows += _entry(" ".join(binding.keys), 14, binding.help, room)
    commands = [line((" commands", "title"), ("   tab completes, up brings back", "dim"))]
    for command in COMMANDS:
        usage = f":{command.name} {command.arguments}".strip()
        commands += _entry(usage, 20, command.help, room)
    blocks = [(*rows, ()) for rows in (*groups.values(), commands)]
    if room == width:
        lines = tuple(text for block in blocks for text in block)
    else:
        lines = _side_by_side(blocks, room)
    symbols = (*_RUN_SYMBOLS, (), *_SYMBOLS) if view in RUNS else _SYMBOLS
    return tuple(clip(text, width) for text in (*lines, *symbols))


def _side_by_side(blocks: Sequence[Sequence[TextLine]], room: int) -> tuple[TextLine, ...]:
    """Blocks of lines in two columns of ``room`` each, cut between blocks so that both are about as long."""
    heights = [sum(map(len, blocks[:count])) for count in range(len(blocks) + 1)]
    cut = min(
        range(len(heights)), key=lambda count: max(heights[count], heights[-1] - heights[count])
    )
    left = [clip(text, room) for block in blocks[:cut] for text in block]
    right = [clip(text, room) for block in blocks[cut:] for text in block]
    return tuple(
        (*first, Span(" " * (room + 1 - line_width(first))), *second) if second else first
        for first, second in zip_longest(left, right, fillvalue=())
    )


class HelpScreen(PageScreen):
    """The keys of a view."""

    def __init__(self, keymap: Keymap, view: str, palette: Palette) -> None:
        super().__init__(
            f"gradtui: keys of {view}", lambda width: help_lines(keymap, view, width), palette
        )
