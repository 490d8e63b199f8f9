# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""A watched training whose records stay in memory, and its numbers by name."""

import numpy as np
import torch

from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Event, Histograms, Kept, Layout, Scalars, Start
from gradtui.torch.watching.handle import WatchHandle
from gradtui.torch.watching.place import Place
from gradtui.torch.watching.settings import checked


class Memory:
    """Takes records as a history's writer does."""

    dropped, problem = 0, ""

    def __init__(self):
        self.entries = []

    def write(self, entry):
        self.entries.append(entry)

    def flush(self, timeout):
        return True

    def close(self, timeout):
        return True


class Watched:
    """A handle and what it has recorded; close it (or leave the block) before asking."""

    def __init__(self, model, optimizer=None, *, scaler=None, **settings):
        settings.setdefault("log_freq", 1)
        self.memory = Memory()
        self.handle = WatchHandle(model, optimizer, checked(**settings), scaler, Place(self.memory))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.handle.close()

    @property
    def problems(self):
        return self.handle.problems

    def records(self, kind):
        return [(e.step, e.record) for e in self.memory.entries if isinstance(e.record, kind)]

    @property
    def start(self):
        return self.records(Start)[-1][1]

    def events(self, kind=""):
        return [(s, e) for s, e in self.records(Event) if not kind or e.kind == kind]

    @property
    def kept(self):
        return self.records(Kept)

    def numbers(self):
        """Every number by step and key; numbers that say "none" are left out."""
        layouts, found = {}, {}
        for entry in self.memory.entries:
            record = entry.record
            if isinstance(record, Layout):
                layouts[record.number] = record
            elif isinstance(record, Scalars):
                keys = layouts[record.layout].keys
                assert len(keys) == len(record.values)
                for key, value in zip(keys, record.values, strict=True):
                    if key.role == "run" or not np.isnan(value):
                        found[entry.step, key] = float(value)
        return found

    def number(self, step, path, role, quantity, slot="", call=0, phase="train"):
        """One number; KeyError where there is none."""
        return self.numbers()[step, SeriesKey(path, role, quantity, slot, call, phase)]

    def stats(self, step, path, role, slot="", call=0, phase="train"):
        """All quantities of a tensor, by name."""
        return {
            key.quantity: value
            for (at, key), value in self.numbers().items()
            if (at, key.path, key.role, key.slot, key.call, key.phase)
            == (step, path, role, slot, call, phase)
        }

    def histograms(self):
        """Every histogram by step and key: (counts, low edges of the bins, width, tails)."""
        layouts, found = {}, {}
        for entry in self.memory.entries:
            record = entry.record
            if isinstance(record, Layout):
                layouts[record.number] = record
            elif isinstance(record, Histograms):
                for row, key in enumerate(layouts[record.layout].keys):
                    width = 2.0 ** int(record.exponents[row])
                    bins = np.arange(record.counts.shape[1])
                    found[entry.step, key] = (
                        record.counts[row],
                        (record.offsets[row] + bins) * width,
                        width,
                        record.tails[row],
                    )
        return found


def expected(tensor):
    """The statistics of a tensor by hand, in float64 over its finite values."""
    values = tensor.detach().double().flatten()
    finite = values[torch.isfinite(values)]
    return {
        "l2": float(finite.square().sum().sqrt()),
        "l1": float(finite.abs().sum()),
        "sum": float(finite.sum()),
        "minimum": float(finite.min()) if len(finite) else float("nan"),
        "maximum": float(finite.max()) if len(finite) else float("nan"),
        "count": float(values.numel()),
        "zeros": float((finite == 0).sum()),
        "nan": float(values.isnan().sum()),
        "inf": float(values.isinf().sum()),
    }


def assert_same(found, tensor, tolerance=1e-5):
    """Every statistic found agrees with those of a tensor by hand."""
    wanted = expected(tensor)
    assert found, "nothing was recorded"
    for quantity, value in found.items():
        if quantity in wanted:
            # A sum of terms of both signs is as exact as the terms are.
            scale = wanted["l1"] if quantity == "sum" else abs(wanted[quantity])
            if np.isnan(wanted[quantity]):
                continue
            assert abs(value - wanted[quantity]) <= tolerance * scale + 1e-37, (
                quantity,
                value,
                wanted[quantity],
            )
