# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Looks at a model on demand; BBDecoder's failures, one test each, that are about what it computes."""

import copy

import numpy as np
import pytest
import torch
from kit.networks import Strange
from torch import distributed, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from gradtui.errors import UsageError
from gradtui.torch import features, gradients, similarity, weights

IDS = torch.arange(20) % 11


def frozen_state(model):
    return (
        [module.training for module in model.modules()],
        copy.deepcopy(model.state_dict()),
        [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        torch.get_rng_state(),
        [len(module._forward_hooks) for module in model.modules()],
        list(model.state_dict()),
    )


def same(one, other):
    for a, b in zip(one, other, strict=True):
        if isinstance(a, dict):
            assert all(torch.equal(a[k], b[k]) for k in a)
        elif isinstance(a, torch.Tensor):
            assert torch.equal(a, b)
        else:
            assert a == b or all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_features_of_any_layer_and_the_model_as_it_was():
    model = Strange().train()
    model(IDS).sum().backward()
    model.norm.eval()
    for parameter in model.parameters():
        parameter.grad = None
    before = frozen_state(model)
    names = [
        "embed",
        "blocks.2",
        "trunk.1",
        "by_word",
        "by_word.inner",
        "twin",
        "blocks.1#1",
        "head",
    ]
    found = features(model, IDS, names)
    same(before, frozen_state(model))
    assert list(found) == names
    twin = copy.deepcopy(model).eval()
    with torch.no_grad():
        assert torch.equal(found["head"], twin(IDS))
        assert torch.equal(features(model, IDS, "(model)"), twin(IDS))
    # The first call of the module that has two names, and its second.
    assert not torch.equal(found["twin"], found["blocks.1#1"])
    assert torch.equal(features(model, IDS, "twin#1"), found["blocks.1#1"])
    assert torch.equal(found["by_word"], found["by_word.inner"])


def test_features_of_a_module_that_is_called_as_another_s_second_call():
    model = nn.ModuleDict({"a": nn.Linear(3, 3), "a#1": nn.Linear(3, 3)})
    model.forward = lambda x: model["a#1"](model["a"](x))
    x = torch.randn(2, 3)
    with torch.no_grad():
        assert torch.equal(features(model, x, "a#1"), model(x))


def test_features_are_those_before_an_in_place_operation():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True))
    x = torch.randn(3, 4)
    with torch.no_grad():
        assert torch.equal(features(model, x, "0"), model[0](x))


def test_training_mode_on_request_and_its_traces_gone():
    model = Strange().eval()
    before = frozen_state(model)
    one, two = (features(model, IDS, "norm", training=mode) for mode in (True, False))
    assert not torch.equal(one, two)
    same(before, frozen_state(model))


def test_a_size_as_a_list_or_a_tuple_is_an_input():
    # BBDecoder's README gives a list, on which it raises.
    model = nn.Conv2d(3, 4, 3)
    found = features(model, [1, 3, 32, 32], "(model)")
    assert found.shape == (1, 4, 30, 30)
    assert torch.equal(found, features(model, (1, 3, 32, 32), "(model)"))


def test_arguments_by_position_and_by_keyword():
    model = nn.Bilinear(3, 4, 5)
    one, two = torch.randn(2, 3), torch.randn(2, 4)
    by_position = features(model, (one, two), "(model)")
    assert torch.equal(by_position, features(model, {"input1": one, "input2": two}, "(model)"))


def test_post_processing_and_one_channel():
    model = nn.Conv2d(1, 6, 3)
    x = torch.randn(2, 1, 5, 5)
    whole = features(model, x, "(model)")
    assert torch.equal(features(model, x, "(model)", dim=4), whole[:, 4])
    assert torch.equal(features(model, x, "(model)", post=torch.abs, dim=-1), whole.abs()[:, -1])
    with pytest.raises(UsageError, match="dim=6"):
        features(model, x, "(model)", dim=6)


def test_layers_of_an_encoder_run_in_evaluation_too():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    found = features(nn.TransformerEncoder(layer, 2), (2, 5, 8), ["layers.0.linear1", "layers.1"])
    assert found["layers.0.linear1"].shape == (2, 5, 16)
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_recurrent_layer_gives_its_output_and_a_compiled_one_what_it_was_made_from():
    model = nn.LSTM(4, 6, batch_first=True)
    assert features(model, (2, 5, 4), "(model)").shape == (2, 5, 6)
    compiled = torch.compile(nn.Sequential(nn.Linear(3, 3)), backend="eager")
    assert features(compiled, (2, 3), "0").shape == (2, 3)


@pytest.mark.skipif(not distributed.is_available(), reason="torch without distributed")
def test_a_rank_does_not_wait_for_others():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        wrapped = DistributedDataParallel(model)
        found = features(wrapped, (2, 3), ["0", "module.1"])
        assert torch.equal(found["module.1"], features(model, (2, 3), "1"))
        assert gradients(wrapped).names[0] == "module.0.weight"
    finally:
        distributed.destroy_process_group()


def test_what_is_refused_leaves_the_model_as_it_was():
    model = Strange()
    before = frozen_state(model)
    with pytest.raises(UsageError, match="no module is called 'haed'"):
        features(model, IDS, "haed")
    with pytest.raises(UsageError, match="blocks: did not run"):
        features(model, IDS, "blocks")
    with pytest.raises(UsageError, match="embed#3"):
        features(model, IDS, "embed#3")
    with pytest.raises(UsageError, match="no tensor"):
        features(model, "text", "embed")
    with pytest.raises(IndexError):
        features(model, torch.tensor([12]), "embed")
    same(before, frozen_state(model))


def test_similarity_takes_tensors_of_any_kind():
    maps = torch.randn(1, 1, 4, 4).repeat(2, 5, 1, 1)
    assert similarity(maps, 1, "kl").value == pytest.approx(0, abs=1e-12)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        tensor = maps.to(dtype).requires_grad_()
        assert similarity(tensor, 1).value == pytest.approx(1)
    assert similarity(maps.numpy(), -3).value == pytest.approx(1)
    assert similarity(torch.eye(3).to_sparse(), 0).value == 0


def test_gradients_agree_with_autograd_and_none_is_none():
    model = Strange()
    functional.cross_entropy(model(IDS), IDS).backward()
    found = gradients(model)
    assert found.names == tuple(name for name, _ in model.named_parameters())
    # Biases, the model's own parameters and those in lists; the tied one once.
    assert {"blocks.2.bias", "scale", "frozen", "trunk.0.weight"} <= set(found.names)
    assert "head.weight" not in found.names
    for column, (name, parameter) in enumerate(model.named_parameters()):
        row = [getattr(found, what)[0, column] for what in ("mean", "largest", "l1", "l2")]
        if name == "frozen":
            assert np.isnan(row).all()
            continue
        g = parameter.grad.double()
        expected = [g.abs().mean(), g.abs().max(), g.abs().sum(), g.square().sum().sqrt()]
        assert row == pytest.approx([float(e) for e in expected], rel=1e-12)


@pytest.mark.parametrize("value", [1e-4, 300.0, 6e-8])
def test_half_precision_neither_vanishes_nor_overflows(value):
    # BBDecoder: 1e-4 gives an L2 of 0, 300 gives Inf.
    model = nn.Linear(50, 40, bias=False).half()
    model.weight.grad = torch.full_like(model.weight, value)
    exact = float(torch.tensor(value).half())
    found = gradients(model)
    assert found.l2[0, 0] == pytest.approx(exact * 2000**0.5, rel=1e-6)
    assert found.l1[0, 0] == pytest.approx(exact * 2000, rel=1e-6)
    assert found.mean[0, 0] == pytest.approx(exact, rel=1e-6)


def test_scaled_gradients_are_told_unscaled():
    # BBDecoder's norms of mixed precision are 65536 times too large.
    model = nn.Linear(4, 3)
    x = torch.randn(5, 4)
    model(x).square().sum().backward()
    plain = gradients(model)
    model.zero_grad()
    (model(x).square().sum() * 65536.0).backward()
    scaled = gradients(model, scale=65536.0)
    for what in ("mean", "largest", "l1", "l2"):
        assert getattr(scaled, what) == pytest.approx(getattr(plain, what), rel=1e-6)


def test_broken_empty_and_sparse_gradients():
    model = nn.ParameterDict(
        {k: nn.Parameter(torch.ones(n)) for k, n in zip("abc", (4, 0, 2), strict=True)}
    )
    model["a"].grad = torch.tensor([3.0, torch.nan, -4.0, torch.inf])
    model["b"].grad = torch.zeros(0)
    model["c"].grad = torch.full((2,), torch.nan)
    found = gradients(model)
    assert found.l2[0].tolist() == [5, 0, 0]
    assert found.mean[0, 0] == 3.5
    assert np.isnan(found.mean[0, 1:]).all()
    assert found.nonfinite[0].tolist() == [2, 0, 2]
    table = nn.Embedding(10, 3, sparse=True)
    table(torch.tensor([1, 1, 4])).sum().backward()
    assert gradients(table).l1[0, 0] == 9
    assert gradients(table).mean[0, 0] == pytest.approx(9 / 30)
    assert gradients(nn.ReLU()).names == ()


def test_layers_and_epochs_of_a_table():
    model = Strange()
    functional.cross_entropy(model(IDS), IDS).backward()
    rows = gradients(model).by_layer()
    assert rows.names[:3] == ("(model)", "embed", "blocks.0")
    block = model.blocks[0]
    whole = torch.cat([block.weight.grad.ravel(), block.bias.grad]).double()
    assert rows.l2[0, 2] == pytest.approx(float(whole.norm()))
    assert rows.mean[0, 2] == pytest.approx(float(whole.abs().mean()))
    # Frozen and trainable ones together: what has no gradient adds nothing.
    assert rows.l1[0, 0] == pytest.approx(float(model.scale.grad.abs().sum()))
    one = rows.by_epoch([])
    assert (one.every, one.rows.tolist()) == ("epoch", [0])
    assert one.l2.tolist() == rows.l2.tolist()
    with pytest.raises(ValueError, match="steps"):
        one.by_epoch([])
    with pytest.raises(ValueError, match="epochs"):
        one.by_layer()


def test_weights_of_every_parameter_once():
    model = Strange()
    found = weights(model)
    assert list(found) == [name for name, _ in model.named_parameters()]
    assert found["blocks.0.weight"].remarks == ()
    with torch.no_grad():
        model.trunk[0].weight[3] = -2 * model.trunk[0].weight[5]
    (said,) = weights(model, "trunk.0")["trunk.0.weight"].remarks
    assert "5 ≈ -0.5 × 3" in said
    assert list(weights(model, "blocks.*.bias")) == [f"blocks.{k}.bias" for k in range(3)]
    with pytest.raises(UsageError, match="nothing"):
        weights(model, "nothing*")
    up = nn.ConvTranspose2d(4, 6, 3).to(torch.bfloat16)
    with torch.no_grad():
        up.weight[:, 2] = up.weight[:, 5]
    assert weights(up)["weight"].kernels.groups == ((2, 5),)
