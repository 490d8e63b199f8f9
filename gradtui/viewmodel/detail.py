"""Two to six lines about one layer: its numbers, its distribution, and the pairs that it is in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.arrays import as_floats, finite_parts
from gradtui.viewmodel.overview import ROLE_OF_FLAG, percent
from gradtui.viewmodel.summary import Summary, chain_rule
from gradtui.viewmodel.text import Span, TextLine, clip, line, number, printable, safe_label

if TYPE_CHECKING:
    from gradtui.core.arrays import Array, Floats
    from gradtui.core.layer import Layer
    from gradtui.core.session import Pair, Session

BINS: Final = 24
SAMPLE: Final = 1 << 16
"""Of larger maps percentiles and histogram are those of so many cells: every key draws them anew."""
_BARS: Final = " ▁▂▃▄▅▆▇█"
_ASCII_BARS: Final = " .:-=+*#@"

KIND_WORDS: Final = {
    "measured": "measured",
    "estimated": "estimated",
    "explicit": "explicit links",
    "listed": "listed links",
}
_SYMBOLS: Final = {
    "gradient": "g", "raw gradient": "g", "output gradient": "dy", "input gradient": "dx",
    "output": "y", "input": "x", "parameter": "W",
}  # fmt: skip
"""What a map holds, as its norm is written."""
ORIGIN_WORDS: Final = {
    "file": "",
    "row sums": "gradient: row sums of its flow",
    "column sums": "gradient: column sums of its flow",
    "unknown": "gradient not in the file",
}


def pair_kind(pair: Pair) -> str:
    """Say how a pair's flow is known: ``measured``, ``estimated (equal)``, ..."""
    word = KIND_WORDS.get(pair.kind, pair.kind)
    return f"{word} ({pair.estimate})" if pair.estimate else word


def histogram_bars(
    values: Array, bins: int = BINS, *, ascii: bool = False
) -> tuple[str, float, float]:
    """Return a histogram as characters, and the bounds of its first and last bin.

    Args:
        values: any real array; only its finite part counts, of a large one an even sample, though
            the bounds are those of all. Empty and all non-finite give no bars and bounds of NaN;
            values that are all equal fill the bin in the middle.
        bins: how many characters.
        ascii: without block characters.
    """
    ends = [(part.min(), part.max()) for part in finite_parts(values) if part.size]
    if not ends:
        return "", math.nan, math.nan
    low, high = float(min(low for low, _ in ends)), float(max(high for _, high in ends))
    bars = _ASCII_BARS if ascii else _BARS
    scale = max(abs(low), abs(high))
    # The width of the range may overflow where its ends don't, or vanish beside their size.
    if low == high or (high / scale - low / scale) / bins <= np.finfo(np.float64).eps:
        return bars[-1].center(bins).replace(" ", bars[0]), low, high
    counts, _ = np.histogram(_sample(values) / scale, bins, (low / scale, high / scale))
    top = int(counts.max())
    return "".join(bars[-(-int(n) * (len(bars) - 1) // top)] for n in counts), low, high


def _sample(values: Array) -> Floats:
    """The finite numbers of a map, or of an even sample of its cells where there are many."""
    stride = -(-values.size // SAMPLE)
    if stride > 1:
        # An odd stride is no divisor of a power of two, as the width of a map often is.
        values = values[np.unravel_index(np.arange(0, values.size, stride | 1), values.shape)]
    numbers = as_floats(values).ravel()
    return numbers[np.isfinite(numbers)]


def layer_detail(
    session: Session, summary: Summary, name: str, width: int, *, ascii: bool = False
) -> tuple[TextLine, ...]:
    """Return what is known of a layer, the most important line first.

    A layer that the session lacks gives no lines.
    """
    layer = next((known for known in session.layers if known.name == name), None)
    if layer is None:
        return ()
    numbers = summary.numbers[name]
    finding = summary.worst(name)
    lines = [
        line(
            (safe_label(name, max(width // 2, 8)), "title"),
            f"  {layer.gradient.dtype} {_shape(layer)}",
            (f"  zero {percent(numbers.zero_share)}", "dim") if numbers.nodes else "",
            f"  min {number(numbers.minimum, 9)} max {number(numbers.maximum, 9)}",
        )
    ]
    if finding.text:
        lines.append(
            line((f"{finding.flag} ", ROLE_OF_FLAG[finding.flag]), printable(finding.text))
        )
    values = layer.map()
    sizes = np.abs(_sample(values))
    if sizes.size:
        # Linear between ranks, as numpy's percentile, whose first call imports masked arrays for 70 ms.
        middle, high = np.interp((0.5, 0.99), np.linspace(0, 1, sizes.size), np.sort(sizes))
        size = f"|{_SYMBOLS.get(layer.quantity, '.')}|"
        # A map sums the channels, and so does its norm: that of the tensor is another.
        of = " of the channels' sum" if len(layer.gradient.shape) > 2 else ""
        lines.append(
            line(
                f"{size}2{of} {number(numbers.norm, 9)}  {size} p50 {number(float(middle), 8, digits=2)}"
                f"  p99 {number(float(high), 8, digits=2)}",
                (f"  {_neighbours(session, name)}", "dim"),
            )
        )
    bars, least, most = histogram_bars(values, ascii=ascii)
    if bars:
        lines.append(
            line(
                ("hist ", "dim"),
                (bars, "value"),
                (f"  {number(least, 8, digits=2)} .. {number(most, 8, digits=2)}", "dim"),
            )
        )
    lines.extend(_pair_line(pair, arrow) for pair, arrow in _pairs(session, name))
    if ORIGIN_WORDS.get(layer.origin, layer.origin):
        lines.append(line((ORIGIN_WORDS.get(layer.origin, layer.origin), "dim")))
    return tuple(clip(text, width) for text in lines)


def _shape(layer: Layer) -> str:
    rows, columns = layer.shape
    channels = int(layer.channels.shape[0])
    return f"{rows}x{columns}" + (f" ({channels} channels)" if channels else "")


def _neighbours(session: Session, name: str) -> str:
    sources = [safe_label(pair.source, 16) for pair in session.pairs_to(name)]
    targets = [safe_label(pair.target, 16) for pair in session.pairs_from(name)]
    words = [f"in<-{','.join(sources)}"] if sources else []
    return " ".join([*words, f"out->{','.join(targets)}"] if targets else words)


def _pairs(session: Session, name: str) -> list[tuple[Pair, str]]:
    outgoing = [(pair, f"-> {safe_label(pair.target, 30)}") for pair in session.pairs_from(name)]
    incoming = [(pair, f"<- {safe_label(pair.source, 30)}") for pair in session.pairs_to(name)]
    return outgoing + incoming


def _pair_line(pair: Pair, arrow: str) -> TextLine:
    n, m = pair.flow.shape
    spans: list[Span] = [
        Span(arrow, "title"),
        Span(f"  {pair_kind(pair)}", "dim"),
        Span(f"  {n}x{m}, {pair.flow.link_count:,} links"),
    ]
    rule = chain_rule(pair)
    if rule == "unknown":
        if pair.kind == "measured":
            spans.append(Span("  chain rule unknown", "dim"))
    else:
        mark, role = ("✓", "good") if rule == "holds" else ("✗", "bad")
        spans.append(Span(f"  chain rule {mark} ({pair.residual:.0e})", role))
    if not math.isnan(pair.bypass_share):
        spans.append(Span(f"  bypass {percent(pair.bypass_share)}"))
    return tuple(spans)
