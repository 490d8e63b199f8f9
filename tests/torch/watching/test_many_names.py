# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Models and scripts that give names of their own, ever new ones: a run holds so many of them, and no more."""

import itertools

import pytest
import torch
from kit.watched import Watched
from torch import nn

from gradtui.core.run.records import Layout
from gradtui.torch import attach
from gradtui.torch.watching.columns import MOST_LAYOUTS, Numbers, Rows
from gradtui.torch.watching.names import LONGEST, MOST_ATTACHED, MOST_LOGGED, MOST_SLOTS, OTHERS


class Detections(nn.Module):
    """Returns a dict with other keys at each call, and hands on what came under a key of its own each time."""

    def __init__(self, broken_at=-1):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.images, self.calls, self.broken_at = itertools.count(), 0, broken_at

    def forward(self, x):
        found = self.layer(x)
        if self.calls == self.broken_at:
            found = found / 0
        self.calls += 1
        return {f"image{next(self.images)}": row for row in found}


def train(model, steps, then=lambda *_: None, **settings):
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    with Watched(model, optimizer, **settings) as watched:
        for step in range(steps):
            optimizer.zero_grad()
            sum(row.square().mean() for row in model(torch.ones(32, 4)).values()).backward()
            optimizer.step()
            then(watched.handle, step)
    return watched


def slots_of(watched, role):
    return {key.slot for _, key in watched.numbers() if (key.path, key.role) == ("", role)}


def test_outputs_with_other_names_at_each_call():
    watched = train(Detections(), 12)
    assert slots_of(watched, "output") == {f"image{n}" for n in range(MOST_SLOTS - 1)}
    assert slots_of(watched, "output gradient") == slots_of(watched, "output")
    # What has its names goes on, and so does the step.
    assert watched.stats(11, "layer", "output")
    assert watched.number(11, "layer", "gradient", "l2", "weight")
    (problem,) = watched.problems
    assert "(root)" in problem
    assert str(MOST_SLOTS) in problem
    assert [event.text for _, event in watched.events("note")] == [problem]
    # Once there is no room, nothing is laid out anew.
    laid_out = [step for step, _ in watched.records(Layout)]
    assert max(laid_out) <= MOST_SLOTS // 32 + 1


@pytest.mark.parametrize("log_freq", [1, 1000])
def test_what_turns_non_finite_under_a_name_that_is_not_recorded_is_told(log_freq):
    watched = train(Detections(broken_at=10), 11, log_freq=log_freq)
    told = [event.fields["slot"] for _, event in watched.events("non-finite") if not event.path]
    assert OTHERS in told or f"image{10 * 32}" in told


def test_a_name_that_is_too_long_is_not_recorded():
    class Named(nn.Linear):
        def forward(self, x):
            y = super().forward(x)
            return {"short": y, "x" * (LONGEST + 1): y}

    watched = train(Named(4, 4), 2)
    assert slots_of(watched, "output") == {"short"}
    assert len(watched.problems) == 1


def test_numbers_logged_under_ever_new_names():
    model = nn.Linear(2, 2)
    with Watched(model) as watched:
        model(torch.ones(1, 2)).sum().backward()
        for n in range(0, MOST_LOGGED + 500, 100):
            watched.handle.log(**{f"loss{k}": k for k in range(n, n + 100)})
        watched.handle.log(loss7=-7.0)
    logged = {key.slot: value for (_, key), value in watched.numbers().items() if key.role == "run"}
    assert {name for name in logged if name.startswith("loss")} == {
        f"loss{k}" for k in range(MOST_LOGGED)
    }
    assert logged["loss7"] == -7.0
    assert len(watched.problems) == 1
    assert str(MOST_LOGGED) in watched.problems[0]


def test_numbers_that_are_logged_together_in_ever_new_ways():
    """A layout for each way would be no end of layouts."""
    names = [f"a{k}" for k in range(9)]

    def log(handle, step):
        handle.log(**{name: step for k, name in enumerate(names) if step >> k & 1})

    watched = train(Detections(), 200, log, log_freq=1000)
    layouts = [layout for _, layout in watched.records(Layout) if layout.keys[0].role == "run"]
    assert len(layouts) < 100
    logged = {(step, key.slot): value for (step, key), value in watched.numbers().items()}
    for step in range(200):
        for k, name in enumerate(names):
            assert logged.get((step, name)) == (step if step >> k & 1 else None)


def test_attached_tensors_with_ever_new_names():
    class Attaching(nn.Linear):
        calls = 0

        def forward(self, x):
            y = super().forward(x)
            for _ in range(400):
                attach(y, self, f"at{self.calls}")
                self.calls += 1
            return {"y": y}

    watched = train(Attaching(4, 4), 3)
    attached = {key.path for _, key in watched.numbers() if key.path.startswith("at")}
    assert attached == {f"at{k}" for k in range(MOST_ATTACHED)}
    assert len(watched.problems) == 1


def test_histograms_have_one_layout_of_all_rows_in_the_end():
    """A model that takes other ways at each step: each layout of all rows takes the place of the one before."""
    rows = Rows(Numbers())
    layouts = []
    for n in range(MOST_LAYOUTS + 10):
        row = rows.entry(("", "output", f"image{n}", 0, "train"), "values")
        number, layout, held = rows.layout((row,))
        assert layout.number == number
        assert row in held
        layouts.append(layout)
    assert all(layout.replaces == -1 for layout in layouts[: MOST_LAYOUTS + 1])
    for before, after in itertools.pairwise(layouts[MOST_LAYOUTS:]):
        assert after.replaces == before.number
        assert set(before.keys) < set(after.keys)
    # Nothing new: nothing is laid out.
    assert rows.layout((3, 5)) == (number, None, held)
