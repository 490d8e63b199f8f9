"""What a watched run knows of the modules of its graph."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

from gradtui.core.run.norms import newest_norms, norm_of_all
from gradtui.viewmodel.architecture.listing import Live
from gradtui.viewmodel.findings import sign, word
from gradtui.viewmodel.overview import DEEPEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.core.run.run import Run
    from gradtui.diagnosis.finding import Finding


_Value = TypeVar("_Value")


def live_of(run: Run, findings: tuple[Finding, ...]) -> Mapping[str, Live]:
    """Each module's last gradient norm (√Σ‖g‖² of its own parameters, and of all inside), time a call, worst finding.

    A module without a number or a finding is left out; NaN stands for a number that there is none of, and for the norm
    of gradients of which nothing is finite.
    """
    if run.is_empty:
        return {}
    norms: dict[str, list[float]] = {}
    for key, norm in newest_norms(run, "gradient").items():
        norms.setdefault(key.path, []).append(norm)
    seconds: dict[str, float] = {}
    times = run.column("module", "seconds")
    for key, value in zip(times.keys, times.values.tolist(), strict=True):
        if value == value:
            seconds[key.path] = seconds.get(key.path, 0.0) + value
    worst: dict[str, tuple[int, str, str]] = {}
    for rank, finding in enumerate(findings):
        for path in finding.paths:
            # Worst first: the first one told stays.
            worst.setdefault(path, (rank, sign(finding), word(finding)))
    held = {path: min(found) for path, found in _inside(worst).items()}
    nothing = (0, "", "")
    totals = {path: norm_of_all(some) for path, some in norms.items()}
    inside = {path: norm_of_all(some) for path, some in _inside(totals).items()}
    return {
        path: Live(
            totals.get(path, math.nan),
            seconds.get(path, math.nan),
            *worst.get(path, nothing)[1:],
            is_lost=math.isnan(totals.get(path, 0.0)),
            inside=inside.get(path, math.nan),
            is_inside_lost=math.isnan(inside.get(path, 0.0)),
            rank=worst.get(path, nothing)[0],
            held=held.get(path, ()),
        )
        for path in {*inside, *seconds, *held}
    }


def _inside(totals: Mapping[str, _Value]) -> dict[str, list[_Value]]:
    """What is at each path and below it; of what is nested too deep for rows, at the path and in the model alone."""
    found: dict[str, list[_Value]] = {}
    for path, norm in totals.items():
        above = path
        if path.count(".") > DEEPEST:
            found.setdefault(path, []).append(norm)
            above = ""
        while above:
            found.setdefault(above, []).append(norm)
            above = above.rpartition(".")[0]
        found.setdefault("", []).append(norm)
    return found
