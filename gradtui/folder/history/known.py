"""What a reader knows of a rank's run: it is repeated in every segment and read once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradtui.core.run.key_table import KeyTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.core.run.records import Entry, Layout


@dataclass(slots=True)
class Known:
    """The preamble of a rank's run.

    Attributes:
        run: its identifier; "" before the first start.
        start: the entry of the start, one or none.
        layouts: by number.
        edges_step: the step of the newest edges; -2 before any.
    """

    run: str = ""
    start: tuple[Entry, ...] = ()
    layouts: dict[int, Layout] = field(default_factory=dict)
    edges_step: int = -2
    _tables: dict[int, KeyTable] = field(default_factory=dict)

    def table(self, number: int) -> KeyTable:
        """Return the keys of a layout, to look some up; they are gone through once."""
        if number not in self._tables:
            layout = self.layouts[number]
            self._tables[number] = KeyTable(layout.keys, layout.sampled)
        return self._tables[number]

    def forget(self, run: str) -> None:
        """Begin anew, with another run."""
        self.run = run
        self.start = ()
        self.layouts = {}
        self._tables = {}
        self.edges_step = -2


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where in a segment the scalars of some steps are.

    Attributes:
        begin: of the first record, in bytes.
        end: of the last one.
        first: the least step.
        last: the greatest.
    """

    begin: int
    end: int
    first: int
    last: int


def starts_another(texts: Mapping[str, str], known: Known) -> bool:
    """Whether a start's texts name a run that is not the known one."""
    return texts.get("run", "") != known.run
