"""All that the analyses say of a run: gradients by epoch, weights, kernels, likeness of features."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradtui.core.analysis.clusters import Cluster, clusters_in
from gradtui.core.analysis.gradients import GradientTable
from gradtui.core.analysis.kernels import MOST_KERNELS
from gradtui.core.analysis.run_gradients import gradients_by_epoch
from gradtui.core.analysis.similarity import Similarity, similarity
from gradtui.core.analysis.weights import Weights, look_at_weights
from gradtui.core.run.keys import VALUES

if TYPE_CHECKING:
    from gradtui.core.run.records import Kept
    from gradtui.core.run.run import Run


@dataclass(frozen=True, slots=True)
class ClusteredWeights:
    """A parameter's newest histogram: its name, the step, the clusters in it."""

    name: str
    step: int
    clusters: tuple[Cluster, ...]


@dataclass(frozen=True, slots=True, eq=False)
class KeptWeights:
    """A parameter that the run kept whole: the step, and what it looks like."""

    step: int
    weights: Weights


@dataclass(frozen=True, slots=True, eq=False)
class KeptFeatures:
    """A layer's output that the run kept: how alike its channels (or tokens) are.

    Channels are the first dimension of one sample: [C, H, W] of an image, [T, D] of tokens.
    """

    name: str
    step: int
    shape: tuple[int, ...]
    cosine: Similarity
    kl: Similarity


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What the analyses say of a run; every part is empty where the run has nothing of it.

    Attributes:
        gradients: by epoch, a column for each layer.
        clusters: one for each parameter with a histogram.
        weights: one for each parameter that was kept.
        features: one for each output that was kept.
    """

    gradients: GradientTable = field(default_factory=GradientTable)
    clusters: tuple[ClusteredWeights, ...] = ()
    weights: tuple[KeptWeights, ...] = ()
    features: tuple[KeptFeatures, ...] = ()


def analyse(run: Run) -> Report:
    """Return what the analyses say of a run, at its newest step.

    Args:
        run: of any number of ranks, taken together; kept tensors are the lowest rank's, and of
            the training, not of evaluations.
    """
    return Report(gradients_by_epoch(run), _clusters(run), *_kept(run))


def _clusters(run: Run) -> tuple[ClusteredWeights, ...]:
    found = []
    for key in run.histogram_keys:
        if key.role != "parameter" or key.quantity != VALUES:
            continue
        series = run.histogram(key)
        if not series.empty:
            clusters = clusters_in(series.counts[-1], series.low, series.width)
            found.append(ClusteredWeights(key.name, int(series.steps[-1]), clusters))
    return tuple(found)


def _kept(run: Run) -> tuple[tuple[KeptWeights, ...], tuple[KeptFeatures, ...]]:
    newest: dict[object, tuple[int, Kept]] = {}
    lowest = run.ranks[0].rank if run.ranks else 0
    for tensor in run.kept:
        if tensor.rank == lowest and tensor.kept.key.phase == "train":
            newest[tensor.kept.key] = (tensor.step, tensor.kept)
    weights, features = [], []
    for step, kept in newest.values():
        name, values = kept.key.name, kept.values
        if kept.key.role == "parameter":
            weights.append(KeptWeights(step, look_at_weights(name, values)))
        elif kept.key.role == "output" and values.ndim > 1 and len(values) <= MOST_KERNELS:
            cosine, kl = similarity(values, 0), similarity(values, 0, "kl")
            features.append(KeptFeatures(name, step, values.shape, cosine, kl))
    return tuple(weights), tuple(features)
