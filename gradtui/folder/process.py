"""Which process wrote a file, and whether it still lives.

A process identifier alone is used again by the system, and means nothing on another host that mounts the same
folder: so the host's name and the process's start are kept beside it.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Process:
    """A process of some host; ``pid`` 0 is nobody.

    Attributes:
        pid: The process identifier.
        host: The host's name.
        started: The kernel's start time of the process in clock ticks; 0 where the system does not tell.
    """

    pid: int = 0
    host: str = ""
    started: int = 0

    def to_record(self) -> dict[str, object]:
        """The fields as they stand in JSON files."""
        return {"pid": self.pid, "host": self.host, "started": self.started}

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this host."""
        return self.host == socket.gethostname()

    @property
    def is_alive(self) -> bool:
        """Whether it runs. A process of another host cannot be asked and counts as living; nobody does not."""
        if self.pid <= 0:
            return False
        if not self.is_here:
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except (PermissionError, OverflowError):
            pass
        now = _started(self.pid)
        return now != -1 and (self.started == 0 or now in (0, self.started))


def this_process() -> Process:
    """The process that calls."""
    return process_of(os.getpid())


def process_of(pid: int) -> Process:
    """A process of this host, by its identifier."""
    return Process(pid, socket.gethostname(), max(_started(pid), 0))


def from_record(record: Mapping[str, object]) -> Process:
    """The process that a JSON file names; nobody where the fields are not what they should be."""
    pid, host, started = record.get("pid"), record.get("host"), record.get("started", 0)
    if not isinstance(pid, int) or isinstance(pid, bool) or not 0 < pid < 1 << 31:
        return Process()
    if not isinstance(host, str) or not isinstance(started, int) or isinstance(started, bool):
        return Process()
    return Process(pid, host, started)


def _started(pid: int) -> int:
    """Start time in ticks; 0 where there is no such file system; -1 when the process is gone or a zombie."""
    try:
        with Path(f"/proc/{pid}/stat").open("rb") as file:
            fields = file.read(4096).rpartition(b")")[2].split()
        # Source: proc_pid_stat(5): state is field 3 and starttime field 22, counted from 1.
        return -1 if fields[0] in (b"Z", b"X") else int(fields[19])
    except FileNotFoundError:
        return -1 if Path("/proc/self").is_dir() else 0
    except (OSError, ValueError, IndexError):
        return 0
