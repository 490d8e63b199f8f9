"""Full tensors that a run keeps, as generations of the Values view: one for each step that has some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.layer import Layer
from gradtui.core.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradtui.core.arrays import Array
    from gradtui.core.run.happenings import KeptTensor
    from gradtui.core.run.keys import SeriesKey
    from gradtui.core.run.run import Run

SUFFIXES: Final[Mapping[str, str]] = {
    "output": " y",
    "output gradient": " dy",
    "input": " x",
    "input gradient": " dx",
    "parameter": " W",
    "gradient": " dW",
    "raw gradient": " dW unclipped",
    "update": " step",
}


def layer_name(key: SeriesKey) -> str:
    """Return what the Values view calls a kept tensor: ``conv1 dy``, ``conv1.weight W``."""
    return key.name + SUFFIXES.get(key.role, f" {key.role}")


def layers_of(session: Session, path: str) -> list[str]:
    """Return the names of a module's tensors in a snapshot."""
    places = session.meta.get("paths")
    if not isinstance(places, dict):
        return [layer.name for layer in session.layers if layer.name == path]
    return [layer.name for layer in session.layers if places.get(layer.name) == path]


def as_map(values: Array) -> Array:
    """Return a tensor as [H, W] or [C, H, W]: a vector is one row, further dimensions join the last."""
    if values.ndim < 2:
        return values.reshape(1, -1)
    if values.ndim <= 3:
        return values
    return values.reshape(values.shape[0], -1)


def snapshots_of(run: Run, folder: str, before: Sequence[Session] = ()) -> tuple[Session, ...]:
    """Return a session for each step of which tensors were kept, the oldest first.

    A step holds the tensors kept at it, of the lowest rank that kept them. What ``before`` holds is
    given back as it is, so that nothing is drawn anew that has not changed.
    """
    by_step: dict[int, dict[SeriesKey, KeptTensor]] = {}
    for kept in run.kept:
        by_step.setdefault(kept.step, {}).setdefault(kept.kept.key, kept)
    known = {session.meta.get("step"): session for session in before}
    return tuple(
        _unchanged(known.get(step), tensors) or _session(step, tensors, folder)
        for step, tensors in sorted(by_step.items())
    )


def _unchanged(session: Session | None, tensors: Mapping[SeriesKey, KeptTensor]) -> Session | None:
    if session is None:
        return None
    held = session.meta.get("kept")
    now = tuple(id(tensor.kept) for tensor in tensors.values())
    return session if held == now else None


def _session(step: int, tensors: Mapping[SeriesKey, KeptTensor], folder: str) -> Session:
    layers = []
    paths = {}
    for key, tensor in tensors.items():
        values = np.asarray(tensor.kept.values)
        if not values.size:
            continue
        name = layer_name(key)
        layers.append(Layer(name, as_map(values), quantity=key.role))
        paths[name] = key.path
    return Session(
        folder=folder,
        generation=step,
        writer="gradtui",
        layers=tuple(layers),
        meta={
            "step": step,
            "paths": paths,
            "kept": tuple(id(tensor.kept) for tensor in tensors.values()),
            "tensors": tuple(tensor.kept for tensor in tensors.values()),
        },
    )
