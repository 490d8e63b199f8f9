"""``gradtui [FOLDER]``: open a debug folder on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gradtui import __version__
from gradtui.cli import terminal
from gradtui.cli.help import HELP, HINT
from gradtui.cli.options import Parser, meant_by, screen_arguments, screen_options
from gradtui.errors import FolderMissing, UsageError

if TYPE_CHECKING:
    import argparse


def parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments without a command."""
    made = Parser(prog="gradtui", add_help=False, parents=[screen_options()])
    made.add_argument("folder", metavar="FOLDER", nargs="?")
    made.add_argument("--wait", action="store_true")
    made.add_argument("--version", action="store_true")
    made.add_argument("-h", "--help", action="store_true")
    return made


def run(options: argparse.Namespace) -> int:
    """Open the folder, or the newest one at or below here, and return the exit code.

    With ``--wait`` the folder may be one that a training or an adapter has yet to write.
    """
    if options.help:
        print(HELP, end="")
        return 0
    if options.version:
        print(f"gradtui {__version__}")
        return 0
    from gradtui.store.locate import is_debug_folder, newest_folder

    location, is_there = options.folder, True
    if location is None:
        if options.wait:
            raise UsageError("--wait needs the FOLDER that a training will write (gradtui --help)")
        location = newest_folder(".")
        if not location:
            raise UsageError(f"no debug folder here or below; {HINT}")
    elif not is_debug_folder(location):
        if not options.wait:
            # A directory that is there was not meant for a command.
            meant = "" if Path(location).is_dir() else meant_by(location)
            asked = f"; did you mean the command {meant!r}?" if meant else ""
            raise FolderMissing(location, f"no debug folder is there; --wait waits for one{asked}")
        is_there = False
    terminal.need_terminal(location)
    from gradtui.launch import Launch

    return terminal.open_screen(Launch(location, wait=not is_there, **screen_arguments(options)))
