"""The rule that takes a tensor of any shape down to a map.

Every dimension has a letter. ``B`` is the batch: one sample of it is kept (index 0 unless another
is asked for). ``C`` is the channels: summed over. Of the other letters the last is the map's
columns and all before it, flattened, are its rows; without any the map is ``[1, 1]``, with one it
is ``[1, n]``. So ``BCHW`` gives ``H × W``, ``BTD`` gives ``T × D``, ``BCDHW`` gives ``(D·H) × W``.

Which letters a tensor has, unless the caller states them:

- what a convolution, pooling, batch or instance normalisation of k dimensions gave is ``BC`` and k
  spatial letters, or ``C`` and k of them where it has no batch;
- what a recurrent or attention layer gave is ``BTD`` or ``TBD`` as its ``batch_first`` says, or
  ``TD`` without a batch;
- anything else has the letters of the last such layer's output of the same shape, or goes by its
  number of dimensions: ``D``, ``TD`` (features of samples or of tokens: all are shown), ``BTD``,
  ``BCHW``, ``BCDHW``; from six on the first is the batch and the rest is the map.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Final

import torch
from torch import nn

from gradtui.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SPATIAL: Final = {1: "W", 2: "HW", 3: "DHW"}
_BY_DIMENSIONS: Final = {0: "", 1: "D", 2: "TD", 3: "BTD", 4: "BCHW", 5: "BCDHW"}
_LETTERS: Final = "DEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Layout:
    """How one tensor becomes a map: a letter for each dimension, its shape, the sample shown.

    A sample beyond the batch is the last one.
    """

    letters: str
    shape: tuple[int, ...]
    sample: int = 0

    @property
    def channels(self) -> int:
        """How many values a node has; 1 where no dimension is a channel's."""
        return prod(self._sizes("C"))

    @property
    def map_shape(self) -> tuple[int, int]:
        """Rows and columns of the map."""
        sizes = [size for letter, size in self._pairs() if letter not in "BC"]
        return (prod(sizes[:-1]), sizes[-1]) if sizes else (1, 1)

    @property
    def nodes(self) -> int:
        """How many nodes the map has."""
        rows, columns = self.map_shape
        return rows * columns

    @property
    def reduction(self) -> str:
        """The rule in words, as it stands in the folder's meta."""
        if not self.letters:
            return "one value"
        words = [f"[{', '.join(self.letters)}]"]
        if "B" in self.letters:
            count = prod(self._sizes("B"))
            words.append(f"sample {min(self.sample, count - 1)} of {count}")
        if "C" in self.letters:
            words.append(f"{self.channels} channel{'s' * (self.channels != 1)} summed")
        mapped = [letter for letter in self.letters if letter not in "BC"]
        rows = "·".join(mapped[:-1]) or "1"
        words.append(f"{rows} × {mapped[-1] if mapped else 1}")
        return ", ".join(words)

    def indices(self) -> torch.Tensor:
        """Flat positions in the tensor of every channel of every node, int64 ``[C, N]``."""
        index = torch.arange(prod(self.shape), device="cpu").view(self.shape)
        for dimension, letter in reversed(list(enumerate(self.letters))):
            if letter == "B":
                index = index.select(dimension, min(self.sample, self.shape[dimension] - 1))
        kept = [letter for letter in self.letters if letter != "B"]
        order = [i for i, letter in enumerate(kept) if letter == "C"]
        order += [i for i, letter in enumerate(kept) if letter != "C"]
        return index.permute(order).reshape(self.channels, self.nodes)

    def _pairs(self) -> list[tuple[str, int]]:
        return list(zip(self.letters, self.shape, strict=True))

    def _sizes(self, wanted: str) -> list[int]:
        return [size for letter, size in self._pairs() if letter == wanted]


def stated_layout(letters: str, shape: tuple[int, ...], sample: int, name: str) -> Layout:
    """The layout that a caller asked for.

    Raises:
        UsageError: when there isn't one letter for each dimension.
    """
    if len(letters) != len(shape):
        raise UsageError(
            f"layout {letters!r} of {name} has {len(letters)} letters, its tensor {len(shape)} dimensions"
        )
    return Layout(letters.upper(), shape, sample)


def check_sample(sample: int) -> None:
    """Refuse what is no index of a sample.

    Raises:
        UsageError: when it is negative.
    """
    if sample < 0:
        raise UsageError(f"sample={sample}: samples of a batch are counted from 0")


def layout_of(
    module: nn.Module | None,
    shape: tuple[int, ...],
    sample: int,
    known: Mapping[tuple[int, ...], str],
) -> Layout:
    """The layout of ``module``'s output of ``shape``, by the rule above.

    Args:
        module: the module that gave the tensor; None for the model's input.
        shape: of the tensor.
        sample: which sample of a batch is shown.
        known: letters of the last stated layer's output of each shape.
    """
    letters = letters_of_kind(module, len(shape)) or known.get(shape, "")
    return Layout(letters or by_dimensions(len(shape)), shape, sample)


def by_dimensions(dimensions: int) -> str:
    """The letters of a tensor about which only its number of dimensions is known."""
    if dimensions in _BY_DIMENSIONS:
        return _BY_DIMENSIONS[dimensions]
    return "B" + _LETTERS[-(dimensions - 1) :]


def letters_of_kind(module: nn.Module | None, dimensions: int) -> str:
    """The letters that a module's kind settles; empty where it settles nothing."""
    if isinstance(module, (nn.RNNBase, nn.MultiheadAttention)):
        if dimensions == 3:
            return "BTD" if module.batch_first else "TBD"
        return "TD" if dimensions == 2 else ""
    spatial = spatial_dimensions(module)
    if not spatial:
        return ""
    if dimensions == spatial + 2:
        return "BC" + _SPATIAL[spatial]
    if dimensions == spatial + 1 and not isinstance(module, nn.BatchNorm1d):
        return "C" + _SPATIAL[spatial]
    return ""


def spatial_dimensions(module: nn.Module | None) -> int:
    """1, 2 or 3 for torch's convolution, pooling and normalisation modules; 0 for others."""
    for kind in type(module).__mro__:
        if kind.__module__.startswith("torch.nn.") and kind.__name__[-2:] in ("1d", "2d", "3d"):
            return int(kind.__name__[-2])
    return 0
