"""What kind of thing a node is, and which colour it has.

The categories are the sections of torch.nn's documentation, with operations sorted into the same ones.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gradtui.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CATEGORIES: Final = (
    "Convolution", "Linear", "Attention", "Recurrent", "Normalization", "Activation", "Pooling", "Embedding",
    "Dropout", "Arithmetic", "Shape", "Loss", "Input and output", "Other",
)  # fmt: skip
"""In the order in which palettes give out their colours."""

_PATTERNS: Final = (
    ("Dropout", r"dropout"),
    ("Loss", r"loss$|cross_entropy|nll|kl_div"),
    ("Attention", r"attention|transformer"),
    ("Recurrent", r"lstm|gru|rnn"),
    ("Normalization", r"norm|rsqrt"),
    ("Convolution", r"conv|unfold|fold$"),
    ("Pooling", r"pool|upsample|interpolate"),
    ("Embedding", r"embedding"),
    ("Activation", r"lu_?$|silu|swish|mish|sigmoid|tanh|soft|shrink|threshold|activation"),
    ("Linear", r"linear|addmm|^mm$|bmm|matmul|einsum|^mv$|^dot$"),
    (
        "Shape",
        r"view|shape|flatten|permute|transpose|^t$|^cat$|stack|split|chunk|squeeze|expand|repeat|item",
    ),
    (
        "Shape",
        r"contiguous|select|slice|narrow|gather|index|scatter|^pad|roll|movedim|swap|unbind|identity",
    ),
    ("Shape", r"shuffle|arange|zeros|ones|^full|^empty|^to$|clone|detach|^type|mask|^triu|^tril"),
    (
        "Arithmetic",
        r"^(add|sub|mul|div|pow|sum|mean|sqrt|exp|log|neg|abs|min|max|var|std|prod|cumsum)_?$",
    ),
    (
        "Arithmetic",
        r"^(sin|cos|round|floor|ceil|square|clamp|eq|ne|lt|gt|le|ge|where|sign|reciprocal)_?$",
    ),
)
_COMPILED: Final = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _PATTERNS)

PALETTES: Final[dict[str, tuple[str, ...]]] = {
    # Okabe and Ito's colours for all kinds of colour vision, black left out, then lighter ones of theirs.
    "safe": (
        "#56b4e9", "#e69f00", "#cc79a7", "#d55e00", "#999999", "#009e73", "#0072b2", "#f0e442",
        "#bbbbbb", "#ddaa33", "#88ccee", "#882255", "#8c8c8c", "#b0b0b0",
    ),
    # Brewer's twelve paired colours, the dark ones first.
    "paired": (
        "#1f78b4", "#e31a1c", "#6a3d9a", "#ff7f00", "#a6cee3", "#33a02c", "#b15928", "#fdbf6f",
        "#cab2d6", "#fb9a99", "#b2df8a", "#ffff99",
    ),
    # Evenly spaced hues of one lightness.
    "vivid": (
        "#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231", "#911eb4", "#42d4f4", "#f032e6",
        "#bfef45", "#fabed4", "#469990", "#dcbeff", "#9a6324", "#aaffc3",
    ),
    "grey": ("#eeeeee", "#cccccc", "#aaaaaa", "#888888"),
}  # fmt: skip
"""The palettes by name; the first is for all kinds of colour vision, and the default."""

_HEX: Final = re.compile(r"#[0-9a-fA-F]{6}")


def category_of(name: str, kind: str = "module") -> str:
    """The category of a class or operation by its name; "Other" where none fits.

    Args:
        name: "Conv2d", "add_".
        kind: of the node; inputs and outputs are a category of their own.
    """
    if kind in ("input", "output"):
        return "Input and output"
    for category, pattern in _COMPILED:
        if pattern.search(name):
            return category
    return "Other"


class Colours:
    """Which colour a node has.

    Args:
        palette: a name of `PALETTES`, or colours as "#rrggbb,#rrggbb".
        fixed: by category or by class or operation name (which wins): the place of a colour in the palette, or
            "#rrggbb".
        avoid: places in the palette that are not given out.
        by: "category", or "operation": each class and operation a colour of its own, in the order of appearance.

    Raises:
        UsageError: for a palette, place or colour that is none.
    """

    def __init__(
        self,
        palette: str = "safe",
        *,
        fixed: Mapping[str, str] | None = None,
        avoid: Iterable[int] = (),
        by: str = "category",
    ) -> None:
        self._all = _palette(palette)
        left_out = set(avoid)
        self._given = tuple(c for k, c in enumerate(self._all) if k not in left_out) or self._all
        self._fixed = {name: self._one(value) for name, value in (fixed or {}).items()}
        self._by = by
        self._seen: dict[str, int] = {}

    def of(self, name: str, kind: str = "module") -> str:
        """The colour of a node, as "#rrggbb"."""
        category = category_of(name, kind)
        fixed = self._fixed.get(name) or self._fixed.get(category)
        if fixed:
            return fixed
        if self._by == "operation":
            place = self._seen.setdefault(name, len(self._seen))
        else:
            place = CATEGORIES.index(category)
        return self._given[place % len(self._given)]

    def _one(self, value: str) -> str:
        if _HEX.fullmatch(value):
            return value.lower()
        if value.isdecimal() and int(value) < len(self._all):
            return self._all[int(value)]
        raise UsageError(f"{value!r}: expected #rrggbb, or a place from 0 to {len(self._all) - 1}")


def _palette(text: str) -> tuple[str, ...]:
    if text in PALETTES:
        return PALETTES[text]
    colours = tuple(part.strip() for part in text.split(","))
    if all(_HEX.fullmatch(colour) for colour in colours):
        return tuple(colour.lower() for colour in colours)
    raise UsageError(
        f"palette {text!r}: expected {', '.join(PALETTES)}, or colours as #rrggbb,#rrggbb"
    )
