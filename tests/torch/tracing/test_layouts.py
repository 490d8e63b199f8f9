"""The rows of traced models, against a walk from node to node."""

from __future__ import annotations

from dataclasses import replace

import pytest
from kit import zoo
from kit.architectures import edges_of, rows_of

from gradtui.torch.tracing.trace import trace
from gradtui.viewmodel.architecture.choices import ArchitectureChoices
from gradtui.viewmodel.architecture.rows import MOST_OPENED, Rows


@pytest.mark.parametrize("name", list(zoo.GOLDEN))
def test_every_fold_of_a_model(name):
    model, given = zoo.golden(name)
    graph = trace(model, given)
    rows = Rows(graph)
    for threshold in (-1, 0, 0.01, 0.2):
        choices = ArchitectureChoices(merge=threshold)
        for depth in (-1, 0, 1, 2):
            choices = choices.at_depth(depth)
            for _ in range(8):
                layout = rows.layout(choices)
                expected, row_of = rows_of(graph, choices, MOST_OPENED)
                assert [layout.row(place) for place in range(len(layout))] == expected
                assert layout.row_of.tolist() == row_of
                assert layout.edges == edges_of(graph, row_of)
                folded = [row.key for row in expected if row.role in ("folded", "repeat")]
                if not folded:
                    break
                choices = replace(choices, opened=choices.opened | {folded[len(folded) // 2]})
