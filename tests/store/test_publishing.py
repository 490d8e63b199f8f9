"""One picture, two threads: neither loses what the other said."""

from __future__ import annotations

import threading

from kit.run_records import preamble, steps

from gradtui.core.run.run import Run
from gradtui.core.session import Session
from gradtui.store.publishing import Publisher
from gradtui.store.view import FolderView, Status


def publisher(on_change) -> Publisher:
    begun = Status("loading", "loading", 0.0)
    return Publisher(FolderView(Session.empty(), Session.empty(), 0.0, begun), on_change)


def test_what_changed_is_named_and_the_same_is_not_told():
    views: list[FolderView] = []
    published = publisher(views.append)
    run = Run.of({0: [*preamble(), *steps(0, 3)]})
    published.run(watched=run, reading=0.5)
    published.run(watched=run, reading=0.5)
    published.run(reading=1.0)
    published.run(findings=())
    published.folder(status=Status("live", "live", 1.0))
    published.folder(status=Status("live", "live", 2.0))
    assert [sorted(view.changed) for view in views] == [["run"], ["run"], ["status"]]
    assert published.view.status.since == 1.0
    assert published.view.run is run


def test_notes_of_both_stand_together():
    views: list[FolderView] = []
    published = publisher(views.append)
    published.run(notes=("a segment is damaged",))
    published.folder(notes=("another wrote here",))
    published.folder(status=Status("live", "live", 1.0))
    assert list(views[-1].notes) == ["another wrote here", "a segment is damaged"]
    published.run(notes=())
    assert list(views[-1].notes) == ["another wrote here"]
    assert [sorted(view.changed) for view in views] == [["run"], ["session"], ["status"], ["run"]]


def test_two_threads_lose_nothing_and_views_come_in_order():
    views: list[FolderView] = []
    published = publisher(views.append)

    def files():
        for k in range(300):
            published.folder(status=Status("live", f"{k}", k))

    def run():
        for k in range(300):
            published.run(reading=k / 1000)

    threads = [threading.Thread(target=each) for each in (files, run)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (published.view.status.text, published.view.reading) == ("299", 0.299)
    told = [int(view.status.text) for view in views if view.status.text != "loading"]
    assert told == sorted(told)
    assert len(views) == 600


def test_a_screen_that_is_gone_or_asks_again_is_no_harm():
    def again(view):
        if view.status.text != "asked":
            published.folder(status=Status("live", "asked", 1.0))
        raise RuntimeError("the screen is gone")

    published = publisher(again)
    published.run(reading=0.5)
    assert (published.view.status.text, published.view.reading) == ("asked", 0.5)
