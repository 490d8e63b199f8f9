# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""The digits demo: real data, a network that reads them, flows that follow an edit."""

import numpy as np
import pytest
import torch

from gradtui.folder.location import DebugFolder
from gradtui.folder.pickle_reader import read_flow_info
from gradtui.torch import DebugAdapter
from gradtui.torch.demo import digits


@pytest.fixture(scope="module")
def trained():
    lines = []
    net, share = digits.train(lambda done, line: lines.append((done, line)))
    return net, share, lines


def test_data_are_whole():
    learned, held_out = digits.load_digits()
    assert len(learned.labels) + len(held_out.labels) == 1797
    assert learned.images.shape[1:] == (8, 8)
    assert learned.images.max() == digits.FULL_INK
    assert set(held_out.labels) == set(range(10))
    # The data set's first image is a zero.
    assert learned.labels[0] == 0
    assert learned.images[0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]


def test_the_network_reads_digits_that_it_has_not_seen(trained):
    net, share, lines = trained
    assert share >= 0.95
    assert not net.training
    shares = [done for done, _ in lines]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert "held-out" in lines[-1][1]


def test_training_is_the_same_twice(trained):
    before = torch.get_rng_state()
    again, share = digits.train()
    assert share == trained[1]
    assert all(
        torch.equal(one, two)
        for one, two in zip(trained[0].parameters(), again.parameters(), strict=True)
    )
    assert torch.equal(before, torch.get_rng_state())


def test_an_edited_pixel_changes_scores_and_flows(trained, tmp_path):
    _, held_out = digits.load_digits()
    image = held_out.images[0].astype(np.float32)
    adapter = DebugAdapter(
        trained[0], folder=tmp_path / "d", prepare=digits.prepare, inputs=image, loss=digits.margin
    )
    roots, targets = [], []
    for edited in (
        image,
        np.where(np.arange(64).reshape(8, 8) == 27, digits.FULL_INK - image, image),
    ):
        run, root = adapter.capture_array(edited)
        roots.append(root)
        targets.append(run.target)
        assert run.target.shape == (1, 10)
        for pair in root["meta"]["pairs"]:
            scale = np.abs(root["activation_gradients"][pair["source"]]).max()
            assert pair["residual"] <= 1e-4 * scale
        assert root["layer_order"] == ["input", "conv1", "conv2", "conv3", "scores"]
        assert all(flow is not None for flow in root["gradient_flows"].values())
    assert np.abs(targets[0] - targets[1]).max() > 0.1
    changed = roots[0]["activation_gradients"]["input"] != roots[1]["activation_gradients"]["input"]
    assert changed.any()
    adapter.run()
    assert read_flow_info(DebugFolder.at(tmp_path / "d").flow_info)[0][
        "input_representation"
    ].shape == (8, 8)
