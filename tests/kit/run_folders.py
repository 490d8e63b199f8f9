"""Folders that hold the history of a made-up training, written as a watcher writes them."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from gradtui.core.run.histogram import binned
from gradtui.core.run.keys import ROW_NORMS, VALUES, SeriesKey
from gradtui.core.run.records import (
    Edges,
    Entry,
    Event,
    Histograms,
    Kept,
    Layout,
    ModuleInfo,
    ParameterInfo,
    Scalars,
    Start,
)
from gradtui.folder.history.writer import HistoryWriter
from gradtui.folder.location import DebugFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PARAMETER_NUMBERS = ("l2", "l1", "minimum", "maximum", "count", "nan", "inf")
OUTPUT_NUMBERS = ("l2", "count", "zeros", "units", "dead")


class SmallGpt:
    """The numbers of a small language model: healthy, but for what ``explode_at`` and ``nan_at`` break.

    Attributes:
        modules: in the order of ``named_modules()``.
        parameters: of all modules.
        scalars: keys of the numbers of every step.
        histograms: keys of the distributions of every tenth step.
    """

    def __init__(
        self, blocks: int = 4, *, explode_at: int = -1, nan_at: int = -1, keep: bool = True
    ) -> None:
        self.explode_at, self.nan_at, self.keep = explode_at, nan_at, keep
        self.rng = np.random.default_rng(1)
        self.modules = [
            ModuleInfo("", "GPT"),
            ModuleInfo("embed", "Embedding"),
            ModuleInfo("h", "ModuleList"),
        ]
        self.parameters = [ParameterInfo("embed", "weight", (65, 384), count=65 * 384)]
        for block in range(blocks):
            at = f"h.{block}"
            self.modules += [ModuleInfo(at, "Block"), ModuleInfo(f"{at}.ln1", "LayerNorm")]
            self._linear(
                f"{at}.attn.qkv", (1152, 384), between=ModuleInfo(f"{at}.attn", "Attention")
            )
            self._linear(f"{at}.attn.proj", (384, 384))
            self._linear(f"{at}.mlp.fc1", (1536, 384), between=ModuleInfo(f"{at}.mlp", "MLP"))
            self.modules.append(ModuleInfo(f"{at}.mlp.act", "GELU"))
            self._linear(f"{at}.mlp.fc2", (384, 1536))
        self._linear("head", (65, 384))
        self.scalars = [
            SeriesKey("", "run", "value", "loss"),
            SeriesKey("", "run", "value", "lr.0"),
        ]
        for info in self.parameters:
            self.scalars += [
                SeriesKey(info.path, "gradient", q, info.name) for q in PARAMETER_NUMBERS
            ]
            self.scalars += [
                SeriesKey(info.path, "parameter", q, info.name) for q in PARAMETER_NUMBERS
            ]
            self.scalars += [
                SeriesKey(info.path, "update", q, info.name) for q in ("l2", "base_l2")
            ]
        self.leaves = [
            m.path for m in self.modules if m.kind in ("Linear", "GELU", "LayerNorm", "Embedding")
        ]
        for path in self.leaves:
            self.scalars += [SeriesKey(path, "output", q) for q in OUTPUT_NUMBERS]
            self.scalars += [
                SeriesKey(path, "output gradient", "l2"),
                SeriesKey(path, "module", "seconds"),
            ]
        self.histograms = [
            SeriesKey(info.path, role, VALUES, info.name)
            for info in self.parameters
            for role in ("parameter", "gradient")
        ]
        self.histograms += [SeriesKey(f"h.{b}.mlp.act", "output", VALUES) for b in range(blocks)]
        self.histograms += [
            SeriesKey(f"h.{b}.attn.proj", "input gradient", ROW_NORMS, slot)
            for b in range(blocks)
            for slot in ("0", "mask")
        ]

    def _linear(self, path: str, shape: tuple[int, ...], between: ModuleInfo | None = None) -> None:
        self.modules += [between] if between else []
        self.modules.append(ModuleInfo(path, "Linear", f"in={shape[1]}, out={shape[0]}"))
        for name, size in (("weight", shape), ("bias", shape[:1])):
            self.parameters.append(ParameterInfo(path, name, size, count=int(np.prod(size))))

    def preamble(self, rank: int = 0, world: int = 1) -> list[Entry]:
        """The records that everything else stands on."""
        now = time.time()
        start = Start(
            "run", "GPT", rank, world, started=now, torch="2.13", device="cpu",
            modules=tuple(self.modules), parameters=tuple(self.parameters),
        )  # fmt: skip
        pairs = tuple(
            (SeriesKey(a, "output", ""), SeriesKey(b, "input", ""))
            for a, b in zip(self.leaves, self.leaves[1:], strict=False)
        )
        sampled = tuple(n for n, key in enumerate(self.scalars) if key.role == "update")
        records: list[Any] = [
            start, Layout(0, "scalars", tuple(self.scalars), sampled),
            Layout(1, "histograms", tuple(self.histograms)), Edges(pairs),
        ]  # fmt: skip
        return [Entry(-1, now, record) for record in records]

    def step(self, step: int, when: float | None = None) -> Iterator[Entry]:
        """The records of one step."""
        now = time.time() if when is None else when
        values = np.array([self._value(key, step) for key in self.scalars], np.float32)
        yield Entry(step, now, Scalars(0, values))
        if step == self.nan_at:
            fields = {
                "role": "gradient",
                "slot": "weight",
                "call": 0,
                "nan": 12,
                "inf": 0,
                "order": 0,
            }
            yield Entry(
                step, now, Event("non-finite", "NaN in the gradient", "h.2.mlp.fc2", fields)
            )
        if step % 100 == 99:
            yield Entry(
                step, now, Event("epoch", f"epoch {step // 100}", "", {"epoch": step // 100})
            )
        if step % 10 == 0:
            samples = np.stack([self._sample(key, step) for key in self.histograms]).astype(
                np.float32
            )
            made = binned(samples)
            yield Entry(
                step, now, Histograms(1, made.counts, made.exponents, made.offsets, made.tails)
            )
        if self.keep and step % 50 == 0:
            image = np.outer(np.sin(np.arange(16) / 3 + step / 40), np.cos(np.arange(24) / 4))
            key = SeriesKey("h.1.mlp.fc1", "output gradient", VALUES)
            yield Entry(step, now, Kept(key, (image * np.exp(-step / 400)).astype(np.float32)))

    def _value(self, key: SeriesKey, step: int) -> float:
        noise = float(np.exp(0.15 * self.rng.normal()))
        grown = self._grown(key.path, step)
        if key.role == "run":
            loss = 0.3 + 3.9 * np.exp(-step / 150)
            return float(loss * noise**0.3 * grown**0.3 if key.slot == "loss" else 3e-4)
        size = 40.0 if "fc" in key.path else 18.0
        size /= 30 if key.slot == "bias" else 1
        if key.role in ("gradient", "parameter", "update"):
            norm = {"gradient": 0.05 * noise * grown / (1 + step / 150), "parameter": size,
                    "update": 1e-3 * size * noise}[key.role]  # fmt: skip
            broken = (
                self.nan_at >= 0
                and step >= self.nan_at
                and key.path.startswith("h.2")
                and key.role == "gradient"
            )
            return {
                "l2": norm, "l1": norm * 9, "minimum": -norm / 8, "maximum": norm / 8, "count": 1e4,
                "base_l2": size, "nan": 12.0 if broken else 0.0, "inf": 0.0,
            }[key.quantity]  # fmt: skip
        if key.role == "module":
            return 1e-3 * noise
        return {
            "l2": 3 * noise,
            "count": 1e4,
            "zeros": 10.0 if "act" in key.path else 0.0,
            "units": 64,
            "dead": 0,
        }[key.quantity]

    def _grown(self, path: str, step: int) -> float:
        if self.explode_at < 0 or step < self.explode_at or path not in ("h.1.mlp.fc1", ""):
            return 1.0
        return float(min(1.12 ** (step - self.explode_at), 1e6))

    def _sample(self, key: SeriesKey, step: int) -> Any:
        draws = self.rng.normal(size=500)
        if key.role == "parameter":
            return draws * (0.02 + step * 1e-5)
        if key.quantity == ROW_NORMS:
            return np.abs(draws) * (0.01 if key.slot == "mask" else 0.3)
        if key.role == "output":
            return np.where(draws > 0, draws * 1.5, 0.05 * draws)
        found = draws * 0.002 / (1 + step / 150) * self._grown(key.path, step)
        if self.nan_at >= 0 and step >= self.nan_at and key.path.startswith("h.2"):
            found[:7] = np.nan
        return found


def write_run(
    path: Path | str, steps: int = 400, *, ranks: int = 1, model: SmallGpt | None = None
) -> DebugFolder:
    """Write a whole run at once."""
    folder = DebugFolder.at(f"{path}/")
    for rank in range(ranks):
        source = model or SmallGpt()
        writer = HistoryWriter(folder, rank)
        for entry in source.preamble(rank, ranks):
            writer.write(entry)
        for step in range(steps):
            for entry in source.step(step):
                writer.write(entry)
        writer.flush(30)
        writer.close(30)
    return folder


def main(arguments: list[str]) -> None:
    """Write a run as it would grow: FOLDER STEPS STEPS-A-SECOND [explode|nan]."""
    path, steps, rate, *broken = arguments
    model = SmallGpt(
        explode_at=300 if "explode" in broken else -1, nan_at=350 if "nan" in broken else -1
    )
    writer = HistoryWriter(DebugFolder.at(f"{path}/"))
    for entry in model.preamble():
        writer.write(entry)
    begun = time.monotonic()
    for step in range(int(steps)):
        for entry in model.step(step):
            writer.write(entry)
        wait = begun + (step + 1) / float(rate) - time.monotonic()
        if wait > 0:
            time.sleep(wait)
    writer.close(30)


if __name__ == "__main__":
    main(sys.argv[1:])
