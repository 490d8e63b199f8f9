"""The served loop: a generation for every save, requests between them, nothing lost when the model fails."""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from typing import TYPE_CHECKING, Final

from gradtui.errors import FileBusy, GradtuiError
from gradtui.folder.requests import answer, pending_requests
from gradtui.folder.stamp import MISSING, Stamp, stamp
from gradtui.torch.adapter import NoInput
from gradtui.torch.answering import answer_for
from gradtui.torch.flows import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradtui.folder.generation import AdapterWriter
    from gradtui.folder.inputs import InputRead
    from gradtui.folder.requests import Request
    from gradtui.torch.adapter import DebugAdapter
    from gradtui.torch.forward import Pass

# A stat poll of three paths costs 15 µs: at this step the loop takes well under 1 % of a core.
STEP_SECONDS: Final = 0.004
# After this long without a save the step is longer; the first save then takes this much more.
LIVELY_SECONDS: Final = 60.0
IDLE_STEP_SECONDS: Final = 0.01
# Requests are answered for this long before the input is looked at again.
REQUEST_SECONDS: Final = 0.05
# What takes longer than this is said to be computing, with its progress.
SAID_AFTER_SECONDS: Final = 0.2


class Stopped(Exception):
    """The loop was told to stop in the middle of a computation."""


class Server:
    """Serves one adapter's folder; `serve` returns when ``stop`` says so."""

    def __init__(self, adapter: DebugAdapter, *, stop: Callable[[], bool]) -> None:
        self._adapter = adapter
        self._stop = stop
        self._folder = adapter.folder
        self._run: Pass | None = None
        self._read: InputRead | None = None
        self._written: Stamp = MISSING
        self._last_said = 0.0
        self._last_work = 0.0

    def serve(self) -> None:
        """Run until stopped; see `DebugAdapter.serve`."""
        with self._adapter.writer() as writer:
            writer.set_state("starting", message="computing the first generation")
            seen, edited, asked = self._look(), True, True
            while not self._stop():
                now = self._look()
                edited |= now[:2] != seen[:2] or not _settled(now[:2])
                asked |= now[2] != seen[2] or not _settled(now[2:])
                if now != seen:
                    self._last_work = time.monotonic()
                seen = now
                with contextlib.suppress(Stopped):
                    if edited:
                        edited = not self._refresh(writer)
                    if asked and self._read is not None:
                        asked = not self._answer_some(writer)
                idle = time.monotonic() - self._last_work > LIVELY_SECONDS
                time.sleep(IDLE_STEP_SECONDS if idle else STEP_SECONDS)

    def _look(self) -> tuple[Stamp, Stamp, Stamp]:
        foreign = stamp(self._folder.flow_info)
        return (
            stamp(self._folder.input),
            MISSING if foreign == self._written else foreign,
            stamp(self._folder.requests),
        )

    def _refresh(self, writer: AdapterWriter) -> bool:
        """Compute a generation if the input is another than the last; False to look again soon."""
        try:
            read = self._adapter.read_folder(self._read, self._written)
        except FileBusy:
            return False
        except NoInput as error:
            writer.set_state("serving", message=str(error))
            return True
        except GradtuiError as error:
            self._fail(writer, error)
            return True
        last = self._read
        if last is not None and (read.digest, read.generation) == (last.digest, last.generation):
            return True
        self._read, self._run = read, None
        self._last_said = time.monotonic()
        try:
            number, self._run = self._adapter.generate(
                writer, read, progress=lambda share: self._progress(writer, share)
            )
        except (Cancelled, Stopped):
            self._read = last
            return False
        except Exception as error:  # noqa: BLE001 - the user's model may raise anything, and the loop goes on
            self._fail(writer, error)
            return True
        self._written = stamp(self._folder.flow_info)
        writer.set_state("serving", message=f"generation {number}")
        return True

    def _progress(self, writer: AdapterWriter, share: float) -> None:
        if self._stop():
            raise Stopped
        now = time.monotonic()
        if now - self._last_said > SAID_AFTER_SECONDS:
            self._last_said = now
            writer.set_state("computing", progress=share, message="gradient flows")
            print(f"computing gradient flows: {share:.0%}", file=sys.stderr, flush=True)

    def _fail(self, writer: AdapterWriter, error: Exception) -> None:
        text = "".join(traceback.format_exception(error))
        line = reason_line(error)
        # "failed" is the word of an adapter that ended: this one waits for the next save.
        writer.set_state("serving", message=line, error=text)
        print(text if not isinstance(error, GradtuiError) else line, file=sys.stderr, flush=True)

    def _answer_some(self, writer: AdapterWriter) -> bool:
        """Answer requests, the newest first, for a while; whether none is left."""
        started = time.monotonic()
        for request in pending_requests(self._folder):
            if time.monotonic() - started > REQUEST_SECONDS or self._stop():
                return False
            if not self._answer(writer, request):
                return False
        return True

    def _answer(self, writer: AdapterWriter, request: Request) -> bool:
        before = self._look()
        self._last_said = began = time.monotonic()

        def progress(share: float) -> None:
            self._progress(writer, share)
            # A new input makes the answer worthless: it is computed again after the new generation.
            if self._look()[:2] != before[:2]:
                raise Cancelled

        try:
            status, reason, arrays = answer_for(
                self._adapter, self._run, self._read, request, progress=progress
            )
        except Cancelled:
            return False
        with contextlib.suppress(GradtuiError):
            answer(self._folder, request.n, status, reason, arrays, generation=writer.generation)
        if self._last_said > began:
            writer.set_state("serving", message=f"generation {writer.generation}")
        return True


def _settled(stamps: tuple[Stamp, ...]) -> bool:
    """Whether an equal look later proves that nothing changed."""
    now = time.time()
    return all(not item.exists or item.tells_apart(now) for item in stamps)


def reason_line(error: BaseException) -> str:
    """An error in one line."""
    text = str(error).strip().partition("\n")[0]
    if isinstance(error, GradtuiError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
