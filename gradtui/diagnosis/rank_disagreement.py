"""Ranks that are missing, behind, slow, or that differ where they must be equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.run.keys import SeriesKey
from gradtui.diagnosis.endings import endings_of
from gradtui.diagnosis.finding import Finding
from gradtui.diagnosis.table import Table, middle, ongoing
from gradtui.diagnosis.words import and_more, others, ranks, short, since, times

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradtui.core.run.run import Run
    from gradtui.diagnosis.bounds import Bounds
    from gradtui.diagnosis.evidence import Evidence

SLOWER: Final = 1e-3
"""Seconds a step by which a rank may be slower, whatever the factor: nobody would look for less."""


def find(evidence: Evidence, bounds: Bounds) -> Iterator[Finding]:
    """Yield what the ranks of a distributed run do not agree on; nothing for one rank.

    Gradients and weights that are replicated are equal bit for bit after a reduction: their norms may
    differ by rounding alone. Shards differ, and are not compared.
    """
    run = evidence.run
    if run.world <= 1 or not run.ranks:
        return
    yield from _missing(run, bounds)
    yield from _behind(evidence, bounds)
    if len(run.ranks) > 1:
        yield from _slow(evidence, bounds)
        yield from _differing(evidence, bounds)
        yield from _apart(run, bounds)


def _missing(run: Run, bounds: Bounds) -> Iterator[Finding]:
    there = {rank.rank for rank in run.ranks}
    missing = [rank for rank in range(run.world) if rank not in there]
    # Ranks do not begin to write at the same moment.
    if missing and run.last_step >= bounds.rank_steps:
        yield Finding(
            "rank disagreement",
            "warn",
            "",
            f"rank {missing[0]}",
            max(run.first_step, 0),
            f"{ranks(missing)} {'has' if len(missing) == 1 else 'have'} written nothing.",
            f"{run.world} ranks were started, {len(there)} have a history here; the run is at step {run.last_step}",
            "Check that it runs, that it calls watch() too, and that it sees the same folder.",
            rank=missing[0],
        )


def _behind(evidence: Evidence, bounds: Bounds) -> Iterator[Finding]:
    run = evidence.run
    # Another rule tells of these.
    lost = {rank.rank for rank in endings_of(run, evidence.gone, bounds).lost}
    first = max(rank.last_step for rank in run.ranks)
    newest = max(rank.last_time for rank in run.ranks)
    for rank in run.ranks:
        if (
            first - rank.last_step >= bounds.rank_steps
            and newest - rank.last_time >= bounds.rank_seconds
            and rank.rank not in lost
        ):
            yield Finding(
                "rank disagreement",
                "warn",
                "",
                f"rank {rank.rank}",
                rank.last_step + 1,
                f"Rank {rank.rank} has stopped writing.",
                f"its last step is {rank.last_step}, that of the others {first}, "
                f"{newest - rank.last_time:.0f} s later; the bound is {bounds.rank_steps} steps",
                "Look at its log and at its disk: training may wait for it, or it may have gone on without its records.",
                rank=rank.rank,
            )


def _slow(evidence: Evidence, bounds: Bounds) -> Iterator[Finding]:
    """The time that a rank's modules take themselves: all else is as long on each rank as on the slowest one.

    A step waits for the reduction of its gradients, and the forward pass of a sharded model for each of its
    parts; so the times of leaf modules are added up, within which nobody waits.
    """
    forwards = {
        rank.rank: _forward(evidence.of_rank(rank.rank).table("module", "seconds"))
        for rank in evidence.run.ranks
    }
    medians = {
        rank: float(middle(times.last[-4 * bounds.rows :])[0])
        for rank, times in forwards.items()
        if len(times) >= bounds.rows
    }
    if len(medians) < 2:
        return
    for rank, seconds in medians.items():
        usual = float(np.median([value for other, value in medians.items() if other != rank]))
        if not (seconds > bounds.rank_slow * usual > 0 and seconds - usual > SLOWER):
            continue
        table = forwards[rank]
        start, count = ongoing(table.last > bounds.rank_slow * usual, table.known, bounds.rows)
        if count[0] < bounds.rows:
            continue
        factor = seconds / usual
        key = _slowest(evidence, rank)
        yield Finding(
            "rank disagreement",
            "warn",
            key.path,
            f"rank {rank}",
            since(table, int(start[0])),
            f"Rank {rank} is slow, and all others wait for it.",
            f"the modules of its forward pass take {1000 * seconds:.3g} ms, those of the others {1000 * usual:.3g} ms "
            f"({times(factor) if factor >= 10 else f'x{factor:.1f}'}), and {key.path or 'the model'} most of that; "
            f"the bound is x{bounds.rank_slow:g}",
            "Look at its device (clock, heat, other jobs) and at the sizes of its batches.",
            series=(key,),
            rank=rank,
        )


def _forward(table: Table) -> Table:
    """The time of all leaf modules together, as a table of one column."""
    own = _leaves(table.keys)
    seconds = table.last[:, own]
    known = ~np.isnan(seconds).all(axis=1, keepdims=True)
    total = np.where(known, np.nansum(seconds, axis=1, keepdims=True), np.nan)
    key = SeriesKey("", "module", "seconds")
    return Table((key,), table.steps, table.ends, total, total, total)


def _slowest(evidence: Evidence, rank: int) -> SeriesKey:
    """The leaf module that is farthest behind the same one on the other ranks."""
    medians = {}
    for each in evidence.run.ranks:
        table = evidence.of_rank(each.rank).table("module", "seconds")
        usual = middle(table.last)
        medians[each.rank] = {table.keys[i]: float(usual[i]) for i in _leaves(table.keys)}
    own = medians.pop(rank)

    def behind(key: SeriesKey) -> float:
        others = [found[key] for found in medians.values() if key in found]
        return float(np.nan_to_num(own[key] - (np.median(others) if others else 0.0)))

    return max(own, key=behind)


def _leaves(keys: Sequence[SeriesKey]) -> list[int]:
    """The places of the keys of modules in which no other timed module is."""
    outer = set()
    for path in {key.path for key in keys}:
        above = path
        while above:
            above = above.rpartition(".")[0]
            if above in outer:
                break
            outer.add(above)
    return [place for place, key in enumerate(keys) if key.path not in outer]


def _differing(evidence: Evidence, bounds: Bounds) -> Iterator[Finding]:
    whole = evidence.run.ranks
    reference = evidence.of_rank(whole[0].rank)
    for role in ("gradient", "parameter"):
        mine = reference.clean(role, "l2")
        columns = [
            i
            for i, key in enumerate(mine.keys)
            if (info := evidence.parameters.get((key.path, key.slot))) is not None
            and info.placement == "replicated"
        ]
        mine = mine.pick(columns)
        if mine.empty:
            continue
        for rank in whole[1:]:
            theirs = evidence.of_rank(rank.rank).clean(role, "l2")
            # Only rows that are of the same steps on both: others would compare different batches.
            same = np.isin(mine.ends, theirs.ends) & (mine.ends == mine.steps)
            other = evidence.aligned(theirs, mine)
            with np.errstate(invalid="ignore", divide="ignore"):
                off = np.abs(other.last - mine.last) / np.maximum(
                    np.abs(mine.last), np.abs(other.last)
                )
            off = np.where(np.maximum(mine.last, other.last) > 0, off, 0)
            known = mine.known & other.known & same[:, None]
            start, count = ongoing((off > bounds.rank_differs) & known, known, bounds.gap)
            bad = np.flatnonzero(count >= bounds.explode_rows)
            if len(bad):
                worst = int(bad[np.argmax(np.nan_to_num(off[-1, bad]))])
                row = int(np.flatnonzero(known[:, worst])[-1])
                key = mine.keys[worst]
                also = others([mine.keys[i].path for i in bad.tolist()], key.path)
                what = "gradient" if role == "gradient" else "weight"
                yield Finding(
                    "rank disagreement",
                    "bad",
                    key.path,
                    key.slot,
                    since(mine, int(start[bad].min())),
                    f"The {what} of {key.path or 'the model'}{and_more(also)} on rank {rank.rank} is not that of rank "
                    f"{whole[0].rank}.",
                    f"|{what}|2 {short(float(other.last[row, worst]))} against {short(float(mine.last[row, worst]))} at step "
                    f"{int(mine.ends[row])}; replicated ones may differ by {bounds.rank_differs:g}",
                    "Check that the module is wrapped by DDP, that no rank skips a step, and that all begin from one checkpoint.",
                    also=also,
                    series=(SeriesKey(key.path, role, "l2", key.slot),),
                    rank=rank.rank,
                )
                break


def _apart(run: Run, bounds: Bounds) -> Iterator[Finding]:
    """Nothing is replicated or sharded, and no weight is the same on two ranks: each trains a model of its own.

    Ranks that average their gradients themselves have equal weights; those of a pipeline have other modules, and those
    of a mixture of experts share some.
    """
    infos = [
        {(info.path, info.name): info.shape for info in rank.start.parameters if info.trainable}
        for rank in run.ranks
    ]
    if any(info.placement != "local" for rank in run.ranks for info in rank.start.parameters):
        return
    norms = []
    for rank in run.ranks:
        column = run.column("parameter", "l2", rank=rank.rank)
        numbers = zip(column.keys, column.steps.tolist(), column.values.tolist(), strict=True)
        norms.append({(key.path, key.slot): (step, value) for key, step, value in numbers})
    apart, said = [run.ranks[0]], ""
    for place, rank in enumerate(run.ranks[1:], 1):
        common = [name for name, shape in infos[0].items() if infos[place].get(name) == shape]
        pairs = [(norms[0].get(name), norms[place].get(name)) for name in common]
        known = [(a, b) for a, b in pairs if a and b and a[0] == b[0] and max(a[1], b[1]) > 0]
        # What is made equal is equal to the last bit.
        if not known or any(a[1] == b[1] for a, b in known):
            continue
        mine, other = max(known, key=lambda pair: abs(pair[0][1] - pair[1][1]))
        if not abs(mine[1] - other[1]) > bounds.rank_differs * max(mine[1], other[1]):
            continue
        apart.append(rank)
        said = said or (
            f"all {len(known)} weights that both have differ, one by |weight|2 {short(other[1])} against {short(mine[1])} "
            f"at step {mine[0]}, and none is replicated or sharded"
        )
    if said:
        both = f"Ranks {apart[0].rank} and {apart[1].rank}" if len(apart) == 2 else ranks(apart)
        yield Finding(
            "rank disagreement",
            "warn",
            "",
            f"rank {apart[1].rank}",
            max(run.first_step, 0),
            f"{both} train models of their own.",
            said if len(apart) == 2 else f"of ranks {apart[0].rank} and {apart[1].rank} {said}",
            "Wrap the model by DistributedDataParallel or fully_shard; if they are to be apart, give each a folder.",
            rank=apart[1].rank,
        )
