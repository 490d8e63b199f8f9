# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Small tensors on two cores: more threads only wait for each other."""

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
