# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""The document of a graph: what its page says is what it has, and it is read as it was written."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

import gradtui.folder
from gradtui.core.architecture.document import USUAL, to_document
from gradtui.core.architecture.graph import GraphNode, ModuleGraph, Totals, TraceFault
from gradtui.core.architecture.reading import from_document
from gradtui.errors import InvalidContents

GRAPH = ModuleGraph(
    "Net",
    (
        GraphNode(0, "input", "", "x", shapes=((2, 3),), dtype="float32", bytes=24),
        GraphNode(1, "module", "", "Net", leaf=False),
        GraphNode(
            2, "module", "fc", "Linear", 1, 1, True, 12, 3, 48, ((2, 4),), ((2, 3),),
            "float32", 32, "net.py:7", "failed", True, "3, 4",
        ),
    ),
    ((0, 2),),
    "meta",
    TraceFault("RuntimeError", "no", "fc", "addmm", ((2, 3),), "net.py:7", "self.fc(x)", 2),
    Totals(15, 12, 60, 0, 48, 56),
    ("a guess",),
)  # fmt: skip


@pytest.mark.parametrize("brief", [False, True])
def test_it_is_read_as_it_was_written(brief):
    assert from_document(to_document(GRAPH, brief=brief)) == GRAPH


def test_the_page_of_the_format_names_every_field_and_what_its_absence_means():
    page = Path(gradtui.folder.__file__).with_name("FORMAT.md").read_text(encoding="utf-8")
    text = page.partition("## graph.json\n")[2].partition("\n## ")[0]
    told = {}
    for names, absent in re.findall(r"^\| (`[^|]*) \|[^|]*\| ([^|]*) \|$", text, re.MULTILINE):
        every = re.findall(r"`([a-z_]+)`", names)
        usual = [word.strip().strip("`").partition(":")[0].strip("`") for word in absent.split(",")]
        told |= dict(zip(every, usual * len(every) if len(usual) == 1 else usual, strict=True))
    assert told.pop("kind") == "never"
    words = {"": '""', True: "true", False: "false", "run": "run"}
    usual = {
        name: "[]" if value == [] else words.get(value, str(value))
        if isinstance(value, (str, bool))
        else str(value)
        for name, value in USUAL.items()
    }  # fmt: skip
    assert told == usual
    for name in [*(one.name for one in fields(Totals)), *to_document(GRAPH)]:
        assert f"`{name}`" in text


@pytest.mark.parametrize(
    ("place", "value"),
    [("parent", 2), ("flops", -1), ("flops", 1 << 63), ("bytes", 1.5), ("kind", "layer"), ("out_shapes", [[-1]])],
)  # fmt: skip
def test_a_document_that_breaks_a_rule_is_no_graph(place, value):
    document = to_document(GRAPH)
    document["nodes"][2][place] = value
    with pytest.raises(InvalidContents):
        from_document(document)
