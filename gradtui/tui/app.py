"""The application: wires the bridge to the screen, handles signals, and leaves the terminal as it was."""

from __future__ import annotations

import asyncio
import gc
import signal
from typing import TYPE_CHECKING

from gradtui.signals import EXIT_CODES, held, let_through
from gradtui.tui.bridge import Bridge
from gradtui.tui.hangup import when_hung_up
from gradtui.tui.keymap import rebound
from gradtui.tui.render.palette import colours_of, palette_for
from gradtui.tui.screens.compositor import SparseApp
from gradtui.tui.screens.shell import Shell

if TYPE_CHECKING:
    from gradtui.launch import Launch
    from gradtui.tui.child import ChildState
    from gradtui.tui.messages import (
        Analysed,
        ChildChanged,
        Failed,
        FolderChanged,
        FolderUnusable,
        RunOpened,
        RunsFound,
        WorkDone,
    )
    from gradtui.tui.screens.workspace import Workspace


class GradtuiApp(SparseApp[int], inherit_bindings=False):
    """One screen over one debug folder.

    Textual's own bindings are off, its key that quits without a question among them: every key goes to the shell,
    where the keymap decides.
    """

    ENABLE_COMMAND_PALETTE = False
    CSS = "* { scrollbar-size: 0 0; }"

    def __init__(self, launch: Launch) -> None:
        super().__init__(ansi_color=True)
        # The terminal's own background: a colour of ours would be sent with every cell.
        self.theme = "ansi-dark"
        self._launch = launch
        self.bridge = Bridge(launch, self.post_message, _load_workspace)
        plain = palette_for(colours_of(self), ascii_only=launch.ascii)
        self.shell = Shell(launch.title or launch.location, palette=plain)
        self.failure = ""
        self._begun = False
        self._child: ChildState | None = None
        """What is known of the adapter's process: it may have come before there was anything to tell it to."""

    def get_default_screen(self) -> Shell:
        """The shell is the only screen under others."""
        return self.shell

    def on_mount(self) -> None:
        """Take the signals."""
        loop = asyncio.get_running_loop()
        for number, code in EXIT_CODES.items():
            loop.add_signal_handler(number, self.exit, code)
        let_through()
        if not self.is_headless:
            when_hung_up(lambda: loop.call_soon_threadsafe(self.exit, EXIT_CODES[signal.SIGHUP]))

    def post_display_hook(self) -> None:
        """Begin to read as soon as the first frame is on its way to the terminal."""
        if not self._begun:
            self._begun = True
            self.bridge.start()

    async def on_folder_changed(self, message: FolderChanged) -> None:
        """The folder changed: the first time, the workspace is put on the shell."""
        workspace = self.shell.workspace
        if workspace is not None:
            workspace.took(message.view)
            return
        # One frame for all of it, instead of one for each widget that comes.
        with self.batch_update():
            workspace = await self._open_workspace()
            workspace.took(message.view)
            if self._child is not None:
                workspace.child_changed(self._child)
            await workspace.views.mounted()
        await self.shell.catch_up()
        self.call_after_refresh(_collect_garbage)

    async def _open_workspace(self) -> Workspace:
        launch, settings = self._launch, self.bridge.settings
        keymap, problems = rebound(settings.keys if settings else {})
        workspace = _load_workspace()(
            self.shell,
            self.bridge,
            keymap,
            state=self.bridge.state,
            estimate=launch.estimate,
            palette=palette_for(
                colours_of(self),
                ascii_only=launch.ascii,
                overrides=settings.colours if settings else {},
            ),
            problems=(*(settings.notes if settings else ()), *problems),
        )
        if launch.view and not workspace.has_state:
            workspace.show_first(launch)
        await workspace.open()
        self.shell.workspace = workspace
        return workspace

    def on_folder_unusable(self, message: FolderUnusable) -> None:
        """There is nothing to show: leave, and say why on the terminal."""
        self.failure = message.reason
        self.exit(message.code)

    def on_failed(self, message: Failed) -> None:
        """End as for any other mistake of ours: with its traceback, and the terminal as it was."""
        raise message.error

    def on_child_changed(self, message: ChildChanged) -> None:
        """The adapter's process printed, started or ended."""
        self._child = message.state
        if self.shell.workspace is not None:
            self.shell.workspace.child_changed(message.state)

    def on_analysed(self, message: Analysed) -> None:
        """The analyses of a run are there."""
        if self.shell.workspace is not None:
            self.shell.workspace.room.show_analysis(message.report)

    def on_runs_found(self, message: RunsFound) -> None:
        """The runs that can be chosen are known."""
        if self.shell.workspace is not None:
            self.shell.workspace.room.found_runs(message.runs)

    def on_run_opened(self, message: RunOpened) -> None:
        """What comes from now on is of another run."""
        if self.shell.workspace is not None:
            self.shell.workspace.opened(message.run, message.state)

    def on_work_done(self, message: WorkDone) -> None:
        """A save or a request came to an end."""
        if self.shell.workspace is not None:
            self.shell.workspace.work_done(message)

    async def on_unmount(self) -> None:
        """End the threads and the adapter's process; nothing of ours outlives the screen."""
        await asyncio.get_running_loop().run_in_executor(None, self.bridge.stop)


def run(launch: Launch) -> int:
    """Run the screen until the person leaves or a signal ends it; return the exit code."""
    app = GradtuiApp(launch)
    with held():
        code = app.run(mouse=launch.mouse)
    if app.failure:
        import sys

        print(f"gradtui: {app.failure}", file=sys.stderr)
    return code if isinstance(code, int) else (app.return_code or 0)


def _collect_garbage() -> None:
    """Begin to collect; what the start left is there to stay and need not be looked at again."""
    gc.freeze()
    gc.enable()


def _load_workspace() -> type[Workspace]:
    """Import the views; with numpy behind them they must not be loaded before the first frame."""
    from gradtui.tui.screens.workspace import Workspace

    return Workspace
