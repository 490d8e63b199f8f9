"""Starts, layouts and edges as JSON, compressed; both ways.

Keys stand grouped, one line a tensor: its path, role, slot, call and phase, and the quantities that it has.
"""

from __future__ import annotations

import json
import math
import zlib
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Edges, Layout, ModuleInfo, ParameterInfo, Start
from gradtui.errors import InvalidContents

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gradtui.core.arrays import Array

_MAX_JSON: Final = 128 << 20
_MAX_ITEMS: Final = 12_000_000
_MAX_TEXT: Final = 4096
_PLACEMENTS: Final = ("local", "replicated", "sharded")


def compressed(value: object) -> Array:
    """Return a JSON value as compressed bytes: uint8 [k], k a multiple of 8.

    Special values: NaN and infinities become the texts "nan", "inf", "-inf"; what JSON does not know becomes a text.
    """
    data = zlib.compress(json_text(value).encode("utf-8", "backslashreplace"), 1)
    return np.frombuffer(data + bytes(-len(data) % 8), np.uint8)


def expanded(data: Array) -> Any:
    """Read compressed JSON.

    Raises:
        InvalidContents: it is damaged, of another form, or larger than 128 MiB or 12 million items.
    """
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(data.tobytes(), _MAX_JSON)
    except zlib.error:
        raise InvalidContents("compressed text that is damaged") from None
    if not inflater.eof:
        raise InvalidContents("compressed text that is cut off or too long")
    return parsed(text)


def json_text(value: object) -> str:
    """Return a value as JSON text."""
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False, default=str)
    except (ValueError, TypeError, RecursionError):
        return json.dumps(_plain(value, 0), separators=(",", ":"))


def parsed(text: bytes | str) -> Any:
    """Read JSON text of strangers.

    Raises:
        InvalidContents: it is not JSON, or has more than 12 million items.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if sum(data.count(each) for each in (b",", b"{", b"[")) > _MAX_ITEMS:
        raise InvalidContents("text with too many items")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidContents("text that is not JSON") from None


def from_start(start: Start) -> object:
    """Return a start as JSON-able values."""
    again = [[each.path, path] for each in start.modules for path in each.shared]
    return {
        "run": start.run,
        "model": start.model,
        "rank": start.rank,
        "world": start.world,
        "host": start.host,
        "pid": start.pid,
        "started": start.started,
        "torch": start.torch,
        "device": start.device,
        "settings": dict(start.settings),
        "modules": [[each.path, each.kind, each.extra] for each in start.modules],
        "parameters": [
            [
                each.path,
                each.name,
                list(each.shape),
                each.dtype,
                int(each.trainable),
                each.count,
                list(each.shared),
                each.placement,
            ]
            for each in start.parameters
        ],
        **({"again": again} if again else {}),
    }


def to_start(value: Any) -> Start:
    """Read a start; raises `InvalidContents`, `TypeError`, `ValueError` or `KeyError` for other forms."""
    settings = value["settings"]
    again: dict[str, list[str]] = {}
    for path, other in value.get("again", ()):
        again.setdefault(_text(path), []).append(_text(other))
    return Start(
        run=_text(value["run"]),
        model=_text(value["model"]),
        rank=_count(value["rank"]),
        world=_count(value["world"]),
        host=_text(value["host"]),
        pid=_count(value["pid"]),
        started=float(value["started"]),
        torch=_text(value["torch"]),
        device=_text(value["device"]),
        settings=settings if isinstance(settings, dict) else {},
        modules=tuple(
            [
                ModuleInfo(_text(path), _text(kind), _text(extra), tuple(again.get(path, ())))
                for path, kind, extra in value["modules"]
            ]
        ),
        parameters=tuple([_to_parameter(each) for each in value["parameters"]]),
    )


def from_keys(keys: Iterable[SeriesKey]) -> list[object]:
    """Return keys as JSON-able values."""
    return [
        [*tensor, [key.quantity for key in group]]
        for tensor, group in groupby(
            keys, key=lambda key: (key.path, key.role, key.slot, key.call, key.phase)
        )
    ]


def to_keys(value: Any) -> tuple[SeriesKey, ...]:
    """Read keys; raises as `to_start`."""
    return tuple(
        [
            SeriesKey(path, role, quantity, slot, call, phase)
            for path, role, slot, call, phase, quantities in _tensors(value)
            for quantity in quantities
        ]
    )


def from_layout(layout: Layout) -> object:
    """Return a layout as JSON-able values."""
    return {"keys": from_keys(layout.keys), "sampled": list(layout.sampled)}


def to_layout(value: Any, number: int, holds: str) -> Layout:
    """Read a layout; raises as `to_start`."""
    if holds not in ("scalars", "histograms"):
        raise InvalidContents("a layout of something else")
    keys = to_keys(value["keys"])
    sampled = tuple([place for place in map(_count, value["sampled"]) if place < len(keys)])
    return Layout(number, cast("Any", holds), keys, sampled)


def from_edges(edges: Edges) -> object:
    """Return edges as JSON-able values."""
    return {
        "keys": from_keys(key for pair in edges.pairs for key in pair),
        "through": from_keys(key for pair in edges.through for key in pair),
        "whole": int(edges.whole),
    }


def to_edges(value: Any) -> Edges:
    """Read edges; raises as `to_start`."""
    keys, through = to_keys(value["keys"]), to_keys(value.get("through", []))
    if len(keys) % 2 or len(through) % 2:
        raise InvalidContents("an edge with one end")
    return Edges(_pairs(keys), _pairs(through), bool(value.get("whole")))


def _pairs(ends: tuple[SeriesKey, ...]) -> tuple[tuple[SeriesKey, SeriesKey], ...]:
    return tuple(zip(ends[::2], ends[1::2], strict=True))


def to_key(value: Any) -> SeriesKey:
    """Read one key; raises as `to_start`."""
    (key,) = to_keys(value)
    return key


def _tensors(value: Any) -> Iterable[tuple[str, Any, str, int, Any, Sequence[str]]]:
    # Paths and slots come again and again: one text each.
    known: dict[str, str] = {}
    for path, role, slot, call, phase, quantities in value:
        for text in (path, role, slot, phase, *quantities):
            if text not in known:
                known[_text(text)] = text
        if phase not in ("train", "eval"):
            raise InvalidContents("a phase of another name")
        yield (
            known[path],
            known[role],
            known[slot],
            _count(call),
            known[phase],
            [known[each] for each in quantities],
        )


def _to_parameter(value: Any) -> ParameterInfo:
    path, name, shape, dtype, trainable, count, shared, placement = value
    if placement not in _PLACEMENTS:
        raise InvalidContents("a placement of another name")
    return ParameterInfo(
        _text(path),
        _text(name),
        tuple(map(_count, shape)),
        _text(dtype),
        bool(trainable),
        _count(count),
        tuple(map(_text, shared)),
        placement,
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise InvalidContents("a text of another form")
    return value


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise InvalidContents("a number of another form")
    return value


def _plain(value: object, depth: int) -> object:
    if depth > 8:
        return str(value)[:_MAX_TEXT]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(key): _plain(each, depth + 1) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each, depth + 1) for each in value]
    return str(value)[:_MAX_TEXT]
