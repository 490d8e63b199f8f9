"""Made-up trainings with attached tensors, and with modules and weights that are used at several places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.core.run.records import ModuleInfo, ParameterInfo
from gradtui.folder.history.writer import HistoryWriter
from gradtui.folder.location import DebugFolder
from kit.runs import Training

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gradtui.core.run.records import Entry


def with_tensors(**bad):
    """A block of two layers in which a tensor is attached, and one at the model itself."""
    training = Training()
    training.modules.append(ModuleInfo("block", "Block"))
    training.layer("block.a").layer("block.b")
    for path, norm in (("block.hidden", 5.0), ("stem", 7.0)):
        training.set(path, "output", "l2", norm)
        training.set(path, "output", "minimum", -1.0)
        training.set(path, "output", "maximum", 2.0)
        training.set(path, "output", "count", 100)
        training.set(path, "output", "zeros", 25)
        training.set(path, "output gradient", "l2", norm / 10 * (1 + training.t))
        for kind in ("nan", "inf"):
            training.set(path, "output", kind, 0)
            training.set(path, "output gradient", kind, bad.get(path.rpartition(".")[2], 0))
    return training


def tied():
    """A weight that the head takes from the embedding, and a layer that is used again in a block."""
    made = Training().layer("embed").layer("fc")
    made.modules += [ModuleInfo("block", "Block"), ModuleInfo("head", "Linear")]
    shared = {
        ("embed", "weight"): ("head.weight",),
        ("fc", "weight"): ("block.inner.weight",),
        ("fc", "bias"): ("block.inner.bias",),
    }
    made.parameters = [
        ParameterInfo(p.path, p.name, p.shape, shared=shared.get((p.path, p.name), ()))
        for p in made.parameters
    ]
    made.output("head", 32)
    return made


def written(path: Path, training: Training, more: Iterable[Entry] = ()) -> Path:
    """Write a made-up training as a watcher would, whole, and more records behind it."""
    writer = HistoryWriter(DebugFolder.at(f"{path}/"))
    for entry in (*training.entries(), *more):
        writer.write(entry)
    writer.close(30)
    return path
