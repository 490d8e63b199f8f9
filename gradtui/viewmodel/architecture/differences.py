"""The difference of two graphs as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gradtui.viewmodel.architecture.figures import shape_text, short
from gradtui.viewmodel.text import clip, line, safe_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.architecture.comparing import Difference
    from gradtui.core.architecture.graph import GraphNode, ModuleGraph
    from gradtui.viewmodel.text import TextLine

_SIGNS: Final = {"added": ("+", "good"), "removed": ("-", "bad"), "changed": ("~", "warn")}


def difference_lines(
    before: ModuleGraph, after: ModuleGraph, rows: Sequence[Difference], width: int
) -> tuple[TextLine, ...]:
    """One line for each row that differs: a sign, its name and class, and what changed from what to what."""
    lines = []
    for row in rows:
        sign, role = _SIGNS[row.change]
        node = after.nodes[row.after] if row.after >= 0 else before.nodes[row.before]
        words = f"{_costs(node)}"
        if row.change == "changed":
            words = "   ".join(
                _change(name, before.nodes[row.before], after.nodes[row.after])
                for name in row.fields
            )
        lines.append(
            clip(
                line(
                    (f" {sign} ", role),
                    (safe_label(node.label, max(width // 3, 12)), ""),
                    (f"  {safe_label(node.name, 30, keep='start')}   ", "dim"),
                    (safe_label(words, keep="start"), role),
                ),
                width,
            )
        )
    return tuple(lines)


def difference_words(before: ModuleGraph, after: ModuleGraph, rows: Sequence[Difference]) -> str:
    """How many rows differ, and by how much the sums do."""
    if not before.nodes:
        return "nothing to compare with yet: b makes this graph the baseline"
    counts = [
        f"{sum(row.change == change for row in rows)} {change}"
        for change in ("added", "removed", "changed")
    ]
    parameters = after.totals.parameters - before.totals.parameters
    flops = after.totals.flops - before.totals.flops
    return f"{', '.join(counts)}   parameters {_signed(parameters)}   FLOPs {_signed(flops)}"


def _signed(value: int) -> str:
    return ("+" if value > 0 else "-" if value < 0 else "±") + short(abs(value))


def _costs(node: GraphNode) -> str:
    shape = shape_text(node.shape) if node.dtype else ""
    return f"{shape}  {short(node.parameters)} parameters  {short(node.flops)} FLOPs".strip()


def _change(name: str, before: GraphNode, after: GraphNode) -> str:
    if name == "inputs from":
        return "other inputs"
    old, new = getattr(before, name), getattr(after, name)
    if name == "shapes":
        old, new = (" ".join(map(shape_text, shapes)) or "-" for shapes in (old, new))
        return f"{old} → {new}"
    if name in ("parameters", "shared", "flops"):
        words = {"flops": "FLOPs"}.get(name, name)
        return f"{words} {short(old)} → {short(new)}"
    return f"{old or '-'} → {new or '-'}"
