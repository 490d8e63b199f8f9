"""Pickles of flow infos that are right, as many writers would write them."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

from kit.folders import flow_info

PROTOCOLS = range(6)


def flow_info_pickles() -> list[bytes]:
    """Dense, sparse and listed flows, with and without the keys that only ours has, by every protocol."""
    gradients = flow_info()["activation_gradients"]
    links: dict[str, Any] = {"indices_in": ([0, 1], [0, 1]), "indices_out": ([0, 1], [1, 0])}
    pair: dict[str, Any] = {
        "source": "conv1",
        "target": "conv2",
        "residual": 0.1,
        "bypass": np.ones(12),
    }
    sparse = {
        "activation_gradients": gradients,
        "gradient_flows": {("conv1", "conv2"): {**links, "values": [1.0, 2.0]}},
        "layer_order": ["conv1", "conv2"],
        "meta": {"schema": 1, "loss": 1.0, "pairs": [pair]},
    }
    listed = {"activation_gradients": gradients, "gradient_flows": {("conv1", "conv2"): links}}
    roots = (flow_info(), sparse, listed)
    return [pickle.dumps(root, protocol) for root in roots for protocol in PROTOCOLS]
