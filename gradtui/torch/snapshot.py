"""One moment of a model: layers, their activation gradients, the live graph, and what it can still be asked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import torch

from gradtui.errors import UsageError
from gradtui.torch.flows import Effort, PairFlow, measure_flow, same_total
from gradtui.torch.graph import consecutive_pairs, is_upstream
from gradtui.torch.hooks import NOT_MEASURED, RAN_AGAIN
from gradtui.torch.products import (
    NoForwardProduct,
    chunk_size,
    flow_columns,
    flow_row,
    gradients,
    row_sums,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn
    from torch.autograd.graph import GradientEdge

    from gradtui.torch.tap import Tap
    from gradtui.torch.taps import Taps


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Layers of one forward and backward pass, with the graph still alive.

    Attributes:
        taps: layers that carry a gradient, in the order in which they ran.
        gradients: each one's activation gradient, in the shape of what stands at its place (see `Tap.own`).
        pairs: source and target of each flow.
        roots: what was differentiated, and ``seeds`` with what.
        wrapped: convolutions that pad by themselves.
        missing: layers without a gradient and why, in words.
        loss: the value that was differentiated; NaN where it is not one number.
        notes: what is to be said of the whole.
        measurable: whether flows may be asked for.
    """

    taps: tuple[Tap, ...]
    gradients: Mapping[str, torch.Tensor]
    pairs: tuple[tuple[Tap, Tap], ...]
    roots: tuple[torch.Tensor, ...]
    seeds: tuple[torch.Tensor | None, ...]
    wrapped: Mapping[tuple[object, int], tuple[GradientEdge, nn.Module]] = field(
        default_factory=dict
    )
    missing: Mapping[str, str] = field(default_factory=dict)
    loss: float = float("nan")
    notes: tuple[str, ...] = ()
    measurable: bool = True

    def node_gradients(self, tap: Tap) -> torch.Tensor:
        """Activation gradient at the nodes, ``[C, N]``."""
        return tap.nodes_of(self.gradients[tap.name])

    def activation_gradient(self, tap: Tap) -> torch.Tensor:
        """Activation gradient in the activation's own shape."""
        return tap.own(self.gradients[tap.name])

    def pair(self, source: str, target: str) -> tuple[Tap, Tap]:
        """A pair by its names.

        Raises:
            UsageError: when there is none.
        """
        for pair in self.pairs:
            if (pair[0].name, pair[1].name) == (source, target):
                return pair
        raise UsageError(f"no flow from {source!r} to {target!r} is captured")

    def flow(self, source: Tap, target: Tap, effort: Effort | None = None) -> PairFlow:
        """The exact flow of a pair."""
        return measure_flow(
            source, target, self.node_gradients(target), wrapped=self.wrapped, effort=effort
        )

    def bypasses(self, target: Tap, sources: Sequence[Tap]) -> list[torch.Tensor]:
        """What reaches each source's nodes when the target's nodes pass no gradient on, ``[N]`` each.

        One backward pass for all sources of a target.
        """
        node, number = target.edge.node, target.edge.output_nr

        def emptied(gradient: torch.Tensor) -> torch.Tensor:
            flat = gradient.clone(memory_format=torch.contiguous_format).view(-1)
            flat[target.indices] = 0
            return flat.view(gradient.shape)

        def cut(arriving: tuple[torch.Tensor | None, ...]) -> tuple[torch.Tensor | None, ...]:
            parts = list(arriving)
            if (gradient := parts[number]) is not None:
                parts[number] = emptied(gradient)
            return tuple(parts)

        handle = cast("Any", node).register_prehook(cut)
        try:
            found = gradients(self.roots, self.seeds, list(sources))
        finally:
            handle.remove()
        passed: list[torch.Tensor] = []
        for source, reaching in zip(sources, found, strict=True):
            # At one place it is what the target's nodes don't have of the source's.
            shared = source.key == target.key
            gradient = emptied(self.gradients[source.name]) if shared else reaching
            passed.append(
                torch.zeros_like(self.node_gradients(source).sum(0))
                if gradient is None
                else source.nodes_of(gradient).sum(0)
            )
        return passed

    def column(self, source: Tap, target: Tap, node: int) -> torch.Tensor:
        """One column ``F[:, node]`` by one VJP, ``[N]``.

        Raises:
            UsageError: when there is no such node.
        """
        _check(target, node)
        chosen = torch.tensor([node], device=target.indices.device)
        return flow_columns(source, target, self.node_gradients(target), chosen)[0]

    def row(self, source: Tap, target: Tap, node: int) -> torch.Tensor:
        """One row ``F[node, :]`` by one JVP, ``[M]``.

        It is checked against the row's sum, which a VJP gives: a user's backward that breaks the
        graph unseen would make the JVP wrong without an error.

        Raises:
            NoForwardProduct: when an operation can't be differentiated twice.
            UsageError: when there is no such node.
        """
        _check(source, node)
        gradient = self.node_gradients(target)
        values = flow_row(source, target, gradient, node)
        expected = row_sums(source, target, gradient)[node]
        if not same_total(expected, values):
            raise NoForwardProduct("the second derivative does not agree with the first")
        return values

    def row_by_columns(self, source: Tap, target: Tap, node: int, effort: Effort) -> torch.Tensor:
        """One row from VJPs of every target node that has a gradient, in chunks, ``[M]``.

        Raises:
            Cancelled: from ``effort.progress``, which is told after each chunk.
            UsageError: when there is no such node.
        """
        _check(source, node)
        gradient = self.node_gradients(target)
        values = source.probe.new_zeros(target.layout.nodes)
        live = torch.nonzero((gradient != 0).any(0)).flatten()
        for start in range(0, len(live), step := chunk_size(source, target)):
            chosen = live[start : start + step]
            values[chosen] = flow_columns(source, target, gradient, chosen)[:, node]
            effort.progress((start + len(chosen)) / len(live))
        return values


def take_snapshot(
    taps: Taps,
    roots: Sequence[torch.Tensor],
    seeds: Sequence[torch.Tensor | None],
    pairs: Sequence[tuple[str, str]] = (),
    *,
    known: Mapping[tuple[object, int], torch.Tensor] | None = None,
) -> Snapshot:
    """Gradients of the layers that a forward pass met, from what was differentiated.

    Args:
        taps: of the forward pass.
        roots: what is differentiated; one loss, as a rule.
        seeds: its gradient; None for 1.
        pairs: names of sources and targets; without any, consecutive layers along the data's way.
        known: gradients by `Tap.key`, where a backward pass was watched; then no other one runs, now or later.

    Raises:
        UsageError: when a pair names a layer that isn't there, or has no path.
        Exception: what a hook met.
    """
    met, missing = taps.settled(roots)
    if taps.errors:
        raise taps.errors[0]
    if taps.hooked:
        met = [replace(tap, hooked=True) for tap in met]
    if known is None:
        found = gradients(tuple(roots), tuple(seeds), met)
    else:
        found = [known.get(tap.key) for tap in met]
    live: list[Tap] = []
    grads: dict[str, torch.Tensor] = {}
    for tap, gradient in zip(met, found, strict=True):
        if gradient is None:
            missing[tap.name] = "no gradient reaches it"
        else:
            live.append(tap)
            grads[tap.name] = gradient
    wanted = _named_pairs(live, pairs) if pairs else consecutive_pairs(live)
    value = roots[0].detach() if len(roots) == 1 and roots[0].numel() == 1 else None
    return Snapshot(
        taps=tuple(live),
        gradients=grads,
        pairs=tuple(wanted),
        roots=tuple(roots),
        seeds=tuple(seeds),
        wrapped=dict(taps.wrapped),
        missing=missing,
        loss=float("nan") if value is None else float(value),
        notes=(NOT_MEASURED if known is not None else RAN_AGAIN,) if taps.hooked else (),
        measurable=known is None,
    )


def _named_pairs(taps: Sequence[Tap], pairs: Sequence[tuple[str, str]]) -> list[tuple[Tap, Tap]]:
    by_name = {tap.name: tap for tap in taps}
    found = []
    for source, target in pairs:
        for name in (source, target):
            if name not in by_name:
                raise UsageError(
                    f"pair {source} → {target}: no gradient was captured at {name!r}; "
                    f"there are: {', '.join(by_name) or 'none'}"
                )
        if not is_upstream(by_name[source], by_name[target]):
            raise UsageError(f"pair {source} → {target}: no path leads from one to the other")
        found.append((by_name[source], by_name[target]))
    return found


def _check(tap: Tap, node: int) -> None:
    if not 0 <= node < tap.layout.nodes:
        raise UsageError(f"{tap.name} has {tap.layout.nodes} nodes, there is no node {node}")
