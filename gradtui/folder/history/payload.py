"""Records as bytes, and bytes as records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.run.records import (
    Event,
    Histograms,
    Kept,
    Layout,
    Scalars,
    Start,
)
from gradtui.errors import InvalidContents
from gradtui.folder.history import plain
from gradtui.folder.history.tensors import array_of, header_of, packed

if TYPE_CHECKING:
    from gradtui.core.arrays import Array
    from gradtui.core.run.records import Record
    from gradtui.folder.history.tensors import Header, Slot

MOST_BINS: Final = 4096
"""Of one histogram: no watcher takes more, and no reader."""
_MAX_TEXT: Final = 4096
_MAX_FIELDS: Final = 200_000
_MAX_EXPONENT: Final = 256


def encode(record: Record) -> list[bytes]:
    """Return the payload of a record, in pieces.

    Raises:
        ValueError: it cannot be written: arrays of the wrong shape, too much text.
    """
    if isinstance(record, Scalars):
        values = np.asarray(record.values, np.float32)
        if values.ndim != 1:
            raise ValueError("scalars are a vector")
        return packed({"values": values}, {"kind": "scalars", "layout": str(record.layout)})
    if isinstance(record, Histograms):
        arrays = {
            "counts": np.asarray(record.counts),
            "tails": np.asarray(record.tails, np.int32),
            "offsets": np.asarray(record.offsets, np.int32),
            "exponents": np.asarray(record.exponents, np.int16),
        }
        if arrays["counts"].dtype not in (np.uint16, np.uint32) or not _is_consistent(arrays):
            raise ValueError("histograms of another form")
        return packed(arrays, {"kind": "histograms", "layout": str(record.layout)})
    if isinstance(record, Event):
        fields = plain.json_text(dict(record.fields))
        texts = {
            "kind": "event",
            "event": record.kind,
            "text": record.text[:_MAX_TEXT],
            "path": record.path[:_MAX_TEXT],
            "fields": fields if len(fields) <= _MAX_FIELDS else "{}",
        }
        return packed({}, texts)
    if isinstance(record, Kept):
        key = plain.json_text(plain.from_keys([record.key]))
        return packed({"values": np.asarray(record.values)}, {"kind": "kept", "key": key})
    if isinstance(record, Start):
        texts = {"kind": "start", "run": record.run}
        return packed({"json": plain.compressed(plain.from_start(record))}, texts)
    if isinstance(record, Layout):
        texts = {"kind": "layout", "layout": str(record.number), "holds": record.holds}
        return packed({"json": plain.compressed(plain.from_layout(record))}, texts)
    return packed({"json": plain.compressed(plain.from_edges(record))}, {"kind": "edges"})


def decode(payload: memoryview, header: Header | None = None) -> Record:
    """Read a record; its arrays are views of the payload.

    Args:
        payload: all of it.
        header: the payload's, where it was read already.

    Raises:
        InvalidContents: it is damaged, hostile, or of a kind that this version does not know.
    """
    header = header or header_of(payload)
    try:
        return _decode(header, payload)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        raise InvalidContents("a record of another form") from None


def scalars_slot(header: Header) -> tuple[int, Slot] | None:
    """Return the layout's number and the place of the values, if this is a record of scalars.

    Raises:
        InvalidContents: it is one, and not of the right form.
    """
    if header.texts.get("kind") != "scalars":
        return None
    slot = header.slots.get("values")
    if slot is None or slot.dtype != np.float32 or len(slot.shape) != 1:
        raise InvalidContents("scalars of another form")
    return layout_number(header), slot


def _decode(header: Header, payload: memoryview) -> Record:
    texts = header.texts
    kind = texts.get("kind")
    if kind == "scalars":
        found = scalars_slot(header)
        if found is not None:
            return Scalars(found[0], array_of(payload, found[1]))
    if kind == "histograms":
        arrays = {name: array_of(payload, slot) for name, slot in header.slots.items()}
        if not _is_consistent(arrays):
            raise InvalidContents("histograms of another form")
        return Histograms(
            _number(texts["layout"]),
            arrays["counts"],
            arrays["exponents"],
            arrays["offsets"],
            arrays["tails"],
        )
    if kind == "event":
        fields = plain.parsed(texts["fields"])
        return Event(
            texts["event"], texts["text"], texts["path"], fields if isinstance(fields, dict) else {}
        )
    if kind == "kept":
        values = array_of(payload, header.slots["values"])
        return Kept(plain.to_key(plain.parsed(texts["key"])), values)
    if kind in ("start", "layout", "edges"):
        value = plain.expanded(array_of(payload, header.slots["json"]))
        if kind == "start":
            return plain.to_start(value)
        if kind == "layout":
            return plain.to_layout(value, _number(texts["layout"]), texts["holds"])
        return plain.to_edges(value)
    raise InvalidContents("a record of an unknown kind")


def _is_consistent(arrays: dict[str, Array]) -> bool:
    counts = arrays["counts"]
    rows = len(counts) if counts.ndim == 2 else -1
    return (
        counts.dtype in (np.uint16, np.uint32)
        and counts.ndim == 2
        and 0 < counts.shape[1] <= MOST_BINS
        and arrays["exponents"].shape == (rows,)
        and arrays["exponents"].dtype == np.int16
        and bool(np.all(np.abs(arrays["exponents"].astype(np.int32)) <= _MAX_EXPONENT))
        and arrays["offsets"].shape == (rows,)
        and arrays["offsets"].dtype == np.int32
        and arrays["tails"].shape == (rows, 5)
        and arrays["tails"].dtype == np.int32
    )


def layout_number(header: Header) -> int:
    """Return the number of the layout that a record is, or refers to.

    Raises:
        InvalidContents: there is none.
    """
    return _number(header.texts.get("layout", ""))


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidContents("a layout without a number")
    return int(text)
