"""``gradtui analyse``: gradients by epoch, clusters of weights, kernels and features alike, of a watched run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.cli.options import Parser, add_run
from gradtui.cli.output import need_output, write_out

if TYPE_CHECKING:
    import argparse


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = Parser(
        prog="gradtui analyse",
        description="Gradients by epoch, clusters of weights, kernels and features alike, of a watched run.",
    )
    made.add_argument("folder", metavar="FOLDER", help="the folder that a training watches into")
    made.add_argument("--json", action="store_true", help="one JSON document")
    add_run(made)
    return made


def run(options: argparse.Namespace) -> int:
    """Print the analyses and return the exit code."""
    need_output("analyse")
    import json

    from gradtui.cli.runs import chosen_run
    from gradtui.core.analysis.report import analyse
    from gradtui.store.run.whole import read_run
    from gradtui.viewmodel.analysis import analysis_document, analysis_text

    chosen = chosen_run(options.folder, options.run)
    report = analyse(read_run(chosen.location, runs=chosen.wanted).run)
    if options.json:
        return write_out((json.dumps(analysis_document(report), indent=2), "\n"))
    return write_out((analysis_text(report),))
