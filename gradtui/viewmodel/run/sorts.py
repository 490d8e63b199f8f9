"""What the rows of a run can be sorted by."""

from __future__ import annotations

from typing import Final

SORTS: Final = (
    "order", "name", "shape", "weight", "gradient", "trend", "ratio", "zeros", "dead",
    "output_gradient", "seconds", "flag",
)  # fmt: skip
