"""The Overview of a run: the tree of modules with their numbers, of which only the rows in view are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.tui.actions.watching import row_of
from gradtui.tui.screens.lists import ListView, Rows
from gradtui.viewmodel.run.lines import header, row
from gradtui.viewmodel.run.training import folded_nodes

if TYPE_CHECKING:
    from textual.geometry import Size

    from gradtui.core.arrays import Flags, Indices
    from gradtui.tui.actions.desk import Desk
    from gradtui.viewmodel.run.training import Training
    from gradtui.viewmodel.text import TextLine


class _Rows(Rows):
    """Rows of the tree."""

    def __init__(
        self,
        training: Training,
        nodes: Indices,
        width: int,
        page: int,
        *,
        flat: bool,
        folded: Flags,
        ascii: bool,
    ) -> None:
        self.made_from = (training, nodes, width, page, flat, ascii)
        self._folded = folded
        self._lines: dict[int, TextLine] = {}

    def is_made_from(self, training: Training, nodes: Indices, rest: tuple[object, ...]) -> bool:
        """Whether these are the rows of these values."""
        mine = self.made_from
        return mine[0] is training and mine[1] is nodes and mine[2:] == rest

    def __len__(self) -> int:
        return len(self.made_from[1])

    def line_at(self, place: int) -> TextLine:
        """Find the row at a place, or make it."""
        found = self._lines.get(place)
        if found is None:
            training, nodes, width, page, flat, ascii = self.made_from
            node = int(nodes[place])
            folded = bool(self._folded[node])
            found = self._lines[place] = row(
                training, node, width, flat=flat, folded=folded, page=page, ascii=ascii
            )
        return found


class TrainingView(ListView):
    """The tree of modules of a run."""

    _made: _Rows | None = None

    def draw(self, desk: Desk, size: Size, *, ascii: bool) -> None:
        """Show the rows, with the cursor on the selected module."""
        self.drawn_for = size
        choice = desk.selection.run
        training = desk.watch.training(choice)
        nodes = desk.watch.rows(choice)
        flat = choice.sort != "order" or bool(choice.filter)
        page = choice.columns
        if self._made is None or not self._made.is_made_from(
            training, nodes, (size.width, page, flat, ascii)
        ):
            folded = folded_nodes(training.tree, choice)
            self._made = _Rows(
                training, nodes, size.width, page, flat=flat, folded=folded, ascii=ascii
            )
        top = header(
            size.width, choice.sort, choice.descending, page=page,
            sampled=training.numbers.sampled, ascii=ascii,
        )  # fmt: skip
        self.show(self._made, row_of(desk) if len(nodes) else -1, header=(top,))
