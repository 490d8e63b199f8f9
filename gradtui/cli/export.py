"""``gradtui export``: what a watched run kept, as a file of another kind."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gradtui.cli.options import Parser, add_run

if TYPE_CHECKING:
    import argparse


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = Parser(
        prog="gradtui export",
        description="A layer's features over a training, as an animated GIF: those that watch(keep=...) kept.",
    )
    made.add_argument("folder", metavar="FOLDER", help="the folder that a training watches into")
    made.add_argument(
        "--gif",
        nargs=2,
        required=True,
        metavar=("LAYER", "OUT.gif"),
        help="a module path (path#1 for its second call) or a parameter's name, and the file",
    )
    made.add_argument("--fps", type=float, default=5.0, metavar="N", help="frames a second (5)")
    made.add_argument(
        "--channel", type=int, default=-1, metavar="K", help="one channel alone (default: all)"
    )
    made.add_argument(
        "--scale", choices=("linear", "symlog", "percentile"), default="linear", metavar="NAME"
    )
    made.add_argument(
        "--role", default="", metavar="ROLE", help="where more than the output was kept: whose"
    )
    add_run(made)
    return made


def run(options: argparse.Namespace) -> int:
    """Write the file and return the exit code."""
    from gradtui.cli.runs import chosen_run
    from gradtui.export.gif import export_gif

    layer, out = options.gif
    chosen = chosen_run(options.folder, options.run)
    evolution = export_gif(
        chosen.location,
        layer,
        out,
        runs=chosen.wanted,
        role=options.role,
        fps=options.fps,
        channel=options.channel,
        scale=options.scale,
    )
    first, last = int(evolution.steps[0]), int(evolution.steps[-1])
    print(f"{out}: {len(evolution)} frames, steps {first} to {last}", file=sys.stderr)
    return 0
