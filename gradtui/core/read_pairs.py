"""One value of ``gradient_flows`` to a pair: read without its layers first, then fitted to them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from gradtui.core.arrays import as_floats, no_floats
from gradtui.core.contents import MOST_NODES, number, real_array, said, shown_shape, whole_numbers
from gradtui.core.estimate import estimate as estimated_flow
from gradtui.core.explicit import explicit_flow, is_explicit
from gradtui.core.flow_forms import DenseFlow, SummedFlow
from gradtui.core.session import Pair
from gradtui.core.sparse_flow import SparseFlow
from gradtui.errors import InvalidContents

if TYPE_CHECKING:
    from gradtui.core.arrays import Array, Floats
    from gradtui.core.flow import Flow
    from gradtui.core.layer import Layer
    from gradtui.core.session import Kind


@dataclass(frozen=True, slots=True)
class Draft:
    """What the file says of a pair, before it is known what its layers are.

    Attributes:
        key: source and target.
        form: a matrix, a list of links, sums alone, or nothing.
        matrix: [N, M] for a matrix.
        cells: rows and columns of the source's cells, then of the target's, for a list.
        values: of the listed links; empty where the file gives none.
        valued: whether it gives some.
        row_sums: for sums alone.
        column_sums: for sums alone.
        entry: what ``meta`` says of the pair.
    """

    key: tuple[str, str]
    form: Literal["dense", "listed", "summed", "none"]
    matrix: Array = field(default_factory=lambda: np.zeros((0, 0)))
    cells: tuple[Array, ...] = ()
    values: Array = field(default_factory=no_floats)
    valued: bool = False
    row_sums: Floats = field(default_factory=no_floats)
    column_sums: Floats = field(default_factory=no_floats)
    entry: Mapping[object, object] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The name of the source layer."""
        return self.key[0]

    @property
    def target(self) -> str:
        """The name of the target layer."""
        return self.key[1]

    @property
    def has_numbers(self) -> bool:
        """Whether the file gives anything from which a layer's gradient can be summed."""
        return self.form != "none"

    def sums(self, *, source: bool) -> tuple[Floats, tuple[int, int]]:
        """Return row sums (or column sums) and the shape of the map that they fill as far as the pair knows.

        Raises:
            InvalidContents: listed cells so far out that only a hostile file has them.
        """
        if self.form == "listed":
            rows, columns = self.cells[:2] if source else self.cells[2:]
            # As Python's integers: an unsigned dtype has no -1 to begin with.
            shape = (1 + int(rows.max()), 1 + int(columns.max())) if rows.size else (0, 0)
            if shape[0] * shape[1] > MOST_NODES:
                raise InvalidContents(
                    f"gradient_flows {said(self.key)}: cells of a map of {shown_shape(shape)}, which no gradient vouches for"
                )
            total = np.zeros(shape)
            with np.errstate(over="ignore", invalid="ignore"):
                np.add.at(total, (rows.astype(np.intp), columns.astype(np.intp)), self._weights())
            return total.ravel(), shape
        if self.form == "summed":
            found = self.row_sums if source else self.column_sums
        else:
            flow = DenseFlow(self.matrix)
            found = flow.row_sums() if source else flow.column_sums()
        return found, (1, found.size)

    def _weights(self) -> Floats:
        return as_floats(self.values) if self.valued else np.ones(self.cells[0].size)


def draft(key: tuple[str, str], value: object, entry: Mapping[object, object]) -> Draft:
    """Return what a value of ``gradient_flows`` says.

    Raises:
        InvalidContents: it is neither None, nor a matrix, nor a list of links.
    """
    what = f"gradient_flows {said(key)}"
    if value is None:
        if entry.get("form") != "summed":
            return Draft(key, "none", entry=entry)
        rows = as_floats(real_array(entry.get("row_sums"), f"{what}: row_sums").ravel())
        columns = as_floats(real_array(entry.get("column_sums"), f"{what}: column_sums").ravel())
        return Draft(key, "summed", row_sums=rows, column_sums=columns, entry=entry)
    if isinstance(value, Mapping):
        return _listed(key, value, entry, what)
    matrix = real_array(value, what)
    if matrix.ndim != 2:
        raise InvalidContents(f"{what}: {matrix.ndim} dimensions; a flow is [N, M]")
    return Draft(key, "dense", matrix=matrix, entry=entry)


def _listed(
    key: tuple[str, str],
    value: Mapping[object, object],
    entry: Mapping[object, object],
    what: str,
) -> Draft:
    cells: list[Array] = []
    for side in ("indices_in", "indices_out"):
        both = value.get(side)
        if isinstance(both, np.ndarray) and both.ndim == 2 and both.shape[0] == 2:
            both = (both[0], both[1])
        if not isinstance(both, (list, tuple)) or len(both) != 2:
            raise InvalidContents(f"{what}: {side} is not a pair of rows and columns")
        cells.extend(whole_numbers(part, f"{what}: {side}") for part in both)
    if len({part.size for part in cells}) != 1:
        raise InvalidContents(f"{what}: its rows and columns differ in length")
    if any(int(part.min(initial=0)) < 0 for part in cells):
        raise InvalidContents(f"{what}: a cell below 0")
    # A number beyond every layer must not be taken for a size.
    if any(int(part.max(initial=0)) >= 1 << 31 for part in cells):
        raise InvalidContents(f"{what}: a cell beyond every map")
    given = value.get("values")
    if given is None:
        return Draft(key, "listed", cells=tuple(cells), entry=entry)
    values = real_array(given, f"{what}: values").ravel()
    if values.size == 1 and cells[0].size != 1:
        values = np.broadcast_to(values, cells[0].shape)
    if values.size != cells[0].size:
        raise InvalidContents(f"{what}: {values.size} values for {cells[0].size} links")
    return Draft(key, "listed", cells=tuple(cells), values=values, valued=True, entry=entry)


def finish(one: Draft, source: Layer, target: Layer, *, explicit: bool, estimate: str) -> Pair:
    """Return the pair between two layers.

    Raises:
        InvalidContents: shapes that do not match.
        UsageError: there is no such estimate.
    """
    kind: Kind
    flow: Flow
    if one.form == "none" and explicit and _has_neighbours(source, target):
        return Pair(*one.key, "explicit", explicit_flow(source.gradient))
    if one.form == "none":
        flow = estimated_flow(estimate, source.map(), target.map())
        return Pair(*one.key, "estimated", flow, estimate)
    if one.form == "dense":
        kind, flow = "measured", DenseFlow(one.matrix)
    elif one.form == "summed":
        count = number(one.entry.get("link_count"))
        kind = "measured"
        flow = SummedFlow(
            one.row_sums, one.column_sums, link_count=int(count) if 0 <= count < 2**62 else -1
        )
    else:
        kind, flow = "measured" if one.valued else "listed", _links(one, source, target)
    if flow.shape != (source.nodes, target.nodes):
        raise InvalidContents(
            f"gradient_flows {said(one.key)}: {flow.shape[0]}x{flow.shape[1]}, but {said(one.source)} has "
            f"{source.nodes} nodes and {said(one.target)} has {target.nodes}"
        )
    return Pair(
        *one.key,
        kind,
        flow,
        residual=_relative(number(one.entry.get("residual")), source),
        bypass=_bypass(one, source),
        bypass_share=number(one.entry.get("bypass_share")),
    )


def _has_neighbours(source: Layer, target: Layer) -> bool:
    return is_explicit(source.gradient) and source.shape == target.shape


def _links(one: Draft, source: Layer, target: Layer) -> SparseFlow:
    ends: list[Array] = []
    for layer, (rows, columns) in zip(
        (source, target), (one.cells[:2], one.cells[2:]), strict=True
    ):
        height, width = layer.shape
        if rows.size and (int(rows.max()) >= height or int(columns.max()) >= width):
            raise InvalidContents(
                f"gradient_flows {said(one.key)}: a cell outside {said(layer.name)}, which is {height}x{width}"
            )
        # Half the memory where the nodes allow it; a small dtype of the file might overflow.
        wide = np.int32 if layer.nodes <= np.iinfo(np.int32).max else np.int64
        nodes = rows.astype(wide)
        nodes *= width
        nodes += columns.astype(wide, copy=False)
        ends.append(nodes)
    if one.valued:
        return SparseFlow((source.nodes, target.nodes), ends[0], ends[1], one.values)
    # A link that is listed twice without a value is still one link.
    flat = np.unique(ends[0].astype(np.int64) * max(target.nodes, 1) + ends[1])
    sources, targets = np.divmod(flat, max(target.nodes, 1))
    return SparseFlow((source.nodes, target.nodes), sources, targets, np.ones(flat.size))


def _relative(residual: float, source: Layer) -> float:
    """The writer's residual, an absolute number, over the largest gradient that is finite."""
    if math.isnan(residual):
        return residual
    size = np.abs(as_floats(source.map()))
    largest = float(size[np.isfinite(size)].max(initial=0.0))
    if largest > 0:
        return abs(residual) / largest
    return 0.0 if residual == 0 else math.inf


def _bypass(one: Draft, source: Layer) -> Floats:
    value = one.entry.get("bypass")
    if value is None:
        return no_floats()
    what = f"meta of {said(one.key)}: bypass"
    bypass = as_floats(real_array(value, what).ravel())
    if bypass.size != source.nodes:
        raise InvalidContents(f"{what} has {bypass.size} numbers for {source.nodes} nodes")
    return bypass
