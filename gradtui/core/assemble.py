"""From the dict of ``flow_info.pkl`` and two maps to a session, every claim checked on the way.

Arrays stay views of what came. Whatever does not fit is refused by one line that names its key.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from gradtui.core.contents import mapping, real_array, said, shown_shape
from gradtui.core.explicit import is_explicit
from gradtui.core.layer import Layer
from gradtui.core.order import in_order, topological
from gradtui.core.read_pairs import Draft, draft, finish
from gradtui.core.session import Session
from gradtui.errors import InvalidContents

if TYPE_CHECKING:
    from gradtui.core.arrays import Array
    from gradtui.core.layer import Origin

_SUMS: dict[bool, Origin] = {True: "row sums", False: "column sums"}


def assemble(
    flow_info: Mapping[str, object],
    input: Array,  # noqa: A002 - the contract's word
    target: Array,
    *,
    folder: str = "",
    generation: int = 0,
    writer: str = "foreign",
    estimate: str = "proportional",
) -> Session:
    """Return the session that a folder's contents describe.

    Shapes: a gradient is [H, W], [D] (one row), a number (one node) or [C, H, W]; leading axes of
    length 1 beyond that are dropped. A flow is [N, M] over the nodes of its layers, row-major. Input
    and target are [H, W] or [9, H, W], likewise; (0, 0) where there is none.

    Args:
        flow_info: the root of ``flow_info.pkl``.
        input: ``input_representation``.
        target: ``target_representation``.
        folder: what the person called it.
        generation: the writer's count, 0 for foreign ones.
        writer: who wrote it.
        estimate: how flows that stand as None are estimated.

    Returns:
        Layers in the order of ``layer_order`` where the file has one, else sources before targets; a
        layer without a gradient gets the row sums of its flow, or the column sums, and a note.

    Raises:
        InvalidContents: what is wrong, in one line that names the key: a root or entry of another
            kind, complex, object, text or structured dtypes, shapes that do not match, a pair that
            neither has a flow nor the gradients to estimate it from.
        UsageError: there is no such estimate.

    Special values: NaN and Inf are kept, and so are empty layers. Explicit mode is on where the input is
        [9, H, W]; layers of nine channels then give the links of a pair that stands as None.
    """
    root = mapping(flow_info, "flow_info")
    if not ("activation_gradients" in root or "gradient_flows" in root):
        raise InvalidContents("neither activation_gradients nor gradient_flows in it")
    meta = root.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    shown_input = _plane(real_array(input, "the input"), "the input")
    shown_target = _plane(real_array(target, "the target"), "the target")
    explicit = is_explicit(shown_input)
    layers = _layers(root)
    drafts = _drafts(root, meta)
    notes: list[str] = []
    for name in dict.fromkeys(name for one in drafts for name in (one.source, one.target)):
        if name not in layers:
            layers[name] = _from_sums(name, drafts, _shape_in_meta(meta, name))
            notes.append(f"{said(name)} has no gradient in the file: {layers[name].origin} shown")
    order = in_order(
        root.get("layer_order"), topological(layers, [(one.source, one.target) for one in drafts])
    )
    place = {name: at for at, name in enumerate(order)}
    drafts.sort(key=lambda one: (place[one.source], place[one.target]))
    pairs = tuple(
        finish(one, layers[one.source], layers[one.target], explicit=explicit, estimate=estimate)
        for one in drafts
    )
    return Session(
        folder=folder,
        generation=generation,
        writer="gradtui" if writer == "gradtui" else "foreign",
        layers=tuple(layers[name] for name in order),
        pairs=pairs,
        input=shown_input,
        target=shown_target,
        explicit=explicit,
        meta=MappingProxyType({str(key): value for key, value in meta.items() if key != "pairs"}),
        notes=tuple(notes),
    )


def _layers(root: Mapping[object, object]) -> dict[str, Layer]:
    found: dict[str, Layer] = {}
    gradients = mapping(root.get("activation_gradients"), "activation_gradients")
    channels = mapping(root.get("channel_gradients"), "channel_gradients")
    for name, value in gradients.items():
        what = f"activation_gradients {said(name)}"
        if not isinstance(name, str):
            raise InvalidContents(f"{what}: a layer's name is text")
        if value is None:
            continue
        gradient = _plane(real_array(value, what), what)
        own = np.zeros((0, 0, 0))
        if name in channels:
            own = real_array(channels[name], f"channel_gradients {said(name)}")
            if own.ndim != 3 or own.shape[1:] != gradient.shape[-2:]:
                raise InvalidContents(
                    f"channel_gradients {said(name)} is {shown_shape(own.shape)}, but the layer's map is {shown_shape(gradient.shape[-2:])}"
                )
        found[name] = Layer(str(name), gradient, channels=own)
    return found


def _drafts(root: Mapping[object, object], meta: Mapping[object, object]) -> list[Draft]:
    flows = mapping(root.get("gradient_flows"), "gradient_flows")
    entries: dict[tuple[str, str], Mapping[object, object]] = {}
    listed = meta.get("pairs")
    for entry in listed if isinstance(listed, (list, tuple)) else ():
        if isinstance(entry, Mapping):
            source, target = entry.get("source"), entry.get("target")
            if isinstance(source, str) and isinstance(target, str):
                entries[source, target] = entry
    found = []
    for key, value in flows.items():
        what = f"gradient_flows {said(key)}"
        if not (
            isinstance(key, tuple) and len(key) == 2 and all(isinstance(name, str) for name in key)
        ):
            raise InvalidContents(f"{what}: a key is a pair of layer names")
        if key[0] == key[1]:
            raise InvalidContents(f"{what}: a layer does not flow into itself")
        found.append(draft(key, value, entries.get(key, {})))
    return found


def _plane(array: Array, what: str) -> Array:
    """An array as [H, W] or [C, H, W]."""
    shape = array.shape
    while len(shape) > 3 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) > 3:
        raise InvalidContents(
            f"{what} has the shape {shown_shape(array.shape)}, not [H, W] or [C, H, W]"
        )
    return array.reshape((1,) * (2 - len(shape)) + shape)


def _shape_in_meta(meta: Mapping[object, object], name: str) -> tuple[int, ...]:
    layers = meta.get("layers")
    entry = layers.get(name) if isinstance(layers, Mapping) else None
    shape = entry.get("shape") if isinstance(entry, Mapping) else None
    if isinstance(shape, (list, tuple)) and all(isinstance(n, int) and n >= 0 for n in shape):
        return tuple(shape)
    return ()


def _from_sums(name: str, drafts: list[Draft], known: tuple[int, ...]) -> Layer:
    """A layer that the file has no gradient of, from the first flow out of it, else into it."""
    leaving = [one for one in drafts if one.source == name and one.has_numbers]
    arriving = [one for one in drafts if one.target == name and one.has_numbers]
    if not leaving and not arriving:
        pair = next(one for one in drafts if name in (one.source, one.target))
        raise InvalidContents(
            f"gradient_flows {said(pair.key)}: no flow is given, and {said(name)} has no activation gradient to estimate it from"
        )
    is_source = bool(leaving)
    sums, shape = (leaving or arriving)[0].sums(source=is_source)
    for candidate in (known[-2:], (1, *known[-1:]), shape):
        if len(candidate) == 2 and candidate[0] * candidate[1] == sums.size:
            shape = (candidate[0], candidate[1])
            break
    return Layer(name, sums.reshape(shape), _SUMS[is_source])
