"""A snapshot written down: the dict that ``flow_info.pkl`` holds, in plain data and numpy arrays."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from gradtui.torch.flows import Effort, PairFlow

if TYPE_CHECKING:
    import numpy.typing as npt

    from gradtui.torch.snapshot import Snapshot
    from gradtui.torch.tap import Tap

SCHEMA: Final = 1
# Gradients by channel are kept for layers up to this many values.
CHANNEL_VALUES: Final = 1 << 16


def flow_info(snapshot: Snapshot, effort: Effort | None = None) -> dict[str, Any]:
    """Everything that a folder holds of a snapshot.

    Args:
        snapshot: with its graph alive.
        effort: budget and progress; progress runs once from 0 to 1 over all pairs.

    Returns:
        ``activation_gradients`` ``{layer: [H, W]}``, ``gradient_flows`` ``{(source, target): [N, M] | sparse | None}``,
        ``channel_gradients`` ``{layer: [C, H, W]}``, ``layer_order`` and ``meta``, as ``FORMAT.md`` has them. A
        summed pair stands as None, with its sums in ``meta``; one that may not be measured without.

    Raises:
        Cancelled: from ``effort.progress``.
    """
    effort = effort or Effort()
    started = time.perf_counter()
    maps: dict[str, npt.NDArray[Any]] = {}
    channels: dict[str, npt.NDArray[Any]] = {}
    layers: dict[str, dict[str, object]] = {}
    for tap in snapshot.taps:
        at_nodes = to_numpy(snapshot.node_gradients(tap))
        shape = tap.layout.map_shape
        maps[tap.name] = at_nodes.sum(0, dtype=at_nodes.dtype).reshape(shape)
        if tap.layout.channels > 1 and at_nodes.size <= CHANNEL_VALUES:
            channels[tap.name] = at_nodes.reshape(-1, *shape)
        layers[tap.name] = {
            "module": tap.kind,
            "call": tap.call,
            "shape": list(tap.layout.shape),
            "reduction": tap.layout.reduction,
            "note": "",
        }
    for name, reason in snapshot.missing.items():
        layers[name] = {"module": "", "call": 0, "shape": [], "reduction": "", "note": reason}
    flows, pairs = _pairs(snapshot, effort)
    meta: dict[str, object] = {
        "schema": SCHEMA,
        "pairs": pairs,
        "layers": layers,
        "loss": snapshot.loss,
        "torch": str(torch.__version__),
        "device": str(snapshot.roots[0].device) if snapshot.roots else "",
        "seconds": time.perf_counter() - started,
    }
    if snapshot.notes:
        meta["notes"] = list(snapshot.notes)
    return {
        "activation_gradients": maps,
        "gradient_flows": flows,
        "channel_gradients": channels,
        "layer_order": [tap.name for tap in snapshot.taps],
        "meta": meta,
    }


def to_numpy(tensor: torch.Tensor) -> npt.NDArray[Any]:
    """A tensor on the CPU, as float32 where numpy has no such type (bfloat16), float16 likewise."""
    tensor = tensor.detach()
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.float()
    found: npt.NDArray[Any] = tensor.cpu().contiguous().numpy()
    return found


def _pairs(
    snapshot: Snapshot, effort: Effort
) -> tuple[dict[tuple[str, str], object], list[dict[str, object]]]:
    flows: dict[tuple[str, str], object] = {}
    entries: dict[tuple[str, str], dict[str, object]] = {}
    if not snapshot.measurable:
        return {(source.name, target.name): None for source, target in snapshot.pairs}, []
    bypasses = _all_bypasses(snapshot)
    total = len(snapshot.pairs)
    for done, (source, target) in enumerate(snapshot.pairs):
        names = (source.name, target.name)
        share = _Share(effort, done, total)
        part = Effort(effort.links, effort.link_bytes, effort.seconds, share)
        flow = snapshot.flow(source, target, part)
        flows[names] = _contract_form(flow, source, target)
        gradient = to_numpy(snapshot.node_gradients(source)).sum(0, dtype=np.float64)
        entries[names] = _entry(names, flow, gradient, bypasses[names])
        share(1.0)
    return flows, [entries[source.name, target.name] for source, target in snapshot.pairs]


class _Share:
    """Progress of one pair as a part of the whole."""

    __slots__ = ("_done", "_effort", "_total")

    def __init__(self, effort: Effort, done: int, total: int) -> None:
        self._effort, self._done, self._total = effort, done, total

    def __call__(self, part: float) -> None:
        self._effort.progress((self._done + part) / self._total)


def _all_bypasses(snapshot: Snapshot) -> dict[tuple[str, str], npt.NDArray[Any]]:
    found: dict[tuple[str, str], npt.NDArray[Any]] = {}
    for target in snapshot.taps:
        sources = [source for source, other in snapshot.pairs if other is target]
        if sources:
            for source, bypass in zip(sources, snapshot.bypasses(target, sources), strict=True):
                found[source.name, target.name] = to_numpy(bypass)
    return found


def _contract_form(flow: PairFlow, source: Tap, target: Tap) -> object:
    if flow.form == "summed":
        return None
    if flow.form == "dense":
        return to_numpy(flow.matrix)
    ends = []
    for nodes, tap in ((flow.links.sources, source), (flow.links.targets, target)):
        columns = tap.layout.map_shape[1]
        flat = to_numpy(nodes)
        ends.append(((flat // columns).astype(np.int32), (flat % columns).astype(np.int32)))
    return {
        "indices_in": ends[0],
        "indices_out": ends[1],
        "values": to_numpy(flow.links.values),
    }


def _entry(
    names: tuple[str, str],
    flow: PairFlow,
    gradient: npt.NDArray[np.float64],
    bypass: npt.NDArray[Any],
) -> dict[str, object]:
    rows, columns = to_numpy(flow.row_sums), to_numpy(flow.column_sums)
    residual = np.abs(gradient - rows - bypass).max(initial=0.0)
    size = np.abs(gradient).sum()
    return {
        "source": names[0],
        "target": names[1],
        "residual": float(residual),
        "bypass": bypass,
        "bypass_share": float(np.abs(bypass).sum() / size) if size > 0 else math.nan,
        "form": flow.form,
        "row_sums": rows,
        "column_sums": columns,
        "link_count": flow.link_count,
        "way": flow.way,
    }


def input_gradient(snapshot: Snapshot, name: str) -> torch.Tensor | None:
    """The gradient of the layer of this name in its tensor's own shape; None where it has none."""
    found = (tap for tap in snapshot.taps if tap.name == name)
    return next((snapshot.activation_gradient(tap) for tap in found), None)
