# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""A watched training is the bare one, bit for bit; and nothing of ours ends it."""

import copy
import gc
import io
import pickle
import subprocess
import sys

import pytest
import torch
from kit.watched import Watched
from torch import nn
from torch.nn import functional as F
from torch.optim.optimizer import _global_optimizer_pre_hooks
from torch.utils.checkpoint import checkpoint

from gradtui.torch import watch
from gradtui.torch.watching.collected import Collected


class Dropped(nn.Module):
    """In-place operations, dropout, a batch norm, a module called twice, one never called, one frozen."""

    def __init__(self, recompute=""):
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.3)
        self.again = nn.Linear(6, 6)
        self.unused = nn.Linear(6, 6)
        self.frozen = nn.Linear(6, 6)
        for p in self.frozen.parameters():
            p.requires_grad_(False)
        self.head = nn.Linear(6, 3)
        self.recompute = recompute

    def middle(self, x):
        return self.drop(self.again(F.relu_(self.again(x))))

    def forward(self, x, scale=1.0, *, shift=None, extras=()):
        x = self.relu(self.norm(self.conv(x)))
        x = x.mean((2, 3))
        x.mul_(scale)
        if self.recompute:
            x = checkpoint(self.middle, x, use_reentrant=self.recompute == "reentrant")
        else:
            x = self.middle(x)
        x = self.frozen(x)
        out = self.head(x)
        out += 0.0 if shift is None else shift
        return {"logits": out, "extra": (None, x)}


def train(model, *, watch=None, steps=4, micro=1, amp="", clip=0.0, kind="sgd", **settings):
    """Losses and final weights of a training on shuffled data, drawn with the global generator."""
    torch.manual_seed(7)
    data = torch.randn(24, 1, 6, 6)
    target = torch.randint(0, 3, (24,))
    optimizer = {
        "sgd": lambda: torch.optim.SGD(model.parameters(), 0.1, momentum=0.9),
        "adam": lambda: torch.optim.AdamW(model.parameters(), 0.01),
    }[kind]()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10) if amp == "float16" else None
    watched = watch(model, optimizer, scaler) if watch else None
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        for _ in range(micro):
            chosen = torch.randperm(24)[:8]
            with torch.autocast("cpu", getattr(torch, amp or "bfloat16"), enabled=bool(amp)):
                out = model(data[chosen], 1.5, shift=torch.ones(3), extras=[None, "text", 3])
                loss = F.cross_entropy(out["logits"], target[chosen]) / micro
            (scaler.scale(loss) if scaler else loss).backward()
            losses.append(loss.item())
        if clip:
            if scaler:
                scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        if scaler:
            scaler.step(optimizer)
            scaler.update()
        else:
            optimizer.step()
    if watched:
        watched.handle.close()
        assert not watched.problems
    return losses, [p.detach().clone() for p in model.parameters()], torch.rand(3), watched


CASES = {
    "plain": {},
    "adam": {"kind": "adam"},
    "accumulation": {"micro": 3},
    "clipping": {"clip": 0.05},
    "bfloat16": {"amp": "bfloat16"},
    "float16 with a scaler": {"amp": "float16"},
    "scaler and clipping": {"amp": "float16", "clip": 0.05, "micro": 2},
}


@pytest.mark.parametrize("recompute", ["", "plain", "reentrant"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("log_freq", [1, 3])
def test_the_same_training_bit_for_bit(case, recompute, log_freq):
    torch.manual_seed(5)
    bare = Dropped(recompute)
    model = copy.deepcopy(bare)
    wanted = train(bare, **CASES[case])
    found = train(
        model,
        watch=lambda m, o, s: Watched(m, o, scaler=s, log_freq=log_freq, exact_updates=True),
        **CASES[case],
    )
    assert found[0] == wanted[0]
    assert all(torch.equal(a, b) for a, b in zip(found[1], wanted[1], strict=True))
    assert torch.equal(found[2], wanted[2])
    for name, buffer in bare.named_buffers():
        assert torch.equal(buffer, dict(model.named_buffers())[name])


def test_frozen_and_unused_parameters_have_no_gradient():
    torch.manual_seed(5)
    _, _, _, watched = train(Dropped(), watch=lambda m, o, s: Watched(m, o), steps=2)
    for path in ("unused", "frozen"):
        assert watched.stats(1, path, "gradient", "weight") == {}
        assert watched.stats(1, path, "update", "weight") == {}
        assert watched.stats(1, path, "parameter", "weight")["l2"] > 0
    info = {(p.path, p.name): p for p in watched.start.parameters}
    assert not info["frozen", "weight"].trainable
    assert watched.stats(1, "unused", "output") == {}
    assert watched.stats(1, "again", "output", call=1)["count"] > 0


def test_copies_and_pickles_do_not_log():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    names, state = list(dict(model.named_modules())), list(model.state_dict())
    with Watched(model) as watched:
        average = copy.deepcopy(model)
        again = pickle.loads(pickle.dumps(model))
        file = io.BytesIO()
        torch.save(model, file)
        torch.load(io.BytesIO(file.getvalue()), weights_only=False)
        for other in (average, again):
            other(torch.ones(2, 3)).sum().backward()
        model(torch.ones(2, 3)).sum().backward()
        assert list(dict(model.named_modules())) == names
        assert list(model.state_dict()) == state
    assert watched.stats(0, "0", "output", call=1) == {}
    total = model[0].weight.grad.double().norm().item()
    assert watched.number(0, "0", "gradient", "l2", "weight") == pytest.approx(total, rel=1e-5)
    assert not model._forward_hooks
    assert not model._forward_pre_hooks
    assert pickle.loads(pickle.dumps(model[0].weight)).shape == (4, 3)


def test_a_pickled_model_is_read_where_we_are_not_installed(tmp_path):
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    with watch(model, folder=tmp_path / "run"):
        torch.save(model, tmp_path / "model.pt")
        torch.save(copy.deepcopy(model), tmp_path / "copy.pt")
    code = f"""
import sys
sys.modules["gradtui"] = None
import torch
for name in ("model", "copy"):
    model = torch.load({str(tmp_path)!r} + f"/{{name}}.pt", weights_only=False)
    print(model(torch.ones(1, 3)).sum().backward())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "None\nNone\n"), done.stderr


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("keeps_losses", [False, True])
def test_what_a_step_found_is_freed_without_the_garbage_collector(keeps_losses):
    """Also where the graphs of all steps live on with their losses."""
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    losses = []
    gc.collect()
    gc.disable()
    try:
        with Watched(model, optimizer) as watched:
            for _ in range(10):
                optimizer.zero_grad()
                loss = model(torch.ones(2, 3)).sum()
                loss.backward()
                optimizer.step()
                if keeps_losses:
                    losses.append(loss)
            watched.handle.flush()
            # The step under way, and the last one in the writer's hands.
            assert sum(type(each) is Collected for each in gc.get_objects()) <= 2
    finally:
        gc.enable()


def test_scalars_that_are_none(monkeypatch):
    """Each is told once; and what goes wrong on our side is told, too."""
    model = nn.Linear(2, 1)
    with Watched(model) as watched:
        for _ in range(5):
            watched.handle.log(accuracy=None, loss=1.0)
        assert len(watched.problems) == 1
        monkeypatch.setattr(watched.handle._watcher, "log", None)
        watched.handle.log(loss=1.0)
    assert len(watched.problems) == 2


def test_several_models_and_several_watchers():
    torch.manual_seed(0)
    one, two = nn.Linear(2, 2), nn.Linear(2, 1)
    first, second = (torch.optim.SGD(m.parameters(), 0.1) for m in (one, two))
    with Watched(one, first) as a, Watched(two, second) as b, Watched(one, log_freq=2) as c:
        for _ in range(3):
            two(one(torch.ones(1, 2))).sum().backward()
            first.step()
            second.step()
            second.step()
            first.zero_grad()
            second.zero_grad()
    assert not a.problems + b.problems + c.problems
    assert (a.handle.step, b.handle.step, c.handle.step) == (3, 6, 3)
    for step in range(3):
        key = (step, "", "gradient", "l2", "weight")
        assert a.number(*key) == c.number(*key)


def test_a_model_that_raises_and_goes_on():
    class Faulty(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
            self.fail = False

        def forward(self, x):
            y = self.inner[0](x)
            if self.fail:
                raise ValueError("of the user")
            return self.inner[1](y)

    model = Faulty()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        for step in range(3):
            model.fail = step == 1
            optimizer.zero_grad()
            try:
                model(torch.ones(1, 2)).sum().backward()
            except ValueError:
                continue
            optimizer.step()
    assert not watched.problems
    assert watched.handle.step == 2
    assert watched.stats(1, "inner.1", "output")["count"] == 1


def test_our_failures_step_aside(monkeypatch):
    """Three failures of ours: all hooks are gone, the folder is told, the training never noticed."""
    from gradtui.torch.watching.values import Meter

    def broken(*_, **__):
        raise ArithmeticError("of ours")

    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    watched = Watched(model, optimizer)
    with monkeypatch.context() as patch:
        patch.setattr(Meter, "measure", broken)
        for _ in range(3):
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()
    assert len(watched.problems) == 3
    assert not model._forward_hooks
    assert not watched.handle.active
    watched.handle.close()
    assert len(watched.events("fault")) == 3
    assert "of ours" in watched.events("fault")[0][1].fields["traceback"]
    assert len(watched.events("aside")) == 1


def test_to_step_aside_within_an_optimizers_step(monkeypatch):
    """Hooks of another watcher stand behind ours in the optimizer's list, which is being gone through."""
    from gradtui.torch.watching.used import Used

    models = nn.ModuleList([nn.Linear(2, 1), nn.Linear(2, 1)])
    optimizer = torch.optim.SGD(models.parameters(), 0.1)
    watched = [Watched(model) for model in models]
    read_step = Used.by_optimizer

    def broken(self, *args):
        if self is watched[0].handle._watcher._used:
            raise ArithmeticError("of ours")
        read_step(self, *args)

    monkeypatch.setattr(Used, "by_optimizer", broken)
    for _ in range(5):
        optimizer.zero_grad()
        sum(model(torch.ones(1, 2)) for model in models).sum().backward()
        optimizer.step()
    for each in watched:
        each.handle.close()
    assert [len(each.problems) for each in watched] == [3, 0]
    assert watched[1].handle.step == 5
    assert not _global_optimizer_pre_hooks


@pytest.mark.usefixtures("where")
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_watched_model_is_traced_as_a_bare_one():
    """What a tracer sees becomes a part of its graph: nothing of ours may."""
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
    x = torch.ones(2, 3)
    bare = torch.jit.trace(model, x)
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    with Watched(model, optimizer) as watched:
        for _ in range(2):
            model(x).sum().backward()
            optimizer.step()
            traced = torch.jit.trace(model, x)
    assert not watched.problems
    kinds = [[node.kind() for node in each.inlined_graph.nodes()] for each in (bare, traced)]
    assert kinds[0] == kinds[1]
    assert torch.equal(traced(x), bare(x))


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_model_is_traced_before_its_first_step(tmp_path):
    """The hooks that wait for the first pass, to draw the model, look away as well."""
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
    x = torch.ones(2, 3)
    with watch(model, folder=tmp_path / "run") as handle:
        traced = torch.jit.trace(model, x)
        parameters = {name: p.detach() for name, p in model.named_parameters()}
        torch.vmap(lambda x: torch.func.functional_call(model, parameters, (x,)))(x)
        model(x).sum().backward()
    assert not handle.problems
    assert torch.equal(traced(x), model(x))


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("log_freq", [1, 5])
def test_gradients_of_each_sample_beside_the_training(log_freq):
    """Under ``vmap`` no tensor has a number: what runs there is not the training."""
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    x = torch.randn(4, 3)

    def loss(parameters, x):
        return torch.func.functional_call(model, parameters, (x,)).square().sum()

    with Watched(model, optimizer, log_freq=log_freq) as watched:
        for _ in range(6):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            parameters = {name: p.detach() for name, p in model.named_parameters()}
            each = torch.vmap(torch.func.grad(loss), (None, 0))(parameters, x)
            torch.testing.assert_close(each["weight"].sum(0), model.weight.grad)
            optimizer.step()
    assert not watched.problems
    assert watched.handle.step == 6
    assert watched.stats(0, "", "output")["count"] == 8


def test_ctrl_c_reaches_the_user():
    model = nn.Linear(2, 1)
    model.register_forward_hook(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with Watched(model), pytest.raises(KeyboardInterrupt):
        model(torch.ones(1, 2))


def test_hooks_of_the_user_stay():
    model = nn.Linear(2, 1)
    seen = []
    model.register_forward_hook(lambda *_: seen.append(1))
    with Watched(model):
        model(torch.ones(1, 2)).sum().backward()
    model(torch.ones(1, 2))
    assert len(seen) == 2
