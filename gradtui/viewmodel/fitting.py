"""Lines of parts, the best first: where the screen is narrow whole parts go, and none is cut in the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gradtui.viewmodel.text import Span, TextLine, cell_width, clip, line_width, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP: Final = "  "


def fitting(parts: Sequence[TextLine], width: int, *, in_order: bool = False) -> TextLine:
    """Return the parts that fit in ``width`` columns, the first of them first; one alone is cut.

    With ``in_order`` nothing comes after a part that does not fit, else a shorter one may.
    """
    spans: list[Span] = []
    used = 0
    for part in parts:
        # Blanks at the end of a part keep columns; at the end of the line nothing follows them.
        size = cell_width(plain(part).rstrip())
        gap = len(GAP) if spans else 0
        if used + gap + size > width:
            if not spans:
                return clip(part, width)
            if in_order:
                break
            continue
        if gap:
            spans.append(Span(GAP))
        spans.extend(part)
        used += gap + line_width(part)
    while spans and not spans[-1].text.strip():
        spans.pop()
    if spans:
        spans[-1] = Span(spans[-1].text.rstrip(), spans[-1].role)
    return tuple(spans)
