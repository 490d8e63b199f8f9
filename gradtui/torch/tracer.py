"""``python -m gradtui.torch.tracer SPEC --folder F``: trace a person's model in a process of its own.

The graph goes into the folder's ``graph.json``, what the person's file prints to where it prints it. Exit codes:
0 for a graph, also a partial one; 2 for a spec or input that can't be, 3 for a person's file that raises or can't be
read, and for a folder that can't be written.
"""

from __future__ import annotations

import argparse
import sys
import threading
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from gradtui.errors import FolderMissing, GradtuiError, UsageError
from gradtui.folder.generation import AdapterWriter
from gradtui.folder.graph_file import write_graph
from gradtui.torch.lifeline import Ended, lifeline, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import nn

PATIENCE_SECONDS: Final = 2.0
BUILDING: Final = "building the model; a factory that makes it within \"with torch.device('meta'):\" gives it no data, and is quick"


def main(arguments: Sequence[str] | None = None) -> int:
    """Trace what the arguments name; returns the exit code."""
    parser = argparse.ArgumentParser(prog="gradtui.torch.tracer", description="Trace a model.")
    parser.add_argument("spec", help="FILE.py:FACTORY")
    parser.add_argument("--folder", required=True, help="where the graph goes")
    parser.add_argument("--input", action="append", default=[], help="a shape, or NAME=SHAPE")
    parser.add_argument("--stage", default="auto")
    options = parser.parse_args(arguments)
    try:
        with lifeline():
            return _trace(options)
    except Ended as ended:
        return ended.code


def _trace(options: argparse.Namespace) -> int:
    try:
        writer = AdapterWriter(options.folder)
    except GradtuiError as error:
        say(str(error))
        return 3
    failure, code = "", 0
    try:
        writer.set_state("starting", message=f"loading {options.spec}")
        from gradtui.torch.factory import find_factory
        from gradtui.torch.tracing.trace import trace

        factory = find_factory(options.spec)
        writer.set_state("starting", message="building the model")
        with building():
            made = factory()
        model, inputs, named = model_and_inputs(made, options.spec)
        given, named = shapes(options.input) if options.input else (inputs, named)
        writer.set_state("computing", message=f"tracing {type(model).__name__}")
        write_graph(writer.folder, trace(model, *given, stage=options.stage, **named))
    except GradtuiError as error:
        failure, code = str(error), 2 if isinstance(error, (UsageError, FolderMissing)) else 3
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the person's file may raise anything; it is told, whole
        failure, code = _told(error), 3
    if failure:
        say(failure)
        writer.set_state("failed", message=failure.rstrip().rpartition("\n")[2], error=failure)
    else:
        writer.close()
    return code


@contextmanager
def building() -> Iterator[None]:
    """Say what takes so long, where building a model does, and how it takes a moment.

    It is not built without data unasked: a factory may read values and load weights, and what it does besides, such as
    writing a file, would be done twice where that fails.
    """
    telling = threading.Timer(PATIENCE_SECONDS, say, (BUILDING,))
    telling.daemon = True
    telling.start()
    try:
        yield
    finally:
        telling.cancel()


def _told(error: BaseException) -> str:
    """An error of a person's file as lines: the traceback from the file's first frame on, and what is wrong.

    The last line, which is what the screen has room for, has the place, the class and the first line of the message.
    """
    from gradtui.torch.tracing.sources import from_users, place_of

    whole = "".join(traceback.format_exception(type(error), error, from_users(error.__traceback__)))
    place = place_of(error)
    if not place:
        return whole.rstrip()
    words = error.msg if isinstance(error, SyntaxError) else str(error).partition("\n")[0]
    if isinstance(error, SystemExit) or whole.endswith(f"{words}\n"):
        # The last line says the same, without the place.
        whole = "".join(whole.splitlines(keepends=True)[:-1])
    if isinstance(error, SystemExit):
        words = "the file ended the process" + ("" if error.code is None else f": {error.code}")
    return f"{whole}{place}: {type(error).__name__}{': ' if words else ''}{words}"


def model_and_inputs(made: object, spec: str) -> tuple[nn.Module, tuple[Any, ...], dict[str, Any]]:
    """The model that a factory returned, with its positional and keyword arguments.

    A factory returns a model, a model and its inputs (a tensor, a tuple or list of arguments, a dict of keyword
    arguments, a shape as text; or several of them, one after the other), or a `DebugAdapter`, of which the model alone
    is taken.

    Raises:
        UsageError: when it returned something else.
    """
    from torch import nn

    from gradtui.torch.adapter import DebugAdapter
    from gradtui.torch.factory import kind_of

    if isinstance(made, DebugAdapter):
        made = made.model
    if isinstance(made, nn.Module):
        return made, (), {}
    if isinstance(made, (tuple, list)) and len(made) > 1 and isinstance(made[0], nn.Module):
        model, inputs = made[0], made[1] if len(made) == 2 else tuple(made[1:])
        if isinstance(inputs, dict):
            return model, (), {str(name): value for name, value in inputs.items()}
        return model, tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,), {}
    raise UsageError(
        f"{spec}: returned {kind_of(made)}; a model, or (model, inputs), is needed: a tensor, a shape as text, a tuple of "
        "arguments, or a dict of keyword arguments"
    )


def shapes(texts: Sequence[str]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Read ``--input`` options: shapes in order, and shapes of keyword arguments.

    Raises:
        UsageError: when one is no shape.
    """
    from gradtui.torch.tracing.arguments import shape_of

    positional: list[Any] = []
    named: dict[str, Any] = {}
    for text in texts:
        name, sign, shape = text.rpartition("=")
        if sign:
            named[name.strip()] = shape_of(shape)
        else:
            positional.extend(shape_of(part) for part in text.split())
    return tuple(positional), named


if __name__ == "__main__":
    sys.exit(main())
