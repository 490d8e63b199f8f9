"""Folders whose files parse and whose contents nobody expects: odd dtypes, sizes, names, numbers and extra keys.

Each generator yields a name, what stands in `flow_info.pkl`, the input and the target; whoever reads them either shows them
or says in one line why not.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from kit.hostile import plain_flow_info

if TYPE_CHECKING:
    from collections.abc import Iterator

PAIR = ("conv1", "conv2")
ODD_VALUES: tuple[object, ...] = (
    None, True, -1, 2**70, 1e308, float("nan"), float("inf"), "text", b"bytes", (), [], {}, {"a": 1}, [[1], [1, 2]],
    [None], ("a", "b"), set(), frozenset((1,)), bytearray(b"x"), np.float32(3), np.zeros(()), np.zeros((0,)),
    np.zeros((0, 3)), np.zeros((3, 0)), np.full((2, 2), np.nan), np.full((2, 2), -np.inf), np.zeros((2, 2), bool),
    np.zeros((1, 1, 1, 1, 1)), np.array([["a"]]), np.array(7), np.zeros((2, 2), np.uint64), np.zeros((9, 2, 2)),
)  # fmt: skip
"""One of nearly every kind that a pickle of plain data can hold."""


@dataclass(frozen=True)
class Contents:
    """What stands in a folder."""

    name: str
    root: dict[Any, Any]
    input: np.ndarray = field(default_factory=lambda: np.eye(3, 4))
    target: np.ndarray = field(default_factory=lambda: np.zeros((3, 4)))


def root(**changes: Any) -> dict[Any, Any]:
    """A flow info that is right but for what is named."""
    return {**plain_flow_info(), **changes}


def odd_values() -> Iterator[Contents]:
    """One value of the wrong kind, at every place of a flow info."""
    gradients: Any = plain_flow_info()["activation_gradients"]
    flows: Any = plain_flow_info()["gradient_flows"]
    for number, value in enumerate(ODD_VALUES):
        for key in ("activation_gradients", "gradient_flows", "layer_order", "meta", "channel_gradients",
                    "input_representation", "target_representation", "unknown"):  # fmt: skip
            yield Contents(f"{key}-{number}", root(**{key: value}))
        yield Contents(
            f"gradient-{number}", root(activation_gradients={**gradients, "conv1": value})
        )
        yield Contents(f"flow-{number}", root(gradient_flows={PAIR: value}))
        for key in ("indices_in", "indices_out", "values"):
            sparse = {
                "indices_in": ([0, 1], [0, 1]),
                "indices_out": ([0, 1], [0, 1]),
                "values": [1.0, 2.0],
            }
            yield Contents(f"{key}-{number}", root(gradient_flows={PAIR: {**sparse, key: value}}))
        for key in ("pairs", "layers", "loss", "torch", "device", "seconds", "schema", "notes"):
            yield Contents(f"meta-{key}-{number}", root(meta={"schema": 1, key: value}))
        for key in ("residual", "bypass", "bypass_share", "form", "row_sums", "column_sums", "link_count",
                    "source", "target", "way"):  # fmt: skip
            pair = {"source": PAIR[0], "target": PAIR[1], "form": "summed", key: value}
            changed: Any = (
                {"gradient_flows": {PAIR: None}} if key != "form" else {"gradient_flows": flows}
            )
            yield Contents(
                f"pair-{key}-{number}", root(meta={"schema": 1, "pairs": [pair]}, **changed)
            )
        for key in ("module", "call", "shape", "reduction", "note"):
            layer = {"conv1": {key: value}, "other": {key: value}}
            yield Contents(f"layer-{key}-{number}", root(meta={"schema": 1, "layers": layer}))
        if isinstance(value, (str, bytes, int, float, tuple, frozenset)) or value is None:
            yield Contents(
                f"name-{number}",
                root(activation_gradients={value: np.ones((2, 2))}, gradient_flows={}),
            )
            yield Contents(f"key-{number}", root(gradient_flows={value: None}))
            yield Contents(f"pair-of-{number}", root(gradient_flows={("conv1", value): None}))


def odd_arrays() -> Iterator[Contents]:
    """Arrays of every dtype and of odd shapes, in every file."""
    for name in (
        "?",
        "i1",
        "u1",
        "i2",
        ">i2",
        "i8",
        "u8",
        ">u8",
        "f2",
        ">f2",
        "f4",
        ">f4",
        "f8",
        ">f8",
        "g",
    ):
        array = np.array([[0, 1, 1, 0]] * 3).astype(name)
        flow = np.ones((12, 4)).astype(name)
        changed = root(
            activation_gradients={"conv1": array, "conv2": array[:2, :2]},
            gradient_flows={PAIR: flow},
        )
        yield Contents(f"dtype-{name}", changed, array, array)
        yield Contents(
            f"fortran-{name}", changed, np.asfortranarray(array), np.asfortranarray(array)
        )
    for shape in ((), (1,), (5,), (0,), (0, 0), (0, 4), (4, 0), (1, 1), (2, 3, 4), (9, 3, 4), (9, 0, 4), (9, 0, 0),
                  (8, 3, 4), (10, 3, 4), (1, 9, 3, 4), (1,) * 32, (3, 10**5), (10**5, 1)):  # fmt: skip
        for other in ((3, 4), shape):
            yield Contents(f"input-{shape}", root(), np.ones(shape), np.ones(other))
            yield Contents(f"target-{shape}", root(), np.ones(other), np.ones(shape))
        if len(shape) < 33:
            yield Contents(f"explicit-{shape}", root(), np.ones((9, 3, 4)), np.ones(shape))
    for value in (np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, 3.4e38, -0.0):
        for dtype in ("f4", "f8"):
            with np.errstate(over="ignore"):
                full = np.full((3, 4), value, dtype)
                flow = np.full((12, 4), value, dtype)
            mixed = full.copy()
            mixed[1, 1:3] = (1, -np.inf)
            for one in (full, mixed):
                for measured in (flow, None):
                    changed = root(
                        activation_gradients={"conv1": one, "conv2": one[:2, :2]},
                        gradient_flows={PAIR: measured},
                    )
                    yield Contents(f"value-{value}-{dtype}", changed, one, one)
                    yield Contents(
                        f"value-{value}-{dtype}-9",
                        changed,
                        np.stack([one] * 9),
                        np.stack([one] * 9),
                    )


def many() -> Iterator[Contents]:
    """More layers, pairs, links, letters and nodes than a person would make."""
    one = np.ones((1, 1), np.float32)
    names = [f"layer{n}" for n in range(3000)]
    yield Contents(
        "layers", root(activation_gradients=dict.fromkeys(names, one), gradient_flows={})
    )
    yield Contents(
        "chain",
        root(
            activation_gradients=dict.fromkeys(names, one),
            gradient_flows=dict.fromkeys(itertools.pairwise(names)),
        ),
    )
    some = names[:60]
    yield Contents(
        "every-pair",
        root(
            activation_gradients=dict.fromkeys(some, one),
            gradient_flows=dict.fromkeys(itertools.product(some, some)),
        ),
    )
    yield Contents(
        "circle",
        root(
            activation_gradients=dict.fromkeys("abc", one),
            gradient_flows=dict.fromkeys([("a", "b"), ("b", "c"), ("c", "a"), ("a", "a")]),
        ),
    )
    deep = ".".join(str(n) for n in range(2000))
    yield Contents("deep-name", root(activation_gradients={deep: one}, gradient_flows={}))
    yield Contents("long-name", root(activation_gradients={"x" * 10**6: one}, gradient_flows={}))
    wide = np.ones((1, 10**6), np.float32)
    tall = np.ones((10**6, 1), np.float32)
    yield Contents(
        "a-million-to-a-million",
        root(activation_gradients={"conv1": wide, "conv2": tall}, gradient_flows={PAIR: None}),
    )
    where = np.zeros(500_000, np.int64)
    yield Contents(
        "one-link-often",
        root(gradient_flows={PAIR: {"indices_in": (where, where), "indices_out": (where, where)}}),
    )
    noise = np.random.default_rng(0).random((2048, 2048))
    for dtype in ("i1", "f2", "f4", ">f4", "f8"):
        # The small ones are where a careless copy in float64 would be eight times the file.
        flow = (noise * 100).astype(dtype)
        changed = root(
            activation_gradients={
                "conv1": np.ones((32, 64), dtype),
                "conv2": np.ones((32, 64), dtype),
            },
            gradient_flows={PAIR: flow},
        )
        yield Contents(f"dense-{dtype}", changed)
        yield Contents(
            f"gradient-{dtype}", root(activation_gradients={"conv1": flow}, gradient_flows={})
        )
        yield Contents(f"input-{dtype}", root(), flow, flow)
        yield Contents(
            f"explicit-{dtype}", root(), np.stack([flow[:680, :680]] * 9), flow[:680, :680]
        )
