"""Real trainings under torchrun, on the CPU with gloo: what all ranks wrote together is what one process sees.

Few starts do for the whole file: the first runs many trainings, one after the other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from kit import rank_training
from torch import nn

from gradtui.core.run.keys import VALUES, SeriesKey
from gradtui.diagnosis.diagnose import diagnose
from gradtui.folder.adapter_state import read_adapter
from gradtui.folder.generation import AdapterWriter
from gradtui.folder.history.segments import rank_path
from gradtui.folder.location import DebugFolder
from gradtui.store.run.whole import read_run

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="torch without gloo",
)
PARTS = (
    "ddp", "clipped", "accumulated", "inner", "fsdp", "fsdp_clipped", "sharded_later", "several", "straggler",
    "differs", "missing", "stopped", "foreign",
)  # fmt: skip
STEPS = list(range(rank_training.STEPS))
LOGGED = STEPS[:: rank_training.LOG_FREQ]


def torchrun(root, parts, *options, ranks=2):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={ranks}", *options, rank_training.__file__, str(root), *parts]
    paths = [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """All trainings but the one that is killed."""
    made = tmp_path_factory.mktemp("ranks")
    with AdapterWriter(str(made / "foreign")):
        torchrun(made, PARTS)
    return made


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """A training of four ranks, sharded over pairs of them."""
    made = tmp_path_factory.mktemp("four")
    torchrun(made, ["hybrid"], ranks=4)
    return made


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The same training in one process, with whole batches and whole tensors; and one with clipping."""
    made = tmp_path_factory.mktemp("alone")
    rank_training.train(rank_training.net(), str(made / "plain"))
    rank_training.train(rank_training.net(), str(made / "clipped"), clip=1.0)
    return {name: read_run(made / name).run for name in ("plain", "clipped")}


@pytest.fixture(scope="module")
def restarted(tmp_path_factory):
    """A training of which a rank was killed, and that was started again."""
    made = tmp_path_factory.mktemp("restarted")
    torchrun(made, ["killed"], "--max-restarts=1")
    return made


def run_of(root, name):
    return read_run(root / name).run


def path_under(prefix, path):
    return f"{prefix}.{path}" if path and prefix else prefix or path


def agree(run, alone, roles, prefix="", factor=1.0, quantities=None):
    """Every series of some roles of one process is there, with the same numbers to 1e-5 of the tensor's size."""
    compared = 0
    for key in alone.keys:
        if key.role not in roles or key.quantity in ("dead", "units", "seconds"):
            continue
        if quantities is not None and key.quantity not in quantities:
            continue
        theirs = run.series(
            SeriesKey(
                path_under(prefix, key.path),
                key.role,
                key.quantity,
                key.slot,
                key.call,
            )
        )
        mine = alone.series(key)
        np.testing.assert_array_equal(theirs.steps, mine.steps, err_msg=str(key))
        scale = 1.0 if key.quantity in ("count", "zeros", "nan", "inf") else factor
        size = np.abs(alone.series(key.of("l2")).values).max(initial=1e-3) * factor
        np.testing.assert_allclose(
            theirs.values, mine.values * scale, rtol=1e-5, atol=1e-5 * size, err_msg=str(key)
        )
        compared += 1
    assert compared, (roles, prefix)


@pytest.mark.parametrize(
    ("name", "prefix"), [("ddp", "module"), ("inner", ""), ("fsdp", ""), ("sharded_later", "")]
)
def test_the_parameters_of_all_ranks_are_those_of_one_process(root, alone, name, prefix):
    run = run_of(root, name)
    assert run.world == len(run.ranks) == 2
    assert run.last_step == STEPS[-1]
    agree(run, alone["plain"], ("gradient", "parameter"), prefix)
    if name != "sharded_later":  # its updates are those of samples, of each rank's own
        agree(run, alone["plain"], ("update",), prefix)


@pytest.mark.parametrize(
    ("name", "prefix"), [("ddp", "module"), ("inner", ""), ("fsdp", ""), ("sharded_later", "")]
)
def test_activations_are_those_of_the_whole_batch(root, alone, name, prefix):
    run = run_of(root, name)
    agree(run, alone["plain"], ("input", "output"), prefix)
    # Each rank's loss is the mean over its part: the gradient of the whole is half of it.
    agree(run, alone["plain"], ("input gradient", "output gradient"), prefix, factor=2.0)


def test_shards_that_several_ranks_hold_count_once(four, alone):
    run = run_of(four, "hybrid")
    assert run.world == len(run.ranks) == 4
    agree(run, alone["plain"], ("gradient", "parameter", "update", "input", "output"))
    agree(run, alone["plain"], ("input gradient", "output gradient"), factor=4.0)
    norm = SeriesKey("", "run", "value", "grad_norm")
    found, wanted = run.series(norm), alone["plain"].series(norm)
    np.testing.assert_allclose(found.values, wanted.values, rtol=1e-5)
    weight = SeriesKey("inner.0", "parameter", VALUES, "weight")
    mine = alone["plain"].histogram(weight, steps=(0, 0))
    assert run.histogram(weight, steps=(0, 0)).counts.sum() == mine.counts.sum()
    assert diagnose(run) == ()


@pytest.mark.parametrize(("name", "prefix"), [("ddp", "module"), ("fsdp", "")])
def test_histograms_of_ranks_are_those_of_the_whole(root, alone, name, prefix):
    """Before the first step all values are the same bits: every bin of weights has the same count."""
    run = run_of(root, name)
    compared = 0
    for key in alone["plain"].histogram_keys:
        theirs = SeriesKey(path_under(prefix, key.path), key.role, key.quantity, key.slot, key.call)
        mine = alone["plain"].histogram(key, steps=(0, 0))
        found = run.histogram(theirs, steps=(0, 0))
        assert found.counts.sum() == mine.counts.sum() > 0, key
        if key.role == "parameter":
            assert key.quantity == VALUES
            assert (found.low, found.width) == (mine.low, mine.width)
            np.testing.assert_array_equal(found.counts, mine.counts)
            compared += 1
    assert compared == 9


@pytest.mark.parametrize(("name", "placement"), [("ddp", "replicated"), ("fsdp", "sharded")])
def test_what_a_parameter_is(root, alone, name, placement):
    run = run_of(root, name)
    shapes = {info.name: info.shape for info in alone["plain"].parameters if info.path == "inner.0"}
    for info in run.parameters:
        assert info.placement == placement
        if info.path.endswith("inner.0"):
            assert info.shape == shapes[info.name]
    held = [sum(info.count for info in rank.start.parameters) for rank in run.ranks]
    count = sum(info.count for info in alone["plain"].parameters)
    assert held == [count, count] if name == "ddp" else sum(held) == count
    if name == "fsdp":
        assert run.kinds["inner.0"] == "Linear"
        assert run.ranks[0].start.model == "Net"
        # A bias of one value lies on rank 0 alone.
        assert [rank.start.parameters[-1].count for rank in run.ranks] == [1, 0]


def test_ranks_are_also_told_apart(root, alone):
    ddp, fsdp = run_of(root, "ddp"), run_of(root, "fsdp")
    weight = SeriesKey("module.twice", "gradient", "l2", "weight")
    for rank in (0, 1):
        np.testing.assert_array_equal(ddp.series(weight, rank).values, ddp.series(weight).values)
    shard = SeriesKey("twice", "gradient", "l2", "weight")
    parts = [fsdp.series(shard, rank).values for rank in (0, 1)]
    assert (parts[0] < fsdp.series(shard).values).all()
    np.testing.assert_allclose(np.hypot(*parts), fsdp.series(shard).values, rtol=1e-6)
    rows = SeriesKey("", "input", "count")
    whole = ddp.series(rows)
    assert whole.steps.tolist() == LOGGED
    assert set(ddp.series(rows, 1).values) == {rank_training.BATCH * 7 / 2}
    assert set(whole.values) == {rank_training.BATCH * 7}


@pytest.mark.parametrize(("name", "prefix"), [("ddp", "module"), ("fsdp", "")])
def test_scalars_of_the_run(root, alone, name, prefix):
    run = run_of(root, name)
    for slot in ("loss", "lr.0", "grad_norm"):
        key = SeriesKey("", "run", "value", slot)
        found, wanted = run.series(key), alone["plain"].series(key)
        assert found.steps.tolist() == STEPS
        np.testing.assert_allclose(found.values, wanted.values, rtol=1e-5)
    # Without clipping there is no norm before it: a reduction is no change of ours.
    assert run.series(SeriesKey("", "run", "value", "grad_norm_raw")).empty


@pytest.mark.parametrize(("name", "prefix"), [("clipped", "module"), ("fsdp_clipped", "")])
def test_clipping_is_seen_behind_the_reduction(root, alone, name, prefix):
    run = run_of(root, name)
    for slot in ("grad_norm", "grad_norm_raw"):
        key = SeriesKey("", "run", "value", slot)
        found, wanted = run.series(key), alone["clipped"].series(key)
        np.testing.assert_array_equal(found.steps, wanted.steps)
        np.testing.assert_allclose(found.values, wanted.values, rtol=1e-5)
    norms = run.series(SeriesKey("", "run", "value", "grad_norm_raw")).values
    assert norms.max() > 1.0
    agree(run, alone["clipped"], ("gradient", "raw gradient"), prefix)


def test_accumulated_gradients_are_read_when_they_are_whole(root, alone):
    run = run_of(root, "accumulated")
    assert run.last_step == STEPS[-1]
    agree(run, alone["plain"], ("gradient",), "module", quantities=("l2", "nan", "inf"))
    assert run.series(SeriesKey("", "run", "value", "grad_norm_raw")).empty
    # Two calls a step, each with half of the rows.
    (first, second) = (SeriesKey("", "input", "count", "", call) for call in (0, 1))
    assert run.latest(first) == run.latest(second) == rank_training.BATCH * 7 / 2


def test_training_is_what_it_was(root):
    for rank in (0, 1):
        watched, bare = json.loads((root / f"losses-{rank}.json").read_text())
        assert watched == bare


@pytest.mark.parametrize(
    "name", ["ddp", "clipped", "accumulated", "inner", "fsdp", "fsdp_clipped", "several"]
)
def test_healthy_ranks_are_silent(root, name):
    assert diagnose(run_of(root, name)) == ()


@pytest.mark.parametrize("name", [*PARTS[:-1]])
def test_ranks_know_that_they_are_one_run(root, name):
    run = run_of(root, name)
    assert len({rank.start.run for rank in run.ranks}) == 1
    assert len({rank.start.pid for rank in run.ranks}) == len(run.ranks)
    # Rank 0 alone is the folder's adapter, and it has ended.
    adapter = read_adapter(DebugFolder.at(root / name))
    assert adapter.pid == run.ranks[0].start.pid
    assert adapter.state == "stopped"


def test_it_is_said_whose_a_gradient_is(root):
    (ddp,), (fsdp,) = read_run(root / "ddp").notes, read_run(root / "fsdp").notes
    assert "mean of 2 ranks" in ddp
    assert "a part of the parameters" in fsdp
    for note in (ddp, fsdp):
        assert note.endswith("gradients of inputs and outputs are of each rank's own loss")


def only(run):
    return [found for found in diagnose(run) if found.rule == "rank disagreement"]


def test_a_straggler_is_found_although_all_wait_for_it(root):
    (found,) = only(run_of(root, "straggler"))
    assert (found.rank, found.severity, found.path) == (1, "warn", "inner.3")
    assert "Rank 1 is slow" in found.what


def test_a_gradient_that_differs_is_found(root):
    gradient, *rest = only(run_of(root, "differs"))
    assert (gradient.rank, gradient.severity) == (1, "bad")
    assert (gradient.path, gradient.name, gradient.since) == ("module.twice", "weight", 8)
    assert gradient.what.startswith("The gradient of module.twice")
    # The weights follow, one step later.
    assert all(found.since > 8 and found.what.startswith("The weight") for found in rest)


def test_a_rank_that_is_missing_is_found(root):
    whole = read_run(root / "missing")
    (found,) = only(whole.run)
    assert (found.rank, found.severity) == (1, "warn")
    assert found.what == "Rank 1 has written nothing."
    assert "nothing from rank 1" in whole.notes


def test_a_rank_that_stopped_is_found(root):
    (found,) = only(run_of(root, "stopped"))
    assert (found.rank, found.since) == (1, 5)
    assert found.what == "Rank 1 has stopped writing."


def test_several_models_and_runs_in_one_process(root):
    whole = read_run(root / "several")
    assert whole.run.last_step == STEPS[-1]
    assert whole.run.ranks[0].start.model == "DistributedDataParallel"
    assert whole.notes[0].startswith("an older run is in this folder too; the newest is shown")
    other = run_of(root, "several/DistributedDataParallel")
    assert [info.shape for info in other.parameters] == [(2, 7), (2,)]
    assert len(other.ranks) == 2
    assert other.latest(SeriesKey("", "run", "value", "name")) == 1.0
    # The two that ran at once are two runs.
    assert other.ranks[0].start.run != whole.run.ranks[0].start.run


def test_no_rank_writes_where_another_adapter_lives(root):
    folder = DebugFolder.at(root / "foreign")
    assert not folder.history.exists()


def test_a_killed_rank_leaves_what_it_wrote(restarted):
    whole = read_run(restarted / "killed_first")
    assert len(whole.run.ranks) == 2
    assert [rank.last_step for rank in whole.run.ranks] == [2, 2]
    weight = SeriesKey("twice", "gradient", "l2", "weight")
    for rank in (0, 1):
        assert whole.run.series(weight, rank).steps.tolist() == [0, 1, 2]
    assert whole.notes == ()


def test_a_restart_is_a_run_of_its_own(restarted):
    whole = read_run(restarted / "killed")
    assert whole.run.world == len(whole.run.ranks) == 2
    assert [rank.last_step for rank in whole.run.ranks] == [STEPS[-1]] * 2
    # The launcher alone gave the name: there was no process group.
    assert len({rank.start.run for rank in whole.run.ranks}) == 1
    # Nothing made their weights equal.
    (apart,) = diagnose(whole.run)
    assert apart.what == "Ranks 0 and 1 train models of their own."
    assert any(
        note.startswith("an older run is in this folder too; the newest is shown")
        for note in whole.notes
    )
    first = run_of(restarted, "killed_first")
    assert first.ranks[0].start.run != whole.run.ranks[0].start.run
    for rank in (0, 1):
        assert (
            len(list(rank_path(DebugFolder.at(restarted / "killed").history, rank).iterdir())) == 2
        )


def test_a_restart_with_fewer_ranks(restarted):
    """The folder of the two is gone on with by one process: what the other rank left is not of this run."""
    folder = restarted / "killed"
    rank_training.train(nn.Sequential(nn.Linear(7, 1)), str(folder))
    whole = read_run(folder)
    assert whole.run.world == len(whole.run.ranks) == 1
    assert [info.path for info in whole.run.parameters] == ["0", "0"]
    assert diagnose(whole.run) == ()
    assert not any("rank" in note for note in whole.notes)
