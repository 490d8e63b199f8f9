"""A map as lines of the screen: title, labels and coloured cells, from bytes of levels and marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.strip import Strip

from gradtui.tui.render import marks as glyphs
from gradtui.tui.render.geometry import choose, label_step
from gradtui.tui.render.spans import strip_of
from gradtui.viewmodel.levels import LEVELS, MARK_EDITED, MARK_LINKED, NOWHERE
from gradtui.viewmodel.text import Span, clip, line, line_width, number, shorten

if TYPE_CHECKING:
    from rich.style import Style

    from gradtui.tui.render.geometry import Geometry
    from gradtui.tui.render.palette import Palette
    from gradtui.viewmodel.maps import MapView
    from gradtui.viewmodel.text import TextLine

Piece = tuple[str, "Style"]


@dataclass(frozen=True, slots=True)
class Heat:
    """What of a `MapView` is drawn, in a form that two of can be compared cell by cell.

    ``levels`` and ``marks`` are row after row, a byte a cell; ``numbers`` is one text a cell where the
    cells have room for it, else empty.
    """

    title: str = ""
    subtitle: str = ""
    focused: bool = False
    rows: int = 0
    columns: int = 0
    levels: bytes = b""
    marks: bytes = b""
    numbers: tuple[str, ...] = ()
    row_labels: tuple[str, ...] = ()
    column_labels: tuple[str, ...] = ()
    cursor: tuple[int, int] = NOWHERE
    low: float = 0.0
    high: float = 0.0
    empty_text: str = ""

    @classmethod
    def of(cls, view: MapView, geometry: Geometry) -> Heat:
        """What of a view is drawn with a geometry."""
        rows, columns = view.shape
        numbers: tuple[str, ...] = ()
        if geometry.numbers:
            room = geometry.cell_width - 2
            numbers = tuple(number(value, room) for value in view.values.ravel().tolist())
        return cls(
            title=view.title,
            subtitle=view.subtitle,
            focused=view.focused,
            rows=rows,
            columns=columns,
            levels=view.levels.tobytes(),
            # Zeros that are asked for as such take no memory: few of a large map's cells have marks.
            marks=view.marks.tobytes() if view.marks.any() else bytes(rows * columns),
            numbers=numbers,
            row_labels=_labels(view.rows.tolist(), rows, view.row0, view.block),
            column_labels=_labels(view.columns.tolist(), columns, view.col0, view.block),
            cursor=(view.cursor[0], view.cursor[1]),
            low=view.low,
            high=view.high,
            empty_text=view.empty_text,
        )


def _labels(given: list[int], length: int, first: int, block: int) -> tuple[str, ...]:
    numbers = given if len(given) == length else range(first, first + length * block, max(block, 1))
    return tuple(map(str, numbers))


def geometry_of(view: MapView, width: int, height: int, palette: Palette) -> Geometry:
    """The geometry of a view in a region of ``width`` columns and ``height`` rows."""
    rows, columns = view.shape
    labels = view.rows.tolist() or [view.row0 + max(rows - 1, 0) * view.block]
    return choose(
        rows, columns, width, height, digits=len(str(max(labels))), halves=palette.solid
    ).scrolled_to(*view.cursor)


def heatmap_line(heat: Heat, geometry: Geometry, palette: Palette, y: int) -> Strip:
    """Line ``y`` of a map's region, exactly as wide as the region."""
    if y < geometry.top:
        shown = _title(heat, geometry, palette) if y == 0 else _column_labels(heat, geometry)
        return strip_of(shown, geometry.width, palette)
    line_number = y - geometry.top
    if not (heat.rows and heat.columns):
        text = heat.empty_text if line_number == 0 else ""
        return strip_of(clip(line((text, "dim")), geometry.width), geometry.width, palette)
    row = line_number * 2 if geometry.half else line_number // geometry.cell_height
    if row >= geometry.shown_rows or row + geometry.first_row >= heat.rows:
        return strip_of((), geometry.width, palette)
    row += geometry.first_row
    pieces: list[Piece] = [_row_label(heat, geometry, palette, row, line_number)]
    columns = range(
        geometry.first_column, min(geometry.first_column + geometry.shown_columns, heat.columns)
    )
    if geometry.half:
        pieces.extend(_half(heat, palette, row, column) for column in columns)
    else:
        inner = line_number % geometry.cell_height
        for column in columns:
            pieces.extend(_cell(heat, geometry, palette, row, column, inner))
    return _strip(pieces, geometry.width, palette)


def _strip(pieces: list[Piece], width: int, palette: Palette) -> Strip:
    """Pieces as a strip, neighbours of one style merged, filled up to the width."""
    segments: list[Segment] = []
    text, style = "", palette.role("")
    used = 0
    for piece, ink in pieces:
        used += len(piece)
        if ink is style:
            text += piece
            continue
        if text:
            segments.append(Segment(text, style))
        text, style = piece, ink
    if text:
        segments.append(Segment(text, style))
    if used < width:
        segments.append(Segment(" " * (width - used), palette.role("")))
    strip = Strip(segments, max(used, width))
    return strip if used <= width else strip.crop(0, width)


def _half(heat: Heat, palette: Palette, row: int, column: int) -> Piece:
    """The character of the cells (row, column) and (row + 1, column)."""
    at = row * heat.columns + column
    below = at + heat.columns
    upper, lower = heat.levels[at], heat.levels[below] if row + 1 < heat.rows else -1
    upper_marks, lower_marks = heat.marks[at], heat.marks[below] if lower >= 0 else 0
    if heat.cursor in ((row, column), (row + 1, column)):
        return glyphs.HALF_CURSOR[heat.cursor[0] - row], palette.cursor
    if upper_marks & MARK_LINKED or lower_marks & MARK_LINKED:
        return glyphs.HALF_LINKED[0 if upper_marks & MARK_LINKED else 1], palette.linked
    if upper >= LEVELS or lower >= LEVELS:
        level = upper if upper >= LEVELS else lower
        return glyphs.nonfinite_text(level, 1), palette.on_area(level, bold=True)
    if mark := glyphs.half_mark(upper_marks, lower_marks):
        marked = upper if upper_marks & ~MARK_EDITED or not lower_marks else lower
        edited = bool((upper_marks | lower_marks) & MARK_EDITED)
        return mark, palette.on_area(max(marked, 0), bold=True, underline=edited)
    if lower < 0:
        return "▀", palette.upper_half(upper)
    if palette.area(upper) == palette.area(lower):
        return " ", palette.on_area(upper)
    return "▀", palette.halves(upper, lower)


def _cell(
    heat: Heat, geometry: Geometry, palette: Palette, row: int, column: int, inner: int
) -> list[Piece]:
    """Line ``inner`` of a cell of whole characters."""
    at = row * heat.columns + column
    level, marks, width = heat.levels[at], heat.marks[at], geometry.cell_width
    edited = bool(marks & MARK_EDITED)
    if palette.solid:
        style, fill = palette.on_area(level, underline=edited and width == 1), " "
    else:
        style, fill = palette.on_ramp(level), palette.ramp(level)
    middle = (geometry.cell_height - 1) // 2
    ascii_only = palette.ascii_only
    is_cursor, is_linked = heat.cursor == (row, column), bool(marks & MARK_LINKED)
    if width == 1:
        if is_cursor or is_linked:
            if is_cursor:
                return [(glyphs.SINGLE_CURSOR[ascii_only], palette.cursor)]
            return [("+", palette.linked)]
        text = (
            glyphs.nonfinite_text(level, 1, ascii_only=ascii_only)
            or glyphs.single_mark(marks)
            or fill
        )
        return [(text, style)]
    room = width - 2
    content = ""
    if inner == middle:
        content = (
            heat.numbers[at]
            if heat.numbers
            else glyphs.nonfinite_text(level, max(room, 2), ascii_only=ascii_only)
        )
    note = glyphs.mark_text(marks, ascii_only=ascii_only)
    if (is_cursor or is_linked) and inner == middle:
        ends = glyphs.CURSOR if is_cursor else glyphs.LINKED[ascii_only]
        ink = palette.cursor if is_cursor else palette.linked
        if width == 2:
            return [(ends, ink)]
        body = _body(heat, geometry, content, note, fill, room, inner)
        return [(ends[0], ink), (body, style), (ends[1], ink)]
    if width == 2:
        text = content or (note or ("-" if not palette.solid and _negative(level) else " "))[:2]
        return [(text + fill * (2 - len(text)), style)]
    lead, tail = " ", " "
    if geometry.cell_height == 1 and note:
        lead, tail, note = note[0], note[1:2] or " ", ""
    return [(lead + _body(heat, geometry, content, note, fill, room, inner) + tail, style)]


def _negative(level: int) -> bool:
    return level < LEVELS // 2


def _body(
    heat: Heat, geometry: Geometry, content: str, note: str, fill: str, room: int, inner: int
) -> str:
    """The inside of a cell: its number on the middle line, its marks on the line below that."""
    middle = (geometry.cell_height - 1) // 2
    if heat.numbers:
        text = content if inner == middle else note if inner == middle + 1 else ""
        return text.rjust(room)
    if inner == middle and (content or note):
        return (content or note)[:room].center(room)
    return fill * room


def _row_label(
    heat: Heat, geometry: Geometry, palette: Palette, row: int, line_number: int
) -> Piece:
    left = geometry.left
    if not left:
        return "", palette.role("")
    if not geometry.half and line_number % geometry.cell_height != (geometry.cell_height - 1) // 2:
        return " " * left, palette.role("")
    held = (row, row + 1) if geometry.half else (row,)
    if heat.cursor[0] in held:
        return heat.row_labels[heat.cursor[0]].rjust(left - 1) + " ", palette.role("title")
    step = 4 if geometry.half else 2 if geometry.cell_height == 1 and heat.rows > FEW_ROWS else 1
    text = heat.row_labels[row] if row % step == 0 else ""
    return text.rjust(left - 1) + " ", palette.role("dim")


FEW_ROWS = 6
"""Maps of at most this many rows have a label on each."""


def _column_labels(heat: Heat, geometry: Geometry) -> TextLine:
    """The labels above the columns, the cursor's own among them."""
    if not heat.columns or not heat.rows:
        return ()
    wide = geometry.cell_width
    last = min(geometry.first_column + geometry.shown_columns, heat.columns)
    room = (last - geometry.first_column) * wide
    step = label_step(
        wide, max(map(len, heat.column_labels[geometry.first_column : last]), default=1)
    )
    places: list[tuple[int, str, str]] = []
    taken = (-1, -1)
    if geometry.first_column <= heat.cursor[1] < last:
        text = heat.column_labels[heat.cursor[1]]
        start = _label_start(heat.cursor[1] - geometry.first_column, wide, len(text), room)
        taken = (start - 1, start + len(text) + 1)
        places.append((start, text, "title"))
    for column in range(geometry.first_column, last):
        if column % step:
            continue
        text = heat.column_labels[column]
        start = _label_start(column - geometry.first_column, wide, len(text), room)
        if start >= taken[1] or start + len(text) <= taken[0]:
            places.append((start, text, "dim"))
    spans = [Span(_more(heat, geometry).ljust(geometry.left)[: geometry.left], "dim")]
    x = 0
    for start, text, role in sorted(places):
        if start < x:
            continue
        spans += [Span(" " * (start - x)), Span(text, role)]
        x = start + len(text)
    return tuple(spans)


def _label_start(column: int, wide: int, length: int, room: int) -> int:
    return max(0, min(column * wide + max(wide - length, 0) // 2, room - length))


def _more(heat: Heat, geometry: Geometry) -> str:
    """Where the map goes on beyond the region."""
    up, down = geometry.first_row > 0, geometry.first_row + geometry.shown_rows < heat.rows
    left = geometry.first_column > 0
    right = geometry.first_column + geometry.shown_columns < heat.columns
    return (
        ("^" if up else "") + ("v" if down else "") + ("<" if left else "") + (">" if right else "")
    )


def _title(heat: Heat, geometry: Geometry, palette: Palette) -> TextLine:
    """Name and kind at the left; the scale at the right where there is room."""
    name = shorten(heat.title, max(geometry.width - 2, 0))
    role = "title" if heat.focused else ""
    left = line(
        (">" if heat.focused else " ", role),
        (name, role),
        (f" {heat.subtitle}" if heat.subtitle else "", "dim"),
    )
    if not heat.levels:
        return clip(left, geometry.width)
    low, high = number(heat.low, 6, digits=2), number(heat.high, 6, digits=2)
    inside = geometry.left + geometry.shown_columns * geometry.cell_width
    for cells in (8, 4, 0) if palette.solid else (0,):
        scale = [Span(f"{low} ", "dim")]
        scale += [Span("█", f"level {round(i * (LEVELS - 1) / (cells - 1))}") for i in range(cells)]
        scale.append(Span(f" {high}" if cells else f".. {high}", "dim"))
        needed = line_width(left) + 2 + line_width(tuple(scale))
        if needed <= geometry.width:
            free = max(inside, needed) - needed + 2
            return (*left, Span(" " * free), *scale)
    return clip(left, geometry.width)
