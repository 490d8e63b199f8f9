"""Debug folders for the screen: vnittest's own cases, a network with branches, one full of NaN, hostile names."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gradtui.folder.generation import AdapterWriter
from gradtui.folder.location import DebugFolder
from kit.folders import age, write_foreign

if TYPE_CHECKING:
    from collections.abc import Mapping

GOLDEN = Path(__file__).parents[1] / "data" / "vnittest"

HOSTILE_NAMES = (
    "\x1b]52;c;aGk=\x07clip\x1b[2J",
    "[/][bold red]mark[/up]",
    "\u202eright\u2066to\u2069left",
    "e\u0301\u0301\u0301\u0301\u0301\u0301marks",
    "block.one\ntwo\r\tthree",
    "long" * 2500,
    "\u5c64\u540d.\U0001f600",
    "",
    " a  b ",
)
"""Names of layers that a terminal, or markup, would act on."""


BLANK: dict[str, object] = {"input_representation": np.zeros((4, 6))}
"""The input of the branched network, where its adapter brings it along."""


def golden(root: Path, name: str) -> DebugFolder:
    """A copy of one of vnittest's folders, left alone for a minute."""
    place = root / name
    shutil.copytree(GOLDEN / name, place, copy_function=shutil.copyfile)
    folder = DebugFolder.at(place)
    age(folder)
    return folder


def branched(scale: float = 1.0) -> dict[str, object]:
    """a (4x6) feeds b (3x3) and c (2x5) and d; b and c feed d (1x4): several pairs out of a layer, and into one."""
    rng = np.random.default_rng(11)
    shapes = {"net.a": (4, 6), "net.b": (3, 3), "net.c": (2, 5), "head.d": (1, 4)}
    layers = {name: rng.normal(size=shape) * scale for name, shape in shapes.items()}
    pairs = [
        ("net.a", "net.b"),
        ("net.a", "net.c"),
        ("net.a", "head.d"),
        ("net.b", "head.d"),
        ("net.c", "head.d"),
    ]
    flows: dict[object, object] = {
        (s, t): rng.normal(size=(layers[s].size, layers[t].size)) * scale for s, t in pairs[:4]
    }
    flows[pairs[4]] = None
    return {"activation_gradients": layers, "gradient_flows": flows, "layer_order": list(shapes)}


def branched_folder(root: Path) -> DebugFolder:
    """The branched network in foreign files, with an input and a target of 4x6."""
    folder = DebugFolder.at(root / "branched")
    values = np.zeros((4, 6))
    values[1, 2] = 2.0
    write_foreign(folder, branched(), input_=values, target=np.eye(4, 6))
    return folder


def unfinished(root: Path) -> DebugFolder:
    """NaN and infinities everywhere, and a layer of zeros."""
    folder = DebugFolder.at(root / "unfinished")
    flow = np.full((35, 4), np.nan)
    flow[3], flow[4, :2], flow[5] = np.inf, -np.inf, 1
    root_: dict[str, object] = {
        "activation_gradients": {
            "part.a": np.full((5, 7), np.nan),
            "part.b": np.array([[np.inf, -np.inf], [np.nan, 0]]),
            "fine": np.arange(1.0, 5.0).reshape(2, 2),
            "dead": np.zeros((3, 3)),
        },
        "gradient_flows": {
            ("part.a", "part.b"): flow, ("part.b", "dead"): None, ("part.a", "dead"): None,
            ("part.a", "fine"): np.ones((35, 4)),
        },
    }  # fmt: skip
    write_foreign(folder, root_, input_=np.full((5, 7), np.nan), target=np.full((2, 2), np.inf))
    return folder


def hollow(root: Path) -> DebugFolder:
    """Layers, input and target without cells."""
    folder = DebugFolder.at(root / "hollow")
    gradients = {"a": np.zeros((0, 3)), "b": np.zeros((2, 0)), "c": np.ones((1, 1))}
    flows: Mapping[object, object] = {}
    write_foreign(
        folder,
        {"activation_gradients": gradients, "gradient_flows": flows},
        input_=np.zeros((0, 0)),
        target=np.zeros((0, 4)),
    )
    return folder


def barren(root: Path) -> DebugFolder:
    """A right folder without a single layer."""
    folder = DebugFolder.at(root / "barren")
    write_foreign(folder, {"activation_gradients": {}, "gradient_flows": {}})
    return folder


def hostile_names(root: Path) -> DebugFolder:
    """A chain of layers with names that mean harm."""
    folder = DebugFolder.at(root / "hostile")
    rng = np.random.default_rng(2)
    gradients = {name: rng.normal(size=(3, 4)) for name in HOSTILE_NAMES}
    flows = {pair: rng.normal(size=(12, 12)) for pair in itertools.pairwise(HOSTILE_NAMES)}
    write_foreign(folder, {"activation_gradients": gradients, "gradient_flows": flows})
    return folder


def served(root: Path, name: str = "served") -> AdapterWriter:
    """An adapter's writer with the branched network as generation 1, and an input beside it."""
    writer = AdapterWriter(root / name)
    writer.write(branched() | BLANK, np.eye(4, 6))
    return writer
