"""The gutter: drawings of known graphs, and properties of any."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gradtui.core.architecture.lanes import ASCII, MOST, UPWARDS, gutter, lane_count, lanes


def rows_of(laid):
    return [laid[row] for row in range(len(laid))]


def drawn(rows, edges, *, glyphs=None, nodes=(), width=0):
    laid = lanes(rows, edges, nodes)
    width = width or lane_count(laid)
    several = {row for row in range(rows) if sum(target == row for _, target in set(edges)) > 1}
    lines = []
    above = None
    for number, row in enumerate(rows_of(laid)):
        mark = "⊕" if number in several else "◆"
        lines.append(
            gutter(row, above, mark, width=width, **({"glyphs": glyphs} if glyphs else {})).rstrip()
        )
        above = row
    return lines


def test_a_chain_is_one_lane():
    assert drawn(3, [(0, 1), (1, 2)]) == ["◆", "◆", "◆"]
    assert drawn(0, []) == []


def test_a_skip_connection():
    assert drawn(4, [(0, 1), (1, 2), (2, 3), (0, 3)]) == ["◆", "├─◆", "│ ◆", "⊕─╯"]


def test_two_branches_of_which_the_second_keeps_the_lane():
    assert drawn(4, [(0, 1), (0, 2), (1, 3), (2, 3)]) == ["◆", "├─◆", "◆ │", "⊕─╯"]


def test_a_unet_turns():
    edges = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (1, 4), (0, 5)]
    assert drawn(6, edges) == ["◆", "├─◆", "│ ├─◆", "│ │ ◆", "│ ⊕─╯", "⊕─╯"]


def test_three_values_meet():
    edges = [(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4)]
    assert drawn(5, edges) == ["◆", "├─◆", "├─┼─◆", "◆ │ │", "⊕─┴─╯"]


def test_a_row_that_is_no_node_lets_values_pass():
    assert drawn(4, [(0, 2), (0, 3), (2, 3)], nodes=(True, False, True, True)) == [
        "◆",
        "│",
        "├─◆",
        "⊕─╯",
    ]


def test_other_characters():
    edges = [(0, 1), (1, 2), (0, 2)]
    assert drawn(3, edges, glyphs=ASCII) == ["◆", "+-◆", "⊕-'"]
    assert drawn(3, edges, glyphs=UPWARDS) == ["◆", "├─◆", "⊕─╮"]


def test_more_lanes_than_there_is_room_share_the_last():
    edges = [(0, k) for k in range(1, 5)] + [(k, 5) for k in range(1, 5)]
    for line in drawn(6, edges, width=2):
        assert len(line) <= 3
    assert gutter(lanes(1, [])[0], None, "◆", width=0) == ""


graphs = st.integers(1, 14).flatmap(
    lambda rows: st.tuples(
        st.just(rows),
        st.lists(
            st.tuples(st.integers(-1, rows), st.integers(-1, rows)), max_size=3 * rows, unique=True
        ),
    )
)


@given(graphs)
def test_a_value_has_a_lane_of_its_own_until_its_last_use(graph):
    rows, edges = graph
    sound = {(a, b) for a, b in edges if 0 <= a < b < rows}
    last = {a: max(b for c, b in sound if c == a) for a, _ in sound}
    laid = rows_of(lanes(rows, edges))
    for number, row in enumerate(laid):
        assert sum(row.open) == sum(a <= number < end for a, end in last.items())
        assert len(row.taken) == len({a for a, b in sound if b == number})
        # A row's lane is one that ends at it, or was free.
        before = laid[number - 1].open if number else ()
        free = row.lane >= len(before) or not before[row.lane]
        assert free or row.lane in row.taken


@given(graphs)
def test_vertical_lines_join(graph):
    """What leaves a cell downwards arrives at the cell below, and nothing else does."""
    rows, edges = graph
    laid = rows_of(lanes(rows, edges))
    width = max((max(len(row.open), row.lane + 1) for row in laid), default=0)
    above = None
    for row in laid:
        text = gutter(row, above, "◆", width=width)
        assert len(text) == 2 * width - 1
        for lane in range(width):
            cell = text[2 * lane]
            goes = lane < len(row.open) and row.open[lane]
            came = above is not None and lane < len(above.open) and above.open[lane]
            if cell in "│├┤┼":
                assert goes
                assert came
            elif cell in "╯┴╰":
                assert came
                assert not goes
            elif cell in " ─":
                assert not goes
        above = row


def test_edges_of_rows_that_are_no_nodes_are_left_out():
    left = lanes(3, [(0, 1), (1, 2), (0, 2)], [True, False, True])
    assert rows_of(left) == rows_of(lanes(3, [(0, 2)], [True, False, True]))


def walked(rows, edges, nodes):
    """The lanes, row after row: slow and obvious."""
    sound = {(a, b) for a, b in edges if 0 <= a < b < rows and nodes[a] and nodes[b]}
    last = {a: max(b for c, b in sound if c == a) for a, _ in sound}
    lane_of: dict[int, int] = {}
    found: list[tuple[int, set[int], set[int], set[int]]] = []
    for row in range(rows):
        before = {lane_of[a] for a, end in last.items() if a < row and end > row}
        if not nodes[row]:
            found.append((-1, before, set(), set()))
            continue
        taken = {lane_of[a] for a, b in sound if b == row}
        ended = {lane_of[a] for a, b in sound if b == row and last[a] == row}
        lane = min(ended, default=max(taken, default=-1) + 1)
        while lane in before:
            lane += 1
        lane_of[row] = lane
        found.append((lane, before | ({lane} if row in last else set()), taken, ended - {lane}))
    return found


@given(graphs, st.data())
def test_lanes_are_those_of_a_walk(graph, data):
    rows, edges = graph
    nodes = data.draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
    laid = lanes(rows, edges, nodes)
    told = [
        (row.lane, {k for k, on in enumerate(row.open) if on}, {*row.taken}, {*row.ended})
        for row in rows_of(laid)
    ]
    expected = walked(rows, edges, nodes)
    assert [(row[0], row[2], row[3]) for row in told] == [(e[0], e[2], e[3]) for e in expected]
    for row, (_, held, _, _) in zip(told, expected, strict=True):
        # The last of more than `MOST` tells of all beyond.
        assert row[1] == {min(lane, MOST) for lane in held}
    assert lane_count(laid, 40) == max((lane + 1 for lane, *_ in expected), default=0)
