"""The command line: arguments, exit codes, and which room each command opens.

Arguments are parsed before anything heavy is imported, and every error of the person's is one line
on standard error. A command is one file here: its ``parser()``, and ``run(options)`` that returns the
exit code.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

from gradtui.cli.exits import INTERRUPTED, UNREADABLE, USAGE, fail
from gradtui.cli.options import COMMANDS, VALUED, meant_by, no_such_command
from gradtui.errors import FileBusy, FolderMissing, GradtuiError, UnreadableFile, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

MOST_NAMED: Final = 5
"""Folders that are named in an error, the newest first."""


class Command(Protocol):
    """A module that is a command."""

    def parser(self) -> argparse.ArgumentParser:
        """Return the parser of the command's arguments."""

    def run(self, options: argparse.Namespace) -> int:
        """Do what is asked and return the exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        argv: the arguments without the program's name; those of the process when None.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        name, rest = split_command(arguments)
        command = command_named(name)
        return command.run(_parsed(command, name, rest))
    except FolderMissing as error:
        return fail(f"{error}{_folders_below(error.path)}", USAGE)
    except UsageError as error:
        return fail(str(error), USAGE)
    except (UnreadableFile, FileBusy) as error:
        return fail(str(error), UNREADABLE)
    except GradtuiError as error:
        return fail(str(error), UNREADABLE)
    except MemoryError:
        return fail("not enough memory for the folder", UNREADABLE)
    except KeyboardInterrupt:
        return INTERRUPTED


def command_named(name: str) -> Command:
    """Return the command of that name; the empty name opens a folder."""
    return cast("Command", import_module(f"gradtui.cli.{name or 'browse'}"))


def split_command(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Return the command (empty for opening a folder) and the arguments without it.

    The first word that is neither an option nor an option's value decides; after ``--`` there are
    no commands, as there is none with a path.
    """
    position = _first_word(arguments)
    if position >= 0 and arguments[position] in COMMANDS:
        return arguments[position], [*arguments[:position], *arguments[position + 1 :]]
    return "", list(arguments)


def _first_word(arguments: Sequence[str]) -> int:
    """The place of the first word that is neither an option nor an option's value; -1 where there is none."""
    skip = False
    for position, word in enumerate(arguments):
        if skip:
            skip = False
        elif word == "--":
            break
        elif word in VALUED:
            skip = True
        elif not word.startswith("-") or word == "-":
            return position
    return -1


def _parsed(command: Command, name: str, rest: list[str]) -> argparse.Namespace:
    try:
        return command.parser().parse_args(rest)
    except UsageError as error:
        if name and "required: FOLDER" in str(error):
            raise UsageError(
                f"{name} needs a FOLDER; a folder that is called {name} is opened by gradtui ./{name}"
            ) from None
        place = _first_word(rest)
        if not name and place >= 0 and "unrecognized arguments" in str(error):
            # A folder is opened by itself: a word that more words follow was meant for a command.
            word = rest[place]
            meant = meant_by(word) or sum(not each.startswith("-") for each in rest) > 1
            if meant and "/" not in word and not Path(word).exists():
                raise UsageError(no_such_command(word)) from None
        raise


def _folders_below(path: str) -> str:
    """What to say of a directory that holds the folders of several runs, and is none itself; "" for others."""
    if not Path(path).is_dir():
        return ""
    from gradtui.store.locate import folders_below

    # One that is a folder of a run itself, of which nothing can be read, is no other's.
    found = [each for each in folders_below(path) if Path(each).resolve() != Path(path).resolve()]
    if not found:
        return ""
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    listed = ", ".join(found[:MOST_NAMED])
    return f"; below it there {'is' if len(found) == 1 else 'are'} {listed}{more}: name one of them"
