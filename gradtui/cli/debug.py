"""``gradtui debug``: a model of the person's own, served beside the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.cli import terminal
from gradtui.cli.options import Parser, screen_arguments, screen_options
from gradtui.cli.spec import interpreter, spec_source

if TYPE_CHECKING:
    import argparse


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = Parser(
        prog="gradtui debug",
        description="Serve a model of yours beside the screen: edit its input, see its gradients.",
        parents=[screen_options()],
    )
    made.add_argument(
        "spec",
        metavar="FILE.py:FACTORY",
        help="a function without arguments that returns a DebugAdapter, or a model and its inputs",
    )
    made.add_argument("--folder", default="gradtui-debug/", help="default: gradtui-debug/")
    made.add_argument("--python", default="", help="the interpreter that has torch")
    made.add_argument(
        "--reload",
        action="store_true",
        help="again at each save of FILE.py, or of any module beside it, imported or not",
    )
    return made


def run(options: argparse.Namespace) -> int:
    """Serve the model, show it, and return the exit code."""
    source = spec_source(options.spec)
    terminal.need_terminal(options.folder)
    python = interpreter(options.python) if options.python else ""
    if not python:
        terminal.need_torch(
            "debug", "install gradtui[torch], or name the interpreter that has it: --python P"
        )
    from gradtui.launch import Launch, child_command

    launch = Launch(
        options.folder,
        wait=True,
        child=child_command(options.spec, options.folder, python=python),
        source=source if options.reload else "",
        **screen_arguments(options),
    )
    return terminal.open_screen(launch)
