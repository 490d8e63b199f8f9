"""What the rules judge by: a run's numbers as matrices, looked up once for all of them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.diagnosis.structure import structure_of
from gradtui.diagnosis.table import Table, bounded, joined
from gradtui.diagnosis.words import place

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from gradtui.core.arrays import Flags, Indices
    from gradtui.core.run.keys import Role, SeriesKey
    from gradtui.core.run.records import ParameterInfo
    from gradtui.core.run.run import Run
    from gradtui.core.run.series import Columns


LARGEST: Final = float(np.finfo(np.float32).max)


class Evidence:
    """One run, seen by the rules.

    Attributes:
        run: the run.
        structure: what its model is made of.
        rank: the rank that is looked at; None for all of them together.
        gone: the ranks whose processes are known to live no more.
        damage: what of the history is missing or cannot be read, one line each.
    """

    def __init__(
        self,
        run: Run,
        rank: int | None = None,
        *,
        gone: AbstractSet[int] = frozenset(),
        damage: tuple[str, ...] = (),
    ) -> None:
        self.run = run
        self.gone, self.damage = gone, damage
        self.structure = structure_of(run)
        self.rank = rank
        self._tables: dict[tuple[str, str], Table] = {}
        self._ranks: dict[int, Evidence] = {}

    def of_rank(self, rank: int) -> Evidence:
        """Return what one rank alone recorded."""
        if rank not in self._ranks:
            self._ranks[rank] = Evidence(self.run, rank)
        return self._ranks[rank]

    def table(self, role: Role, quantity: str) -> Table:
        """Return a quantity of all tensors of a role, in training mode, recorded or derived.

        Special values: NaN where nothing was measured; norms that float32 could not hold are the largest that it
        holds; a quantity that nobody recorded gives an empty table.
        """
        asked = (role, quantity)
        found = self._tables.get(asked)
        if found is None:
            found = self._tables[asked] = bounded(self._whole(role, quantity)).within(LARGEST)
        return found

    def _whole(self, role: Role, quantity: str) -> Table:
        blocks = self.run.blocks(role, quantity, rank=self.rank)
        return joined([_table(block) for block in blocks])

    def aligned(self, table: Table, like: Table, *, stale: bool = True) -> Table:
        """Return a table with the rows and columns of another, whose tensors may be the same.

        A row gets the row of ``table`` in which its last step lies, or else (``stale``) the newest one before;
        NaN where ``table`` has none.
        """
        columns = self.structure.columns(like.keys, table.keys)
        return table.at(columns, like, stale=stale)

    def clean(self, role: Role, quantity: str) -> Table:
        """Return a table without the rows in which the tensor had non-finite values.

        Its other statistics are over the finite part, which may be none of it: they say nothing then.
        """
        asked = (role, f"clean {quantity}")
        found = self._tables.get(asked)
        if found is None:
            # Hidden before rows are joined: one non-finite step must not hide the steps beside it.
            table = self._whole(role, quantity)
            for kind in ("nan", "inf") if self._met_non_finite(role) else ():
                counts = self._whole(role, kind)
                if not counts.empty and bool(np.any(counts.high > 0)):
                    table = table.without(self.aligned(counts, table).high > 0)
            found = self._tables[asked] = bounded(table).within(LARGEST)
        return found

    def spoilt(self, role: Role, table: Table) -> Flags:
        """Return where the tensors of a table had non-finite values [k, n]."""
        spoilt: Flags = np.zeros(table.last.shape, np.bool_)
        for kind in ("nan", "inf") if self._met_non_finite(role) else ():
            counts = self.table(role, kind)
            if not counts.empty and bool(np.any(counts.high > 0)):
                spoilt |= self.aligned(counts, table).high > 0
        return spoilt

    def _met_non_finite(self, role: Role) -> bool:
        """Whether there is reason to look through the counts of all steps, which is what costs."""
        return any(at.event.kind in ("non-finite", "dropped") for at in self.run.events) or any(
            bool(np.any(self.run.column(role, kind, rank=self.rank).values > 0))
            for kind in ("nan", "inf")
        )

    @cached_property
    def gradients(self) -> Table:
        """The gradient norms of all parameters, as they were before anything clipped them.

        Norms from before are recorded where something changed the gradients; elsewhere they are the same.
        """
        used, raw = self.clean("gradient", "l2"), self.clean("raw gradient", "l2")
        if raw.empty or used.empty:
            return used if raw.empty else raw
        return self.aligned(raw, used, stale=False).or_else(used)

    @cached_property
    def losses(self) -> tuple[SeriesKey, ...]:
        """The losses of the training that were logged: scalars of the run that are called so."""
        keys = dict.fromkeys(key for block in self.run.blocks("run", "value") for key in block.keys)
        return tuple(key for key in keys if _is_loss(key.slot))

    @cached_property
    def warming_up(self) -> bool:
        """Whether the largest learning rate of the run is still being reached, at its newest measurement."""
        for block in self.run.blocks("run", "value"):
            for column, key in enumerate(block.keys):
                if key.slot == "lr" or key.slot.startswith("lr."):
                    values = np.asarray(block.last[:, column], np.float64)
                    values = values[np.isfinite(values)]
                    if len(values) > 1 and values[-1] > values[-2] and values[-1] == values.max():
                        return True
        return False

    @cached_property
    def watched_parameters(self) -> frozenset[tuple[str, str]]:
        """The parameters of which any number was recorded, by path and name."""
        found: set[tuple[str, str]] = set()
        for role in ("gradient", "parameter", "raw gradient", "update"):
            for quantity in ("l2", "count"):
                for block in self.run.blocks(role, quantity):
                    found.update((key.path, key.slot) for key in block.keys)
        return frozenset(found)

    @property
    def parameters(self) -> Mapping[tuple[str, str], ParameterInfo]:
        """All parameters by their module's path and their name."""
        return self.structure.parameters

    @property
    def kinds(self) -> Mapping[str, str]:
        """The class of each module by its path."""
        return self.structure.kinds

    def is_attached(self, path: str) -> bool:
        """Return whether a path is no module's but that of a tensor that was attached to one."""
        return path not in self.kinds and path.rpartition(".")[0] in self.kinds

    def place(self, path: str) -> str:
        """Return a path with a word for what is no module."""
        return f"the attached tensor {path}" if self.is_attached(path) else place(path)

    def weights(self, keys: tuple[SeriesKey, ...]) -> Indices:
        """Return the positions of the keys of weights that all batches pass through."""
        return self.structure.weights(keys)

    def weights_of(self, table: Table) -> Table:
        """Return the columns of weights that all batches pass through."""
        columns = self.structure.weights(table.keys)
        if len(columns) == len(table.keys):
            return table
        keys = self.structure.about(
            "weight keys",
            (table.keys,),
            lambda: tuple([table.keys[i] for i in columns.tolist()]),
        )
        return table.pick(columns, keys)


def _table(block: Columns) -> Table:
    last = np.asarray(block.last, np.float64)
    low = last if block.low is block.last else np.asarray(block.low, np.float64)
    high = last if block.high is block.last else np.asarray(block.high, np.float64)
    return Table(block.keys, block.first, block.steps, low, high, last)


def _is_loss(name: str) -> bool:
    words = name.lower().replace("/", ".").replace("_", ".").split(".")
    return "loss" in words[-1] and not {"val", "valid", "validation", "eval", "test"} & set(words)
