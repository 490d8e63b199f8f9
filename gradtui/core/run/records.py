"""What a watched training writes down, record by record.

A rank's history begins each segment with its preamble (`Start`, the current `Layout` values, `Edges`),
so that a segment can be read alone; then come numbers. The bytes are the folder's affair.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.core.arrays import Array
    from gradtui.core.run.keys import SeriesKey

Placement: TypeAlias = Literal["local", "replicated", "sharded"]
"""How a parameter lies over the ranks: on one process alone, equal on all, or in parts."""


@dataclass(frozen=True, slots=True)
class ParameterInfo:
    """A parameter of a module.

    Attributes:
        path: the module that owns it (the first one, in the order of ``named_modules()``).
        name: its name in that module.
        shape: of the whole parameter, not of a shard.
        dtype: torch's name of it ("float32").
        trainable: its ``requires_grad``.
        count: elements that this rank holds.
        shared: other full names under which the same parameter is reached (weight tying).
        placement: over the ranks.
    """

    path: str
    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    trainable: bool = True
    count: int = 0
    shared: tuple[str, ...] = ()
    placement: Placement = "local"


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """A module: its path, its class's name, its ``extra_repr()``.

    Attributes:
        shared: other paths under which the same module is reached, without those that a module above it gives it.
    """

    path: str
    kind: str
    extra: str = ""
    shared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """The first record: who writes, and of which model.

    Attributes:
        run: an identifier that all ranks of one start share where they can know it, else the rank's own.
        model: the class of the watched model.
        settings: what `watch` was called with, as JSON-able values.
        started: wall time of the call of `watch`, seconds since 1970.
    """

    run: str
    model: str
    rank: int = 0
    world: int = 1
    host: str = ""
    pid: int = 0
    started: float = 0.0
    torch: str = ""
    device: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    modules: tuple[ModuleInfo, ...] = ()
    parameters: tuple[ParameterInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """What the columns of later records are.

    Attributes:
        number: unique within a rank's history; a new meaning takes a new number.
        holds: what kind of record refers to it.
        keys: one for each value of a `Scalars`, one for each row of a `Histograms`.
        sampled: keys' positions whose values come from a sample, not from all of a tensor (shown with ``~``).
    """

    number: int
    holds: Literal["scalars", "histograms"]
    keys: tuple[SeriesKey, ...]
    sampled: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Edges:
    """Which output feeds which input: pairs of keys with the roles ``output`` and ``input``, quantity "".

    Attributes:
        pairs: the input is the output itself, and its gradient a part of the output's.
        through: operations that are no modules lie between, such as the sum at the end of a skip connection.
        whole: whether all that can carry a gradient was followed: then what feeds nothing in these, feeds nothing.
    """

    pairs: tuple[tuple[SeriesKey, SeriesKey], ...] = ()
    through: tuple[tuple[SeriesKey, SeriesKey], ...] = ()
    whole: bool = False

    @property
    def every(self) -> tuple[tuple[SeriesKey, SeriesKey], ...]:
        """All pairs."""
        return self.pairs + self.through


@dataclass(frozen=True, slots=True, eq=False)
class Scalars:
    """One step's numbers of one layout.

    ``values`` is float32 [n]. NaN says that there was nothing to measure at this step (no gradient, no
    such call): non-finite tensors are counted in ``nan`` and ``inf`` and their statistics are over the
    finite part. With the role ``run`` a NaN is what was logged.
    """

    layout: int
    values: Array


@dataclass(frozen=True, slots=True, eq=False)
class Histograms:
    """One step's histograms of one layout, each on its own grid; see `gradtui.core.run.histogram`.

    Attributes:
        layout: the number of a `Layout` that holds histograms.
        counts: uint16 [n, bins]: values of the sample in each bin.
        exponents: int16 [n]: bins are 2^exponent wide.
        offsets: int32 [n]: bin k covers [(offset + k) · 2^exponent, (offset + k + 1) · 2^exponent).
        tails: int32 [n, 5]: NaN, +Inf, -Inf in the sample, and the values rejected below and above.
    """

    layout: int
    counts: Array
    exponents: Array
    offsets: Array
    tails: Array


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a step.

    Attributes:
        kind: ``non-finite`` (fields: role, slot, call, phase, nan, inf, order), ``skipped`` (a scaler skipped
            the step), ``aside`` (the watcher took its hooks off), ``fault`` (a hook failed), ``dropped``
            (records that found no room; fields: records), ``epoch`` (fields: epoch), ``closed``, ``note`` (field, of
            what ended the training: error).
        text: one line for a person.
        path: the module it is about, where there is one.
        fields: JSON-able details.
    """

    kind: str
    text: str
    path: str = ""
    fields: Mapping[str, object] = field(default_factory=dict)

    @property
    def error(self) -> str:
        """The error that ended the training, where this is the note of one: ``RuntimeError: shapes``; else empty."""
        error = self.fields.get("error") if self.kind == "note" else ""
        return error if isinstance(error, str) else ""


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A full tensor of one step: what ``keep=`` asked for.

    ``values`` is in the tensor's own shape, of one sample of the batch; float16 or float32.
    """

    key: SeriesKey
    values: Array = field(default_factory=lambda: np.zeros(0, np.float32))


Record: TypeAlias = Start | Layout | Edges | Scalars | Histograms | Event | Kept


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A record with its frame: the step (from 0; -1 before the first) and the wall time it was made at."""

    step: int
    time: float
    record: Record
