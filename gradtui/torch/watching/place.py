"""Where a watcher writes: a run's folder, of which it is the adapter."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from typing import TYPE_CHECKING, Final

import torch

from gradtui.errors import FileBusy, GradtuiError
from gradtui.folder.adapter_state import read_adapter
from gradtui.folder.generation import AdapterWriter
from gradtui.folder.history.writer import HistoryWriter
from gradtui.folder.location import DebugFolder
from gradtui.folder.requests import answer, pending_requests
from gradtui.folder.stamp import MISSING, stamp
from gradtui.torch.watching.keeping import as_flow_info

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from gradtui.folder.requests import Request
    from gradtui.torch.watching.job import Job
    from gradtui.torch.watching.keeping import KeptMap
    from gradtui.torch.watching.recorder import Writer

_MOST_MODELS: Final = 100
LOOK_SECONDS: Final = 0.1
YOUNG_SECONDS: Final = 0.1
PUBLISH_SECONDS: Final = 2.0
_taken: set[tuple[str, int]] = set()
_lock: Final = threading.RLock()


class Place:
    """Where records go, and whom the watcher tells of its state; this one has no folder.

    Attributes:
        writer: takes the records.
        rank: of this process, of ``world``.
        training: the name that all ranks share; empty for one process alone.
        shown: the folder, as a person knows it.
        adapter: the folder's, where this process is its adapter.
    """

    def __init__(self, writer: Writer, rank: int = 0, world: int = 1, training: str = "") -> None:
        self.writer, self.rank, self.world = writer, rank, world
        self.training = training
        self.shown = ""
        self.adapter: AdapterWriter | None = None

    def beat(self) -> None:
        """Say that the watcher lives, if that was not said for a while; never raises."""

    def asked(self) -> Sequence[Request]:
        """What the screen asked for since the last question."""
        return ()

    def publish(self, job: Job) -> None:
        """Show what a step kept, and answer what was asked."""

    def aside(self, reason: str) -> None:
        """Say that the watcher stepped aside, or what else the person should know of it; never raises."""

    def close(self) -> None:
        """The watcher ended; the writer is closed already."""


class FolderPlace(Place):
    """A run's folder."""

    def __init__(
        self,
        location: str | os.PathLike[str],
        model: str,
        limit: int,
        rank: int = 0,
        world: int = 1,
        training: str = "",
    ) -> None:
        """Claim the folder; a second model of this process gets a folder within it.

        Rank 0 is the folder's adapter; the others write their own part of the history and nothing else.

        Raises:
            FileBusy: another living adapter owns the folder.
            SaveFailed: the folder cannot be made.
        """
        folder = _free(DebugFolder.at(location), model, rank)
        self._key = (folder.key, rank)
        try:
            self._adapter = None
            self._looked = self._published = -math.inf
            self._requests = MISSING
            self._known: set[int] = set()
            self._maps: dict[str, KeptMap] = {}
            if rank == 0:
                version = str(torch.__version__)
                self._adapter = AdapterWriter(folder, torch=version, training=training)
            else:
                _refuse_other_training(folder, training)
            super().__init__(HistoryWriter(folder, rank, limit=limit), rank, world, training)
        except BaseException:
            _give_back(self._key)
            raise
        self.shown = folder.shown
        self.adapter = self._adapter
        if self._adapter is not None:
            self._adapter.set_state("training", message=f"watching {model}")

    def beat(self) -> None:
        """See `Place`."""
        if self._adapter is not None:
            self._adapter.beat()

    def asked(self) -> Sequence[Request]:
        """See `Place`; the folder is looked at a few times a second."""
        now = time.monotonic()
        if self._adapter is None or now - self._looked < LOOK_SECONDS:
            return ()
        self._looked = now
        seen = stamp(self._adapter.folder.requests)
        # Two requests within a tick of the clock look like one: young changes are looked at again.
        if seen == self._requests and time.time() - seen.mtime_ns / 1e9 > YOUNG_SECONDS:
            return ()
        self._requests = seen
        fresh = [r for r in pending_requests(self._adapter.folder) if r.n not in self._known]
        self._known.update(request.n for request in fresh)
        return fresh

    def publish(self, job: Job) -> None:
        """See `Place`; a generation is written at most every few seconds."""
        if self._adapter is None:
            return
        for reply in job.replies:
            with contextlib.suppress(GradtuiError):
                answer(
                    self._adapter.folder, reply.n, reply.status, reply.reason, reply.arrays,
                    generation=self._adapter.generation,
                )  # fmt: skip
        # They come in the order of the backward pass; layers are shown in that of the forward pass.
        self._maps = {**{item.name: item for item in reversed(job.maps)}, **self._maps} | {
            item.name: item for item in job.maps
        }
        now = time.monotonic()
        if job.maps and now - self._published > PUBLISH_SECONDS:
            self._published = now
            with contextlib.suppress(GradtuiError):
                self._adapter.write(as_flow_info(list(self._maps.values()), job.step))

    def aside(self, reason: str) -> None:
        """See `Place`."""
        if self._adapter is not None:
            self._adapter.set_state("training", message=reason)

    def close(self) -> None:
        """See `Place`."""
        if self._adapter is not None:
            self._adapter.close()
        _give_back(self._key)


def _refuse_other_training(folder: DebugFolder, training: str) -> None:
    """See to it that a rank does not write where its rank 0 cannot be the adapter.

    Raises:
        FileBusy: the adapter of something else lives there.
    """
    owner = read_adapter(folder)
    if training and owner.alive and owner.training != training:
        raise FileBusy(folder.shown, f"an adapter serves it already (process {owner.pid})")


def _free(folder: DebugFolder, model: str, rank: int) -> DebugFolder:
    """The folder, or one within it where a model of this process has it already.

    Raises:
        FileBusy: no name is free.
    """
    with _lock:
        names = [""] + [f"{model}{f'-{n}' if n > 1 else ''}/" for n in range(1, _MOST_MODELS)]
        for name in names:
            tried = DebugFolder.at(folder.root / name) if name else folder
            if (tried.key, rank) not in _taken:
                _taken.add((tried.key, rank))
                return tried
    raise FileBusy(folder.shown, f"this process watches {_MOST_MODELS} models in it already")


def _give_back(key: tuple[str, int]) -> None:
    with _lock:
        _taken.discard(key)
