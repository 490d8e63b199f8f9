# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Tensors of every shape down to maps."""

import pytest
import torch
from kit.jacobian import reduced
from torch import nn

from gradtui.errors import UsageError
from gradtui.torch.layout import Layout, layout_of, stated_layout


@pytest.mark.parametrize(
    ("module", "shape", "letters", "map_shape", "channels"),
    [
        (None, (), "", (1, 1), 1),
        (None, (5,), "D", (1, 5), 1),
        (nn.Linear(5, 5), (3, 5), "TD", (3, 5), 1),
        (nn.Linear(5, 5), (1, 5), "TD", (1, 5), 1),
        (nn.LayerNorm(5), (2, 3, 5), "BTD", (3, 5), 1),
        (nn.Conv2d(1, 4, 3), (2, 4, 6, 7), "BCHW", (6, 7), 4),
        (nn.Conv2d(1, 4, 3), (4, 6, 7), "CHW", (6, 7), 4),
        (nn.ReLU(), (2, 4, 6, 7), "BCHW", (6, 7), 4),
        (nn.Conv1d(1, 4, 3), (2, 4, 9), "BCW", (1, 9), 4),
        (nn.Conv1d(1, 4, 3), (4, 9), "CW", (1, 9), 4),
        (nn.Conv3d(1, 2, 3), (1, 2, 3, 4, 5), "BCDHW", (12, 5), 2),
        (nn.AvgPool1d(2), (2, 4, 9), "BCW", (1, 9), 4),
        (nn.BatchNorm1d(4), (2, 4), "TD", (2, 4), 1),
        (nn.LSTM(4, 6, batch_first=True), (2, 3, 6), "BTD", (3, 6), 1),
        (nn.LSTM(4, 6), (3, 2, 6), "TBD", (3, 6), 1),
        (nn.LSTM(4, 6), (3, 6), "TD", (3, 6), 1),
        (nn.MultiheadAttention(6, 2), (3, 2, 6), "TBD", (3, 6), 1),
        (nn.MultiheadAttention(6, 2), (3, 2, 5, 6), "BCHW", (5, 6), 2),
        (None, (2, 3, 4, 5, 6, 7), "BVWXYZ", (3 * 4 * 5 * 6, 7), 1),
    ],
)
def test_letters_and_maps(module, shape, letters, map_shape, channels):
    layout = layout_of(module, shape, 0, {})
    assert layout.letters == letters
    assert layout.map_shape == map_shape
    assert layout.channels == channels
    indices = layout.indices()
    assert indices.shape == (channels, layout.nodes)
    assert len(indices.unique()) == indices.numel()
    tensor = torch.randn(shape)
    expected = reduced(tensor, letters).reshape(map_shape)
    torch.testing.assert_close(tensor.reshape(-1)[indices].sum(0).view(map_shape), expected)


def test_shape_of_a_known_layer_is_inherited():
    known = {(2, 4, 9): "BCW"}
    assert layout_of(nn.ReLU(), (2, 4, 9), 0, known).letters == "BCW"
    assert layout_of(nn.ReLU(), (2, 4, 8), 0, known).letters == "BTD"


def test_another_sample_is_chosen_and_said():
    layout = Layout("BTD", (4, 2, 3), 2)
    tensor = torch.arange(24).view(4, 2, 3)
    assert torch.equal(tensor.reshape(-1)[layout.indices()].view(2, 3), tensor[2])
    assert layout.reduction == "[B, T, D], sample 2 of 4, T × D"
    assert Layout("BCDHW", (1, 2, 3, 4, 5)).reduction.endswith("2 channels summed, D·H × W")


def test_a_stated_layout_must_fit():
    assert stated_layout("tbd", (3, 2, 6), 0, "x").map_shape == (3, 6)
    with pytest.raises(UsageError, match="2 letters"):
        stated_layout("TD", (3, 2, 6), 0, "x")
