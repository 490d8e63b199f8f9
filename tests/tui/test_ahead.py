"""What the next key on a threshold may need is worked out beside the screen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gradtui.core.flow import DenseFlow, OuterFlow
from gradtui.core.layer import Layer
from gradtui.core.session import Pair, Session
from gradtui.core.threshold import Threshold, resolve, step
from gradtui.tui.screens import ahead
from gradtui.tui.screens.ahead import Ahead
from gradtui.viewmodel.selection import Selection, reconcile


class Door:
    def __init__(self):
        self.jobs = []

    def beside(self, job):
        self.jobs.append(job)


def fake_door() -> Any:
    return Door()


def session_of(flow):
    one = Layer("a", np.ones((10, 10)))
    return Session(
        layers=(one, Layer("b", np.ones((10, 10)))), pairs=(Pair("a", "b", "measured", flow),)
    )


@pytest.fixture
def flow(monkeypatch):
    monkeypatch.setattr(ahead, "LARGE", 1000)
    return DenseFlow(np.random.default_rng(1).normal(size=(100, 100)))


@pytest.mark.parametrize("mode", ["quantile", "top-k"])
def test_the_steps_beside_the_present_one_cost_no_pass(flow, mode, monkeypatch):
    session, door = session_of(flow), fake_door()
    selection = replace(reconcile(Selection(), session), threshold_mode=mode)
    selection = replace(selection, thresholds={("a", "b", mode): 0.5 if mode != "top-k" else 8000})
    Ahead(door).look(session, selection)
    (job,) = door.jobs
    job()

    def looked(_flow):
        raise AssertionError("another pass")

    monkeypatch.setattr(DenseFlow, "pieces", looked)
    now = Threshold(mode, selection.thresholds["a", "b", mode])
    limits = (0.0, 1.0) if mode == "quantile" else (1.0, 10_000.0)
    for steps in (1, -1, 2, -2):
        resolve(flow, step(now, steps, limits))


def test_the_first_of_each_mode_is_ready_before_it_is_asked_for(flow, monkeypatch):
    session, door = session_of(flow), fake_door()
    Ahead(door).look(session, reconcile(Selection(), session))
    door.jobs[0]()
    monkeypatch.setattr(DenseFlow, "pieces", None)
    for wanted in (Threshold("quantile", 0.95), Threshold("top-k", 12)):
        resolve(flow, wanted)


def test_the_same_wish_is_not_worked_on_twice(flow):
    session, door = session_of(flow), fake_door()
    looking, selection = Ahead(door), reconcile(Selection(), session)
    looking.look(session, selection)
    looking.look(session, selection)
    door.jobs.pop()()
    looking.look(session, selection)
    assert not door.jobs


def test_only_the_latest_wish_is_worked_on(flow):
    session, door = session_of(flow), fake_door()
    looking = Ahead(door)
    for value in (0.1, 0.2, 0.3):
        selection = replace(
            reconcile(Selection(), session),
            threshold_mode="quantile",
            thresholds={("a", "b", "quantile"): value},
        )
        looking.look(session, selection)
    assert len(door.jobs) == 1
    door.jobs.pop()()
    assert flow._ranks
    assert all(rank >= 6500 for rank in flow._ranks if rank > 5000)


def test_small_flows_and_products_are_left_alone(flow):
    door = fake_door()
    for other in (DenseFlow(np.ones((10, 10))), OuterFlow(np.ones(100), np.ones(100))):
        session = session_of(other)
        Ahead(door).look(session, reconcile(Selection(), session))
    assert not door.jobs
    assert not flow._ranks
