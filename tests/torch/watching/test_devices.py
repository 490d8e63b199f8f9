# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""A training on a device is never made to wait for it: numbers are promised in the step, and read elsewhere.

Where there is no GPU the CPU stands for one, and asking it for a number within a step is an error of the test.
"""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from kit.watched import Watched
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from gradtui.torch import attach
from gradtui.torch.watching.late import Part

WAITS = {
    "aten::_local_scalar_dense", "aten::item", "aten::equal", "aten::is_nonzero", "aten::nonzero",
    "aten::masked_select", "aten::_unique2", "aten::unique_dim", "aten::index.Tensor",
}  # fmt: skip
"""What asks a device for a value, or for a size that hangs on values."""


class NeverWaits(TorchDispatchMode):
    """Makes an error of everything that would wait for a device."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.name().partition(".")[0] in {name.partition(".")[0] for name in WAITS}:
            raise AssertionError(f"{function.name()} waits for the device")
        return function(*args, **(kwargs or {}))


class Net(nn.Module):
    """Convolution, normalisation, in-place activation, a shared layer, a gate that saturates, an attached tensor."""

    def __init__(self, device="cpu"):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, device=device)
        self.norm = nn.BatchNorm2d(8, device=device)
        self.relu = nn.ReLU(inplace=True)
        self.shared = nn.Linear(8, 8, device=device)
        self.gate = nn.Sigmoid()
        self.head = nn.Linear(8, 4, device=device)
        self.scale = 1.0

    def forward(self, x):
        x = self.relu(self.norm(self.conv(x * self.scale))).mean((2, 3))
        x = self.shared(self.shared(x) + x)
        x = attach(x * self.gate(50 * x), self, "gated")
        return self.head(x)


def trained(model, optimizer, batches, *, guard=NeverWaits, clip=False, **settings):
    """Watched steps in which nothing may wait; the records."""
    with Watched(model, optimizer, time_log=False, **settings) as watched:
        for x, y in batches:
            with guard():
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                if clip:
                    nn.utils.clip_grad_norm_(model.parameters(), 0.1)
                optimizer.step()
                watched.handle.log(loss=loss)
    assert not watched.problems
    return watched


def built(steps=7):
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    batches = [(torch.randn(4, 3, 6, 6), torch.randint(0, 4, (4,))) for _ in range(steps)]
    return model, optimizer, batches


@pytest.mark.parametrize("log_freq", [1, 3])
@pytest.mark.parametrize("clip", [False, True])
def test_no_step_waits_and_the_numbers_are_the_same(request, log_freq, clip):
    plain = trained(*built(), guard=nullcontext, clip=clip, log_freq=log_freq)
    request.getfixturevalue("promised")
    # Under the guard a write in place leaves no trace in a tensor's version, by which clipping is told.
    guard = nullcontext if clip else NeverWaits
    found = trained(*built(), guard=guard, clip=clip, log_freq=log_freq)
    wanted, numbers = plain.numbers(), found.numbers()
    assert set(numbers) == set(wanted)
    for key, number in wanted.items():
        # The sum of what a normalisation gives is rounding alone.
        tiny = 1e-5 if key[1].quantity == "sum" else 1e-9
        assert numbers[key] == pytest.approx(number, rel=1e-5, abs=tiny, nan_ok=True), key
    for key in wanted:
        if key[1].quantity == "dead":
            assert numbers[key] == wanted[key]


@pytest.mark.usefixtures("promised")
def test_the_mode_of_this_test_sees_what_waits():
    with NeverWaits(), pytest.raises(AssertionError, match="waits"):
        torch.ones(2).sum().item()


@pytest.mark.usefixtures("promised")
def test_where_a_value_that_is_not_finite_was_born():
    """Told a step later, when the device has told; then two steps are recorded in full."""
    model, optimizer, batches = built(9)
    batches[4][0][1, 2, 3, 4] = float("nan")
    watched = trained(model, optimizer, batches, log_freq=100)
    at = {(step, event.path, event.fields["role"]) for step, event in watched.events("non-finite")}
    step, first = watched.events("non-finite")[0]
    assert (step, first.path, first.fields["role"]) == (4, "conv", "output")
    assert (first.fields["counted"], first.fields["order"]) == (False, 0)
    assert "NaN" in first.text
    assert "1 NaN" not in first.text
    assert (4, "head", "gradient") in at or (4, "conv", "gradient") in at
    logged = {step for (step, key) in watched.numbers() if key.role == "output"}
    assert {0} < logged
    assert len(logged) >= 3
    # On a step that is recorded in full the counts are counts.
    full = min(step for step in logged if step > 4)
    assert watched.stats(full, "conv", "output")["nan"] == 4 * 8 * 6 * 6


@pytest.mark.usefixtures("promised")
def test_inputs_of_a_full_step_are_named_before_the_output():
    model, optimizer, batches = built(2)
    batches[0][0][0, 0, 0, 0] = float("inf")
    watched = trained(model, optimizer, batches, log_freq=1)
    events = [event for step, event in watched.events("non-finite") if step == 0]
    assert [(e.path, e.fields["role"]) for e in events[:2]] == [
        ("conv", "input"),
        ("conv", "output"),
    ]
    assert events[0].fields["inf"] == 1


@pytest.mark.usefixtures("promised")
def test_an_evaluation_in_between():
    model, optimizer, batches = built(3)
    with Watched(model, optimizer, log_freq=1) as watched:
        for x, y in batches:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            model.eval()
            with torch.no_grad():
                model(x)
            model.train()
            loss.backward()
            optimizer.step()
    assert not watched.problems
    for step in range(3):
        assert watched.stats(step, "conv", "output")["l2"] > 0
        assert watched.stats(step, "conv", "gradient", "weight")["l2"] > 0
        assert watched.number(step, "conv", "output", "l2", phase="eval") > 0


@pytest.mark.usefixtures("promised")
def test_what_is_kept_is_copied_at_once_and_unscaled():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    with Watched(model, optimizer, scaler=scaler, keep=[""]) as watched:
        out = model(torch.ones(2, 3))
        scaler.scale(out.sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        samples = watched.handle._watcher.parameters.before_step([0], 4).values
    assert not watched.problems
    kept = {record.key.role: record.values for _, record in watched.kept}
    np.testing.assert_allclose(kept["output gradient"], np.ones((2, 2)), rtol=1e-6)
    assert watched.stats(0, "", "output gradient")["l2"] == 2
    assert not any(isinstance(part, Part) for part in samples)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_a_gpu_is_never_waited_for():
    torch.manual_seed(0)
    model = Net("cuda")
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    batches = [
        (torch.randn(4, 3, 6, 6, device="cuda"), torch.randint(0, 4, (4,), device="cuda"))
        for _ in range(25)
    ]
    with Watched(model, optimizer, log_freq=5) as watched:
        torch.cuda.set_sync_debug_mode("error")
        try:
            for x, y in batches:
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
                watched.handle.log(loss=loss)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert not watched.problems
    weight = model.conv.weight.grad.double().norm().item()
    assert watched.stats(24, "conv", "gradient", "weight")["l2"] == pytest.approx(weight, rel=1e-5)
    assert watched.number(20, "conv", "module", "seconds") > 0
