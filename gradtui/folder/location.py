"""Where the files of a debug folder are.

``DEBUG_FOLDER`` is a folder or a string prefix: ``data/test_`` means ``data/test_flow_info.pkl``. Nothing
outside this room joins a file name.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gradtui.errors import UsageError

Side = Literal["adapter", "viewer"]

FLOW_INFO = "flow_info.pkl"
INPUT = "input_representation.npy"
TARGET = "target_representation.npy"
HISTORY = "history"
_SIDECAR = "gradtui"

# A folder search stops here: the newest folder is near, and a home directory is not worth a walk.
_SEARCH_DEPTH = 4
_SEARCH_ENTRIES = 20_000
_NOT_SEARCHED = frozenset({"node_modules", "__pycache__", "site-packages", "venv"})


@dataclass(frozen=True, slots=True)
class DebugFolder:
    """One debug folder: the directory that holds it and what its file names begin with.

    Attributes:
        root: The directory; absolute.
        prefix: ``""`` for a folder of its own, ``"test_"`` for ``data/test_``.
        given: The location as the person wrote it, for messages.
    """

    root: Path
    prefix: str
    given: str

    @classmethod
    def at(cls, location: str | os.PathLike[str]) -> DebugFolder:
        """Decide whether a location is a folder or a prefix.

        An existing directory is a folder, and so is what ends with a slash. Otherwise it is a prefix when
        files with that prefix are there, or when it ends with ``_``, ``-`` or ``.``, as a folder's name
        rarely does. What is left is a folder that will be made.

        Raises:
            UsageError: The location is empty or holds a null byte.
        """
        given = os.fspath(location)
        if not given or "\0" in given:
            raise UsageError("a debug folder needs a name")
        path = Path(given).expanduser()
        whole = path.absolute()
        if given.endswith(("/", os.sep)) or given in (".", "..") or _is_directory(whole):
            return cls(whole, "", given)
        named = cls(whole.parent, whole.name, given)
        if whole.name.endswith(("_", "-", ".")) or named.exists():
            return named
        return cls(whole, "", given)

    def path(self, name: str) -> Path:
        """The path of a file that the contract names, such as ``flow_info.pkl``."""
        return self.root / (self.prefix + name)

    @property
    def flow_info(self) -> Path:
        """The pickle of activation gradients and flows."""
        return self.path(FLOW_INFO)

    @property
    def input(self) -> Path:
        """The input representation under its usual name."""
        return self.path(INPUT)

    @property
    def target(self) -> Path:
        """The target representation."""
        return self.path(TARGET)

    @property
    def sidecar(self) -> Path:
        """The folder of what vnittest does not know."""
        return self.root / (self.prefix + _SIDECAR)

    @property
    def requests(self) -> Path:
        """What the viewer asks for."""
        return self.sidecar / "requests"

    @property
    def answers(self) -> Path:
        """What the adapter answers."""
        return self.sidecar / "answers"

    @property
    def journal(self) -> Path:
        """Unsaved edits."""
        return self.sidecar / "journal.jsonl"

    @property
    def history(self) -> Path:
        """What a watched training wrote down: a folder for each rank."""
        return self.sidecar / HISTORY

    @property
    def has_history(self) -> bool:
        """Whether a training wrote something down that may be looked at."""
        return _is_directory(self.history)

    @property
    def graph(self) -> Path:
        """The architecture of the model."""
        return self.sidecar / "graph.json"

    @property
    def adapter_state(self) -> Path:
        """What the adapter is doing."""
        return self.sidecar / "adapter.json"

    def commit(self, side: Side) -> Path:
        """What a side last wrote whole."""
        return self.sidecar / f"commit-{side}.json"

    def pending(self, side: Side) -> Path:
        """Who of a side is writing now."""
        return self.sidecar / f"pending-{side}.json"

    @property
    def saving(self) -> Path:
        """Whose lock a viewer holds while it saves."""
        return self.sidecar / "saving.lock"

    @property
    def key(self) -> str:
        """One text for one folder, however it was named: the state of the screen is kept under it."""
        return f"{self.root.resolve()}{os.sep}{self.prefix}"

    @property
    def shown(self) -> str:
        """The location as it was given."""
        return self.given

    def exists(self) -> bool:
        """Whether any file of the contract is there."""
        return any(
            os.path.lexists(path)
            for path in (self.flow_info, self.input, self.sidecar, self.target)
        )


def input_name(name: str) -> str:
    """The file name for an input that is saved under another name ("Save to:").

    Args:
        name: A plain file name; ``.npy`` is added where it is missing; empty means the usual name.

    Raises:
        UsageError: A path, a hidden name, or a name that another file of the contract has.
    """
    if not name:
        return INPUT
    if name in (".", "..") or name != Path(name).name or name.startswith(".") or "\0" in name:
        raise UsageError(f"{ascii(name)[1:-1]}: a plain file name is needed, without folders")
    full = name if name.endswith(".npy") else name + ".npy"
    if full == TARGET:
        raise UsageError(f"{TARGET} belongs to the adapter")
    if len(os.fsencode(full)) > 200:
        raise UsageError("the name is too long")
    return full


def find_folders(start: str | os.PathLike[str]) -> tuple[DebugFolder, ...]:
    """Debug folders at or below a directory, the most recently written first; bounded in depth and time.

    What cannot be read is passed over; links to directories are not followed.
    """
    found: dict[tuple[str, str], float] = {}
    queue: deque[tuple[str, int]] = deque([(os.fspath(start), 0)])
    seen = 0
    while queue and seen < _SEARCH_ENTRIES:
        directory, depth = queue.popleft()
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    seen += 1
                    if seen >= _SEARCH_ENTRIES:
                        break
                    if entry.name.endswith(FLOW_INFO) and entry.is_file():
                        place = (directory, entry.name[: -len(FLOW_INFO)])
                        found[place] = max(found.get(place, 0.0), entry.stat().st_mtime)
                        continue
                    if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False):
                        continue
                    if entry.name.endswith(_SIDECAR) and (written := _history_written(entry.path)):
                        place = (directory, entry.name[: -len(_SIDECAR)])
                        found[place] = max(found.get(place, 0.0), written)
                    elif depth < _SEARCH_DEPTH and entry.name not in _NOT_SEARCHED:
                        queue.append((entry.path, depth + 1))
        except OSError:
            continue
    newest = sorted(found, key=lambda place: found[place], reverse=True)
    return tuple(
        DebugFolder(
            Path(directory).absolute(),
            prefix,
            str(Path(directory) / prefix) if prefix else directory,
        )
        for directory, prefix in newest
        if not prefix.startswith(".")
    )


def _history_written(sidecar: str) -> float:
    """When a rank last wrote into the history of a sidecar folder, seconds since 1970; 0 where there is none."""
    newest = 0.0
    try:
        with os.scandir(Path(sidecar) / HISTORY) as ranks:
            for rank in ranks:
                if rank.name.startswith("rank-") and rank.is_dir(follow_symlinks=False):
                    with os.scandir(rank.path) as segments:
                        times = [segment.stat().st_mtime for segment in segments]
                    newest = max(newest, *times, 0.0)
    except OSError:
        # Ranks come and segments go while it is looked at: what was seen counts.
        return newest
    return newest


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
