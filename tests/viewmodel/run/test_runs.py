"""The list of a folder's runs."""

from __future__ import annotations

from gradtui.core.run.found import FoundRun
from gradtui.viewmodel.run.runs import place_of, runs_lines
from gradtui.viewmodel.text import line_width, plain

RUNS = (
    FoundRun("run", "", frozenset("c"), "Net", 300.0, 12_345, 400.0, alive=True),
    FoundRun("run", "", frozenset("ab"), "Net", 100.0, 99, 200.0, newest=False),
    FoundRun("run/Decoder/", "Decoder", frozenset("d"), "Decoder", 301.0, -1, 301.0),
)


def lines(width):
    return runs_lines(RUNS, 1, lambda moment: f"t{moment:.0f}", width)


def test_each_run_has_its_model_its_last_step_and_when_it_began_and_ended():
    header, newest, older, other = (plain(each).split() for each in lines(80))
    assert header == ["no.", "model", "last", "step", "began", "ended"]
    assert newest == ["1", "Net,", "newest", "12,345", "t300", "goes", "on"]
    assert older == [">", "2", "Net", "99", "t100", "t200"]
    assert other == ["3", "Decoder/", "Decoder", "none", "t301", "t301"]


def test_nothing_is_wider_than_the_screen():
    assert all(line_width(each) <= width for width in (1, 20, 60, 80, 120) for each in lines(width))
    assert not any("…" in plain(each) for each in lines(80))


def test_the_shown_run_is_found_among_them():
    assert place_of(RUNS, FoundRun()) == 0
    assert place_of(RUNS, FoundRun(ids=frozenset("b"), newest=False)) == 1
    assert place_of(RUNS, FoundRun(name="Decoder")) == 2
    # It is gone.
    assert place_of(RUNS, FoundRun(ids=frozenset("x"), newest=False)) == -1
