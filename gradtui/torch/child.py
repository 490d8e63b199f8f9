"""``python -m gradtui.torch.child SPEC --folder F``: the adapter's process beside a pane.

Its progress goes to standard error as lines and to ``adapter.json``. It ends with its parent, and on
SIGTERM, SIGINT and SIGHUP. Exit codes: 2 for a spec or folder that can't be, 3 for a folder that can't be
read or written, 1 for an error of the user's file, 128 and the signal's number when it was ended.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
import traceback
from typing import TYPE_CHECKING, Final

from gradtui.errors import FolderMissing, GradtuiError, UsageError
from gradtui.folder.generation import AdapterWriter
from gradtui.torch.lifeline import Ended, lifeline, say

if TYPE_CHECKING:
    from collections.abc import Sequence

SAID_EVERY_SECONDS: Final = 0.1
WATCHED: Final = "demo:watch"
"""A training, not an adapter: its watcher is what writes the folder."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve what the arguments name until told to end; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="gradtui.torch.child", description="Serve a debug folder."
    )
    parser.add_argument("spec", help="FILE.py:FACTORY, demo:digits or demo:watch")
    parser.add_argument("--folder", default="gradtui-debug", help="the debug folder or prefix")
    options = parser.parse_args(arguments)
    try:
        with lifeline():
            if options.spec == WATCHED:
                return _train(options.folder)
            return _serve(options.spec, options.folder)
    except Ended as ended:
        return ended.code


def _serve(spec: str, folder: str) -> int:
    try:
        writer = AdapterWriter(folder)
    except GradtuiError as error:
        say(str(error))
        return _code(error)
    failure, served = "", False
    try:
        writer.set_state("starting", message=f"loading {spec}")
        say(f"loading torch and {spec}")
        from gradtui.torch.factory import adapter_of

        adapter = adapter_of(spec, folder, _Progress(writer))
        say(f"serving {folder}")
        served = True
        adapter.serve()
    except Ended:
        raise
    except GradtuiError as error:
        failure = str(error)
        say(failure)
        return _code(error)
    except Exception as error:  # noqa: BLE001 - the user's file may raise anything; it is told, whole
        failure = "".join(traceback.format_exception(error))
        say(failure)
        return 1
    finally:
        # A loop that ran has said itself how it ended.
        if failure or not served:
            _close(writer, failure)
    return 0


def _train(folder: str) -> int:
    say("loading torch")
    import torch

    from gradtui.torch.demo.training import run

    # Tensors are small, and the pane wants a core too: more threads would only wait for each other.
    torch.set_num_threads(1)
    try:
        run(folder)
    except GradtuiError as error:
        say(str(error))
        return _code(error)
    return 0


def _close(writer: AdapterWriter, failure: str) -> None:
    with contextlib.suppress(Ended):
        if failure:
            last = failure.rstrip().rpartition("\n")[2]
            writer.set_state("failed", message=last, error=failure)
        else:
            writer.close()


class _Progress:
    """Progress of a factory: a line and a state, at most ten a second."""

    def __init__(self, writer: AdapterWriter) -> None:
        self._writer = writer
        self._said = 0.0

    def __call__(self, share: float, message: str) -> None:
        now = time.monotonic()
        if share < 1 and now - self._said < SAID_EVERY_SECONDS:
            return
        self._said = now
        self._writer.set_state("training", progress=share, message=message)
        say(f"{share:4.0%} {message}")


def _code(error: GradtuiError) -> int:
    return 2 if isinstance(error, (UsageError, FolderMissing)) else 3


if __name__ == "__main__":
    sys.exit(main())
