"""Commands typed after ``:``: their names, their arguments, their completion."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gradtui.core.estimate import ESTIMATES
from gradtui.core.region import Region
from gradtui.core.scale import SCALES
from gradtui.core.threshold import MODES
from gradtui.errors import GradtuiError, UsageError
from gradtui.tui.actions import analyses, drafting, editing, graph_rows, looks, moving, run_commands
from gradtui.tui.actions.offered import refusal
from gradtui.viewmodel import choices, moves
from gradtui.viewmodel.architecture.choices import HOTS
from gradtui.viewmodel.run.sorts import SORTS
from gradtui.viewmodel.selection import DIRECTIONS, VIEWS, connections
from gradtui.viewmodel.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradtui.tui.actions.desk import Desk


@dataclass(frozen=True, slots=True)
class Command:
    """One command: what it does with its words, which words may stand there, and the action that it can act when that can."""

    name: str
    arguments: str
    help: str
    run: Callable[[Desk, list[str]], None]
    words: Callable[[Desk], tuple[str, ...]] = lambda _desk: ()
    action: str = ""


def whole(text: str) -> int:
    """Read a whole number.

    Raises:
        UsageError: it is none.
    """
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a whole number") from None


def _one(words: list[str], usage: str) -> str:
    if len(words) != 1:
        raise UsageError(f"usage: {usage}")
    return words[0]


def _named(words: list[str], names: tuple[str, ...], none: str) -> str:
    """Return the name that was typed, as it stands on the screen: escapes are written out there.

    Raises:
        UsageError: there is none; ``none`` begins the sentence.
    """
    typed = " ".join(words)
    for name in names:
        if typed in (name, " ".join(printable(name).split())):
            return name
    raise UsageError(f"{none} {typed}")


def _write(desk: Desk, words: list[str]) -> None:
    desk.room.write(" ".join(words))


def _write_over(desk: Desk, words: list[str]) -> None:
    desk.room.write(" ".join(words), overwrite=True)


def _write_quit(desk: Desk, words: list[str]) -> None:
    desk.room.write(" ".join(words), leave=True)


def _estimate(desk: Desk, words: list[str]) -> None:
    desk.selection = choices.with_estimate(desk.selection, _one(words, "estimate NAME"))


def _threshold(desk: Desk, words: list[str]) -> None:
    if words and words[0] == "default":
        desk.selection = choices.with_default_threshold(desk.selection, desk.session)
        return
    value = editing.typed_number(_one(words, "threshold NUMBER, or threshold default"))
    if math.isnan(value):
        raise UsageError("a threshold is a number")
    desk.selection = choices.with_threshold(desk.selection, desk.session, value)


def _mode(desk: Desk, words: list[str]) -> None:
    name = _one(words, "mode " + "|".join(MODES))
    for mode in MODES:
        if mode == name:
            desk.selection = choices.with_mode(desk.selection, mode)
            return
    raise UsageError(f"no threshold mode is called {name}: {', '.join(MODES)}")


def _scope(desk: Desk, _words: list[str]) -> None:
    desk.selection = choices.next_scope(desk.selection)
    desk.say(f"threshold range: {desk.selection.threshold_scope}")


def _scale(desk: Desk, words: list[str]) -> None:
    name = _one(words, "scale " + "|".join(SCALES))
    for scale in SCALES:
        if scale == name:
            desk.selection = replace(desk.selection, scale=scale)
            return
    raise UsageError(f"no scale is called {name}: {', '.join(SCALES)}")


def _direction(desk: Desk, words: list[str]) -> None:
    name = _one(words, "direction " + "|".join(DIRECTIONS))
    for direction in DIRECTIONS:
        if direction == name:
            desk.select(replace(desk.selection, direction=direction))
            return
    raise UsageError(f"no direction is called {name}: {', '.join(DIRECTIONS)}")


def _layer(desk: Desk, words: list[str]) -> None:
    if desk.watching and desk.selection.view in ("overview", "history"):
        run_commands.module(desk, words)
        return
    name = _named(words, tuple(layer.name for layer in desk.session.layers), "no layer is called")
    desk.path = name
    desk.selection = moves.with_layer(desk.selection, desk.session, name)


def _pair(desk: Desk, words: list[str]) -> None:
    others = connections(desk.session, desk.selection)
    name = _named(words, others, "this layer has no pair with")
    desk.selection = moves.with_pair(desk.selection, desk.session, name)


def _node(desk: Desk, words: list[str]) -> None:
    if len(words) != 2:
        raise UsageError("usage: node ROW COLUMN")
    cell = (whole(words[0]), whole(words[1]))
    desk.select(moves.go(desk.selection, desk.session, desk.selection.layer, cell))


def offsets(desk: Desk, words: list[str]) -> None:
    """Set the offsets of the pair on the screen from four whole numbers, or two for both maps."""
    numbers = [whole(word) for word in words]
    if len(numbers) == 2:
        numbers += numbers
    if len(numbers) != 4:
        raise UsageError("usage: offsets INPUT-ROW INPUT-COLUMN TARGET-ROW TARGET-COLUMN")
    desk.selection = choices.with_offsets(
        desk.selection, desk.session, (numbers[0], numbers[1]), (numbers[2], numbers[3])
    )


def _region(desk: Desk, words: list[str]) -> None:
    key = desk.selection.focus
    if not words:
        desk.selection = choices.without_region(desk.selection, key)
        return
    if len(words) != 4:
        raise UsageError("usage: region XMIN XMAX YMIN YMAX, columns then rows; alone it clears")
    x0, x1, y0, y1 = (whole(word) for word in words)
    if not (0 <= x0 <= x1 and 0 <= y0 <= y1):
        raise UsageError("a region needs 0 <= XMIN <= XMAX and 0 <= YMIN <= YMAX")
    desk.selection = choices.with_region(desk.selection, key, Region(y0, y1, x0, x1))


def _channel(desk: Desk, words: list[str]) -> None:
    word = _one(words, "channel NUMBER, all or sum")
    named = {"all": -1, "sum": -2 if desk.session.explicit else -1}
    channel = named[word] if word in named else whole(word)
    desk.selection = choices.with_channel(desk.selection, desk.session, channel)


def _polyphase(desk: Desk, words: list[str]) -> None:
    level = whole(_one(words, "polyphase LEVEL"))
    desk.selection = choices.polyphase_step(
        desk.selection, desk.session, level - desk.selection.polyphase
    )


def _top(desk: Desk, words: list[str]) -> None:
    desk.selection = choices.with_top(desk.selection, whole(_one(words, "top NUMBER")))


def _fit(desk: Desk, _words: list[str]) -> None:
    desk.selection = choices.zoom_to_fit(desk.selection, desk.selection.focus)


def _view(name: str) -> Callable[[Desk, list[str]], None]:
    def show(desk: Desk, _words: list[str]) -> None:
        desk.selection = replace(desk.selection, view=name)

    return show


def _request(desk: Desk, words: list[str]) -> None:
    if words and words[0] in ("row", "column"):
        looks.request(desk, words[0])
        return
    raise UsageError("usage: request row|column")


def _answering(kind: str) -> Callable[[Desk, list[str]], None]:
    """A command whose words are what a prompt of that kind would be answered with, in whichever view."""
    return lambda desk, words: desk.room.answer(kind, " ".join(words))


def _acting(action: str) -> Callable[[Desk, list[str]], None]:
    """A command that does what a key does, in whichever view."""
    return lambda desk, _words: desk.room.act(action)


def _graph(act: Callable[[Desk, str], None]) -> Callable[[Desk, list[str]], None]:
    """A command about the architecture, with one word."""

    def run(desk: Desk, words: list[str]) -> None:
        act(desk, _one(words, "merge SHARE, depth N, or hot NAME"))

    return run


def _depth(desk: Desk, text: str) -> None:
    graph_rows.choose(desk, desk.selection.architecture.at_depth(whole(text)))


def _hot(desk: Desk, text: str) -> None:
    for name in HOTS:
        if name == text:
            graph_rows.choose(desk, replace(desk.selection.architecture, hot=name))
            return
    raise UsageError(f"nothing is hot by {text}: {', '.join(HOTS)}")


def _layers(desk: Desk) -> tuple[str, ...]:
    if desk.watching and desk.selection.view in ("overview", "history"):
        return run_commands.modules(desk)
    return tuple(printable(layer.name) for layer in desk.session.layers)


def _pairs(desk: Desk) -> tuple[str, ...]:
    return tuple(printable(name) for name in connections(desk.session, desk.selection))


def _words(*words: str) -> Callable[[Desk], tuple[str, ...]]:
    return lambda _desk: words


COMMANDS: Final[tuple[Command, ...]] = (
    Command("w", "[NAME]", "write the edited input, under another name if one is given", _write, action="edit.write"),
    Command("w!", "[NAME]", "write over what the other side changed meanwhile", _write_over, action="edit.write"),
    Command("wq", "[NAME]", "write and quit", _write_quit, action="edit.write"),
    Command("q", "", "quit; asks when edits are unsaved", lambda desk, _w: desk.room.leave()),
    Command("q!", "", "quit and drop the edits", lambda desk, _w: desk.room.leave(drop=True)),
    Command("set", "VALUE", "set the cell under the cursor", editing.set_command, action="edit.set"),
    Command("z", "VALUE", "set z, what a toggle writes", editing.z_command, action="edit.z"),
    Command("undo", "", "undo an edit", lambda desk, _w: editing.undo(desk, 0), action="edit.undo"),
    Command("redo", "", "redo an edit", lambda desk, _w: editing.redo(desk, 0), action="edit.redo"),
    Command("revert", "", "revert all edits", lambda desk, _w: editing.revert(desk, 0), action="edit.revert"),
    Command("estimate", "NAME", "how flows that were not measured are estimated", _estimate, _words(*ESTIMATES), action="pair.next"),
    Command("threshold", "NUMBER|default", "which links count", _threshold, _words("default"), action="threshold.type"),
    Command("mode", "NAME", "what a threshold is compared with", _mode, _words(*MODES), action="threshold.mode"),
    Command("range", "", "threshold range of each pair, or of all pairs together", _scope, action="threshold.mode"),
    Command("scale", "NAME", "linear, symlog or percentile colours", _scale, _words(*SCALES), action="kept"),
    Command("direction", "NAME", "fan-out, fan-in, both", _direction, _words(*DIRECTIONS), action="direction.next"),
    Command("layer", "NAME", "select a layer", _layer, _layers),
    Command("pair", "NAME", "show the pair with that layer", _pair, _pairs, action="pair.next"),
    Command("node", "ROW COLUMN", "select a node of the layer", _node, action="kept"),
    Command("offsets", "ROW COLUMN [ROW COLUMN]", "padding correction of input and target", offsets, action="offsets.type"),
    Command("region", "[XMIN XMAX YMIN YMAX]", "crop the focused map; alone it shows it whole", _region, action="kept"),
    Command("channel", "NUMBER|all|sum", "which channel is shown", _channel, _words("all", "sum"), action="kept"),
    Command("polyphase", "LEVEL", "explicit mode: polyphase zoom level", _polyphase, action="explicit"),
    Command("fit", "", "zoom the focused map so that it fits", _fit, action="kept"),
    Command("top", "NUMBER", "how many links the flow table shows", _top, action="pair.next"),
    Command("request", "row|column", "ask the adapter for this node's whole row or column", _request, _words("row", "column"), action="pair.next"),
    Command("find", "TEXT", "go to a layer; in History to a series", _answering("find"), _layers),
    Command("filter", "[TEXT]", "show only layers that match; alone it shows all", _answering("filter")),
    Command("series", "WORDS", "a run: show a series by words of its name", run_commands.series, run_commands.names, action="run"),
    Command("pin", "[WORDS]", "a run: pin the series, or another one", run_commands.pin, run_commands.names, action="run"),
    Command("unpin", "", "a run: take all pins away", run_commands.unpin, action="run"),
    Command("window", "all|STEPS|FIRST..LAST", "a run: the steps in view", run_commands.window, _words("all"), action="run"),
    Command("step", "NUMBER|last", "a run: put the cursor on a step", run_commands.step, _words("last"), action="run"),
    Command("axis", "log|linear", "a run: the axis of the values", run_commands.axis, _words("log", "linear"), action="run"),
    Command("sort", "COLUMN", "a run: sort the modules", run_commands.sort, _words(*SORTS)),
    Command("inputs", "", "a run: the module's inputs side by side", run_commands.inputs, action="run"),
    Command("ranks", "together|apart|N", "a run: which ranks", run_commands.ranks, _words("together", "apart"), action="ranks.next"),
    Command("merge", "SHARE", "the architecture: what holds less of the parameters merges", _graph(drafting.merge_typed), action="graph"),
    Command("depth", "N", "the architecture: fold what is deeper; -1 opens all", _graph(_depth), action="graph"),
    Command("hot", "NAME", "the architecture: what hotspots are judged by", _graph(_hot), _words(*HOTS), action="graph"),
    Command("keep", "[MODULE]", "ask the run to keep full tensors of a module, or an attached tensor", run_commands.keep, run_commands.modules, action="run"),
    Command("runs", "", "the runs of this folder, to show another one", lambda desk, _w: desk.room.choose_run(), action="run"),
    Command("analyse", "", "a run: gradients by epoch, clusters, kernels and features alike", analyses.analyse, action="run"),
    Command("gif", "[LAYER] FILE", "a run: kept features over the training as a GIF", analyses.gif, analyses.kept_names, action="run"),
    Command("play", "", "play the snapshots, or the steps", run_commands.play),
    *(Command(view, "", f"the {view} view", _view(view)) for view in VIEWS),
    Command("baseline", "", "make this generation the baseline", _acting("baseline.set")),
    Command("difference", "", "show the difference to the baseline", _acting("baseline.difference")),
    Command("pause", "", "pause following, or follow again", _acting("pause")),
    Command("reload", "", "read the folder again", lambda desk, _w: desk.room.reload()),
    Command("svg", "[PATH]", "save the screen as an SVG file", lambda desk, w: desk.room.save_svg(" ".join(w))),
    Command("back", "", "back to where you were", lambda desk, _w: moving.back(desk, 0)),
    Command("help", "", "every key and command", lambda desk, _w: desk.room.show_help()),
)  # fmt: skip
_OF_RUNS: Final = frozenset({"run", "ranks.next"})
_ALSO_OF_RUNS: Final = frozenset(
    {"find", "filter", "sort", "play", "pause", "baseline", "difference"}
)
_BY_NAME: Final = {command.name: command for command in COMMANDS}


def run(desk: Desk, text: str) -> None:
    """Run a command line; what is wrong with it becomes the notice.

    A line that is a number alone goes to that row, as ``5G`` does.
    """
    name, _, rest = text.strip().partition(" ")
    if not name:
        return
    if name.isdecimal() and not rest:
        # Python refuses to read numbers of thousands of digits, and no map has so many rows.
        desk.room.act("move.bottom", int(name[:12]))
        return
    command = _BY_NAME.get(name)
    if command is None:
        begun = [known for known in COMMANDS if known.name.startswith(name)]
        if len(begun) != 1:
            desk.say(f"no command is called {name}; : then tab lists them", "warn")
            return
        command = begun[0]
    reason = refusal(desk, command.action)
    if reason:
        desk.say(reason, "warn")
        return
    try:
        command.run(desk, rest.split())
    except GradtuiError as error:
        desk.say(str(error), "warn")


def in_order(view: str) -> tuple[Command, ...]:
    """Return the commands in their order where a training run is shown: what is about runs first, what is about maps last."""

    def place(command: Command) -> int:
        if command.action == "graph":
            return 0 if view == "architecture" else 3
        if command.action in _OF_RUNS or command.name in _ALSO_OF_RUNS:
            return 1
        if command.action == "kept":
            return 0 if view == "values" else 4
        return 2 if command.name in VIEWS else 3

    return tuple(sorted(COMMANDS, key=place))


def complete(desk: Desk, text: str) -> tuple[str, ...]:
    """Return the command lines that ``text`` may become."""
    name, blank, rest = text.lstrip().partition(" ")
    if not blank:
        return tuple(
            known.name
            for known in (in_order(desk.selection.view) if desk.watching else COMMANDS)
            if known.name.startswith(name) and not refusal(desk, known.action)
        )
    command = _BY_NAME.get(name)
    if command is None:
        return ()
    begun = [word for word in command.words(desk) if word.startswith(rest)]
    others = [word for word in command.words(desk) if rest in word and word not in begun]
    return tuple(f"{name} {word}" for word in [*begun, *others])
