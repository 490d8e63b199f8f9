"""Options that several commands have, and parsers whose errors are one line."""

from __future__ import annotations

import argparse
from typing import Any, Final, NoReturn

from gradtui.errors import UsageError

COMMANDS: Final = ("demo", "debug", "trace", "show", "check", "analyse", "export")

# The names are spelt out so that --help needs neither numpy nor the floors that define them.
ESTIMATES: Final = ("proportional", "equal", "minimum-norm", "vnittest")

NEARLY: Final = 0.5
"""How alike a word is to the command that it was meant for: cheque and check are so by 0.55."""

VALUED: Final = (
    "--estimate", "--color", "--max-bytes", "--folder", "--python", "--fail-on", "--format",
    "--points", "--input", "--stage", "--html", "--csv", "--depth", "--merge", "--sort", "--hot", "--palette",
    "--fix", "--avoid", "--colour-by", "--gif", "--fps", "--channel", "--scale", "--role", "--run",
)  # fmt: skip
"""Options that are followed by a value: the word after one of them is no command."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError instead of printing the usage and leaving."""
        raise UsageError(f"{message} (gradtui --help)")


def meant_by(word: str) -> str:
    """Return the command that a word is nearly; "" where it is none."""
    # Only an error needs it, and it takes as long to import as all else here.
    from difflib import get_close_matches

    return next(iter(get_close_matches(word.lower(), COMMANDS, 1, NEARLY)), "")


def no_such_command(word: str) -> str:
    """Return what to say of a word that stands where a command does."""
    meant = meant_by(word)
    asked = f"; did you mean {meant!r}?" if meant else "."
    if word == "watch":
        asked = ": a training calls watch() of gradtui.torch, and gradtui FOLDER shows its run."
    listed = f"{', '.join(COMMANDS[:-1])} and {COMMANDS[-1]}"
    return (
        f"no such command {word!r}{asked} The commands are {listed}; without one a FOLDER is opened"
    )


def screen_options() -> argparse.ArgumentParser:
    """Return the options of every command that opens the screen, as a parent of its parser."""
    options = Parser(add_help=False)
    add_estimate(options)
    options.add_argument(
        "--color",
        choices=("auto", "truecolor", "256", "16", "none"),
        default="auto",
        metavar="WHEN",
        help="auto, truecolor, 256, 16 or none",
    )
    options.add_argument("--ascii", action="store_true", help="no box or block characters")
    options.add_argument("--mouse", action="store_true", help="take the mouse from the terminal")
    options.add_argument("--poll", action="store_true", help="for drives that report no changes")
    add_max_bytes(options)
    return options


def screen_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return what `screen_options` parsed, as arguments of `gradtui.launch.Launch`."""
    return {
        name: getattr(options, name)
        for name in ("estimate", "ascii", "color", "mouse", "poll", "max_bytes")
    }


def add_estimate(parser: argparse.ArgumentParser) -> None:
    """Add ``--estimate``; empty where it is not given."""
    parser.add_argument(
        "--estimate",
        choices=ESTIMATES,
        default="",
        metavar="NAME",
        help=f"rule for flows that were not measured: {', '.join(ESTIMATES)}",
    )


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add ``--run``; empty where it is not given."""
    parser.add_argument(
        "--run",
        default="",
        metavar="N",
        help="not the newest run of the folder but this one: its number in gradtui show FOLDER --runs, or the"
        " beginning of its id",
    )


def add_max_bytes(parser: argparse.ArgumentParser) -> None:
    """Add ``--max-bytes``."""
    parser.add_argument(
        "--max-bytes",
        type=_byte_count,
        default=1 << 30,
        metavar="N",
        help="refuse larger files (default 1G)",
    )


def _byte_count(text: str) -> int:
    units = {"K": 10, "M": 20, "G": 30, "T": 40}
    shift = units.get(text[-1:].upper(), 0)
    digits = text[:-1] if shift else text
    if not (digits.isascii() and digits.isdigit() and int(digits) > 0 and len(digits) < 16):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of bytes (such as 2G)")
    return int(digits) << shift


def count_of(text: str) -> int:
    """Return a whole number from 0 up, for an option's value."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of points")
    return int(text)
