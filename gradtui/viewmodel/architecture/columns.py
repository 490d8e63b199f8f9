"""The columns of an architecture's table: which there are, and which fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gradtui.viewmodel.architecture.choices import COLUMNS

HOT_CELLS: Final = 6
"""Cells of the bar that tells how hot a row is."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column beside the names: its title, what it tells, and how wide it is."""

    title: str
    sort: str
    width: int


_ALWAYS: Final = (
    Column("out", "out", 17),
    Column("params", "params", 7),
    Column("FLOPs", "FLOPs", 7),
    Column("bytes", "bytes", 7),
    Column("hot", "hot", HOT_CELLS),
)
_LIVE: Final = (Column("|g|2", "gradient", 8), Column("flag", "flag", 8))
_DROPPED: Final = ("bytes", "out", "flag", "gradient", "hot", "FLOPs", "params")


def columns_of(width: int, *, live: bool) -> list[Column]:
    """The columns that fit beside the names in ``width`` columns of text; those of a run where there is one."""
    columns = [*_ALWAYS, *(_LIVE if live else ())]
    for name in _DROPPED:
        if sum(column.width + 1 for column in columns) + 32 <= width:
            break
        columns = [column for column in columns if column.sort != name]
    return columns


def sorting(width: int, *, live: bool) -> tuple[str, ...]:
    """What sorts, as the columns stand from the left: the names, then those of the others that sort."""
    shown = (column.sort for column in columns_of(width, live=live))
    return ("layer", *(name for name in shown if name in COLUMNS))
