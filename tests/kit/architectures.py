"""Architectures made at random, and slow and obvious oracles of how one is laid out: node after node."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from gradtui.core.architecture.graph import GraphNode, ModuleGraph
from gradtui.core.architecture.repeats import repeats
from gradtui.viewmodel.architecture.choices import FOLDED_REPEATS
from gradtui.viewmodel.architecture.layout import ArchitectureRow, key_of


def random_graph(random):
    """A tree of calls, some of them alike, with a chain through their leaves and skips over it."""
    nodes: list[GraphNode] = []
    large = random.choice([1, 1, 1 << 61])

    def costs():
        return {
            "parameters": random.choice([0, 0, 1, 4, 7 * large]),
            "shared": random.choice([0, 0, 0, 3]),
            "flops": random.choice([0, 5, 9 * large]),
            "bytes": random.choice([0, 8, 16]),
            "shapes": random.choice([(), ((2, 3),), ((1, 2, 8, 8),)]),
            "dtype": random.choice(["", "float32"]),
        }

    def add(kind, path, name, parent, leaf, given):
        nodes.append(GraphNode(len(nodes), kind, path, name, parent=parent, leaf=leaf, **given))
        return len(nodes) - 1

    def fill(parent, path, depth):
        for k in range(random.choice([0, 1, 2, 3])):
            if len(nodes) > 300:
                break
            child = f"{path}.{k}" if path else f"block{k}"
            given, holds = costs(), depth < 3 and random.random() < 0.5
            kind = random.choice(["module", "module", "operation"])
            name = random.choice(["Linear", "ReLU"])
            alike = random.getstate()
            for time in range(random.choice([1, 1, 2, 3, 7, 10])):
                if holds:
                    random.setstate(alike)
                    fill(
                        add("module", f"{child}.{time}", "Block", parent, False, given),
                        f"{child}.{time}",
                        depth + 1,
                    )
                else:
                    add(kind, f"{child}.{time}", name, parent, True, given)

    add("input", "", "x", -1, True, {})
    fill(add("module", "", "Model", -1, False, random.choice([{}, costs()])), "", 0)
    add("output", "", "output", -1, True, {})
    leaves = [node.number for node in nodes if node.leaf]
    edges = {pair for pair in pairwise(leaves) if random.random() < 0.95}
    for place, leaf in enumerate(leaves[1:], 1):
        if random.random() < 0.2:
            edges.add((leaves[random.randrange(place)], leaf))
    ordered = sorted(edges, key=lambda edge: (edge[1], edge[0]))
    return ModuleGraph("Model", tuple(nodes), tuple(ordered), "meta")


def heads_of(graph, threshold):
    """For each node the one that it merges into, as MATH.md has the rule."""
    heads = list(range(len(graph.nodes)))
    if threshold < 0:
        return heads
    within = threshold * sum(node.parameters for node in graph.nodes)
    size = {node.number: node.parameters + node.shared for node in graph.nodes}
    merged, into = 0, {}
    uses, takes = Counter(a for a, _ in graph.edges), Counter(b for _, b in graph.edges)
    producer = {b: a for a, b in graph.edges}
    for node in sorted(graph.nodes, key=lambda node: (size[node.number], node.number)):
        if not node.leaf or node.kind in ("input", "output") or takes[node.number] != 1:
            continue
        source = producer[node.number]
        if not uses[node.number] or uses[source] > 1 or graph.nodes[source].kind == "input":
            continue
        merged += size[node.number]
        if merged > within:
            break
        into[node.number] = source
    for number in sorted(into):
        heads[number] = heads[into[number]]
    return heads


def rows_of(graph, choices, most):
    """The rows, and for each node its row; a key opens ``most`` calls alike."""
    heads = heads_of(graph, choices.merge)
    runs = {run.first: run.members for run in repeats(graph, FOLDED_REPEATS)}
    rows: list[dict] = []
    row_of = [-1] * len(graph.nodes)

    def put(node, role, key, numbers, members=()):
        """A row of these nodes; what is inside a folded call counts with it."""
        outputs = [number for number in numbers if graph.nodes[number].leaf]
        for number in numbers:
            row_of[number] = len(rows) if role != "own" else -1
        rows.append(
            {
                "number": node.number,
                "role": role,
                "depth": graph.depths[node.number],
                "key": key,
                "members": members,
                "merged": (),
                "parameters": sum(graph.nodes[number].parameters for number in numbers),
                "shared": node.shared if role in ("leaf", "own") else 0,
                "flops": sum(graph.nodes[number].flops for number in numbers),
                "bytes": sum(graph.nodes[number].bytes for number in outputs),
                "last": members[-1] if members else node.number,
            }
        )

    def join(node, row):
        row["merged"] += (node.number,)
        for cost in ("parameters", "shared", "flops", "bytes"):
            row[cost] += getattr(node, cost)
        if row["role"] == "leaf":
            row["last"] = node.number

    def one(number, single):
        node = graph.nodes[number]
        key, end = key_of(node), graph.ends[number]
        if node.leaf:
            if heads[number] != number:
                row_of[number] = row_of[heads[number]]
                join(node, rows[row_of[number]])
            else:
                put(node, "leaf", key, [number])
            return
        hidden = single or graph.depths[number] > choices.depth >= 0
        folded = key in choices.closed or (hidden and key not in choices.opened)
        if folded or end == number + 1:
            put(node, "folded", key, range(number, end))
            return
        if node.parameters or node.shared or (node.flops and number):
            put(node, "own", "=" + key, [number])
        among(graph.children[number])

    def run(members):
        if graph.nodes[members[0]].leaf and not {heads[m] for m in members} <= set(members):
            for member in members:
                one(member, single=True)
            return
        key = "×" + key_of(graph.nodes[members[0]])
        if key not in choices.opened:
            inside = range(members[0], graph.ends[members[-1]])
            put(graph.nodes[members[0]], "repeat", key, inside, members)
            return
        for member in members[:most]:
            one(member, single=True)
        if members[most:]:
            run(members[most:])

    def among(numbers):
        done = set()
        for number in numbers:
            if number in runs:
                run(runs[number])
                done |= set(runs[number])
            elif number not in done:
                one(number, single=False)

    among(graph.children.get(-1, ()))
    return [ArchitectureRow(**row) for row in rows], row_of


def edges_of(graph, row_of):
    """The edges between rows."""
    joined = {(row_of[a], row_of[b]) for a, b in graph.edges}
    return tuple(sorted((a, b) for a, b in joined if a != b and a >= 0 and b >= 0))


def parts_of(path):
    """A path as its text and its numbers, which compare as people count."""
    return [int(part) if k % 2 else part for k, part in enumerate(re.split(r"([0-9]+)", path))]
