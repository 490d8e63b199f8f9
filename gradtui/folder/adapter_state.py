"""What the adapter is doing, as it says itself in ``adapter.json``."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradtui.errors import SaveFailed
from gradtui.folder.commit import SCHEMA, to_json
from gradtui.folder.process import from_record, this_process
from gradtui.folder.reading import read_record
from gradtui.folder.stamp import stamp
from gradtui.folder.writing import make_own_directory, replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.folder.location import DebugFolder

STATES = ("starting", "training", "serving", "computing", "failed", "stopped")
# Whether a process of another host lives cannot be asked: it says so at least this often, seconds, and when it
# was silent for longer than the second it counts as ended.
BEAT_SECONDS = 20.0
SILENT_SECONDS = 60.0
_MAX_TEXT = 16_384


@dataclass(frozen=True, slots=True)
class AdapterState:
    """The adapter as of the last look.

    Attributes:
        pid: Its process; 0 where no adapter of ours ever owned the folder.
        host: The host that it runs on.
        alive: Whether it runs; an adapter of another host counts as living until it was silent for a minute, and
            one that says that it ended has ended even where its process goes on, as a notebook's does.
        state: One of `STATES`; empty where there is no adapter.
        progress: From 0 to 1 within the state; NaN when it is not known.
        message: One line for the person.
        error: The last traceback, whole; empty when nothing failed.
        torch: The version of torch that it runs.
        generation: The generation that it last wrote.
        updated: Wall time of the last change, seconds.
        training: The name that all ranks of a distributed training share; empty for others.
    """

    pid: int = 0
    host: str = ""
    alive: bool = False
    state: str = ""
    progress: float = math.nan
    message: str = ""
    error: str = ""
    torch: str = ""
    generation: int = 0
    updated: float = 0.0
    training: str = ""

    @property
    def is_killed(self) -> bool:
        """Whether its process is gone, and never said that it ended."""
        return bool(self.pid) and not self.alive and self.state not in ("stopped", "failed")


def read_adapter(folder: DebugFolder) -> AdapterState:
    """Read ``adapter.json``; a file that is missing or not ours gives the state of no adapter."""
    record = read_record(folder.adapter_state)
    process = from_record(record)
    if record.get("schema") != SCHEMA or not process.pid:
        return AdapterState()
    state = _text(record.get("state"))
    ended = state in ("stopped", "failed")
    generation = record.get("generation")
    return AdapterState(
        pid=process.pid,
        host=process.host,
        alive=process.is_alive and not ended and (process.is_here or _is_heard(folder, record)),
        state=state if state in STATES else "",
        progress=_number(record.get("progress")),
        message=_text(record.get("message")),
        error=_text(record.get("error")),
        torch=_text(record.get("torch")),
        generation=generation if isinstance(generation, int) else 0,
        updated=max(_number(record.get("time")), 0.0),
        training=_text(record.get("training")),
    )


def write_adapter(
    folder: DebugFolder,
    state: str,
    *,
    progress: float = math.nan,
    message: str = "",
    error: str = "",
    torch: str = "",
    generation: int = 0,
    training: str = "",
) -> bool:
    """Say what the adapter of this process does; a disk that refuses is no reason to stop a training.

    Returns:
        Whether it was written.
    """
    with contextlib.suppress(SaveFailed):
        place_adapter(
            folder,
            state,
            progress=progress,
            message=message,
            error=error,
            torch=torch,
            generation=generation,
            training=training,
        )
        return True
    return False


def place_adapter(
    folder: DebugFolder,
    state: str,
    *,
    progress: float = math.nan,
    message: str = "",
    error: str = "",
    torch: str = "",
    generation: int = 0,
    training: str = "",
) -> None:
    """Write ``adapter.json``.

    Raises:
        SaveFailed: The disk refused.
    """
    record = {
        "schema": SCHEMA,
        **this_process().to_record(),
        "state": state,
        "progress": float(progress) if math.isfinite(progress) else None,
        "message": message[:_MAX_TEXT],
        "error": error[-_MAX_TEXT:],
        "torch": torch,
        "generation": generation,
        "time": time.time(),
    }
    if training:
        record["training"] = training
    make_own_directory(folder.sidecar)
    replace_file(folder.adapter_state, to_json(record), "adapter")


def _is_heard(folder: DebugFolder, record: Mapping[str, object]) -> bool:
    """Whether the file was written within the last minute, by the writer's clock or by the file system's."""
    now = time.time()
    times = (_number(record.get("time")), stamp(folder.adapter_state).mtime_ns / 1e9)
    return any(abs(now - moment) < SILENT_SECONDS for moment in times)


def _text(value: object) -> str:
    return value[:_MAX_TEXT] if isinstance(value, str) else ""


def _number(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e18:
        return float(value)
    return math.nan
