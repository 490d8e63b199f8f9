"""A layer as the screen knows it: a map of nodes with an activation gradient each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from gradtui.core.arrays import read_only

if TYPE_CHECKING:
    from gradtui.core.arrays import Array

Origin: TypeAlias = Literal["file", "row sums", "column sums", "unknown"]
"""Where a gradient comes from: the file, or sums of a flow because the file lacks it."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A layer's activation gradient over its nodes.

    Attributes:
        name: the module path, or what the writer of the file called it.
        gradient: [H, W], or [C, H, W] where the file has channels.
        origin: where the gradient comes from.
        channels: [C, H, W]; (0, 0, 0) where channels are unknown.
        quantity: what the map holds, in a word, where it is another tensor of the layer: "output", "parameter".
    """

    name: str
    gradient: Array
    origin: Origin = "file"
    channels: Array = field(default_factory=lambda: np.zeros((0, 0, 0)))
    quantity: str = "gradient"
    _summed: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        gradient = read_only(self.gradient)
        if gradient.ndim not in (2, 3):
            raise ValueError(f"a layer's gradient is [H, W] or [C, H, W], not {gradient.shape}")
        channels = read_only(self.channels)
        if gradient.ndim == 3 and channels.shape != gradient.shape:
            channels = gradient
        object.__setattr__(self, "gradient", gradient)
        object.__setattr__(self, "channels", channels)
        object.__setattr__(self, "_summed", read_only(_over_channels(gradient)))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the map."""
        return (int(self.gradient.shape[-2]), int(self.gradient.shape[-1]))

    @property
    def nodes(self) -> int:
        """How many nodes the map has: H · W."""
        return self.shape[0] * self.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays; a view counts by its size."""
        own = self.gradient.nbytes + (self._summed.nbytes if self.gradient.ndim == 3 else 0)
        return own + (0 if self.channels is self.gradient else self.channels.nbytes)

    def map(self, channel: int = -1) -> Array:
        """Return the map of one channel, or their sum.

        Shapes: [H, W]; the dtype of the file for a map or one channel, for a sum one that holds it:
            single precision for half, the integers that are wide enough, else float64.

        Args:
            channel: -1 sums all channels; in explicit mode the nine neighbours are the channels.

        Raises:
            IndexError: there is no such channel.

        Special values: NaN and Inf are summed as IEEE 754 has it; no channels at all sum to zero.
        """
        if channel == -1:
            return self._summed
        if not 0 <= channel < self.channels.shape[0]:
            raise IndexError(f"{self.name} has {self.channels.shape[0]} channels, not {channel}")
        one: Array = self.channels[channel]
        return one


def _over_channels(gradient: Array) -> Array:
    if gradient.ndim == 2:
        return gradient
    if gradient.shape[0] == 1:
        one: Array = gradient[0]
        return one
    # Infinities of both signs give NaN.
    with np.errstate(over="ignore", invalid="ignore"):
        total: Array = gradient.sum(axis=0, dtype=_summing(gradient))
    return total


def _summing(gradient: Array) -> type[np.generic]:
    """The smallest type for sums of channels: in float64, two of bytes would be four times their file."""
    dtype, count = gradient.dtype, gradient.shape[0]
    if dtype.kind == "f":
        return np.float32 if dtype.itemsize == 2 else np.float64
    bits = 8 * dtype.itemsize + max(count - 1, 0).bit_length()
    return np.int16 if bits < 16 else np.int32 if bits < 32 else np.float64


def node_index(shape: tuple[int, int], cell: tuple[int, int]) -> int:
    """Return the node of a cell, row-major: ``r · W + c``.

    Raises:
        IndexError: the cell lies outside the map; an empty map has no cells.
    """
    (rows, columns), (row, column) = shape, cell
    if not (0 <= row < rows and 0 <= column < columns):
        raise IndexError(f"({row}, {column}) lies outside a map of {rows} by {columns}")
    return row * columns + column


def node_cell(shape: tuple[int, int], index: int) -> tuple[int, int]:
    """Return row and column of a node, row-major.

    Raises:
        IndexError: there is no such node; an empty map has none.
    """
    rows, columns = shape
    if not 0 <= index < rows * columns:
        raise IndexError(f"no node {index} in a map of {rows} by {columns}")
    return divmod(index, columns)
