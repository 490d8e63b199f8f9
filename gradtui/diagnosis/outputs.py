"""What the rules about outputs share: how often, and at which of nested modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.run.keys import SeriesKey
    from gradtui.diagnosis.bounds import Bounds


def few_rows(bounds: Bounds) -> int:
    """Return how many measurements of an output must agree.

    Outputs are measured every tenth step by default, so that half as many say more than those of every step.
    """
    return max(bounds.rows // 2, 2)


def deepest(keys: Sequence[SeriesKey], columns: Sequence[int]) -> list[int]:
    """Return the columns without those of modules that hold another one of them.

    The output of a block is that of its last module: one finding, at the module itself.
    """
    paths = {keys[column].path for column in columns}
    holders = set()
    for path in paths:
        above = path
        while above:
            above = above.rpartition(".")[0]
            holders.add(above)
    return [column for column in columns if keys[column].path not in holders]
