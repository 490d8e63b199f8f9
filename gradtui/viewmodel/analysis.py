"""The analyses of a run as a page of text, and as one JSON document."""

from __future__ import annotations

import math
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from gradtui.core.analysis.kernels import BOUND
from gradtui.core.analysis.weights import cluster_words
from gradtui.viewmodel.document import known, text_table
from gradtui.viewmodel.text import cell_width, clip, counted, line, number, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.analysis.gradients import GradientTable
    from gradtui.core.analysis.report import Report
    from gradtui.core.analysis.similarity import Similarity
    from gradtui.core.analysis.weights import Weights
    from gradtui.viewmodel.text import TextLine

SCHEMA: Final = 1
EPOCHS_SHOWN: Final = 6
"""Of more epochs the first and the newest stand in the text; the document has all."""
_NONE: Final = "none"


def analysis_text(report: Report, width: int = 0) -> str:
    """Return the analyses of a run as a page of text; a part that the run has nothing of says what it needs.

    Args:
        report: what was found.
        width: columns that there are: fewer epochs are shown, and sentences are wrapped; 0 for no bound. Names of
            layers are never cut.
    """
    parts = [
        _gradient_lines(report.gradients, width),
        _wrapped(_cluster_lines(report), width),
        _wrapped(_kernel_lines(report), width),
        _feature_lines(report),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def analysis_lines(report: Report, width: int) -> tuple[TextLine, ...]:
    """Return the same as lines of a page of that width; the first of each part is a title."""
    lines: list[TextLine] = []
    for part in analysis_text(report, max(width - 2, 1)).split("\n\n"):
        head, *rest = part.rstrip("\n").split("\n")
        lines += [line((f" {head}", "title")), *(line(f" {text}") for text in rest), ()]
    return tuple(clip(text, width) for text in lines)


def analysis_document(report: Report) -> dict[str, object]:
    """Return the analyses as values that any JSON writer takes.

    NaN and infinities are the strings "nan", "inf" and "-inf"; what there was nothing to measure of (a layer
    without a gradient) is None, never 0.
    """
    table = report.gradients
    return {
        "schema": SCHEMA,
        "epochs": [int(row) for row in table.rows],
        "gradients": [
            {
                "name": name,
                **{
                    what: [known(float(v)) for v in getattr(table, what)[:, k]]
                    for what in ("mean", "largest", "l1", "l2", "nonfinite")
                },
            }
            for k, name in enumerate(table.names)
        ],
        "clusters": [
            {
                "name": found.name,
                "step": found.step,
                "clusters": [
                    {"centre": c.centre, "low": c.low, "high": c.high, "share": c.share}
                    for c in found.clusters
                ],
            }
            for found in report.clusters
        ],
        "weights": [_weights(kept.step, kept.weights) for kept in report.weights],
        "features": [
            {
                "name": kept.name,
                "step": kept.step,
                "shape": list(kept.shape),
                "cosine": known(kept.cosine.value),
                "kl": known(kept.kl.value),
                "left_out": kept.cosine.left_out,
            }
            for kept in report.features
        ],
    }


def _weights(step: int, weights: Weights) -> dict[str, object]:
    kernels = weights.kernels
    return {
        "name": weights.name,
        "step": step,
        "shape": list(weights.shape),
        "mean": known(weights.mean),
        "deviation": known(weights.deviation),
        "zeros": weights.zeros,
        "nonfinite": weights.nonfinite,
        "at_ends": known(weights.at_ends),
        "counts": [int(c) for c in weights.counts],
        "edges": [float(e) for e in weights.edges],
        "kernels": kernels.count,
        "bound": known(kernels.bound),
        "alike": kernels.pair_count,
        "groups": [list(group) for group in kernels.groups],
        "pairs": [
            {"first": p.first, "second": p.second, "cosine": p.cosine, "ratio": p.ratio}
            for p in kernels.pairs
        ],
        "remarks": list(weights.remarks),
    }


def _gradient_lines(table: GradientTable, width: int) -> list[str]:
    if not table.rows.size:
        return ["gradients: none were recorded"]
    epochs = [int(row) for row in table.rows]
    head = f"gradients by epoch: {counted(len(epochs), 'epoch')}; mean, largest and L1 of epoch {epochs[-1]}"
    for count in range(min(len(epochs), EPOCHS_SHOWN), 0, -1):
        shown = list(range(len(epochs)))[-count:]
        if len(epochs) > count > 1:
            shown[0] = 0
        lines = text_table(_gradient_rows(table, epochs, shown))
        if not width or max(map(cell_width, lines)) <= width:
            break
    return [*_wrapped([head], width), *lines]


def _gradient_rows(
    table: GradientTable, epochs: Sequence[int], shown: Sequence[int]
) -> list[tuple[str, ...]]:
    rows = [("layer", "mean", "largest", "L1", *(f"L2 of {epochs[k]}" for k in shown))]
    for k, name in enumerate(table.names):
        last = [_figure(table, what, -1, k) for what in ("mean", "largest", "l1")]
        rows.append((printable(name), *last, *(_figure(table, "l2", row, k) for row in shown)))
    return rows


def _wrapped(lines: Sequence[str], width: int) -> list[str]:
    if not width:
        return list(lines)
    return [part for text in lines for part in wrap(text, width, subsequent_indent="    ")]


def _cluster_lines(report: Report) -> list[str]:
    if not report.clusters:
        return ['weights: no histograms were recorded (log="params")']
    several = [found for found in report.clusters if len(found.clusters) > 1]
    head = f"weights: {len(several)} of {counted(len(report.clusters), 'parameter')} in clusters"
    return [
        head,
        *(
            f"  {printable(found.name)}, step {found.step}: {cluster_words(found.clusters)}"
            for found in several
        ),
    ]


def _kernel_lines(report: Report) -> list[str]:
    if not report.weights:
        return ['kernels: none were kept (keep="conv1.weight")']
    lines = [f"kernels: {counted(len(report.weights), 'parameter')} kept"]
    for kept in report.weights:
        name = f"  {printable(kept.weights.name)}, step {kept.step}: "
        remarks: Sequence[str] = kept.weights.remarks or (
            f"nothing odd, no twins (|cosine| ≥ {BOUND})",
        )
        lines += [name + remark for remark in remarks]
    return lines


def _feature_lines(report: Report) -> list[str]:
    if not report.features:
        return ['features: none were kept (keep="conv1")']
    rows = [("layer", "step", "shape", "cosine", "KL, nats")]
    rows += [
        (
            printable(kept.name),
            str(kept.step),
            "×".join(map(str, kept.shape)),
            _likeness(kept.cosine),
            _likeness(kept.kl),
        )
        for kept in report.features
    ]
    return ["features: mean over pairs of channels", *text_table(rows)]


def _figure(table: GradientTable, what: str, row: int, column: int) -> str:
    """A number; ``nan`` where no value of the gradient was finite, ``none`` where there was no gradient."""
    if table.nonfinite[row, column] > 0 and not table.count[row, column] > 0:
        return "nan"
    value = float(getattr(table, what)[row, column])
    return _NONE if math.isnan(value) else number(value).strip()


def _likeness(found: Similarity) -> str:
    return "-" if not found.pairs else number(found.value).strip()
