"""``gradtui check``: the findings of a run, with an exit code for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gradtui.cli.exits import FOUND
from gradtui.cli.options import Parser, add_max_bytes, add_run
from gradtui.cli.output import need_output, write_out
from gradtui.errors import UsageError

if TYPE_CHECKING:
    import argparse

SEVERITIES: Final = ("bad", "warn", "note")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = Parser(
        prog="gradtui check",
        description="The findings of a watched run or a debug folder; exit code 1 where there are any.",
    )
    made.add_argument(
        "folder",
        metavar="FOLDER",
        help="a folder, the beginning of names, or a FILE.json of gradient norms",
    )
    made.add_argument(
        "--fail-on",
        choices=SEVERITIES,
        default="warn",
        metavar="SEVERITY",
        help="the least severity that fails: bad, warn (default) or note",
    )
    made.add_argument("--json", action="store_true", help="one JSON document")
    add_run(made)
    add_max_bytes(made)
    return made


def run(options: argparse.Namespace) -> int:
    """Print the findings; return 1 where one of them is as bad as was asked, else 0."""
    need_output("check")
    from gradtui.viewmodel.check import check_document, check_text, failed, verdict_of

    if options.folder.endswith(".json"):
        if options.run:
            raise UsageError("--run is of a folder that runs were watched into (gradtui --help)")
        from gradtui.diagnosis.norms import find_in_norms
        from gradtui.export.graph_json import read_graph

        graph = read_graph(options.folder, options.max_bytes)
        norms = {node.id: node.norm for node in graph.nodes}
        verdict = verdict_of(options.folder, findings=find_in_norms(norms, graph.step))
    else:
        from gradtui.cli.reading import read_contents
        from gradtui.cli.runs import chosen_run

        chosen = chosen_run(options.folder, options.run)
        contents = read_contents(chosen, max_bytes=options.max_bytes)
        # The layers of a run's folder are its kept tensors: the findings of the run have judged the same, and more.
        session = contents.session if contents.run.is_empty else None
        verdict = verdict_of(chosen.location, session, contents.run, contents.findings)
    code = FOUND if failed(verdict, options.fail_on) else 0
    if options.json:
        return write_out((check_document(verdict, options.fail_on),), code)
    return write_out((check_text(verdict, options.fail_on),), code)
