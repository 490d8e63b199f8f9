"""The two lines at the top: which folder and how it is, and what the view shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gradtui.viewmodel.detail import pair_kind
from gradtui.viewmodel.fitting import fitting
from gradtui.viewmodel.links import highlights, node_of, pair_threshold, threshold_words
from gradtui.viewmodel.selection import MAP_KEYS, shown_direction, shown_pairs
from gradtui.viewmodel.text import (
    Span,
    TextLine,
    cell_width,
    clip,
    join,
    line,
    line_width,
    number,
    safe_label,
    spread,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.session import Session
    from gradtui.viewmodel.generations import Generations
    from gradtui.viewmodel.selection import Selection
    from gradtui.viewmodel.summary import Summary

STATUS_ROLES: Final = {
    "live": "good",
    "loading": "dim",
    "waiting": "warn",
    "busy": "warn",
    "stale": "warn",
    "finished": "dim",
    "broken": "bad",
    "missing": "bad",
}
LEAST_NAME: Final = 7
"""Columns that the folder's name needs, or is left out."""
LEAST_RUN: Final = 16
"""Columns that the name of a run keeps."""
_LETTERS: Final = (
    ("overview", "o"),
    ("values", "v"),
    ("flow", "f"),
    ("history", "t"),
    ("architecture", "a"),
)
_PROGRAM: Final = " gradtui"
_SAYS: Final = ": watching "
"""Before what a training watches, in its own words: the tree of modules says so, too."""
NO_OFFSETS: Final = ((0, 0), (0, 0))
FAN_WORDS: Final = {"out": "fan-out", "in": "fan-in", "both": "fan-out and fan-in"}


@dataclass(frozen=True, slots=True)
class FolderState:
    """The folder in words: ``kind`` chooses the colour, ``clock`` is when the data was read."""

    name: str
    kind: str = "loading"
    text: str = ""
    clock: str = ""


def header_line(
    state: FolderState,
    generations: Generations,
    selection: Selection,
    unsaved: int,
    width: int,
    *,
    run: Sequence[TextLine] = (),
) -> TextLine:
    """Return the first line: folder, generation, how it is, unsaved edits, and the views' letters.

    ``run`` is what stands in place of the generation where a training run is shown. Its folder's name comes before the
    program's, the clock and what the training says of itself.
    """
    letters = _letters(selection.view)
    shown = generations.shown
    role = STATUS_ROLES.get(state.kind, "")
    words = state.text or state.kind
    parts: list[TextLine] = []
    if unsaved:
        parts.append(line((f"{unsaved} unsaved", "edited")))
    calm = state.kind in ("live", "finished")
    clock = f" {state.clock}" if state.clock else ""
    titled = True
    if run and calm:
        used = sum(line_width(part) + 2 for part in (*parts, *run))
        name = cell_width(safe_label(state.name, 40)) + 2
        free = width - line_width(letters) - 4 - used - name
        titled = free >= cell_width(words + clock) + len(_PROGRAM) + 1
        if free < cell_width(words + clock):
            clock = ""
        if free < cell_width(words):
            words = words.partition(_SAYS)[0]
    parts.append(line((f"{words}{clock}" if calm else words, role)))
    dated = not calm and bool(state.clock)
    if dated:
        parts.append(line((f"view of {state.clock}", "dim")))
    room = width - line_width(letters) - 2
    if room < 20:
        return clip(line(*(span for part in parts[-1:] for span in part)), width)
    # What the folder is doing must stay readable, and how old the view is: all else gives way.
    rest = sum(line_width(part) + 2 for part in parts)
    own = join(run, "  ") if run else _generation(generations)
    # The step of a run, and whether it is held, come before all else.
    if run or (shown.layers and rest + line_width(own) + 2 + LEAST_NAME < room):
        parts.insert(0, own)
        rest += line_width(own) + 2
    # The name of a run has some room whatever its training says of itself.
    over = rest - room + (min(cell_width(state.name) + 2, LEAST_RUN) if run else 0)
    if over > 0 and run and dated:
        # Its step says how old the view is.
        dated, freed = False, line_width(parts.pop()) + 2
        rest, over = rest - freed, over - freed
    if over > 0:
        at = len(parts) - (2 if dated else 1)
        kept = line_width(parts[at]) - over
        if run and calm and kept < LEAST_NAME and "failed" not in words:
            # That it goes on, or has ended, says less than which one it is.
            del parts[at]
        else:
            parts[at] = clip(parts[at], max(kept, LEAST_NAME))
        rest = sum(line_width(part) + 2 for part in parts)
    left = room - rest - 1
    least = min(LEAST_NAME, cell_width(safe_label(state.name, 40)) + 1)
    titled = titled and left >= len(_PROGRAM) + 2 + LEAST_NAME
    spans = [Span(_PROGRAM, "title"), Span(" ")] if titled else []
    left -= sum(len(span.text) for span in spans)
    if left >= least:
        spans.append(Span(" " + safe_label(state.name, min(left - 1, 40))))
    for part in parts:
        spans.extend((Span("  " if spans else " "), *part))
    return spread(clip(tuple(spans), room + 1), letters, width)


def _generation(generations: Generations) -> TextLine:
    shown = generations.shown
    name = f"generation {shown.generation}" if shown.generation else "foreign files"
    spans = [Span(name)]
    if not generations.following:
        behind = f", {generations.behind} newer" if generations.behind else ""
        spans.append(Span(f" paused{behind}", "warn"))
    if generations.comparing and generations.baseline.layers:
        spans.append(Span(f" minus {generations.baseline.generation}", "highlight"))
    return tuple(spans)


def _letters(view: str) -> TextLine:
    spans: list[Span] = []
    for name, letter in _LETTERS:
        spans.append(Span(f"[{letter}]", "title") if name == view else Span(f" {letter} ", "dim"))
    return (*spans, Span(" ?", "key"), Span(" "))


def values_headline(session: Session, selection: Selection, width: int) -> TextLine:
    """Return the second line of Values: z, the node, the pair, the threshold and what passes it."""
    pieces = [line((" Values", "title"))]
    if session.input.size:
        pieces.append(line(("z ", "dim"), number(selection.z)))
    pieces.extend(pair_pieces(session, selection))
    notes: list[str] = []
    if selection.scale != "linear":
        notes.append(selection.scale)
    if selection.channel >= 0:
        notes.append(f"channel {selection.channel}")
    if session.explicit:
        notes.append("explicit")
    if selection.polyphase:
        notes.append(f"polyphase {selection.polyphase}")
    if any(selection.region(key) is not None for key in MAP_KEYS):
        notes.append("cropped")
    if any(
        selection.offsets.get((p.source, p.target), NO_OFFSETS) != NO_OFFSETS
        for p in shown_pairs(session, selection)
    ):
        notes.append("offsets")
    if notes:
        pieces.append(line((", ".join(notes), "dim")))
    if selection.filter:
        pieces.append(only_piece(selection))
    return fitting(pieces, width)


def only_piece(selection: Selection) -> TextLine:
    """Return words for the filter in force, which the rail of layers obeys in every view; empty without."""
    if not selection.filter:
        return ()
    return line((f" only {safe_label(selection.filter, 20)}", "highlight"))


def pair_pieces(session: Session, selection: Selection) -> list[TextLine]:
    """Return direction and pair, how the flow is known, the threshold and how many links pass it."""
    pairs = shown_pairs(session, selection)
    if not pairs:
        return [line(("no pair", "dim"))] if session.layers else []
    pair = pairs[0]
    threshold = pair_threshold(session, selection, pair)
    found = highlights(session, selection)
    node = node_of(session, selection.layer, selection.node)
    passed = "links not in the folder"
    if node >= 0 and not found.missing:
        links = pair.flow.column(node) if found.direction == "in" else pair.flow.row(node)
        # As wide as it can become: or a digit more would move all that stands behind it.
        total = f"{len(links):,}"
        passed = f"{found.connected.nodes.size:>{len(total)},} of {total}"
    fan = FAN_WORDS[shown_direction(session, selection)]
    return [
        line(threshold_words(threshold), (f" ({passed})", "dim")),
        line(f"{fan} ", (safe_label(f"{pair.source} → {pair.target}", 34, keep="both"), "")),
        line((pair_kind(pair), "warn" if pair.kind == "estimated" else "dim")),
    ]


def overview_headline(summary: Summary, selection: Selection, loss: str, width: int) -> TextLine:
    """Return the second line of the Overview: layers, flags, order and filter."""
    flags = sum(summary.worst(layer.name).flag != "." for layer in summary.layers)
    pieces = [line((" Overview", "title")), line(f"{len(summary.layers)} layers")]
    if loss:
        pieces.append(line(("loss ", "dim"), loss))
    pieces.append(
        line((f"{flags} flagged, e goes to them", "warn")) if flags else line(("no flags", "good"))
    )
    if selection.sort != "order":
        pieces.append(line((f"sorted by {selection.sort}", "dim")))
    if selection.filter:
        pieces.append(only_piece(selection))
    return fitting(pieces, width)
