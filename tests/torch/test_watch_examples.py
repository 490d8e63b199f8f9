# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Each watched example, and the demo: what goes wrong in it is found, and what is healthy is left alone."""

import runpy
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from kit.waiting import until

from gradtui.core.run.growing_run import GrowingRun
from gradtui.core.run.keys import SeriesKey
from gradtui.diagnosis.diagnose import diagnose
from gradtui.folder.history.kept import read_evolution
from gradtui.folder.history.reader import HistoryReader
from gradtui.folder.location import DebugFolder
from gradtui.torch.demo import training

EXAMPLES = Path(__file__).parents[2] / "examples"
TRIED = (
    "watch_digits", "vanishing_sigmoid", "exploding_rnn", "dead_relu", "nan_mixed_precision",
    "small_gpt", "ddp_two_ranks",
)  # fmt: skip


def example(name):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["train"]


def read(folder):
    reader, growing = HistoryReader(DebugFolder.at(folder)), GrowingRun()
    while (slices := reader.poll()) or reader.is_behind:
        for part in slices:
            growing.add(part.rank, part.entries)
    reader.close()
    assert reader.notes == ()
    return growing.run()


def found(run, *severities):
    return {
        (each.rule, each.path) for each in diagnose(run) if each.severity in (severities or "bad")
    }


def judged(run):
    """What is not merely a note."""
    return [each for each in diagnose(run) if each.severity != "note"]


def test_every_watched_example_is_tried():
    watched = {path.stem for path in EXAMPLES.glob("*.py") if "watch(" in path.read_text()}
    assert watched == set(TRIED)


@pytest.mark.parametrize("name", [name for name in TRIED if name != "ddp_two_ranks"])
def test_as_a_script(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, "--steps", "4", "--folder", str(tmp_path / "run")])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert capsys.readouterr().out
    run = read(tmp_path / "run")
    assert run.last_step == 3
    assert len(run.series(SeriesKey("", "run", "value", "loss"))) == 4


def test_healthy_digits_are_left_alone(tmp_path):
    assert example("watch_digits")(600, tmp_path / "run") > 0.95
    run = read(tmp_path / "run")
    assert judged(run) == []
    epochs = [each.step for each in run.events if each.event.kind == "epoch"]
    assert epochs == list(range(50, 601, 50))
    held_out = run.series(SeriesKey("", "run", "value", "held_out"))
    assert held_out.last > 0.95
    assert any(key.phase == "eval" for key in run.keys)


def test_features_of_the_digits_can_be_played(tmp_path):
    example("watch_digits")(60, tmp_path / "run")
    conv, weight = (read_evolution(tmp_path / "run", name) for name in ("conv1", "conv1.weight"))
    assert (conv.key.role, conv.shape) == ("output", (8, 8, 8))
    assert weight.shape == (8, 1, 3, 3)
    assert len(conv) >= 6
    maps = conv.maps()
    assert np.abs(maps[0][~np.isnan(maps[0])] - maps[-1][~np.isnan(maps[-1])]).max() > 0


def test_a_deep_sigmoid_network_vanishes_and_a_relu_one_does_not(tmp_path):
    train = example("vanishing_sigmoid")
    assert train(120, tmp_path / "sigmoid") > 2.2
    assert ("vanishing", "1") in found(read(tmp_path / "sigmoid"), "bad", "warn")
    train(150, tmp_path / "relu", "relu")
    assert judged(read(tmp_path / "relu")) == []


def test_a_recurrent_network_explodes_and_with_small_weights_it_does_not(tmp_path):
    train = example("exploding_rnn")
    train(240, tmp_path / "three")
    run = read(tmp_path / "three")
    assert ("exploding", "rnn") in found(run)
    norm = run.series(SeriesKey("rnn", "gradient", "l2", "weight_hh_l0"))
    assert norm.values[-20:].min() > 100 * norm.values[:100].max()
    train(240, tmp_path / "one", gain=1.0)
    assert judged(read(tmp_path / "one")) == []


def test_a_large_step_kills_a_relu_network_and_a_usual_one_does_not(tmp_path):
    train = example("dead_relu")
    train(120, tmp_path / "dead")
    assert {("dead units", "2"), ("dead units", "4")} <= found(read(tmp_path / "dead"))
    assert train(200, tmp_path / "alive", lr=0.05) < 2.0
    assert judged(read(tmp_path / "alive")) == []


def test_a_nan_of_half_precision_is_traced_to_where_it_was_born(tmp_path):
    train = example("nan_mixed_precision")
    assert np.isnan(train(60, tmp_path / "half", raw_from=20))
    run = read(tmp_path / "half")
    (born,) = (each for each in diagnose(run) if each.path == "attend.scores")
    assert (born.rule, born.severity, born.since) == ("non-finite", "bad", 20)
    skipped = [each.step for each in run.events if each.event.kind == "skipped"]
    assert skipped == list(range(20, 60))
    # The same data as bfloat16 are not what the network knows, but they are finite.
    assert np.isfinite(train(60, tmp_path / "brain", "bfloat16", raw_from=20))
    assert not any(each.rule == "non-finite" for each in diagnose(read(tmp_path / "brain")))


def test_a_small_gpt_is_left_alone_and_a_step_is_an_optimizer_step(tmp_path):
    assert example("small_gpt")(150, tmp_path / "run") < 1.5
    run = read(tmp_path / "run")
    assert run.last_step == 149
    assert judged(run) == []
    calls = {key.call for key in run.keys if key.path == "blocks.0.qkv" and key.role == "output"}
    assert calls == {0, 1, 2, 3}
    raw = run.series(SeriesKey("blocks.0.qkv", "raw gradient", "l2", "weight"))
    clipped = run.series(SeriesKey("blocks.0.qkv", "gradient", "l2", "weight"))
    assert (raw.values[5:60] >= clipped.values[5:60] * (1 - 1e-5)).all()
    assert raw.values[5:60].sum() > 1.05 * clipped.values[5:60].sum()
    rate = run.series(SeriesKey("", "run", "value", "lr.0"))
    assert rate.values[:40] == pytest.approx(3e-3 * np.arange(1, 41) / 40, rel=1e-5)


def test_two_ranks_write_into_one_folder(tmp_path):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "ddp_two_ranks.py"), "--steps", "30", "--folder", "run"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("last loss") == 2
    run = read(tmp_path / "run")
    assert [each.rank for each in run.ranks] == [0, 1]
    key = SeriesKey("module.conv2", "gradient", "l2", "weight")
    assert run.series(key, 0).values == pytest.approx(run.series(key, 1).values, rel=1e-6)
    assert judged(run) == []


def test_the_demo_goes_wrong_twice_and_recovers_once(tmp_path, capfd, monkeypatch):
    for name, step in (("GOES_WRONG", 60), ("TAKEN_BACK", 130), ("BLANK_FROM", 200), ("ENDS", 215)):
        monkeypatch.setattr(training, name, step)
    before = torch.get_rng_state()
    training.run(str(tmp_path / "run"), pace=1e9)
    torch.set_rng_state(before)
    assert [line.partition(":")[0] for line in capfd.readouterr().err.splitlines()] == [
        "a training of digits", "step 60", "step 130", "step 200", "the training ended",
    ]  # fmt: skip
    run = read(tmp_path / "run")
    loss = run.series(SeriesKey("", "run", "value", "loss"))
    assert loss.values[:60][-1] < 1 < loss.values[60:130].max()
    assert loss.values[130] < 1
    assert np.isnan(loss.values[-1])
    (born,) = (each for each in diagnose(run) if each.rule == "non-finite")
    assert (born.path, born.since, born.severity) == ("standardise", 200, "bad")


def test_the_demo_runs_as_a_child_and_ends_when_it_is_told(tmp_path):
    command = [sys.executable, "-m", "gradtui.torch.child", "demo:watch", "--folder", "run"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        reader = HistoryReader(DebugFolder.at(tmp_path / "run"))
        until(lambda: any(part.entries for part in reader.poll()), "the first records", 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    reader.close()
    assert [each.event.kind for each in read(tmp_path / "run").events][-1:] == ["closed"]
