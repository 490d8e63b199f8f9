# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Small tensors on two cores: more threads only wait for each other."""

import sys

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def nothing_compiled():
    """Forget what a test compiled: what looks at a model asks whether anything of the process is."""
    yield
    dynamo = sys.modules.get("torch._dynamo")
    if dynamo is not None and any(dynamo.eval_frame.cached_backends.values()):
        dynamo.reset()
        dynamo.eval_frame.cached_backends.clear()
