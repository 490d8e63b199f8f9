"""The columns of a run's Overview: which page of them is shown, and which one sorts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gradtui.tui.actions.watching import choose
from gradtui.viewmodel.run.lines import column_pages, columns_of, title_of

if TYPE_CHECKING:
    from gradtui.tui.actions.desk import Desk


def turn(desk: Desk, pages: int) -> None:
    """Show the columns so many pages on; after the last page comes the first."""
    count = len(column_pages(desk.room.width))
    if count < 2:
        desk.say("all columns are shown")
        return
    page = (desk.selection.run.columns + pages) % count
    choose(desk, replace(desk.selection.run, columns=page))
    desk.say(f"columns {page + 1} of {count}: {_listed(desk, page)}")


def first(desk: Desk, _count: int) -> None:
    """Show the first page of columns."""
    turn(desk, -desk.selection.run.columns)


def last(desk: Desk, _count: int) -> None:
    """Show the last page of columns."""
    turn(desk, -1 - desk.selection.run.columns)


def _listed(desk: Desk, page: int) -> str:
    return ", ".join(one.title for one in columns_of(desk.room.width, page) if one.title)


def sort(desk: Desk, count: int) -> None:
    """Sort by the next column, or by column ``count`` as they stand; the same one again turns it round."""
    choice = desk.selection.run
    shown = columns_of(desk.room.width, choice.columns)
    columns = ["order", "name", *(column.sort for column in shown)]
    if not count:
        here = columns.index(choice.sort) if choice.sort in columns else 0
        wanted = columns[(here + 1) % len(columns)]
    else:
        wanted = columns[min(count, len(columns) - 1)]
    with_sort(desk, wanted)


def with_sort(desk: Desk, name: str) -> None:
    """Sort by a column, on the page that has it; the same one again turns the order round."""
    choice = desk.selection.run
    if name == choice.sort != "order":
        choice = replace(choice, descending=not choice.descending)
    else:
        choice = replace(choice, sort=name, descending=name not in ("name", "shape"))
    pages = column_pages(desk.room.width)
    having = [n for n, page in enumerate(pages) if name in [column.sort for column in page]]
    if having and choice.columns % len(pages) not in having:
        choice = replace(choice, columns=having[0])
    choose(desk, choice)
    if name == "order":
        desk.say("in the order of the model")
    else:
        desk.say(
            f"sorted by {title_of(name)}, {'greatest' if choice.descending else 'least'} first"
        )
