"""The first NaN or infinity: in which module and call it was born, on the way forward or back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast, get_args

import numpy as np

from gradtui.core.run.keys import PARAMETER_ROLES, Role, SeriesKey
from gradtui.diagnosis.finding import Finding
from gradtui.diagnosis.growth import growth_before
from gradtui.diagnosis.learning_rate import rise_of_rate
from gradtui.diagnosis.words import called, others, percent, place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gradtui.core.run.records import Event
    from gradtui.diagnosis.bounds import Bounds
    from gradtui.diagnosis.evidence import Evidence
    from gradtui.diagnosis.growth import Rise

FORWARD: Final = ("input", "output", "run")
BACKWARD: Final = ("output gradient", "input gradient", "gradient", "raw gradient")
LOSS: Final = "Look at what computes the loss: log of 0, a division by the number of valid targets, an empty batch."
MOST: Final = 1000
"""Tensors of one role that are named: the earliest tell where it began."""
SCAN: Final[tuple[Role, ...]] = (
    "parameter", "input", "output", "output gradient", "input gradient", "gradient", "raw gradient",
)  # fmt: skip
"""The roles of one step in the order of time, for runs that recorded counts but no events."""


@dataclass(frozen=True, slots=True)
class Spoilt:
    """A tensor with non-finite values at a step, in the order in which they came.

    ``inputs``: of an output, which inputs of its call were looked at ("all", "positional", or "" for none).
    ``counted``: whether ``nan`` and ``inf`` are counts, and not only 1 for some: a device was not asked for more.
    ``after``: the module whose output was looked at last before, and was finite; None where that is not known.
    """

    step: int
    order: float
    key: SeriesKey
    nan: float
    inf: float
    rank: int = -1
    inputs: str = ""
    after: str | None = None
    counted: bool = True

    @property
    def word(self) -> str:
        """What it holds: "NaN", "Inf", or both."""
        return " and ".join(w for w, n in (("NaN", self.nan), ("Inf", self.inf)) if n) or "NaN"


def find(evidence: Evidence, bounds: Bounds) -> Iterator[Finding]:
    """Yield where non-finite values came from, whether the loss is one, and whether steps are skipped for them.

    The first tensor of the first step tells where they were born; others of that step and later ones
    are named with it, and all that are not finite at the newest measurement. Infinities alone that nothing follows (a mask of -inf) are no finding, nor are
    gradients that overflow in a step that a scaler skips, unless it skips many.

    Special values: runs without events are judged by their counts of ``nan`` and ``inf``.
    """
    skipped = [event.step for event in evidence.run.events if event.event.kind == "skipped"]
    spoilt = sorted(
        _from_events(evidence) or _from_counts(evidence), key=lambda s: (s.step, s.order)
    )
    # A scaler tries how far it can go: what it skips is how it finds out.
    tried = set(skipped)
    real = [s for s in spoilt if not (s.step in tried and s.key.role in BACKWARD)]
    harm = [s.step for s in real if _is_harm(s, tried)]
    bad_loss = _bad_loss(evidence)
    harm += [step for step, _ in bad_loss]
    # Infinities of the step before may be where the harm came from; older ones did none.
    first = min(harm, default=-1)
    born = [s for s in real if s.step >= first - 1] if harm else []
    if bad_loss and (
        not born or (_from_loss(evidence, born[0]) and bad_loss[0][0] <= born[0].step)
    ):
        step = bad_loss[0][0]
        also = others((s.key.path for s in born), "")
        yield _loss(evidence, *bad_loss[0], also, growth_before(evidence, step, bounds))
    elif born:
        # A batch that is not finite by itself was not made so by what grew.
        is_batch = born[0].key.role == "input" and not born[0].key.path
        grown = None if is_batch else growth_before(evidence, born[0].step, bounds)
        yield _finding(evidence, born, grown)
    yield from _skipping(evidence, skipped, bounds)


def _from_loss(evidence: Evidence, spoilt: Spoilt) -> bool:
    """Whether it is what the loss gives back, to the model or to the last module of it: nothing lies between."""
    path = spoilt.key.path
    is_last = any(f"{last}.".startswith(f"{path}.") for last in evidence.structure.last_modules)
    return spoilt.key.role == "output gradient" and (not path or is_last)


def _is_harm(spoilt: Spoilt, tried: set[int]) -> bool:
    """Whether a tensor does harm by itself: infinities on the way forward may be a mask's."""
    return bool(spoilt.nan) or spoilt.key.role not in FORWARD or spoilt.step in tried


def _from_events(evidence: Evidence) -> list[Spoilt]:
    return [
        _spoilt(at.step, at.rank, at.event)
        for at in evidence.run.events
        if at.event.kind == "non-finite"
    ]


def _spoilt(step: int, rank: int, event: Event) -> Spoilt:
    fields: Mapping[str, object] = event.fields
    role = fields.get("role")
    phase = fields.get("phase")
    key = SeriesKey(
        event.path,
        cast("Role", role) if role in get_args(Role) else "output",
        "nan" if _number(fields.get("nan")) else "inf",
        slot if isinstance(slot := fields.get("slot"), str) else "",
        int(_number(fields.get("call"))),
        "eval" if phase == "eval" else "train",
    )
    nan, inf = _number(fields.get("nan")), _number(fields.get("inf"))
    inputs, after = fields.get("inputs"), fields.get("after")
    return Spoilt(
        step,
        _number(fields.get("order")),
        key,
        nan,
        inf,
        rank,
        inputs if isinstance(inputs, str) else "",
        after if isinstance(after, str) else None,
        fields.get("counted") is not False,
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else 0.0


def _from_counts(evidence: Evidence) -> list[Spoilt]:
    """What the recorded counts say: the first measurement of each tensor that has any.

    Only of roles that have some at the newest measurement: a run that has met a NaN keeps it, and to look
    through all counts of all steps each time would cost more than all other rules.
    """
    found = []
    many = len(evidence.structure.order) + 1
    for turn, role in enumerate(SCAN):
        for kind in ("nan", "inf"):
            if not bool(np.any(evidence.run.column(role, kind).values > 0)):
                continue
            table = evidence.table(role, kind)
            positive = table.high > 0
            columns = np.flatnonzero(positive.any(axis=0))
            rows = np.argmax(positive[:, columns], axis=0)
            earliest = np.argsort(rows, kind="stable")[:MOST]
            for column, row in zip(
                columns[earliest].tolist(), rows[earliest].tolist(), strict=True
            ):
                key = table.keys[column]
                depth = evidence.structure.order.get(key.path, 0)
                # Inner modules end before those that hold them; back it goes in reverse.
                order = turn * many + (depth if role in FORWARD else many - depth)
                amount = float(table.high[row, column])
                nan, inf = (amount, 0.0) if kind == "nan" else (0.0, amount)
                found.append(Spoilt(int(table.steps[row]), order, key, nan, inf))
    return found


def _finding(evidence: Evidence, spoilt: list[Spoilt], grown: Rise | None) -> Finding:
    first = spoilt[0]
    key = first.key
    way = "forward" if key.role in FORWARD else "back"
    if key.role == "parameter":
        way = ""
    also = others([*(s.key.path for s in spoilt), *_spoilt_now(evidence, first.step)], key.path)
    here = f"the {_own(key)} of {evidence.place(key.path)}"
    if evidence.is_attached(key.path):
        # It is the one output that it has.
        here = here.removeprefix("the output of ").replace("output gradient", "gradient", 1)
    amount = first.nan + first.inf
    whole = (
        f", {round(amount):,} value{'' if amount == 1 else 's'}" if amount and first.counted else ""
    )
    rank = f" on rank {first.rank}" if evidence.run.world > 1 and first.rank >= 0 else ""
    entered = _entered(evidence, spoilt, first)
    is_batch = key.role == "input" and not key.path
    rose = "" if is_batch else rise_of_rate(evidence, first.step, first.step)
    return Finding(
        "non-finite",
        "bad",
        key.path,
        called(key),
        first.step,
        f"{first.word} first in {here}" + (f", on the way {way}." if way else "."),
        f"step {first.step}{rank}{whole}{entered}; {len(also)} more module{'' if len(also) == 1 else 's'} at that step or later{_before(grown)}{rose}",
        _advice(evidence, first, grown, rose=bool(rose)),
        also=also,
        series=(key,) if grown is None else (grown.key, key),
        rank=first.rank if evidence.run.world > 1 else -1,
    )


def _spoilt_now(evidence: Evidence, since: int) -> Iterator[str]:
    """Yield the modules whose newest counts, of that step or later, are not 0: events name the first few of a step.

    Infinities alone on the way forward may be a mask's, and are passed over.
    """
    for role in SCAN:
        for kind in ("nan",) if role in FORWARD else ("nan", "inf"):
            counts = evidence.run.column(role, kind)
            for at in np.flatnonzero((counts.values > 0) & (counts.steps >= since)).tolist():
                yield counts.keys[at].path


def _own(key: SeriesKey) -> str:
    if key.role in PARAMETER_ROLES:
        return {"parameter": f"{key.slot} itself", "update": f"update of {key.slot}"}.get(
            key.role, f"gradient of {key.slot}"
        )
    return called(key)


def _entered(evidence: Evidence, spoilt: list[Spoilt], first: Spoilt) -> str:
    """How it came into the module; inputs are called finite only where they were looked at."""
    path, after = first.key.path, first.after
    kind = "tensor that" if evidence.is_attached(after or "") else "module whose output"
    last = f", after {after} (the last {kind} was finite)" if after else ""
    if evidence.is_attached(path) and first.key.role == "output":
        return f", in the forward of {place(path.rpartition('.')[0])}{last}"
    if first.key.role == "input":
        if not path or after is None:
            return ""
        came = f", came into {path} with its input"
        if not after:
            return f"{came}, before any other module's output"
        return f"{came}; born between {after} and {path}{_whose(after, path)}"
    if first.key.role != "output":
        return ""
    same = (
        s for s in spoilt if s.step == first.step and s.key.role == "input" and s.key.path == path
    )
    if any(same):
        return ""
    if first.inputs:
        inside = (
            f", and so was {after} in it" if after and path and after.startswith(f"{path}.") else ""
        )
        return f", its {'' if first.inputs == 'all' else 'positional '}inputs were finite{inside}"
    return f", in {place(path)} or before it{last}"


def _whose(after: str, path: str) -> str:
    """Whose forward pass runs between a module's end and another's begin, where their paths tell."""
    holder = path.rpartition(".")[0]
    lead = f"{holder}." if holder else ""
    if not after.startswith(lead):
        return ""
    ended, _, deeper = after.removeprefix(lead).partition(".")
    end = f" or at the end of {lead}{ended}" if deeper else ""
    return f", in the forward of {place(holder)}{end}"


def _before(grown: Rise | None) -> str:
    """What grew before, for the reason."""
    return f"; before that, {grown}" if grown else ""


def _advice(evidence: Evidence, first: Spoilt, grown: Rise | None, *, rose: bool) -> str:
    if grown:
        return _against_growth(evidence, rose=rose)
    lower = "Try a lower learning rate from the checkpoint before it rose. Else: " if rose else ""
    return lower + _guard(evidence, first)


def _against_growth(evidence: Evidence, *, rose: bool) -> str:
    """What to try where the training ran away: no guard would have held it."""
    checkpoint = "from the checkpoint before it rose" if rose else "from a checkpoint before it"
    is_clipped = not evidence.clean("raw gradient", "l2").empty
    return f"Try a lower learning rate {checkpoint}{'' if is_clipped else ', or clip the gradient norm'}."


def _guard(evidence: Evidence, first: Spoilt) -> str:
    """What to look for where a value was lost at once."""
    key = first.key
    is_attached = evidence.is_attached(key.path)
    if key.role == "parameter":
        return "Look at the step before: its gradient or its learning rate was too large. Go back to a checkpoint."
    if key.role == "input" and not key.path:
        return "Check the batch of that step: the data themselves are not finite."
    if key.role in FORWARD and first.inf and not first.nan:
        return "Its values left what their dtype holds: scale them down before, or run it in bfloat16 or float32."
    if key.role in FORWARD:
        inside = "what makes it" if is_attached else "it"
        where = "what makes that input" if key.role == "input" else inside
        return (
            f"Look for a division, log, sqrt or softmax without a guard in {where}, "
            "or run it in float32."
        )
    if _from_loss(evidence, first):
        return LOSS
    if key.role == "input gradient":
        where = "it"
    else:
        # Of what comes back to an output, those that use it are to blame.
        fed = dict.fromkeys(
            target.path for source, target in evidence.run.edges.every if source.path == key.path
        )
        names = ", ".join(list(fed)[:3]) + (", ..." if len(fed) > 3 else "")
        behind = f"what its output feeds{names and f' ({names})'}"
        behind = "what is made of it" if is_attached else behind
        where = behind if key.role == "output gradient" else f"it or in {behind}"
    return f"Look for sqrt, norm or division at 0, or a masked softmax in {where}: their derivative is infinite there."


def _bad_loss(evidence: Evidence) -> list[tuple[int, SeriesKey]]:
    """The first step of each loss that is not finite."""
    found = []
    for key in evidence.losses:
        series = evidence.run.series(key)
        at = np.flatnonzero(~np.isfinite(series.values))
        if len(at):
            found.append((int(series.steps[at[0]]), key))
    return sorted(found)


def _loss(
    evidence: Evidence, step: int, key: SeriesKey, also: tuple[str, ...], grown: Rise | None
) -> Finding:
    return Finding(
        "non-finite",
        "bad",
        "",
        key.slot,
        step,
        f"The {key.slot} is not finite.",
        f"first at step {step}; no module's output was seen before that is not{_before(grown)}",
        _against_growth(evidence, rose=False) if grown else LOSS,
        also=also,
        series=(key,),
    )


def _skipping(evidence: Evidence, skipped: list[int], bounds: Bounds) -> Iterator[Finding]:
    newest = evidence.run.last_step
    steps = sorted({step for step in skipped if step > newest - bounds.skip_window})
    span = min(bounds.skip_window, newest - max(evidence.run.first_step, 0) + 1)
    if len(steps) <= bounds.skip_first or len(steps) <= bounds.skip_share * span:
        return
    yield Finding(
        "non-finite",
        "warn",
        "",
        "gradient scaler",
        steps[0],
        "The gradient scaler skips steps again and again.",
        f"{len(steps)} of the last {span} steps ({percent(len(steps) / span)}) were skipped; the bound is "
        f"{percent(bounds.skip_share)}",
        "Find the layer whose values leave float16 (its largest value nears 65504), or use bfloat16.",
    )
