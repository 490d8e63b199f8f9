"""Every key and every command does something that can be seen."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest
from kit import places
from kit.graphs import blocks
from kit.pilot import driven

from gradtui.core.session import Session
from gradtui.folder.graph_file import write_graph
from gradtui.tui.actions.commands import COMMANDS
from gradtui.tui.actions.drafting import ARCHITECTURE_ACTIONS
from gradtui.tui.actions.of_runs import HISTORY, OVERVIEW, VALUES
from gradtui.tui.actions.table import ACTIONS, ANSWERS, MARKS
from gradtui.tui.keymap import BINDINGS, VIEWS
from gradtui.viewmodel.selection import reconcile

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = (130, 34)

# Keys and commands (with a colon) that come first, so that the key has something to act on.
BEFORE = {
    "move.left": ["3", "l"], "move.row-start": ["3", "l"], "page.left": ["3", "l"],
    "move.up": ["3", "j"], "move.top": ["3", "j"], "page.up": ["3", "j"],
    "open": ["tab"], "back": [":node 2 2", "m", "a", "'", "a"], "layer.previous": [")"],
    "find.next": [":find net"], "find.previous": [":find net"], "mark.jump": ["m", "a", ":layer net.c"],
    "generation.next": ["2", "["], "generation.last": ["{"], "baseline.difference": ["[", "b", "]"],
    "edit.undo": ["space"], "edit.redo": ["space", "u"], "edit.revert": ["space"], "edit.write": ["space"],
    "zoom.in": ["2", "z"], "threshold.down": ["3", "+"], "fold.toggle": ["g"], "pair.next": [":layer net.a"],
}  # fmt: skip
ARGUMENTS = {"mark.set": "b", "mark.jump": "a"}
ENDS_THE_SCREEN = {"suspend"}


def state_of(d):
    """Everything that a key can change."""
    work, desk, views = d.work, d.desk, d.work.views
    return (
        tuple(repr(getattr(desk.selection, f.name)) for f in fields(desk.selection)),
        desk.generations.position, desk.generations.comparing, desk.generations.baseline.generation,
        dict(desk.edits.cells), desk.notice, desk.box, desk.path, work.is_typing, len(d.app.screen_stack),
        work.asking.text, views.rail_width, views.rail_wanted, views.values.alone, id(work.palette),
        d.app.clipboard, d.app.return_value, tuple(d.screen()),
    )  # fmt: skip


def begin(d, view, focus):
    """The same selection in each case, whatever the last one left."""
    desk = d.desk
    if d.work.prompt is not None and d.work.prompt.is_open:
        d.work.prompt.close()
    d.work.asking = type(d.work.asking)()
    desk.generations = replace(
        desk.generations, position=-1, comparing=False, baseline=Session.empty()
    )
    desk.edits = desk.edits.revert()
    desk.box = ()
    chosen = type(desk.selection)(view=view, layer="net.b", focus=focus)
    desk.selection = reconcile(chosen, desk.session).with_cursor("layer:net.b", (1, 1))
    d.work._shown_changed()
    desk.notice = ("", "")


async def steps(d, given):
    for step in given:
        if step.startswith(":"):
            await d.run(step[1:])
        else:
            await d.keys("", step)


@pytest.mark.parametrize("view", VIEWS)
async def test_every_key_of_a_view_has_an_effect(tmp_path, view, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TMUX", raising=False)
    silent = []
    with places.served(tmp_path) as writer:
        write_graph(writer.folder, blocks(30, odd=2))
        async with driven(writer.folder.shown, size=SIZE) as d:
            await d.open(1)
            await d.wait(lambda: d.desk.planning)
            for generation in (2, 3, 4):
                writer.write(places.branched(generation) | places.BLANK, np.eye(4, 6) * generation)
                await d.open(generation)
            for binding in d.work.keys.keymap.of_view(view):
                if binding.id in ENDS_THE_SCREEN:
                    continue
                begin(d, view, "input" if binding.group == "editing" else "source")
                before = [k for k in BEFORE.get(binding.id, []) if view == "values" or k != "tab"]
                if view == "architecture":
                    before = [step.replace(":find net", ":find blocks") for step in before]
                # Without a training run each key of its history says so, and says it once.
                await steps(d, [] if view == "history" else before)
                d.work.draw()
                await d.settle()
                seen = state_of(d)
                argument = [ARGUMENTS[binding.id]] if binding.takes else []
                for key in (binding.keys[0], *argument):
                    await d.keys("", key)
                if state_of(d) == seen:
                    silent.append(binding.id)
                if len(d.app.screen_stack) > 1:
                    await d.pilot.press("q")
                if binding.id == "edit.write":
                    await d.wait(lambda: d.notice.startswith("written"))
    # A list has no columns, and a view that is shown is not left by its own key.
    allowed = {f"view.{view}"}
    if view in ("overview", "architecture", "log"):
        allowed |= {
            "move.left",
            "move.right",
            "move.row-start",
            "move.row-end",
            "page.left",
            "page.right",
            "open",
        }
    if view == "log":
        allowed |= {"move.up", "move.down", "move.top", "move.bottom", "page.up", "page.down"}
    if view != "values":
        allowed |= {"colours.invert", "colours.next", "pane.full"}
    if view in ("overview", "history", "architecture", "log"):
        allowed |= {"pane.narrower", "pane.wider", "pane.rail"}
    assert set(silent) - allowed == set()


def test_every_action_is_in_a_table_and_every_entry_is_bound():
    others = {*OVERVIEW, *HISTORY, *VALUES, *ARCHITECTURE_ACTIONS}
    assert {binding.id for binding in BINDINGS} == set(ACTIONS) | set(MARKS) | others
    assert not set(ACTIONS) & set(MARKS)
    assert {b.id for b in BINDINGS if b.takes} == set(MARKS)


async def test_every_kind_of_answer_is_asked_for_by_a_key(tmp_path):
    asked = set()
    async with driven(places.branched_folder(tmp_path).shown, size=(80, 24)) as d:
        await d.open()
        for view, key in [
            ("v", ":"),
            ("v", "/"),
            ("o", "&"),
            ("v", "T"),
            ("v", "O"),
            ("v", "="),
            ("v", "x"),
        ]:
            await d.keys(view + key)
            assert d.work.prompt is not None, key
            assert d.work.prompt.is_open, key
            asked.add(d.work.prompt._kind)
            await d.press("escape")
            assert not d.work.is_typing
    assert asked == set(ANSWERS)


# A line for each command, and what it changes: a piece of the desk, or the word that is said.
SAYS = {
    "w": ("w", "no unsaved edits"), "w!": ("w! other", "writing"), "undo": ("undo", "nothing to undo"),
    "redo": ("redo", "nothing to redo"), "revert": ("revert", "nothing to revert"),
    "range": ("range", "global"), "request": ("request row", "no adapter"), "svg": ("svg here.svg", "here.svg"),
    "back": ("back", "nothing to go back to"), "baseline": ("baseline", "baseline"),
    "pause": ("pause", "paused"), "reload": ("reload", "reading"), "play": ("play", "nothing to play"),
    **{name: (f"{name} 1", "no architecture") for name in ("merge", "depth", "hot")},
    **{
        name: (f"{name} 1", "no training run")
        for name in ("series", "pin", "unpin", "window", "step", "axis", "sort", "inputs", "ranks", "keep", "analyse", "gif", "runs")
    },
}  # fmt: skip


def is_shown(d, view):
    return d.desk.selection.view == view


SETS: dict[str, tuple[str, Callable[..., object]]] = {
    "set": ("set 3", lambda d: d.desk.edits.value((0, 0)) == 3),
    "z": ("z -2.5", lambda d: d.desk.selection.z == -2.5),
    "estimate": ("estimate equal", lambda d: d.desk.selection.estimate == "equal"),
    "threshold": ("threshold 0.25", lambda d: 0.25 in d.desk.selection.thresholds.values()),
    "mode": ("mode top-k", lambda d: d.desk.selection.threshold_mode == "top-k"),
    "scale": ("scale symlog", lambda d: d.desk.selection.scale == "symlog"),
    "direction": ("direction both", lambda d: d.desk.selection.direction == "both"),
    "layer": ("layer net.c", lambda d: d.desk.selection.layer == "net.c"),
    "pair": ("pair head.d", lambda d: d.desk.selection.connected == "head.d"),
    "node": ("node 2 3", lambda d: d.desk.selection.node == (2, 3)),
    "offsets": ("offsets 1 2", lambda d: ((1, 2), (1, 2)) in d.desk.selection.offsets.values()),
    "region": ("region 0 2 1 3", lambda d: d.desk.selection.region("input").column1 == 2),
    "channel": ("channel all", lambda d: d.desk.selection.channel == -1),
    "polyphase": ("polyphase 3", lambda d: d.desk.selection.polyphase == 0),
    "fit": ("fit", lambda d: not d.desk.selection.zooms),
    "top": ("top 3", lambda d: d.desk.selection.top == 3),
    "find": ("find HEAD", lambda d: d.desk.selection.layer == "head.d"),
    "filter": ("filter net", lambda d: d.desk.selection.filter == "net"),
    "difference": ("difference", lambda d: d.desk.generations.comparing),
    "help": ("help", lambda d: len(d.app.screen_stack) == 2),
    **{view: (view, partial(is_shown, view=view)) for view in VIEWS},
    "q": ("q", lambda d: d.app.return_value == 0),
    "q!": ("q!", lambda d: d.app.return_value == 0),
    "wq": ("wq", lambda d: d.app.return_value == 0),
}  # fmt: skip


async def test_every_command_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert set(SAYS) | set(SETS) == {command.name for command in COMMANDS}
    async with driven(places.branched_folder(tmp_path).shown, size=(80, 24)) as d:
        await d.open()
        monkeypatch.setattr(d.app, "exit", lambda code: setattr(d.app, "_return_value", code))
        for name, (text, said) in SAYS.items():
            d.work.answered("command", text)
            assert said in d.notice, name
            assert "no command" not in d.notice
        for name, (text, holds) in SETS.items():
            begin(d, "values", "input")
            await d.run("baseline")
            await d.run("layer net.a")
            d.app._return_value = None
            await d.run(text)
            assert holds(d), (name, d.notice)
            if len(d.app.screen_stack) > 1:
                await d.pilot.press("q")


@pytest.mark.parametrize(
    "text",
    [
        "nosuch", "set", "set x", "z 0", "z nan", "threshold x", "threshold nan", "mode x", "scale", "direction up",
        "layer nobody", "pair nobody", "node 1", "node a b", "offsets 1", "offsets a b", "region 1",
        "region 5 1 0 0", "channel 99", "channel x", "polyphase", "top 0", "top 100000000", "request", "estimate x",
        "s", "w ../x",
    ],
)  # fmt: skip
async def test_a_wrong_command_is_a_notice(shared, text):
    d = shared
    d.desk.selection = replace(d.desk.selection, focus="input")
    before = d.desk.selection
    await d.run(text)
    if text != "w ../x":
        assert d.desk.notice[1] == "warn", d.desk.notice
    else:
        await d.wait(lambda: "plain file name" in d.notice)
    assert d.desk.selection == before


@pytest.fixture
async def shared(tmp_path):
    async with driven(places.branched_folder(tmp_path).shown, size=(80, 24)) as d:
        await d.open()
        yield d
