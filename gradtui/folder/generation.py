"""The adapter's side of the folder: whole generations of what it computed, and what it says of itself."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import time
from typing import TYPE_CHECKING

from gradtui.errors import FileBusy
from gradtui.folder.adapter_state import (
    BEAT_SECONDS,
    SILENT_SECONDS,
    place_adapter,
    read_adapter,
    write_adapter,
)
from gradtui.folder.commit import read_commit, write_generation
from gradtui.folder.location import FLOW_INFO, TARGET, DebugFolder
from gradtui.folder.npy import encode_npy
from gradtui.folder.pickle_writer import encode
from gradtui.folder.process import Process
from gradtui.folder.stamp import MISSING, stamp
from gradtui.folder.writing import make_directory, make_own_directory, sweep

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from typing_extensions import Self

    from gradtui.core.arrays import Array
    from gradtui.folder.writing import Chunks

# A pair with more links, or more bytes of them, is written as its sums; rows and columns are asked for.
MAX_LINKS = 4_000_000
MAX_LINK_BYTES = 64_000_000


class AdapterWriter:
    """The one writer of the adapter's files in a folder, which is made where it is missing.

    Use as a context manager, or call `close`: a folder whose adapter ended says so.

    Attributes:
        folder: Where it writes.
        generation: The last generation; 0 before the first.
        stamp: Of the ``flow_info.pkl`` that it wrote last, for `load_input`.
    """

    def __init__(
        self,
        location: str | os.PathLike[str] | DebugFolder,
        *,
        torch: str = "",
        training: str = "",
    ) -> None:
        """Claim the folder: from here on ``adapter.json`` says that this process serves it.

        Args:
            location: Folder or prefix.
            torch: The version of torch, for `AdapterState`.
            training: The name of a distributed training, for `AdapterState`.

        Raises:
            FileBusy: Another living adapter owns the folder.
            SaveFailed: The folder cannot be made, or not be written.
        """
        self.folder = location if isinstance(location, DebugFolder) else DebugFolder.at(location)
        self._torch, self._training = torch, training
        self._last = ("starting", math.nan, "", "")
        make_directory(self.folder.root)
        make_own_directory(self.folder.sidecar)
        self.generation = read_commit(self.folder, "adapter").generation
        with _alone(self.folder):
            self._refuse_another()
            place_adapter(
                self.folder,
                "starting",
                torch=torch,
                generation=self.generation,
                training=training,
            )
            self._said = time.monotonic()
        for directory in (self.folder.root, self.folder.sidecar, self.folder.answers):
            sweep(directory, "adapter")
        self.stamp = MISSING

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(
        self, flow_info: Mapping[str, object], target: Array | None = None, *, answers: int = 0
    ) -> int:
        """Write one whole generation.

        Args:
            flow_info: The root of ``flow_info.pkl``: plain data and arrays, as the contract says.
            target: The target representation; None leaves the file as it is.
            answers: The viewer's generation whose input this was computed from; 0 for an input of the adapter's own.

        Returns:
            The generation's number, from 1.

        Raises:
            InvalidContents: Something in it is not plain data.
            SaveFailed: The disk refused; the generation before is still there, whole.
        """
        files: dict[str, Chunks] = {}
        if target is not None:
            files[TARGET] = encode_npy(target)
        # Last, because readers that know no commit look at this one.
        files[FLOW_INFO] = encode(dict(flow_info))
        carried = read_commit(self.folder, "adapter").files if target is None else {}
        carried = {name: item for name, item in carried.items() if name == TARGET}
        commit = write_generation(self.folder, "adapter", files, answers=answers, carried=carried)
        self.generation = commit.generation
        self.stamp = stamp(self.folder.flow_info)
        return commit.generation

    def set_state(
        self, state: str, *, progress: float = math.nan, message: str = "", error: str = ""
    ) -> bool:
        """Say what the adapter does (one of `adapter_state.STATES`); never raises.

        Args:
            state: The state.
            progress: From 0 to 1; NaN when it is not known.
            message: One line for the person.
            error: A traceback, whole.

        Returns:
            Whether the disk took it.
        """
        self._last, self._said = (state, progress, message, error), time.monotonic()
        return write_adapter(
            self.folder,
            state,
            progress=progress,
            message=message,
            error=error,
            torch=self._torch,
            generation=self.generation,
            training=self._training,
        )

    def beat(self) -> None:
        """Say again what was said last, if that was a while ago: to other hosts, silence is the end. Costs nothing."""
        if time.monotonic() - self._said > BEAT_SECONDS:
            state, progress, message, error = self._last
            self.set_state(state, progress=progress, message=message, error=error)

    def close(self, *, error: str = "") -> None:
        """Say that the adapter ended: ``failed`` with an error's text, else ``stopped``."""
        self.set_state("failed" if error else "stopped", error=error)

    def _refuse_another(self) -> None:
        owner = read_adapter(self.folder)
        process = Process(owner.pid, owner.host)
        if not owner.alive or (owner.pid == os.getpid() and process.is_here):
            return
        reason = f"an adapter serves it already (process {owner.pid})"
        if not process.is_here:
            age = max(time.time() - owner.updated, 0.0)
            reason = (
                f"an adapter on {owner.host} serves it (process {owner.pid}, heard of {age:.0f} s ago);"
                f" if it is gone, wait {SILENT_SECONDS:.0f} s or remove {self.folder.adapter_state}"
            )
        raise FileBusy(self.folder.shown, reason)


@contextlib.contextmanager
def _alone(folder: DebugFolder) -> Iterator[None]:
    """Claim a folder while no other process does: the sidecar's directory is locked, which leaves no file behind.

    File systems that have no such lock go without.

    Raises:
        FileBusy: Another process claims the folder at this moment.
    """
    try:
        descriptor = os.open(folder.sidecar, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        with contextlib.suppress(OSError):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FileBusy(folder.shown, "another adapter is starting in it") from None
        yield
    finally:
        os.close(descriptor)
