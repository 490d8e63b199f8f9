"""The screen as cells: what a terminal shows, and the shortest bytes that take it to what it should show.

A terminal keeps what it was sent, so an update needs only the cells that differ. `Shadow` remembers
those cells and writes the differences: a cursor address for each run, and of the colours and
attributes only what changes from one cell to the next.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.cells import cell_len
from rich.color import ColorSystem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.color import Color
    from rich.segment import Segment
    from rich.style import Style

COLOR_SYSTEMS: Final = {
    "standard": ColorSystem.STANDARD,
    "256": ColorSystem.EIGHT_BIT,
    "truecolor": ColorSystem.TRUECOLOR,
    "windows": ColorSystem.WINDOWS,
}
SHORT_GAP: Final = 4
"""Unchanged cells of the same pen that are cheaper to write again than to jump over."""

# SGR numbers in the order of rich's own, without blinking, which a calm screen never does.
_ATTRIBUTES: Final = (
    ("bold", "1"), ("dim", "2"), ("italic", "3"), ("underline", "4"), ("reverse", "7"),
    ("conceal", "8"), ("strike", "9"), ("underline2", "21"), ("overline", "53"),
)  # fmt: skip
_OFF: Final = {
    "1": "22", "2": "22", "3": "23", "4": "24", "7": "27", "8": "28", "9": "29", "21": "24", "53": "55",
}  # fmt: skip
# Attributes that show on a blank cell; without them its foreground cannot be seen.
_ON_BLANK: Final = frozenset({"4", "7", "9", "21", "53"})


class Pen(NamedTuple):
    """How a cell is drawn, as SGR parameters; empty strings are the terminal's own."""

    attributes: str = ""
    foreground: str = ""
    background: str = ""


class Cell(NamedTuple):
    """One column of one row. The second column of a wide character has an empty text."""

    text: str
    pen: Pen


PLAIN: Final = Pen()
UNKNOWN: Final = Cell("\0", PLAIN)
"""What the terminal shows there is not known: it differs from everything."""


@lru_cache(maxsize=8192)
def pen_of(style: Style | None, system: ColorSystem) -> Pen:
    """The pen of a style in a colour system. Links are left out: no text of ours carries one."""
    if style is None:
        return PLAIN
    attributes = ";".join(code for name, code in _ATTRIBUTES if getattr(style, name))
    return Pen(
        attributes,
        _codes(style.color, system, foreground=True),
        _codes(style.bgcolor, system, foreground=False),
    )


def _codes(colour: Color | None, system: ColorSystem, *, foreground: bool) -> str:
    if colour is None or colour.is_default:
        return ""
    return ";".join(colour.downgrade(system).get_ansi_codes(foreground))


@lru_cache(maxsize=8192)
def blank_pen(pen: Pen) -> Pen:
    """The pen with what cannot be seen on a blank cell taken out."""
    codes = [code for code in pen.attributes.split(";") if code in _ON_BLANK]
    if codes:
        return pen
    return Pen("", "", pen.background)


@lru_cache(maxsize=8192)
def _on_blank(held: Pen, wanted: Pen) -> Pen:
    """The pen nearest to the one held with which a blank looks as wanted."""
    if wanted.attributes or blank_pen(held).attributes:
        return wanted
    return Pen(held.attributes, held.foreground, wanted.background)


@lru_cache(maxsize=16384)
def _cell(text: str, pen: Pen) -> Cell:
    return Cell(text, blank_pen(pen) if text == " " else pen)


def _wide_cells(text: str, pen: Pen) -> list[Cell]:
    """Cells of text that holds wide or combining characters."""
    cells: list[Cell] = []
    for character in text:
        width = cell_len(character)
        if width == 0:
            if cells:
                head = next(i for i in range(len(cells) - 1, -1, -1) if cells[i].text)
                cells[head] = Cell(cells[head].text + character, pen)
            continue
        cells.append(_cell(character, pen))
        cells.extend(Cell("", pen) for _ in range(width - 1))
    if len(cells) != (whole := cell_len(text)):
        # The parts do not add up (a joined sequence): keep it in one piece.
        return [Cell(text, pen), *(Cell("", pen) for _ in range(whole - 1))] if whole else []
    return cells


def cells_of(segments: Iterable[Segment], system: ColorSystem) -> list[Cell]:
    """The cells that segments paint, left to right; control segments paint none."""
    cells: list[Cell] = []
    for text, style, control in segments:
        if control:
            continue
        cells.extend(_run(text, pen_of(style, system)))
    return cells


@lru_cache(maxsize=2048)
def _run(text: str, pen: Pen) -> tuple[Cell, ...]:
    """The cells of one segment; most of a screen is the same few, blanks above all."""
    if text.isascii() or all(cell_len(character) == 1 for character in text):
        return tuple([_cell(character, pen) for character in text])
    return tuple(_wide_cells(text, pen))


@lru_cache(maxsize=8192)
def change_pen(before: Pen, after: Pen) -> str:
    """The shortest SGR sequence from one pen to another."""
    if before == after:
        return ""
    if after == PLAIN:
        return "\x1b[m"
    held, wanted = _attributes(before), _attributes(after)
    # Off codes are shared (22 ends bold and dim), so they come before what is put on.
    ended = list(dict.fromkeys(_OFF[code] for code in held if code not in wanted))
    begun = [code for code in wanted if code not in held or _OFF[code] in ended]
    step = [*ended, *begun]
    if before.foreground != after.foreground:
        step.append(after.foreground or "39")
    if before.background != after.background:
        step.append(after.background or "49")
    afresh = ["", *(part for part in after if part)]
    return min((f"\x1b[{';'.join(parts)}m" for parts in (step, afresh)), key=len)


def _attributes(pen: Pen) -> list[str]:
    return pen.attributes.split(";") if pen.attributes else []


@lru_cache(maxsize=4096)
def _is_wide(text: str) -> bool:
    """Whether a cell is a half of a wide character."""
    return not text or (not text.isascii() and cell_len(text) > 1)


def _mend(cells: list[Cell]) -> None:
    """Put blanks, as a terminal does, where one half of a wide character was written over."""
    column = 0
    while column < len(cells):
        text, pen = cells[column]
        width = max(cell_len(text), 1) if len(text) != 1 or not text.isascii() else 1
        tail = cells[column + 1 : column + width]
        if not text or len(tail) != width - 1 or any(cell.text for cell in tail):
            cells[column] = _cell(" ", pen)
            width = 1
        column += width


class Shadow:
    """What the terminal shows, cell by cell, as far as it is known."""

    def __init__(self) -> None:
        self._width = 0
        self._rows: list[list[Cell]] = []
        self._wide: set[int] = set()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return self._width, len(self._rows)

    def forget(self, width: int, height: int) -> None:
        """Know nothing of a screen of this size: the next update writes every cell it is given."""
        self._width = width
        self._rows = [[UNKNOWN] * width for _ in range(height)]
        self._wide.clear()

    def update(self, patches: Iterable[tuple[int, int, list[Cell]]]) -> str:
        """Take runs of cells in and give the bytes that bring the terminal there.

        Args:
            patches: ``(row, column, cells)``; what lies outside the screen is left out.

        Returns:
            Terminal sequences that start and end with the terminal's own pen; empty where nothing
            differs.
        """
        changed: dict[int, list[Cell]] = {}
        for row, column, cells in patches:
            start = max(column, 0)
            fresh = cells[start - column : max(self._width - column, 0)]
            if not fresh or not 0 <= row < len(self._rows):
                continue
            target = changed.get(row)
            if target is None:
                if self._rows[row][start : start + len(fresh)] == fresh:
                    continue
                target = changed[row] = self._rows[row].copy()
            target[start : start + len(fresh)] = fresh
        writer = _Writer()
        for row in sorted(changed):
            self._write_row(row, changed[row], writer)
        return writer.finish()

    def _write_row(self, row: int, after: list[Cell], writer: _Writer) -> None:
        before = self._rows[row]
        wide = any(_is_wide(cell.text) for cell in after)
        if wide or row in self._wide:
            _mend(after)
        columns = [
            column
            for column, (old, new) in enumerate(zip(before, after, strict=True))
            if old is not new and old != new
        ]
        if not columns:
            return
        if wide or row in self._wide:
            # Half of a wide character cannot be written: the run grows to whole ones, old and new.
            first, last = columns[0], columns[-1] + 1
            while first > 0 and not (before[first].text and after[first].text):
                first -= 1
            while last < len(after) and not (before[last].text and after[last].text):
                last += 1
            columns = list(range(first, last))
            (self._wide.add if wide else self._wide.discard)(row)
        self._rows[row] = after
        writer.row(row, columns, after)


class _Writer:
    """Writes runs of cells; knows where the cursor is and what pen it holds."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._pen = PLAIN
        self._row = -1
        self._column = -1

    def row(self, row: int, columns: list[int], cells: list[Cell]) -> None:
        """Write the cells of one row at ``columns``, which ascend."""
        out = self._out
        for column in columns:
            text, pen = cells[column]
            if not text or text == UNKNOWN.text:
                continue
            if self._row != row or self._column != column:
                self._go(row, column, cells)
            if text == " ":
                pen = _on_blank(self._pen, pen)
            if pen is not self._pen and pen != self._pen:
                out.append(change_pen(self._pen, pen))
                self._pen = pen
            out.append(text)
            # Terminals disagree on the width of what is not plain: after it, the address is given anew.
            plain = len(text) == 1 and (column + 1 >= len(cells) or cells[column + 1].text)
            self._column = column + 1 if plain and column + 1 < len(cells) else -1

    def _go(self, row: int, column: int, cells: list[Cell]) -> None:
        gap = column - self._column
        if self._row == row and 0 <= self._column < column:
            between = cells[self._column : column]
            if gap <= SHORT_GAP and all(
                self._pen == (_on_blank(self._pen, cell.pen) if cell.text == " " else cell.pen)
                and cell.text.isascii()
                and cell.text.isprintable()
                and cell.text
                for cell in between
            ):
                self._out.append("".join(cell.text for cell in between))
            else:
                self._out.append(f"\x1b[{gap if gap > 1 else ''}C")
        else:
            self._out.append(f"\x1b[{row + 1};{column + 1}H")
        self._row, self._column = row, column

    def finish(self) -> str:
        """All that was written, with the terminal's own pen restored."""
        self._out.append(change_pen(self._pen, PLAIN))
        self._pen = PLAIN
        return "".join(self._out)
