"""How alike the channels of a feature tensor are: mean pairwise cosine, or KL divergence.

After "Vision Transformers with Patch Diversification" (Gong et al., 2021, section 3.1), where patches
that grow alike are the sign of a network that loses detail with depth.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from gradtui.core.arrays import as_floats, no_floats, read_only
from gradtui.errors import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

    from gradtui.core.arrays import Array, Flags, Floats

Measure: TypeAlias = Literal["cosine", "kl"]
MEASURES: Final[tuple[Measure, ...]] = ("cosine", "kl")
_LEAST_LOG: Final = -1e300


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """How alike channels are.

    Attributes:
        measure: ``cosine`` (-1 to 1, 1 for the same direction) or ``kl`` (nats, 0 for the same).
        value: mean over all ordered pairs of two different channels, and over samples; NaN without any.
        matrix: float64 [C, C]: mean over samples of each pair, row against column; NaN where none was compared.
        pairs: ordered pairs that were compared, over all samples.
        left_out: channels of samples that could not be compared: non-finite ones, and for the cosine
            those that are zero everywhere, which have no direction.
    """

    measure: Measure
    value: float
    matrix: Array = field(default_factory=no_floats)
    pairs: int = 0
    left_out: int = 0

    @property
    def channels(self) -> int:
        """How many channels there are."""
        return int(self.matrix.shape[0]) if self.matrix.ndim == 2 else 0


def similarity(features: npt.ArrayLike, dim: int = 1, measure: str = "cosine") -> Similarity:
    """Compare the channels of a feature tensor with each other.

    Each sample's channel is a vector of all its other values, N of them, in float64.

    - ``cosine``: ``x_i · x_j / (‖x_i‖ ‖x_j‖)``.
    - ``kl``: ``Σ_n p_i[n] (log p_i[n] − log p_j[n])`` in nats, where ``p_i`` is the softmax of ``x_i`` over its N
      values; never negative, and 0 for channels that are equal, or equal but for a constant.

    Shapes: any. Dimension 0 is the batch, whose samples are compared one by one, unless ``dim`` is 0:
    then the whole tensor is one sample.

    Args:
        features: of any real dtype.
        dim: the dimension of the channels; negative ones count from the end.
        measure: one of `MEASURES`.

    Raises:
        UsageError: no such measure or dimension.

    Special values: a channel with NaN or infinities is left out, one of zeros from the cosine too;
        fewer than two channels, no samples or no values give NaN, never 0.
    """
    chosen = next((known for known in MEASURES if known == measure), None)
    if chosen is None:
        raise UsageError(f"no measure is called {measure}: {', '.join(MEASURES)}")
    array = np.asarray(features)
    if not -array.ndim <= dim < array.ndim:
        raise UsageError(f"dim={dim}: the features have {array.ndim} dimensions")
    dim %= array.ndim
    samples = np.moveaxis(array, dim, 0)[None] if dim == 0 else np.moveaxis(array, dim, 1)
    channels = samples.shape[1]
    total, count = np.zeros((channels, channels)), np.zeros((channels, channels), np.int64)
    left_out = 0
    for sample in samples if array.size else ():
        values = as_floats(sample).reshape(channels, -1)
        found, usable = (_cosines if chosen == "cosine" else _divergences)(values)
        both = usable[:, None] & usable[None, :]
        total += np.where(both, found, 0.0)
        count += both
        left_out += channels - int(usable.sum())
    with np.errstate(invalid="ignore"):
        matrix = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    apart = ~np.eye(channels, dtype=bool)
    pairs = int(count[apart].sum())
    value = float(total[apart].sum() / pairs) if pairs else float("nan")
    return Similarity(chosen, value, read_only(matrix), pairs, left_out)


def finite_rows(values: Floats) -> Flags:
    """Return which rows of a table hold finite numbers alone; a row without columns does."""
    flags: Flags = np.logical_and.reduce(np.isfinite(values), axis=1)
    return flags


def _cosines(values: Floats) -> tuple[Floats, Flags]:
    finite = finite_rows(values)
    values = np.where(finite[:, None], values, 0.0)
    # By the largest magnitude first: squares of very small or large numbers leave float64's range.
    largest = np.abs(values).max(axis=1, keepdims=True)
    values = values / np.where(largest > 0, largest, 1.0)
    length = np.sqrt((values**2).sum(axis=1, keepdims=True))
    directions = values / np.where(length > 0, length, 1.0)
    cosines: Floats = np.clip(directions @ directions.T, -1.0, 1.0)
    return cosines, length[:, 0] > 0


def _divergences(values: Floats) -> tuple[Floats, Flags]:
    finite = finite_rows(values)
    values = np.where(finite[:, None], values, 0.0)
    with np.errstate(over="ignore"):
        logs = values - values.max(axis=1, keepdims=True)
    logs = logs - np.log(np.exp(logs).sum(axis=1, keepdims=True))
    # What lies beyond float64 is held there: 0 · (−∞) would be NaN.
    logs = np.maximum(logs, _LEAST_LOG)
    shares = np.exp(logs)
    own = (shares * logs).sum(axis=1, keepdims=True)
    # Rounding alone makes it negative.
    divergences: Floats = np.maximum(own - shares @ logs.T, 0.0)
    return divergences, finite
