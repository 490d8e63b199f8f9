"""`training_output.json`, written and read."""

from __future__ import annotations

import json
import math
import os

import pytest
from kit.runs import deep

from gradtui.core.run.run import Run
from gradtui.diagnosis.norms import find_in_norms
from gradtui.errors import FolderMissing, UnreadableFile
from gradtui.export.graph_json import Graph, graph_of, graph_text, read_graph

SEED = """{
    "nodes": [
        {"id": "Linear", "gradient_norm": 0.8044},
        {"id": "Linear", "gradient_norm": 0.5383}
    ],
    "edges": [{"source": "fc1", "target": "fc2", "gradient_norm": 2.9235}]
}"""
BIG = 1 << 20


def made():
    training = deep(3)
    training.edges = [("body.0", "body.act0"), ("body.act0", "body.1"), ("body.2", "head")]
    training.set("head", "input gradient", "l2", 0.25)
    training.of("body.1", "gradient", "l2", "weight")[:] = float("nan")
    training.of("body.1", "gradient", "l2", "bias")[:] = float("nan")
    return training


def test_what_is_written_is_of_the_runs_newest_step(tmp_path):
    run = made().run()
    graph = graph_of(run)
    norms = {node.id: node.norm for node in graph.nodes}
    assert list(norms) == ["body.0", "body.act0", "body.1", "body.2", "head"]
    assert norms["body.0"] == pytest.approx(
        float(made().of("body.0", "gradient", "l2", "weight")[-1])
    )
    assert math.isnan(norms["body.1"])
    assert {(e.source, e.target): e.norm for e in graph.edges}["body.2", "head"] == 0.25
    assert graph.step == 299


def test_the_text_is_the_seeds_form_with_more(tmp_path):
    document = json.loads(graph_text(graph_of(made().run())))
    for node in document["nodes"]:
        assert set(node) >= {"id", "gradient_norm"}
    for edge in document["edges"]:
        assert set(edge) >= {"source", "target", "gradient_norm"}
    ids = [node["id"] for node in document["nodes"]]
    assert len(set(ids)) == len(ids)
    assert document["step"] == 299
    assert document["nodes"][2]["gradient_norm"] is None


def same(a: Graph, b: Graph) -> bool:
    def plain(graph):
        return (
            graph.step,
            [(n.id, str(n.norm), n.kind) for n in graph.nodes],
            [(e.source, e.target, str(e.norm)) for e in graph.edges],
        )

    return bool(plain(a) == plain(b))


def test_what_was_written_is_read_again(tmp_path):
    for run in (made().run(), Run.empty()):
        graph = graph_of(run)
        path = tmp_path / "training_output.json"
        path.write_text(graph_text(graph))
        assert same(read_graph(path, BIG), graph)


def test_the_seeds_own_file(tmp_path):
    path = tmp_path / "training_output.json"
    path.write_text(SEED)
    graph = read_graph(path, BIG)
    assert [(n.id, n.norm, n.kind) for n in graph.nodes][:2] == [
        ("Linear", 0.8044, ""),
        ("Linear#2", 0.5383, "Linear"),
    ]
    assert [n.id for n in graph.nodes][2:] == ["fc1", "fc2"]
    assert graph.edges[0].norm == 2.9235
    assert graph.step == -1


@pytest.mark.parametrize(
    "text",
    [
        "", "nonsense", "[]", "{}", '{"nodes": 3}', '{"nodes": [3]}', '{"nodes": [{"id": null}]}',
        '{"nodes": [{"id": "a", "gradient_norm": "much"}]}', '{"nodes": [{"id": "a", "gradient_norm": true}]}',
        '{"nodes": [], "edges": {}}', '{"nodes": [], "edges": [{"source": "a"}]}', "[" * 100_000,
        '{"nodes": [{"id": {}}]}', "\x00\xff",
    ],
)  # fmt: skip
def test_what_is_no_graph_is_told(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UnreadableFile, match=r"x\.json"):
        read_graph(path, BIG)


def test_odd_numbers(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(
        '{"step": 7, "nodes": [{"id": 3, "gradient_norm": NaN}, {"id": "b", "gradient_norm": 1e999}, '
        '{"id": "c", "gradient_norm": "inf"}, {"id": "d"}, {"id": "e", "gradient_norm": '
        + "9" * 400
        + "}]}"
    )
    norms = {node.id: node.norm for node in read_graph(path, BIG).nodes}
    assert str(norms) == str(
        {"3": math.nan, "b": math.inf, "c": math.inf, "d": math.nan, "e": math.inf}
    )


def test_a_missing_and_a_large_file(tmp_path):
    with pytest.raises(FolderMissing):
        read_graph(tmp_path / "none.json", BIG)
    (tmp_path / "x.json").write_text(SEED)
    with pytest.raises(UnreadableFile, match="max-bytes"):
        read_graph(tmp_path / "x.json", 10)


def test_thresholds():
    found = find_in_norms(
        {"a": 0.01, "b": 0.5, "c": 2000.0, "d": math.inf, "e": math.nan, "f": 0.0}, 4
    )
    assert [(f.path, f.rule, f.severity) for f in found] == [
        ("d", "non-finite", "bad"), ("c", "exploding", "warn"), ("a", "vanishing", "warn"), ("f", "vanishing", "warn"),
    ]  # fmt: skip
    assert all(f.since == 4 for f in found)


def test_only_a_regular_file_is_opened(tmp_path):
    """A FIFO would never answer."""
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "folder.json").mkdir()
    for name, kind in (("fifo.json", "a FIFO"), ("folder.json", "a directory")):
        with pytest.raises(UnreadableFile, match=f"is {kind}, not a file"):
            read_graph(tmp_path / name, 1000)
