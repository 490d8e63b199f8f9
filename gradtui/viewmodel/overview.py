"""The layers as a tree of module paths: rows that fold, sort and filter, and their lines."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gradtui.viewmodel.summary import FLAGS, Finding, LayerNumbers, Summary
from gradtui.viewmodel.text import Span, TextLine, cell_width, number, printable, safe_label

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from gradtui.core.layer import Layer

DEEPEST: Final = 24
"""Levels of a module path that are told apart; what is below stays in one label."""

ROLE_OF_FLAG: Final = {"X": "bad", "!": "warn", "v": "warn", ".": "dim"}


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """One row: a layer, a group of layers, or both where a module has submodules.

    Attributes:
        path: the module path of the group or layer; what `folds` and filters know it by.
        layer: the layer's name; empty for a mere group.
        label: the part of the path that this row adds, printable.
        depth: how far it is indented.
        children: how many layers lie below.
        folded: whether they are hidden.
        shape: rows and columns; (0, 0) for a group.
        numbers: of the layer, or of all layers below when folded.
        finding: the worst of the layer, or of all that the row hides.
    """

    path: str
    layer: str
    label: str
    depth: int = 0
    children: int = 0
    folded: bool = False
    shape: tuple[int, int] = (0, 0)
    numbers: LayerNumbers = field(default_factory=LayerNumbers)
    finding: Finding = field(default_factory=lambda: Finding("", ".", "", ""))


@dataclass(slots=True)
class _Branch:
    path: str
    label: str
    layer: Layer | None = None
    below: dict[str, _Branch] = field(default_factory=dict)

    def layers(self) -> Iterator[Layer]:
        if self.layer is not None:
            yield self.layer
        for branch in self.below.values():
            yield from branch.layers()


def overview_rows(
    summary: Summary,
    *,
    folds: AbstractSet[str] = frozenset(),
    sort: str = "order",
    descending: bool = True,
    filter: str = "",
) -> tuple[OverviewRow, ...]:
    """Return the rows of the Overview.

    Args:
        summary: what `summarize` gave.
        folds: paths of groups whose layers are hidden.
        sort: "order" gives the tree in dataflow order; any other column a flat list.
        descending: the direction of any order but the tree's.
        filter: only layers whose name contains it, in any case, as a flat list where it is set.
    """
    wanted = [
        layer for layer in summary.layers if not filter or filter.lower() in layer.name.lower()
    ]
    if filter or sort != "order":
        rows = [_layer_row(summary, layer, printable(layer.name), 0) for layer in wanted]
        if sort != "order":
            rows.sort(key=lambda row: _sort_key(row, sort, descending), reverse=descending)
        return tuple(rows)
    return tuple(_walk(summary, _tree(wanted), folds, 0))


def group_paths(summary: Summary) -> frozenset[str]:
    """Return the paths of all groups, which is what folding everything folds."""
    return frozenset(_groups(_tree(summary.layers)))


def _groups(branch: _Branch) -> Iterator[str]:
    for child in branch.below.values():
        if child.below:
            yield child.path
            yield from _groups(child)


def _tree(layers: Iterable[Layer]) -> _Branch:
    root = _Branch("", "")
    for layer in layers:
        branch = root
        parts = layer.name.split(".", DEEPEST - 1)
        for depth, part in enumerate(parts):
            path = ".".join(parts[: depth + 1])
            branch = branch.below.setdefault(part, _Branch(path, part))
        branch.layer = layer
    _joined(root)
    return root


def _joined(branch: _Branch) -> None:
    """Join groups that hold one thing alone with it: a row for each of them would say nothing."""
    for key, child in branch.below.items():
        while child.layer is None and len(child.below) == 1:
            (only,) = child.below.values()
            child = _Branch(only.path, f"{child.label}.{only.label}", only.layer, only.below)  # noqa: PLW2901
        branch.below[key] = child
        _joined(child)


def _walk(
    summary: Summary, branch: _Branch, folds: AbstractSet[str], depth: int
) -> Iterator[OverviewRow]:
    for child in branch.below.values():
        label = printable(child.label)
        if not child.below:
            if child.layer is not None:
                yield _layer_row(summary, child.layer, label, depth)
            continue
        below = list(child.layers())
        folded = child.path in folds
        if folded:
            yield OverviewRow(
                child.path,
                child.layer.name if child.layer is not None else "",
                label,
                depth,
                len(below),
                True,
                (0, 0),
                _together([summary.numbers[layer.name] for layer in below]),
                min((summary.worst(layer.name) for layer in below), key=_severity),
            )
            continue
        if child.layer is None:
            yield OverviewRow(child.path, "", label, depth, len(below))
        else:
            own = _layer_row(summary, child.layer, label, depth)
            yield OverviewRow(
                child.path, own.layer, label, depth, len(below), False, own.shape, own.numbers,
                own.finding,
            )  # fmt: skip
        yield from _walk(summary, child, folds, depth + 1)


def _layer_row(summary: Summary, layer: Layer, label: str, depth: int) -> OverviewRow:
    return OverviewRow(
        layer.name,
        layer.name,
        label,
        depth,
        shape=(int(layer.shape[0]), int(layer.shape[1])),
        numbers=summary.numbers[layer.name],
        finding=summary.worst(layer.name),
    )


def _severity(finding: Finding) -> int:
    return FLAGS.index(finding.flag)


def _together(numbers: Sequence[LayerNumbers]) -> LayerNumbers:
    """Several layers as one: norms add in squares, extremes and counts as they are."""
    finite = [n for n in numbers if not math.isnan(n.norm)]
    return LayerNumbers(
        sum(n.nodes for n in numbers),
        math.hypot(*(n.norm for n in finite)) if finite else math.nan,
        min((n.minimum for n in finite), default=math.nan),
        max((n.maximum for n in finite), default=math.nan),
        sum(n.nonfinite for n in numbers),
        sum(n.zeros for n in numbers),
    )


def _sort_key(row: OverviewRow, sort: str, descending: bool) -> tuple[float, str]:
    """The key of a column; what is unknown comes last in either direction."""
    if sort == "name":
        return (0.0, row.layer)
    numbers = row.numbers
    value = {
        "norm": numbers.norm,
        "change": numbers.change,
        "min": numbers.minimum,
        "max": numbers.maximum,
        "nonfinite": float(numbers.nonfinite),
        "zero": numbers.zero_share,
        "flag": float(-_severity(row.finding)),
    }[sort]
    if math.isnan(value):
        value = -math.inf if descending else math.inf
    return (value, "")


@dataclass(frozen=True, slots=True)
class _Column:
    sort: str
    title: str
    width: int


_NAME_WIDTH: Final = 22
_COLUMNS: Final = (
    _Column("shape", "shape", 9),
    _Column("norm", "|g|2", 8),
    _Column("min", "min", 8),
    _Column("max", "max", 8),
    _Column("zero", "zero", 5),
    _Column("change", "change", 8),
    _Column("nonfinite", "nonfin", 6),
    _Column("flag", "flag", 8),
)
# What goes first where the screen is narrow.
_DROPPED: Final = ("nonfinite", "zero", "min", "max", "shape", "change", "norm")


def _columns(width: int) -> list[_Column]:
    columns = list(_COLUMNS)
    if width < 40:
        columns = [_Column("norm", "|g|2", 7), _Column("flag", "", 1)]
    for name in _DROPPED:
        if sum(column.width + 1 for column in columns) + min(_NAME_WIDTH, width // 2) <= width:
            break
        columns = [column for column in columns if column.sort != name]
    return columns


def overview_header(
    width: int, sort: str = "order", descending: bool = True, *, ascii: bool = False
) -> TextLine:
    """Return the line above the rows; the column that sorts is marked."""
    columns = _columns(width)
    room = width - sum(column.width + 1 for column in columns)
    arrow = ("v" if descending else "^") if ascii else ("▾" if descending else "▴")
    spans = [Span(_left("  layer" + (arrow if sort == "name" else ""), room), "dim")]
    for column in columns:
        title = column.title + (arrow if column.sort == sort else "")
        pad = title.ljust if column.sort == "flag" else title.rjust
        spans.append(
            Span(" " + pad(column.width)[: column.width], "title" if column.sort == sort else "dim")
        )
    return tuple(spans)


def overview_line(row: OverviewRow, width: int, *, ascii: bool = False) -> TextLine:
    """Return one row as a line of exactly ``width`` columns (of none below 8)."""
    if width < 8:
        return ()
    columns = _columns(width)
    room = width - sum(column.width + 1 for column in columns)
    fold = ("+", "-") if ascii else ("▸", "▾")
    sign = fold[0 if row.folded else 1] if row.children else " "
    count = f"  ({row.children})" if row.folded else ""
    indent = " " * min(2 * row.depth, max(room // 3, 0))
    lead = f"{indent}{sign} "
    label = safe_label(row.label, max(room - len(lead) - len(count), 1))
    group = bool(row.children) and not row.layer
    spans = [Span(_left(lead + label, room - len(count)) + count, "title" if group else "")]
    for column in columns:
        text, role = _cell(row, column)
        padded = text.ljust(column.width) if column.sort == "flag" else text.rjust(column.width)
        spans.append(Span(" " + padded, role))
    return tuple(span for span in spans if span.text)


def _left(text: str, width: int) -> str:
    short = safe_label(text, max(width, 1), keep="start")
    return short + " " * max(width - cell_width(short), 0)


def _cell(row: OverviewRow, column: _Column) -> tuple[str, str]:
    """The text and the role of one cell."""
    numbers, width = row.numbers, column.width
    if not numbers.nodes and column.sort != "flag":
        return "", ""
    if column.sort == "shape":
        text = f"{row.shape[0]}x{row.shape[1]}" if row.layer and not row.folded else ""
        return text if len(text) <= width else text[: width - 1] + "…", "dim"
    if column.sort == "flag":
        finding = row.finding
        if width == 1:
            return finding.flag, ROLE_OF_FLAG[finding.flag]
        return f"{finding.flag} {finding.word}".strip()[:width], ROLE_OF_FLAG[finding.flag]
    if column.sort == "nonfinite":
        return (str(numbers.nonfinite)[:width], "bad") if numbers.nonfinite else ("·", "dim")
    if column.sort == "zero":
        return percent(numbers.zero_share), "dim"
    value = {
        "norm": numbers.norm,
        "min": numbers.minimum,
        "max": numbers.maximum,
        "change": numbers.change,
    }[column.sort]
    if column.sort == "change":
        return ("-", "dim") if math.isnan(value) else (number(value, width, digits=2), "value")
    role = {"min": "negative", "max": "positive"}.get(column.sort, "value")
    return number(value, width, digits=3), role if value else "dim"


def percent(share: float) -> str:
    """A share in per cent, in at most five columns; empty where it is not known."""
    if math.isnan(share):
        return ""
    if share in (0.0, 1.0):
        return f"{abs(share):.0%}"
    return f"{share:.1%}" if 0.0005 <= share < 0.9995 else "<0.1%" if share < 0.5 else "~100%"


def overview_tsv(rows: Iterable[OverviewRow]) -> str:
    """Return the layers among the rows as tab-separated text with a header."""
    lines = ["layer\trows\tcolumns\tnorm\tmin\tmax\tnonfinite\tzero_share\tchange\tflag\tfinding"]
    for row in rows:
        if row.layer and not row.folded:
            n = row.numbers
            cells = (
                printable(row.layer), row.shape[0], row.shape[1], repr(n.norm), repr(n.minimum),
                repr(n.maximum), n.nonfinite, repr(n.zero_share), repr(n.change),
                row.finding.flag, row.finding.text,
            )  # fmt: skip
            lines.append("\t".join(str(cell) for cell in cells))
    return "\n".join(lines) + "\n"
