# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""What exact flows cost, against a forward and backward pass of the same model in the same run."""

import statistics
import time

import numpy as np
import pytest
import torch
from torch import nn

from gradtui.torch import DebugAdapter
from gradtui.torch.demo import digits
from gradtui.torch.flows import SPARSE_LINK_BYTES
from gradtui.torch.forward import Plan, run_once
from gradtui.torch.inputs import as_call
from gradtui.torch.selection import Selection

pytestmark = pytest.mark.benchmark


def median_ms(work, rounds=15):
    work()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times)


@pytest.mark.parametrize("between", ["nothing", "ReLU"])
def test_convolution_of_sixteen_channels(between):
    torch.manual_seed(0)
    middle = [nn.ReLU()] if between == "ReLU" else []
    model = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), *middle, nn.Conv2d(16, 16, 3, padding=1))
    last = str(len(middle) + 1)
    x = torch.randn(1, 16, 64, 64)

    def passes():
        y = x.clone().requires_grad_()
        torch.autograd.grad(model(y).square().sum(), y)

    found = []

    def use(run):
        pair = run.snapshot.pairs[0]
        flow = run.snapshot.flow(*pair)
        found.append((flow.link_count, median_ms(lambda: run.snapshot.flow(*pair))))

    plan = Plan(Selection(("0", last)), (("0", last),), loss=lambda out: out.square().sum())
    run_once(model, as_call(x), plan, use=use)
    links, flow_ms = found[0]
    passes_ms = median_ms(passes)
    size = links * SPARSE_LINK_BYTES
    print(
        f"\nexact flow 64×64 → 64×64, 3×3, 16 channels, {between} between: {flow_ms:.1f} ms, "
        f"{flow_ms / passes_ms:.2f} of a forward and backward pass ({passes_ms:.1f} ms); "
        f"{links} links, {size / 1e6:.2f} MB"
    )
    assert links == (3 * 64 - 2) ** 2
    assert size <= 2_000_000


def test_generation_of_the_digits_demo(tmp_path):
    net = digits.DigitNet().eval()
    _, held_out = digits.load_digits()
    image = held_out.images[0].astype(np.float32)
    adapter = DebugAdapter(
        net, folder=tmp_path / "d", prepare=digits.prepare, inputs=image, loss=digits.margin
    )
    x = digits.prepare(image)

    def passes():
        y = x.clone().requires_grad_()
        torch.autograd.grad(digits.margin(net(y)), y)

    with adapter.writer() as writer:
        whole = median_ms(lambda: adapter.generate(writer, adapter.read_folder()))
    bare = median_ms(passes)
    print(
        f"\ndigits demo, one generation with its files: {whole:.1f} ms, {whole / bare:.0f} passes"
    )
