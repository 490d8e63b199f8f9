# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""What BBDecoder has, and what it gets wrong: each row names a test here that passes.

Tests of a watched run stand in this file; those of looks at a model, of charts and of pictures elsewhere.
"""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from kit.networks import Strange
from torch import nn
from torch.nn import functional

from gradtui.errors import FolderMissing, UsageError
from gradtui.store.run.whole import read_run
from gradtui.torch import analyse, evolution, features, gradient_history, similarity, watch

TESTS = Path(__file__).parents[1]
IDS = torch.arange(20) % 11
SHOWN = {
    "B1 names and unique ids, any nesting, no wrapper": "test_every_module_and_parameter_by_name",
    "B2 mean, max, L1, L2 by step and epoch": "test_every_module_and_parameter_by_name",
    "B3 weight histograms, clusters, kernels alike": "torch/test_analysis.py::test_weights_of_every_parameter_once",
    "B4 similarity along a dimension": "core/test_similarity.py::test_agrees_with_the_definition_along_any_dimension",
    "B5 intermediate features": "torch/test_analysis.py::test_features_of_any_layer_and_the_model_as_it_was",
    "B6 a video of features": "torch/test_watch_examples.py::test_features_of_the_digits_can_be_played",
    "B6 its file": "export/test_gif.py::test_frames_have_the_colours_of_the_screen",
    "list input size": "torch/test_analysis.py::test_a_size_as_a_list_or_a_tuple_is_an_input",
    "ModuleList, indexed Sequential, tying, keyword-only child, two names": "test_every_module_and_parameter_by_name",
    "state_dict keys": "test_the_model_is_no_other_one",
    "biases and root parameters missing": "test_every_module_and_parameter_by_name",
    "no gradient shown as 0": "test_every_module_and_parameter_by_name",
    "fp16 vanishes and overflows": "test_gradients_of_half_precision",
    "AMP norms are scaled": "test_gradients_of_mixed_precision_are_unscaled",
    "left in evaluation mode": "test_the_model_is_no_other_one",
    "KL of identical channels": "core/test_similarity.py::test_identical_channels",
    "saving after one iteration": "test_after_one_iteration",
}


@pytest.mark.parametrize("row", SHOWN)
def test_every_row_is_shown_by_a_test(row):
    name, _, test = SHOWN[row].rpartition("::")
    text = (TESTS / (name or Path(__file__).relative_to(TESTS))).read_text("utf-8")
    assert f"def {test}(" in text, row


def hand(gradient):
    """Mean, largest, L1 and L2 by autograd's own gradient, in float64."""
    size = gradient.double().abs()
    return [size.mean(), size.max(), size.sum(), size.square().sum().sqrt()]


def row_of(table, row, column):
    return [getattr(table, what)[row, column] for what in ("mean", "largest", "l1", "l2")]


def test_every_module_and_parameter_by_name(tmp_path):
    model = Strange()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    steps = []
    with watch(model, optimizer, folder=tmp_path, log_freq=1) as handle:
        for step in range(4):
            optimizer.zero_grad()
            functional.cross_entropy(model(IDS), IDS).backward()
            steps.append(
                {n: None if p.grad is None else p.grad.clone() for n, p in model.named_parameters()}
            )
            optimizer.step()
            if step == 1:
                handle.epoch()
    run = read_run(tmp_path).run
    paths = {module.path for module in run.modules}
    assert {"blocks.2", "trunk.0", "by_word.inner", "head"} <= paths
    table = gradient_history(tmp_path, layers=False)
    assert set(table.names) == set(steps[0])
    assert {"blocks.0.bias", "scale", "trunk.2.bias", "embed.weight"} <= set(table.names)
    for column, name in enumerate(table.names):
        for step, gradients in enumerate(steps):
            found = row_of(table, step, column)
            if gradients[name] is None:
                assert np.isnan(found).all(), name
            else:
                # Biases before a normalisation have a gradient of rounding alone.
                expected = [float(value) for value in hand(gradients[name])]
                assert found == pytest.approx(expected, rel=1e-5, abs=1e-12), name
    assert np.isnan(table.l2[:, table.names.index("frozen")]).all()
    epochs = gradient_history(tmp_path, "epoch", layers=False)
    assert epochs.rows.tolist() == [0, 1]
    column = epochs.names.index("blocks.1.weight")
    for row, own in enumerate((steps[:2], steps[2:])):
        gradients = [one["blocks.1.weight"] for one in own]
        assert epochs.l2[row, column] == pytest.approx(
            float(sum(hand(g)[3] for g in gradients) / 2), rel=1e-5
        )
        assert epochs.mean[row, column] == pytest.approx(
            float(torch.cat(gradients).double().abs().mean()), rel=1e-5
        )


def test_the_model_is_no_other_one(tmp_path):
    model = Strange().train()
    keys, names = list(model.state_dict()), [name for name, _ in model.named_modules()]
    with watch(model, folder=tmp_path):
        functional.cross_entropy(model(IDS), IDS).backward()
        model.norm.eval()
        maps = features(model, IDS, "blocks.1")
        similarity(maps, 1, "kl")
        assert list(model.state_dict()) == keys
        assert [name for name, _ in model.named_modules()] == names
        modes = {name: module.training for name, module in model.named_modules()}
    assert [name for name, mode in modes.items() if not mode] == ["norm"]
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("value", [1e-4, 300.0])
def test_gradients_of_half_precision(tmp_path, value):
    model = nn.Linear(50, 40, bias=False).half()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with watch(model, optimizer, folder=tmp_path):
        model.weight.grad = torch.full_like(model.weight, value)
        optimizer.step()
    exact = float(torch.tensor(value).half())
    table = gradient_history(tmp_path)
    expected = [exact, exact, exact * 2000, exact * 2000**0.5]
    assert row_of(table, 0, 0) == pytest.approx(expected, rel=1e-5)


def test_gradients_of_mixed_precision_are_unscaled(tmp_path):
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=65536.0)
    plain, x = [], torch.randn(7, 6)
    with watch(model, optimizer, folder=tmp_path, scaler=scaler, log_freq=1):
        for _ in range(3):
            twin = copy.deepcopy(model)
            twin.zero_grad()
            twin(x).square().mean().backward()
            plain.append([hand(p.grad) for p in twin.parameters()])
            optimizer.zero_grad()
            scaler.scale(model(x).square().mean()).backward()
            scaler.step(optimizer)
            scaler.update()
    table = gradient_history(tmp_path, layers=False)
    assert table.rows.tolist() == [0, 1, 2]
    for step, parameters in enumerate(plain):
        for column, expected in enumerate(parameters):
            assert row_of(table, step, column) == pytest.approx(
                [float(value) for value in expected], rel=1e-5
            )


def test_after_one_iteration(tmp_path):
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, folder=tmp_path, log_freq=1):
        model(torch.randn(2, 4)).sum().backward()
        optimizer.step()
    report = analyse(tmp_path)
    assert report.gradients.l2.shape == (1, 1)
    assert len(report.clusters) == 2


def test_what_is_refused(tmp_path):
    with pytest.raises(FolderMissing, match="no watched run"):
        gradient_history(tmp_path)
    with pytest.raises(FolderMissing):
        evolution(tmp_path, "conv")
    with pytest.raises(UsageError, match="step or epoch"):
        gradient_history(tmp_path, "week")
