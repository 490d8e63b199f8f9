"""``gradtui trace``: a model's architecture, in the pane, as text, JSON, CSV or a page."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from gradtui.cli import terminal
from gradtui.cli.exits import UNREADABLE, USAGE, fail
from gradtui.cli.options import Parser, screen_arguments, screen_options
from gradtui.cli.output import need_output, write_out
from gradtui.cli.spec import interpreter, spec_source
from gradtui.errors import UnreadableFile, UsageError

if TYPE_CHECKING:
    import argparse

    from gradtui.core.architecture.categories import Colours
    from gradtui.core.architecture.graph import ModuleGraph
    from gradtui.viewmodel.architecture.choices import ArchitectureChoices

PARTIAL: Final = 1
STDOUT: Final = "-"
"""The name of a file that is none."""
SORTS: Final = ("dataflow", "layer", "out", "params", "flops", "bytes", "hot")
HOTS: Final = ("flops", "parameters", "activations")
STAGES: Final = ("auto", "static", "meta", "fake", "real")
TEXT_COLUMNS: Final = 100


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = Parser(
        prog="gradtui trace",
        description="The architecture of a model: layers, shapes, parameters, FLOPs and dataflow, also of a"
        " model that does not run yet. Opens the pane; prints a table where there is no terminal.",
        parents=[screen_options()],
    )
    made.add_argument(
        "spec",
        metavar="FILE.py:FACTORY",
        help="a function without arguments that returns a model, or a model and its inputs; one that makes a large model"
        " within \"with torch.device('meta'):\" takes no memory for it, and no time",
    )
    made.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="SHAPE",
        help="what to call it with, in place of its own inputs: 1x3x224x224, 2x20:int64, NAME=SHAPE; again for more",
    )
    made.add_argument("--python", default="", metavar="P", help="the interpreter that has torch")
    made.add_argument(
        "--stage", choices=STAGES, default="auto", help="how far to go (default: auto)"
    )
    made.add_argument(
        "--watch",
        action="store_true",
        help="again at each save of FILE.py, or of any module beside it, imported or not, in the pane",
    )
    made.add_argument("--strict", action="store_true", help="exit 1 when the forward pass failed")
    made.add_argument("--json", action="store_true", help="one JSON document")
    made.add_argument("--text", action="store_true", help="the table as text, also in a terminal")
    made.add_argument(
        "--html", default="", metavar="OUT", help="one page that needs no network; - prints it"
    )
    made.add_argument(
        "--csv", default="", metavar="OUT", help="every node as a line of CSV; - prints it"
    )
    made.add_argument(
        "--unfold",
        action="store_true",
        help="calls alike (×N) one by one, the first of them open: in --text and --html",
    )
    made.add_argument("--depth", type=int, default=-1, metavar="N", help="fold what is deeper")
    made.add_argument(
        "--merge",
        default="0.01",
        metavar="T",
        help="share of parameters that merges (default 0.01)",
    )
    made.add_argument(
        "--sort", choices=SORTS, default="dataflow", metavar="COLUMN", help=", ".join(SORTS)
    )
    made.add_argument("--hot", choices=HOTS, default="flops", metavar="BY", help=", ".join(HOTS))
    made.add_argument("--upward", action="store_true", help="the input at the bottom")
    made.add_argument(
        "--palette",
        default="safe",
        metavar="NAME",
        help="safe, paired, vivid, grey, or #rrggbb,#rrggbb",
    )
    made.add_argument(
        "--fix",
        action="append",
        default=[],
        metavar="NAME=COLOUR",
        help="a category's or class's own colour",
    )
    made.add_argument(
        "--avoid", default="", metavar="N,N", help="places in the palette to leave out"
    )
    made.add_argument("--colour-by", choices=("category", "operation"), default="category")
    return made


def run(options: argparse.Namespace) -> int:
    """Trace the model, show it, and return the exit code."""
    source = spec_source(options.spec)
    _need_one_output(options)
    python = interpreter(options.python) if options.python else ""
    if not python:
        terminal.need_torch(
            "trace", "install gradtui[torch], or name the interpreter that has it: --python P"
        )
    if options.json or options.text or options.html or options.csv or not _has_terminal():
        return _headless(options, python)
    return _pane(options, source, python)


def _need_one_output(options: argparse.Namespace) -> None:
    """Refuse two documents on one standard output."""
    files = [f"{name} -" for name in ("--html", "--csv") if getattr(options, name[2:]) == STDOUT]
    asked = [*files, *(name for name in ("--json", "--text") if getattr(options, name[2:]))]
    if files and len(asked) > 1:
        raise UsageError(f"{' and '.join(asked)}: one alone can be written to standard output")


def _has_terminal() -> bool:
    try:
        terminal.need_terminal("")
    except UsageError:
        return False
    return True


def _headless(options: argparse.Namespace, python: str) -> int:
    need_output("trace")
    from gradtui.core.architecture.categories import Colours
    from gradtui.viewmodel.architecture.choices import ArchitectureChoices

    colours = Colours(**_colours(options))
    graph, code, failure = _traced(options, python)
    if code:
        return _told(options, code, failure)
    choices = _choices(options, ArchitectureChoices())
    if options.unfold:
        from gradtui.viewmodel.architecture.rows import Rows

        choices = Rows(graph).with_alike_open(choices)
    written, parts = _written(options, graph, choices, colours)
    if options.json:
        parts = _document(graph)
    elif options.text or not (written or parts):
        from shutil import get_terminal_size

        from gradtui.export.graph_table import graph_text

        width = (
            get_terminal_size((TEXT_COLUMNS, 24)).columns if sys.stdout.isatty() else TEXT_COLUMNS
        )
        parts = (graph_text(graph, choices, max(width, 60), ascii=options.ascii),)
    elif not parts:
        parts = tuple(f"wrote {name}\n" for name in written)
    failed = options.strict and bool(graph.fault)
    return write_out(parts, PARTIAL if failed else 0)


def _document(graph: ModuleGraph) -> tuple[str, ...]:
    import json

    from gradtui.core.architecture.document import to_document

    return json.dumps(to_document(graph), allow_nan=False), "\n"


def _told(options: argparse.Namespace, code: int, failure: str) -> int:
    """Tell what was no trace at all as JSON where that is wanted; the process has told the person."""
    if options.json and failure:
        from gradtui.core.architecture.graph import ModuleGraph, TraceFault

        kind = UsageError if code == USAGE else UnreadableFile
        write_out(_document(ModuleGraph(fault=TraceFault(kind.__name__, failure))))
    return code


def _traced(options: argparse.Namespace, python: str) -> tuple[ModuleGraph, int, str]:
    """Trace in a process of its own; what the person's file prints goes to standard error.

    Returns: the graph, the exit code, and what the process failed of; "" for a graph, and where a signal ended it.
    """
    import subprocess
    from tempfile import TemporaryDirectory

    from gradtui.launch import TRACER_MODULE, child_command
    from gradtui.signals import EXIT_CODES
    from gradtui.store.architecture import load_failure, load_graph

    with TemporaryDirectory(prefix="gradtui-trace-") as folder:
        command = child_command(
            options.spec, folder, python=python, module=TRACER_MODULE, more=_tracer_options(options)
        )
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sys.stderr.fileno()) as child:
            code = child.wait()
        graph, failure = load_graph(folder), load_failure(folder)
    if failure or code in EXIT_CODES.values() or (graph.nodes and not code):
        return graph, code, failure
    # The person's code ended the process past every handler.
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    failure = f"{options.spec}: the process that traces {how}, without a graph"
    return graph, fail(failure, UNREADABLE), failure


def _tracer_options(options: argparse.Namespace) -> tuple[str, ...]:
    return (*(f"--input={shape}" for shape in options.input), f"--stage={options.stage}")


def _written(
    options: argparse.Namespace, graph: ModuleGraph, choices: ArchitectureChoices, colours: Colours
) -> tuple[list[str], tuple[str, ...]]:
    """Write the files that are wanted; returns their names, and what goes to standard output in place of one."""
    from pathlib import Path

    from gradtui.errors import SaveFailed

    written: list[str] = []
    printed: tuple[str, ...] = ()
    for name, kind in ((options.html, "html"), (options.csv, "csv")):
        if not name:
            continue
        if kind == "html":
            from gradtui.export.graph_html import graph_html

            text = graph_html(graph, choices, colours)
        else:
            from gradtui.export.graph_table import graph_csv

            text = graph_csv(graph)
        if name == STDOUT:
            printed = (text,)
            continue
        try:
            Path(name).write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
        except OSError as error:
            reason = f"cannot be written: {error.strerror or error}"
            raise SaveFailed(name, reason) from None
        written.append(name)
    return written, printed


def _choices(options: argparse.Namespace, usual: ArchitectureChoices) -> ArchitectureChoices:
    from dataclasses import replace

    from gradtui.viewmodel.architecture.choices import merge_of

    return replace(
        usual,
        depth=max(options.depth, -1),
        merge=merge_of(options.merge),
        sort={"flops": "FLOPs"}.get(options.sort, options.sort),
        descending=options.sort != "layer",
        hot=options.hot,
        upward=options.upward,
    )


def _colours(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `Colours`, which were tried once: a wrong one is told before anything is run."""
    from gradtui.core.architecture.categories import Colours

    fixed = {}
    for text in options.fix:
        name, sign, colour = text.partition("=")
        if not sign:
            raise UsageError(f"--fix {text}: expected NAME=COLOUR, such as Convolution=#ff8800")
        fixed[name] = colour
    places = [part.strip() for part in options.avoid.split(",") if part.strip()]
    if not all(part.isdecimal() for part in places):
        raise UsageError(f"--avoid {options.avoid}: expected places such as 3,5")
    found = {
        "palette": options.palette,
        "fixed": fixed,
        "avoid": [int(part) for part in places],
        "by": options.colour_by,
    }
    Colours(**found)
    return found


def _pane(options: argparse.Namespace, source: str, python: str) -> int:
    from tempfile import TemporaryDirectory

    from gradtui.launch import TRACER_MODULE, Launch, child_command
    from gradtui.viewmodel.architecture.choices import ArchitectureChoices, to_state

    colours = _colours(options)
    plan = to_state(_choices(options, ArchitectureChoices()))
    with TemporaryDirectory(prefix="gradtui-trace-") as folder:
        launch = Launch(
            folder,
            wait=True,
            child=child_command(
                options.spec,
                folder,
                python=python,
                module=TRACER_MODULE,
                more=_tracer_options(options),
            ),
            source=source if options.watch else "",
            title=options.spec,
            view="architecture",
            plan=plan,
            colours=colours,
            **screen_arguments(options),
        )
        return terminal.open_screen(launch)
