"""The command line: arguments, exit codes, and which room each command opens.

Arguments are parsed before anything heavy is imported, and every error of the person's is one line
on standard error.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

from gradtui import __version__
from gradtui.errors import FileBusy, FolderMissing, GradtuiError, UnreadableFile, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gradtui.launch import Launch

USAGE: Final = 2
UNREADABLE: Final = 3
INTERRUPTED: Final = 130

COMMANDS: Final = ("demo", "debug", "show")
DUMB: Final = ("", "dumb", "unknown")

# The names are spelt out so that --help needs neither numpy nor the floors that define them.
ESTIMATES: Final = ("proportional", "equal", "minimum-norm", "vnittest")

HELP: Final = """\
gradtui shows the gradient flow of a PyTorch model from a debug folder, in the terminal.

usage:
  gradtui [FOLDER]                 open a debug folder; without one, the newest at or below here
  gradtui demo                     a trained network on handwritten digits, to try everything on
  gradtui debug FILE.py:FACTORY    serve your own model beside the screen
  gradtui show FOLDER [--json]     the same folder as text or JSON, without a screen

FOLDER is a folder, or the beginning of file names (data/test_ for data/test_flow_info.pkl).
A folder that is called like a command is written with its path: gradtui ./show

options (gradtui COMMAND --help has those of a command):
  --estimate NAME    for flows that were not measured: proportional, equal, minimum-norm, vnittest
  --color WHEN       auto, truecolor, 256, 16, none
  --ascii            draw with ASCII characters alone
  --mouse            take the mouse too
  --poll             look at the folder by the clock only, for network drives
  --max-bytes N      the largest file that is read; K, M, G after the number (default 1G)
  --version          the version
  -h, --help         this text

exit codes: 0 ended as asked; 2 usage, or no such folder; 3 a file that cannot be read;
129, 130, 143 ended by HUP, INT, TERM
"""

HINT: Final = "try: gradtui FOLDER, gradtui demo, or gradtui --help"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        argv: the arguments without the program's name; those of the process when None.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(arguments)
    except (UsageError, FolderMissing) as error:
        return _fail(str(error), USAGE)
    except (UnreadableFile, FileBusy) as error:
        return _fail(str(error), UNREADABLE)
    except GradtuiError as error:
        return _fail(str(error), UNREADABLE)
    except MemoryError:
        return _fail("not enough memory for the folder", UNREADABLE)
    except KeyboardInterrupt:
        return INTERRUPTED


def _fail(text: str, code: int) -> int:
    # A path may hold anything, a terminal's control sequences among it.
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    if sys.stderr is not None:
        print(f"gradtui: {line.encode('utf-8', 'backslashreplace').decode()}", file=sys.stderr)
    return code


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (gradtui --help)")


def _screen_options() -> argparse.ArgumentParser:
    options = _Parser(add_help=False)
    _add_estimate(options)
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
    _add_max_bytes(options)
    return options


def _add_estimate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--estimate",
        choices=ESTIMATES,
        default="",
        metavar="NAME",
        help=f"rule for flows that were not measured: {', '.join(ESTIMATES)}",
    )


def _add_max_bytes(parser: argparse.ArgumentParser) -> None:
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


def _parser(command: str) -> argparse.ArgumentParser:
    if command == "show":
        parser = _Parser(
            prog="gradtui show", description="A debug folder as text or JSON, without a screen."
        )
        parser.add_argument("folder", metavar="FOLDER", help="a folder or the beginning of names")
        parser.add_argument("--json", action="store_true", help="one JSON document")
        parser.add_argument("--full", action="store_true", help="with every flow (JSON)")
        _add_estimate(parser)
        _add_max_bytes(parser)
        return parser
    if command == "debug":
        parser = _Parser(
            prog="gradtui debug",
            description="Serve a model of yours beside the screen: edit its input, see its gradients.",
            parents=[_screen_options()],
        )
        parser.add_argument(
            "spec",
            metavar="FILE.py:FACTORY",
            help="a function without arguments that returns a DebugAdapter, or a model and its inputs",
        )
        parser.add_argument("--folder", default="gradtui-debug/", help="default: gradtui-debug/")
        parser.add_argument("--python", default="", help="the interpreter that has torch")
        parser.add_argument("--reload", action="store_true", help="again at each save of FILE.py")
        return parser
    if command == "demo":
        parser = _Parser(
            prog="gradtui demo",
            description="A trained network on handwritten digits, served beside the screen.",
            parents=[_screen_options()],
        )
        parser.add_argument("--folder", default="", help="default: a temporary one, removed after")
        return parser
    parser = _Parser(prog="gradtui", add_help=False, parents=[_screen_options()])
    parser.add_argument("folder", metavar="FOLDER", nargs="?")
    parser.add_argument("--version", action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    return parser


def split_command(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Return the command (empty for opening a folder) and the arguments without it.

    The first word that is neither an option nor an option's value decides; after ``--`` there are
    no commands, as there is none with a path.
    """
    valued = ("--estimate", "--color", "--max-bytes", "--folder", "--python")
    skip = False
    for position, word in enumerate(arguments):
        if skip:
            skip = False
        elif word == "--":
            break
        elif word in valued:
            skip = True
        elif not word.startswith("-") or word == "-":
            if word in COMMANDS:
                return word, [*arguments[:position], *arguments[position + 1 :]]
            break
    return "", list(arguments)


def _run(arguments: list[str]) -> int:
    command, rest = split_command(arguments)
    options = _parse(command, rest)
    if command == "show":
        return _show(options)
    if not command and options.help:
        print(HELP, end="")
        return 0
    if not command and options.version:
        print(f"gradtui {__version__}")
        return 0
    if command == "demo":
        return _demo(options)
    if command == "debug":
        return _debug(options)
    return _open(options)


def _parse(command: str, rest: list[str]) -> argparse.Namespace:
    try:
        return _parser(command).parse_args(rest)
    except UsageError as error:
        if command == "show" and "FOLDER" in str(error):
            raise UsageError(
                "show needs a FOLDER; a folder that is called show is opened by gradtui ./show"
            ) from None
        raise


def _open(options: argparse.Namespace) -> int:
    from gradtui.store.locate import is_debug_folder, newest_folder

    location = options.folder
    if location is None:
        location = newest_folder(".")
        if not location:
            raise UsageError(f"no debug folder here or below; {HINT}")
    elif not is_debug_folder(location):
        raise FolderMissing(location, "no debug folder is there")
    _need_terminal(location)
    from gradtui.launch import Launch

    return _screen(Launch(location, **_screen_arguments(options)))


def _demo(options: argparse.Namespace) -> int:
    import shutil
    import tempfile

    _need_terminal(options.folder or "FOLDER")
    _need_torch("demo", "install gradtui[demo]")
    from gradtui.launch import Launch, child_command

    folder = options.folder or tempfile.mkdtemp(prefix="gradtui-demo-")
    try:
        launch = Launch(
            folder,
            wait=True,
            child=child_command("demo:digits", folder),
            **_screen_arguments(options),
        )
        return _screen(launch)
    finally:
        if not options.folder:
            shutil.rmtree(folder, ignore_errors=True)


def _debug(options: argparse.Namespace) -> int:
    source, colon, factory = options.spec.rpartition(":")
    if not colon or not source or not factory.replace(".", "_").isidentifier():
        raise UsageError(f"{options.spec}: FILE.py:FACTORY is needed, such as net.py:make")
    from pathlib import Path

    if not Path(source).is_file():
        raise UsageError(f"{source}: no such file")
    _need_terminal(options.folder)
    python = _interpreter(options.python) if options.python else ""
    if not python:
        _need_torch(
            "debug", "install gradtui[torch], or name the interpreter that has it: --python P"
        )
    from gradtui.launch import Launch, child_command

    launch = Launch(
        options.folder,
        wait=True,
        child=child_command(options.spec, options.folder, python=python),
        source=source if options.reload else "",
        **_screen_arguments(options),
    )
    return _screen(launch)


def _interpreter(name: str) -> str:
    """An interpreter by its path, its name on PATH, or the folder of its environment."""
    import shutil
    from pathlib import Path

    if Path(name).is_dir():
        name = str(Path(name) / "bin" / "python")
    found = shutil.which(name)
    if found is None:
        raise UsageError(f"--python {name}: no such interpreter")
    # Not resolved: an environment's python is a link, and it is the link that makes it that environment's.
    return str(Path(found).absolute())


def _screen_arguments(options: argparse.Namespace) -> dict[str, Any]:
    return {
        name: getattr(options, name)
        for name in ("estimate", "ascii", "color", "mouse", "poll", "max_bytes")
    }


def _need_terminal(location: str) -> None:
    """Refuse to draw where nobody sees it, before anything is imported that would."""
    instead = f"gradtui show {location} prints the folder as text"
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if stream is None or not stream.isatty():
            raise UsageError(f"a terminal is needed for the screen; {instead}")
    if os.environ.get("TERM", "") in DUMB:
        raise UsageError(
            f"this terminal (TERM={os.environ.get('TERM', '')}) cannot draw; {instead}"
        )


def _need_torch(command: str, advice: str) -> None:
    from importlib.util import find_spec

    found = find_spec("torch")
    # A folder that happens to be called torch is a package without an origin.
    if found is None or found.origin is None:
        raise UsageError(f"{command} needs torch, which is not installed here: {advice}")


def _screen(launch: Launch) -> int:
    # Collecting while modules load finds nothing, and takes a tenth of the start; the screen begins it.
    gc.disable()
    from gradtui.launch import choose_colors

    choose_colors(launch.color)
    from gradtui.tui.app import run

    return run(launch)


def _show(options: argparse.Namespace) -> int:
    if sys.stdout is None:
        raise UsageError("show writes to standard output, which is closed")
    # A name may hold what the terminal's encoding lacks.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    from gradtui.store.keeper import Keeper
    from gradtui.viewmodel.document import json_parts, show_text

    keeper = Keeper(
        options.folder,
        on_change=lambda _: None,
        max_bytes=options.max_bytes,
        estimate=options.estimate or ESTIMATES[0],
    )
    view = keeper.load_once()
    parts: Iterable[str]
    if options.json or options.full:
        parts = json_parts(view.session, full=options.full)
    else:
        parts = (show_text(view.session, view.notes),)
    try:
        for part in parts:
            sys.stdout.write(part)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        return _abandon_output(0)
    except OSError as error:
        _fail(f"standard output: {error.strerror or error}", UNREADABLE)
        return _abandon_output(UNREADABLE)
    return 0


def _abandon_output(code: int) -> int:
    """Leave what is still buffered unwritten: the interpreter flushes once more at exit, and would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
