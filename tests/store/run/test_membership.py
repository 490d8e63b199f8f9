"""Which run of a folder is shown, whatever the order in which its segments are read."""

from __future__ import annotations

from kit.run_records import LOSS, preamble, steps

from gradtui.store.run.membership import Members

MIB = 1 << 20


def test_one_run_in_segments_read_newest_first():
    members = Members(MIB)
    assert members.run().is_empty
    assert not members.add(0, "run", [*preamble(), *steps(20, 29)])
    assert not members.add(0, "run", [*steps(0, 9)])
    assert not members.add(0, "run", [*steps(30, 31)])
    assert not members.add(0, "run", [*steps(10, 19)])
    run = members.run()
    assert run.series(LOSS).steps.tolist() == list(range(32))
    assert members.older == ()


def test_a_run_that_begins_later_takes_the_place():
    members = Members(MIB)
    assert not members.add(0, "a", [*preamble("a", started=1000), *steps(0, 9)])
    assert members.add(0, "b", [*preamble("b", started=2000), *steps(0, 3)])
    assert members.run().last_step == 3
    assert members.older == ("a",)
    # What still comes of the older one is passed over; of another rank, too.
    assert not members.add(0, "a", [*steps(10, 12)])
    assert not members.add(1, "0", [*preamble("0", rank=1, started=10), *steps(0, 99)])
    assert members.run().last_step == 3
    assert [rank.rank for rank in members.run().ranks] == [0]
    assert set(members.older) == {"0", "a"}


def test_a_rank_that_begins_again_is_newer_whatever_its_clock_says():
    members = Members(MIB)
    assert not members.add(0, "a", [*preamble("a", started=1000), *steps(0, 9)])
    assert members.add(0, "b", [*preamble("b", started=10), *steps(0, 4)])
    assert members.run().last_step == 4


def test_ranks_with_names_of_their_own_are_one_run_when_they_begin_together():
    members = Members(MIB)
    for rank in (1, 0):
        begin = preamble(f"own{rank}", rank=rank, world=2, started=1000 + rank)
        assert not members.add(rank, f"own{rank}", [*begin, *steps(0, 9, rank=rank)])
    assert [rank.rank for rank in members.run().ranks] == [0, 1]
    # A rank that begins again begins another run, and the others will follow.
    assert members.add(1, "x", [*preamble("x", rank=1, world=2, started=1050), *steps(0, 2)])
    assert not members.add(0, "own0", [*steps(10, 11)])
    assert [(rank.rank, rank.last_step) for rank in members.run().ranks] == [(1, 2)]
    assert not members.add(0, "y", [*preamble("y", rank=0, world=2, started=1051), *steps(0, 3)])
    assert [(rank.rank, rank.last_step) for rank in members.run().ranks] == [(0, 3), (1, 2)]


def test_a_rank_of_an_older_run_is_not_mixed_in():
    members = Members(MIB)
    for rank in (0, 1):
        begin = preamble("old", rank=rank, world=2, started=1000)
        members.add(rank, "old", [*begin, *steps(0, 50, rank=rank)])
    assert members.add(0, "new", [*preamble("new", world=2, started=5000), *steps(0, 3)])
    assert [rank.rank for rank in members.run().ranks] == [0]
    assert members.run().notes == ("nothing from rank 1",)
    assert not members.add(1, "old", [*steps(51, 52)])
    assert [rank.rank for rank in members.run().ranks] == [0]
    assert not members.add(
        1, "new", [*preamble("new", rank=1, world=2, started=5001), *steps(0, 1)]
    )
    assert [rank.last_step for rank in members.run().ranks] == [3, 1]


def test_records_without_a_beginning_says_nothing():
    members = Members(MIB)
    assert not members.add(0, "run", [*steps(0, 3)])
    assert members.run().is_empty
