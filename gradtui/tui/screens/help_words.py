"""What keys and commands do where a training run is shown, where that is not what they do in a debug session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_OF_RUNS: Final[Mapping[str, str]] = {
    "flag.next": "next finding",
    "flag.previous": "finding before",
    "generation.previous": "to the kept tensors before",
    "generation.next": "to the next kept tensors",
    "generation.first": "to the first kept tensors",
    "generation.last": "to the newest kept tensors",
    "quit": "quit",
    "cancel": "leave a count, a question",
    "view.overview": "Overview: the modules, their norms and flags",
    "view.values": "Values: tensors that the run keeps",
    "view.flow": "Flow: links between nodes, in a debug session alone",
}
_BY_VIEW: Final[Mapping[str, Mapping[str, str]]] = {
    "overview": {
        "open": "unfold; else open the tensors that are kept, or ask for them",
        "find": "find a module by name",
        "filter": "show only the modules that match; ! X v: those with such flags",
        "move.left": "fold, or go to the row above; a count repeats (12h)",
        "move.right": "unfold, or go into it",
        "move.row-start": "first columns",
        "move.row-end": "last columns",
        "page.left": "columns before",
        "page.right": "more columns",
        "baseline.set": "make the step of the cursor the baseline",
        "baseline.difference": "show the difference to it in History",
        "copy.value": "copy the gradient's norm and the module",
    },
    "values": {
        "baseline.set": "make these tensors the baseline",
        "baseline.difference": "show the difference to the baseline",
    },
    "history": {
        "open": "open the kept tensor of this step, or ask for one",
        "find": "find a series by words of its name",
        "move.left": "a column of the chart to the left; a count repeats (12h)",
        "move.right": "to the right",
        "move.down": "next module, the same number",
        "move.up": "module before",
        "move.row-start": "first step in view",
        "move.row-end": "last step in view",
        "move.top": "first step",
        "move.bottom": "newest step, and follow; with a count, that step (500G)",
        "page.left": "half a window to the left",
        "page.right": "half a window to the right",
        "page.down": "eight modules on",
        "page.up": "eight modules back",
        "back": "back to the Overview",
        "baseline.set": "make the step of the cursor the baseline",
        "baseline.difference": "show the difference to the baseline",
        "copy.value": "copy the value at the cursor, its step and its name",
        "copy.table": "copy the curves in view, tab-separated",
    },
}
_COMMANDS: Final[Mapping[str, str]] = {
    "q": "quit",
    "layer": "go to a module; in Values to a tensor",
    "find": "go to a module; in History to a series",
    "filter": "show only the modules that match; alone it shows all",
    "region": "Values: crop the map; alone it shows it whole",
    "channel": "Values: which channel is shown",
    "fit": "Values: zoom the map so that it fits",
    "node": "Values: put the cursor on a cell",
    "scale": "Values: linear, symlog or percentile colours",
    "baseline": "make the step of the cursor the baseline",
}


def key_words(action: str, view: str, words: str) -> str:
    """Return what a key does in a view of a run; ``words`` where that is what it does everywhere."""
    return _BY_VIEW.get(view, {}).get(action) or _OF_RUNS.get(action) or words


def command_words(name: str, words: str) -> str:
    """Return what a command does where a run is shown."""
    return _COMMANDS.get(name) or words.removeprefix("a run: ")
