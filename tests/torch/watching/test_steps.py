# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""What a step is, and what is read in it."""

import copy

import pytest
import torch
from kit.watched import Watched
from torch import nn
from torch.nn import functional as F

pytestmark = pytest.mark.usefixtures("where")


def test_accumulation_is_one_step_and_numbers_calls_on():
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        for _ in range(2):
            optimizer.zero_grad()
            for k in range(2):
                (model(torch.full((2, 3), 1.0 + k)).sum() / 2).backward()
            total = model.weight.grad.double().norm().item()
            optimizer.step()
    assert watched.handle.step == 2
    for step in range(2):
        assert watched.number(step, "", "gradient", "l2", "weight") == pytest.approx(total)
        assert watched.number(step, "", "input", "sum", call=1) == 12
    assert watched.stats(1, "", "input", call=2) == {}


def test_clipping_gives_the_gradient_before_and_after():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    raw, clipped = [], []
    with Watched(model, optimizer, log_freq=5) as watched:
        for _ in range(7):
            optimizer.zero_grad()
            model(torch.randn(4, 3)).square().sum().backward()
            raw.append(nn.utils.clip_grad_norm_(model.parameters(), 0.5).item())
            clipped.append(model.weight.grad.double().norm().item())
            optimizer.step()
    for step in range(7):
        assert watched.number(step, "", "run", "value", "grad_norm_raw") == pytest.approx(
            raw[step], rel=1e-5
        )
        assert watched.number(step, "", "run", "value", "grad_norm") <= 0.5001
        assert watched.number(step, "", "gradient", "l2", "weight") == pytest.approx(
            clipped[step], rel=1e-5
        )


def test_without_clipping_there_is_no_raw_gradient():
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(4, 3)).sum().backward()
            optimizer.step()
    assert not any(key.role == "raw gradient" for _, key in watched.numbers())


def test_old_fashioned_clipping_through_data_is_seen():
    """A write through ``.data`` leaves no trace in the version: the logged steps find it."""
    model = nn.Linear(3, 2, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    norms = []
    with Watched(model, optimizer, log_freq=4) as watched:
        for _ in range(6):
            optimizer.zero_grad()
            model(torch.randn(4, 3)).square().sum().backward()
            model.weight.grad.data.mul_(0.1)
            norms.append(model.weight.grad.double().norm().item())
            optimizer.step()
    for step, norm in enumerate(norms):
        assert watched.number(step, "", "gradient", "l2", "weight") == pytest.approx(norm, rel=1e-5)


def test_a_scaler_unscales_and_skips():
    """The gradients are recorded unscaled, and the step that overflows is a skipped one with its cause."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16, growth_interval=100)
    norms = {}
    with Watched(model, optimizer, scaler=scaler) as watched:
        for step in range(4):
            optimizer.zero_grad()
            x = torch.ones(2, 3) * (float("inf") if step == 2 else 1.0)
            scaler.scale(model(x).square().mean()).backward()
            scaled = model.weight.grad.double().norm().item() / scaler.get_scale()
            norms[step] = scaled
            scaler.step(optimizer)
            scaler.update()
            watched.handle.log(loss=step)
    assert not watched.problems
    assert watched.handle.step == 4
    for step in (0, 1, 3):
        found = watched.number(step, "", "gradient", "l2", "weight")
        assert found == pytest.approx(norms[step], rel=1e-5)
        assert watched.number(step, "", "raw gradient", "l2", "weight") == pytest.approx(
            norms[step], rel=1e-5
        )
        grads = watched.stats(step, "", "output gradient")
        assert grads["l2"] < 10
    assert [step for step, _ in watched.events("skipped")] == [2]
    assert watched.stats(2, "", "update", "weight") == {}
    raw = watched.stats(2, "", "raw gradient", "weight")
    assert raw["nan"] + raw["inf"] > 0
    assert watched.number(2, "", "run", "value", "loss") == 2
    assert watched.number(3, "", "run", "value", "scale") == 2.0**15


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("bad", [(), ((2, 1),), ((0, 0),), ((1, 2), (2, 2)), ((4, 2),)])
def test_a_scaler_with_accumulation_skips_what_it_skips(bad, late, fused):
    """Several backward passes make a step; none of them is one that the scaler skipped, but those that it did."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16, growth_interval=100)
    with Watched(model, optimizer, scaler=scaler) as watched:
        for step in range(5):
            for part in range(3):
                x = torch.ones(2, 3) * (float("inf") if (step, part) in bad else 1.0)
                scaler.scale(model(x).square().mean() / 3).backward()
            if late:
                # Clipping looks at the gradients first.
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
    assert not watched.problems
    assert watched.handle.step == 5
    assert [step for step, _ in watched.events("skipped")] == [step for step, _ in bad]


def test_an_optimizer_that_is_made_later():
    model = nn.Linear(2, 1)
    with Watched(model) as watched:
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        other = torch.optim.SGD([nn.Parameter(torch.ones(1))], 0.1)
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(2, 2)).sum().backward()
            optimizer.step()
            other.step()
    assert watched.handle.step == 3
    assert watched.number(2, "", "gradient", "l2", "bias") == 2


def test_the_optimizer_of_the_handle():
    model = nn.Linear(2, 1)
    slow, fast = (torch.optim.SGD(model.parameters(), 0.1) for _ in range(2))
    watched = Watched(model)
    watched.handle.optimizer = slow
    for step in range(4):
        model(torch.ones(2, 2)).sum().backward()
        fast.step()
        if step % 2:
            slow.step()
    watched.handle.close()
    assert watched.handle.step == 2


def test_steps_by_hand():
    torch.manual_seed(0)
    model = nn.Linear(2, 1)
    norms = []
    with Watched(model, log_freq=2) as watched:
        for _ in range(3):
            model.zero_grad()
            model(torch.randn(3, 2)).square().sum().backward()
            norms.append(model.weight.grad.double().norm().item())
            with torch.no_grad():
                for p in model.parameters():
                    p -= 0.1 * p.grad
    assert watched.handle.step == 3
    for step, norm in enumerate(norms):
        assert watched.number(step, "", "gradient", "l2", "weight") == pytest.approx(norm, rel=1e-5)
        update = watched.stats(step, "", "update", "weight")
        assert update["l2"] == pytest.approx(0.1 * norm, rel=1e-4)


def test_closures():
    """LBFGS calls the model many times within one step; what it used last is the gradient."""
    torch.manual_seed(0)
    bare = nn.Linear(3, 1)
    model = copy.deepcopy(bare)
    x, y = torch.randn(8, 3), torch.randn(8, 1)

    def run(net, watch):
        optimizer = torch.optim.LBFGS(net.parameters(), lr=0.1, max_iter=4)
        watched = watch(net, optimizer) if watch else None
        last = []

        def closure():
            optimizer.zero_grad()
            loss = F.mse_loss(net(x), y)
            loss.backward()
            return loss

        for _ in range(2):
            optimizer.step(closure)
            last.append(net.weight.grad.double().norm().item())
        if watched:
            watched.handle.close()
        return watched, last

    run(bare, None)
    watched, last = run(model, Watched)
    assert torch.equal(bare.weight, model.weight)
    assert not watched.problems
    assert watched.handle.step == 2
    for step in range(2):
        found = watched.number(step, "", "gradient", "l2", "weight")
        assert found == pytest.approx(last[step], rel=1e-5)


def test_evaluation_is_marked_and_does_not_count():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer, log_freq=2) as watched:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(2, 2)).sum().backward()
            optimizer.step()
            model.eval()
            with torch.no_grad():
                for k in range(3):
                    model(torch.full((1, 2), 1.0 + k))
            model.train()
            with torch.no_grad():
                model(torch.ones(5, 2))
    assert watched.handle.step == 3
    assert watched.number(0, "0", "input", "count", phase="eval") == 2
    assert watched.number(0, "0", "input", "count") == 4
    assert watched.stats(0, "0", "input", call=1) == {}
    assert watched.stats(1, "0", "input", phase="eval") == {}
    assert watched.stats(2, "0", "input", phase="eval")["count"] == 2


def test_an_evaluation_that_raises_leaves_the_step_as_it_is():
    class Net(nn.Linear):
        raises = False

        def forward(self, x):
            if self.raises:
                raise ValueError("of the user")
            return super().forward(x)

    model = nn.Sequential(nn.Linear(3, 2), Net(2, 2))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer, log_freq=2) as watched:
        for step in range(5):
            optimizer.zero_grad()
            out = model(torch.ones(1, 3))
            if step in (1, 2):
                model.eval()
                model[1].raises = True
                with torch.no_grad(), pytest.raises(ValueError, match="user"):
                    model(torch.ones(1, 3))
                model[1].raises = False
                model.train()
            out.sum().backward()
            optimizer.step()
    assert not watched.problems
    for step in range(5):
        is_logged = step % 2 == 0
        assert bool(watched.stats(step, "1", "output")) is is_logged
        assert bool(watched.stats(step, "1", "output gradient")) is is_logged
        assert bool(watched.stats(step, "0", "parameter", "weight")) is is_logged


def test_a_fused_optimizer_that_unscales_and_skips_by_itself():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    norms = []
    with Watched(model, optimizer, scaler=scaler) as watched:
        for step in range(3):
            optimizer.zero_grad()
            x = torch.ones(2, 3) * (float("inf") if step == 1 else 1.0)
            scaler.scale(model(x).square().mean()).backward()
            norms.append(model.weight.grad.double().norm().item() / scaler.get_scale())
            scaler.step(optimizer)
            scaler.update()
    assert not watched.problems
    assert watched.handle.step == 3
    for step in (0, 2):
        found = watched.number(step, "", "gradient", "l2", "weight")
        assert found == pytest.approx(norms[step], rel=1e-5)
    assert [step for step, _ in watched.events("skipped")] == [1]
    assert watched.stats(1, "", "update", "weight")["l2"] == 0
