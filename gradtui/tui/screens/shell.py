"""The one screen: header, view, detail, keys. It stands before numpy is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.containers import Container
from textual.screen import Screen

from gradtui.tui.screens.compositor import SparseApp
from gradtui.tui.widgets.textline import LineView
from gradtui.viewmodel.text import clip, line, safe_label, spread

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult

    from gradtui.tui.render.palette import Palette
    from gradtui.tui.screens.workspace import Workspace
    from gradtui.tui.widgets.heatmap import Heatmap
    from gradtui.tui.widgets.prompt import Prompt
    from gradtui.tui.widgets.table import Table

SMALL_ROWS = 10
ROOMY_ROWS = 20
TALL_ROWS = 34
MOST_EARLY = 32


class Shell(Screen[Any]):
    """Rows from the top: header, headline, the view, detail, keys or prompt.

    It knows no data. Once the folder was read, a `Workspace` fills it; until then it says what it
    waits for.
    """

    CSS = """
    Shell { layout: vertical; overflow: hidden; }
    #body { height: 1fr; layout: horizontal; overflow: hidden; }
    #header, #headline, #keys { height: 1; }
    #detail { height: 2; }
    """
    # Nothing takes the keys by itself: a line that was typed once must not get them back after the help.
    AUTO_FOCUS = ""

    def __init__(self, folder: str, *, palette: Palette | None = None) -> None:
        super().__init__()
        self.folder = folder
        self.workspace: Workspace | None = None
        self._is_tall = False
        self._more = 0
        """Rows of the detail beyond its own, which the view above it leaves blank."""
        self._early: list[str] = []
        """Keys that came before there was anything to act on."""
        self._is_behind = True
        self.header = LineView(id="header", palette=palette)
        self.headline = LineView(id="headline", palette=palette)
        self.body = Container(id="body")
        self.detail = LineView(id="detail", palette=palette)
        self.keys = LineView(id="keys", palette=palette)

    def compose(self) -> ComposeResult:
        """Lay out the rows, as the first frame will need them."""
        self._fit(self.app.size.height)
        yield self.header
        yield self.headline
        yield self.body
        yield self.detail
        yield self.keys

    def on_mount(self) -> None:
        """Say what is coming."""
        self._greet()

    def on_resize(self, event: events.Resize) -> None:
        """Give small screens their rows back."""
        self._fit(event.size.height)
        if self.workspace is None:
            self._greet()
        else:
            self.workspace.resized()

    def tall_detail(self) -> None:
        """Give the detail more rows: a finding has its reasons and advice."""
        self._is_tall = True
        self._fit(self.size.height)

    def share_blank_rows(self, wanted: int, used: int) -> None:
        """Give the detail the rows that it wants and the view does not need, of which it uses so many."""
        own = self.detail.size.height - self._more
        both = self.body.size.height + self.detail.size.height
        more = max(min(wanted, both - used) - own, 0)
        # The sizes are those of the last layout: until the next one nothing is counted anew.
        if more != self._more and own > 0 and self._is_laid_out():
            self._more = more
            self._fit(self.size.height)

    def _is_laid_out(self) -> bool:
        height = self.detail.styles.height
        return height is not None and height.value == self.detail.size.height

    def _fit(self, rows: int) -> None:
        """Share the rows of the screen out."""
        self._give(self.header, 1 if rows >= 3 else 0)
        self._give(self.headline, 1 if rows >= 5 else 0)
        least, most = (5, 6) if self._is_tall and rows >= ROOMY_ROWS else (2, 4)
        own = 0 if rows < SMALL_ROWS else most if rows >= TALL_ROWS else least
        self._give(self.detail, own + self._more if own else 0)
        typing = self.workspace is not None and self.workspace.is_typing
        self._give(self.keys, 1 if rows >= 2 and not typing else 0)

    @staticmethod
    def _give(widget: LineView, rows: int) -> None:
        """Give a widget its rows; what has them already is not laid out again."""
        if widget.display != bool(rows):
            widget.display = bool(rows)
        if rows and widget.styles.height is not None and widget.styles.height.value != rows:
            widget.styles.height = rows

    async def on_key(self, event: events.Key) -> None:
        """Hand the key on; before there is anything to act on, it quits, or waits until there is."""
        key = event.character if event.is_printable and event.character != " " else event.key
        key = key or event.key
        if self._is_behind:
            if self.workspace is None and key in ("q", "ctrl+q", "ctrl+c"):
                self.app.exit(0)
            elif len(self._early) < MOST_EARLY:
                self._early.append(key)
            event.stop()
            event.prevent_default()
            return
        work = self.workspace
        if work is None:
            return
        if work.is_typing:
            # Keys that came before the prompt had the focus; what it leaves are bindings of its own, further up.
            if work.prompt is not None:
                await work.prompt.take(event)
            return
        event.stop()
        event.prevent_default()
        await work.pressed(key)
        if not self.is_attached:
            # The app ended while keys were still waiting: no line opens any more.
            return
        await work.open_prompt()
        self.paint_now()

    async def catch_up(self) -> None:
        """Act on the keys that came while the folder was read, but for those that edit: nothing was seen to edit yet.

        Keys that come meanwhile wait for their turn. A line that was begun is not typed on: it says so.
        """
        work = self.workspace
        while work is not None and self._early:
            key = self._early.pop(0)
            binding = work.keys.keymap.find(work.desk.selection.view, key)
            if binding is None or binding.group != "editing":
                await work.pressed(key)
            if work.ask is not None:
                work.ask = None
                self._early.clear()
                work.desk.say(
                    f"{key} and what followed came too early: please type it again", "warn"
                )
                work.draw()
        self._is_behind = False

    def paint_now(self) -> None:
        """Show what a key did without waiting for the next tick of a timer."""
        # The app that leaves has no screens any more.
        if isinstance(self.app, SparseApp) and self.is_active:
            self.app.paint_now()
        if self.workspace is not None:
            self.workspace.look_ahead()

    def _show_now(self) -> None:
        """Show what a line did that was typed: the keys stand in its place again."""
        if isinstance(self.app, SparseApp) and self.is_active:
            self.app.lay_out_now()

    def on_resized(self) -> None:
        """A view has another size."""
        if self.workspace is not None:
            self.workspace.draw()

    def on_prompt_answered(self, message: Prompt.Answered) -> None:
        """A line was typed."""
        if self.workspace is not None:
            self.workspace.prompt_closed()
            self.workspace.answered(message.kind, message.text)
            self._show_now()

    def on_prompt_left(self, _message: Prompt.Left) -> None:
        """A prompt was left."""
        if self.workspace is not None:
            self.workspace.prompt_closed()
            self.workspace.draw()
            self._show_now()

    def on_heatmap_picked(self, message: Heatmap.Picked) -> None:
        """A cell was clicked."""
        view = message.heatmap.view
        if self.workspace is not None and view is not None:
            from gradtui.tui.screens.picking import picked_cell

            picked_cell(self.workspace, view.key, message.cell)

    def on_table_picked(self, message: Table.Picked) -> None:
        """A row was clicked."""
        if self.workspace is not None:
            from gradtui.tui.screens.picking import picked_row

            picked_row(self.workspace, message.row)

    def _greet(self) -> None:
        width = self.size.width
        left = line((" gradtui", "title"), "  ", safe_label(self.folder, max(width // 2, 8)))
        self.header.show(spread(left, line(("loading ", "dim")), width))
        words = (" quit", "dim"), ("   other keys act once the folder is read", "dim")
        self.keys.show(clip(line((" q", "key"), *words), width))
