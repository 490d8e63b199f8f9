"""Full tensors that a run keeps, as generations of the Values view: one for each step that has some."""

from __future__ import annotations

from dataclasses import replace
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


_RECURRENT: Final[Mapping[str, str]] = {"0": "output", "1": "h"}
OUTPUTS: Final[Mapping[str, Mapping[str, str]]] = {
    "LSTM": {"0": "output", "1.0": "h", "1.1": "c"},
    "GRU": _RECURRENT,
    "RNN": _RECURRENT,
}
"""What torch's own words call the outputs of modules that return several, by class and place."""


def layer_name(key: SeriesKey, kind: str = "") -> str:
    """Return what the Values view calls a kept tensor: ``conv1 dy``, ``conv1.weight W``, ``conv1 y eval``.

    Of several outputs each has a name, ``rnn.h y``, or its place in what the module, of class ``kind``, returned:
    ``body.output 1/0 y``.
    """
    own = key.name
    if key.slot and key.role in ("output", "output gradient"):
        place = OUTPUTS.get(kind, {}).get(key.slot) or f"output {key.slot.replace('.', '/')}"
        own = replace(key, slot=place).name
    name = own + SUFFIXES.get(key.role, f" {key.role}")
    return f"{name} eval" if key.phase == "eval" else name


def layers_of(session: Session, path: str) -> list[str]:
    """Return the names of a module's tensors in a snapshot, those of an evaluation last."""
    return [name for name, place in tensors_of(session) if place == path]


def tensors_of(session: Session) -> list[tuple[str, str]]:
    """Return the names of a snapshot's tensors with their modules' paths, those of an evaluation last."""
    places = session.meta.get("paths")
    if not isinstance(places, dict):
        return [(layer.name, layer.name) for layer in session.layers]
    found = [(layer.name, str(places.get(layer.name))) for layer in session.layers]
    return sorted(found, key=lambda one: is_of_evaluation(session, one[0]))


def is_of_evaluation(session: Session, name: str = "") -> bool:
    """Whether a tensor of a snapshot, or without a name all of them, were kept in an evaluation."""
    phases = session.meta.get("phases")
    if not isinstance(phases, dict):
        return False
    return phases.get(name) == "eval" if name else set(phases.values()) == {"eval"}


def tensor_to_open(kept: Sequence[Session], path: str, step: int) -> tuple[int, str]:
    """Return which snapshot shows a module, and which tensor of it: of itself, else of what is below it.

    Args:
        kept: the snapshots, the oldest first.
        path: the module.
        step: the snapshot of this step, or the newest one before it; where none was kept by then, the first one.
            Below 0 the newest, and one of the training before one of an evaluation. Where the module has none, a
            snapshot of this very step shows any that it has.

    Returns:
        Its place and the tensor's name; -1 and "" for none.
    """
    older = [n for n, session in enumerate(kept) if step < 0 or session.generation <= step]
    order = [*reversed(older), *range(len(older), len(kept))]
    here = [n for n in order if kept[n].generation == step]
    inside = f"{path}." if path else ""
    for places, below in ((here, False), (order, False), (here, True), (order, True)):
        found = [
            (n, name)
            for n in places
            for name, place in tensors_of(kept[n])
            if (place.startswith(inside) if below else place == path)
        ]
        if found:
            return next(
                (one for one in found if not is_of_evaluation(kept[one[0]], one[1])), found[0]
            )
    return next(((n, name) for n in here for name, _ in tensors_of(kept[n])), (-1, ""))


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
        _unchanged(known.get(step), tensors) or _session(step, tensors, folder, run.kinds)
        for step, tensors in sorted(by_step.items())
    )


def _unchanged(session: Session | None, tensors: Mapping[SeriesKey, KeptTensor]) -> Session | None:
    if session is None:
        return None
    held = session.meta.get("kept")
    now = tuple(id(tensor.kept) for tensor in tensors.values())
    return session if held == now else None


def _session(
    step: int,
    tensors: Mapping[SeriesKey, KeptTensor],
    folder: str,
    kinds: Mapping[str, str],
) -> Session:
    layers = []
    paths = {}
    phases = {}
    for key, tensor in tensors.items():
        values = np.asarray(tensor.kept.values)
        if not values.size:
            continue
        name = layer_name(key, kinds.get(key.path, ""))
        layers.append(Layer(name, as_map(values), quantity=key.role))
        paths[name] = key.path
        phases[name] = key.phase
    return Session(
        folder=folder,
        generation=step,
        writer="gradtui",
        layers=tuple(layers),
        meta={
            "step": step,
            "paths": paths,
            "phases": phases,
            "kept": tuple(id(tensor.kept) for tensor in tensors.values()),
            "tensors": tuple(tensor.kept for tensor in tensors.values()),
        },
    )
