"""The one door for text that reaches the screen: names from files, numbers, ages, and lines of spans.

Names come from other people's files and can hold anything: escape sequences that set a clipboard,
markup, characters that turn the line around, a thousand accents on one letter. `safe_label` lets
through what a terminal shows as itself, and writes out the rest.
"""

from __future__ import annotations

import math
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_MARKS: Final = 2
"""Combining marks that one character may carry; the rest is written out."""

SHORT: Final = 256
"""Texts up to so many characters are remembered once they were looked at: a screen shows the same ones again and again."""

ROLES: Final = (
    "", "dim", "title", "value", "positive", "negative", "highlight", "warn", "bad", "good", "key",
    "cursor", "edited",
)  # fmt: skip
"""Every role that a `Span` may have; the screen has a style for each, in colour and without."""

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MARKS: Final = frozenset({"Mn", "Me", "Mc"})
# Terminals disagree on the width of these: Hangul vowels, finals and fillers; flag letters and skin
# tones, which change the character before them; symbols that became wide in Unicode 16.
_DISPUTED: Final = (
    (0x115F, 0x11FF), (0x3164, 0x3164), (0xD7B0, 0xD7FF), (0xFFA0, 0xFFA0), (0x1F1E6, 0x1F1FF),
    (0x1F3FB, 0x1F3FF), (0x2630, 0x2637), (0x268A, 0x268F), (0x4DC0, 0x4DFF), (0x1D300, 0x1D37F),
)  # fmt: skip
_SELECTORS: Final = ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF), (0x180B, 0x180F))


class Span(NamedTuple):
    """A piece of text and what it means; ``role`` is one of `ROLES`."""

    text: str
    role: str = ""


TextLine = tuple[Span, ...]
"""One line of the screen, left to right."""


def _within(code: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(low <= code <= high for low, high in ranges)


def _written_out(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def printable(text: str) -> str:
    r"""The text with everything a terminal would act on, hide or join written out as ``\x1b``.

    Line breaks and tabs are written out too: what comes back is one line. At most two combining
    marks stay on a character, and none where there is no character to carry it.
    """
    if text.isascii() and text.isprintable():
        return text
    return _printable(text) if len(text) <= SHORT else _printable.__wrapped__(text)


@lru_cache(maxsize=8192)
def _printable(text: str) -> str:
    pieces: list[str] = []
    marks = MAX_MARKS
    for character in text:
        code = ord(character)
        category = unicodedata.category(character)
        if category in _MARKS and not _within(code, _SELECTORS):
            marks += 1
            # A spacing mark takes a cell in some terminals and none in others.
            shown = marks <= MAX_MARKS and category != "Mc"
        else:
            shown = not (
                category in _HIDDEN
                or (category == "Zs" and character != " ")
                or _within(code, _SELECTORS)
                or _within(code, _DISPUTED)
            )
            # A mark belongs to the character before it: not to one that was written out, nor to a space.
            marks = 0 if shown and character != " " else MAX_MARKS
        pieces.append(character if shown else _written_out(character))
    return "".join(pieces)


def cell_width(text: str) -> int:
    """Columns that `printable` text takes in a terminal: 2 for East Asian wide, 0 for marks."""
    if text.isascii():
        return len(text)
    return _cell_width(text) if len(text) <= SHORT else _cell_width.__wrapped__(text)


@lru_cache(maxsize=8192)
def _cell_width(text: str) -> int:
    width = 0
    for character in text:
        if unicodedata.category(character) in _MARKS:
            continue
        width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return width


def _head(text: str, width: int) -> str:
    """The longest start of ``text`` that fits, marks kept on their characters."""
    taken = 0
    for position, character in enumerate(text):
        taken += cell_width(character)
        if taken > width:
            return text[:position]
    return text


def _tail(text: str, width: int) -> str:
    taken = 0
    for position in range(len(text) - 1, -1, -1):
        taken += cell_width(text[position])
        if taken > width:
            start = position + 1
            while start < len(text) and not cell_width(text[start]):
                start += 1
            return text[start:]
    return text


def shorten(text: str, width: int, *, keep: str = "end") -> str:
    """Printable text in at most ``width`` columns, with ``…`` where it was cut.

    Args:
        text: What `printable` or `safe_label` gave.
        width: Columns; 0 or less gives an empty text.
        keep: "end" cuts at the left, "start" at the right, "both" in the middle.
    """
    if cell_width(text) <= width:
        return text
    if width <= 1:
        return "…" if width == 1 else ""
    if keep == "start":
        return _head(text, width - 1) + "…"
    if keep == "end":
        return "…" + _tail(text, width - 1)
    left = (width - 1) // 2
    return _head(text, left) + "…" + _tail(text, width - 1 - left)


def safe_label(name: object, width: int = 0, *, keep: str = "end") -> str:
    """A name from a file, harmless and at most ``width`` columns wide (0: as long as it is).

    The end of a module path says most, so that is what stays by default. A huge name is cut before
    it is looked at: its length cannot slow the screen.
    """
    text = str(name)
    limit = 4 * width + 64 if width > 0 else 4096
    if len(text) > limit:
        text = "…" + text[-limit:] if keep == "end" else text[:limit] + "…"
    text = printable(text)
    return shorten(text, width, keep=keep) if width > 0 else text


def _compact(text: str) -> str:
    """``1.0e-05`` as ``1e-5``: no needless zeros in mantissa or exponent."""
    mantissa, mark, exponent = text.partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}" if mark else mantissa


def number(value: float, width: int = 8, *, digits: int = 4, signed: bool = False) -> str:
    """A number in at most ``width`` columns, with up to ``digits`` significant digits.

    Args:
        value: Any number; NaN gives ``nan``, infinities ``inf`` and ``-inf``, zero ``0``.
        width: Columns; digits are given up, then the exponent form is tried. Where nothing fits the
            sign and size stay readable as ``+#`` or ``-#``, cut to the width.
        digits: The most significant digits to show.
        signed: Write ``+`` before positive numbers.
    """
    if math.isnan(value):
        return "nan"[:width]
    sign = "-" if math.copysign(1.0, value) < 0 and value != 0 else "+" if signed and value else ""
    size = abs(value)
    if math.isinf(size):
        return (sign + "inf")[:width]
    if size == 0:
        return "0"
    for precision in range(digits, 0, -1):
        plain = _compact(f"{size:.{precision}g}")
        if "e" in plain and 1 <= size < 1e6:
            plain = f"{size:.0f}"
        scientific = _compact(f"{size:.{precision - 1}e}")
        candidates = [plain, scientific] if size >= 1e-3 else [scientific]
        if plain.startswith("0.") and size >= 1e-3:
            candidates.insert(1, plain[1:])
        for candidate in candidates:
            if len(sign) + len(candidate) <= width:
                return sign + candidate
    if 1e-3 <= size < 1:
        # Rounded to what fits, as long as it does not become 0: ".01" tells more than a sign.
        rounded = f"{size:.{max(width - len(sign) - 1, 0)}f}"[1:]
        if len(sign) + len(rounded) <= width and rounded.strip(".0"):
            return sign + rounded
    return (("-" if value < 0 else "+") + "#" * width)[: max(width, 0)]


def count(value: int) -> str:
    """A whole number with separators: ``4,096``."""
    return f"{value:,}"


def counted(number_of: int, word: str) -> str:
    """A number and its word, in the plural where it is not one: ``1 edit``, ``2 edits``."""
    return f"{number_of:,} {word}" + ("" if number_of == 1 else "s")


def ago(seconds: float) -> str:
    """How old something is, no finer than a minute, so that a quiet screen can stay still."""
    minutes = int(max(seconds, 0.0) // 60) if math.isfinite(seconds) else 0
    if minutes < 1:
        return "under a minute"
    if minutes < 120:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h"
    return f"{minutes // 1440} days"


def line(*parts: Span | str | tuple[str, str]) -> TextLine:
    """A `TextLine` of its parts; a bare string has no role, and empty parts are left out."""
    spans = (part if isinstance(part, tuple) else (part, "") for part in parts)
    return tuple(Span(*span) for span in spans if span[0])


def plain(text_line: TextLine) -> str:
    """The text of a line without its roles."""
    return "".join(span.text for span in text_line)


def line_width(text_line: TextLine) -> int:
    """Columns that a line takes."""
    width = 0
    for text, _ in text_line:
        width += len(text) if text.isascii() else cell_width(text)
    return width


def clip(text_line: TextLine, width: int) -> TextLine:
    """A line in at most ``width`` columns, with ``…`` at the right where it was cut."""
    if line_width(text_line) <= width:
        return text_line
    left, kept = width, []
    for span in text_line:
        taken = cell_width(span.text)
        if taken >= left:
            # The cut needs a column of its own even where this span alone would just fit.
            short = (
                shorten(span.text, left, keep="start")
                if taken > left
                else _head(span.text, left - 1) + "…"
            )
            if short:
                kept.append(Span(short, span.role))
            break
        kept.append(span)
        left -= taken
    return tuple(kept)


def spread(left: TextLine, right: TextLine, width: int) -> TextLine:
    """``left`` and ``right`` at the two ends of a line; the right end gives way when both don't fit."""
    free = width - line_width(left) - line_width(right)
    if free < 1:
        return clip((*left, Span("  "), *right), width)
    return (*left, Span(" " * free), *right)


def join(lines: Iterable[TextLine], gap: str = "   ") -> TextLine:
    """Lines side by side with a gap between those that hold something."""
    spans: list[Span] = []
    for text_line in lines:
        if spans and text_line:
            spans.append(Span(gap))
        spans.extend(text_line)
    return tuple(spans)
