# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Each example computes one generation, from its factory and as a script."""

from pathlib import Path

import numpy as np
import pytest

from gradtui.folder.load import load
from gradtui.torch.factory import adapter_of

EXAMPLES = Path(__file__).parents[2] / "examples"
LAYERS = {
    "digits": ["input", "conv1", "conv2", "conv3", "scores"],
    "three_convolutions": ["input", "conv1", "conv2", "conv3"],
    "attention": ["input", "embed", "attention", "widen", "narrow", "head"],
    "lstm": ["input", "first", "second", "score"],
    "skip_connection": ["input", "before", "middle", "after"],
}


def test_every_example_is_tried():
    served = {path.stem for path in EXAMPLES.glob("*.py") if "watch(" not in path.read_text()}
    assert served == set(LAYERS)


@pytest.mark.parametrize("name", LAYERS)
def test_one_generation(name, tmp_path):
    adapter = adapter_of(f"{EXAMPLES / name}.py:make", tmp_path / "d", lambda *_: None)
    assert adapter.run() == 1
    session = load(adapter.folder).session
    assert [layer.name for layer in session.layers] == LAYERS[name]
    for pair in session.pairs:
        assert pair.kind == "measured"
        scale = np.abs(session.layer(pair.source).gradient).sum()
        assert pair.residual <= 1e-4 * scale
    assert session.input.size
    assert session.target.size
    if name == "skip_connection":
        shares = {(pair.source, pair.target): pair.bypass_share for pair in session.pairs}
        assert shares["before", "middle"] > 0.2
        assert shares["before", "after"] == 0
    if name == "three_convolutions":
        shapes = [session.layer(layer).shape for layer in LAYERS[name]]
        assert shapes == [(4, 4), (4, 4), (2, 2), (1, 1)]


@pytest.mark.parametrize("name", ["three_convolutions", "attention", "lstm", "skip_connection"])
def test_as_a_script(name, tmp_path, monkeypatch, capsys):
    import runpy

    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert f"generation 1 is in gradtui-debug/{name}" in capsys.readouterr().out
    assert (tmp_path / "gradtui-debug" / name / "flow_info.pkl").is_file()
