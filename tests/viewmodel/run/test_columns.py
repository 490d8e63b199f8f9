"""The columns of a run's Overview at each width: what is looked at most first, and every one on some page."""

from __future__ import annotations

import pytest
from kit.runs import Training as Made

from gradtui.core.run.run import Run
from gradtui.viewmodel.run.choice import RunChoice, from_state, to_state
from gradtui.viewmodel.run.lines import column_pages, columns_of, header, row, title_of
from gradtui.viewmodel.run.sorts import SORTS
from gradtui.viewmodel.run.training import Training, training_of
from gradtui.viewmodel.run.watch import Watch
from gradtui.viewmodel.text import line_width, plain


def names(width, page=0):
    return [column.sort for column in columns_of(width, page)]


def test_eighty_columns_show_all_in_two_pages():
    assert len(column_pages(80)) == 2
    assert names(80) == ["shape", "weight", "gradient", "trend", "ratio", "flag"]
    assert names(80, 1) == [
        "gradient", "trend", "zeros", "dead", "output_gradient", "seconds", "flag",
    ]  # fmt: skip
    assert names(80, 2) == names(80)


def test_a_wide_screen_has_one_page():
    assert len(column_pages(120)) == 1


@pytest.mark.parametrize("width", [27, 34, 40, 41, 59, 60, 72, 80, 95, 109, 110, 200])
def test_each_column_stands_on_some_page_and_rows_keep_their_width(width):
    pages = column_pages(width)
    missing = set(SORTS) - {column.sort for page in pages for column in page}
    assert missing == {"order", "name"}
    made = Made(steps=20).layer("a").act("b")
    training = training_of(made.run(), (), Training())
    for page in range(len(pages)):
        assert line_width(header(width, "gradient", True, page=page)) == width
        for node in range(len(training.tree)):
            text = row(training, node, width, flat=False, folded=False, page=page)
            assert line_width(text) == width


@pytest.mark.parametrize("width", [8, 12, 19, 20, 33])
def test_the_narrowest_screens_have_a_page_too(width):
    assert all(page[-1].sort == "flag" for page in column_pages(width))


def test_what_sorts_is_called_as_its_heading():
    assert title_of("ratio") == "upd/W"
    assert title_of("output_gradient") == "|dy|2"
    assert title_of("name") == "layer"
    assert title_of("order") == "order"


def test_the_page_of_columns_stays_for_the_next_start():
    assert from_state(to_state(RunChoice(columns=1))).columns == 1
    assert from_state({"columns": -1}).columns == 0


def test_trends_are_made_anew_once_all_of_the_history_was_read():
    """The newest steps are read first: what came between tells more, at the same newest step."""
    made = Made(steps=200).layer("a")
    entries = made.entries()
    late = [each for each in entries if each.step < 0 or each.step >= 190]
    watch, choice = Watch(), RunChoice()
    watch.arrived(Run.of({0: late}), (), 0.2)
    part = plain(row(watch.training(choice), 1, 80, flat=False, folded=False))
    watch.arrived(Run.of({0: entries}), (), 1.0)
    whole = plain(row(watch.training(choice), 1, 80, flat=False, folded=False))
    again = training_of(Run.of({0: entries}), (), Training())
    assert part != whole
    assert whole == plain(row(again, 1, 80, flat=False, folded=False))
