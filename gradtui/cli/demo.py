"""``gradtui demo``: a trained network on handwritten digits, served beside the screen; or its training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.cli import terminal
from gradtui.cli.options import Parser, screen_arguments, screen_options

if TYPE_CHECKING:
    import argparse


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = Parser(
        prog="gradtui demo",
        description="A trained network on handwritten digits, served beside the screen; `watch`: its "
        "training, in which things go wrong.",
        parents=[screen_options()],
    )
    made.add_argument(
        "what",
        nargs="?",
        choices=("digits", "watch"),
        default="digits",
        help="a trained network to edit inputs of (digits), or a training to watch (watch)",
    )
    made.add_argument("--folder", default="", help="default: a temporary one, removed after")
    return made


def run(options: argparse.Namespace) -> int:
    """Run the demo, show it, and return the exit code."""
    import shutil
    import tempfile

    terminal.need_terminal(options.folder or "FOLDER")
    terminal.need_torch("demo", "install gradtui[demo]")
    from gradtui.launch import Launch, child_command

    folder = options.folder or tempfile.mkdtemp(prefix="gradtui-demo-")
    try:
        launch = Launch(
            folder,
            wait=True,
            child=child_command(f"demo:{options.what}", folder),
            **screen_arguments(options),
        )
        return terminal.open_screen(launch)
    finally:
        if not options.folder:
            shutil.rmtree(folder, ignore_errors=True)
