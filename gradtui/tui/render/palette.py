"""Colours of levels and roles, for terminals with 16 million colours, 256, 16 and none.

Colour never carries meaning alone: what differs in colour differs in a glyph or an attribute too.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

from rich.color import Color
from rich.style import Style

from gradtui.viewmodel.colours import NONFINITE, TRUE_LEVELS
from gradtui.viewmodel.levels import LEVEL_NAN, LEVEL_POSITIVE_INF, LEVELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import App

Colours = Literal["truecolor", "256", "16", "none"]

# Of the 6x6x6 cube and the greys, those whose lightness falls the same way.
CUBE_LEVELS: Final = (
    24, 24, 25, 25, 25, 32, 32, 32, 74, 74, 74, 117, 117, 153, 153, 254,
    254, 223, 223, 222, 222, 215, 215, 215, 208, 208, 172, 172, 166, 166, 130, 130,
)  # fmt: skip

POSITIVE_RAMP: Final = " .:-=+*#%@"
NEGATIVE_RAMP: Final = " ,;~vcnzwm"
"""As dense as `POSITIVE_RAMP`, but letters: the sign shows in a single column without colour."""

_HEXADECIMAL: Final = re.compile("[0-9a-fA-F]{6}")
_CUBE: Final = (0, 95, 135, 175, 215, 255)
_BLACK, _WHITE = "000000", "ffffff"

ROLE_COLOURS: Final[Mapping[str, str]] = {
    "dim": "808080", "positive": "ffaf5f", "negative": "5fafd7", "highlight": "ffffff", "warn": "d7af00",
    "bad": "ff5f5f", "good": "87af5f", "key": "87afd7", "edited": "d787d7",
}  # fmt: skip
_ROLES_16: Final[Mapping[str, str]] = {
    "dim": "bright_black", "positive": "bright_yellow", "negative": "bright_blue", "warn": "yellow",
    "bad": "bright_red", "good": "green", "key": "cyan", "edited": "bright_magenta",
}  # fmt: skip
CURVE_COLOURS: Final = ("5fafff", "ffaf5f", "87d787", "d787d7", "ffd75f", "5fd7d7")
"""Of curves, the first of which the keys act on; apart in lightness too."""
_CURVES_16: Final = (
    "bright_blue", "bright_yellow", "bright_green", "bright_magenta", "bright_cyan", "bright_red",
)  # fmt: skip
_BOLD: Final = frozenset({"title", "highlight", "bad"})
_UNDERLINED: Final = frozenset({"edited"})


def cube_colour(number: int) -> str:
    """The hexadecimal colour of number 16 to 255 of the 256-colour table."""
    if number >= 232:
        return f"{8 + 10 * (number - 232):02x}" * 3
    red, rest = divmod(number - 16, 36)
    green, blue = divmod(rest, 6)
    return f"{_CUBE[red]:02x}{_CUBE[green]:02x}{_CUBE[blue]:02x}"


@lru_cache(maxsize=4096)
def ink(
    foreground: str = "",
    background: str = "",
    *,
    bold: bool = False,
    underline: bool = False,
    reverse: bool = False,
) -> Style:
    """One shared style: colours as six hexadecimal digits or a name of rich; empty is the terminal's own.

    The same arguments give the same object, so that neighbours are merged by identity.
    """
    return Style(
        color=_colour(foreground),
        bgcolor=_colour(background),
        bold=bold or None,
        underline=underline or None,
        reverse=reverse or None,
    )


def _colour(text: str) -> Color | None:
    if not text:
        return None
    return Color.parse(f"#{text}" if _HEXADECIMAL.fullmatch(text) else text)


def _bright(colour: str) -> bool:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (0, 2, 4))
    return 299 * red + 587 * green + 114 * blue > 128_000


class Palette:
    """The colours of one terminal.

    Args:
        colours: What the terminal can show.
        ascii_only: No character outside ASCII.
        inverted: The two ends of the level colours change places.
        overrides: Colours of roles by name, as six hexadecimal digits with or without ``#``, from the
            user's settings; where there are fewer than 256 colours they are left out.
    """

    def __init__(
        self,
        colours: Colours = "truecolor",
        *,
        ascii_only: bool = False,
        inverted: bool = False,
        overrides: Mapping[str, str] | None = None,
    ) -> None:
        self.colours = colours
        self.ascii_only = ascii_only
        self.inverted = inverted
        self.rich = colours in ("truecolor", "256")
        self.solid = self.rich and not ascii_only
        """Cells are drawn as coloured areas; otherwise by the density of a glyph."""
        levels = TRUE_LEVELS if colours == "truecolor" else tuple(map(cube_colour, CUBE_LEVELS))
        self._levels = levels[::-1] if inverted else levels
        self._overrides = {k: v.lstrip("#") for k, v in (overrides or {}).items()}
        self._roles: dict[str, Style] = {}

    def area(self, level: int) -> str:
        """The colour of a level, or of what is not a number."""
        if level < LEVELS:
            return self._levels[level]
        return NONFINITE.get(level, NONFINITE[LEVEL_POSITIVE_INF])

    def on_area(self, level: int, *, bold: bool = False, underline: bool = False) -> Style:
        """Text on the colour of a level: black or white, whichever is readable."""
        area = self.area(level)
        return ink(_BLACK if _bright(area) else _WHITE, area, bold=bold, underline=underline)

    def halves(self, upper: int, lower: int) -> Style:
        """The style of ``▀`` for two cells, one above the other."""
        return ink(self.area(upper), self.area(lower))

    def upper_half(self, level: int) -> Style:
        """The style of ``▀`` for a cell with nothing below it."""
        return ink(self.area(level))

    def ramp(self, level: int) -> str:
        """The glyph that stands for a level without colour; letters are negative."""
        if level >= LEVELS:
            return "?" if level == LEVEL_NAN else "!"
        level = LEVELS - 1 - level if self.inverted else level
        size = level - LEVELS // 2 if level >= LEVELS // 2 else LEVELS // 2 - 1 - level
        ramp = POSITIVE_RAMP if level >= LEVELS // 2 else NEGATIVE_RAMP
        return ramp[round(size / (LEVELS // 2 - 1) * (len(ramp) - 1))]

    def on_ramp(self, level: int, *, bold: bool = False, underline: bool = False) -> Style:
        """The style of a level's glyph."""
        role = "bad" if level >= LEVELS else "positive" if level >= LEVELS // 2 else "negative"
        style = self.role(role)
        if bold or underline:
            style += Style(bold=bold or None, underline=underline or None)
        return style

    @property
    def cursor(self) -> Style:
        """The cell under the cursor: black and white, which no level is."""
        return ink(_WHITE, _BLACK) if self.rich else ink(bold=True, reverse=True)

    @property
    def linked(self) -> Style:
        """The cell of another map that lies under the cursor."""
        return ink(_WHITE, "444444") if self.rich else ink(underline=True)

    def role(self, role: str) -> Style:
        """The style of a role of `gradtui.viewmodel.text.ROLES`; an unknown one is plain.

        ``level 0`` to ``level 31`` are the colours of the levels, for a legend; ``halves 0 31`` is ``▀`` in two of
        them, ``curve 0`` to ``curve 5`` are the colours of curves, and ``#rrggbb`` is that
        colour where the terminal has it.
        """
        style = self._roles.get(role)
        if style is None:
            style = self._roles[role] = self._role(role)
        return style

    def _role(self, role: str) -> Style:
        if role.startswith("level "):
            return ink(self.area(int(role[6:]))) if self.rich else ink()
        if role.startswith("halves "):
            upper, lower = role.split()[1:]
            return self.halves(int(upper), int(lower)) if self.rich else ink()
        if role.startswith("curve "):
            curves = CURVE_COLOURS if self.rich else _CURVES_16
            return ink(curves[int(role[6:])] if self.colours != "none" else "")
        if role.startswith("#"):
            return ink(role if self.rich else "")
        if role == "cursor":
            return ink(reverse=True)
        if self.rich:
            colour = self._overrides.get(role, ROLE_COLOURS.get(role, ""))
        else:
            colour = _ROLES_16.get(role, "") if self.colours == "16" else ""
        return ink(colour, bold=role in _BOLD, underline=role in _UNDERLINED)


def colours_of(app: App[Any]) -> str | None:
    """The ``color_system`` of an app's terminal; None where no colour is wanted, whatever the terminal can do."""
    return None if app.no_color else app.console.color_system


def palette_for(
    color_system: str | None,
    *,
    ascii_only: bool = False,
    inverted: bool = False,
    overrides: Mapping[str, str] | None = None,
) -> Palette:
    """The palette of a rich console's ``color_system``; the rest as for `Palette`."""
    colours: Colours = "16" if color_system else "none"
    if color_system in ("truecolor", "windows"):
        colours = "truecolor"
    elif color_system == "256":
        colours = "256"
    return Palette(colours, ascii_only=ascii_only, inverted=inverted, overrides=overrides)
