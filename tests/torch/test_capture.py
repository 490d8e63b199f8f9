# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""`capture` never harms the training that it looks at."""

import copy
import gc
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from gradtui.errors import UsageError
from gradtui.folder.load import load
from gradtui.folder.location import DebugFolder
from gradtui.folder.pickle_reader import read_flow_info
from gradtui.folder.pickle_writer import encode
from gradtui.torch import DebugAdapter, capture
from gradtui.torch.capturing import SECOND_TIME


def layers():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 1, 2), nn.Flatten())


class Flagged(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 3), nn.Linear(3, 2)

    def forward(self, x, y=None, *, flag=False, scale=None):
        h = self.a(x.real if x.is_complex() else x)
        return self.b(h if flag else h.tanh())


@pytest.mark.parametrize(
    "kwargs", [{"flag": True}, {"flag": True, "scale": torch.ones(7)}, {"y": None}]
)
def test_keyword_arguments_beside_a_tensor(kwargs, tmp_path):
    model, x = Flagged(), torch.rand(2, 4)
    with capture(model, tmp_path) as captured:
        model(x, **kwargs).sum().backward()
    np.testing.assert_array_equal(captured.input, x.numpy())
    assert captured.generation == 1


def test_an_input_of_complex_numbers_is_not_shown(tmp_path):
    model = Flagged()
    with capture(model, tmp_path) as captured:
        model(torch.rand(2, 4, dtype=torch.complex64)).sum().backward()
    assert captured.input.size == 0
    assert captured.flow_info["layer_order"] == ["a", "b"]


def test_what_goes_wrong_in_a_hook_of_ours_waits_for_the_end(tmp_path, monkeypatch):
    model, ran = Flagged(), []
    monkeypatch.setattr("gradtui.torch.capturing.editable", lambda _: 1 / 0)

    def look():
        with capture(model, tmp_path):
            model(torch.rand(2, 4)).sum().backward()
            ran.append(True)

    with pytest.raises(ZeroDivisionError):
        look()
    assert ran


def module_hook(model, seen):
    model[2].register_full_backward_hook(lambda *_: seen.append(1))
    return nothing_more


def module_pre_hook(model, seen):
    model[2].register_full_backward_pre_hook(lambda *_: seen.append(1))
    return nothing_more


def tensor_hook(_, seen):
    return lambda h: h.register_hook(lambda g: seen.append(g.clone()))


def kept_gradient(_, seen):
    def keep(h):
        h.retain_grad()
        seen.append(h)

    return keep


def nothing_more(_):
    return None


@pytest.mark.parametrize("hook", [module_hook, module_pre_hook, tensor_hook, kept_gradient])
def test_hooks_of_the_user_run_once(hook, tmp_path):
    x = torch.rand(2, 1, 5, 5)
    model = layers()
    twin = copy.deepcopy(model)

    def train(model, seen):
        keep = hook(model, seen)
        h = model[1](model[0](x))
        keep(h)
        out = model[3](model[2](h))
        out.square().sum().backward()
        return h

    bare, watched = [], []
    h_bare = train(twin, bare)
    with capture(model, tmp_path) as captured:
        h = train(model, watched)
    assert len(watched) == len(bare) == 1
    if hook is kept_gradient:
        assert torch.equal(h.grad, h_bare.grad)
    for one, two in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(one.grad, two.grad)
    root = captured.flow_info
    assert root["gradient_flows"] == {("0", "2"): None}
    assert root["meta"]["pairs"] == []
    assert "not measured" in root["meta"]["notes"][0]
    # The gradients that went by are those of a capture without hooks.
    clean = copy.deepcopy(model)
    for module in clean.modules():
        module._backward_hooks.clear()
        module._backward_pre_hooks.clear()
    with capture(clean, tmp_path / "clean") as expected:
        clean(x).square().sum().backward()
    for name, gradient in root["activation_gradients"].items():
        np.testing.assert_array_equal(gradient, expected.flow_info["activation_gradients"][name])
    pair = load(DebugFolder.at(tmp_path)).session.pairs[0]
    assert pair.kind == "estimated"
    assert "register_hook" in vars(torch.Tensor)
    assert "retain_grad" not in vars(torch.Tensor)


def test_an_adapter_never_batches_where_hooks_are(tmp_path):
    plain = layers()
    hooked = copy.deepcopy(plain)
    seen = []
    hooked[2].register_full_backward_hook(lambda _, __, g: seen.append(g[0]))
    x = torch.rand(1, 1, 5, 5)
    DebugAdapter(plain, folder=tmp_path / "a", inputs=x).run()
    DebugAdapter(hooked, folder=tmp_path / "b", inputs=x).run()
    one, two = (load(DebugFolder.at(tmp_path / name)).session for name in "ab")
    for left, right in zip(one.pairs, two.pairs, strict=True):
        np.testing.assert_allclose(left.flow.row_sums(), right.flow.row_sums(), atol=1e-6)
    assert not any(torch._C._functorch.is_batchedtensor(g) for g in seen)
    root = read_flow_info(tmp_path / "b" / "flow_info.pkl")[0]
    assert {pair["way"] for pair in root["meta"]["pairs"]} == {"VJPs"}
    assert "ran again" in root["meta"]["notes"][0]


def test_a_second_backward_pass_is_refused_as_torch_does(tmp_path):
    model, x = Flagged(), torch.rand(2, 4)
    loss = model(x).sum()
    loss.backward()
    with pytest.raises(RuntimeError) as own:
        loss.backward()
    assert str(own.value) == SECOND_TIME
    with capture(model, tmp_path):
        loss = model(x).sum()
        loss.backward(retain_graph=True)
        loss.backward()
        with pytest.raises(RuntimeError, match="a second time"):
            loss.backward()


def test_foreign_keys_survive_a_capture(tmp_path):
    (tmp_path / "flow_info.pkl").write_bytes(b"".join(encode({"mine": 7, "gradient_flows": {}})))
    model = Flagged()
    with capture(model, tmp_path):
        model(torch.rand(2, 4)).sum().backward()
    root = read_flow_info(tmp_path / "flow_info.pkl")[0]
    assert root["mine"] == 7
    assert root["gradient_flows"]


def test_a_negative_sample_is_refused(tmp_path):
    with pytest.raises(UsageError, match="counted from 0"):
        DebugAdapter(Flagged(), sample=-1)
    with pytest.raises(UsageError, match="counted from 0"), capture(Flagged(), tmp_path, sample=-1):
        pass


class Marked(torch.autograd.Function):
    """Leaves a mark in the graph that dies with it."""

    @staticmethod
    def forward(ctx, x):
        ctx.mark = Mark()
        Marked.marks.append(weakref.ref(ctx.mark))
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class Mark:
    """Something that can be referred to weakly."""


def test_a_graph_lives_no_longer_than_until_the_next(tmp_path):
    Marked.marks = []
    model = Flagged()
    with capture(model, tmp_path):
        for _ in range(5):
            Marked.apply(model(torch.rand(2, 4))).sum().backward()
        gc.collect()
        alive = [mark() is not None for mark in Marked.marks]
        assert alive[:-1] == [False] * 4
        # One kept is refused a second time however many came after it.
        loss = model(torch.rand(2, 4)).sum()
        loss.backward()
        model(torch.rand(2, 4)).sum().backward()
        with pytest.raises(RuntimeError, match="a second time"):
            loss.backward()


def test_a_tensor_that_stands_for_another_graph_is_differentiated(tmp_path):
    model = Flagged()
    with capture(model, tmp_path):
        total = torch.zeros(())
        for _ in range(2):
            total.detach_()
            total += model(torch.rand(2, 4)).sum()
            total.backward()
