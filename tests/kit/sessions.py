"""Small sessions with numbers that can be followed by hand."""

from __future__ import annotations

import numpy as np

from gradtui.core.flow_forms import DenseFlow
from gradtui.core.layer import Layer
from gradtui.core.session import Pair, Session
from gradtui.core.sparse_flow import SparseFlow


def readme_session(**changes: object) -> Session:
    """vnittest's own example: 4x4 -> 2x2 -> 1x1, every flow measured, with an input and a target of 4x4."""
    conv1 = np.full((4, 4), 3.97, np.float32)
    conv1[1, 1] = 4.0
    first = np.full((16, 4), 0.99, np.float32)
    first[5] = 1.0
    first[0, 0] = -1.0
    values: dict[str, object] = {
        "folder": "data/test_",
        "generation": 7,
        "writer": "gradtui",
        "layers": (
            Layer("conv1", conv1),
            Layer("conv2", np.array([[15.88, 15.9], [15.9, 15.93]], np.float32)),
            Layer("conv3", np.array([[4.0]], np.float32)),
        ),
        "pairs": (
            Pair(
                "conv1", "conv2", "measured", DenseFlow(first), residual=1e-7,
                bypass=np.zeros(16), bypass_share=0.0,
            ),
            Pair("conv2", "conv3", "measured", DenseFlow(np.ones((4, 1), np.float32)), residual=2e-7),
        ),
        "input": np.arange(16, dtype=np.float64).reshape(4, 4) % 3,
        "target": np.eye(4),
    }  # fmt: skip
    return Session(**(values | changes))  # type: ignore[arg-type]


def skip_session() -> Session:
    """a -> b -> c and a -> c past b: two pairs leave a, two reach c."""
    rng = np.random.default_rng(3)
    a, b, c = (rng.normal(size=shape) for shape in ((2, 3), (2, 2), (1, 5)))
    return Session(
        folder="skip",
        layers=(Layer("a", a), Layer("block.b", b), Layer("block.c", c)),
        pairs=(
            Pair("a", "block.b", "measured", DenseFlow(rng.normal(size=(6, 4)))),
            Pair("a", "block.c", "measured", DenseFlow(rng.normal(size=(6, 5)))),
            Pair("block.b", "block.c", "measured", DenseFlow(rng.normal(size=(4, 5)))),
        ),
    )


def dense_session(side: int, *, seed: int = 0) -> Session:
    """Two layers of ``side`` by ``side`` nodes with a dense flow between them."""
    rng = np.random.default_rng(seed)
    n = side * side
    flow = rng.normal(size=(n, n)).astype(np.float32)
    return Session(
        folder="dense",
        layers=(
            Layer("first", flow.sum(axis=1).reshape(side, side)),
            Layer("second", rng.normal(size=(side, side)).astype(np.float32)),
        ),
        pairs=(Pair("first", "second", "measured", DenseFlow(flow), residual=0.0),),
        input=rng.normal(size=(side, side)),
        target=rng.normal(size=(side, side)),
    )


def explicit_session(side: int = 8, *, seed: int = 5) -> Session:
    """Explicit mode: nine channels in the input, and layers of nine channels."""
    rng = np.random.default_rng(seed)
    stacks = [rng.integers(-1, 2, size=(9, side, side)).astype(np.float64) for _ in range(3)]
    n = side * side
    flow = SparseFlow((n, n), np.arange(n), np.arange(n)[::-1], np.ones(n))
    return Session(
        folder="explicit",
        layers=(Layer("in", stacks[0]), Layer("out", stacks[1])),
        pairs=(Pair("in", "out", "explicit", flow),),
        input=stacks[2],
        target=stacks[2] * 2,
        explicit=True,
    )
