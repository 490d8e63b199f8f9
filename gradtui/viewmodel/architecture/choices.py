"""What a person chose to see of an architecture: folds, depth, merging, order, hotspot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from gradtui.core.architecture.merging import DEFAULT
from gradtui.errors import UsageError

Hot: TypeAlias = Literal["flops", "parameters", "activations", "time", "gradient"]
HOTS: Final[tuple[Hot, ...]] = ("flops", "parameters", "activations", "time", "gradient")
"""What a hotspot is judged by; the last two need a watched run."""

COLUMNS: Final = ("dataflow", "layer", "out", "params", "FLOPs", "bytes", "hot")
"""What rows are sorted by; the first is the order of execution, with the lanes."""

FOLDED_REPEATS: Final = 3
"""So many calls alike, one after another, are one row until they are opened."""


@dataclass(frozen=True, slots=True)
class ArchitectureChoices:
    """The choices; all but the cursor are kept for the next start.

    Attributes:
        opened: keys of rows that the person opened.
        closed: keys of rows that the person folded.
        depth: calls deeper than this are folded; -1 for no limit.
        merge: IDLMAV's threshold; below 0 nothing merges.
        sort: a name of `COLUMNS`.
        descending: whether the largest come first.
        filter: text that a row's name or class must hold.
        hot: what hotspots are judged by.
        upward: whether the input is at the bottom.
        row: the row under the cursor.
    """

    opened: frozenset[str] = frozenset()
    closed: frozenset[str] = frozenset()
    depth: int = -1
    merge: float = DEFAULT
    sort: str = "dataflow"
    descending: bool = True
    filter: str = ""
    hot: Hot = "flops"
    upward: bool = False
    row: int = 0

    def folded(self, key: str) -> ArchitectureChoices:
        """Fold a row, whatever the depth says."""
        return replace(self, closed=self.closed | {key}, opened=self.opened - {key})

    def unfolded(self, key: str) -> ArchitectureChoices:
        """Open a row, whatever the depth says."""
        return replace(self, opened=self.opened | {key}, closed=self.closed - {key})

    def at_depth(self, depth: int) -> ArchitectureChoices:
        """Fold everything deeper than a depth, and forget single folds."""
        return replace(self, depth=max(depth, -1), opened=frozenset(), closed=frozenset())

    def sorted_by(self, column: str) -> ArchitectureChoices:
        """Sort by a column; the same again turns it round."""
        if column == self.sort:
            return replace(self, descending=not self.descending)
        return replace(self, sort=column, descending=column not in ("layer", "dataflow"))


_KEPT: Final = ("depth", "merge", "sort", "descending", "filter", "hot", "upward")


def merge_of(text: str) -> float:
    """The merge threshold that a person typed.

    Raises:
        UsageError: when it is no finite number.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(
            f"{text!r} is no share: a number such as 0.01 is expected, or -1 to merge nothing"
        )
    return value


def to_state(choices: ArchitectureChoices) -> dict[str, object]:
    """The choices as JSON-able values."""
    state: dict[str, object] = {name: getattr(choices, name) for name in _KEPT}
    return state | {"opened": sorted(choices.opened), "closed": sorted(choices.closed)}


def from_state(state: object) -> ArchitectureChoices:
    """Read choices that were kept; whatever does not fit is left at its default."""
    usual = ArchitectureChoices()
    if not isinstance(state, Mapping):
        return usual
    depth, merge, sort, hot = (state.get(name) for name in ("depth", "merge", "sort", "hot"))
    text = state.get("filter")
    return ArchitectureChoices(
        opened=_keys(state.get("opened")),
        closed=_keys(state.get("closed")),
        depth=depth if type(depth) is int and depth >= -1 else usual.depth,
        merge=float(merge)
        if isinstance(merge, (int, float)) and not isinstance(merge, bool) and math.isfinite(merge)
        else usual.merge,
        sort=sort if sort in COLUMNS else usual.sort,
        descending=state.get("descending") is not False,
        filter=text if isinstance(text, str) else "",
        hot=hot if hot in HOTS else usual.hot,
        upward=state.get("upward") is True,
    )


def _keys(value: object) -> frozenset[str]:
    if isinstance(value, list):
        return frozenset(key for key in value if isinstance(key, str))
    return frozenset()
