"""`gradtui show` many times over: one warm process that forks for each folder, and measures the child.

A fork costs milliseconds where an interpreter with numpy costs a fifth of a second, and the peak memory of the child is
still its own. Run as a program it is the server; imported, it is the client.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from typing_extensions import Self

SAMPLE = Path(__file__).parents[1] / "data" / "vnittest" / "b_debug_data"
LONGEST = 20
"""Seconds after which a child is ended: it has failed then."""


@dataclass(frozen=True)
class Shown:
    """How one `gradtui show` ended.

    Attributes:
        code: Exit code; negative, the signal that ended it.
        out: What it printed.
        error: What it said on standard error.
        seconds: Of a processor, its own and the system's for it: how long it waits for one is the machine's.
        memory: Peak resident bytes, less those of an interpreter that has numpy and did nothing.
    """

    code: int
    out: str
    error: str
    seconds: float
    memory: int


class ShowServer:
    """A running server.

    Attributes:
        bare: Peak resident bytes of an interpreter that imported numpy and ended.
    """

    def __init__(self, env: dict[str, str] | None = None) -> None:
        self.bare = bare_memory()
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def show(self, *arguments: str | os.PathLike[str], room: int = 0) -> Shown:
        """Run ``gradtui show`` with these arguments; if ``room`` is not zero, with so many bytes beside what the server has."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        asked = {"argv": ["show", *(os.fspath(argument) for argument in arguments)], "room": room}
        stdin.write(json.dumps(asked) + "\n")
        stdin.flush()
        answer: dict[str, Any] = json.loads(stdout.readline())
        return Shown(**{**answer, "memory": answer["memory"] - self.bare})


PEAK = "int(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1]) * 1024"
"""The peak resident bytes of the process that evaluates it: getrusage would count those of the process that started it too."""


def bare_memory() -> int:
    """Peak resident bytes of an interpreter that imports numpy."""
    script = f"import numpy; print({PEAK})"
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True)
    return int(done.stdout)


@contextlib.contextmanager
def _captured() -> Iterator[tuple[Any, Any]]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        yield out, error


def _serve() -> None:
    from gradtui import cli

    # What a child would load before it shows anything is loaded once, here.
    for options in ((), ("--json",)):
        with contextlib.redirect_stdout(io.StringIO()):
            assert cli.main(["show", str(SAMPLE), *options]) == 0
    assert threading.active_count() == 1
    gc.freeze()
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        asked = json.loads(line)
        with _captured() as (out, error):
            child = os.fork()
            if not child:
                os.dup2(out.fileno(), 1)
                os.dup2(error.fileno(), 2)
                _show(cli, asked["argv"], asked["room"])
            _, status, usage = os.wait4(child, 0)
            out.seek(0)
            error.seek(0)
            answer = {
                "code": os.waitstatus_to_exitcode(status),
                "out": out.read().decode(errors="backslashreplace"),
                "error": error.read().decode(errors="backslashreplace"),
                "seconds": usage.ru_utime + usage.ru_stime,
                "memory": usage.ru_maxrss * 1024,
            }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _show(cli: Any, arguments: Sequence[str], room: int) -> None:
    code = 1
    try:
        signal.alarm(LONGEST)
        if room:
            # Beside what is mapped already: of an absolute bound it would depend on the server's heap what is left.
            mapped = Path("/proc/self/statm").read_text().split()[0]
            room += int(mapped) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (room, room))
        code = cli.main(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve()
