"""Saving an edited input, without overwriting what the other side wrote meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gradtui.errors import FileBusy, InvalidContents, SaveConflict, SaveFailed, UnreadableFile
from gradtui.folder.adapter_state import read_adapter
from gradtui.folder.commit import read_commit, write_generation
from gradtui.folder.inputs import KEY, digest, input_of
from gradtui.folder.location import FLOW_INFO, input_name
from gradtui.folder.lock import alone
from gradtui.folder.npy import encode_npy
from gradtui.folder.parts import Part
from gradtui.folder.pickle_reader import read_flow_info
from gradtui.folder.pickle_writer import encode
from gradtui.folder.reading import MAX_BYTES, read_regular
from gradtui.folder.stamp import MISSING, Stamp, stamp
from gradtui.folder.writing import make_directory, make_own_directory, sum_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from gradtui.core.arrays import Array
    from gradtui.folder.load import Loaded
    from gradtui.folder.location import DebugFolder
    from gradtui.folder.writing import Chunks, FileSum


@dataclass(frozen=True, slots=True)
class Saved:
    """What a save did.

    Attributes:
        path: The ``.npy`` that was written.
        generation: The viewer's generation, from 1.
        files: Every file that was replaced, by contract name, as it was written.
        digest: Of the values as they were written.
        notes: What a person should know, one line each.
    """

    path: Path
    generation: int
    files: Mapping[str, FileSum]
    digest: str
    notes: tuple[str, ...] = field(default=())


def save_input(
    folder: DebugFolder,
    array: Array,
    *,
    seen: Loaded,
    name: str = "",
    overwrite: bool = False,
    own: Mapping[str, FileSum] | None = None,
    max_bytes: int = MAX_BYTES,
) -> Saved:
    """Write an edited input.

    Where no living adapter of ours owns the folder, ``flow_info["input_representation"]`` is written too, into a fresh
    read of the pickle that keeps every key: the seed's adapters look there.

    Args:
        folder: Where.
        array: The values; NaN and infinities are kept by float dtypes.
        seen: The load that was edited: its input's dtype is kept, and its files are what the disk is compared with.
        name: Another file name ("Save to:"); empty for the input's own. Another name is written as ``.npy`` alone.
        overwrite: Write even where the disk has something else than was seen.
        own: The files as the caller's own saves left them last, which need not have been loaded since. The folder's
            numbers do not tell whose a save is: they begin anew with the sidecar.
        max_bytes: A larger pickle is not merged.

    Raises:
        SaveConflict: The input on the disk is not the one that was loaded, or the other name is taken.
        SaveFailed: The disk refused, or a value does not fit the dtype; everything is as it was.
        UsageError: The name is not a plain file name.
    """
    file_name = input_name(name) if name else seen.input_name
    path = folder.path(file_name)
    if seen.parts and not folder.root.is_dir():
        # A folder that was moved away is not made anew: it may be on its way back.
        raise SaveFailed(folder.shown, "the folder is gone; the edits stay")
    values = _as_dtype(array, seen, path)
    make_directory(folder.root)
    make_own_directory(folder.sidecar)
    with alone(folder.saving) as is_alone:
        return _save_alone(
            folder,
            values,
            seen,
            file_name,
            {} if own is None else own,
            is_alone,
            overwrite=overwrite,
            max_bytes=max_bytes,
        )


def _save_alone(
    folder: DebugFolder,
    values: Array,
    seen: Loaded,
    file_name: str,
    own: Mapping[str, FileSum],
    is_alone: Callable[[], bool],
    *,
    overwrite: bool,
    max_bytes: int,
) -> Saved:
    """Compare and write, while no other viewer does."""
    path = folder.path(file_name)
    # Before the comparison: what another writes from here on, while a large pickle is merged, shows in the stamp.
    before = stamp(path)
    if not overwrite:
        _check_unchanged(folder, file_name, seen, own)
    files: dict[str, Chunks] = {file_name: encode_npy(values)}
    notes: list[str] = []
    merged = MISSING
    if file_name == seen.input_name and not read_adapter(folder).alive:
        merged = _merge(
            folder, values, seen, files, notes, own, overwrite=overwrite, max_bytes=max_bytes
        )
    answers = read_commit(folder, "adapter").generation

    def check() -> None:
        # Once more when all is staged: writing the copies of a large pickle takes a while.
        if not overwrite and stamp(path) != before:
            raise SaveConflict(path, "was changed while it was saved")
        if FLOW_INFO in files and stamp(folder.flow_info) != merged:
            raise SaveConflict(folder.flow_info, "was changed while it was saved")
        if not is_alone():
            raise SaveFailed(folder.sidecar, "was removed while it was saved: save again")

    commit = write_generation(
        folder,
        "viewer",
        files,
        answers=answers,
        carried=read_commit(folder, "viewer").files,
        before_placing=check,
    )
    written = {name: commit.files[name] for name in files}
    return Saved(path, commit.generation, written, digest(values), tuple(notes))


def _as_dtype(array: Array, seen: Loaded, path: Path) -> Array:
    """The values in the dtype that the input has on the disk.

    Raises:
        SaveFailed: A value would become another one: a fraction or a large number in an integer dtype.
    """
    if not seen.input.source or array.dtype == seen.input.array.dtype:
        return array
    dtype = seen.input.array.dtype
    with np.errstate(all="ignore"):
        values = array.astype(dtype)
        lost = np.isfinite(array) & ~np.isfinite(values) if dtype.kind == "f" else values != array
    if lost.any():
        cell = tuple(int(place) for place in np.argwhere(lost)[0])
        raise SaveFailed(path, f"{array[cell]} at {cell} cannot be kept as {dtype.name}")
    return values


def _check_unchanged(
    folder: DebugFolder, name: str, seen: Loaded, own: Mapping[str, FileSum]
) -> None:
    path = folder.path(name)
    now = stamp(path)
    known = seen.parts.get(name, Part(name)) if name == seen.input_name else Part(name)
    if not now.exists:
        # It may have been deleted since; nothing of anybody's is lost by writing it again.
        return
    if now == known.stamp and known.certain:
        return
    found = _sum_of(path)
    if name in own and found == own[name]:
        return
    if not known.exists:
        what = "appeared" if name == seen.input_name else "exists already"
        raise SaveConflict(path, f"{what}: overwrite it?")
    if found != known.sum:
        raise SaveConflict(path, "was changed since it was loaded: overwrite it?")


def _merge(
    folder: DebugFolder,
    values: Array,
    seen: Loaded,
    files: dict[str, Chunks],
    notes: list[str],
    own: Mapping[str, FileSum],
    *,
    overwrite: bool,
    max_bytes: int,
) -> Stamp:
    """Add the pickle with the new input to the files; returns the stamp of the pickle that was read."""
    if not stamp(folder.flow_info).exists:
        return MISSING
    try:
        root, contents = read_flow_info(folder.flow_info, max_bytes=max_bytes)
        now = input_of(root)
        known = input_of(seen.parts[FLOW_INFO].root) if FLOW_INFO in seen.parts else now
        if (
            not overwrite
            and now.shape != (0, 0)
            and digest(now) not in (digest(known), digest(values))
            and sum_of([contents.data]) != own.get(FLOW_INFO)
        ):
            raise SaveConflict(
                folder.flow_info, f'its "{KEY}" was changed since it was loaded: overwrite it?'
            )
        root[KEY] = values
        files[FLOW_INFO] = encode(root)
    except (UnreadableFile, FileBusy, InvalidContents) as error:
        notes.append(f"saved to the .npy alone, {error}")
        files.pop(FLOW_INFO, None)
        return MISSING
    return contents.stamp


def _sum_of(path: Path) -> FileSum | None:
    try:
        return sum_of([read_regular(path).data])
    except (UnreadableFile, FileBusy):
        return None
