"""Which input counts: that of the ``.npy`` file or that within ``flow_info.pkl``.

The seed's documentation saves an edited input into the pickle, its later code into the ``.npy``; both are read. What
the viewer saved after the adapter's generation always counts; otherwise the newer file does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gradtui.core.arrays import read_only
from gradtui.errors import UnreadableFile
from gradtui.folder.commit import read_commit
from gradtui.folder.location import FLOW_INFO, INPUT
from gradtui.folder.parts import (
    SETTLE,
    Part,
    busy_if_unsettled,
    is_committed,
    living_writers,
    read_part,
    wait_or_pass,
)
from gradtui.folder.reading import MAX_BYTES
from gradtui.folder.stamp import MISSING, Stamp, stamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.core.arrays import Array
    from gradtui.folder.location import DebugFolder

KEY = "input_representation"


def no_array() -> Array:
    """The value of an array that is absent: shape (0, 0)."""
    return read_only(np.empty((0, 0)))


@dataclass(frozen=True, slots=True)
class InputRead:
    """An input that was read.

    Attributes:
        array: The values, read-only; (0, 0) when there is no input.
        source: ``npy``, ``flow_info``, or empty when there is none.
        generation: The viewer's generation that it is; 0 when the viewer did not write it.
        digest: Tells one input from another: shape, dtype and values; empty when there is none.
        stamp: The stamp of the file that it came from.
        note: What to tell the person when two inputs differ; empty otherwise.
    """

    array: Array = field(default_factory=no_array)
    source: str = ""
    generation: int = 0
    digest: str = ""
    stamp: Stamp = MISSING
    note: str = ""


def digest(array: Array) -> str:
    """A text that is equal for equal shape, dtype and values (NaN by its bits); 16 hexadecimal digits."""
    total = hashlib.blake2b(f"{array.shape} {array.dtype.str}".encode(), digest_size=8)
    total.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return total.hexdigest()


def input_of(root: Mapping[object, object]) -> Array:
    """The input within ``flow_info``; (0, 0) where there is none that is an array of real numbers."""
    value = root.get(KEY)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return value
    return no_array()


def choose_input(npy: Part, flow_info: Part, *, later_save: bool) -> InputRead:
    """Decide between two inputs.

    Args:
        npy: The ``.npy`` file.
        flow_info: The pickle.
        later_save: Whether the viewer saved the ``.npy`` after the generation that the pickle holds was asked for.
    """
    inside = input_of(flow_info.root)
    has_inside = inside.shape != (0, 0)
    if not npy.exists:
        if not has_inside:
            return InputRead()
        return InputRead(inside, "flow_info", 0, digest(inside), flow_info.stamp)
    outside = InputRead(npy.array, "npy", 0, digest(npy.array), npy.stamp)
    if not has_inside or later_save or same_values(npy.array, inside):
        return outside
    older = npy.stamp.mtime_ns < flow_info.stamp.mtime_ns
    if older:
        note = f"the input within {FLOW_INFO} is newer than {npy.name}, and differs: it is shown"
        return InputRead(inside, "flow_info", 0, digest(inside), flow_info.stamp, note)
    note = f"{npy.name} is newer than the input within {FLOW_INFO}, and differs: it is shown"
    return InputRead(outside.array, "npy", 0, outside.digest, outside.stamp, note)


def same_values(left: Array, right: Array) -> bool:
    """Whether two arrays have the same shape and values, whatever their dtypes; NaN equals NaN."""
    return left.shape == right.shape and bool(
        ((left == right) | ((left != left) & (right != right))).all()
    )


def load_input(
    folder: DebugFolder,
    *,
    name: str = INPUT,
    own: Stamp = MISSING,
    max_bytes: int = MAX_BYTES,
    settle: float = SETTLE,
) -> InputRead:
    """What an adapter is to compute from now.

    Args:
        folder: Where.
        name: The input's file name.
        own: The stamp of ``flow_info.pkl`` after the caller wrote it (`AdapterWriter.stamp`); with it the pickle is not read
            again while it stays.
        max_bytes: Larger files are refused.
        settle: How long a file that no commit vouches for must have been left alone, seconds.

    Returns:
        The input, empty where there is none; pass its generation as ``answers`` with what is computed from it.

    Raises:
        FileBusy: The other side is writing: ask again.
        UnreadableFile: The file is broken.
    """
    commits = (read_commit(folder, "adapter"), read_commit(folder, "viewer"))
    writers = living_writers(folder)
    parts = []
    for item in (name, FLOW_INFO):
        if item == FLOW_INFO and own.exists and stamp(folder.flow_info) == own:
            parts.append(Part(FLOW_INFO))
            continue
        try:
            part = read_part(folder, item, commits, max_bytes=max_bytes, before=Part(item))
        except UnreadableFile as error:
            raise busy_if_unsettled(error, folder, item, writers, settle) from None
        if part.exists and not is_committed(part, commits):
            wait_or_pass(folder, item, part.stamp, writers, settle)
        parts.append(part)
    npy, flow_info = parts
    from_viewer = npy.exists and is_committed(npy, (commits[1],))
    later = from_viewer and commits[1].generation > commits[0].answers
    chosen = choose_input(npy, flow_info, later_save=later)
    if chosen.source != "npy" or not from_viewer:
        return chosen
    return InputRead(
        chosen.array, "npy", commits[1].generation, chosen.digest, chosen.stamp, chosen.note
    )
