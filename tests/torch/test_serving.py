# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""The served loop: in a thread for its behaviour, in a real process for its life and death."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from kit.loading import session_of
from kit.waiting import until
from torch import nn

from gradtui.folder.adapter_state import read_adapter
from gradtui.folder.commit import read_commit, write_generation
from gradtui.folder.location import DebugFolder
from gradtui.folder.npy import encode_npy
from gradtui.folder.requests import ask, read_answer
from gradtui.torch import DebugAdapter


def save(folder, array):
    """What the viewer does when it saves."""
    answers = read_commit(folder, "adapter").generation
    commit = write_generation(
        folder, "viewer", {"input_representation.npy": encode_npy(array)}, answers=answers
    )
    return commit.generation


def answered(folder, number):
    return lambda: (
        (commit := read_commit(folder, "adapter")).answers == number and commit.generation
    )


class Touchy(nn.Module):
    """Refuses negative inputs."""

    def __init__(self):
        super().__init__()
        self.a, self.norm, self.b = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)

    def forward(self, x):
        if (x < 0).any():
            raise ValueError("negative ink\nsecond line")
        return self.b(self.norm(self.a(x)).tanh()).square()


@contextmanager
def served(tmp_path, **options):
    adapter = DebugAdapter(Touchy(), folder=tmp_path / "d", **options)
    stop = threading.Event()
    thread = threading.Thread(target=lambda: adapter.serve(stop=stop.is_set))
    thread.start()
    try:
        yield adapter, DebugFolder.at(tmp_path / "d")
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


def test_a_generation_for_every_save(tmp_path):
    with served(tmp_path, inputs=torch.ones(3, 4)) as (_, folder):
        until(answered(folder, 0), "the first generation")
        first = session_of(folder)
        assert first.input.shape == (3, 4)
        array = np.arange(12, dtype=np.float32).reshape(3, 4)
        for k in range(1, 4):
            number = save(folder, array * k)
            until(answered(folder, number), "the next generation")
        session = session_of(folder)
        assert session.generation == 4
        assert (session.input == array * 3).all()
        assert not np.allclose(session.target, first.target)
        # The same values saved again are a save as well.
        until(answered(folder, save(folder, array * 3)), "the generation after the same input")
    state = read_adapter(folder)
    assert (state.state, state.generation) == ("stopped", 5)


def test_an_input_of_another_program_counts(tmp_path):
    with served(tmp_path, inputs=torch.ones(3, 4)) as (_, folder):
        until(answered(folder, 0), "the first generation")
        np.save(folder.input, np.full((3, 4), 2.5, dtype=np.float32))
        until(lambda: read_adapter(folder).message == "generation 2", "the next generation")
        assert (session_of(folder, settle=0).input == 2.5).all()


def test_an_error_is_told_and_the_next_save_tries_again(tmp_path):
    with served(tmp_path) as (_, folder):
        until(lambda: "no input yet" in read_adapter(folder).message, "the wish for an input")
        save(folder, -np.ones((2, 4), dtype=np.float32))
        until(lambda: read_adapter(folder).error, "the failure")
        state = read_adapter(folder)
        assert (state.alive, state.state) == (True, "serving")
        assert state.message == "ValueError: negative ink"
        assert "in forward" in state.error
        number = ask(folder, "flow-row", pair=["a", "b"], node=0)
        until(lambda: read_answer(folder, number).status == "refused", "a refusal")
        number = save(folder, np.ones((2, 4), dtype=np.float32))
        until(answered(folder, number), "the generation after the failure")
        until(lambda: not read_adapter(folder).error, "the end of the failure")
        number = save(folder, np.ones((2, 5), dtype=np.float32))
        until(lambda: read_adapter(folder).error, "the failure")
        assert "shapes" in read_adapter(folder).message


def test_requests_of_every_kind(tmp_path):
    torch.manual_seed(0)
    inputs = torch.rand(3, 4)
    with served(tmp_path, inputs=inputs) as (adapter, folder):
        until(answered(folder, 0), "the first generation")
        flow = session_of(folder).pairs_to("b")[0].flow
        asked = {
            "row": ask(folder, "flow-row", pair=["a", "b"], node=5),
            "column": ask(folder, "flow-column", pair=["a", "b"], node=4),
            "weight": ask(folder, "tensor", module="a", what="weight"),
            "running": ask(folder, "tensor", module="norm", what="running_mean"),
            "activation": ask(folder, "tensor", module="a", what="activation", call=0),
            "gradient": ask(folder, "tensor", module="a"),
        }
        refused = [
            ask(folder, "flow-row", pair=["b", "a"], node=0),
            ask(folder, "flow-row", pair=["a", "b"], node=12),
            ask(folder, "flow-row", pair="ab", node=1),
            ask(folder, "flow-column", pair=["a", "b"], node="x"),
            ask(folder, "tensor", module="nope", what="weight"),
            ask(folder, "tensor", module="a", what="nope"),
            ask(folder, "tensor", module="a", what="activation", call=3),
            ask(folder, "later"),
        ]
        answers = {
            name: until(lambda n=n: (a := read_answer(folder, n)).status != "waiting" and a, name)
            for name, n in asked.items()
        }
        assert {a.status for a in answers.values()} == {"done"}, answers
        assert answers["row"].fields["generation"] == 1
        values = {name: a.arrays["values"] for name, a in answers.items()}
        expected = np.zeros(9)
        row = flow.row(5)
        expected[row.targets] = row.values
        np.testing.assert_allclose(values["row"], expected, rtol=1e-4, atol=1e-6)
        expected = np.zeros(12)
        column = flow.column(4)
        expected[column.sources] = column.values
        np.testing.assert_allclose(values["column"], expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(values["weight"], adapter.model.a.weight.detach())
        assert (values["running"] == 0).all()
        np.testing.assert_allclose(values["activation"], adapter.model.a(inputs).detach())
        assert values["gradient"].shape == (3, 4)
        for n in refused:
            until(lambda n=n: read_answer(folder, n).status == "refused", f"request {n} refused")
            assert read_answer(folder, n).reason


def test_a_row_without_a_second_derivative_comes_by_columns(tmp_path):
    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, g):
            return g * 2

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x):
            return self.b(Custom.apply(self.a(x)))

    adapter = DebugAdapter(Net(), folder=tmp_path / "d", inputs=torch.rand(1, 3), max_links=2)
    stop = threading.Event()
    thread = threading.Thread(target=lambda: adapter.serve(stop=stop.is_set))
    thread.start()
    try:
        folder = adapter.folder
        until(answered(folder, 0), "the first generation")
        number = ask(folder, "flow-row", pair=["a", "b"], node=1)
        until(lambda: read_answer(folder, number).status == "done", "the row")
        weight = adapter.model.b.weight.detach().numpy()
        np.testing.assert_allclose(
            read_answer(folder, number).arrays["values"], 2 * weight[:, 1], rtol=1e-5
        )
    finally:
        stop.set()
        thread.join(20)


SPEC = """
import torch
from torch import nn

def make(progress):
    progress(0.5, "half way")
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2)), torch.ones(1, 3)

def broken():
    raise RuntimeError("no such data")

def nothing():
    return 7
"""


@contextmanager
def child(tmp_path, name="make"):
    (tmp_path / "net.py").write_text(SPEC)
    process = subprocess.Popen(
        [
            sys.executable,
            "-W",
            "error",
            "-m",
            "gradtui.torch.child",
            f"{tmp_path}/net.py:{name}",
            "--folder",
            str(tmp_path / "d"),
        ],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, DebugFolder.at(tmp_path / "d")
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, "stdin"])
def test_the_child_serves_and_ends(tmp_path, how):
    with child(tmp_path) as (process, folder):
        until(lambda: load_state(folder) == "serving", "the child's first generation", 60)
        number = save(folder, np.full((1, 3), 2, dtype=np.float32))
        until(answered(folder, number), "the answer to a save")
        until(lambda: read_adapter(folder).generation == 2, "the word of it")
        if how == "stdin":
            process.stdin.close()
            process.stdin = None
        else:
            process.send_signal(how)
        _, lines = process.communicate(timeout=60)
        assert process.returncode == 128 + (15 if how == "stdin" else how)
        assert "half way" in lines
        assert "Traceback" not in lines
        state = read_adapter(folder)
        assert (state.state, state.generation, state.alive) == ("stopped", 2, False)


def test_a_write_is_not_cut_in_two():
    program = (
        "import os, signal, sys\n"
        "from gradtui.torch.lifeline import Ended, lifeline, undisturbed\n"
        "steps = []\n"
        "try:\n"
        "    with lifeline(), undisturbed():\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        steps.append('whole')\n"
        "except Ended as ended:\n"
        "    steps.append(ended.code)\n"
        "assert steps == ['whole', 143], steps\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def load_state(folder):
    return read_adapter(folder).state


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [("broken", 1, "no such data"), ("nothing", 2, "returned an int"), ("gone", 2, "'gone'")],
)
def test_a_child_that_can_not_start_says_why(tmp_path, name, code, words):
    with child(tmp_path, name) as (process, folder):
        # Its standard input stays open: closing it is the end of the parent.
        lines = process.stderr.read()
        assert process.wait(60) == code
        assert words in lines
        state = read_adapter(folder)
        assert state.state == "failed"
        assert words in state.message
        assert not state.alive


def test_the_child_needs_no_screen(tmp_path):
    program = (
        "import sys\n"
        "for name in ('textual', 'rich', 'watchfiles', 'plotext', 'platformdirs'):\n"
        "    sys.modules[name] = None\n"
        "import gradtui.torch.child, gradtui.torch.factory, gradtui.torch.serving\n"
        "import gradtui.torch.capturing, gradtui.torch.demo.digits\n"
        "bad = [n for n in sys.modules if n.startswith(('gradtui.tui', 'gradtui.store', 'gradtui.cli'))]\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=dict(os.environ), timeout=60)
