"""Made-up trainings: numbers by formula and seeded noise, in the records that a watcher writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import (
    Edges,
    Entry,
    Event,
    Layout,
    ModuleInfo,
    ParameterInfo,
    Scalars,
    Start,
)
from gradtui.core.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.run.keys import Role

OFTEN = ("gradient", "raw gradient", "update", "run", "module")
SELDOM = ("minimum", "maximum")
STARTED = 1.75e9


@dataclass
class Training:
    """A network's numbers, healthy until a test changes them.

    Attributes:
        steps: how many.
        every: steps between two measurements of outputs, and of the ends of any tensor.
        modules: in the order of registration.
        parameters: of all modules.
        numbers: [steps] of each series; NaN: nothing to measure. Those of outputs count every ``every`` steps.
        events: what happened.
        edges: which module's output feeds which one's input, by path.
    """

    steps: int = 300
    every: int = 10
    seed: int = 0
    modules: list[ModuleInfo] = field(default_factory=lambda: [ModuleInfo("", "Net")])
    parameters: list[ParameterInfo] = field(default_factory=list)
    numbers: dict[SeriesKey, Any] = field(default_factory=dict)
    events: list[tuple[int, Event]] = field(default_factory=list)
    edges: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.noise = np.random.default_rng(self.seed)
        self.set("", "run", "value", 0.3 + 2 * np.exp(-self.t / 80), 0.05, slot="loss")

    @property
    def t(self) -> Any:
        return np.arange(self.steps, dtype=np.float64)

    def rough(self, values: Any, spread: float) -> Any:
        """Values with log-normal noise."""
        return np.broadcast_to(values, self.steps) * np.exp(
            spread * self.noise.normal(size=self.steps)
        )

    def set(
        self,
        path: str,
        role: Role,
        quantity: str,
        values: Any,
        spread: float = 0.0,
        *,
        slot: str = "",
        call: int = 0,
    ) -> None:
        self.numbers[SeriesKey(path, role, quantity, slot, call)] = self.rough(values, spread)

    def of(self, path: str, role: Role, quantity: str, slot: str = "") -> Any:
        return self.numbers[SeriesKey(path, role, quantity, slot)]

    def layer(
        self, path: str, kind: str = "Linear", *, gradient: float = 1.0, ratio: float = 1e-3,
        shape: tuple[int, ...] = (64, 64), trainable: bool = True, placement: Any = "local",
    ) -> Training:  # fmt: skip
        """Add a module with a weight and a bias."""
        self.modules.append(ModuleInfo(path, kind))
        for name, size in (("weight", shape), ("bias", shape[:1])):
            count = int(np.prod(size))
            self.parameters.append(
                ParameterInfo(
                    path, name, size, trainable=trainable, count=count, placement=placement
                )
            )
            norm = gradient if name == "weight" else gradient / 30
            decay = 1 / (1 + self.t / 100)
            self.set(path, "gradient", "l2", norm * decay if trainable else np.nan, 0.4, slot=name)
            self.set(path, "parameter", "l2", 8.0 if name == "weight" else 0.1, 0.0, slot=name)
            base = 8.0 if name == "weight" else 0.1
            self.set(path, "update", "base_l2", base, slot=name)
            self.set(
                path, "update", "l2", base * ratio * decay if trainable else np.nan, 0.4, slot=name
            )
        self.output(path, 32)
        return self

    def act(self, path: str, kind: str = "ReLU", *, batch: int = 32, units: int = 64) -> Training:
        """Add a nonlinearity."""
        self.modules.append(ModuleInfo(path, kind))
        self.output(path, batch, units)
        if kind == "ReLU":
            self.set(path, "output", "zeros", 0.55 * batch * units, 0.1)
            self.set(path, "output", "dead", np.round(0.08 * units), 0)
        else:
            self.set(path, "output", "saturated", 0.1 * batch * units, 0.3)
        return self

    def output(self, path: str, batch: int, units: int = 64) -> None:
        for quantity, value in (
            ("count", batch * units),
            ("units", units),
            ("dead", 0),
            ("zeros", 0),
            ("l2", 3.0),
        ):
            self.set(path, "output", quantity, value, 0.1 if quantity == "l2" else 0)
        for role in ("input gradient", "output gradient"):
            self.set(path, role, "l2", 0.1, 0.3)

    def happens(
        self, step: int, kind: str, text: str = "", path: str = "", **fields: object
    ) -> None:
        self.events.append((step, Event(kind, text, path, fields)))

    def entries(self, rank: int = 0, world: int = 1) -> list[Entry]:
        start = Start(
            "run",
            "Net",
            rank,
            world,
            started=STARTED,
            modules=tuple(self.modules),
            parameters=tuple(self.parameters),
        )
        often = {key: key.role in OFTEN and key.quantity not in SELDOM for key in self.numbers}
        frequent = [key for key in self.numbers if often[key]]
        seldom = [key for key in self.numbers if not often[key]]
        pairs = tuple(
            (SeriesKey(a, "output", ""), SeriesKey(b, "input", "")) for a, b in self.edges
        )
        entries = [
            Entry(-1, STARTED, start),
            Entry(-1, STARTED, Layout(0, "scalars", tuple(frequent))),
            Entry(-1, STARTED, Layout(1, "scalars", tuple(seldom))),
            Entry(-1, STARTED, Edges(pairs, whole=True)),
        ]
        tables = [
            np.array([self.numbers[key] for key in keys], np.float32).T
            for keys in (frequent, seldom)
        ]
        for step in range(self.steps):
            time = STARTED + step
            entries.append(Entry(step, time, Scalars(0, tables[0][step])))
            if step % self.every == 0 and seldom:
                entries.append(Entry(step, time, Scalars(1, tables[1][step])))
            entries += [Entry(step, time, event) for at, event in self.events if at == step]
        return entries

    def run(self) -> Run:
        return Run.of({0: self.entries()})


def deep(layers: int = 8, kind: str = "ReLU", *, decay: float = 1.0, **options: Any) -> Training:
    """A chain of layers and nonlinearities; ``decay``: the gradient of a layer over that of the next one."""
    training = Training(**options)
    for i in range(layers):
        training.layer(f"body.{i}", gradient=decay ** (layers - 1 - i)).act(f"body.act{i}", kind)
    training.layer("head", shape=(10, 64))
    return training


def findings_of(run: Run, rule: str = "") -> Sequence[Any]:
    from gradtui.diagnosis.diagnose import diagnose

    return [finding for finding in diagnose(run) if not rule or finding.rule == rule]
