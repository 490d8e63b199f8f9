# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""What is done with a watched model besides to train it: to script, fuse, quantize, prune, convert and copy it."""

import copy
import io
import pickle

import pytest
import torch
from kit.watched import Watched
from torch import nn
from torch.ao import quantization
from torch.nn.utils import parametrizations, prune
from torch.optim.swa_utils import AveragedModel, update_bn

from gradtui.torch import watch

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


def stack():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8))


def hooks_of(model):
    return [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]


def train(model, use, steps=5):
    """Losses, and the weights in the end, of a training in whose third step something else is done."""
    torch.manual_seed(0)
    optimizer, losses = torch.optim.SGD(model.parameters(), 0.1), []
    for step in range(steps):
        x = torch.randn(4, 3)
        if step == 2 and use(model, x):
            optimizer = torch.optim.SGD(model.parameters(), 0.1)
        optimizer.zero_grad()
        loss = model(x.to(next(model.parameters()).dtype)).square().sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, [p.detach().clone() for p in model.parameters()]


def script(model, x):
    scripted = torch.jit.script(model)
    assert torch.equal(scripted(x), model(x))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in scripted.modules())
    torch.jit.save(scripted, io.BytesIO())
    torch.jit.script(copy.deepcopy(model))
    torch.jit.script(pickle.loads(pickle.dumps(model)))


def export(model, x):
    assert torch.equal(torch.export.export(model, (x,)).module()(x), model(x))
    assert torch.equal(torch.fx.symbolic_trace(model)(x), model(x))


def prepare_quantization(model, _):
    model.qconfig = quantization.get_default_qat_qconfig("x86")
    quantization.prepare_qat(model, inplace=True)
    return True


def fuse(model, _):
    model.eval()
    quantization.fuse_modules(model, [["0", "1"]], inplace=True)
    model.train()
    return True


def quantize(model, x):
    other = nn.Sequential(quantization.QuantStub(), copy.deepcopy(model), nn.Identity()).eval()
    other.qconfig = quantization.get_default_qconfig("x86")
    prepared = quantization.prepare(other)
    prepared(x)
    quantization.convert(prepared)
    quantization.quantize_dynamic(model, {nn.Linear})(x)


def normalize(model, _):
    parametrizations.weight_norm(model[0])
    nn.utils.spectral_norm(model[3])
    return True


def cut(model, _):
    prune.l1_unstructured(model[0], "weight", 0.5)
    return True


def convert_by_swapping(model, _):
    """Torch refuses to swap a tensor that is referred to weakly."""
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        model.double()
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)


def convert(model, _):
    model.double()
    return True


def average(model, x):
    averaged = AveragedModel(model, use_buffers=True)
    averaged.update_parameters(model)
    update_bn([x, x], averaged)
    copy.copy(model)(x)
    model.share_memory()


USES = [
    script, export, prepare_quantization, fuse, quantize, normalize, cut, convert_by_swapping, convert, average,
]  # fmt: skip


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("log_freq", [1, 4])
def test_the_same_training_bit_for_bit(use, log_freq, tmp_path):
    bare, model = stack(), stack()
    wanted = train(bare, use)
    with (
        watch(model, folder=tmp_path / "run", log_freq=log_freq) as handle,
        Watched(model, log_freq=log_freq) as watched,
    ):
        found = train(model, use)
        assert handle.step == watched.handle.step == 4
    assert not watched.problems + handle.problems
    assert found[0] == wanted[0]
    assert all(map(torch.equal, found[1], wanted[1]))
    assert hooks_of(model) == hooks_of(bare)
    for name, parameter in model.named_parameters():
        path, _, slot = name.rpartition(".")
        norm = watched.number(4, path, "gradient", "l2", slot)
        assert norm == pytest.approx(parameter.grad.norm().item(), rel=1e-5)


def test_scripting_leaves_the_hooks_of_others_and_the_order():
    model = nn.Sequential(nn.Linear(3, 2))
    told = []

    def first(module, args, output):
        told.append("first")

    with Watched(model) as watched:
        other = nn.Sequential(nn.Linear(3, 2))
        handle = model[0].register_forward_hook(first)
        before = list(model[0]._forward_hooks)
        with pytest.raises(RuntimeError):
            # It is a hook that cannot be compiled; so it would be without us.
            torch.jit.script(model)
        assert list(model[0]._forward_hooks) == before
        handle.remove()
        torch.jit.script(model)
        torch.jit.script(other)
        model(torch.ones(1, 3)).sum().backward()
    assert watched.stats(0, "0", "output")["count"] == 2
    assert not model[0]._forward_hooks


def test_hooks_that_others_moved_are_gone_in_the_end():
    """As quantization hangs the hooks of what it replaces on to what it makes."""
    model, other = stack(), nn.Linear(3, 8)
    with Watched(model):
        for hook in model[0]._forward_hooks.values():
            other.register_forward_hook(hook)
        for hook in model[0]._forward_pre_hooks.values():
            other.register_forward_pre_hook(hook)
        other(torch.ones(1, 3))
        model._modules["0"] = other
    assert not other._forward_hooks
    assert not other._forward_pre_hooks
