# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Inputs of every real dtype, one that was written this moment, one beside a module called input."""

import os

import numpy as np
import pytest
import torch
from torch import nn

from gradtui.errors import FileBusy
from gradtui.folder.load import load
from gradtui.folder.pickle_reader import read_flow_info
from gradtui.torch import DebugAdapter


def small():
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 1, 3))


class Named(nn.Module):
    """Has a module that is called as the input is."""

    def __init__(self):
        super().__init__()
        self.input = nn.Linear(4, 3)

    def forward(self, x):
        return self.input(x).square()


def test_the_gradient_of_an_input_beside_a_module_of_its_name(tmp_path):
    model, array = Named(), np.ones((2, 4), dtype=np.float32)
    np.save(tmp_path / "in.npy", array)
    DebugAdapter(model).compute_gradients(tmp_path / "in.npy", tmp_path / "out.npy")
    x = torch.from_numpy(array).requires_grad_()
    expected = torch.autograd.grad(model(x).sum(), x)[0].numpy()
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, rtol=1e-6)


REAL = ["<f2", ">f4", ">f8", "g", "i1", ">i4", ">u2", "<u8", "?"]


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("way", ["alone", "inputs", "prepare"])
def test_an_input_of_every_real_dtype(tmp_path, dtype, way):
    array, given = np.eye(4).astype(dtype), {}
    if way == "inputs":
        given = {"inputs": torch.zeros(1, 1, 4, 4)}
    elif way == "prepare":
        given = {"prepare": lambda a: torch.from_numpy(a)[None, None].float()}
    adapter = DebugAdapter(small(), folder=tmp_path, **given)
    np.save(adapter.folder.input, array)
    os.utime(adapter.folder.input, (1, 1))
    assert adapter.run() == 1
    info = read_flow_info(adapter.folder.flow_info)[0]
    plain = DebugAdapter(adapter.model).capture_array(np.eye(4, dtype=np.float32))[1]
    for name, gradient in plain["activation_gradients"].items():
        found = info["activation_gradients"][name]
        np.testing.assert_allclose(found, gradient, rtol=1e-5, atol=1e-6)
    # It stays what it was: only torch is given another.
    assert np.load(adapter.folder.input).dtype == np.dtype(dtype)
    np.testing.assert_array_equal(load(adapter.folder).session.input, np.eye(4))


@pytest.mark.parametrize("dtype", [">f4", ">f8", "g"])
def test_inputs_of_one_s_own_in_any_byte_order(tmp_path, dtype):
    model = small().to(torch.float32 if dtype == ">f4" else torch.float64)
    DebugAdapter(model, folder=tmp_path, inputs=np.eye(4)[None, None].astype(dtype)).run()
    assert load(DebugAdapter(model, folder=tmp_path).folder).session.input.trace() == 4


def test_an_input_written_this_moment_is_waited_for(tmp_path):
    adapter = DebugAdapter(small(), folder=tmp_path)
    np.save(adapter.folder.input, np.ones((4, 4), dtype=np.float32))
    assert adapter.run() == 1


def test_a_writer_that_does_not_end_is_told(tmp_path, monkeypatch):
    tried = []

    def busy(*_, **__):
        tried.append(1)
        raise FileBusy(tmp_path, "is being written")

    monkeypatch.setattr("gradtui.torch.adapter.load_input", busy)
    monkeypatch.setattr("gradtui.torch.adapter.PATIENCE_SECONDS", 0.02)
    with pytest.raises(FileBusy, match="is being written"):
        DebugAdapter(small(), folder=tmp_path, inputs=torch.ones(1, 1, 4, 4)).run()
    assert len(tried) > 1
