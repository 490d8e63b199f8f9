"""Where a watcher writes: a run's folder, of which it is the adapter."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import torch

from gradtui.errors import FileBusy
from gradtui.folder.adapter_state import read_adapter
from gradtui.folder.generation import AdapterWriter
from gradtui.folder.history.writer import HistoryWriter
from gradtui.folder.location import DebugFolder

if TYPE_CHECKING:
    import os

    from gradtui.torch.watching.recorder import Writer

_MOST_MODELS: Final = 100
_taken: set[tuple[str, int]] = set()
_lock: Final = threading.Lock()


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

    def aside(self, reason: str) -> None:
        """Say that the watcher stepped aside; never raises."""

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
