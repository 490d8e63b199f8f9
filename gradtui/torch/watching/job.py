"""One step's findings on their way from the training to the writer, and the records that are made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gradtui.core.run.histogram import Binned, binned_parts
from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Edges, Entry, Event, Histograms, Kept, Layout, Record, Scalars
from gradtui.torch.watching.columns import MOST_LAYOUTS, STATISTICS, as_float32
from gradtui.torch.watching.late import number_of, values_of
from gradtui.torch.watching.parameters import total_norm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from gradtui.torch.watching.collected import Collected
    from gradtui.torch.watching.columns import Columns, Numbers, Rows
    from gradtui.torch.watching.keeping import KeptMap, Reply
    from gradtui.torch.watching.late import Later
    from gradtui.torch.watching.parameters import Share, Update
    from gradtui.torch.watching.sentinel import Check, Sentinel
    from gradtui.torch.watching.settings import Settings


@dataclass(slots=True, eq=False)
class Job:
    """What one step found.

    Attributes:
        gradients: numbers of the parameters' every-step columns.
        norms: those among them of the gradients of all parameters, and ``raw_norms`` of what these were before
            anything was done to them: their totals are numbers of the run.
        updates: parameters before and after.
        scalars: of the run, by name.
        collected: of a logged step.
        checks: tensors on devices that were looked at.
        skips: what tells whether an optimizer skipped the step by itself, if not 0.
        maps: gradients of kept modules, for the debug folder.
        replies: to requests of the screen.
    """

    step: int
    time: float
    gradients: dict[int, Later] = field(default_factory=dict)
    norms: list[Share] = field(default_factory=list)
    raw_norms: list[Share] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    scalars: dict[str, Later] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    skips: list[Later] = field(default_factory=list)
    collected: list[Collected] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    maps: list[KeptMap] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    edges: Edges | None = None

    @property
    def tells(self) -> bool:
        """Whether it has something to tell though its step was never made."""
        return bool(self.events or self.scalars)

    @property
    def nbytes(self) -> int:
        """About what a logged step holds until it is written, in bytes."""
        return sum(collected.nbytes for collected in self.collected)


class Scribe:
    """Makes records of jobs, in the writer's thread: here devices are waited for."""

    def __init__(
        self,
        settings: Settings,
        numbers: Numbers,
        parameters: Columns,
        logged: Columns,
        rows: Rows,
        afterwards: Sentinel,
    ) -> None:
        self._settings = settings
        self._numbers = numbers
        self._parameters, self._logged, self._rows = parameters, logged, rows
        self._afterwards = afterwards
        self._run: dict[tuple[str, ...], int] = {}

    def records(self, job: Job) -> Iterator[Entry]:
        """The records of a job, each layout before the first record that needs it."""
        for record in self._records(job):
            yield Entry(job.step, job.time, record)

    def _records(self, job: Job) -> Iterator[Record]:
        yield from job.events
        yield from self._afterwards.look_back(job.checks)
        if any(number_of(skip) for skip in job.skips):
            # A fused optimizer skips by itself: its hooks run all the same.
            yield Event("skipped", "the fused optimizer skipped this step")
        found = {column: number_of(number) for column, number in job.gradients.items()}
        yield from self._gradients(job, found)
        yield from self._scalars(job, found)
        for collected in job.collected:
            yield from self._collected(collected)
        yield from job.kept
        if job.edges is not None:
            yield job.edges

    def _gradients(self, job: Job, given: Mapping[int, float]) -> Iterator[Record]:
        if not given and not job.updates:
            return
        found = dict(given)
        for update in job.updates:
            found.update(_norms_of(update))
        number, layout = self._parameters.layout()
        if layout is not None:
            yield layout
        values = np.full(self._parameters.width, np.nan, np.float64)
        values[list(found)] = list(found.values())
        yield Scalars(number, _frozen(as_float32(values)))

    def _scalars(self, job: Job, found: Mapping[int, float]) -> Iterator[Record]:
        scalars = {name: number_of(number) for name, number in job.scalars.items()}
        if job.norms:
            scalars["grad_norm"] = total_norm(found, job.norms)
        if job.raw_norms:
            scalars["grad_norm_raw"] = total_norm(found, job.raw_norms)
        if not scalars:
            return
        names = tuple(scalars)
        # Others together at each step would make no end of layouts: after some, each number has one for itself.
        is_room = names in self._run or len(self._run) < MOST_LAYOUTS
        for group in [names] if is_room else [(name,) for name in names]:
            number = self._run.get(group)
            if number is None:
                number = self._run[group] = self._numbers.take()
                keys = tuple(SeriesKey("", "run", "value", name) for name in group)
                yield Layout(number, "scalars", keys)
            values = np.array([scalars[name] for name in group], np.float64)
            yield Scalars(number, _frozen(as_float32(values)))

    def _collected(self, collected: Collected) -> Iterator[Record]:
        measured: list[list[Any]] = collected.statistics
        if collected.is_late:
            measured = [[number_of(number) for number in row] for row in measured]
        statistics = np.array(measured, np.float64).reshape(-1, len(STATISTICS))
        if collected.entries or collected.values:
            number, layout = collected.columns.layout()
            if layout is not None:
                yield layout
            values = collected.columns.place(collected.entries, collected.rows, statistics)
            for entry, value in collected.values:
                values[collected.columns.first(entry)] = number_of(value)
            yield Scalars(number, _frozen(values))
        if collected.parameter_entries:
            number, layout = self._logged.layout()
            if layout is not None:
                yield layout
            entries, rows = zip(*collected.parameter_entries, strict=True)
            yield Scalars(number, _frozen(self._logged.place(entries, rows, statistics)))
        if collected.histograms:
            yield from self._histograms(collected)

    def _histograms(self, collected: Collected) -> Iterator[Record]:
        # A name that stands twice (a second backward pass) means its last sample.
        sample_of = dict(zip(collected.histograms, collected.samples, strict=True))
        number, layout, rows = self._rows.layout(tuple(sample_of))
        if layout is not None:
            yield layout
        made = self._binned(collected)
        places = np.array([sample_of.get(row, -1) for row in rows], np.intp)
        there = places >= 0
        counts = np.where(there[:, None], made.counts[places], 0).astype(np.uint16)
        tails = np.where(there[:, None], made.tails[places], 0).astype(np.int32)
        exponents = np.where(there, made.exponents[places], 0).astype(np.int16)
        offsets = np.where(there, made.offsets[places], 0).astype(np.int32)
        yield Histograms(
            number, _frozen(counts), _frozen(exponents), _frozen(offsets), _frozen(tails)
        )

    def _binned(self, collected: Collected) -> Binned:
        sizes = np.array(collected.sizes, np.intp)
        values = np.concatenate(list(map(values_of, collected.parts)), dtype=np.float32)
        factors = np.array(list(map(number_of, collected.factors)), np.float32)
        if (factors != 1).any():
            values = values * np.repeat(factors, sizes)
        settings = self._settings
        return binned_parts(values, sizes, settings.bins, settings.reject_outlier_proportion)


def _norms_of(update: Update) -> dict[int, float]:
    """‖after − before‖₂ and ‖before‖₂ of each parameter, by column.

    Of a parameter that was taken whole they are exact: differences and sums in float64 of the values as they are stored. Of a
    strided sample of k of n values they are estimates for all of it, times √(n / k), so that they add up over parameters:
    ‖u‖₂ ≈ √(n / k) · ‖u[::stride]‖₂. They are over finite values, and NaN where there is none; 0 of an empty parameter.
    """
    before, after = (
        np.concatenate([np.zeros(0), *map(values_of, part)], dtype=np.float64)
        for part in (update.before, update.after)
    )
    change = after - before
    sizes = np.array(update.sizes, np.intp)
    # An empty range would take the value at its start.
    full = np.flatnonzero(sizes)
    starts = (np.cumsum(sizes) - sizes)[full]
    scales = np.sqrt(np.array(update.wholes, np.float64)[full] / sizes[full])
    found: dict[int, float] = {}
    for offset, values in enumerate((change, before)):
        norms = np.zeros(len(sizes))
        if len(full):
            squares = np.add.reduceat(np.square(values), starts)
            # Most are finite: it is looked which values are not where a sum is not.
            if not np.isfinite(squares).all():
                finite = np.isfinite(values)
                squares = np.add.reduceat(np.square(np.where(finite, values, 0.0)), starts)
                squares[np.add.reduceat(finite, starts, dtype=np.intp) == 0] = np.nan
            norms[full] = np.sqrt(squares) * scales
        for column, norm in zip(update.columns, norms.tolist(), strict=True):
            if column >= 0:
                found[column + offset] = norm
    return found


def _frozen(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    array.flags.writeable = False
    return array
