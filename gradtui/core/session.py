"""A debug folder's contents as one value: layers, flows between them, input and target."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from gradtui.core.arrays import no_floats, read_only
from gradtui.core.estimate import estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.core.arrays import Array, Floats
    from gradtui.core.flow import Flow
    from gradtui.core.layer import Layer

Kind: TypeAlias = Literal["measured", "estimated", "explicit", "listed"]
"""How a flow is known: the file's numbers, the gradients' shares, the nine channels, a list without numbers."""


def _no_map() -> Array:
    return read_only(np.zeros((0, 0)))


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The flow between two layers and what is known about it.

    Attributes:
        source: the layer whose gradient is shared out.
        target: the layer that it came through.
        kind: how the flow is known.
        estimate: which estimate; empty where it is none.
        flow: [N, M].
        residual: max_i |g_a[i] − Σ_j F[i, j] − bypass[i]| over max_i |g_a[i]|, as the writer measured it;
            NaN where it did not (a foreign file, an estimate).
        bypass: [N], the part of the gradient that passes the target by; empty where unknown.
        bypass_share: Σ|bypass| / Σ|g_a|; NaN where unknown.
    """

    source: str
    target: str
    kind: Kind
    flow: Flow
    estimate: str = ""
    residual: float = math.nan
    bypass: Floats = field(default_factory=no_floats)
    bypass_share: float = math.nan

    def __post_init__(self) -> None:
        object.__setattr__(self, "bypass", read_only(self.bypass))

    @property
    def key(self) -> tuple[str, str]:
        """Source and target."""
        return (self.source, self.target)


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """One generation of a debug folder.

    Attributes:
        folder: as the person named it.
        generation: the writer's count; 0 for a foreign folder.
        writer: who wrote it.
        layers: in topological order, sources before targets.
        pairs: in the order of their sources, then of their targets.
        input: [H, W] or [9, H, W]; (0, 0) where there is none.
        target: likewise.
        explicit: whether the input has the nine neighbours as channels.
        meta: what the writer says of the run, plain data.
        notes: what the person should know, one line each.
    """

    folder: str = ""
    generation: int = 0
    writer: Literal["gradtui", "foreign"] = "foreign"
    layers: tuple[Layer, ...] = ()
    pairs: tuple[Pair, ...] = ()
    input: Array = field(default_factory=_no_map)
    target: Array = field(default_factory=_no_map)
    explicit: bool = False
    meta: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()
    _layers: Mapping[str, Layer] = field(init=False, repr=False)
    _from: Mapping[str, tuple[Pair, ...]] = field(init=False, repr=False)
    _to: Mapping[str, tuple[Pair, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        leaving: dict[str, list[Pair]] = {}
        arriving: dict[str, list[Pair]] = {}
        for pair in self.pairs:
            leaving.setdefault(pair.source, []).append(pair)
            arriving.setdefault(pair.target, []).append(pair)
        for name, value in (
            ("input", read_only(self.input)),
            ("target", read_only(self.target)),
            ("_layers", {layer.name: layer for layer in self.layers}),
            ("_from", {key: tuple(found) for key, found in leaving.items()}),
            ("_to", {key: tuple(found) for key, found in arriving.items()}),
        ):
            object.__setattr__(self, name, value)

    @staticmethod
    def empty() -> Session:
        """Return the session of no folder: no layers, no pairs, maps without cells."""
        return Session()

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays; views count by their size."""
        flows = sum(pair.flow.nbytes + pair.bypass.nbytes for pair in self.pairs)
        layers = sum(layer.nbytes for layer in self.layers)
        return int(flows + layers + self.input.nbytes + self.target.nbytes)

    def has_layer(self, name: str) -> bool:
        """Whether there is a layer of that name."""
        return name in self._layers

    def layer(self, name: str) -> Layer:
        """Return a layer by its name.

        Raises:
            KeyError: there is none.
        """
        return self._layers[name]

    def pairs_from(self, name: str) -> tuple[Pair, ...]:
        """Return the pairs that a layer is the source of; none for an unknown layer."""
        return self._from.get(name, ())

    def pairs_to(self, name: str) -> tuple[Pair, ...]:
        """Return the pairs that a layer is the target of; none for an unknown layer."""
        return self._to.get(name, ())

    def with_pair(self, changed: Pair) -> Session:
        """Return the session with one pair replaced by one of the same two layers."""
        pairs = tuple(changed if pair.key == changed.key else pair for pair in self.pairs)
        return replace(self, pairs=pairs)

    def with_estimate(self, name: str) -> Session:
        """Return the session with its estimated flows estimated another way.

        Raises:
            UsageError: there is no such estimate.
        """
        return replace(self, pairs=tuple(self._estimated(pair, name) for pair in self.pairs))

    def _estimated(self, pair: Pair, name: str) -> Pair:
        if pair.kind != "estimated" or pair.estimate == name:
            return pair
        source, target = self.layer(pair.source), self.layer(pair.target)
        return replace(pair, estimate=name, flow=estimate(name, source.map(), target.map()))
