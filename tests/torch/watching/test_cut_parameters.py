# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Parameters whose values are other ones from one step to the next, in the same place."""

import pytest
import torch
from kit.watched import Watched
from torch import nn


@pytest.mark.parametrize("exact_updates", [True, False])
def test_the_update_of_a_parameter_that_is_cut_short_in_its_place(exact_updates):
    """As pruning does; its values begin where they began."""
    model = nn.Linear(8, 8, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer, exact_updates=exact_updates) as watched:
        for step in range(4):
            if step == 2:
                model.weight.data, model.weight.grad = model.weight.data[:4], None
            before = model.weight.detach().clone()
            model(torch.ones(2, 8)).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    assert not watched.problems
    update = model.weight.detach() - before
    for quantity, values in (("l2", update), ("base_l2", before)):
        found = watched.number(3, "", "update", quantity, "weight")
        assert found == pytest.approx(values.norm().item(), rel=1e-5)
