# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Statistics of single tensors, on the CPU and as a device promises them."""

import numpy as np
import pytest
import torch
from kit.watched import expected

from gradtui.torch.watching.late import Late, inverse, number_of, values_of
from gradtui.torch.watching.sampling import sample_of, sampled, stride
from gradtui.torch.watching.units import dead
from gradtui.torch.watching.values import EMPTY, Meter, measurable


@pytest.mark.parametrize("size", [1e-30, 1e-22, 1e-8, 1.0, 1e18, 1e30])
@pytest.mark.parametrize("shape", [(1,), (1000,), (300, 700)])
def test_every_magnitude_is_exact(size, shape):
    torch.manual_seed(3)
    tensor = (torch.randn(shape).double() * size).float()
    meter, wanted = Meter(), expected(tensor)
    stats = meter.measure(tensor)
    assert stats.l2 == pytest.approx(wanted["l2"], rel=1e-5)
    assert stats.l1 == pytest.approx(wanted["l1"], rel=1e-5)
    assert (stats.minimum, stats.maximum) == (wanted["minimum"], wanted["maximum"])
    assert meter.norm(tensor) == (pytest.approx(wanted["l2"], rel=1e-5), 0, 0)
    assert meter.gradient(tensor, 100)[0].l2 == pytest.approx(wanted["l2"], rel=1e-5)
    assert meter.gradient(tensor, 1000)[0].l2 == pytest.approx(wanted["l2"], rel=1e-5)


def test_large_tensors_and_special_values():
    meter = Meter()
    torch.manual_seed(4)
    large = torch.randn(3_000_001) * torch.rand(3_000_001) ** 3
    assert meter.norm(large)[0] == pytest.approx(expected(large)["l2"], rel=2e-6)
    assert meter.measure(large).l1 == pytest.approx(expected(large)["l1"], rel=2e-6)
    assert meter.measure(torch.zeros(0, 3)) is EMPTY
    zero = meter.measure(torch.zeros(5))
    assert (zero.l2, zero.zeros, zero.minimum, zero.maximum) == (0, 5, 0, 0)
    assert meter.norm(torch.zeros(5)) == (0, 0, 0)
    odd = torch.tensor([float("nan"), float("inf"), -float("inf"), 3.0, -4.0, 0.0])
    stats = meter.measure(odd)
    assert (stats.nan, stats.inf, stats.zeros, stats.count) == (1, 2, 1, 6)
    assert (stats.l2, stats.l1, stats.minimum, stats.maximum) == (5, 7, -4, 3)
    assert meter.norm(odd) == (5, 1, 2)
    nothing = meter.measure(torch.full((3,), float("nan")))
    assert (nothing.l2, nothing.nan) == (0, 3)
    assert np.isnan(nothing.minimum)
    turned = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    assert meter.measure(turned).l1 == pytest.approx(expected(turned)["l1"], rel=1e-6)
    # A view that negates what it reads.
    negated = measurable(torch.tensor([1 + 2j, 3 - 4j]).conj().imag)
    assert negated is not None
    assert meter.measure(negated).sum == 2
    assert sample_of(negated, 9).tolist() == [-2, 4]
    spread = torch.ones(1).expand(7)
    assert meter.measure(spread).l1 == 7


ROWS = [
    torch.randn(6, 5, 4, 3),
    torch.randn(6, 5, 4, 3).contiguous(memory_format=torch.channels_last),
    torch.randn(3, 4).T,
    torch.randn(4, 200_001),
    torch.full((2, 1 << 17), 0.1),
    torch.full((1, 6_000_000), 0.1),
    torch.ones(2, 1).expand(2, 9),
    torch.randn(7),
    torch.tensor(-3.0),
    torch.randn(5, 3).double(),
    torch.randn(5, 3).bfloat16(),
    torch.randn(5, 3).half() * 1e4,
]


@pytest.mark.parametrize("gradient", ROWS)
def test_the_norm_of_a_gradient_and_those_of_its_rows(gradient):
    stats, norms = Meter().gradient(gradient, 1000)
    rows = gradient.double().reshape(gradient.shape[0] if gradient.dim() else 1, -1)
    assert norms.dtype == torch.float32
    torch.testing.assert_close(norms.double(), rows.norm(dim=1), rtol=2e-6, atol=0)
    assert stats.l2 == pytest.approx(rows.norm().item(), rel=1e-5)
    assert (stats.count, stats.nan, stats.inf) == (gradient.numel(), 0, 0)
    # Of more rows than are sampled the norm is still that of all.
    some, few = Meter().gradient(gradient, 2)
    assert few.numel() <= 2
    assert some.l2 == pytest.approx(stats.l2, rel=1e-5)


def test_gradients_without_a_norm():
    meter = Meter()
    assert meter.gradient(torch.zeros(0, 3), 9)[0] is EMPTY
    stats, norms = meter.gradient(torch.zeros(3, 0), 9)
    assert stats is EMPTY
    assert norms.tolist() == [0, 0, 0]
    zero, norms = meter.gradient(torch.zeros(2, 3), 9)
    assert (zero.l2, zero.count, zero.nan, zero.inf, norms.tolist()) == (0, 6, 0, 0, [0, 0])
    odd, norms = meter.gradient(torch.tensor([[float("nan"), 1], [float("inf"), 0], [3, 4]]), 9)
    assert (odd.l2, odd.count, odd.nan, odd.inf) == (26**0.5, 6, 1, 1)
    assert norms[2] == 5


def test_what_is_promised_of_a_device_is_the_same():
    """A device has no branch and needs no memory of the CPU's; here the CPU stands for one."""
    torch.manual_seed(5)
    late = Late()
    kinds = ("l2", "l1", "sum", "minimum", "maximum", "count", "zeros", "nan", "inf")
    for size in (1e-30, 1.0, 1e30):
        tensor = torch.randn(999) * size
        tensor[3] = 0
        wanted, found = Meter().measure(tensor), late.measure(tensor)
        (norm,), gradient = late.norms([tensor]), late.gradient(tensor)
        late.send()
        assert number_of(gradient.l2) == pytest.approx(wanted.l2, rel=1e-6)
        assert (number_of(gradient.nan), number_of(gradient.inf)) == (0, 0)
        for name in kinds:
            number = number_of(getattr(found, name))
            assert number == pytest.approx(getattr(wanted, name), rel=1e-5), name
        assert number_of(norm) == pytest.approx(wanted.l2, rel=1e-6)
    odd = late.measure(torch.tensor([float("nan"), float("inf"), 3.0, -4.0]))
    late.send()
    numbers = [number_of(getattr(odd, name)) for name in kinds]
    # Counts are exact; of the rest nothing is claimed.
    assert numbers[5:] == [4, 0, 1, 1]
    assert np.isnan(numbers[:5]).all()


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64, torch.int64])
def test_promises_of_every_kind(kind):
    late = Late()
    tensor = torch.tensor([3, 4], dtype=kind)
    (norm,), part, stats = late.norms([tensor]), late.part(tensor), late.measure(tensor)
    with pytest.raises(RuntimeError, match="not sent"):
        number_of(norm)
    late.send()
    after = late.number(torch.tensor(8.0))
    assert [number_of(n) for n in (norm, stats.l1, stats.sum, stats.zeros)] == [5, 7, 7, 0]
    assert values_of(part).tolist() == [3, 4]
    # What came after waits for the next, and is multiplied with what is promised itself.
    late.send()
    assert number_of(norm * inverse(after) * 2.0) == 1.25
    assert number_of(2.0 * after) == 16
    assert number_of(after.of_kind("nan") * 3.0) == 0
    assert number_of(inverse(late.now(4.0))) == 0.25
    assert late.now(late.number(torch.tensor(2.5))) == 2.5


def test_samples_see_every_column():
    for count in (1, 999, 1000, 1001, 2**20, 3 * 2**18, 10**6):
        step = stride(count, 1000)
        assert -(-count // step) <= 1000
        assert step == 1 or np.gcd(step, count) == 1
    table = torch.arange(64 * 1024).reshape(1024, 64) % 64
    assert len(set(sampled(table, 1000).tolist())) == 64


@pytest.mark.parametrize("holes", [False, True])
def test_a_nested_tensor_whose_dimensions_were_exchanged(holes):
    """Its rows are its words still, and its units what each word has."""
    padded = torch.randn(2, 4, 3)
    padded[..., 1] = 0
    if holes:
        words = torch.cat([padded[0, :2], padded[1, 1:4]])
        nested = torch.nested.narrow(
            padded, 1, torch.tensor([0, 1]), torch.tensor([2, 3]), layout=torch.jagged
        )
    else:
        words = torch.cat([padded[0, :2], padded[1]])
        nested = torch.nested.nested_tensor([padded[0, :2], padded[1]], layout=torch.jagged)
    values = measurable(nested.transpose(1, 2))
    stats, norms = Meter().gradient(values, 100)
    torch.testing.assert_close(norms, words.norm(dim=1))
    assert stats.l2 == pytest.approx(words.norm().item(), rel=1e-5)
    units, amount = dead(values, 1, Meter().measure(values))
    assert (units, int(amount)) == (3, 1)
