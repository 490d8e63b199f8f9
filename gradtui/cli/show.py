"""``gradtui show``: a debug folder or a watched run as text or JSON, without a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gradtui.cli.options import ESTIMATES, Parser, add_estimate, add_max_bytes, add_run, count_of
from gradtui.cli.output import need_output, write_out
from gradtui.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from gradtui.cli.reading import Contents

FORMATS: Final = ("text", "json", "graph-json")
POINTS: Final = 100


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = Parser(
        prog="gradtui show",
        description="A debug folder or a watched run as text or JSON, without a screen.",
    )
    made.add_argument(
        "folder",
        metavar="FOLDER",
        help="a folder, the beginning of names, or a FILE.json of gradient norms",
    )
    made.add_argument("--json", action="store_true", help="one JSON document")
    made.add_argument("--full", action="store_true", help="with every flow (JSON)")
    made.add_argument("--history", action="store_true", help="with the series of a watched run")
    made.add_argument(
        "--points",
        type=count_of,
        metavar="N",
        help=f"the most points of a series in JSON (default {POINTS}; 0: all)",
    )
    made.add_argument(
        "--format",
        choices=FORMATS,
        default="",
        metavar="NAME",
        help="text, json, or graph-json (layers and edges with gradient norms)",
    )
    made.add_argument(
        "--runs", action="store_true", help="a list of the runs that the folder holds"
    )
    add_run(made)
    add_estimate(made)
    add_max_bytes(made)
    return made


def run(options: argparse.Namespace) -> int:
    """Print the folder and return the exit code."""
    need_output("show")
    form = options.format or ("json" if options.json or options.full else "text")
    if form != "json" and (options.json or options.full):
        raise UsageError(f"--format {form} and --json do not go together (gradtui --help)")
    if options.points is not None and not (options.history and form == "json"):
        raise UsageError("--points goes with --history --json (gradtui --help)")
    if options.history and (form == "graph-json" or options.folder.endswith(".json")):
        raise UsageError("--history is of a watched run, as text or JSON (gradtui --help)")
    if options.folder.endswith(".json"):
        if options.run or options.runs:
            raise UsageError("--run is of a folder that runs were watched into (gradtui --help)")
        return write_out(_graph_file(options.folder, form, options.max_bytes))
    from gradtui.cli.runs import chosen_run, list_of_runs

    if options.runs:
        if form != "text" or options.history or options.run:
            raise UsageError("--runs is a list, with no other option of show (gradtui --help)")
        return write_out((list_of_runs(options.folder),))
    from gradtui.cli.reading import read_contents

    chosen = chosen_run(options.folder, options.run)
    contents = read_contents(
        chosen,
        max_bytes=options.max_bytes,
        estimate=options.estimate or ESTIMATES[0],
    )
    if form == "graph-json":
        return write_out(_graph(contents, options.folder))
    if options.history and not contents.is_watched and form == "text":
        raise UsageError(f"{options.folder}: no watched run is there; --history is of one")
    if form == "json":
        return write_out(_document(contents, chosen.location, options))
    return write_out(_page(contents, options))


def _graph(contents: Contents, folder: str) -> Iterator[str]:
    from gradtui.export.graph_json import graph_of, graph_text

    if contents.run.is_empty:
        raise UsageError(f"{folder}: no watched run is there; graph-json is made of one")
    yield graph_text(graph_of(contents.run))


def _graph_file(path: str, form: str, max_bytes: int) -> Iterator[str]:
    from gradtui.diagnosis.norms import find_in_norms
    from gradtui.export.graph_json import graph_text, read_graph
    from gradtui.viewmodel.graph_page import graph_page

    graph = read_graph(path, max_bytes)
    if form == "text":
        norms = {node.id: node.norm for node in graph.nodes}
        edges = [(edge.source, edge.target, edge.norm) for edge in graph.edges]
        kinds = {node.id: node.kind for node in graph.nodes}
        yield graph_page(path, graph.step, norms, kinds, edges, find_in_norms(norms, graph.step))
    else:
        yield graph_text(graph)


def _document(contents: Contents, folder: str, options: argparse.Namespace) -> Iterator[str]:
    from gradtui.viewmodel.document import json_parts

    run: Iterable[str] = ("null",)
    if contents.is_watched:
        from gradtui.viewmodel.run.document import run_parts

        run = run_parts(
            contents.run,
            contents.findings,
            contents.run_notes,
            history=options.history,
            points=POINTS if options.points is None else options.points,
        )
    return json_parts(contents.session, folder, full=options.full, run=run)


def _page(contents: Contents, options: argparse.Namespace) -> Iterator[str]:
    from gradtui.viewmodel.document import show_text

    if contents.is_watched:
        from gradtui.viewmodel.run.page import run_text

        yield run_text(contents.run, contents.findings, contents.run_notes, history=options.history)
    if contents.session.folder:
        if contents.is_watched:
            yield "\n"
        yield show_text(contents.session, contents.notes, kept=contents.is_watched)
