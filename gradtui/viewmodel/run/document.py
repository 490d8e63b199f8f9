"""A watched run as the ``run`` part of ``gradtui show --json``, piece by piece."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.run.block import Block, merged
from gradtui.core.run.keys import DERIVED, SeriesKey
from gradtui.core.run.series import Columns
from gradtui.diagnosis.table import Table, bounded
from gradtui.viewmodel.document import known, plain_number
from gradtui.viewmodel.findings import finding_document
from gradtui.viewmodel.run.numbers import attached_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gradtui.core.arrays import Array, Floats
    from gradtui.core.run.records import ParameterInfo
    from gradtui.core.run.run import Run
    from gradtui.diagnosis.finding import Finding

_OF_FINITE: Final = ("l2", "l1", "sum", "zero_share", "dead_share", "saturated_share")
"""What cannot be told of a tensor without a finite value, and would read 0."""

POINTS: Final = 100
"""Points of a series, where nobody says otherwise."""


def run_parts(
    run: Run,
    findings: Sequence[Finding],
    notes: Sequence[str] = (),
    *,
    history: bool = False,
    points: int = POINTS,
) -> Iterator[str]:
    """Yield a run as JSON text, module by module and series by series.

    Args:
        run: what was read; the empty run gives ``null``.
        findings: about it.
        notes: of its folder, beside the run's own.
        history: with the series.
        points: the most points of a series; older steps are joined into spans. 0: all that is held.

    NaN and infinities are the strings "nan", "inf" and "-inf"; what is not known, or does not apply, is None.
    """
    if run.is_empty:
        yield "null"
        return
    head = _head(run, findings) | {"notes": list(dict.fromkeys([*run.notes, *notes]))}
    yield json.dumps(head, allow_nan=False)[:-1]
    yield ', "modules": ['
    yield from _joined(_modules(run))
    yield '], "attached": ['
    yield from _joined(_attached(run))
    yield "]"
    if history:
        yield ', "history": ['
        yield from _joined(_history(run, points))
        yield "]"
    yield "}"


def _joined(items: Iterable[dict[str, object]]) -> Iterator[str]:
    lead = ""
    for item in items:
        yield lead + json.dumps(item, allow_nan=False)
        lead = ", "


def _head(run: Run, findings: Sequence[Finding]) -> dict[str, object]:
    start = run.ranks[0].start
    scalars = run.column("run", "value")
    return {
        "id": start.run,
        "model": start.model,
        "world": run.world,
        "ranks": [rank.rank for rank in run.ranks],
        "torch": start.torch,
        "device": start.device,
        "started": start.started,
        "first_step": run.first_step,
        "last_step": run.last_step,
        "last_time": run.last_time,
        "scalars": {
            key.slot: {"value": plain_number(value), "step": step}
            for key, value, step in zip(
                scalars.keys, scalars.values.tolist(), scalars.steps.tolist(), strict=True
            )
            if step >= 0
        },
        "edges": [[_end(source), _end(target)] for source, target in run.edges.pairs],
        "edges_through_operations": [
            [_end(source), _end(target)] for source, target in run.edges.through
        ],
        "findings": [finding_document(finding) for finding in findings],
    }


def _end(key: SeriesKey) -> dict[str, object]:
    return {"path": key.path, "slot": key.slot, "call": key.call}


def _modules(run: Run) -> Iterator[dict[str, object]]:
    statistics = _statistics(run)
    owned: dict[str, list[ParameterInfo]] = {}
    for info in run.parameters:
        owned.setdefault(info.path, []).append(info)
    for module in run.modules:
        yield {
            "path": module.path,
            "class": module.kind,
            "extra": module.extra,
            "shared": list(module.shared),
            "parameters": [_parameter(info) for info in owned.get(module.path, ())],
            "statistics": statistics.get(module.path, []),
        }


def _attached(run: Run) -> Iterator[dict[str, object]]:
    """Tensors that were attached, which are no modules."""
    if attached := attached_of(run):
        statistics = _statistics(run)
        for path in attached:
            yield {"path": path, "statistics": statistics.get(path, [])}


def _parameter(info: ParameterInfo) -> dict[str, object]:
    return {
        "name": info.name,
        "shape": list(info.shape),
        "dtype": info.dtype,
        "trainable": info.trainable,
        "shared": list(info.shared),
        "placement": info.placement,
    }


def _statistics(run: Run) -> dict[str, list[dict[str, object]]]:
    """The last numbers of each tensor by module: what was recorded, and the shares and means of it."""
    found: dict[str, list[dict[str, object]]] = {}
    tensors: dict[SeriesKey, dict[str, object]] = {}
    for role, quantity, phase in _groups(run, derived=True):
        if role == "run":
            continue
        column = run.column(role, quantity, phase)
        for key, value, step in zip(
            column.keys, column.values.tolist(), column.steps.tolist(), strict=True
        ):
            if step < 0 or np.isnan(value):
                continue
            whose = key.of("")
            tensor = tensors.get(whose)
            if tensor is None:
                tensor = tensors[whose] = {
                    "role": key.role,
                    "slot": key.slot,
                    "call": key.call,
                    "phase": key.phase,
                    "step": step,
                    "sampled": run.sampled(key),
                }
                found.setdefault(key.path, []).append(tensor)
            tensor[quantity] = known(value)
    for tensor in tensors.values():
        if _is_lost(tensor):
            tensor.update((name, "nan") for name in _OF_FINITE if name in tensor)
    return found


def _is_lost(tensor: dict[str, object]) -> bool:
    """Whether a tensor has no finite value; the gradients of most steps come without a count."""
    spoilt = sum(value for kind in ("nan", "inf") if isinstance(value := tensor.get(kind), float))
    count = tensor.get("count")
    if isinstance(count, float) and count > 0:
        return spoilt >= count
    return spoilt > 0 and tensor.get("l2") == 0


def _groups(run: Run, *, derived: bool = False) -> list[tuple[str, str, str]]:
    """The roles, quantities and phases that the run has series of, in their order."""
    groups = dict.fromkeys((key.role, key.quantity, key.phase) for key in run.keys)
    if derived:
        for name, (above, below) in DERIVED.items():
            for role, quantity, phase in list(groups):
                whole = (role, below, phase) in groups or below == "count"
                if quantity == above and whole and role not in ("run", "module"):
                    groups[role, name, phase] = None
    return [(str(role), quantity, str(phase)) for role, quantity, phase in groups]


def _history(run: Run, points: int) -> Iterator[dict[str, object]]:
    for role, quantity, phase in _groups(run):
        for block in _joined_blocks(run.blocks(role, quantity, phase), logged=role == "run"):
            yield from _series(run, block, points, logged=role == "run")


def _joined_blocks(blocks: Sequence[Columns], *, logged: bool) -> Iterator[Columns]:
    """Yield blocks in which each series stands once: those of several blocks joined in the order of the steps."""
    homes: dict[SeriesKey, list[tuple[int, int]]] = {}
    for number, block in enumerate(blocks):
        for column, key in enumerate(block.keys):
            homes.setdefault(key, []).append((number, column))
    groups: dict[tuple[int, ...], list[SeriesKey]] = {}
    for key, places in homes.items():
        groups.setdefault(tuple(number for number, _ in places), []).append(key)
    for numbers, keys in groups.items():
        if len(numbers) == 1 and len(keys) == len(blocks[numbers[0]].keys):
            yield blocks[numbers[0]]
            continue
        parts = []
        for place, number in enumerate(numbers):
            block, at = blocks[number], [homes[key][place][1] for key in keys]
            low, high, last = (array[:, at] for array in (block.low, block.high, block.last))
            parts.append(Block(block.first, block.steps, low, high, last))
        whole = merged(parts, 1, np.full(len(keys), logged))
        yield Columns(tuple(keys), whole.first, whole.final, whole.last, whole.low, whole.high)


def _series(run: Run, block: Columns, points: int, *, logged: bool) -> Iterator[dict[str, object]]:
    last, low, high = (np.asarray(a, np.float64) for a in (block.last, block.low, block.high))
    table = Table(block.keys, block.first, block.steps, low, high, last)
    if points:
        table = bounded(table, 0, points)
    rows = np.searchsorted(block.steps, table.ends)
    spans = bool(np.any(table.steps != table.ends))
    for column, key in enumerate(table.keys):
        # A scalar of the run that was NaN at the end of a span was NaN; elsewhere that is no value.
        values = last[rows, column] if logged else table.last[:, column]
        there = np.ones(len(values), np.bool_) if logged else ~np.isnan(values)
        if not there.any():
            continue
        yield {
            "path": key.path,
            "role": key.role,
            "slot": key.slot,
            "call": key.call,
            "phase": key.phase,
            "quantity": key.quantity,
            "sampled": run.sampled(key),
            "steps": table.ends[there].tolist(),
            "values": _plain(_told(run, key, table.ends[there], values[there])),
            "low": _plain(table.low[there, column]) if spans else None,
            "high": _plain(table.high[there, column]) if spans else None,
        }


def _told(run: Run, key: SeriesKey, steps: Array, values: Floats) -> Floats:
    """Norms and sums of tensors that had no finite value at a step are NaN there, not 0."""
    if key.role == "run" or key.quantity not in _OF_FINITE or not np.any(values == 0):
        return values
    spoilt = np.zeros(len(values), np.bool_)
    for kind in ("nan", "inf"):
        counts = run.series(key.of(kind))
        spoilt |= np.isin(steps, counts.steps[counts.values > 0])
    return np.where((values == 0) & spoilt, np.nan, values)


def _plain(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[float | str]:
    return [plain_number(value) for value in values.tolist()]
