"""The screen under a Pilot: started on a folder, and waited on by condition."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from gradtui.launch import Launch
from gradtui.tui.app import GradtuiApp
from gradtui.tui.screens import room
from gradtui.viewmodel.text import plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path
    from typing import Any

    from textual.pilot import Pilot

    from gradtui.tui.actions.desk import Desk
    from gradtui.tui.screens.workspace import Workspace

PATIENCE = 60.0


class Driven:
    """An app and its pilot, with words for what tests look at."""

    def __init__(self, app: GradtuiApp, pilot: Pilot[Any]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def work(self) -> Workspace:
        """The workspace; a test that asks before there is one has waited too little."""
        assert self.app.shell.workspace is not None
        return self.app.shell.workspace

    @property
    def desk(self) -> Desk:
        """The desk."""
        return self.work.desk

    async def wait(self, condition: Callable[[], object], what: str = "") -> None:
        """Wait until a condition holds, while the app goes on."""
        deadline, pause = time.monotonic() + PATIENCE, 0.002
        while not condition():
            assert time.monotonic() < deadline, f"waited for {what or condition}: {self.text()}"
            assert self.app.is_running, f"the app ended while waiting for {what or condition}"
            await self.pilot.pause(0)
            await asyncio.sleep(pause)
            # What takes long is done by another process, which has use for the processor.
            pause = min(1.1 * pause, 0.03)

    async def open(self, generation: int = -1) -> None:
        """Wait for the first session (of a generation), drawn."""
        await self.wait(
            lambda: (
                self.app.shell.workspace is not None
                and self.desk.session.layers
                and self.work.views.is_attached
                and (generation < 0 or self.desk.session.generation >= generation)
            ),
            "the folder",
        )
        await self.settle()

    async def press(self, *keys: str) -> None:
        """Press keys, given as Textual names them; one string of several characters is typed."""
        for key in keys:
            if len(key) > 1 and key.startswith("~"):
                await self.pilot.press(*(NAMES.get(c, c) for c in key[1:]))
            else:
                await self.pilot.press(NAMES.get(key, key))
        await self.settle()

    async def command(self, text: str) -> None:
        """Type a command line and accept it."""
        await self.press("colon", "~" + text, "enter")

    async def keys(self, text: str, *names: str) -> None:
        """Act on keys at once, a character each, then keys with names; far quicker than `press`."""
        for key in (*("space" if c == " " else c for c in text), *names):
            await self.work.pressed(key)
            await self.work.open_prompt()
        await self.settle()

    async def run(self, text: str) -> None:
        """Act on a command line as if it had been typed."""
        self.work.answered("command", text)
        await self.settle()

    async def settle(self) -> None:
        """Let messages be handled and the screen be drawn, without waiting for a quiet processor."""
        await self.pilot.pause(0)
        await self.pilot.pause(0)

    def screen(self) -> list[str]:
        """The rows of the screen, as they are."""
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip) for strip in strips]

    def seen(self) -> str:
        """The whole screen."""
        return "\n".join(self.screen())

    async def opened_run(self, last: int = -1) -> None:
        """Wait until a run is there; with its last step, until it is read to the end and judged to be bad there."""
        await self.wait(
            lambda: (
                self.app.shell.workspace is not None
                and self.desk.watching
                and self.work.view is not None
                and self.work.view.reading >= 1
                and (last < 0 or (self.desk.watch.run.last_step == last and "bad 1" in self.seen()))
            ),
            "the run",
        )
        await self.settle()

    def text(self) -> str:
        """The lines around the view."""
        shell = self.app.shell
        views = (shell.header, shell.headline, shell.detail, shell.keys)
        return "\n".join(plain(line) for view in views for line in view.lines)

    @property
    def notice(self) -> str:
        """What was said last."""
        return self.desk.notice[0]


NAMES = {
    " ": "space", ":": "colon", "=": "equals_sign", "(": "left_parenthesis", ")": "right_parenthesis",
    "[": "left_square_bracket", "]": "right_square_bracket", "{": "left_curly_bracket",
    "}": "right_curly_bracket", ",": "comma", ".": "full_stop", "+": "plus", "-": "minus",
    "/": "slash", "?": "question_mark", "!": "exclamation_mark", "'": "apostrophe", "&": "ampersand",
    "*": "asterisk", "|": "vertical_line", "<": "less_than_sign", ">": "greater_than_sign",
    "$": "dollar_sign", "_": "underscore",
}  # fmt: skip


@contextlib.asynccontextmanager
async def driven(
    location: Path | str, size: tuple[int, int] = (120, 40), **options: Any
) -> AsyncIterator[Driven]:
    """Run the app headless on a folder; it is stopped, and its threads with it, at the end."""
    # A clock: nobody waits here for a question to be read.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "GRACE_SECONDS", 0.0)
        app = GradtuiApp(Launch(str(location), **options))
        async with app.run_test(size=size) as pilot:
            yield Driven(app, pilot)
            if app.shell.workspace is not None:
                # The screen goes on after a mistake of ours; a test does not.
                assert not app.shell.workspace.drawing.problem
