"""Parameters without a gradient: frozen, never used, cut off from the loss, or no longer reached."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from gradtui.core.run.keys import SeriesKey
from gradtui.diagnosis.cuts import Ways
from gradtui.diagnosis.finding import Finding
from gradtui.diagnosis.words import and_more, others, place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gradtui.core.arrays import Flags
    from gradtui.core.run.records import ParameterInfo
    from gradtui.diagnosis.bounds import Bounds
    from gradtui.diagnosis.evidence import Evidence
    from gradtui.diagnosis.finding import Severity

Cause: TypeAlias = Literal["frozen", "unused", "detached", "unheld", "unknown", "stopped", "held"]

SAID: Final[dict[Cause, tuple[Severity, str, str]]] = {
    "frozen": (
        "note",
        "frozen",
        "If it should learn, set requires_grad_(True) before the optimizer is made.",
    ),
    "unused": (
        "warn",
        "never used: the module is not called",
        "Call it in forward(), or take it out of the model: under DDP it stops the training.",
    ),
    "detached": (
        "warn",
        "cut off from the loss: the module is called, but no gradient comes back",
        "Look for detach(), no_grad(), .data, argmax or a conversion to numpy behind it.",
    ),
    "unheld": (
        "warn",
        "not trained, though a gradient comes back to the module's output",
        "Check that the optimizer holds it (was it made before this module was put in?), and that forward() uses it.",
    ),
    "unknown": (
        "warn",
        "without a gradient: not used, or cut off from the loss",
        "Look whether forward() calls it, and for detach(), no_grad() or argmax behind it.",
    ),
    "stopped": (
        "warn",
        "no longer reached by a gradient",
        "If it was not frozen on purpose, look for the branch that is not taken any more.",
    ),
    "held": (
        "note",
        "no longer trained, though a gradient comes back to the module's output",
        "If it should learn, set requires_grad_(True) again, and look whether forward() still uses it.",
    ),
}


MOST_APART: Final = 64
"""Modules of which each one's way is followed by itself, where they do not all end behind one: each walk costs."""


def find(evidence: Evidence, bounds: Bounds) -> Iterator[Finding]:
    """Yield the parameters without a gradient, by cause, each named by the largest subtree that it is all of.

    No gradient at all is not a gradient of zero: nothing was ever accumulated. What was excluded from watching,
    or runs that recorded no gradients, give nothing; parameters that are shared count where they are first.
    Those that got their first gradient long after the others did are a note with the steps until then.
    """
    table = evidence.table("gradient", "l2")
    frozen = [info for info in evidence.parameters.values() if not info.trainable]
    if table.empty:
        yield from _findings(evidence, "frozen", [(info, 0) for info in frozen])
        return
    known = table.known
    any_step = known.any(axis=1)
    steps = int(table.ends[-1] - table.steps[0]) + 1
    newest = int(table.ends[np.flatnonzero(any_step)[-1]]) if any_step.any() else -1
    column = {(key.path, key.slot): i for i, key in enumerate(table.keys)}
    seen: Flags = np.any(known, axis=0, keepdims=True)[0]
    last = np.where(seen, table.ends[len(known) - 1 - np.argmax(known[::-1], axis=0)], -1)
    trained = {place for place, at in column.items() if seen[at]}
    still_frozen = {info for info in frozen if (info.path, info.name) not in trained}
    never: list[ParameterInfo] = []
    stopped: list[tuple[ParameterInfo, int]] = []
    begun = table.steps[np.argmax(known, axis=0)]
    late: dict[int, list[ParameterInfo]] = {}
    for info in evidence.parameters.values():
        at = column.get((info.path, info.name), -1)
        # What was frozen when the run began may have been trained since.
        if info in still_frozen or (at < 0 and not _watched(evidence, info)):
            continue
        if at < 0 or not seen[at]:
            never.append(info)
            continue
        if newest - last[at] >= bounds.absent_steps:
            stopped.append((info, int(last[at]) + 1))
        if begun[at] - begun[seen].min() >= bounds.absent_steps:
            late.setdefault(int(begun[at]), []).append(info)
    first = max(int(table.steps[0]), 0)
    yield from _findings(evidence, "frozen", [(i, first) for i in frozen if i in still_frozen])
    if steps >= 2 * bounds.rows and any_step.any():
        by_cause: dict[Cause, list[tuple[ParameterInfo, int]]] = {}
        for info, cause in _with_causes(evidence, never):
            by_cause.setdefault(cause, []).append((info, first))
        yield from _findings(evidence, "unused", by_cause.get("unused", []))
        if cut := by_cause.get("detached", []):
            alive = {key.path for key, one in zip(table.keys, seen.tolist(), strict=True) if one}
            back = evidence.run.column("output gradient", "l2")
            told = np.flatnonzero(~np.isnan(back.values)).tolist()
            alive |= {back.keys[i].path for i in told}
            cuts, cut = _cuts(evidence, cut, alive)
            yield from cuts
            yield from _findings(evidence, "detached", cut)
        yield from _findings(evidence, "unheld", by_cause.get("unheld", []))
        yield from _findings(evidence, "unknown", by_cause.get("unknown", []))
    held = _held(evidence, stopped)
    yield from _findings(evidence, "stopped", [each for each in stopped if each not in held])
    yield from _findings(evidence, "held", [each for each in stopped if each in held])
    for step, infos in late.items():
        yield _late(evidence, infos, first, step)


def _late(evidence: Evidence, infos: list[ParameterInfo], first: int, begun: int) -> Finding:
    """What had its first gradient at one step, long after others: all of it is one note."""
    members = [(info.path, info.name) for info in infos]
    top, *further = _subtrees(evidence, members)
    many = len(members) > 1
    name = f"{len(members)} parameters" if many else members[0][1]
    return Finding(
        "no gradient", "note", top, name, first,
        f"{place(top)}{and_more(further)}: {name} {'were' if many else 'was'} not trained at first.",
        f"the first gradient came at step {begun}: {_listed(members)}",
        "If it was not frozen on purpose, look for the branch that was not taken until then.",
        until=begun - 1, also=others((*further, *(path for path, _ in members)), top),
        series=(SeriesKey(infos[0].path, "gradient", "l2", infos[0].name),),
    )  # fmt: skip


def _listed(members: Sequence[tuple[str, str]]) -> str:
    """The first parameters by name, and how many more."""
    more = f" and {len(members) - 3} more" if len(members) > 3 else ""
    return ", ".join(".".join(filter(None, member)) for member in members[:3]) + more


def _cuts(
    evidence: Evidence, chosen: list[tuple[ParameterInfo, int]], alive: set[str]
) -> tuple[list[Finding], list[tuple[ParameterInfo, int]]]:
    """Join modules that are cut off behind the same one: a finding for each such cut, and what is left."""
    by_path: dict[str, list[tuple[ParameterInfo, int]]] = {}
    for each in chosen:
        by_path.setdefault(each[0].path, []).append(each)
    ways = Ways(evidence.run.edges)
    behind = {ways.cut_behind(by_path, alive): list(by_path)}
    if "" in behind and len(by_path) <= MOST_APART:
        behind = {}
        for path in by_path:
            behind.setdefault(ways.cut_behind([path], alive), []).append(path)
    found = []
    for last, paths in behind.items():
        tops = list(_subtrees(evidence, [(i.path, i.name) for p in paths for i, _ in by_path[p]]))
        if not last or len(tops) < 2:
            continue
        infos = [each for path in paths for each in by_path.pop(path)]
        listed = ", ".join(f"{info.path}.{info.name}" for info, _ in infos[:3])
        more = f" and {len(infos) - 3} more" if len(infos) > 3 else ""
        severity, _, advice = SAID["detached"]
        found.append(
            Finding(
                "no gradient", severity, last, f"{len(infos)} parameters", infos[0][1],
                f"No gradient reaches {tops[0]}{and_more(tops[1:])}: the way to the loss is cut off behind {last}.",
                f"no gradient in any step, while others have one: {listed}{more}",
                advice.replace("behind it", f"behind {last}"), also=others(tops, last),
                series=(SeriesKey(infos[0][0].path, "gradient", "l2", infos[0][0].name),),
            )
        )  # fmt: skip
    return found, [each for left in by_path.values() for each in left]


def _held(
    evidence: Evidence, stopped: Sequence[tuple[ParameterInfo, int]]
) -> set[tuple[ParameterInfo, int]]:
    """Those to whose module's output a gradient still comes back: they were frozen, and nothing is cut off."""
    if not stopped:
        return set()
    back = evidence.table("output gradient", "l2")
    last = np.where(back.known, back.steps[:, None], -1).max(axis=0, initial=-1)
    newest: dict[str, int] = {}
    for key, step in zip(back.keys, last.tolist(), strict=True):
        newest[key.path] = max(int(step), newest.get(key.path, -1))
    return {(info, since) for info, since in stopped if newest.get(info.path, -1) >= since}


def _watched(evidence: Evidence, info: ParameterInfo) -> bool:
    return (info.path, info.name) in evidence.watched_parameters


def _with_causes(
    evidence: Evidence, never: Sequence[ParameterInfo]
) -> Iterator[tuple[ParameterInfo, Cause]]:
    """Yield parameters that never had a gradient with the reason, as far as it is known.

    Who is not called is known only of modules whose calls would have been recorded. What lies in a module that is called
    and has parameters of its own that are cut off may be used by it without a call, as attention does with its last layer.
    """
    if not never:
        return
    called = _called_modules(evidence)
    back = evidence.run.column("output gradient", "l2")
    reached = {back.keys[i].path for i in np.flatnonzero(~np.isnan(back.values)).tolist()}
    owners = {info.path for info in never if info.path} & called
    for info in never:
        if info.path in reached:
            yield info, "unheld"
        elif info.path in called or info.path.rpartition(".")[0] in owners:
            yield info, "detached"
        elif called and _calls_are_recorded(evidence, info.path):
            yield info, "unused"
        else:
            yield info, "unknown"


def _called_modules(evidence: Evidence) -> frozenset[str]:
    """Modules of which a call was recorded: an output, or how long it took."""
    called: set[str] = set()
    for role, quantity in (("output", "count"), ("output", "l2"), ("module", "seconds")):
        for phase in ("train", "eval"):
            for block in evidence.run.blocks(role, quantity, phase=phase):
                if not len(block.last):
                    continue
                some = ~np.isnan(block.last).all(axis=0)
                called.update(block.keys[i].path for i in np.flatnonzero(some).tolist())
    return frozenset(called)


def _calls_are_recorded(evidence: Evidence, path: str) -> bool:
    """Whether a module is among those that are looked at: by path or class, as `include` and `exclude` name them."""
    settings = evidence.run.start.settings if evidence.run.start else {}

    def named(option: str) -> bool:
        patterns = settings.get(option)
        given = patterns if isinstance(patterns, list | tuple) else ()
        kind = evidence.kinds.get(path, "")
        return any(fnmatchcase(path, str(each)) or kind == each for each in given)

    return (not settings.get("include") or named("include")) and not named("exclude")


def _findings(
    evidence: Evidence, cause: Cause, chosen: list[tuple[ParameterInfo, int]]
) -> Iterator[Finding]:
    if not chosen:
        return
    severity, said, advice = SAID[cause]
    mine = {(info.path, info.name): step for info, step in chosen}
    trees = _subtrees(evidence, mine)
    groups = [([top], members) for top, members in trees.items()]
    if cause == "frozen":
        # Of a large model all but a few layers may be: each by itself would bury what matters.
        groups = [(list(trees), [member for members in trees.values() for member in members])]
    for (top, *further), members in groups:
        names = [name for _, name in members]
        also = others((*further, *(path for path, _ in members)), top)
        whole = len(members) > 1
        name = f"{len(members)} parameters" if whole else names[0]
        what = f"{place(top)}{and_more(further)}: {name} {'are' if whole else 'is'} {said}."
        listed = _listed(members)
        why = {
            "frozen": f"requires_grad is off: {listed}",
            "unused": f"no call and no gradient in any step: {listed}",
            "detached": f"no gradient in any step, while others have one: {listed}",
            "unheld": f"no optimizer step had a gradient of it, while others have one: {listed}",
            "unknown": f"no gradient in any step, while others have one; no calls of it are recorded: {listed}",
        }.get(
            cause,
            f"the last gradient came at step {min(mine[m] for m in members) - 1}: {listed}",
        )
        first = SeriesKey(members[0][0], "gradient", "l2", members[0][1])
        since = min(mine[member] for member in members)
        yield Finding(
            "no gradient", severity, top, name, since, what, why, advice, also=also,
            series=() if cause == "frozen" else (first,),
        )  # fmt: skip


def _subtrees(
    evidence: Evidence, members: Iterable[tuple[str, str]]
) -> dict[str, list[tuple[str, str]]]:
    """Group parameters under the highest module all of whose parameters are among them."""
    total: dict[str, int] = {}
    mine: dict[str, int] = {}
    chosen = list(members)
    for counts, keys in ((total, evidence.parameters), (mine, chosen)):
        for path, _ in keys:
            for above in _up(path):
                counts[above] = counts.get(above, 0) + 1
    groups: dict[str, list[tuple[str, str]]] = {}
    for path, name in chosen:
        top = path
        for above in _up(path):
            if mine[above] < total.get(above, 0):
                break
            top = above
        groups.setdefault(top, []).append((path, name))
    return groups


def _up(path: str) -> Iterator[str]:
    """A path and all that hold it, the root last."""
    yield path
    while path:
        path = path.rpartition(".")[0]
        yield path
