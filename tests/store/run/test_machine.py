"""Whatever happens to a history, the follower shows every whole record of the newest run, and never another's."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from kit.run_records import LOSS, epoch, preamble, scalars, value
from kit.segments import Segments

from gradtui.core.session import Session
from gradtui.folder.location import DebugFolder
from gradtui.store.publishing import Publisher
from gradtui.store.run.follower import RunFollower
from gradtui.store.view import FolderView, Status

if TYPE_CHECKING:
    from gradtui.core.run.run import Run

MOST_RANKS = 3
RANKS = st.integers(0, MOST_RANKS - 1)


@dataclass
class Written:
    """What a rank has written of its run: the steps that must be shown, and those that may be."""

    segments: Segments
    run: int
    next_step: int = 0
    must: set[int] = field(default_factory=set)
    may: set[int] = field(default_factory=set)
    missing: bytes = b""
    is_damaged: bool = False
    places: dict[int, Path] = field(default_factory=dict)


class Histories(RuleBasedStateMachine):
    """Events of a history in any order; after each the follower looks until all is as it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="run-machine-"))
        self.folder = DebugFolder.at(self.home / "run")
        self.views: list[FolderView] = []
        self.follower = self._viewer()
        self.places: dict[int, Segments] = {}
        self.ranks: dict[int, Written] = {}
        self.run = 0
        self.held: list[tuple[Run, list[int]]] = []

    def teardown(self) -> None:
        self.follower.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def _viewer(self) -> RunFollower:
        begin = FolderView(Session.empty(), Session.empty(), 0.0, Status("loading", "loading", 0.0))
        follower = RunFollower(self.folder, Publisher(begin, self.views.append))
        # Nobody looks at these views: they need no pause between them.
        follower._pace.may_tell = lambda behind: True  # type: ignore[method-assign]
        return follower

    def _preamble(self, rank: int):
        return preamble(
            f"run{self.run}", rank=rank, world=MOST_RANKS, started=1e9 + 1000 * self.run
        )

    def _begin(self, rank: int) -> Written:
        segments = self.places.setdefault(rank, Segments(self.folder, rank))
        segments.begin(self._preamble(rank))
        self.ranks[rank] = Written(segments, self.run)
        return self.ranks[rank]

    def _write(self, rank: int, count: int) -> None:
        written = self.ranks.get(rank) or self._begin(rank)
        steps = range(written.next_step, written.next_step + count)
        written.segments.append(scalars(step, rank=rank) for step in steps)
        written.next_step += count
        (written.may if written.is_damaged else written.must).update(steps)
        written.places.update(dict.fromkeys(steps, written.segments.path))

    @initialize(counts=st.lists(st.tuples(RANKS, st.integers(1, 30)), max_size=6))
    def there_is_a_history_already(self, counts: list[tuple[int, int]]) -> None:
        for rank, count in counts:
            self.a_segment_begins(rank)
            self._write(rank, count)

    @precondition(lambda self: not any(w.missing for w in self.ranks.values()))
    @rule(rank=RANKS, count=st.integers(1, 30))
    def steps_are_written(self, rank: int, count: int) -> None:
        self._write(rank, count)

    @rule(rank=RANKS)
    def a_segment_begins(self, rank: int) -> None:
        written = self.ranks.get(rank)
        if written is None:
            return
        # What was torn stays torn: its writer died.
        written.missing, written.is_damaged = b"", False
        written.segments.begin(self._preamble(rank))

    @precondition(lambda self: not any(w.missing for w in self.ranks.values()))
    @rule(rank=RANKS, share=st.floats(0, 0.999))
    def a_record_is_written_in_part(self, rank: int, share: float) -> None:
        written = self.ranks.get(rank)
        if written is not None and not written.is_damaged:
            entry = scalars(written.next_step, rank=rank)
            written.missing = written.segments.append_part(entry, share)
            written.next_step += 1

    @rule()
    def the_rest_of_it_follows(self) -> None:
        for written in self.ranks.values():
            if written.missing:
                written.segments.append_bytes(written.missing)
                written.must.add(written.next_step - 1)
                written.places[written.next_step - 1] = written.segments.path
                written.missing = b""

    @rule(rank=RANKS, place=st.integers(1, 200))
    def a_record_is_damaged(self, rank: int, place: int) -> None:
        written = self.ranks.get(rank)
        if written is None or written.missing or written.is_damaged:
            return
        size = written.segments.path.stat().st_size
        written.segments.append([scalars(written.next_step, rank=rank)])
        added = written.segments.path.stat().st_size - size
        written.segments.damage(size + place % added)
        written.next_step += 1
        written.is_damaged = True

    @rule(rank=RANKS)
    def the_oldest_segment_vanishes(self, rank: int) -> None:
        segments = self.places.get(rank)
        if segments is not None:
            numbers = sorted(int(path.stem) for path in segments.directory.iterdir())
            if len(numbers) > 1:
                segments.drop(numbers[0])

    @rule()
    def a_viewer_opens_the_folder(self) -> None:
        for written in self.ranks.values():
            # What retention took is not there for who comes later.
            written.must = {
                step for step in written.must & {*written.places} if written.places[step].exists()
            }
        self.views.clear()
        self.follower.stop()
        self.follower = self._viewer()

    @precondition(lambda self: self.ranks)
    @rule()
    def the_folder_is_deleted_and_the_training_goes_on(self) -> None:
        shutil.rmtree(self.folder.history, ignore_errors=True)
        self.places.clear()
        for rank, written in self.ranks.items():
            self.places[rank] = written.segments = Segments(self.folder, rank)
            written.segments.begin(self._preamble(rank))
            written.missing, written.is_damaged = b"", False
            written.places.clear()

    @precondition(lambda self: self.ranks)
    @rule(rank=RANKS)
    def the_training_starts_again(self, rank: int) -> None:
        self.run += 1
        self.ranks.clear()
        self.held.clear()
        self._begin(rank)

    @precondition(lambda self: self.ranks)
    @rule(rank=RANKS)
    def an_epoch_ends(self, rank: int) -> None:
        written = self.ranks.get(rank)
        if written is not None and not written.missing:
            written.segments.append([epoch(written.next_step, 1)])

    @precondition(lambda self: self.views)
    @rule()
    def the_person_pauses(self) -> None:
        run = self.views[-1].run
        self.held.append((run, run.series(LOSS, 0).steps.tolist()))

    def _is_as_it_should_be(self, view: FolderView) -> bool:
        if view.reading < 1.0 or {each.rank for each in view.run.ranks} != set(self.ranks):
            return not self.ranks and view.run.is_empty
        for rank, written in self.ranks.items():
            shown = set(view.run.series(LOSS, rank).steps.tolist())
            if not written.must <= shown <= written.must | written.may:
                return False
        return True

    @invariant()
    def every_whole_record_is_shown(self) -> None:
        published = self.follower._published
        for _ in range(1000):
            self.follower.look()
            view = published.view
            if self._is_as_it_should_be(view) and not self.follower._fresh:
                break
        else:
            raise AssertionError((self.ranks, view.reading, view.notes))
        for rank in self.ranks:
            series = view.run.series(LOSS, rank)
            assert series.values.tolist() == [value(step, 0, rank) for step in series.steps]
        assert all("\n" not in note for note in view.notes)
        for run, steps in self.held:
            assert run.series(LOSS, 0).steps.tolist() == steps

    @invariant()
    def nothing_is_told_while_nothing_happens(self) -> None:
        count = len(self.views)
        for _ in range(3):
            self.follower.look()
        assert len(self.views) == count


Histories.TestCase.settings = settings(max_examples=100, stateful_step_count=20)
TestHistories = Histories.TestCase
