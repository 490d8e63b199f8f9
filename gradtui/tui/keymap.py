"""Which key does what, in which view: one table, rebindable, with no key claimed twice.

Keys are written as a person types them: the character itself (``j``, ``G``, ``(``), or a name for
keys without one (``left``, ``pageup``, ``shift+tab``, ``space``, ``enter``, ``backspace``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VIEWS: Final = ("overview", "values", "flow", "history", "architecture", "log")
"""The views, in the order of their letters in the header."""

MAPS: Final = ("values", "flow")
PLAN: Final = ("architecture",)
RUNS: Final = ("overview", "history")
"""Views of a training run; the Overview shows layers where there is none."""
GROUPS: Final = (
    "editing",
    "series and steps",
    "list",
    "architecture",
    "layers and links",
    "moving",
    "finding",
    "time",
    "looks",
    "taking away",
    "everywhere",
    "tool",
)
"""Groups of the help, in the order in which the key line prefers them."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One action and the keys that call it.

    ``takes`` says that the action waits for one more key (a mark's name). ``hint`` is the short
    text of the key line, empty for keys that only the help lists.
    """

    id: str
    keys: tuple[str, ...]
    help: str
    views: tuple[str, ...] = VIEWS
    group: str = "everywhere"
    hint: str = ""
    takes: bool = False


BINDINGS: Final[tuple[Binding, ...]] = (
    Binding("view.overview", ("o",), "Overview: the layers, their norms and flags"),
    Binding("view.values", ("v",), "Values: the maps as heatmaps"),
    Binding("view.flow", ("f",), "Flow: where a node's gradient goes, as a table"),
    Binding("view.history", ("t",), "History: a training run's numbers over its steps"),
    Binding("view.architecture", ("a",), "Architecture: the model as a graph that is a table"),
    Binding("move.left", ("h", "left"), "left; a count before it repeats it (12h)", group="moving"),
    Binding("move.down", ("j", "down"), "down", group="moving"),
    Binding("move.up", ("k", "up"), "up", group="moving"),
    Binding("move.right", ("l", "right"), "right", group="moving"),
    Binding("move.row-start", ("0", "home"), "first column", group="moving"),
    Binding("move.row-end", ("$", "end"), "last column", group="moving"),
    Binding("move.top", ("g",), "first row", group="moving"),
    Binding("move.bottom", ("G",), "last row; with a count, that row (5G)", group="moving"),
    Binding("page.left", ("H",), "a page to the left", group="moving"),
    Binding("page.down", ("J", "pagedown"), "a page down", group="moving"),
    Binding("page.up", ("K", "pageup"), "a page up", group="moving"),
    Binding("page.right", ("L",), "a page to the right", group="moving"),
    Binding("focus.next", ("tab",), "next map", ("values",), "moving", "map"),
    Binding("focus.previous", ("shift+tab",), "previous map", ("values",), "moving"),
    Binding(
        "open", ("enter",), "open, or follow the link", (*RUNS, *MAPS, *PLAN), "moving", "open"
    ),
    Binding("back", ("backspace",), "back to where you were", group="moving"),
    Binding(
        "find",
        ("/",),
        "find a layer by name; in History any series",
        (*RUNS, *MAPS, *PLAN),
        "finding",
        "find",
    ),
    Binding("find.next", ("n",), "next found", group="finding"),
    Binding("find.previous", ("N",), "previous found", group="finding"),
    Binding("filter", ("&",), "show only the layers that match", ("overview", *PLAN), "finding"),
    Binding("flag.next", ("e",), "next layer with a flag", group="finding"),
    Binding("finding.read", ("i",), "read the findings whole", RUNS, "finding", "findings"),
    Binding("flag.previous", ("E",), "previous layer with a flag", group="finding"),
    Binding(
        "mark.set", ("m",), "and a letter: remember this place by it", group="finding", takes=True
    ),
    Binding("mark.jump", ("'",), "and its letter: go back to a place", group="finding", takes=True),
    Binding("generation.previous", ("[",), "one generation back", group="time"),
    Binding("generation.next", ("]",), "one generation forward", group="time"),
    Binding("generation.first", ("{",), "the oldest generation that is kept", group="time"),
    Binding("generation.last", ("}",), "the newest generation, and follow", group="time"),
    Binding("pause", ("p",), "pause following; again to follow", group="time"),
    Binding("baseline.set", ("b",), "make this generation the baseline", group="time"),
    Binding("baseline.difference", ("D",), "show the difference to the baseline", group="time"),
    Binding("scale.next", ("s",), "scale: linear, symmetric log, percentile", ("values",), "looks"),
    Binding("colours.next", ("c",), "next palette", group="looks"),
    Binding("colours.invert", ("i",), "invert the colours", ("values",), "looks"),
    Binding("zoom.out", ("z",), "zoom out", ("values",), "looks"),
    Binding("zoom.in", ("Z",), "zoom in", ("values",), "looks"),
    Binding("pane.narrower", ("<",), "narrower layer rail", group="looks"),
    Binding("pane.wider", (">",), "wider layer rail", group="looks"),
    Binding("pane.rail", ("|",), "hide or show the layer rail", group="looks"),
    Binding("pane.full", ("F",), "the focused map alone; again for all", ("values",), "looks"),
    Binding("fold.toggle", ("space",), "fold or unfold", ("overview", *PLAN), "list", "fold"),
    Binding("fold.all", ("*",), "fold or unfold everything", ("overview", *PLAN), "list"),
    Binding(
        "sort.next",
        ("s",),
        "sort by the next column; 3s by the third",
        ("overview", *PLAN),
        "list",
        "sort",
    ),
    Binding("columns.next", ("tab",), "more columns", ("overview",), "list", "columns"),
    Binding("flow.producer", (",",), "to the row it takes from", PLAN, "architecture"),
    Binding("flow.consumer", (".",), "to the row that takes from it", PLAN, "architecture", "flow"),
    Binding("depth.more", ("+",), "open one level more", PLAN, "architecture", "depth"),
    Binding("depth.less", ("-",), "fold one level more", PLAN, "architecture"),
    Binding(
        "merge.type", ("T",), "type which share of parameters merges", PLAN, "architecture", "merge"
    ),
    Binding(
        "hot.next",
        ("tab",),
        "hot by FLOPs, parameters, bytes, time, gradient",
        PLAN,
        "architecture",
        "hot",
    ),
    Binding(
        "flow.direction", ("d",), "the input at the top, or at the bottom", PLAN, "architecture"
    ),
    Binding(
        "step.previous", (",",), "the step before with a number", ("history",), "series and steps"
    ),
    Binding(
        "step.next", (".",), "the next step with a number", ("history",), "series and steps", "step"
    ),
    Binding(
        "series.next",
        ("tab",),
        "next number of the module",
        ("history",),
        "series and steps",
        "number",
    ),
    Binding("series.previous", ("shift+tab",), "number before", ("history",), "series and steps"),
    Binding(
        "pin.toggle",
        ("space",),
        "pin the series, or unpin it",
        ("history",),
        "series and steps",
        "pin",
    ),
    Binding(
        "window.shorter",
        ("+",),
        "half as many steps in view",
        ("history",),
        "series and steps",
        "zoom",
    ),
    Binding(
        "window.longer", ("-",), "twice as many steps in view", ("history",), "series and steps"
    ),
    Binding(
        "window.type",
        ("w",),
        "type the steps in view: all, 400, 800..1200",
        ("history",),
        "series and steps",
    ),
    Binding(
        "axis.next",
        ("s",),
        "logarithmic or linear values",
        ("history",),
        "series and steps",
        "log/lin",
    ),
    Binding(
        "history.mode",
        ("M",),
        "curves, or the distribution over the steps",
        ("history",),
        "series and steps",
        "map",
    ),
    Binding(
        "history.inputs",
        ("I",),
        "the module's inputs side by side",
        ("history",),
        "series and steps",
    ),
    Binding(
        "history.alone", ("F",), "the chart alone; again for all", ("history",), "series and steps"
    ),
    Binding("run.choose", ("O",), "another run or model of this folder", RUNS, "time"),
    Binding("ranks.next", ("R",), "ranks together, apart, one by one", RUNS, "looks"),
    Binding(
        "play",
        ("A",),
        "play the snapshots, or the steps; any key stops",
        ("values", "history"),
        "time",
    ),
    Binding("copy.value", ("y",), "copy the value and its place", group="taking away"),
    Binding("copy.table", ("Y",), "copy the table, tab-separated", group="taking away"),
    Binding("save.svg", ("S",), "save the screen as an SVG file", group="taking away"),
    Binding("layer.previous", ("(",), "previous layer", MAPS, "layers and links"),
    Binding("layer.next", (")",), "next layer", MAPS, "layers and links", "layer"),
    Binding("pair.next", ("P",), "next pair of this layer", MAPS, "layers and links", "pair"),
    Binding(
        "direction.next", ("d",), "fan-out, fan-in, both", MAPS, "layers and links", "direction"
    ),
    Binding("threshold.up", ("+",), "raise the threshold a step", MAPS, "layers and links"),
    Binding("threshold.down", ("-",), "lower the threshold a step", MAPS, "layers and links"),
    Binding("threshold.type", ("T",), "type the threshold", MAPS, "layers and links", "threshold"),
    Binding(
        "threshold.mode",
        ("M",),
        "threshold mode: |value|, value, quantile, top-k",
        MAPS,
        "layers and links",
    ),
    Binding("link.previous", (",",), "previous highlighted node", MAPS, "layers and links"),
    Binding("link.next", (".",), "next highlighted node", MAPS, "layers and links", "link"),
    Binding("channel.next", ("C",), "next channel; all after the last", MAPS, "looks"),
    Binding("offsets.type", ("O",), "type the offsets of input and target", MAPS, "looks"),
    Binding(
        "region.box", ("X",), "crop: a box from here, enter to take it; X clears", MAPS, "looks"
    ),
    Binding("edit.toggle", ("space",), "toggle between 0 and z", ("values",), "editing", "toggle"),
    Binding("edit.set", ("=",), "set a value", ("values",), "editing", "set"),
    Binding("edit.z", ("x",), "set z", ("values",), "editing"),
    Binding("edit.undo", ("u",), "undo", ("values",), "editing"),
    Binding("edit.redo", ("U",), "redo", ("values",), "editing"),
    Binding(
        "edit.revert", ("R",), "revert all edits (undo brings them back)", ("values",), "editing"
    ),
    Binding("edit.write", ("W",), "write the edited input", ("values",), "editing", "write"),
    Binding("command", (":",), "a command, with completion", group="tool"),
    Binding("help", ("?",), "every key of this view", group="tool", hint="help"),
    Binding("reload", ("r", "ctrl+l"), "read the folder again and redraw", group="tool"),
    Binding(
        "adapter",
        ("!",),
        "cancel: stop the process that was started here, or start it again",
        group="tool",
    ),
    Binding("cancel", ("escape", "ctrl+c"), "leave a box, a count, a question", group="tool"),
    Binding(
        "quit",
        ("q", "ctrl+q"),
        "quit; asks when edits are unsaved",
        (*RUNS, *MAPS, *PLAN),
        "tool",
        "quit",
    ),
    Binding("log.leave", ("q", "ctrl+q"), "back to the view before", ("log",), "tool", "back"),
    Binding("suspend", ("ctrl+z",), "suspend to the shell", group="tool"),
)


@dataclass(frozen=True, slots=True)
class Pressed:
    """What a key, or several, came to: an action with its count and its argument."""

    action: str
    count: int = 0
    argument: str = ""


class Keymap:
    """The bindings in force, after a user's own keys."""

    def __init__(self, bindings: Iterable[Binding] = BINDINGS) -> None:
        self.bindings = tuple(bindings)
        self._by_view: dict[str, dict[str, Binding]] = {view: {} for view in VIEWS}
        for binding in self.bindings:
            for view in binding.views:
                for key in binding.keys:
                    self._by_view[view].setdefault(key, binding)

    def find(self, view: str, key: str) -> Binding | None:
        """Return the binding of ``key`` in ``view``, or None."""
        return self._by_view.get(view, {}).get(key)

    def elsewhere(self, view: str, key: str) -> tuple[str, ...]:
        """Return the views in which a key does something, where it does nothing in ``view``."""
        here = self.find(view, key) is not None
        return () if here else tuple(one for one in VIEWS if self.find(one, key) is not None)

    def hints(self, view: str) -> tuple[Binding, ...]:
        """Return the bindings that the key line names, the most used first."""
        found = [binding for binding in self.of_view(view) if binding.hint]
        return tuple(sorted(found, key=lambda binding: GROUPS.index(binding.group)))

    def of_view(self, view: str) -> tuple[Binding, ...]:
        """Return the bindings of a view, in the order of the table."""
        return tuple(binding for binding in self.bindings if view in binding.views)


def rebound(keys: Mapping[str, str]) -> tuple[Keymap, tuple[str, ...]]:
    """Return the keymap with a user's keys, and what was wrong with them, a sentence each.

    Args:
        keys: binding id to keys, several of them separated by blanks (``"move.left" = "h left"``).
            An unknown id, or a key that two actions of one view would claim, leaves the
            bindings concerned as they were.
    """
    table = {binding.id: binding for binding in BINDINGS}
    problems: list[str] = []
    for name, text in keys.items():
        if name not in table:
            problems.append(f"keys: no action is called {name}")
            continue
        wanted = tuple(str(text).split())
        if not wanted or any(key.isdigit() and key != "0" for key in wanted):
            problems.append(f"keys: {name} needs a key that is not a digit (digits are counts)")
            continue
        changed = replace(table[name], keys=wanted)
        taken = _claimed(changed, (b for b in table.values() if b.id != name))
        if taken:
            problems.append(f"keys: {taken[0]} is claimed by both {name} and {taken[1]}")
            continue
        table[name] = changed
    return Keymap(table.values()), tuple(problems)


def _claimed(binding: Binding, others: Iterable[Binding]) -> tuple[str, str] | None:
    for other in others:
        if set(other.views) & set(binding.views):
            for key in binding.keys:
                if key in other.keys:
                    return key, other.id
    return None


class KeyReader:
    """Turns single keys into actions: counts before, a mark's name after."""

    def __init__(self, keymap: Keymap) -> None:
        self.keymap = keymap
        self._count = ""
        self._waiting: Binding | None = None

    @property
    def pending(self) -> str:
        """What was typed of an action that is not complete, for the key line."""
        return self._count + (self._waiting.keys[0] if self._waiting else "")

    def clear(self) -> None:
        """Forget what was typed of an action that is not complete."""
        self._count = ""
        self._waiting = None

    def feed(self, view: str, key: str) -> Pressed | None:
        """Take one key; return an action once it is complete.

        A digit is a count, except ``0`` without a count before it. An unknown key forgets the count.
        """
        if self._waiting is not None:
            binding, count = self._waiting, self._taken()
            return Pressed(binding.id, count, key) if len(key) == 1 else None
        if len(key) == 1 and key.isascii() and key.isdigit() and (self._count or key != "0"):
            # Nine digits are more than any map has, and a held key must not grow a string for ever.
            self._count = (self._count + key)[:9]
            return None
        found = self.keymap.find(view, key)
        if found is None:
            self.clear()
            return None
        if found.takes:
            self._waiting = found
            return None
        return Pressed(found.id, self._taken())

    def _taken(self) -> int:
        count = int(self._count) if self._count else 0
        self.clear()
        return count
