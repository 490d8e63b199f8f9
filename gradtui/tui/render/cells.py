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
AHEAD: Final = 12
"""Among so many runs the one to be written next is chosen."""
MANY_RUNS: Final = 48
"""More runs than that are written in the order of the screen: choosing would take longer than sending."""
WAY_BACK: Final = 3
SHORTEST_WAY: Final = 3
"""No run that is not at the cursor costs less."""

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
        was_wide = row in self._wide
        pairs = zip(before, after, strict=True)
        wide = any(_is_wide(new.text) for old, new in pairs if was_wide or old is not new)
        whole = wide or was_wide
        if whole:
            _mend(after)
        columns = [
            column
            for column, (old, new) in enumerate(zip(before, after, strict=True))
            if old is not new and old != new
        ]
        if not columns:
            return
        if whole:
            # Half of a wide character cannot be written: the run grows to whole ones, old and new.
            first, last = columns[0], columns[-1] + 1
            while first > 0 and not (before[first].text and after[first].text):
                first -= 1
            while last < len(after) and not (before[last].text and after[last].text):
                last += 1
            columns = list(range(first, last))
            (self._wide.add if wide else self._wide.discard)(row)
        self._rows[row] = after
        writer.row(row, columns, after, whole=whole)


class _Run(NamedTuple):
    """Cells side by side in one pen, as part of a row's cells.

    ``blank`` runs show no foreground. After one that is not ``plain`` terminals disagree on the column.
    """

    row: int
    column: int
    text: str
    pen: Pen
    cells: list[Cell]
    blank: bool
    plain: bool

    @classmethod
    def of(cls, row: int, column: int, text: str, pen: Pen, cells: list[Cell]) -> _Run:
        """A run of characters of one column each, or of one other cell."""
        one_each = len(cells[column].text) == 1
        end = column + len(text)
        plain = one_each and end < len(cells) and bool(cells[end].text)
        return cls(row, column, text, pen, cells, not text.strip(" "), plain)


@lru_cache(maxsize=32768)
def _way(row: int, column: int, to_row: int, to_column: int) -> str:
    """The shortest sequence that takes the cursor from one place to another; -1 is an unknown column."""
    if (row, column) == (to_row, to_column):
        return ""
    ways = [f"\x1b[{to_row + 1};{to_column + 1}H"]
    if column >= 0 and row >= 0:
        ways.append(_shift(to_row - row, "B", "A") + _shift(to_column - column, "C", "D"))
    return min(reversed(ways), key=len)


def _shift(distance: int, onward: str, back: str) -> str:
    if not distance:
        return ""
    size = abs(distance)
    return f"\x1b[{size if size > 1 else ''}{onward if distance > 0 else back}"


class _Writer:
    """Writes runs of cells; knows where the cursor is and what pen it holds.

    A pen costs more than a way, so a few runs are not written in the order of the screen: the next is
    the cheapest of those that come next.
    """

    def __init__(self) -> None:
        self._out: list[str] = []
        self._pen = PLAIN
        self._row = -1
        self._column = -1
        self._runs: list[_Run] = []

    def row(self, row: int, columns: list[int], cells: list[Cell], *, whole: bool) -> None:
        """Take in the cells of one row at ``columns``, which ascend.

        Args:
            row: the row.
            columns: which of its cells differ.
            cells: all of them.
            whole: they hold wide characters and are written at once, from left to right.
        """
        found: list[_Run] = []
        text, pen, start = "", PLAIN, -1
        for column in columns:
            new, wanted = cells[column]
            if not new or new == UNKNOWN.text:
                continue
            fits = wanted == pen or (new == " " and _on_blank(pen, wanted) == pen)
            beside = column == start + len(text) and len(new) == 1 and len(cells[start].text) == 1
            if text and fits and beside and not whole:
                text += new
                continue
            if text:
                found.append(_Run.of(row, start, text, pen, cells))
            text, pen, start = new, wanted, column
        if text:
            found.append(_Run.of(row, start, text, pen, cells))
        if whole:
            for run in found:
                self._write(run)
        else:
            self._runs += found

    def finish(self) -> str:
        """All that was written, with the terminal's own pen restored."""
        runs = self._runs
        if len(runs) > MANY_RUNS:
            for run in runs:
                self._write(run)
            runs.clear()
        while runs:
            # Out of turn only for more than what the way back costs.
            least, place = self._cost(runs[0]) - WAY_BACK, 0
            for ahead in range(1, min(AHEAD, len(runs))):
                if least <= SHORTEST_WAY:
                    break
                cost = self._cost(runs[ahead])
                if cost < least:
                    least, place = cost, ahead
            self._write(runs.pop(place))
        self._out.append(change_pen(self._pen, PLAIN))
        self._pen = PLAIN
        return "".join(self._out)

    def _cost(self, run: _Run) -> int:
        pen = _on_blank(self._pen, run.pen) if run.blank else run.pen
        way = _way(self._row, self._column, run.row, run.column)
        return len(way) + len(change_pen(self._pen, pen))

    def _write(self, run: _Run) -> None:
        if (self._row, self._column) != (run.row, run.column):
            self._go(run.row, run.column, run.cells)
        pen = _on_blank(self._pen, run.pen) if run.blank else run.pen
        if pen is not self._pen and pen != self._pen:
            self._out.append(change_pen(self._pen, pen))
            self._pen = pen
        self._out.append(run.text)
        self._row, self._column = run.row, run.column + len(run.text) if run.plain else -1

    def _go(self, row: int, column: int, cells: list[Cell]) -> None:
        gap = column - self._column
        if self._row == row and self._column >= 0 and 0 < gap <= SHORT_GAP:
            between = cells[self._column : column]
            if all(
                self._pen == (_on_blank(self._pen, cell.pen) if cell.text == " " else cell.pen)
                and cell.text.isascii()
                and cell.text.isprintable()
                and cell.text
                for cell in between
            ):
                self._out.append("".join(cell.text for cell in between))
                return
        self._out.append(_way(self._row, self._column, row, column))
