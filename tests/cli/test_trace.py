"""``gradtui trace`` as a person runs it: text, JSON, files, the pane, and what is wrong with a file."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from kit.pty_driver import Terminal
from kit.running import argv, shows

from gradtui import cli
from gradtui.cli import terminal

NET = """\
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(x + self.body(x))

class Half(Net):
    def forward(self, x):
        x = self.body(x)
        raise NotImplementedError("the head comes tomorrow")

print("printed by the file")

def make():
    return Net(), torch.ones(2, 8)

def half():
    return Half(), ["2x8"]

def alone():
    return Net()

def broken():
    raise ValueError("not today")

def nothing():
    return 3
"""
FLOPS = 2 * 2 * (8 * 16 + 16 * 8 + 8 * 3)


@pytest.fixture
def net(tmp_path):
    file = tmp_path / "net.py"
    file.write_text(NET)
    return file


def traced(net, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "gradtui", "trace", f"{net}:{arguments[0]}", *arguments[1:]],
        capture_output=True, text=True, timeout=120, check=False, cwd=net.parent,
    )  # fmt: skip


def test_json_and_files(net):
    done = traced(net, "make", "--json", "--html", "net.html", "--csv", "net.csv", "--merge", "-1")
    assert done.returncode == 0, done.stderr
    # What the file prints must not be in the document.
    assert "printed by the file" in done.stderr
    document = json.loads(done.stdout)
    assert document["totals"]["flops"] == FLOPS
    assert document["stage"] == "meta"
    assert document["error"] is None
    node = next(node for node in document["nodes"] if node["path"] == "head")
    assert (node["parameters"], node["out_shape"], node["dtype"]) == (27, [2, 3], "float32")
    assert "body.2" in (net.parent / "net.html").read_text()
    assert "body.2" in (net.parent / "net.csv").read_text()


def test_a_partial_trace_says_so(net):
    done = traced(net, "half")
    assert done.returncode == 0, done.stderr
    assert "NotImplementedError: the head comes tomorrow" in done.stdout
    assert 'raise NotImplementedError("the head comes tomorrow")' in done.stdout
    assert traced(net, "half", "--strict", "--json").returncode == 1


def test_other_inputs_than_the_factorys(net):
    done = traced(net, "alone", "--input", "x=5x8", "--json")
    assert json.loads(done.stdout)["totals"]["flops"] == FLOPS // 2 * 5
    assert json.loads(traced(net, "alone", "--json").stdout)["stage"] == "static"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("broken",), 1, "ValueError: not today"),
        (("nothing",), 2, "returned a int; a model, or a model and its inputs, is needed"),
        (("missing",), 2, "has no function 'missing'"),
        (("make", "--input", "2by8"), 2, "expected a shape such as"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(net, arguments, code, words):
    done = traced(net, *arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("net.py",),
        ("missing.py:make",),
        ("{net}:make", "--stage", "quick"),
        ("{net}:make", "--palette", "dark", "--text"),
        ("{net}:make", "--fix", "Linear", "--text"),
        ("{net}:make", "--avoid", "x", "--text"),
        ("{net}:make", "--python", "/no/such/python"),
    ],
)
def test_wrong_arguments_are_one_line(net, arguments, capsys, monkeypatch):
    monkeypatch.setattr(terminal, "need_torch", lambda _command, _advice: None)
    assert cli.main(["trace", *(word.format(net=net) for word in arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


def test_the_pane_traces_again_at_each_save(net, tmp_path):
    state = {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    with Terminal(argv("trace", f"{net}:half", "--watch"), 90, 24, env=state) as pane:
        pane.wait_for(shows("Architecture", "NotImplementedError", "tomorrow"), timeout=60)
        net.write_text(NET.replace('raise NotImplementedError("the head comes tomorrow")',
                                   "return self.head(x)"))  # fmt: skip
        pane.wait_for(shows("Half", "output"), timeout=60)
        pane.send("D")
        pane.wait_for(shows("difference to the baseline", "+ output"))
        pane.send("q")
        assert pane.wait_exit() == 0


def test_a_file_that_cannot_be_read_leaves_the_graph_and_is_told_with_its_line(net, tmp_path):
    state = {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    number = 1 + NET.splitlines().index("        return self.head(x + self.body(x))")
    with Terminal(argv("trace", f"{net}:make", "--watch"), 80, 24, env=state) as pane:
        pane.wait_for(shows("Architecture", "output", "body.2"), timeout=60)
        net.write_text(NET.replace("self.body(x))", "self.body(x)"))
        pane.wait_for(shows(f"net.py:{number}: SyntaxError"), timeout=60)
        assert shows("Architecture", "307 parameters", "body.2", "output")(pane)
        net.write_text(
            NET.replace("self.body(x))", "self.bodies(x))").replace(
                "nn.Linear(8, 3)", "nn.Linear(8, 4)"
            )
        )
        # A forward pass that fails is a graph that says where.
        pane.wait_for(shows("AttributeError", "self.bodies(x)", "316 parameters"), timeout=60)
        net.write_text("import nothing_of_that_name\n" + NET)
        pane.wait_for(
            shows("net.py:1: ModuleNotFoundError", "316 parameters", "trace failed"), timeout=60
        )
        net.write_text(NET)
        pane.wait_for(shows("307 parameters", "output"), timeout=60)
        assert "failed" not in pane.text
        pane.send("q")
        assert pane.wait_exit() == 0
