"""Rows of the Overview of a run as lines, and as tab-separated text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.viewmodel.overview import ROLE_OF_FLAG, percent
from gradtui.viewmodel.run.flags import ROLES, sign, word
from gradtui.viewmodel.run.numbers import POINTS
from gradtui.viewmodel.text import (
    Span,
    TextLine,
    cell_width,
    number,
    printable,
    safe_label,
    shorten,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.arrays import Floats, Indices
    from gradtui.diagnosis.finding import Finding
    from gradtui.viewmodel.run.numbers import Numbers
    from gradtui.viewmodel.run.training import Training

BARS: Final = "▁▂▃▄▅▆▇█"
ASCII_BARS: Final = "_.-:=+*#"
KEPT_MARK: Final = " k"
"""After the name of a module of which full tensors are kept: `v` shows them."""
TENSOR_MARK: Final = ("◇", "o")
"""Before the name of a tensor that was attached; the second without block characters."""
LEAST_DECADES: Final = 1.0
"""A trend of less than so many decades does not fill its bars: what is flat looks flat."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: what it sorts by, its title, its width."""

    sort: str
    title: str
    width: int


_NAME_WIDTH: Final = 22
_FLAGS_IN_WORDS: Final = 41
"""Columns from which every column fits beside flags in words; below that a flag is its sign."""
_COLUMNS: Final = (
    Column("shape", "shape", 9),
    Column("weight", "|W|2", 7),
    Column("gradient", "|dW|2", 7),
    Column("trend", "grad trend", POINTS),
    Column("ratio", "upd/W", 7),
    Column("zeros", "zero", 5),
    Column("dead", "dead", 5),
    Column("output_gradient", "|dy|2", 7),
    Column("seconds", "ms", 6),
    Column("flag", "flag", 8),
)
_WANTED: Final = (
    "gradient", "trend", "ratio", "weight", "shape", "zeros", "dead", "output_gradient", "seconds",
)  # fmt: skip
"""What is looked at most comes first: where the screen is narrow, the rest stands on other pages."""


@lru_cache(maxsize=64)
def column_pages(width: int) -> tuple[tuple[Column, ...], ...]:
    """Return the pages of columns for a width: on each as many as fit beside the names, and each column on one.

    The first has what is looked at most, and so have the others where there is room left. What does not fit alone is
    on none.
    """
    *columns, flag = _COLUMNS
    if width < _FLAGS_IN_WORDS:
        flag = Column("flag", "", 1)
    wanted = [next(one for one in columns if one.sort == name) for name in _WANTED]
    room = width - min(_NAME_WIDTH, width // 2) - flag.width - 1
    shown = _fitting(wanted, room)
    pages = [shown]
    columns = [one for one in columns if one.width < room]
    while fresh := _fitting([one for one in columns if one not in shown], room):
        left = room - sum(one.width + 1 for one in fresh)
        pages.append(fresh + _fitting([one for one in wanted if one not in fresh], left))
        shown = shown + fresh
    return tuple((*(one for one in _COLUMNS if one in page), flag) for page in pages)


def _fitting(columns: Sequence[Column], room: int) -> list[Column]:
    """The first of some columns, as many as fit with a blank before each."""
    found = []
    for one in columns:
        room -= one.width + 1
        if room < 0:
            break
        found.append(one)
    return found


def columns_of(width: int, page: int = 0) -> tuple[Column, ...]:
    """Return the columns of a page; after the last page comes the first."""
    pages = column_pages(width)
    return pages[page % len(pages)]


def title_of(sort: str) -> str:
    """Return the title of what rows are sorted by, as it stands above them."""
    titles = {"name": "layer"} | {column.sort: column.title for column in _COLUMNS}
    return titles.get(sort, sort)


def header(
    width: int,
    sort: str,
    descending: bool,
    *,
    page: int = 0,
    sampled: bool = False,
    ascii: bool = False,
) -> TextLine:
    """Return the line above the rows; the column that sorts is marked."""
    columns = columns_of(width, page)
    room = max(width - sum(column.width + 1 for column in columns), 1)
    arrow = ("v" if descending else "^") if ascii else ("▾" if descending else "▴")
    name = "  layer" + (arrow if sort == "name" else "")
    spans = [Span(name[:room].ljust(room), "title" if sort == "name" else "dim")]
    for column in columns:
        # A ratio from a sample of each parameter is marked.
        title = ("~" if column.sort == "ratio" and sampled else "") + column.title
        title += arrow if column.sort == sort else ""
        pad = title.ljust if column.sort in ("flag", "trend") else title.rjust
        role = "title" if column.sort == sort else "dim"
        spans.append(Span(" " + pad(column.width)[: column.width], role))
    return tuple(spans)


def row(
    training: Training,
    node: int,
    width: int,
    *,
    flat: bool,
    folded: bool,
    page: int = 0,
    ascii: bool = False,
) -> TextLine:
    """Return the row of a node as a line of exactly ``width`` columns (of none below 8).

    Args:
        training: what `training_of` gave.
        node: one of its nodes.
        width: columns.
        flat: the rows are a list, with whole paths.
        folded: what is below the node is hidden.
        page: which of `column_pages`.
        ascii: without block characters.
    """
    if width < 8:
        return ()
    tree = training.tree
    columns = columns_of(width, page)
    room = width - sum(column.width + 1 for column in columns)
    has_below = bool(node) and int(tree.ends[node]) > node + 1
    group = has_below and not flat
    fold = ("+", "-") if ascii else ("▸", "▾")
    mark = (fold[0] if folded else fold[1]) if group else " "
    if tree.tensors[node]:
        mark = TENSOR_MARK[ascii]
    repeats = int(tree.repeats[node])
    count = f" ×{repeats}" if repeats else ""
    indent = " " * (0 if flat else min(2 * int(tree.depths[node]), max(room // 3, 0)))
    lead = f"{indent}{mark} "
    text = printable(tree.paths[node]) if flat else tree.labels[node]
    if repeats and tree.labels[node].startswith("["):
        text = f"{text} {printable(tree.kinds[node])}"
    if (same := tree.aliases.get(tree.paths[node])) is not None:
        text = f"{text} = {printable(same)}"
    inside = range(node, int(tree.ends[node]) if folded else node + 1)
    kept = KEPT_MARK if any(each in inside for each in training.kept) else ""
    label = safe_label(text, max(room - len(lead) - len(count) - len(kept), 1))
    name = shorten(lead + label + count, max(room - len(kept), 1), keep="start")
    # Below a module there may be tensors and second names alone: then all numbers and flags are its own.
    group = group and not tree.tips[node]
    blank = " " * max(room - cell_width(name) - len(kept), 0)
    role = "title" if group else ""
    spans = [Span(name, role), Span(kept + blank, "dim")] if kept else [Span(name + blank, role)]
    whole = folded or not group
    for column in columns:
        shown, role = _cell(training, node, column, ascii=ascii, whole=whole)
        left = column.sort in ("flag", "trend")
        spans.append(
            Span(" " + (shown.ljust(column.width) if left else shown.rjust(column.width)), role)
        )
    return tuple(spans)


def _cell(
    training: Training, node: int, column: Column, *, ascii: bool, whole: bool
) -> tuple[str, str]:
    """The text and the role of one cell; a group that is unfolded leaves the trend and flags to its rows."""
    numbers, tree, width = training.numbers, training.tree, column.width
    if column.sort == "shape":
        text = tree.shapes[node]
        return (text if len(text) <= width else text[: width - 1] + "…"), "dim"
    if column.sort == "flag":
        return _flag(training, node, width, whole=whole)
    if column.sort == "trend":
        return sparkline(training.trends[node], ascii=ascii), "value" if whole else "dim"
    if _is_spoilt(numbers, node, column.sort):
        return "nan", "bad"
    value = float(getattr(numbers, column.sort)[node])
    if math.isinf(value) and column.sort != "ratio":
        # Too large for the type it was summed in. A step from a weight of 0 is no fault.
        return number(value, width), "bad"
    if math.isnan(value):
        # No gradient is none, not 0.
        has = column.sort == "gradient" and (
            tree.paths[node] in tree.parameters or bool(tree.tensors[node])
        )
        return ("none" if has else "·"), "dim"
    if column.sort in ("zeros", "dead"):
        return percent(value), "" if value >= 0.5 else "dim"
    if column.sort == "seconds":
        return number(1e3 * value, width, digits=2), "dim"
    if column.sort in ("gradient", "ratio"):
        return scientific(value), ("value" if whole else "dim")
    return number(value, width, digits=2), ("value" if whole else "dim")


def _is_spoilt(numbers: Numbers, node: int, sort: str) -> bool:
    """Whether a number is of a tensor that is not all finite, or of an output that has no finite value at all."""
    if sort in ("gradient", "weight"):
        counts = numbers.nonfinite if sort == "gradient" else numbers.weight_nonfinite
        return float(counts[node]) > 0
    if sort == "ratio" and not numbers.tree.tensors[node]:
        # What was lost has no norm that a step could be held against.
        return math.isnan(float(numbers.weight[node])) and float(numbers.weight_nonfinite[node]) > 0
    if sort == "output_gradient":
        return bool(numbers.lost_gradient[node])
    return sort in ("zeros", "dead") and bool(numbers.lost[node])


def scientific(value: float) -> str:
    """Return a number as ``2.2e-3``: in columns of norms the exponent is what is looked for."""
    if not value or not math.isfinite(value):
        return number(value, 7)
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def _flag(training: Training, node: int, width: int, *, whole: bool) -> tuple[str, str]:
    flags = training.flags
    severity = int(flags.worst[node])
    if not severity:
        return ".", "dim"
    if not whole and not flags.at(node):
        # The mark alone says that there is one below; the rows there have its word.
        return sign(flags.below(node, int(training.tree.ends[node]))[0]), "dim"
    found = flags.below(node, int(training.tree.ends[node])) if whole else flags.at(node)
    if not node and found[0].severity == "note" and not flags.at(node):
        # A note about a part is no judgement of the model.
        return ".", "dim"
    return flag_text(found[0], width)


def flag_text(finding: Finding, width: int) -> tuple[str, str]:
    """Return a finding's flag and word, and its role; what is over is dim."""
    mark = sign(finding)
    role = ROLES[finding.severity] if finding.ongoing else "dim"
    return f"{mark} {word(finding)}"[:width].rstrip(), ROLE_OF_FLAG[mark] if role != "dim" else role


def sparkline(trend: Floats, *, ascii: bool = False) -> str:
    """Return a course as bars, by its logarithms; ``x`` where it was not finite.

    Between two measurements it stays as it was; before the first and after the last it is blank.
    """
    return _bars(trend.tobytes(), ASCII_BARS if ascii else BARS)


@lru_cache(maxsize=1024)
def _bars(trend: bytes, bars: str) -> str:
    """The bars of a course, float64: most stay as they are from one picture to the next."""
    values = _filled(np.frombuffer(trend).tolist())
    finite = [value for value in values if -math.inf < value < math.inf]
    if not finite:
        return "".join("x" if value == math.inf else " " for value in values)
    low, high = min(finite), max(finite)
    spread = max(high - low, LEAST_DECADES)
    low = (low + high - spread) / 2
    cells = []
    for value in values:
        if math.isnan(value):
            cells.append(" ")
        elif math.isinf(value):
            cells.append("x")
        else:
            cells.append(bars[min(int((value - low) / spread * len(bars)), len(bars) - 1)])
    return "".join(cells)


def _filled(values: list[float]) -> list[float]:
    known = [place for place, value in enumerate(values) if value == value]
    for place in range(known[0], known[-1]) if known else ():
        if math.isnan(values[place]):
            values[place] = values[place - 1]
    return values


def tsv(training: Training, nodes: Sequence[int] | Indices) -> str:
    """Return the rows as tab-separated text with a header; NaN says that there is nothing."""
    names = (
        "weight",
        "gradient",
        "nonfinite",
        "ratio",
        "zeros",
        "dead",
        "output_gradient",
        "seconds",
    )
    lines = ["\t".join(("module", "class", "shape", *names, "flag", "finding"))]
    tree = training.tree
    for node in nodes:
        place = int(node)
        values = [repr(float(getattr(training.numbers, name)[place])) for name in names]
        found = training.flags.at(place)
        cells = [
            printable(tree.paths[place]), printable(tree.kinds[place]), tree.shapes[place], *values,
            sign(found[0]) if found else ".", printable(found[0].what) if found else "",
        ]  # fmt: skip
        lines.append("\t".join(cells))
    return "\n".join(lines) + "\n"
