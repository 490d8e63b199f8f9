"""``gradtui show``: a debug folder or a watched run as text or JSON, without a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gradtui.cli.options import ESTIMATES, Parser, add_estimate, add_max_bytes, count_of
from gradtui.cli.output import need_output, write_out
from gradtui.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from gradtui.store.view import FolderView

FORMATS: Final = ("text", "json", "graph-json")


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
        default=100,
        metavar="N",
        help="the most points of a series (default 100; 0: all)",
    )
    made.add_argument(
        "--format",
        choices=FORMATS,
        default="",
        metavar="NAME",
        help="text, json, or graph-json (layers and edges with gradient norms)",
    )
    add_estimate(made)
    add_max_bytes(made)
    return made


def run(options: argparse.Namespace) -> int:
    """Print the folder and return the exit code."""
    need_output("show")
    form = options.format or ("json" if options.json or options.full else "text")
    if form != "json" and (options.json or options.full):
        raise UsageError(f"--format {form} and --json do not go together (gradtui --help)")
    if options.folder.endswith(".json"):
        return write_out(_graph_file(options.folder, form, options.max_bytes))
    from gradtui.store.keeper import Keeper

    keeper = Keeper(
        options.folder,
        on_change=lambda _: None,
        max_bytes=options.max_bytes,
        estimate=options.estimate or ESTIMATES[0],
    )
    view = keeper.load_once()
    if form == "graph-json":
        return write_out(_graph(view, options.folder))
    if form == "json":
        return write_out(_document(view, options))
    return write_out(_page(view, options))


def _graph(view: FolderView, folder: str) -> Iterator[str]:
    from gradtui.export.graph_json import graph_of, graph_text

    if view.watched is None or view.run.is_empty:
        raise UsageError(f"{folder}: no watched run is there; graph-json is made of one")
    yield graph_text(graph_of(view.run))


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


def _document(view: FolderView, options: argparse.Namespace) -> Iterator[str]:
    from gradtui.viewmodel.document import json_parts

    if view.watched is None:
        return json_parts(view.session, full=options.full)
    from gradtui.viewmodel.run.document import run_parts

    run = run_parts(view.run, view.findings, history=options.history, points=options.points)
    return json_parts(view.session, full=options.full, run=run)


def _page(view: FolderView, options: argparse.Namespace) -> Iterator[str]:
    from gradtui.viewmodel.document import show_text

    if view.watched is None:
        yield show_text(view.session, view.notes)
        return
    from gradtui.viewmodel.run.page import run_text

    if view.session.layers:
        yield show_text(view.session, view.notes) + "\n"
    yield run_text(view.run, view.findings, view.notes, history=options.history)
