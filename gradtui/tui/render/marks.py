"""Glyphs of cursors, links and edits: every mark can be told from every other without colour."""

from __future__ import annotations

from typing import Final

from gradtui.viewmodel.levels import (
    LEVEL_NAN,
    LEVEL_NEGATIVE_INF,
    LEVELS,
    MARK_EDITED,
    MARK_IN,
    MARK_NEGATIVE,
    MARK_OUT,
)

CURSOR: Final = "[]"
SINGLE_CURSOR: Final = ("▣", "[")
"""The cursor in a cell of one column: no letter, as flags are, and in no ramp."""
LINKED: Final = ("‹›", "<>")
HALF_CURSOR: Final = ("▴", "▾")
HALF_LINKED: Final = ("▵", "▿")

_LINKS: Final = MARK_OUT | MARK_IN
# Fan-out is hollow and fan-in is full, as the sources and the wells of a field are drawn.
_ROUND: Final[dict[int, str]] = {MARK_OUT: "○", MARK_IN: "●", _LINKS: "◉"}
_ROUND_ASCII: Final[dict[int, str]] = {MARK_OUT: "o", MARK_IN: "O", _LINKS: "8"}
_NEGATIVE_ASCII: Final[dict[int, str]] = {MARK_OUT: "q", MARK_IN: "Q", _LINKS: "9"}
# Where two cells share a character: upper, lower, both. Negative links are angular.
_HALF: Final[dict[int, str]] = {
    MARK_OUT: "◠◡○",
    MARK_IN: "◓◒●",
    _LINKS: "⬒⬓◉",
    MARK_OUT | MARK_NEGATIVE: "^v◇",
    MARK_IN | MARK_NEGATIVE: "⬘⬙◆",
    _LINKS | MARK_NEGATIVE: "◤◣◈",
    MARK_EDITED: "╵╷│",
}
_MIXED: Final = "◍"


def mark_text(marks: int, *, ascii_only: bool = False) -> str:
    """A cell's marks as up to three characters: the link, its sign when negative, ``*`` when edited."""
    link = (_ROUND_ASCII if ascii_only else _ROUND).get(marks & _LINKS, "")
    sign = "-" if link and marks & MARK_NEGATIVE else ""
    return link + sign + ("*" if marks & MARK_EDITED else "")


def single_mark(marks: int) -> str:
    """A cell's marks in one ASCII character; empty without marks."""
    if link := marks & _LINKS:
        return (_NEGATIVE_ASCII if marks & MARK_NEGATIVE else _ROUND_ASCII)[link]
    return "*" if marks & MARK_EDITED else ""


def half_mark(upper: int, lower: int) -> str:
    """The marks of two cells that share a character; empty without marks."""
    kinds = [_kind(upper), _kind(lower)]
    if kinds[0] and kinds[1]:
        return _HALF[kinds[0]][2] if kinds[0] == kinds[1] else _MIXED
    if kinds[0]:
        return _HALF[kinds[0]][0]
    return _HALF[kinds[1]][1] if kinds[1] else ""


def _kind(marks: int) -> int:
    if link := marks & _LINKS:
        return link | (marks & MARK_NEGATIVE)
    return marks & MARK_EDITED


def nonfinite_text(level: int, width: int, *, ascii_only: bool = False) -> str:
    """``nan`` or an infinity in at most ``width`` columns; empty for a finite level."""
    if level < LEVELS:
        return ""
    if level == LEVEL_NAN:
        return "nan" if width >= 3 else "?"
    if width >= 4:
        return "-inf" if level == LEVEL_NEGATIVE_INF else "inf"
    if width == 1 and ascii_only:
        return "i" if level == LEVEL_NEGATIVE_INF else "I"
    sign = "-" if level == LEVEL_NEGATIVE_INF else "+"
    return (
        (sign + ("I" if ascii_only else "∞"))[-width:]
        if width < 2
        else sign + ("I" if ascii_only else "∞")
    )
