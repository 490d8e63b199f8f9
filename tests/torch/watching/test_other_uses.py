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


def penalized(model, x):
    x = x.clone().requires_grad_()
    y = model(x)
    (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (y.square().sum() + slope.square().sum()).backward()


def of_gradients(model, x):
    loss = model(x).square().sum()
    slopes = torch.autograd.grad(loss, list(model.parameters()), create_graph=True)
    (loss + 0.01 * sum(slope.square().sum() for slope in slopes)).backward()


def twice(model, x):
    y = model(x)
    y[:, 0].sum().backward(retain_graph=True)
    y[:, 1].square().sum().backward()


def saved_elsewhere(model, x):
    with torch.autograd.graph.save_on_cpu(), torch.autograd.set_detect_anomaly(True):
        model(x).square().sum().backward()


def called_otherwise(model, x):
    parameters = dict(model.named_parameters())
    torch.func.functional_call(model, parameters, (x,)).square().sum().backward()
    nn.DataParallel(model)(x).sum().backward()


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize(
    "backward", [penalized, of_gradients, twice, saved_elsewhere, called_otherwise]
)
def test_backward_passes_of_all_kinds(backward):
    """Gradients of parameters, and the last one of each output of the step, as autograd's own hooks tell them."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
    optimizer, wanted = torch.optim.SGD(model.parameters(), 0.01), []
    with Watched(model, optimizer) as watched:
        for _ in range(3):
            told, calls = {}, []

            def listen(_module, _args, output, told=told, calls=calls):
                calls.append(output)
                call = len(calls) - 1
                output.register_hook(lambda g, told=told: told.update({call: g.norm().item()}))

            handle = model[0].register_forward_hook(listen)
            optimizer.zero_grad()
            backward(model, torch.randn(4, 3))
            handle.remove()
            norms = {n: p.grad.norm().item() for n, p in model.named_parameters()}
            wanted.append((norms, told))
            optimizer.step()
    assert not watched.problems
    for step, (norms, told) in enumerate(wanted):
        for name, norm in norms.items():
            path, _, slot = name.rpartition(".")
            found = watched.number(step, path, "gradient", "l2", slot)
            assert found == pytest.approx(norm, rel=1e-5)
        for call, norm in told.items():
            found = watched.number(step, "0", "output gradient", "l2", call=call)
            assert found == pytest.approx(norm, rel=1e-5)
