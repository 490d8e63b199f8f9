"""What a trace tells of a model: dataflow, stages, failures, guesses; and that it leaves no mark."""

from __future__ import annotations

import copy
import json
import threading
from dataclasses import dataclass

import pytest
import torch
from kit import zoo
from torch import nn

from gradtui.errors import UsageError
from gradtui.torch import tracer
from gradtui.torch.tracing.ledger import Ledger
from gradtui.torch.tracing.trace import trace


def rows(graph):
    return {node.label: node for node in graph.nodes}


def feeds(graph, name):
    """Labels of the nodes that a node takes its inputs from."""
    found = next(node for node in graph.nodes if node.label == name)
    return [graph.nodes[number].label for number in graph.producers.get(found.number, ())]


def test_a_skip_connection_in_place_is_two_inputs():
    graph = trace(zoo.ResNet18().eval(), "1x3x64x64")
    add = next(node for node in graph.nodes if node.name == "add_")
    sources = {graph.nodes[number].label for number in graph.producers[add.number]}
    assert sources == {"layer1.0.bn2", "maxpool"}
    assert add.path == "layer1.0"
    assert add.source.startswith("zoo.py:")
    # The relu after it takes the sum, which has the same storage as bn2's output.
    assert feeds(graph, "layer1.0.relu#1") == ["add_"]
    assert graph.nodes[0].kind == "input"
    assert graph.nodes[-1].kind == "output"
    assert feeds(graph, "output") == ["fc"]


def test_writing_through_a_view_is_seen_by_whoever_reads_the_whole():
    class Writes(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            x = self.a(x)
            x[:, 0] = 0
            x[:, 1:].relu_()
            return self.b(x)

    for stage in ("meta", "fake", "real"):
        graph = trace(Writes(), "3x4", stage=stage)
        assert feeds(graph, "b") == ["relu_"]
        assert feeds(graph, "setitem_") == ["a"]


def test_every_kind_of_argument_and_result():
    @dataclass
    class Result:
        logits: torch.Tensor
        loss: torch.Tensor | None = None

    class Takes(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, batch, pair, *, scale=None, flag=True):
            y = self.a(batch["x"]) + self.b(input=pair[0])
            return Result(y * scale if flag else y)

    graph = trace(
        Takes(),
        {"batch": {"x": torch.ones(2, 4)}, "pair": [torch.ones(2, 4)], "scale": torch.ones(4)},
    )
    assert [node.label for node in graph.nodes if node.kind == "input"] == [
        "batch.x",
        "pair.0",
        "scale",
    ]
    assert feeds(graph, "a") == ["batch.x"]
    assert feeds(graph, "b") == ["pair.0"]
    assert feeds(graph, "mul") == ["scale", "add"]
    assert [node.label for node in graph.nodes if node.kind == "output"] == ["output.logits"]


@pytest.mark.parametrize("stage", ["auto", "meta", "fake", "real"])
def test_a_failing_layer_is_named_with_its_operation_shapes_and_line(stage):
    graph = trace(zoo.FailShape(), torch.zeros(1, 3, 16, 16), stage=stage)
    fault = graph.fault
    assert fault.path == "bad"
    assert fault.operation == "addmm"
    assert (1, 4096) in fault.inputs
    assert fault.line == "x = self.bad(torch.flatten(x, 1))"
    assert fault.source.startswith("zoo.py:")
    assert graph.nodes[fault.node].label == "bad"
    assert [node.label for node in graph.nodes if node.state == "failed"] == ["(model)", "bad"]
    assert [node.label for node in graph.nodes if node.state == "not run"] == ["r3", "out"]
    assert not graph.complete


def test_a_raise_of_the_users_names_the_line():
    fault = trace(zoo.FailRaise(), "1x3x16x16").fault
    assert (fault.kind, fault.text) == ("NotImplementedError", "the decoder is missing")
    assert fault.line == 'raise NotImplementedError("the decoder is missing")'
    assert fault.operation == ""


def test_what_the_standard_library_raises_is_told_at_the_users_line():
    class Reads(nn.Module):
        def forward(self, x):
            return x * json.loads("{")["scale"]

    fault = trace(Reads(), "2x3").fault
    assert fault.kind == "JSONDecodeError"
    assert fault.source.startswith("test_trace.py:")
    assert fault.line == 'return x * json.loads("{")["scale"]'


def test_an_exception_that_the_model_handles_is_no_fault():
    class Tries(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(4, 4)

        def forward(self, x):
            try:
                return self.a(x)
            except RuntimeError:
                return self.b(x)

    for stage in ("meta", "fake", "real"):
        graph = trace(Tries(), "2x4", stage=stage)
        assert graph.complete
        assert rows(graph)["a"].state == "failed"
        assert feeds(graph, "output") == ["b"]


def test_a_branch_by_data_is_guessed_without_data_and_real_with_them():
    guessed = trace(zoo.Branching(), "2x4")
    assert guessed.complete
    assert guessed.guessed
    assert "zoo.py:" in guessed.notes[0]
    assert rows(guessed)["large"].guessed
    real = trace(zoo.Branching(), torch.ones(2, 4))
    assert (real.stage, real.guessed, real.notes) == ("real", False, ())
    assert rows(real)["large"].state == "not run"
    assert feeds(real, "output") == ["small"]


def test_a_loop_that_waits_for_data_ends_without_them():
    class Waiting(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            while x.sum() < 20:
                x = self.layer(x).abs() * 0 + x + 1
            return x

    held = trace(Waiting(), "2x4", stage="meta")
    assert not held.complete
    assert "its loop does not end" in held.fault.text
    assert held.fault.line == "while x.sum() < 20:"
    real = trace(Waiting(), torch.ones(2, 4))
    assert (real.stage, real.complete, real.guessed) == ("real", True, False)
    assert sum(node.path == "layer" for node in real.nodes) == 2


def test_a_size_by_data_needs_data():
    data = torch.tensor([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]])
    graph = trace(zoo.Masked(), data)
    assert graph.stage == "real"
    assert rows(graph)["fc"].inputs == ((1, 4),)
    partial = trace(zoo.Masked(), data, stage="meta")
    assert partial.fault
    assert rows(partial)["fc"].state == "not run"


def test_the_model_is_left_as_it_was():
    class Changing(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.norm, self.drop = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)
            self.steps: torch.Tensor
            self.register_buffer("steps", torch.zeros(()))
            self.fc.register_forward_hook(lambda module, given, result: None)

        def forward(self, x):
            self.steps += 1
            return self.drop(self.norm(self.fc(x)))

    model = Changing().train()
    model.norm.eval()
    before = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    hooks = [len(module._forward_hooks) for module in model.modules()]
    parameters = [id(parameter) for parameter in model.parameters()]
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    for stage in ("static", "meta", "fake", "real", "auto"):
        trace(model, torch.ones(3, 4), stage=stage)
    assert torch.equal(torch.rand(3), expected)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert [module.training for module in model.modules()] == modes
    assert [len(module._forward_hooks) for module in model.modules()] == hooks
    assert [id(parameter) for parameter in model.parameters()] == parameters
    assert not torch.nn.modules.module._global_forward_hooks
    assert not torch.nn.modules.module._global_forward_pre_hooks
    assert not torch.nn.modules.module._has_any_global_hook()
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_failing_pass_leaves_no_hook_and_no_mode():
    trace(zoo.FailShape(), "1x3x16x16")
    assert not torch.nn.modules.module._global_forward_hooks
    assert torch.ones(2).device.type == "cpu"


def test_another_thread_is_not_in_the_trace():
    other = nn.Linear(2, 2)

    class Threads(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(2, 2)

        def forward(self, x):
            thread = threading.Thread(target=lambda: other(torch.ones(1, 2)))
            thread.start()
            thread.join()
            return self.fc(x)

    graph = trace(Threads(), torch.ones(1, 2), stage="real")
    assert [node.label for node in graph.nodes if node.kind == "module"] == ["(model)", "fc"]


def test_containers_are_no_rows_and_unreached_trees_are():
    class Holds(nn.Module):
        def __init__(self):
            super().__init__()
            self.many = nn.ModuleList(nn.Linear(3, 3) for _ in range(2))
            self.named = nn.ModuleDict({"never": nn.Sequential(nn.Linear(3, 3), nn.ReLU())})
            self.scale = nn.ParameterList([nn.Parameter(torch.ones(3))])

        def forward(self, x):
            return self.many[0](x) * self.scale[0]

    graph = trace(Holds(), "2x3")
    states = {node.label: node.state for node in graph.nodes if node.kind == "module"}
    assert states == {
        "(model)": "run",
        "many.0": "run",
        "many.1": "not run",
        "named.never": "not run",
        "named.never.0": "not run",
        "named.never.1": "not run",
        "scale": "run",
    }
    never = rows(graph)["named.never"]
    assert [node.label for node in graph.inside(never.number)] == ["named.never.0", "named.never.1"]


def test_a_model_that_is_on_meta_already():
    with torch.device("meta"):
        model = zoo.GPT()
    graph = trace(model, "1x8:int64")
    assert graph.complete
    assert graph.stage == "meta"


def test_a_model_that_makes_constants_is_traced_by_pretending():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 3)
            self.shift = torch.ones(3)

        def forward(self, x):
            return self.fc(x) + self.shift

    graph = trace(Constant(), "2x3")
    assert graph.complete
    assert graph.stage == "fake"


def test_packed_sequences_need_data_and_count_elements():
    class Packs(nn.Module):
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(3, 4, batch_first=True)

        def forward(self, x, lengths):
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
            return self.gru(packed)[1]

    graph = trace(Packs(), torch.ones(2, 5, 3), torch.tensor([5, 2]))
    assert graph.complete
    assert graph.totals.flops == 2 * 7 * 12 * (3 + 4)


def test_without_inputs():
    class Self(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, steps=2):
            return self.fc(torch.ones(steps, 3))

    assert trace(Self()).complete
    assert trace(zoo.SmallCNN()).stage == "static"


def test_inputs_that_are_none():
    with pytest.raises(UsageError, match="not a dtype"):
        trace(zoo.SmallCNN(), "1x3x4x4:float7")
    with pytest.raises(UsageError, match="expected one of"):
        trace(zoo.SmallCNN(), stage="quick")


def test_inference_mode_inside_is_counted_too():
    class Quiet(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 5)

        @torch.inference_mode()
        def forward(self, x):
            return self.fc(x)

    for stage in ("meta", "fake", "real"):
        assert trace(Quiet(), "3x4", stage=stage).totals.flops == 2 * 3 * 4 * 5


def test_no_activation_is_kept_alive(monkeypatch):
    made = []

    class Remembered(Ledger):
        def __init__(self):
            super().__init__()
            made.append(self)

    monkeypatch.setattr("gradtui.torch.tracing.recorder.Ledger", Remembered)
    alive = []

    class Big(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(8, 8)

        def forward(self, x):
            for _ in range(6):
                x = self.fc(x)
                alive.append(sum(known[0]() is not None for known in made[-1]._made.values()))
            return x

    trace(Big(), torch.ones(2, 8), stage="real")
    assert max(alive) <= 3


def test_a_factory_that_takes_long_is_told_of_and_a_quick_one_is_not(monkeypatch):
    told, said = [], threading.Event()

    def say(words):
        told.append(words)
        said.set()

    monkeypatch.setattr(tracer, "say", say)
    with tracer.building():
        pass
    assert not told
    monkeypatch.setattr(tracer, "PATIENCE_SECONDS", 0.0)
    with tracer.building():
        assert said.wait(20)
    assert "torch.device('meta')" in told[0]
