"""``gradtui trace`` as a person runs it: text, JSON, files, the pane, and what is wrong with a file."""

from __future__ import annotations

import json
import subprocess

import pytest
from kit.pty_driver import Terminal
from kit.running import argv, shows

from gradtui import cli
from gradtui.cli import terminal

NET = """\
import os, sys
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

def leaves():
    sys.exit(5)

def dies():
    os._exit(0)

def wrong():
    try:
        broken()
    except ValueError as error:
        raise RuntimeError("two\\nlines") from error

standing = Net()

def several():
    return nn.Bilinear(3, 4, 2), "5x3", torch.ones(5, 4)
"""
FLOPS = 2 * 2 * (8 * 16 + 16 * 8 + 8 * 3)


@pytest.fixture
def net(tmp_path):
    file = tmp_path / "net.py"
    file.write_text(NET)
    return file


def as_started(command, net, arguments):
    return subprocess.run(
        [*command, "trace", f"{net}:{arguments[0]}", *arguments[1:]],
        capture_output=True, text=True, timeout=120, check=False, cwd=net.parent,
    )  # fmt: skip


@pytest.fixture
def traced(warm):
    return lambda net, *arguments: as_started(warm.running("gradtui"), net, arguments)


def test_json_and_files(net):
    """The whole of it as a person starts it, with no process of it warm."""
    written = ("--json", "--html", "net.html", "--csv", "net.csv", "--merge", "-1")
    done = as_started(argv(), net, ("make", *written))
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


def test_a_partial_trace_says_so(net, traced):
    done = traced(net, "half")
    assert done.returncode == 0, done.stderr
    assert "NotImplementedError: the head comes tomorrow" in done.stdout
    assert 'raise NotImplementedError("the head comes tomorrow")' in done.stdout
    assert traced(net, "half", "--strict", "--json").returncode == 1


def test_other_inputs_than_the_factorys(net, traced):
    done = traced(net, "alone", "--input", "x=5x8", "--json")
    assert json.loads(done.stdout)["totals"]["flops"] == FLOPS // 2 * 5
    assert json.loads(traced(net, "alone", "--json").stdout)["stage"] == "static"


def test_a_model_that_stands_in_the_file_and_inputs_one_after_the_other(net, traced):
    standing = json.loads(traced(net, "standing", "--input", "2x8", "--json").stdout)
    assert (standing["stage"], standing["totals"]["flops"]) == ("meta", FLOPS)
    several = json.loads(traced(net, "several", "--json").stdout)
    assert [n["out_shape"] for n in several["nodes"] if n["name"] == "bilinear"] == [[5, 2]]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("broken",), 3, "ValueError: not today"),
        (("leaves",), 3, "SystemExit: the file ended the process: 5"),
        (("dies",), 3, "the process that traces ended with exit code 0, without a graph"),
        (("wrong",), 3, "ValueError: not today"),
        (("wrong",), 3, "two\nlines\nnet.py:46: RuntimeError: two\n"),
        (("nothing",), 2, "returned an int; a model, or (model, inputs), is needed"),
        (("missing",), 2, "has no function 'missing'"),
        (("make", "--input", "2by8"), 2, "expected a shape such as"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(net, traced, arguments, code, words):
    done = traced(net, *arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert done.stdout == ""
    # Of the frames of a traceback only the person's, from the first one on.
    assert "gradtui/torch" not in done.stderr


def test_a_broken_file_is_told_once_with_the_persons_frames_alone(net, traced):
    done = traced(net, "broken")
    number = 1 + NET.splitlines().index('    raise ValueError("not today")')
    assert done.stderr.splitlines() == [
        "printed by the file",
        "Traceback (most recent call last):",
        f'  File "{net}", line {number}, in broken',
        '    raise ValueError("not today")',
        f"net.py:{number}: ValueError: not today",
    ]
    net.write_text("def make(:\n    return 3\n")
    done = traced(net, "make")
    assert done.returncode == 3
    lines = done.stderr.splitlines()
    assert lines[0] == f'  File "{net}", line 1'
    assert lines[-1] == "net.py:1: SyntaxError: invalid syntax"
    assert done.stderr.count("invalid syntax") == 1


@pytest.mark.parametrize(
    ("factory", "code", "kind", "words"),
    [
        ("broken", 3, "UnreadableFile", "ValueError: not today"),
        ("leaves", 3, "UnreadableFile", "SystemExit: the file ended the process: 5"),
        ("dies", 3, "UnreadableFile", "ended with exit code 0"),
        ("nothing", 2, "UsageError", "returned an int"),
    ],
)
def test_json_says_what_is_wrong_with_a_file(net, traced, factory, code, kind, words):
    done = traced(net, factory, "--json", "--html", "net.html")
    assert done.returncode == code
    document = json.loads(done.stdout)
    assert document["error"]["kind"] == kind
    assert words in document["error"]["text"]
    assert "\n" not in document["error"]["text"]
    assert document["nodes"] == []
    assert not (net.parent / "net.html").exists()


@pytest.mark.parametrize(
    ("option", "first"), [("--csv", "number,path,call"), ("--html", "<!doctype html>")]
)
def test_a_dash_is_standard_output(net, traced, option, first):
    done = traced(net, "make", option, "-")
    assert done.returncode == 0, done.stderr
    assert done.stdout.lower().startswith(first)
    assert "body.2" in done.stdout
    assert "wrote" not in done.stdout
    assert [path.name for path in net.parent.iterdir() if path.is_file()] == ["net.py"]


def test_a_file_that_cannot_be_written_is_not_said_to_be_unreadable(net, traced):
    done = traced(net, "make", "--html", "/no/such/folder/net.html")
    assert done.returncode == 3
    told = "gradtui: /no/such/folder/net.html: cannot be written: No such file or directory"
    assert done.stderr.splitlines()[-1] == told


def test_without_inputs_it_says_how_to_give_some(net, traced):
    assert "give some, such as --input 1x3x224x224" in traced(net, "alone").stdout


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
        ("{net}:make", "--csv", "-", "--json"),
        ("{net}:make", "--html", "-", "--csv", "-"),
        ("{net}:make", "--html", "-", "--text"),
    ],
)
def test_wrong_arguments_are_one_line(net, arguments, capsys, monkeypatch):
    monkeypatch.setattr(terminal, "need_torch", lambda _command, _advice: None)
    assert cli.main(["trace", *(word.format(net=net) for word in arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


def test_the_pane_traces_again_at_each_save(net, tmp_path, warm):
    state = {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    with Terminal(
        warm.running("gradtui", "trace", f"{net}:half", "--watch"), 90, 24, env=state
    ) as pane:
        pane.wait_for(shows("Architecture", "NotImplementedError", "tomorrow"), timeout=60)
        net.write_text(NET.replace('raise NotImplementedError("the head comes tomorrow")',
                                   "return self.head(x)"))  # fmt: skip
        pane.wait_for(shows("Half", "output"), timeout=60)
        pane.send("D")
        pane.wait_for(shows("difference to the baseline", "+ output"))
        pane.send("q")
        assert pane.wait_exit() == 0


def test_a_file_that_cannot_be_read_leaves_the_graph_and_is_told_with_its_line(net, tmp_path, warm):
    state = {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    number = 1 + NET.splitlines().index("        return self.head(x + self.body(x))")
    with Terminal(
        warm.running("gradtui", "trace", f"{net}:make", "--watch"), 80, 24, env=state
    ) as pane:
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
