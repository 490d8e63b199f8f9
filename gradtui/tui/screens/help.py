"""Every key of the view, and every command."""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from gradtui.tui.actions.commands import COMMANDS, in_order
from gradtui.tui.keymap import GROUPS, RUNS, VIEWS
from gradtui.tui.screens.help_words import command_words, key_words
from gradtui.tui.screens.page import PageScreen
from gradtui.viewmodel.text import Span, cell_width, clip, line, line_width

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gradtui.tui.keymap import Binding, Keymap
    from gradtui.tui.render.palette import Palette
    from gradtui.viewmodel.text import TextLine

WIDE: Final = 100
"""Columns from which the commands stand in two of their own."""
LEAST_TEXT: Final = 12
"""Columns below which text is cut rather than wrapped."""
LABEL: Final = 19
"""Columns of the names of groups, beside their keys."""
GAP: Final = 4
"""Columns between two keys."""

_COLOURS: tuple[TextLine, ...] = (
    line((" what is drawn", "title")),
    line("   blue is negative, white is near zero, orange is positive"),
)
_FLAGS: tuple[TextLine, ...] = (
    line("   flags: ", ("X", "bad"), " not finite   ", ("!", "warn"), " too large or not adding up"),
    line("          ", ("v", "warn"), " vanishing   . nothing found"),
)  # fmt: skip
_SYMBOLS: tuple[TextLine, ...] = (
    *_COLOURS,
    line("   the cursor's cell is black; marked cells are linked above the threshold"),
    *_FLAGS,
)


_RUN_SYMBOLS: tuple[TextLine, ...] = (
    line((" of a training run", "title")),
    line("   ~ from a sample   none no gradient   nan not all finite   ×8 alike modules"),
    line("   |dW|2 the gradient as the optimizer used it, after clipping and unscaling"),
    line("   upd/W |step| / |weight|   |dy|2 the output's gradient   dead units at 0"),
    line("   a group's row stands for all below it: norms are roots of sums of squares"),
    line("   ◇ an attached tensor: |W|2 is its norm, |dW|2 its gradient's"),
    line("   b = a is the module a under a second name; (64x8) is another module's weight"),
    line("   under a chart, at their steps:  ", ("! X v", "bad"), " findings   s skipped step"),
    line("   k kept tensors, which v shows; so beside a module's name   ╵ end of an epoch"),
    line("   a curve reaches from the least to the greatest value of the steps in a column"),
    line("   ", ("x", "bad"), " on its axis: not finite at that step, a gap in the curve"),
)  # fmt: skip


_GRAPH_SYMBOLS: tuple[TextLine, ...] = (
    line((" of an architecture", "title")),
    line("   ◆ a layer or operation   ▸ folded   ⊕ several inputs   ◡ the turn   ×8 alike"),
    line("   lines on the left run from a row to those that take from it   ? after a guess"),
    line("   the bar is a row's share of the hottest; tab chooses by what"),
    line("   the right edge is the whole list: ░▒▓█ how hot, ▐ what is on the screen"),
)  # fmt: skip


def _entry(key: str, column: int, text: str, width: int) -> tuple[TextLine, ...]:
    """A command and what it does; where that does not fit beside it, below it."""
    room = width - column - 5
    if len(text) <= room and len(key) <= column:
        return (line("   ", (f"{key:<{column}}", "key"), f" {text}"),)
    if width - 5 < LEAST_TEXT:
        return (clip(line((f" {key}", "key"), f" {text}"), width),)
    below = wrap(text, width - 5, break_long_words=True)
    return (clip(line("   ", (key, "key")), width), *(line(f"     {row}") for row in below))


def _flowing(bindings: Sequence[Binding], label: str, width: int) -> tuple[TextLine, ...]:
    """Keys and what they do, one after the other in as few rows as they need, beside the name of their group.

    A key stays with the beginning of its words; on a narrow screen the name stands above.
    """
    beside = width >= LABEL + 4 * LEAST_TEXT
    left = LABEL if beside else 3
    room = max(width - left - 1, LEAST_TEXT)
    label = "views" if label == "everywhere" else label
    rows: list[TextLine] = [] if beside else [line((f"  {label}", "dim"))]
    name = f"  {label}".ljust(left)[:left] if beside else " " * left
    held: list[Span] = []
    for binding in bindings:
        keys = ", ".join(binding.keys)
        first, *more = wrap(binding.help, max(room - cell_width(keys) - 2, LEAST_TEXT)) or [""]
        entry = line((keys, "key"), f"  {first}")
        if held and line_width((*held, *entry)) + GAP > room:
            rows.append(line((name, "dim"), *held))
            name, held = " " * left, []
        held += [*([Span(" " * GAP)] if held else []), *entry]
        for text in more:
            rows.append(line((name, "dim"), *held))
            name, held = " " * left, [Span(f"  {text}")]
    return (*rows, line((name, "dim"), *held))


def _grouped(bindings: Iterable[Binding], width: int) -> list[TextLine]:
    """Keys in their groups, those that are used most first."""
    groups: dict[str, list[Binding]] = {}
    for binding in sorted(bindings, key=lambda binding: GROUPS.index(binding.group)):
        groups.setdefault(binding.group, []).append(binding)
    return [row for group in groups for row in _flowing(groups[group], group, width)]


def help_lines(
    keymap: Keymap,
    view: str,
    width: int,
    idle: frozenset[str] = frozenset(),
    *,
    watched: bool = False,
) -> tuple[TextLine, ...]:
    """Return the keys of a view, those of every view, then the commands; nothing is wider than ``width``.

    Keys and commands whose actions are ``idle``, for they cannot act on what is shown, are left out. Where a training run
    is ``watched``, they say what they do there.

    What can be pressed here stands on the first screen of 24 rows of 80. Wide screens have the commands in two
    columns, read one after the other.
    """
    here = [binding for binding in keymap.of_view(view) if binding.id not in idle]
    if watched:
        here = [replace(each, help=key_words(each.id, view, each.help)) for each in here]
    own = [binding for binding in here if binding.views != VIEWS]
    rows = [line((f" in {view.capitalize()}", "title")), *_grouped(own, width)]
    rows += [(), line((" in every view", "title"))]
    rows += [*_grouped((binding for binding in here if binding.views == VIEWS), width), ()]
    rows.append(line((" commands", "title"), ("   tab completes, up brings back", "dim")))
    room = (width - 1) // 2 if width >= WIDE else width
    entries = [
        _entry(
            f":{command.name} {command.arguments}".strip(),
            20,
            command_words(command.name, command.help) if watched else command.help,
            room,
        )
        for command in (in_order(view) if watched else COMMANDS)
        if command.action not in idle
    ]
    if room == width:
        rows += [text for entry in entries for text in entry]
    else:
        rows += _side_by_side(entries, room)
    symbols = _GRAPH_SYMBOLS if view == "architecture" else _SYMBOLS
    if watched and view != "architecture":
        symbols = (*(_RUN_SYMBOLS if view in RUNS else _COLOURS), *_FLAGS)
    return tuple(clip(text, width) for text in (*rows, (), *symbols))


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

    def __init__(
        self,
        keymap: Keymap,
        view: str,
        palette: Palette,
        idle: frozenset[str] = frozenset(),
        *,
        watched: bool = False,
    ) -> None:
        super().__init__(
            f"gradtui: keys of {view}",
            lambda width: help_lines(keymap, view, width, idle, watched=watched),
            palette,
        )
