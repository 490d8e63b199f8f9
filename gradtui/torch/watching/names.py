"""Names of series that a training gives: keys of what modules return, names that are logged. A run holds so many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradtui.torch.watching.calls import Site
    from gradtui.torch.watching.nesting import Named

# Of the inputs and outputs of one module: a call has at most 64 of each.
MOST_SLOTS: Final = 256
# Of tensors that are attached, and of numbers that are logged.
MOST_ATTACHED: Final = 1024
MOST_LOGGED: Final = 4096
# Characters: a reader takes four times as many.
LONGEST: Final = 1000
OTHERS: Final = "(others)"
"""The slot by which a tensor is told of that has no name of its own any more."""


class Names:
    """Takes names while there is room. Some models have others at each call: these would fill memory and disk.

    Attributes:
        tell: takes one line, the first time that names of a kind find no room.
    """

    def __init__(self) -> None:
        self.tell: Callable[[str], None] = lambda _: None
        self._attached: set[str] = set()
        self._logged: set[str] = set()
        self._told: set[int] = set()

    def slots(self, site: Site, named: Named) -> Named:
        """Those of a module's tensors whose names are taken."""
        known = site.slots
        return [each for each in named if each[0] in known or self.slot(site, each[0])]

    def slot(self, site: Site, slot: str) -> bool:
        """Whether the name of one of a module's tensors is taken."""
        where = f"inputs and outputs of {site.path or '(root)'}"
        return self._takes(site.slots, slot, MOST_SLOTS, where)

    def attached(self, path: str) -> bool:
        """Whether the name of an attached tensor is taken."""
        return self._takes(self._attached, path, MOST_ATTACHED, "attached tensors")

    def logged(self, name: str) -> bool:
        """Whether the name of a number that is logged is taken."""
        return self._takes(self._logged, name, MOST_LOGGED, "numbers that are logged")

    def _takes(self, known: set[str], name: str, most: int, where: str) -> bool:
        if name in known:
            return True
        if len(known) < most and len(name) <= LONGEST:
            known.add(name)
            return True
        if most not in self._told:
            self._told.add(most)
            self.tell(
                f"{where} have ever new names: {most} are recorded, of at most {LONGEST} characters, others are not"
            )
        return False
