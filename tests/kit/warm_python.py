"""An interpreter that has torch already: what is started with it is a fork of one process that imported it.

A fork costs milliseconds where an import of torch and its compiler costs four seconds of a processor. Everything of
ours is loaded anew by each fork, which has the standard streams, the folder, the environment and the exit code that a
process has which is started; signals reach it by way of two others, and it ends with who started it. What is about
signals, parents or the end of an interpreter itself is for a cold one. Run as a program this is the process that forks;
imported, it starts one.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

MODULES = ("torch", "torch._dynamo")
"""What every fork has: torch imports its compiler when it first computes a shape."""
LONGEST = 1 << 17
"""Bytes of a request."""

STUB = """\
#!{python} -IS
import json, os, signal, socket, sys
door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
door.connect({address!r})
asked = {{"argv": sys.argv, "folder": os.getcwd(), "environment": dict(os.environ)}}
socket.send_fds(door, [json.dumps(asked).encode()], [0, 1, 2])
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda number, frame: door.send(bytes([number])))
code = int(door.recv(16))
if code < 0:
    signal.signal(-code, signal.SIG_DFL) if -code not in (signal.SIGKILL, signal.SIGSTOP) else None
    os.kill(os.getpid(), -code)
os._exit(code)
"""
"""The program that stands for the interpreter: it hands on what it was started with, and ends as the fork does."""


class WarmPython:
    """An interpreter, at `path`, for ``-m MODULE``, ``-c CODE`` and ``SCRIPT``; of the options it knows ``-u`` and ``-W``.

    What is started with it starts others with it.
    """

    def __init__(self) -> None:
        # Not in a test's own folder: the path of a socket must be short.
        self._place = tempfile.TemporaryDirectory(prefix="warm-")
        self.path = f"{self._place.name}/python"
        address = f"{self._place.name}/door"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(address)
        listener.listen(16)
        Path(self.path).write_text(STUB.format(python=sys.executable, address=address))
        Path(self.path).chmod(0o755)
        with listener:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(listener.fileno())],
                stdin=subprocess.PIPE, pass_fds=[listener.fileno()],
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
        self._process.stdin.close()
        self._process.wait(60)
        self._place.cleanup()

    def running(self, module: str, *arguments: str | os.PathLike[str]) -> list[str]:
        """The command of a cold interpreter for a module whose own children are started with this one."""
        code = f"import runpy, sys; sys.executable = {self.path!r}; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
        return [sys.executable, "-c", code, *(os.fspath(argument) for argument in arguments)]


def _serve(listener: socket.socket) -> dict[str, Any]:
    """Fork for each request until standard input closes; returns in the forks alone: what each was asked for."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([listener.fileno(), 0], [], [])
        if 0 in ready:
            return {}
        door, _ = listener.accept()
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            return _asked(door)
        door.close()


def _asked(door: socket.socket) -> dict[str, Any]:
    """Fork once more and watch over that: it returns there alone."""
    message, descriptors, _, _ = socket.recv_fds(door, LONGEST, 3)
    if not message:
        os._exit(0)
    child = os.fork()
    if child:
        for descriptor in (0, 1, 2, *descriptors):
            os.close(descriptor)
        _watch_over(child, door)
    door.close()
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    asked: dict[str, Any] = json.loads(message)
    return asked


def _watch_over(child: int, door: socket.socket) -> None:
    """Hand on signals and, at the end, the exit code; who started it and is gone has it killed."""
    over = os.pidfd_open(child)
    while over not in select.select([over, door.fileno()], [], [])[0]:
        number = door.recv(1)
        os.kill(child, number[0] if number else signal.SIGKILL)
        if not number:
            break
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(OSError):
        door.send(b"%d" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(asked: dict[str, Any]) -> None:
    """Be the process that was asked for."""
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.stdin = os.fdopen(0, closefd=False)
    # Line by line, in the order of what goes to both.
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.executable, first, *rest = asked["argv"]
    while first in ("-u", "-W"):
        if first == "-W":
            warnings.simplefilter(rest.pop(0))
        first, *rest = rest
    if first == "-m":
        sys.argv = rest
        sys.path.insert(0, asked["folder"])
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv = [first, *rest[1:]]
        sys.path.insert(0, "")
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = [first, *rest]
        sys.path.insert(0, str(Path(first).parent))
        runpy.run_path(first, run_name="__main__")


def _code_of(ended: SystemExit) -> int:
    if ended.code is None or isinstance(ended.code, int):
        return ended.code or 0
    print(ended.code, file=sys.stderr)
    return 1


def _main() -> None:
    # The folder of this file is no place of modules.
    del sys.path[0]
    for name in MODULES:
        importlib.import_module(name)
    gc.freeze()
    if not (asked := _serve(socket.socket(fileno=int(sys.argv[1])))):
        return
    code = 0
    try:
        _become(asked)
    except SystemExit as ended:
        code = _code_of(ended)
    except BaseException:
        traceback.print_exc()
        code = 1
    # What an interpreter does at its end, but for taking all of torch apart, which takes a second.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _main()
