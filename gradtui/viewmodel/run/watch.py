"""The run on the screen: the newest one, or the one that was held; and what was worked out of it, once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.run.run import Run
from gradtui.viewmodel.run.choice import NO_KEY, RunChoice
from gradtui.viewmodel.run.curves import Exact
from gradtui.viewmodel.run.finite import COUNTS
from gradtui.viewmodel.run.history import histogram_key, input_keys
from gradtui.viewmodel.run.quantities import keys_by_path, same_number, with_derived
from gradtui.viewmodel.run.training import Training, shown_nodes, training_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.core.arrays import Indices
    from gradtui.core.run.keys import SeriesKey
    from gradtui.diagnosis.finding import Finding

Keys = tuple["SeriesKey", ...]
BEFORE: Final = 50
"""Steps before a finding in which a series must have numbers to tell how it came about."""


@dataclass(slots=True)
class Watch:
    """What the views of a run read.

    Attributes:
        run: the one on the screen.
        findings: about it.
        newest: the newest one that arrived.
        newest_findings: about that.
        reading: how much of the history was read, 0..1.
        held: whether ``run`` stays while newer ones arrive.
        exact: the recorded numbers of a window, where the run has only spans of steps.
    """

    run: Run = field(default_factory=Run.empty)
    findings: tuple[Finding, ...] = ()
    newest: Run = field(default_factory=Run.empty)
    newest_findings: tuple[Finding, ...] = ()
    reading: float = 1.0
    held: bool = False
    exact: Exact = field(default_factory=Exact)
    _training: Training = field(default_factory=Training)
    _made_from: tuple[object, ...] = ()
    _rows: tuple[tuple[object, ...], Indices] | tuple[()] = ()
    _by_path: tuple[object, Mapping[str, list[SeriesKey]]] = (None, {})
    _histograms: tuple[object, Mapping[str, list[SeriesKey]]] = (None, {})
    _of_module: dict[str, Keys] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether the folder has no run."""
        return self.newest.is_empty

    @property
    def behind(self) -> int:
        """How many newer steps there are than the one shown; -1 while the run is followed."""
        return self.newest.last_step - self.run.last_step if self.held else -1

    def arrived(self, run: Run, findings: tuple[Finding, ...], reading: float) -> None:
        """Take the newest run; it is shown unless another one is held."""
        start, before = run.start, self.newest.start
        restarted = start is not None and before is not None and start.run != before.run
        if self.reading < 1 <= reading:
            # Older steps came in between: the trends are not those of a run that only grew.
            self._training = replace(self._training, trend_step=-1)
        self.newest, self.newest_findings, self.reading = run, findings, reading
        if restarted:
            # What was held is another training; its numbers say nothing of this one.
            self.held = False
        if not self.held:
            self.run, self.findings = run, findings

    def pause(self) -> None:
        """Hold the run that is shown; when one is held already, follow again."""
        self.held = not self.held
        if not self.held:
            self.run, self.findings = self.newest, self.newest_findings

    def training(self, choice: RunChoice) -> Training:
        """Return the run as the Overview shows it."""
        made_from = (self.run, self.findings, choice.rank if choice.rank >= 0 else -1)
        if not self._made_from or any(
            one is not other for one, other in zip(made_from, self._made_from, strict=True)
        ):
            self._training = training_of(self.run, self.findings, self._training, choice.one_rank)
            self._made_from = made_from
        return self._training

    def rows(self, choice: RunChoice) -> Indices:
        """Return the nodes that have a row in the Overview."""
        training = self.training(choice)
        live = choice.sort != "order" or bool(choice.filter)
        asked = (
            training if live else training.tree,
            choice.folds, choice.toggled, choice.sort, choice.descending, choice.filter,
        )  # fmt: skip
        if not self._rows or asked[0] is not self._rows[0][0] or asked[1:] != self._rows[0][1:]:
            self._rows = (asked, shown_nodes(training, choice))
        return self._rows[1]

    def keys(self, path: str) -> Keys:
        """Return the series of a module, those made by division too, in the order of tab."""
        keys = self.run.keys
        if self._by_path[0] is not keys:
            self._by_path = (keys, keys_by_path(keys))
            self._of_module.clear()
        found = self._of_module.get(path)
        if found is None:
            if len(self._of_module) > 1024:
                self._of_module.clear()
            found = self._of_module[path] = with_derived(self._by_path[1].get(path, ()))
        return found

    def histogram_keys(self, path: str) -> list[SeriesKey]:
        """Return the histograms of a module."""
        keys = self.run.histogram_keys
        if self._histograms[0] is not keys:
            self._histograms = (keys, keys_by_path(keys))
        return list(self._histograms[1].get(path, ()))

    def recorded(self, choice: RunChoice) -> str:
        """Return the path of the selected module, or of the first one below it that has numbers.

        Of a second name of a module that is the first one, which has them.
        """
        if self.keys(choice.path) or self.histogram_keys(choice.path):
            return choice.path
        tree = self.training(choice).tree
        node = tree.node(choice.path)
        if node < 0:
            return ""
        if choice.path in tree.aliases:
            return tree.aliases[choice.path]
        for below in range(node, int(tree.ends[node])):
            if self.keys(tree.paths[below]):
                return tree.paths[below]
        return choice.path

    def key(self, choice: RunChoice) -> SeriesKey | None:
        """Return the series that the keys act on: the chosen one, or the same number of the selected module."""
        path = self.recorded(choice)
        keys = self.keys(path)
        if choice.key in keys or choice.key in self._by_path[1].get(path, ()):
            return choice.key
        if not keys:
            return None
        return (same_number(keys, choice.key) if choice.key != NO_KEY else None) or keys[0]

    def key_of(self, finding: Finding) -> SeriesKey | None:
        """Return the series that tells most of a finding: its first one that there is.

        How many values of a tensor were lost says less than how numbers grew until then, and where those are lost is
        marked too: of its norm and those of its module's gradients the one that was measured most just before.
        """
        known = [key for key in finding.series if key in self.keys(key.path)]
        if not known or known[0].quantity not in COUNTS:
            return known[0] if known else None
        there = self.keys(known[0].path)
        norms = [key for key in there if (key.role, key.quantity) == ("gradient", "l2")]
        own = known[0].of("l2")
        candidates = [*([own] if own in there else []), *norms, known[0]]
        return max(candidates, key=lambda key: self._measured(key, finding.since))

    def _measured(self, key: SeriesKey, until: int) -> int:
        """How many numbers a series has in the steps just before one."""
        steps = self.run.series(key).steps
        return int(np.diff(np.searchsorted(steps, (until - BEFORE, until)))[0])

    def histogram(self, choice: RunChoice) -> SeriesKey | None:
        """Return the histogram that is shown: the chosen one, or the one of the series' tensor."""
        keys = self.histogram_keys(self.recorded(choice))
        if not keys:
            return None
        wanted = choice.key if choice.key.path == keys[0].path else self.key(choice) or choice.key
        return histogram_key(keys, wanted)

    def inputs(self, choice: RunChoice) -> tuple[list[SeriesKey], ...]:
        """Return the histograms of the selected module's inputs: of their values, and of their gradients."""
        key = self.key(choice)
        return input_keys(self.histogram_keys(self.recorded(choice)), key.call if key else 0)
