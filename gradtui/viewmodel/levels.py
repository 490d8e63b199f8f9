"""The numbers that stand for colours and marks in a map; free of numpy, so that the first frame is too."""

from __future__ import annotations

from typing import Final

LEVELS: Final = 32
"""Levels 0 to 31 run from the most negative to the most positive colour; 15 and 16 hold zero."""
LEVEL_NAN: Final = 253
LEVEL_NEGATIVE_INF: Final = 254
LEVEL_POSITIVE_INF: Final = 255

MARK_OUT: Final = 1
"""Linked to the selected node by fan-out."""
MARK_IN: Final = 2
"""Linked to the selected node by fan-in."""
MARK_EDITED: Final = 4
MARK_LINKED: Final = 8
"""The cell that lies under the selected node of another map."""
MARK_NEGATIVE: Final = 16
"""The link that highlights this cell is negative."""

NOWHERE: Final = (-1, -1)
