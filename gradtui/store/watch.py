"""Something changed in a folder: a call, soon.

watchfiles tells within about ten milliseconds where the system has events. Network file systems have none, and an event
can be lost: so whoever is called also polls, and this room says how often.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradtui.folder.location import DebugFolder

# Milliseconds: events are handed over when nothing more came for one step, or after the debounce at the latest. Each step
# wakes the thread, at 10 ms for 0.7 % of a core: beside a training, whose history is polled, it is longer.
_STEP = 10
_CALM_STEP = 50
_DEBOUNCE = 50
_LOOK_AROUND = 500
_RETRY_SECONDS = 2.0

# Source: mount(8), and the names that FUSE file systems register.
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "ceph", "gpfs", "glusterfs", "beegfs", "afs", "9p", "virtiofs", "vboxsf", "orangefs", "pvfs2", "fuse"}
)  # fmt: skip


class Watcher:
    """Calls back, from its own thread, when something in the folder or its sidecar changed."""

    def __init__(self, folder: DebugFolder, on_event: Callable[[], None]) -> None:
        self._folder = folder
        self._on_event = on_event
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gradtui-watch", daemon=True)
        self._step = _STEP
        self.works = False

    def start(self) -> None:
        """Begin to watch; a folder that is not there yet is watched once it is."""
        self._thread.start()

    def calm(self) -> None:
        """A training goes on beside: look less often, from within half a second on."""
        self._step = _CALM_STEP

    def stop(self) -> None:
        """End the thread, within a step."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2)

    def _run(self) -> None:
        try:
            # Here, because it takes 50 ms to import and the first frame does not wait for it.
            from watchfiles import watch
        except ImportError:
            return
        while not self._stop.is_set():
            paths = self._directories()
            if not paths:
                self._stop.wait(_LOOK_AROUND / 1000)
                continue
            known, step = _identities(paths), self._step
            try:
                for changes in watch(
                    *paths,
                    watch_filter=None,
                    debounce=_DEBOUNCE,
                    step=step,
                    stop_event=self._stop,
                    rust_timeout=_LOOK_AROUND,
                    yield_on_timeout=True,
                    raise_interrupt=False,
                    # A prefix may stand in a home directory: what is below is none of ours.
                    recursive=False,
                    force_polling=False,
                ):
                    self.works = True
                    if changes:
                        self._on_event()
                    now = self._directories()
                    if now != paths or _identities(now) != known:
                        self._on_event()
                        break
                    if step != self._step:
                        break
            except (OSError, RuntimeError):
                # No more watches, or the folder went away this moment: polling goes on meanwhile.
                self.works = False
                self._stop.wait(_RETRY_SECONDS)

    def _directories(self) -> list[Path]:
        wanted = (self._folder.root, self._folder.sidecar, self._folder.answers)
        return [path for path in wanted if _identity(path)]


def is_network(path: Path) -> bool:
    """Whether a path is on a file system that other machines write to, as ``/proc/mounts`` tells; False where unknown."""
    try:
        real = path.resolve()
        lines = Path("/proc/mounts").read_text(errors="surrogateescape").splitlines()
    except (OSError, RuntimeError):
        return False
    best, kind = -1, ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        # Source: fstab(5): spaces and other separators are octal escapes.
        mount = Path(fields[1].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
        if real.is_relative_to(mount) and len(mount.parts) >= best:
            best, kind = len(mount.parts), fields[2]
    return kind in _NETWORK or kind.startswith("fuse.")


def _identity(path: Path) -> tuple[int, ...]:
    """Device and inode of a directory; nothing for what is none."""
    try:
        if path.is_dir():
            found = path.stat()
            return (found.st_dev, found.st_ino)
    except OSError:
        pass
    return ()


def _identities(paths: list[Path]) -> list[tuple[int, ...]]:
    return [_identity(path) for path in paths]
