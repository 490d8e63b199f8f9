"""The served loop: a generation for every save, requests between them, nothing lost when the model fails."""

from __future__ import annotations

import contextlib
import os
import time
import traceback
from typing import TYPE_CHECKING, Final

from gradtui.errors import FileBusy, GradtuiError, InvalidContents, SaveFailed
from gradtui.folder.requests import answer, pending_requests
from gradtui.folder.stamp import MISSING, Stamp, stamp
from gradtui.torch.answering import answer_for
from gradtui.torch.flows import Cancelled
from gradtui.torch.lifeline import say
from gradtui.torch.served import NoInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradtui.folder.generation import AdapterWriter
    from gradtui.folder.inputs import InputRead
    from gradtui.folder.requests import Request
    from gradtui.torch.forward import Pass
    from gradtui.torch.served import Served

# A look is three stat calls, 10 µs: at this step the loop takes well under 1 % of a core.
STEP_SECONDS: Final = 0.005
# After this long without a change the step is longer; the first save then waits that much more.
LIVELY_SECONDS: Final = 10.0
IDLE_STEP_SECONDS: Final = 0.01
# Two writes within one tick of the kernel's clock can look the same: so long after a change it is looked at anew.
DOUBTFUL_SECONDS: Final = 0.03
# Requests are answered for this long before the input is looked at again.
REQUEST_SECONDS: Final = 0.05
# After a generation or an answer that the disk did not take, no other is tried for this long.
REFUSED_DISK_SECONDS: Final = 1.0
# What takes longer than this is said to be computing, with its progress; a newer save then ends it.
SAID_AFTER_SECONDS: Final = 0.2


_Glance = tuple[int, ...]


class Stopped(Exception):
    """The loop was told to stop in the middle of a computation."""


class Server:
    """Serves one adapter's folder; `serve` returns when ``stop`` says so."""

    def __init__(self, adapter: Served, *, stop: Callable[[], bool]) -> None:
        self._adapter = adapter
        self._stop = stop
        self._folder = folder = adapter.folder
        self._paths = (str(folder.input), str(folder.flow_info), str(folder.requests))
        self._run: Pass | None = None
        self._read: InputRead | None = None
        self._written: _Glance = ()
        self._own: Stamp = MISSING
        self._last_said = 0.0
        self._told = ""
        self._has_told = True
        self._is_cut_short = False
        self._no_generation_before = 0.0
        self._no_answers_before = 0.0

    def serve(self) -> None:
        """Run until stopped; see `DebugAdapter.serve`."""
        with self._adapter.writer() as writer:
            writer.set_state("starting", message="computing the first generation")
            seen, edited, asked = self._look(), True, True
            changed = time.monotonic()
            while not self._stop():
                now, moment = self._look(), time.monotonic()
                if now != seen:
                    edited |= now[:2] != seen[:2]
                    asked |= now[2] != seen[2]
                    seen, changed = now, moment
                if moment - changed < DOUBTFUL_SECONDS:
                    edited = asked = True
                with contextlib.suppress(Stopped):
                    if edited:
                        edited = not self._refresh(writer)
                    # Of a generation that was cut short nothing is left to ask about; the next comes at once.
                    if asked and self._read is not None and not self._is_cut_short:
                        asked = not self._answer_some(writer)
                writer.beat()
                if not (edited or asked):
                    self._adapter.draw()
                idle = moment - changed > LIVELY_SECONDS
                time.sleep(IDLE_STEP_SECONDS if idle else STEP_SECONDS)

    def _look(self) -> tuple[_Glance, _Glance, _Glance]:
        """What tells that the input, a foreign flow_info, or the requests changed."""
        given, foreign, requests = (_glance(path) for path in self._paths)
        return given, () if foreign == self._written else foreign, requests

    def _refresh(self, writer: AdapterWriter) -> bool:
        """Compute a generation if the input is another than the last; False to look again soon."""
        if time.monotonic() < self._no_generation_before:
            return False
        try:
            read = self._adapter.read_folder(self._read, self._own)
        except FileBusy:
            return False
        except NoInput as error:
            if self._told != str(error):
                self._told = str(error)
                writer.set_state("serving", message=self._told)
            return True
        except GradtuiError as error:
            self._fail(writer, error)
            return True
        last = self._read
        same = last is not None and (read.digest, read.generation) == (last.digest, last.generation)
        if same and not self._is_cut_short:
            return True
        self._read, self._run, self._is_cut_short = read, None, True
        self._last_said = began = time.monotonic()
        before = self._look()[:2]

        def progress(share: float) -> None:
            self._progress(writer, share)
            if time.monotonic() - began > SAID_AFTER_SECONDS and self._look()[:2] != before:
                raise Cancelled

        try:
            number, self._run = self._adapter.generate(writer, read, progress=progress)
        except (Cancelled, Stopped):
            self._read = last
            return False
        except SaveFailed as error:
            # It stays unanswered: the disk may have room later. Computing takes half the time at most.
            self._read = last
            now = time.monotonic()
            self._no_generation_before = now + max(REFUSED_DISK_SECONDS, now - began)
            self._fail(writer, error)
            return False
        except Exception as error:  # noqa: BLE001 - the user's model may raise anything, and the loop goes on
            self._is_cut_short = False
            self._fail(writer, error)
            return True
        self._is_cut_short = False
        self._own, self._written = stamp(self._folder.flow_info), _glance(self._paths[1])
        self._told = ""
        writer.set_state("serving", message=self._generation_line(number))
        return True

    def _generation_line(self, number: int) -> str:
        note = self._adapter.left_alone
        return f"generation {number}" + (f"; {note}" if note else "")

    def _progress(self, writer: AdapterWriter, share: float) -> None:
        if self._stop():
            raise Stopped
        now = time.monotonic()
        if now - self._last_said > SAID_AFTER_SECONDS:
            self._last_said, self._has_told = now, False
            writer.set_state("computing", progress=share, message="gradient flows")
            say(f"computing gradient flows: {share:.0%}")

    def _fail(self, writer: AdapterWriter, error: Exception) -> None:
        text = "".join(traceback.format_exception(error))
        line = reason_line(error)
        if self._told != text:
            say(line if isinstance(error, GradtuiError) else text)
        elif self._has_told:
            return
        self._told = text
        # "failed" is the word of an adapter that ended: this one waits for the next save.
        self._has_told = writer.set_state("serving", message=line, error=text)

    def _answer_some(self, writer: AdapterWriter) -> bool:
        """Answer requests, the newest first, for a while; whether none is left."""
        started = time.monotonic()
        if started < self._no_answers_before:
            return False
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
        number = writer.generation
        try:
            try:
                answer(self._folder, request.n, status, reason, arrays, generation=number)
            except InvalidContents as error:
                # Numbers that no .npy of ours holds: complex ones, say.
                answer(self._folder, request.n, "refused", str(error), generation=number)
        except SaveFailed as error:
            # It stays asked: the disk may have room later.
            self._no_answers_before = time.monotonic() + REFUSED_DISK_SECONDS
            say(str(error))
            return False
        if self._last_said > began:
            writer.set_state("serving", message=self._generation_line(writer.generation))
        return True


def _glance(path: str) -> _Glance:
    """Time, size and number of a file, without the cost of a record; empty where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - twice as fast as a Path's, several hundred times a second
    except OSError:
        return ()
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def reason_line(error: BaseException) -> str:
    """An error in one line."""
    text = str(error).strip().partition("\n")[0]
    if isinstance(error, GradtuiError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
