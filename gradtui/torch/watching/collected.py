"""What one logged step, or one forward pass in evaluation, collects: statistics and samples of tensors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from gradtui.torch.watching.late import LateStats, Promise
from gradtui.torch.watching.values import measurable
from gradtui.torch.watching.views import reference_to, version_of

if TYPE_CHECKING:
    from gradtui.torch.watching.columns import Columns, Rows
    from gradtui.torch.watching.late import Later, Part
    from gradtui.torch.watching.sampling import Floats
    from gradtui.torch.watching.values import Meter, Stats

_NAN = math.nan
_ROW_BYTES = 400


class Seen:
    """A tensor that was measured: as long as it lives unchanged it is not measured again."""

    __slots__ = ("counted", "reference", "row", "sample", "stats", "version", "watched")

    def __init__(
        self, tensor: torch.Tensor, version: int, stats: Stats | LateStats, row: int
    ) -> None:
        self.reference = reference_to(tensor)
        self.version = version
        self.stats = stats
        self.row = row
        self.sample = -1
        self.watched: Any = None
        self.counted = False


class Collected:
    """Statistics and samples of one step, in the order in which they were met.

    Attributes:
        columns: of the statistics.
        entries: of ``columns``; ``rows`` has the row of ``statistics`` of each.
        statistics: rows of numbers, as `gradtui.torch.watching.columns.STATISTICS` has them; ``is_late`` when some
            are promises.
        histograms: rows of the histograms' layout; ``samples`` has the sample of each.
        parts: the samples' values one after the other, ``sizes`` of each.
        factors: what each sample is multiplied with: a scaler's gradients are divided by its scale.
    """

    def __init__(self, meter: Meter, columns: Columns, histograms: Rows, sample: int) -> None:
        self.meter = meter
        self.columns = columns
        self.names = histograms
        self.entries: list[int] = []
        self.rows: list[int] = []
        self.statistics: list[list[Later]] = []
        self.is_late = False
        self.values: list[tuple[int, Later]] = []
        self.parameter_entries: list[tuple[int, int]] = []
        self.histograms: list[int] = []
        self.samples: list[int] = []
        self.sizes: list[int] = []
        self.factors: list[Later] = []
        self._sample = sample
        self.parts: list[Floats | Part] = []
        self._seen: dict[int, Seen] = {}
        # Less is known of these: a gradient may be what a module is given later.
        self._seen_gradients: dict[int, Seen] = {}

    @property
    def nbytes(self) -> int:
        """About what it holds: samples of float32, and rows of Python's numbers."""
        return 4 * sum(self.sizes) + _ROW_BYTES * len(self.statistics)

    def seen(self, tensor: torch.Tensor) -> Seen | None:
        """What is known of a tensor that was measured in this step and has not been written to since."""
        return _known(self._seen, tensor)

    def let_go(self) -> None:
        """Know no tensor any more: a parameter that was measured is held."""
        self._seen, self._seen_gradients = {}, {}

    def measure(self, tensor: torch.Tensor) -> Seen | None:
        """Measure a tensor, or recall it; None for one that has no values here."""
        found = self.seen(tensor)
        if found is None and (values := measurable(tensor)) is not None:
            found = self._first_seen(self._seen, tensor, self.meter.measure(values), 1.0)
        return found

    def measure_gradient(self, gradient: torch.Tensor, factor: Later) -> Seen | None:
        """Measure a gradient, or recall it: less is asked of it than of values, and its sample is its rows' norms."""
        found = _known(self._seen_gradients, gradient)
        if found is None and (values := measurable(gradient)) is not None:
            stats, norms = self.meter.gradient(values, self._sample)
            found = self._first_seen(self._seen_gradients, gradient, stats, factor)
            is_remote = self.meter.late.is_remote(norms)
            found.sample = self.keep(norms if is_remote else norms.numpy(), factor)
        return found

    def _first_seen(
        self,
        known: dict[int, Seen],
        tensor: torch.Tensor,
        stats: Stats | LateStats,
        factor: Later,
    ) -> Seen:
        found = Seen(tensor, version_of(tensor), stats, self.add_row(stats, factor))
        if found.version >= 0:
            known[id(tensor)] = found
        return found

    def count(self, row: int, place: int, amount: torch.Tensor) -> None:
        """Put a number into a row of statistics: an amount that a tensor tells."""
        late = self.meter.late
        if late.is_remote(amount):
            self.statistics[row][place], self.is_late = late.number(amount), True
        else:
            self.statistics[row][place] = int(amount)

    def add_row(self, stats: Stats | LateStats, factor: Later = 1.0) -> int:
        """Take a row of statistics, whose values are multiplied with ``factor``; returns its number."""
        self.is_late = self.is_late or isinstance(stats, LateStats) or isinstance(factor, Promise)
        self.statistics.append(
            [
                stats.l2 * factor,
                stats.l1 * factor,
                stats.sum * factor,
                stats.minimum * factor,
                stats.maximum * factor,
                stats.count,
                stats.zeros,
                stats.nan,
                stats.inf,
                _NAN,
                _NAN,
                _NAN,
            ]
        )
        return len(self.statistics) - 1

    def copy_row(self, row: int) -> int:
        """Take a row again, to be given other numbers; returns its number."""
        self.statistics.append(list(self.statistics[row]))
        return len(self.statistics) - 1

    def add_value(self, entry: int, value: Later) -> None:
        """Take the one number of an entry that has no statistics."""
        self.values.append((entry, value))

    def add(self, entry: int, row: int) -> None:
        """Say that a row is the numbers of an entry."""
        self.entries.append(entry)
        self.rows.append(row)

    def add_sample(self, values: torch.Tensor, factor: Later = 1.0) -> int:
        """Keep a strided sample of dense real values; returns its number."""
        return self.keep(self.meter.sample(values, self._sample), factor)

    def add_histogram(self, name: int, sample: int) -> None:
        """Say that a sample is the values of a histogram."""
        self.histograms.append(name)
        self.samples.append(sample)

    def keep(self, values: Floats | torch.Tensor, factor: Later = 1.0) -> int:
        """Keep a sample as it is, float32 ``[k]``, a tensor where it lies on a device; returns its number."""
        self.sizes.append(len(values))
        self.factors.append(factor)
        late = self.meter.late
        self.parts.append(late.part(values) if isinstance(values, torch.Tensor) else values)
        return len(self.sizes) - 1


def _known(seen: dict[int, Seen], tensor: torch.Tensor) -> Seen | None:
    found = seen.get(id(tensor))
    if found is None or found.reference() is not tensor or found.version != version_of(tensor):
        return None
    return found
