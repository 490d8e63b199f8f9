"""The stat poll that both sides use: which files of a folder are other than they were."""

from __future__ import annotations

import errno
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradtui.folder.location import FLOW_INFO, INPUT, TARGET

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from gradtui.folder.location import DebugFolder

# Two writes within one tick of the kernel's clock have one time: a file this young may still change unseen.
_TICK_NS = 20_000_000


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one version of a file from another without reading it.

    Attributes:
        mtime_ns: Time of the last change, nanoseconds; 0 for a missing file.
        size: Bytes; -1 for a missing file.
        inode: Number of the file, which a replacement changes; 0 for a missing file, and less for what cannot be
            reached: the number of the reason.
    """

    mtime_ns: int = 0
    size: int = -1
    inode: int = 0

    @property
    def exists(self) -> bool:
        """Whether there is a file."""
        return self.size >= 0

    def is_settled(self, now: float, quiet: float) -> bool:
        """Whether the file was left alone for ``quiet`` seconds at wall time ``now`` (seconds).

        A time in the future, of a clock that is ahead, counts as settled once it is more than ``quiet`` ahead.
        """
        return not self.exists or abs(now - self.mtime_ns / 1e9) >= quiet

    def tells_apart(self, now: float) -> bool:
        """Whether an equal stamp later proves equal contents: the file is older than a tick of the clock."""
        return abs(now * 1e9 - self.mtime_ns) > _TICK_NS


MISSING = Stamp()


def stamp(path: Path) -> Stamp:
    """The stamp of one path, links followed; `MISSING` where nothing is. What cannot be reached does not exist either."""
    try:
        result = path.stat()
    except (FileNotFoundError, ValueError):
        return MISSING
    except OSError as reason:
        # Not as if it were missing: what comes in the place of a file that is gone is told by its stamp.
        return Stamp(inode=-(reason.errno or errno.EIO))
    return of_stat(result)


def of_stat(result: os.stat_result) -> Stamp:
    """The stamp of a stat result; a directory's size says nothing and is 0."""
    size = 0 if stat.S_ISDIR(result.st_mode) else result.st_size
    return Stamp(result.st_mtime_ns, size, result.st_ino)


@dataclass(frozen=True, slots=True)
class Stamps:
    """The stamps of one moment; comparable.

    Attributes:
        data: Flow info, input and target: what a session is made of.
        control: The two commits and the two pending files: whether the data are whole.
        adapter: The adapter's state file.
        answers: The answers' folder, which a new answer changes.
    """

    flow_info: Stamp = MISSING
    input: Stamp = MISSING
    target: Stamp = MISSING
    control: tuple[Stamp, ...] = ()
    adapter: Stamp = MISSING
    answers: Stamp = MISSING

    @property
    def data(self) -> tuple[Stamp, Stamp, Stamp]:
        """Flow info, input and target."""
        return (self.flow_info, self.input, self.target)


class Poll:
    """The paths of a folder, joined once: a poll is nine stat calls and nothing else."""

    def __init__(self, folder: DebugFolder, input_name: str = INPUT) -> None:
        self._flow_info = folder.path(FLOW_INFO)
        self._input = folder.path(input_name)
        self._target = folder.path(TARGET)
        self._control = (
            folder.commit("adapter"),
            folder.commit("viewer"),
            folder.pending("adapter"),
            folder.pending("viewer"),
        )
        self._adapter = folder.adapter_state
        self._answers = folder.answers

    def __call__(self) -> Stamps:
        """The stamps of now."""
        return Stamps(
            stamp(self._flow_info),
            stamp(self._input),
            stamp(self._target),
            tuple([stamp(path) for path in self._control]),
            stamp(self._adapter),
            stamp(self._answers),
        )


def stamps(folder: DebugFolder, input_name: str = INPUT) -> Stamps:
    """The stamps of a folder now; `Poll` is cheaper for who asks often."""
    return Poll(folder, input_name)()
