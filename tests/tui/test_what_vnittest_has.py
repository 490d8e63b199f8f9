"""Which test shows that each feature of vnittest works here; a row without one, or with one that is gone, fails.

The tests named ``test_v<number>_...`` of this folder are counted by their names; the rest are listed.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROWS = {
    1: "Sankey diagram of flows, links above a threshold",
    2: "heatmaps of layer, connected layer, target and input, with highlights",
    3: "z, toggle of input cells",
    4: "save the edited input, under another name too",
    5: "reload what the adapter wrote",
    6: "state after debugging",
    7: "layers, nodes and thresholds to choose",
    8: "padding correction by offsets",
    9: "regions and zoom",
    10: "flows of the file, or estimated",
    11: "explicit mode with nine channels, polyphase zoom",
    12: "adapter: read the saved input, run, write",
    13: "progress at the start",
    14: "a command that opens a folder",
}
ELSEWHERE = {
    1: ["core/test_golden_vnittest.py"],
    10: ["core/test_golden_vnittest.py"],
    11: ["core/test_golden_vnittest.py"],
    12: [
        "loop/test_closed_loop.py::test_an_edit_comes_back_as_new_gradients",
        "torch/test_adapter.py",
    ],
    14: ["cli/test_cli.py::test_the_newest_folder_is_opened"],
}


@pytest.mark.parametrize("row", ROWS)
def test_every_row_is_shown_by_a_test(row):
    here = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    found = re.findall(rf"def (test_v{row}_\w+)", here)
    for place in ELSEWHERE.get(row, []):
        name, _, test = place.partition("::")
        assert f"def {test or 'test_'}" in (TESTS / name).read_text("utf-8"), place
        found.append(place)
    assert found, ROWS[row]
