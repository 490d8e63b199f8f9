"""A session as the document of ``gradtui show --json``, and as a page of text."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final

from gradtui.core.flow_forms import SummedFlow
from gradtui.core.session import Session
from gradtui.core.sparse_flow import SparseFlow
from gradtui.core.threshold import default_threshold
from gradtui.viewmodel.detail import pair_kind
from gradtui.viewmodel.overview import percent
from gradtui.viewmodel.summary import chain_rule, summarize
from gradtui.viewmodel.text import cell_width, number, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gradtui.core.arrays import Array
    from gradtui.core.session import Pair
    from gradtui.viewmodel.summary import LayerNumbers

SCHEMA: Final = 1


def show_document(session: Session, *, full: bool = False) -> dict[str, object]:
    """Return a session as values that any JSON writer takes.

    Args:
        session: what was read from the folder.
        full: with each pair's ``flow``: nested lists where it is dense, ``rows``, ``columns`` (as
            ``cols``) and ``values`` where it is sparse.

    NaN and infinities are the strings "nan", "inf" and "-inf"; what is not known is None. A layer
    or pair without finite values has a minimum and a maximum of None.
    """
    summary = summarize(session, Session.empty())
    return {
        "schema": SCHEMA,
        "folder": session.folder,
        "generation": session.generation,
        "writer": session.writer,
        "layers": [
            _layer(name, tuple(int(n) for n in layer.shape), summary.numbers[name])
            for layer in session.layers
            for name in (layer.name,)
        ],
        "pairs": [
            {**_pair(pair), "flow": _flow(pair)} if full else _pair(pair) for pair in session.pairs
        ],
        "input": _array(session.input),
        "target": _array(session.target),
        "findings": [
            {"layer": f.layer, "flag": f.flag, "word": f.word, "text": f.text}
            for f in summary.findings
        ],
    }


def _layer(name: str, shape: tuple[int, ...], numbers: LayerNumbers) -> dict[str, object]:
    return {
        "name": name,
        "shape": list(shape),
        "norm": known(numbers.norm),
        "min": known(numbers.minimum),
        "max": known(numbers.maximum),
        "nonfinite": numbers.nonfinite,
    }


def _pair(pair: Pair) -> dict[str, object]:
    extent = pair.flow.extent()
    has_values = extent.finite > 0
    return {
        "source": pair.source,
        "target": pair.target,
        "kind": pair.kind,
        "estimate": pair.estimate or None,
        "shape": [int(n) for n in pair.flow.shape],
        "links": int(pair.flow.link_count),
        "min": known(extent.minimum) if has_values else None,
        "max": known(extent.maximum) if has_values else None,
        "threshold": known(default_threshold(pair.flow, "magnitude").value),
        "residual": known(pair.residual),
        "bypass": known(pair.bypass_share),
    }


def _flow(pair: Pair) -> object:
    """The links of a pair; None where only their sums are in the folder."""
    flow = pair.flow
    if isinstance(flow, SummedFlow):
        return None
    if isinstance(flow, SparseFlow):
        links = flow.links()
        return {
            "rows": links.sources.tolist(),
            "cols": links.targets.tolist(),
            "values": [plain_number(value) for value in links.values.tolist()],
        }
    return list(_rows(pair))


def _rows(pair: Pair) -> Iterator[list[float | str]]:
    for node in range(pair.flow.shape[0]):
        yield [plain_number(value) for value in pair.flow.row(node).values.tolist()]


def json_parts(
    session: Session, folder: str = "", *, full: bool = False, run: Iterable[str] = ("null",)
) -> Iterator[str]:
    """Yield the document as JSON text, piece by piece: a dense flow is never whole in memory as text.

    Args:
        session: what was read from the folder.
        folder: the folder's name, for a session that was not written.
        full: with each pair's flow.
        run: JSON text of the watched run, in pieces.
    """
    document = show_document(session)
    document["folder"] = session.folder or folder
    opening = "{"
    for key, value in document.items():
        yield f"{opening}{json.dumps(key)}: "
        opening = ", "
        if key != "pairs" or not full:
            yield json.dumps(value, allow_nan=False)
            continue
        yield "["
        for position, pair in enumerate(session.pairs):
            entry = json.dumps(_pair(pair), allow_nan=False)
            yield f'{", " if position else ""}{entry[:-1]}, "flow": '
            yield from _flow_parts(pair)
            yield "}"
        yield "]"
    yield ', "run": '
    yield from run
    yield "}\n"


def _flow_parts(pair: Pair) -> Iterator[str]:
    if isinstance(pair.flow, (SummedFlow, SparseFlow)):
        yield json.dumps(_flow(pair), allow_nan=False)
        return
    yield "["
    for position, row in enumerate(_rows(pair)):
        yield (", " if position else "") + json.dumps(row, allow_nan=False)
    yield "]"


def _array(array: Array) -> dict[str, object] | None:
    if not array.size:
        return None
    return {"shape": [int(n) for n in array.shape], "dtype": str(array.dtype)}


def plain_number(value: float) -> float | str:
    """Return a number that JSON has, or the word for one that it lacks."""
    if math.isfinite(value):
        return float(value)
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def known(value: float) -> float | str | None:
    """Return a number as `plain_number` has it; NaN stands for what is not known, and gives None."""
    return None if math.isnan(value) else plain_number(value)


def show_text(session: Session, notes: Sequence[str] = (), *, kept: bool = False) -> str:
    """Return a session as a page of text: what is in the folder, layer by layer and pair by pair.

    Args:
        session: what was read from the folder.
        notes: what a person should know of it.
        kept: a watched run wrote it, and has a page of its own: what a run never has is not said to be missing.
    """
    summary = summarize(session, Session.empty())
    generation = f"generation {session.generation}" if session.generation else "no generation"
    writer = "written by gradtui" if session.writer == "gradtui" else "written by another program"
    name = "gradients of outputs that the run keeps" if kept else printable(session.folder)
    lines = [f"{name}  {generation}, {writer}"]
    for title, array in (("input", session.input), ("target", session.target)):
        if kept and not array.size:
            continue
        size = "x".join(str(n) for n in array.shape)
        lines.append(f"{title}  {size} {array.dtype}" if array.size else f"{title}  none")
    rows = [("layer", "shape", "|g|2", "min", "max", "zero", "nonfinite", "flag")]
    for layer in session.layers:
        one = summary.numbers[layer.name]
        finding = summary.worst(layer.name)
        rows.append(
            (
                printable(layer.name),
                f"{layer.shape[0]}x{layer.shape[1]}",
                number(one.norm, 10),
                number(one.minimum, 10),
                number(one.maximum, 10),
                percent(one.zero_share),
                str(one.nonfinite),
                f"{finding.flag} {finding.word}".strip(),
            )
        )
    lines += ["", *text_table(rows)]
    pairs = [("pair", "flow", "links", "min", "max", "threshold", "chain rule", "bypass")]
    for pair in session.pairs:
        extent = pair.flow.extent()
        pairs.append(
            (
                f"{printable(pair.source)} -> {printable(pair.target)}",
                pair_kind(pair),
                f"{pair.flow.link_count:,}",
                number(extent.minimum, 10),
                number(extent.maximum, 10),
                number(default_threshold(pair.flow, "magnitude").value, 10),
                _rule(pair),
                percent(pair.bypass_share) or "-",
            )
        )
    if session.pairs:
        lines += ["", *text_table(pairs)]
    elif not kept:
        lines += ["", "no pairs"]
    if summary.findings:
        lines += ["", "findings"]
        lines += [f"  {f.flag} {printable(f.layer)}: {printable(f.text)}" for f in summary.findings]
    seen = [*session.notes, *(note for note in notes if note not in session.notes)]
    if seen:
        lines += ["", "notes", *(f"  {printable(note)}" for note in seen)]
    return "\n".join(lines) + "\n"


def _rule(pair: Pair) -> str:
    if math.isnan(pair.residual):
        return "-"
    word = {"holds": "holds", "broken": "BROKEN", "unknown": "unexplained"}[chain_rule(pair)]
    return f"{word} ({pair.residual:.1e})"


def text_table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return rows as columns of text, the first to the left and the others to the right."""
    widths = [max(cell_width(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0] + " " * (widths[0] - cell_width(row[0]))]
        cells += [
            " " * (w - cell_width(cell)) + cell for cell, w in zip(row[1:], widths[1:], strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
