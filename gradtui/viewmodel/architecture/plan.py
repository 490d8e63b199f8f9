"""The architecture on the screen: the graph that arrived, the one to compare it with, and the rows made of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gradtui.core.architecture.comparing import compare
from gradtui.core.architecture.graph import ModuleGraph
from gradtui.viewmodel.architecture.layout import key_of
from gradtui.viewmodel.architecture.listing import architecture_view, holding
from gradtui.viewmodel.architecture.rows import Rows
from gradtui.viewmodel.architecture.table import called

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.core.architecture.comparing import Difference
    from gradtui.viewmodel.architecture.choices import ArchitectureChoices
    from gradtui.viewmodel.architecture.listing import ArchitectureView, Live


_NAME: Final = re.compile(r"[\w.]*")


class Plan:
    """Keeps what was worked out of a graph, so that a key that changes nothing of it costs nothing.

    Attributes:
        graph: what is shown; empty before the first one arrives.
        baseline: the graph that differences are told to: the one before, or the one that the person chose.
        comparing: whether the difference is shown in place of the graph.
    """

    def __init__(self) -> None:
        self.graph = ModuleGraph()
        self.baseline = ModuleGraph()
        self.comparing = False
        self._chosen = False
        self._rows = Rows(self.graph)
        self._view: ArchitectureView | None = None
        self._made: tuple[object, ...] = ()
        self._difference: tuple[Difference, ...] = ()
        self._compared: tuple[object, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether no graph has arrived."""
        return not self.graph.nodes

    @property
    def deepest(self) -> int:
        """The depth of the deepest call that others are inside of; 0 without any."""
        graph = self.graph
        return max((graph.depths[parent] for parent in graph.children if parent >= 0), default=0)

    def arrived(self, graph: ModuleGraph) -> None:
        """Take a new graph; the one before becomes the baseline, unless the person chose one."""
        if graph is self.graph:
            return
        if not self._chosen and not self.empty:
            self.baseline = self.graph
        self.graph = graph
        self._rows = Rows(graph)

    def choose_baseline(self) -> None:
        """Compare with the graph that is shown, from now on."""
        self.baseline, self._chosen = self.graph, True

    def view(self, choices: ArchitectureChoices, live: Mapping[str, Live]) -> ArchitectureView:
        """The rows that the choices ask for."""
        made = (
            self._rows, choices.opened, choices.closed, choices.depth, choices.merge, choices.sort,
            choices.descending, choices.filter, choices.hot, choices.upward, live,
        )  # fmt: skip
        if self._view is None or made != self._made:
            self._view = architecture_view(self._rows, choices, live=live)
            self._made = made
        return self._view

    def holding(self, view: ArchitectureView, text: str) -> list[int]:
        """Places of the rows in which a text is found; ascending."""
        found = holding(self._rows, view, text)
        # Beside the names in it a row is called by signs (``×32``, ``#1``, ``(model)``).
        return found or ([] if _NAME.fullmatch(text) else called(view, text))

    def opened_to(self, text: str, choices: ArchitectureChoices) -> tuple[int, ArchitectureChoices]:
        """The first node in whose path or class a text is found, -1 without one, and the choices that unfold down to it."""
        wanted = text.lower()
        number = next((n for n, name in enumerate(self._rows.names) if wanted in name), -1)
        return number, self._rows.opened_to(number, choices) if number >= 0 else choices

    def difference(self) -> tuple[Difference, ...]:
        """The rows that differ from the baseline; none where there is no baseline."""
        if not self.baseline.nodes:
            return ()
        compared = (self.baseline, self.graph)
        if not self._compared or any(
            a is not b for a, b in zip(compared, self._compared, strict=True)
        ):
            rows = compare(*compared)
            self._difference = tuple(row for row in rows if row.change != "same")
            self._compared = compared
        return self._difference

    def enclosing(self, number: int) -> str:
        """The key of the call around a node, which folds it away; "" at the top."""
        parent = self.graph.nodes[number].parent
        return key_of(self.graph.nodes[parent]) if parent > 0 and self._is_inner(parent) else ""

    def _is_inner(self, number: int) -> bool:
        return self.graph.nodes[number].parent >= 0
