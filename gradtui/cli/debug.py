"""``gradtui debug``: a model of the person's own, served beside the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.cli import terminal
from gradtui.cli.options import Parser, screen_arguments, screen_options
from gradtui.errors import UsageError

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
    made.add_argument("--reload", action="store_true", help="again at each save of FILE.py")
    return made


def run(options: argparse.Namespace) -> int:
    """Serve the model, show it, and return the exit code."""
    source, colon, factory = options.spec.rpartition(":")
    if not colon or not source or not factory.replace(".", "_").isidentifier():
        raise UsageError(f"{options.spec}: FILE.py:FACTORY is needed, such as net.py:make")
    from pathlib import Path

    if not Path(source).is_file():
        raise UsageError(f"{source}: no such file")
    terminal.need_terminal(options.folder)
    python = _interpreter(options.python) if options.python else ""
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
