# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""`watch` with a real folder: what a reader finds there, who owns it, and what a bad disk does."""

import errno
import json
import os
import subprocess
import sys

import pytest
import torch
from kit.watched import Watched, assert_same
from torch import nn

from gradtui.core.run.growing_run import GrowingRun
from gradtui.core.run.keys import SeriesKey
from gradtui.errors import UsageError
from gradtui.folder.adapter_state import read_adapter
from gradtui.folder.history.reader import HistoryReader
from gradtui.folder.location import DebugFolder
from gradtui.torch import attach, unwatch, watch


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))


def steps(model, optimizer, handle, count):
    for _ in range(count):
        optimizer.zero_grad()
        loss = model(torch.ones(2, 3)).square().sum()
        loss.backward()
        optimizer.step()
        handle.log(loss=loss)


def read(folder):
    reader, run = HistoryReader(DebugFolder.at(folder)), GrowingRun()
    while True:
        slices = reader.poll()
        for piece in slices:
            run.add(piece.rank, piece.entries)
        if not slices and not reader.is_behind:
            return run.run()


def test_a_run_is_read_back(tmp_path):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    with watch(model, optimizer, folder=tmp_path / "run", log_freq=5) as handle:
        state = read_adapter(DebugFolder.at(tmp_path / "run"))
        assert (state.alive, state.state) == (True, "training")
        steps(model, optimizer, handle, 12)
        handle.epoch()
    run = read(tmp_path / "run")
    assert not handle.problems
    loss = run.series(SeriesKey("", "run", "value", "loss"))
    assert len(loss.values) == 12
    assert loss.values[-1] < loss.values[0]
    assert run.series(SeriesKey("0", "update", "ratio", "weight")).values.min() > 0
    # All its values are in the sample: nothing is estimated.
    assert not run.sampled(SeriesKey("0", "update", "l2", "weight"))
    assert len(run.series(SeriesKey("0", "output", "l2")).values) == 3
    assert [m.path for m in run.modules] == ["", "0", "1", "2"]
    (made, used) = next(pair for pair in run.edges.pairs if pair[1].path == "1")
    assert (made.path, made.role, used.role) == ("0", "output", "input")
    assert read_adapter(DebugFolder.at(tmp_path / "run")).state == "stopped"


def test_a_second_model_has_a_folder_of_its_own(tmp_path):
    one, two = net(), net()
    with watch(one, folder=tmp_path) as a, watch(two, folder=tmp_path) as b:
        assert a.folder != b.folder
        for model in (one, two):
            model(torch.ones(1, 3)).sum().backward()
    assert read(a.folder).modules
    assert read(b.folder).modules
    with watch(one, folder=tmp_path) as again:
        assert again.folder == a.folder


def test_the_folder_of_another_process_is_left_alone(tmp_path, capsys):
    script = (
        "import sys, torch\n"
        "from gradtui.torch import watch\n"
        f"handle = watch(torch.nn.Linear(1, 1), folder={str(tmp_path)!r})\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdin
    assert other.stdout
    try:
        assert other.stdout.readline() == "ready\n"
        model = net()
        handle = watch(model, folder=tmp_path)
        assert not handle.active
        assert str(other.pid) in handle.problems[0]
        assert "not watching" in capsys.readouterr().err
        assert not model._forward_hooks
        model(torch.ones(1, 3)).sum().backward()
        handle.log(loss=1.0)
        handle.close()
    finally:
        other.communicate()
    assert other.returncode == 0


def test_unwatch_takes_everything_off(tmp_path):
    model = net()
    handle = watch(model, folder=tmp_path)
    unwatch(model)
    assert not handle.active
    assert not model[0]._forward_hooks
    assert not model[0].weight._post_accumulate_grad_hooks
    handle.close()


@pytest.mark.parametrize(
    "wrong", [{"log": "outputs"}, {"log_freq": 0}, {"bins": 7}, {"sample_n": 0}, {"folder": ""}]
)
def test_arguments_that_make_no_sense(tmp_path, wrong):
    with pytest.raises(UsageError):
        watch(net(), **{"folder": tmp_path, **wrong})


def test_only_what_is_asked_for(tmp_path):
    model = net()
    for log, roles in {
        ("io",): {"input", "output"},
        ("io_grad",): {"output gradient", "input gradient"},
        ("params",): {"parameter"},
        (): set(),
    }.items():
        with Watched(model, log=log, time_log=False) as watched:
            model(torch.ones(2, 3)).sum().backward()
        found = {key.role for _, key in watched.numbers()} - {"gradient", "run"}
        assert found == roles, log


def test_included_and_excluded_modules():
    model = net()
    with Watched(model, include=["Linear"], exclude=["2"]) as watched:
        model(torch.ones(2, 3)).sum().backward()
    paths = {key.path for _, key in watched.numbers() if key.role == "output"}
    assert paths == {"", "0"}
    assert watched.stats(0, "2", "gradient", "weight")


def test_attached_tensors():
    class Middle(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(3, 3), nn.Linear(3, 1)

        def forward(self, x):
            hidden = attach(self.one(x).tanh(), self, "hidden")
            self.seen = hidden
            return self.two(hidden) + 0 * self.two(attach(hidden * 2, self, "hidden"))

    torch.manual_seed(0)
    model = nn.Sequential(Middle())
    names = list(model.state_dict())
    with Watched(model) as watched:
        out = model(torch.ones(2, 3))
        model[0].seen.retain_grad()
        out.sum().backward()
        assert list(model.state_dict()) == names
        assert [n for n, _ in model.named_modules()] == ["", "0", "0.one", "0.two"]
    assert not watched.problems
    assert_same(watched.stats(0, "0.hidden", "output"), model[0].seen)
    assert_same(watched.stats(0, "0.hidden", "output gradient"), model[0].seen.grad)
    assert_same(watched.stats(0, "0.hidden", "output", call=1), 2 * model[0].seen)
    assert attach(3, model, "x") == 3
    plain = torch.ones(2)
    assert attach(plain, model, "x") is plain


def test_a_full_disk_does_not_end_the_training(tmp_path):
    """A folder that turns read-only stands for a disk without room: records are dropped, and the training goes on."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    with watch(model, optimizer, folder=tmp_path / "run", log_freq=1) as handle:
        steps(model, optimizer, handle, 2)
        handle.flush()
        history = tmp_path / "run" / "gradtui" / "history"
        moved = history.rename(tmp_path / "gone")
        history.write_text("in the way")
        steps(model, optimizer, handle, 3)
        handle.flush()
    assert handle.step == 5
    assert moved.exists()


@pytest.mark.parametrize("more", [0, 3])
def test_what_a_full_disk_has_dropped_is_counted(tmp_path, monkeypatch, more):
    """There is room again before the end: for a few more steps, or only for the count."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    with watch(model, optimizer, folder=tmp_path / "run", log_freq=1) as handle:
        writer = handle._place.writer
        steps(model, optimizer, handle, 2)
        handle.flush()
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            steps(model, optimizer, handle, 3)
            handle.flush()
            assert writer.dropped > 0
            assert "no space" in writer.problem
            steps(model, optimizer, handle, 1)
            handle.flush()
        (problem,) = handle.problems
        assert problem.startswith("records are dropped: ")
        assert problem.endswith("no space left on device")
        for _ in range(more):
            steps(model, optimizer, handle, 1)
            handle.flush()
    assert handle.step == 6 + more
    assert handle.problems[1:] == [f"{writer.dropped} records were dropped: they found no room"]
    told = [e.event for e in read(tmp_path / "run").events if e.event.kind == "dropped"]
    assert sum(event.fields["records"] for event in told) == writer.dropped


def test_a_forked_worker_is_silent(tmp_path):
    model = net()
    with watch(model, folder=tmp_path, log_freq=1) as handle:
        model(torch.ones(1, 3)).sum().backward()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                model(torch.ones(1, 3)).sum().backward()
                handle.close()
                code = int(handle.active)
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert handle.active
    assert read(tmp_path).last_step == 0


def test_a_script_that_forgets_to_close(tmp_path):
    script = (
        "import torch\n"
        "from gradtui.torch import watch\n"
        "model = torch.nn.Linear(2, 1)\n"
        "optimizer = torch.optim.SGD(model.parameters(), 0.1)\n"
        f"handle = watch(model, optimizer, folder={str(tmp_path)!r})\n"
        "for _ in range(3):\n"
        "    model(torch.ones(1, 2)).sum().backward()\n"
        "    optimizer.step()\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)
    assert read(tmp_path).last_step == 2
    state = json.loads((tmp_path / "gradtui" / "adapter.json").read_text())
    assert state["state"] == "stopped"
