"""``gradtui show``: a debug folder as text or JSON, without a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.cli.options import ESTIMATES, Parser, add_estimate, add_max_bytes
from gradtui.cli.output import need_output, write_out

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = Parser(
        prog="gradtui show", description="A debug folder as text or JSON, without a screen."
    )
    made.add_argument("folder", metavar="FOLDER", help="a folder or the beginning of names")
    made.add_argument("--json", action="store_true", help="one JSON document")
    made.add_argument("--full", action="store_true", help="with every flow (JSON)")
    add_estimate(made)
    add_max_bytes(made)
    return made


def run(options: argparse.Namespace) -> int:
    """Print the folder and return the exit code."""
    need_output("show")
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
    return write_out(parts)
