"""Each layer's gradient in a few numbers, and what is worth a look: the values behind the Overview.

Made once for a session; sorting, folding and filtering read it again and again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from gradtui.core.arrays import as_floats, as_table, blocks_of_rows
from gradtui.viewmodel.findings import FLAGS as FLAGS
from gradtui.viewmodel.findings import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gradtui.core.arrays import Array
    from gradtui.core.layer import Layer
    from gradtui.core.session import Pair, Session
    from gradtui.viewmodel.findings import Flag

FAR: Final = 1e3
"""A layer's root mean square is far from its neighbours' beyond this factor of their median."""
RESIDUAL_LIMIT: Final = 1e-3
"""A residual beyond this share of the gradient means that the chain rule does not hold."""


@dataclass(frozen=True, slots=True)
class LayerNumbers:
    """A gradient in numbers; all but the counts are over its finite part, NaN where there is none.

    Attributes:
        nodes: how many cells the map has.
        norm: L2.
        minimum: the smallest value.
        maximum: the largest value.
        nonfinite: how many cells are NaN or infinite.
        zeros: how many cells are exactly 0.
        change: L2 of the difference to the previous generation over L2 of that generation; NaN
            where there was none or its shape was another, 0 where both are zero.
    """

    nodes: int = 0
    norm: float = math.nan
    minimum: float = math.nan
    maximum: float = math.nan
    nonfinite: int = 0
    zeros: int = 0
    change: float = math.nan

    @property
    def zero_share(self) -> float:
        """The share of cells that are exactly 0; NaN for a map without cells."""
        return self.zeros / self.nodes if self.nodes else math.nan

    @property
    def spread(self) -> float:
        """The root mean square of the finite cells; NaN where there are none."""
        finite = self.nodes - self.nonfinite
        return self.norm / math.sqrt(finite) if finite else math.nan


@dataclass(frozen=True, slots=True)
class Finding:
    """One judgement about a layer: its flag, a short word for tables, and a sentence."""

    layer: str
    flag: Flag
    word: str
    text: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The numbers and findings of every layer of a session, in its order."""

    layers: tuple[Layer, ...] = ()
    numbers: Mapping[str, LayerNumbers] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def worst(self, name: str) -> Finding:
        """Return the worst finding of a layer, the first of several; an empty one where there is none."""
        found = [finding for finding in self.findings if finding.layer == name]
        return min(found, key=lambda f: FLAGS.index(f.flag), default=Finding(name, ".", "", ""))


def layer_numbers(values: Array, before: Array | None = None) -> LayerNumbers:
    """Return a map's numbers.

    Args:
        values: [H, W], any real dtype; empty gives NaN and counts of 0.
        before: the previous generation's map; None where there was none.
    """
    size = values.size
    finite = zeros = 0
    low, high = math.inf, -math.inf
    for (part,) in _parts(values):
        kept = part[np.isfinite(part)]
        finite += kept.size
        zeros += part.size - int(np.count_nonzero(part))
        if kept.size:
            low, high = min(low, float(kept.min())), max(high, float(kept.max()))
    if not finite:
        return LayerNumbers(size, nonfinite=size, zeros=zeros)
    norm = _norm(part[np.isfinite(part)] for (part,) in _parts(values))
    return LayerNumbers(size, norm, low, high, size - finite, zeros, _change(values, before))


def _parts(*maps: Array) -> Iterator[tuple[Array, ...]]:
    """Yield some cells of each of several maps of one shape, in float64, and then the next.

    Squares of float16 overflow at 256, of float32 at 2^64, and a copy in float64 of a whole map of
    bytes would take eight times its file.
    """
    if all(values.flags.c_contiguous for values in maps):
        maps = tuple(as_table(values) for values in maps)
    for rows in blocks_of_rows(*maps[0].shape):
        yield tuple(as_floats(values[rows]) for values in maps)


def _norm(parts: Iterable[Array]) -> float:
    """L2 without overflow: every part is scaled by the largest value so far."""
    largest = total = 0.0
    for part in parts:
        here = float(np.abs(part).max(initial=0.0))
        if here > largest:
            total *= (largest / here) ** 2
            largest = here
        if math.isinf(largest):
            return largest
        if largest:
            total += float(np.sum(np.square(part / largest)))
    return largest * math.sqrt(total)


def _change(values: Array, before: Array | None) -> float:
    if before is None or before.shape != values.shape:
        return math.nan

    def finite() -> Iterator[tuple[Array, Array]]:
        for new, old in _parts(values, before):
            both = np.isfinite(new) & np.isfinite(old)
            yield new[both], old[both]

    if not any(old.size for _, old in finite()):
        return math.nan
    with np.errstate(over="ignore"):
        moved, was = _norm(new - old for new, old in finite()), _norm(old for _, old in finite())
    if not was:
        return math.inf if moved else 0.0
    return moved / was


def summarize(session: Session, previous: Session) -> Summary:
    """Return the numbers and findings of a session, compared with the generation before it."""
    old = {layer.name: layer for layer in previous.layers}
    numbers = {
        layer.name: layer_numbers(layer.map(), old[layer.name].map() if layer.name in old else None)
        for layer in session.layers
    }
    return Summary(session.layers, numbers, find(session, numbers))


def find(session: Session, numbers: Mapping[str, LayerNumbers]) -> tuple[Finding, ...]:
    """Return what is worth a look, in the order of the layers.

    Non-finite cells; a gradient that is zero everywhere; one whose root mean square is a thousand
    times above or below the median of the session's layers; a measured pair whose chain rule does
    not hold.
    """
    # By hand: numpy's median, on its first call, imports masked arrays for 70 ms.
    spreads = sorted(n.spread for n in numbers.values() if n.spread > 0)
    count = len(spreads)
    middle = (spreads[(count - 1) // 2] + spreads[count // 2]) / 2 if count else math.nan
    found: list[Finding] = []
    for layer in session.layers:
        one = numbers[layer.name]
        if one.nonfinite:
            found.append(
                Finding(
                    layer.name,
                    "X",
                    f"{WORDS['non-finite']} {one.nonfinite}",
                    f"{one.nonfinite} of {one.nodes} cells are NaN or infinite",
                )
            )
        if one.nodes and one.zeros == one.nodes:
            found.append(Finding(layer.name, "v", WORDS["zero"], "no gradient: every cell is 0"))
        elif one.spread == 0:
            found.append(Finding(layer.name, "v", WORDS["zero"], "every finite cell is 0"))
        elif one.spread > middle * FAR:
            found.append(
                Finding(layer.name, "!", WORDS["exploding"], _far(one.spread, middle, "above"))
            )
        elif one.spread < middle / FAR:
            found.append(
                Finding(layer.name, "v", WORDS["vanishing"], _far(middle, one.spread, "below"))
            )
        found.extend(
            Finding(
                layer.name,
                "!",
                WORDS["chain rule"],
                f"the chain rule to {pair.target} is off by {pair.residual:.2g} of the gradient",
            )
            for pair in session.pairs_from(layer.name)
            if chain_rule(pair) == "broken"
        )
    return tuple(found)


def _far(large: float, small: float, side: str) -> str:
    return f"root mean square {large / small:.1e} times {side} the median of the layers"


def chain_rule(pair: Pair) -> Literal["holds", "broken", "unknown"]:
    """Return whether a measured pair adds up to its source's gradient."""
    if pair.kind != "measured" or math.isnan(pair.residual):
        return "unknown"
    return "holds" if abs(pair.residual) <= RESIDUAL_LIMIT else "broken"
