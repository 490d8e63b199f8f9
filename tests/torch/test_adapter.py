# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""`DebugAdapter`: files in and out, the folder, inputs of every kind."""

import numpy as np
import pytest
import torch
from torch import nn

from gradtui.errors import FileBusy, SaveFailed, UnreadableFile, UsageError
from gradtui.folder.load import load
from gradtui.folder.location import DebugFolder
from gradtui.folder.pickle_reader import read_flow_info
from gradtui.folder.pickle_writer import encode
from gradtui.torch import DebugAdapter, capture
from gradtui.torch.inputs import Template, as_call, default_prepare


def small():
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 1, 3), nn.Flatten(), nn.Linear(4, 3)
    )


def expected_gradient(model, array):
    x = torch.from_numpy(array)[None, None].requires_grad_()
    return torch.autograd.grad(model(x).sum(), x)[0][0, 0].numpy()


@pytest.mark.parametrize("suffix_in", [".npy", ".pt", ".pth", ".pkl"])
@pytest.mark.parametrize("suffix_out", [".npy", ".pt", ".pkl"])
def test_compute_gradients_from_and_to_files(tmp_path, suffix_in, suffix_out):
    model = small()
    array = np.random.default_rng(0).random((4, 4), dtype=np.float32)
    source, target = tmp_path / f"in{suffix_in}", tmp_path / f"out{suffix_out}"
    if suffix_in == ".npy":
        np.save(source, array)
    elif suffix_in == ".pkl":
        source.write_bytes(b"".join(encode({"input_representation": array, "mine": 7})))
    else:
        torch.save(torch.from_numpy(array), source)
    DebugAdapter(model).compute_gradients(source, target)
    expected = expected_gradient(model, array)
    if suffix_out == ".npy":
        found = np.load(target)
    elif suffix_out == ".pt":
        found = torch.load(target, weights_only=True).numpy()
    else:
        root = read_flow_info(target)[0]
        found = root["activation_gradients"]["input"]
        assert root["target_representation"].shape == (1, 3)
        np.testing.assert_array_equal(root["input_representation"], array)
        assert list(root["gradient_flows"]) == [("input", "0"), ("0", "2"), ("2", "4")]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_compute_gradients_in_place_keeps_other_keys(tmp_path):
    path = tmp_path / "flow_info.pkl"
    array = np.ones((4, 4), dtype=np.float32)
    path.write_bytes(b"".join(encode({"input_representation": array, "mine": [1, "x"]})))
    DebugAdapter(small()).compute_gradients(path, path)
    root = read_flow_info(path)[0]
    assert root["mine"] == [1, "x"]
    assert "gradient_flows" in root


def test_files_that_are_no_input(tmp_path):
    adapter = DebugAdapter(small())
    with pytest.raises(UsageError, match="a name in"):
        adapter.compute_gradients("x.txt", "y.npy")
    (tmp_path / "x.pt").write_bytes(b"nonsense")
    with pytest.raises(UnreadableFile, match=r"x\.pt"):
        adapter.compute_gradients(tmp_path / "x.pt", tmp_path / "y.npy")
    torch.save({"a": 1}, tmp_path / "x.pt")
    with pytest.raises(UnreadableFile, match="dict"):
        adapter.compute_gradients(tmp_path / "x.pt", tmp_path / "y.npy")
    with pytest.raises(UnreadableFile):
        adapter.compute_gradients(tmp_path / "gone.npy", tmp_path / "y.npy")
    (tmp_path / "x.pkl").write_bytes(b"".join(encode({})))
    with pytest.raises(UnreadableFile, match="input_representation"):
        adapter.compute_gradients(tmp_path / "x.pkl", tmp_path / "y.npy")


def test_run_writes_what_the_screen_loads(tmp_path):
    adapter = DebugAdapter(small(), folder=tmp_path / "d", inputs=torch.rand(1, 1, 4, 4))
    assert adapter.run() == 1
    loaded = load(DebugFolder.at(tmp_path / "d"))
    session = loaded.session
    assert loaded.writer == "gradtui"
    assert [layer.name for layer in session.layers] == ["input", "0", "2", "4"]
    assert [(p.source, p.target, p.kind) for p in session.pairs] == [
        ("input", "0", "measured"),
        ("0", "2", "measured"),
        ("2", "4", "measured"),
    ]
    assert max(p.residual for p in session.pairs) < 1e-5
    assert session.target.shape == (1, 3)
    assert session.input.shape == (4, 4)


def test_foreign_keys_survive_a_generation(tmp_path):
    folder = tmp_path / "d"
    folder.mkdir()
    root = {"mine": 1, "activation_gradients": {"old": np.ones((1, 1))}, "gradient_flows": {}}
    (folder / "flow_info.pkl").write_bytes(b"".join(encode(root)))
    import os

    os.utime(folder / "flow_info.pkl", (1, 1))
    DebugAdapter(small(), folder=folder, inputs=torch.rand(1, 1, 4, 4)).run()
    written = read_flow_info(folder / "flow_info.pkl")[0]
    assert written["mine"] == 1
    assert "old" not in written["activation_gradients"]


def test_layers_without_gradient_are_no_obstacle_to_the_screen(tmp_path):
    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x):
            self.b(x)
            return self.a(x)

    DebugAdapter(Unused(), folder=tmp_path / "d", inputs=torch.rand(2, 3)).run()
    session = load(DebugFolder.at(tmp_path / "d")).session
    assert [layer.name for layer in session.layers] == ["input", "a"]


def test_run_without_an_input_says_so(tmp_path):
    with pytest.raises(UsageError, match="no input yet"):
        DebugAdapter(small(), folder=tmp_path / "d").run()


def test_a_wrong_layer_is_told_at_once():
    with pytest.raises(UsageError, match="nope"):
        DebugAdapter(small(), layers=["nope"])


@pytest.mark.parametrize(
    ("model", "shape", "expected"),
    [
        (nn.Conv2d(1, 2, 3), (4, 5), (1, 1, 4, 5)),
        (nn.Conv2d(9, 2, 3), (9, 4, 5), (1, 9, 4, 5)),
        (nn.Conv2d(2, 2, 3), (1, 2, 4, 5), (1, 2, 4, 5)),
        (nn.Conv1d(1, 2, 3), (1, 7), (1, 1, 7)),
        (nn.Conv1d(1, 2, 3), (7,), (1, 1, 7)),
        (nn.Linear(20, 2), (4, 5), (1, 20)),
        (nn.Linear(5, 2), (4, 5), (4, 5)),
        (nn.LSTM(5, 2), (4, 5), (4, 5)),
    ],
)
def test_default_prepare_adds_what_the_first_layer_asks_for(model, shape, expected):
    call = default_prepare(model)(np.zeros(shape))
    assert tuple(call.edited.shape) == expected
    assert call.edited.dtype == torch.float32


def test_integers_stay_integers_before_an_embedding(tmp_path):
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
    adapter = DebugAdapter(model, folder=tmp_path / "d", inputs=torch.tensor([[1, 2, 4]]))
    adapter.run()
    root = read_flow_info(tmp_path / "d" / "flow_info.pkl")[0]
    assert root["layer_order"] == ["0", "1"]
    assert root["input_representation"].dtype.kind == "i"
    assert "integers" in root["meta"]["notes"][0]
    np.save(tmp_path / "ids.npy", np.array([[1, 2, 3]]))
    with pytest.raises(UsageError, match="integers"):
        adapter.compute_gradients(tmp_path / "ids.npy", tmp_path / "g.npy")


def test_a_template_edits_one_tensor_and_keeps_the_rest():
    mask = torch.tensor([True, False])
    image = torch.arange(48.0).view(2, 2, 3, 4)
    call = as_call({"mask": mask, "image": image})
    assert call.edited is image
    template = Template(call, sample=1)
    edited = template.to_map()
    assert edited.shape == (6, 4)
    np.testing.assert_array_equal(edited, image[1].reshape(6, 4).numpy())
    edited[4, 2] = -1
    again = template(edited)
    assert again.kwargs["mask"] is mask
    assert again.kwargs["image"][1, 1, 1, 2] == -1
    assert torch.equal(again.kwargs["image"][0], image[0])
    assert image[1, 1, 1, 2] != -1
    whole = template(np.zeros((2, 2, 3, 4)))
    assert not whole.edited.any()
    with pytest.raises(UsageError, match=r"the input is 2×2, and the model's is 6×4"):
        template(np.zeros((2, 2)))
    with pytest.raises(UsageError, match="no tensor"):
        as_call({"text": "x"})


def test_loss_target_prepare_and_two_inputs(tmp_path):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, x, *, scale):
            x *= 2
            return {"scores": self.b(self.a(x).tanh() * scale)}

    adapter = DebugAdapter(
        Two(),
        folder=tmp_path / "d",
        prepare=lambda array: {"x": torch.from_numpy(array), "scale": torch.tensor(0.5)},
        inputs=np.ones((1, 3), dtype=np.float32),
        loss=lambda out: out["scores"][0, 0],
        target=lambda out: out["scores"].detach().numpy() * 2,
    )
    adapter.run()
    root = read_flow_info(tmp_path / "d" / "flow_info.pkl")[0]
    assert (root["activation_gradients"]["b"] == [[1, 0]]).all()
    assert np.load(tmp_path / "d" / "target_representation.npy").shape == (1, 2)


def test_another_adapter_s_folder_is_not_taken(tmp_path, monkeypatch):
    import subprocess
    import sys

    from gradtui.folder.adapter_state import write_adapter

    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        monkeypatch.setattr("os.getpid", lambda: child.pid)
        write_adapter(DebugFolder.at(tmp_path), "serving")
        monkeypatch.undo()
        with pytest.raises(FileBusy, match="serves it already"):
            DebugAdapter(small(), folder=tmp_path, inputs=torch.rand(1, 1, 4, 4)).run()
    finally:
        child.communicate(b"\n")


def test_budget_gives_sums_instead_of_links(tmp_path):
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4)).double()
    x = torch.randn(3, 6, dtype=torch.float64)
    whole = DebugAdapter(model, folder=tmp_path / "a", inputs=x)
    bounded = DebugAdapter(model, folder=tmp_path / "b", inputs=x, max_links=20)
    whole.run()
    bounded.run()
    full = read_flow_info(tmp_path / "a" / "flow_info.pkl")[0]
    root = read_flow_info(tmp_path / "b" / "flow_info.pkl")[0]
    assert list(root["gradient_flows"].values()) == [None, None]
    for pair, exact in zip(root["meta"]["pairs"], full["meta"]["pairs"], strict=True):
        assert pair["form"] == "summed"
        assert pair["residual"] < 1e-12
        np.testing.assert_allclose(pair["row_sums"], exact["row_sums"], atol=1e-12)
        np.testing.assert_allclose(pair["column_sums"], exact["column_sums"], atol=1e-12)
    session = load(DebugFolder.at(tmp_path / "b")).session
    assert not session.pairs[0].flow.has_row(0)


class Attending(nn.Module):
    def forward(self, x):
        return nn.functional.scaled_dot_product_attention(x, x, x)


@pytest.mark.parametrize("module", [nn.LSTM(4, 4), nn.GRU(4, 4), Attending()])
def test_sums_where_the_second_derivative_is_missing(tmp_path, module):
    model = nn.Sequential(nn.Linear(4, 4), module)
    options = {
        "inputs": torch.randn(5, 1, 4),
        "layers": ["0", "1"],
        "layouts": {"0": "TBD", "1": "TBD"},
    }
    options["loss"] = lambda out: (out if isinstance(out, torch.Tensor) else out[0]).square().sum()
    DebugAdapter(model, folder=tmp_path / "a", **options).run()
    DebugAdapter(model, folder=tmp_path / "b", max_links=10, **options).run()
    exact, summed = (
        read_flow_info(tmp_path / name / "flow_info.pkl")[0]["meta"]["pairs"][0] for name in "ab"
    )
    assert summed["form"] == "summed"
    np.testing.assert_allclose(summed["row_sums"], exact["row_sums"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(summed["column_sums"], exact["column_sums"], rtol=1e-4, atol=1e-6)


def test_capture_around_the_user_s_own_passes(tmp_path):
    model, twin = small(), small()
    twin.load_state_dict(model.state_dict())
    x = torch.rand(2, 1, 4, 4)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with capture(model, tmp_path / "d", layers=["0", "2", "4"]) as captured:
        loss = model(x).square().sum()
        loss.backward()
        optimizer.step()
    assert captured.generation == 1
    other = torch.optim.SGD(twin.parameters(), 0.1)
    twin(x).square().sum().backward()
    other.step()
    for one, two in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one.grad, two.grad)
    session = load(DebugFolder.at(tmp_path / "d")).session
    assert [layer.name for layer in session.layers] == ["0", "2", "4"]
    assert max(pair.residual for pair in session.pairs) < 1e-5
    assert session.input.shape == (4, 4)
    assert session.meta["loss"] == pytest.approx(loss.item())
    assert not any(module._forward_hooks for module in model.modules())


def test_capture_without_a_backward_pass(tmp_path):
    model = small()

    def forward_only():
        with capture(model, tmp_path / "d"):
            model(torch.rand(1, 1, 4, 4))

    with pytest.raises(UsageError, match="no backward pass"):
        forward_only()

    def wrong_pair():
        with capture(model, tmp_path / "d", pairs=[("4", "0")]):
            model(torch.rand(1, 1, 4, 4)).sum().backward()
            assert model[0].weight.grad is not None

    with pytest.raises(UsageError, match="no path"):
        wrong_pair()
    assert torch.autograd.backward.__module__ == "torch.autograd"


@pytest.mark.parametrize("suffix", [".npy", ".pt", ".pkl"])
def test_outputs_are_replaced_whole_and_no_link_is_followed(suffix, tmp_path, monkeypatch):
    np.save(tmp_path / "in.npy", np.ones((4, 4), dtype=np.float32))
    other = tmp_path / "other"
    other.write_bytes(b"".join(encode({})))
    kept = other.read_bytes()
    target = tmp_path / f"out{suffix}"
    target.symlink_to(other)
    adapter = DebugAdapter(small())
    adapter.compute_gradients(tmp_path / "in.npy", target)
    assert other.read_bytes() == kept
    assert not target.is_symlink()
    whole = target.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gradtui.folder.writing._write_all", full)
    with pytest.raises(SaveFailed):
        adapter.compute_gradients(tmp_path / "in.npy", target)
    assert target.read_bytes() == whole
    assert {path.name for path in tmp_path.iterdir()} == {"in.npy", "other", target.name}
