"""Nonlinearities that work in their flat part, where no gradient comes through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradtui.diagnosis.finding import Finding
from gradtui.diagnosis.learning_rate import rise_of_rate
from gradtui.diagnosis.outputs import Times, by_module, deepest, few_rows
from gradtui.diagnosis.words import percent, place, since

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradtui.diagnosis.bounds import Bounds
    from gradtui.diagnosis.evidence import Evidence


def find(evidence: Evidence, bounds: Bounds) -> Iterator[Finding]:
    """Yield the nonlinearities most of whose values are in their flat part, at every measurement; a note where they were.

    The last one of a network is left out: a classifier that is sure of itself is saturated there, and
    its loss knows how to deal with it; a generator's images may be black and white.

    Special values: a call that was not made, or gave an empty batch, is passed over.
    """
    saturated = evidence.table("output", "saturated")
    if len(saturated) < few_rows(bounds):
        return
    count = evidence.aligned(evidence.table("output", "count"), saturated)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = saturated.low / count.high
    times = Times.of(share >= bounds.saturated_share, share, bounds.saturated_bad, bounds)
    columns = np.flatnonzero(times.spell.start >= 0).tolist()
    if not columns:
        return
    last = evidence.structure.last_modules
    columns = [
        column
        for column in deepest(saturated.keys, columns)
        if (path := saturated.keys[column].path)
        and not any(f"{one}.".startswith(f"{path}.") for one in last)
    ]
    rose: dict[int, str] = {}
    for told in by_module(saturated, times, columns, bounds.saturated_bad):
        key, now, over = saturated.keys[told.column], told.share, told.over
        start = since(saturated, told.start)
        if start not in rose:
            onset = int(saturated.ends[told.start])
            rose[start] = rise_of_rate(evidence, onset, onset)
        before = ""
        if told.before >= 0:
            before = f" ({percent(told.before_share)} or more since step {since(saturated, told.before)})"
        yield Finding(
            "saturation",
            "note" if over else "bad" if now >= bounds.saturated_bad else "warn",
            key.path,
            told.name,
            start,
            f"{place(key.path)} {'was' if over else 'is'} saturated{told.where}{' for a while' if over else ''}.",
            f"{percent(now)}{' or more' if told.grew else ''} of its values {'were' if over else 'are'} in the flat part{told.words}, "
            f"{int(times.spell.count[told.column])} times in a row{before}; the bound is {percent(bounds.saturated_share)}{rose[start]}",
            "Try smaller weights or a normalisation before it, or a lower learning rate.",
            until=int(saturated.ends[told.row]) if over else -1,
            series=(key.of("saturated_share"),),
        )
