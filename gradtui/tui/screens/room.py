"""What actions need of the screen: prompts, questions, writing, copying, leaving."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from gradtui.tui.render.palette import Palette, palette_for
from gradtui.tui.screens.clipboard import copy_to_tmux
from gradtui.tui.screens.help import HelpScreen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gradtui.tui.screens.workspace import Workspace

NARROWEST_RAIL = 16
WIDEST_RAIL = 80


class ScreenRoom:
    """The `Room` that a workspace's actions stand in."""

    def __init__(self, workspace: Workspace) -> None:
        self._work = workspace
        self.leaving = False
        """Leave once the save that runs has ended well."""

    def ask(
        self,
        kind: str,
        label: str,
        value: str = "",
        complete: Callable[[str], tuple[str, ...]] | None = None,
    ) -> None:
        """Ask for a line of text."""
        self._work.prompt.ask(kind, label, value, complete)
        self._work.shell.keys.display = False

    def choose(self, text: str, answers: Mapping[str, Callable[[], None]]) -> None:
        """Ask for one key."""
        self._work.asking = (text, answers)

    def write(self, name: str = "", *, overwrite: bool = False, leave: bool = False) -> None:
        """Write the edited input."""
        desk, view = self._work.desk, self._work.view
        if not desk.edits.base.size or view is None:
            desk.say("there is no input to write", "warn")
        elif not desk.edits.pending_count and not name and not overwrite:
            desk.say("no unsaved edits")
            if leave:
                self.leave(ask=False)
        else:
            self.leaving = leave
            desk.say("writing")
            self._work.door.save(desk.edits.applied(), name, seen=view, overwrite=overwrite)

    def request(self, kind: str, **fields: object) -> None:
        """Ask the adapter for something."""
        if self._work.view is None or not self._work.view.adapter.alive:
            self._work.desk.say("no adapter is running that could answer", "warn")
            return
        self._work.door.request(kind, fields)
        self._work.desk.say("asked the adapter")

    def reload(self) -> None:
        """Read the folder again and send the whole screen once more."""
        self._work.door.reload()
        repaint = getattr(self._work.shell.app, "repaint_all", self._work.shell.refresh)
        repaint()

    def copy(self, text: str, what: str) -> None:
        """Put text on the clipboard, through tmux too."""
        self._work.shell.app.copy_to_clipboard(text)
        copy_to_tmux(text)
        size = f"{len(text.splitlines())} lines" if text.count("\n") > 1 else text.strip()
        self._work.desk.say(f"copied {what}: {size[:60]}")

    def save_svg(self, path: str = "") -> None:
        """Write the screen to an SVG file in the current folder."""
        target = Path(path or time.strftime("gradtui-%Y%m%d-%H%M%S.svg")).expanduser()
        try:
            target.write_text(self._work.shell.app.export_screenshot(title="gradtui"))
        except OSError as error:
            self._work.desk.say(f"{target}: {error.strerror or error}", "bad")
        else:
            self._work.desk.say(f"screen saved to {target}", "good")

    def show_help(self) -> None:
        """Show every key of the view."""
        self._work.shell.app.push_screen(
            HelpScreen(self._work.keys.keymap, self._work.desk.selection.view, self._work.palette)
        )

    def leave(self, *, ask: bool = True) -> None:
        """Quit; ask first when edits are unsaved."""
        pending = self._work.desk.edits.pending_count
        if ask and pending:
            self.choose(
                f"{pending} unsaved edits:  w write and quit   d drop them and quit   any other key stays",
                {"w": lambda: self.write(leave=True), "d": self._drop_and_leave},
            )
            return
        self._work.remember()
        self._work.shell.app.exit(0)

    def _drop_and_leave(self) -> None:
        self._work.door.journal(())
        self._work.remember()
        self._work.shell.app.exit(0)

    def cancel(self) -> None:
        """Cancel what runs: a box, a typed count, the adapter's process."""
        desk = self._work.desk
        if desk.box:
            desk.box = ()
        elif self._work.child is not None and self._work.child.running:
            self.choose(
                "the adapter's process:  s stop it   r start it again   any other key leaves it",
                {"s": self._work.door.stop_child, "r": self._work.door.restart},
            )
        elif self._work.child is not None:
            self._work.door.restart()
            desk.say("starting the adapter again")
        else:
            desk.say("nothing runs; q quits")

    def suspend(self) -> None:
        """Suspend to the shell."""
        self._work.shell.app.action_suspend_process()

    def recolour(self) -> None:
        """Switch between coloured cells and glyphs."""
        system = self._work.shell.app.console.color_system
        if self._work.palette.solid:
            self._work.palette = Palette(
                "16" if system else "none", ascii_only=self._work.palette.ascii_only
            )
        else:
            self._work.palette = palette_for(system, ascii_only=self._work.palette.ascii_only)
        self._work.recoloured()

    def arrange(self, change: str) -> None:
        """Change the panes."""
        views = self._work.views
        if change == "full":
            views.values.alone = not views.values.alone
        elif change == "rail":
            views.rail_wanted = not views.rail_wanted
        else:
            step = 4 if change == "wider" else -4
            views.rail_width = min(max(views.rail_width + step, NARROWEST_RAIL), WIDEST_RAIL)
            views.rail_wanted = True
        self._work.shell.call_after_refresh(self._work.draw)
