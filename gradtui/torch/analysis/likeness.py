"""How alike the channels of features are: `gradtui.core.analysis.similarity` for tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gradtui.core.analysis import similarity as pure
from gradtui.torch.record import to_numpy

if TYPE_CHECKING:
    import numpy.typing as npt

    from gradtui.core.analysis.similarity import Similarity


def similarity(
    features: torch.Tensor | npt.ArrayLike, dim: int = 1, measure: str = "cosine"
) -> Similarity:
    """Return how alike the channels of a feature tensor are, along any dimension, in float64.

    ``similarity(features(model, images, "conv2"))`` compares the channels of a convolution,
    ``similarity(features(model, text, "block3"), dim=1, measure="kl")`` the tokens of ``[B, T, D]``.

    Args:
        features: of any shape, real dtype and device; dimension 0 is the batch, unless ``dim`` is 0.
        dim: the dimension of the channels.
        measure: ``cosine``: mean pairwise cosine, -1 to 1; ``kl``: mean pairwise Kullback-Leibler divergence, in
            nats, between the softmax of each channel over its values; 0 for identical channels.

    Raises:
        UsageError: no such measure or dimension.

    Special values: see `gradtui.core.analysis.similarity.similarity`: channels that are not finite (or for
        the cosine zero) are left out and counted; NaN where no pair is left.
    """
    if isinstance(features, torch.Tensor):
        dense = features.detach().to_dense() if features.layout != torch.strided else features
        return pure.similarity(to_numpy(dense), dim, measure)
    return pure.similarity(features, dim, measure)
