"""The colours of levels, as six hexadecimal digits: the screen's and those of exported pictures are one table."""

from __future__ import annotations

from typing import Final

from gradtui.viewmodel.levels import LEVEL_NAN, LEVEL_NEGATIVE_INF, LEVEL_POSITIVE_INF

# Blue, white, orange: interpolated in CIELAB between 143a78, 266eb4, 78afdc, ecean4, f4b66e, de781e and
# 8c3e08, so that lightness falls evenly to both sides, for the colour-blind too.
TRUE_LEVELS: Final = (
    "143a78", "174281", "1a4a8b", "1d5395", "205b9e", "2364a8", "256cb2", "3878ba",
    "4985c2", "5992cb", "689fd3", "76addb", "91bade", "adc8e0", "c7d5e2", "e0e3e3",
    "efe4d6", "f2d8bb", "f4cca0", "f5c085", "f3b46c", "f0a85c", "ec9b4d", "e78f3d",
    "e2822d", "db761d", "ce6c1a", "c06316", "b35912", "a6500f", "99470b", "8c3e08",
)  # fmt: skip

NONFINITE: Final = {
    LEVEL_NAN: "870087",
    LEVEL_NEGATIVE_INF: "000087",
    LEVEL_POSITIVE_INF: "870000",
}
