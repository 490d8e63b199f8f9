# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Our hooks decide nothing: torch's fused kernels run as in the bare model, and copies and pickles have none of ours."""

import copy
import io
import pickle
from collections import OrderedDict

import pytest
import torch
from kit.watched import Watched
from torch import nn
from torch.optim.swa_utils import AveragedModel

from gradtui.torch import watch

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

CAUSAL = {"mask": nn.Transformer.generate_square_subsequent_mask(12), "is_causal": True}
PADDED = {"src_key_padding_mask": torch.arange(12).expand(4, 12) >= 9}


def layer(norm_first=False):
    return nn.TransformerEncoderLayer(
        64, 4, 64, dropout=0.0, batch_first=True, norm_first=norm_first
    )


class Inside(nn.Module):
    """An encoder that another model calls in the midst of its own pass."""

    def __init__(self, norm_first=False):
        super().__init__()
        self.first = nn.Linear(64, 64)
        self.encoder = nn.TransformerEncoder(layer(norm_first), 2)

    def forward(self, x, **masks):
        return self.encoder(self.first(x), **masks).square()


def make(kind, norm_first):
    torch.manual_seed(0)
    if kind == "layer":
        return layer(norm_first)
    return Inside(norm_first) if kind == "inside" else nn.TransformerEncoder(layer(norm_first), 2)


def evaluated(model, x, masks):
    with torch.no_grad():
        return model.eval()(x, **masks)


def hooks_of(model):
    return [
        dict(hooks)
        for module in model.modules()
        for hooks in (module._forward_hooks, module._forward_pre_hooks)
    ]


@pytest.mark.parametrize("kind", ["layer", "encoder", "inside"])
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("masks", [{}, PADDED, CAUSAL], ids=["none", "padded", "causal"])
def test_a_fused_kernel_stays(kind, norm_first, dtype, masks):
    model = make(kind, norm_first).to(dtype)
    masks = {k: v.to(dtype) if k == "mask" else v for k, v in masks.items()}
    if kind == "layer" and "mask" in masks:
        masks = {"src_mask": masks["mask"], "is_causal": True}
    x = torch.randn(4, 12, 64).to(dtype)
    wanted = evaluated(model, x, masks)
    with Watched(model) as watched:
        found = [evaluated(model, x, masks) for _ in range(2)]
        # Where gradients are made nothing is fused, and all modules are seen.
        model(x, **masks)
    assert not watched.problems
    assert all(torch.equal(each, wanted) for each in found)
    path = {"layer": "", "encoder": "layers.0", "inside": "encoder.layers.0"}[kind]
    assert watched.stats(0, path, "output", phase="eval")["count"] > 0


@pytest.mark.parametrize("log_freq", [1, 4])
def test_targets_from_the_models_own_evaluation(log_freq):
    weights = []
    for is_watched in (False, True):
        model = make("inside", norm_first=True)
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)
        watched = Watched(model, optimizer, log_freq=log_freq) if is_watched else None
        for _ in range(10):
            x = torch.randn(4, 12, 64)
            target = evaluated(model, x, CAUSAL) * 0.9
            model.train()
            optimizer.zero_grad()
            (model(x + 0.1 * torch.randn_like(x), **CAUSAL) - target).square().mean().backward()
            optimizer.step()
        weights.append([p.detach() for p in model.parameters()])
    watched.handle.close()
    assert not watched.problems
    assert all(map(torch.equal, *weights))
    assert watched.stats(8, "encoder.layers.1.linear1", "output")["count"] > 0


def test_a_fused_kernel_stays_away_where_somebodys_hook_is():
    model = make("encoder", norm_first=True)
    x, seen = torch.randn(4, 12, 64), []
    fused = evaluated(model, x, CAUSAL)
    with Watched(model) as watched:
        hook = model.layers[0].linear1.register_forward_hook(lambda *_: seen.append(1))
        hooked = evaluated(model, x, CAUSAL)
        hook.remove()
        assert torch.equal(evaluated(model, x, CAUSAL), fused)
        hook = model.layers[0].linear1.register_forward_hook(lambda *_: seen.append(1))
    assert not watched.problems
    assert len(seen) == 1
    assert torch.equal(evaluated(model, x, CAUSAL), hooked)
    assert len(seen) == 2
    hook.remove()
    assert torch.equal(evaluated(model, x, CAUSAL), fused)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, AveragedModel, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_are_fused(copied):
    model = make("encoder", norm_first=True)
    x = torch.randn(4, 12, 64)
    wanted = evaluated(model, x, CAUSAL)
    with Watched(model) as watched:
        found = copied(model)
        assert torch.equal(evaluated(found, x, CAUSAL), wanted)
    assert not watched.problems
    assert not any(hooks_of(found))


def test_what_is_compiled_is_what_bare_is():
    model = make("encoder", norm_first=True)
    x = torch.randn(4, 12, 64)
    wanted = evaluated(torch.compile(model, backend="eager", fullgraph=True), x, CAUSAL)
    torch._dynamo.reset()
    with Watched(model) as watched:
        compiled = torch.compile(model, backend="eager", fullgraph=True)
        assert torch.equal(evaluated(compiled, x, CAUSAL), wanted)
    assert not watched.problems


@pytest.mark.parametrize("steps", [0, 1])
def test_a_pickle_is_the_bare_models(tmp_path, steps):
    """Byte for byte, also before the pass from which the model is drawn."""
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), layer())
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    hook = model[1].register_forward_hook(print)
    hook.remove()
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    bare = pickle.dumps(model)
    with watch(model, optimizer, folder=tmp_path / "run") as handle:
        for _ in range(steps):
            optimizer.step()
        assert pickle.dumps(model) == bare
        file = io.BytesIO()
        torch.save(model[:2], file)
    assert not handle.problems
    assert pickle.dumps(model) == bare
    file.seek(0)
    safe = [nn.Sequential, nn.Linear, nn.ReLU, nn.Parameter, set, OrderedDict]
    with torch.serialization.safe_globals(safe):
        assert len(torch.load(file, weights_only=True)) == 2


def test_hooks_of_others_go_along_with_a_copy():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    with Watched(model) as watched:
        model[0].register_forward_pre_hook(copy.copy, with_kwargs=True)
        found = copy.deepcopy(model)
    assert not watched.problems
    assert [len(hooks) for hooks in hooks_of(found)] == [0, 0, 0, 1, 0, 0]
    assert len(found[0]._forward_pre_hooks_with_kwargs) == 1
    assert not found[1]._forward_pre_hooks_with_kwargs


def test_a_closed_watcher_leaves_torchs_own_dictionaries(tmp_path):
    model = nn.Sequential(nn.Linear(3, 4), layer())
    with watch(model, folder=tmp_path / "one"), watch(model, folder=tmp_path / "two"):
        pass
    kinds = {
        type(value) for m in model.modules() for key, value in vars(m).items() if "hooks" in key
    }
    assert kinds == {OrderedDict}
