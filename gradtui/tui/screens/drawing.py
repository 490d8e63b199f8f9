"""What stands on the lines around the view: header, headline, detail, keys."""

from __future__ import annotations

import contextlib
import math
import time
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING

from gradtui.tui.actions.offered import refusal
from gradtui.tui.screens.maps import desk_edits
from gradtui.viewmodel.detail import layer_detail
from gradtui.viewmodel.fitting import fitting
from gradtui.viewmodel.headline import (
    FolderState,
    header_line,
    only_piece,
    overview_headline,
    values_headline,
)
from gradtui.viewmodel.readout import readout
from gradtui.viewmodel.text import Span, clip, line, number, printable, safe_label

if TYPE_CHECKING:
    from gradtui.folder.adapter_state import AdapterState
    from gradtui.tui.screens.workspace import Workspace
    from gradtui.viewmodel.selection import Cell
    from gradtui.viewmodel.text import TextLine

PROGRESS_CELLS = 20
LARGEST_INTEGER = 1 << 63
OLD_SECONDS = 86_400.0


def clock(moment: float) -> str:
    """A wall time as a time of day, with its date when it is older than a day; empty for none."""
    if not moment:
        return ""
    form = "%H:%M:%S" if time.time() - moment < OLD_SECONDS else "%Y-%m-%d %H:%M"
    return time.strftime(form, time.localtime(moment))


class Drawing:
    """Draws a workspace onto its shell."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.problem = ""
        """The traceback of what could not be drawn last; a mistake of ours."""

    def draw(self) -> None:
        """Draw the view and the lines around it; what cannot be drawn is told, and the keys go on."""
        try:
            self._draw()
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not take the person's edits along
            self.problem = "".join(traceback.format_exception(error))
            desk = self._workspace.desk
            desk.say(
                f"this cannot be drawn ({type(error).__name__}: {error}); :log has more", "bad"
            )
            with contextlib.suppress(Exception):
                self.draw_around()

    def _draw(self) -> None:
        work = self._workspace
        shell = work.shell
        width = shell.size.width
        if not width or not work.views.is_attached:
            return
        lines = self._log_lines()
        if work.desk.selection.view == "log":
            # Rows count from the end: none beyond the first line, or as many keys would do nothing.
            row = min(work.desk.selection.row, max(len(lines) - 1, 0))
            work.desk.selection = replace(work.desk.selection, row=row)
        work.views.draw(work.desk, lines, shell.body.size, ascii=work.palette.ascii_only)
        self.draw_around()

    def draw_around(self) -> None:
        """Draw the lines around the view, which stays."""
        work = self._workspace
        shell = work.shell
        width = shell.size.width
        if not width or not work.views.is_attached:
            return
        self.draw_header()
        shell.headline.show(self._headline(width))
        if work.desk.watching:
            from gradtui.tui.screens.watched import share_rows

            share_rows(work, width)
        height = shell.detail.size.height or 2
        shell.detail.show(*self._detail(width)[:height])
        shell.keys.show(self._keys(width))

    def draw_header(self) -> None:
        """Draw the first line alone: a run that grows tells its newest step there."""
        shell = self._workspace.shell
        if shell.size.width:
            shell.header.show(self._header(shell.size.width))

    def _log_lines(self) -> tuple[str, ...]:
        """Notes about the folder, then what the adapter's process printed, or the traceback that it left."""
        work = self._workspace
        notes = work.view.notes if work.view is not None else ()
        printed = work.child.lines if work.child is not None else ()
        if work.view is not None and work.child is None:
            printed = tuple(work.view.adapter.error.splitlines())
        told = (text for note in notes for text in note.splitlines())
        return (*told, *printed, *self.problem.splitlines())

    def _header(self, width: int) -> TextLine:
        work, desk = self._workspace, self._workspace.desk
        view = work.view
        if view is None:
            return line((" gradtui", "title"))
        status = view.status
        state = FolderState(
            name="/".join(filter(None, (desk.session.folder or work.shell.folder, work.run.name))),
            kind=status.kind,
            text=printable(status.text),
            clock=clock(view.loaded_at),
        )
        is_running = work.child is not None and work.child.running
        if is_running and view.adapter.state == "stopped" and not desk.planning:
            # The one before has ended for the one that begins: nobody stopped it.
            state = replace(state, kind="loading", text="loading again", clock="")
        if desk.planning and not desk.session.layers and not desk.watching:
            state = replace(state, text=self._traced(state), clock="")
        run: list[TextLine] = []
        is_kept = "step" in desk.generations.shown.meta
        if desk.watching and (is_kept or desk.selection.view not in ("values", "flow")):
            from gradtui.tui.screens.watched import header_parts

            state = replace(state, clock=clock(desk.watch.run.last_time))
            if not work.run.newest:
                # What the folder is doing is about its newest run.
                state = replace(state, kind="finished", text="ended")
            run = header_parts(work)
        return header_line(
            state, desk.generations, desk.selection, desk.edits.pending_count, width, run=run
        )

    def _traced(self, state: FolderState) -> str:
        """Words for a folder that holds an architecture and nothing else: its adapter only traced it."""
        adapter = self._workspace.view.adapter if self._workspace.view is not None else None
        if adapter is None or adapter.alive or adapter.state not in ("stopped", ""):
            return state.text
        return "traced again at each save" if self._workspace.door.reloads else "traced"

    def _headline(self, width: int) -> TextLine:
        work, desk = self._workspace, self._workspace.desk
        busy = ("starting",) if desk.watching else ("starting", "training")
        if work.view is not None and work.view.adapter.state in busy:
            return self._progress(work.view.adapter, width)
        selection = desk.selection
        if desk.watching and selection.view in ("overview", "history"):
            from gradtui.tui.screens.watched import headline

            return headline(work, width)
        if selection.view == "history":
            return clip(line((" History", "title"), ("   no training run", "dim")), width)
        if selection.view == "architecture":
            return clip(work.views.architecture.headline, width)
        if selection.view == "values" and "step" in desk.generations.shown.meta:
            from gradtui.viewmodel.run.headline import snapshot_words

            return snapshot_words(desk.generations, width)
        if selection.view == "values":
            return values_headline(desk.session, selection, width)
        if selection.view == "flow":
            shown = (Span(" Flow  ", "title"), *work.views.flow.headline)
            return clip((*shown, *only_piece(selection)), width)
        if selection.view == "log":
            return self._log_headline(width)
        if not desk.session.layers and work.view is not None and work.view.status.kind == "waiting":
            name = safe_label(work.shell.folder, max(width - 43, 12), keep="both")
            return clip(
                line((f" waiting for {name}", "title"), "  it opens when it is written"), width
            )
        loss = desk.session.meta.get("loss")
        words = ""
        # A file may hold an integer that no float is as large as.
        if isinstance(loss, float) or (type(loss) is int and abs(loss) < LARGEST_INTEGER):
            words = number(float(loss))
        return overview_headline(desk.summary, selection, words, width)

    def _log_headline(self, width: int) -> TextLine:
        """How the adapter's process ended, or its error: of a traceback the last line, which names it."""
        work = self._workspace
        ended = work.child.ended if work.child is not None else ""
        error = work.view.adapter.error if work.view is not None else ""
        last = printable(next(iter(error.strip().splitlines()[-1:]), ""))
        words = line(
            (" Log", "title"), f"   {work.writer} {ended}" if ended else f"   of the {work.writer}"
        )
        return clip((*words, Span(f"   {last}", "bad")) if last else words, width)

    def _progress(self, adapter: AdapterState, width: int) -> TextLine:
        """What the adapter does before it serves, with a bar where it knows how far it is."""
        spans: list[Span] = [Span(f" {adapter.state} ", "warn")]
        if not math.isnan(adapter.progress):
            full = round(PROGRESS_CELLS * min(max(adapter.progress, 0.0), 1.0))
            done, left = ("#", ".") if self._workspace.palette.ascii_only else ("█", "░")
            spans.append(Span(done * full + left * (PROGRESS_CELLS - full), "good"))
            spans.append(Span(f" {adapter.progress:.0%} "))
        spans.append(Span(safe_label(adapter.message, max(width // 2, 8), keep="start"), "dim"))
        return clip(tuple(spans), width)

    def _detail(self, width: int) -> tuple[TextLine, ...]:
        """The readout of the view; a notice takes its last line."""
        work, desk = self._workspace, self._workspace.desk
        session, selection = desk.session, desk.selection
        if desk.watching and selection.view in ("overview", "history"):
            from gradtui.tui.screens.watched import detail

            lines = detail(work, width, clock(desk.watch.run.last_time))
        elif selection.view == "architecture" and desk.planning:
            lines = work.views.architecture.detail
        elif not session.layers:
            # Of a training's flow there is nothing to wait for.
            no_flow = desk.watching and selection.view == "flow"
            lines = () if no_flow else self._waiting(width)
        elif selection.view in ("values", "flow"):
            lines = (
                *readout(
                    session,
                    desk.previous,
                    selection,
                    desk_edits(desk),
                    width=width,
                    ascii=work.palette.ascii_only,
                ),
                *layer_detail(
                    session, desk.summary, selection.layer, width, ascii=work.palette.ascii_only
                ),
            )
        elif selection.view == "overview":
            lines = layer_detail(
                session, desk.summary, selection.layer, width, ascii=work.palette.ascii_only
            )
        else:
            lines = ()
        text, role = desk.notice
        if work.asking.text:
            text, role = work.asking.text, "warn"
        if not text:
            return lines
        height = work.shell.detail.size.height or 2
        notice = clip(line(" ", (printable(text), role or "title")), width)
        return (*lines[: height - 1], *(() for _ in range(height - 1 - len(lines))), notice)

    def _waiting(self, width: int) -> tuple[TextLine, ...]:
        """Words for a folder that holds nothing yet."""
        work = self._workspace
        child = work.child
        if child is not None and child.lines:
            return tuple(
                clip(line(" ", (printable(text), "dim")), width) for text in child.lines[-2:]
            )
        words = " nothing to show yet"
        if child is None and work.view is not None and work.view.status.kind == "waiting":
            words += ": a training begins it by watch(model, folder=...)"
        return (clip(line((words, "dim")), width),)

    def _keys(self, width: int) -> TextLine:
        """The question if there is one, else the keys that matter here."""
        work, desk = self._workspace, self._workspace.desk
        if work.asking.text:
            return self._answers(width)
        if desk.box:
            return self._box(desk.box[1], width)
        parts = [
            line((binding.keys[0], "key"), (f" {binding.hint}", "dim"))
            for binding in work.keys.keymap.hints(desk.selection.view)
            if not refusal(desk, binding.id)
        ]
        if desk.selection.view == "log":
            moves = {one.id: one.keys[0] for one in work.keys.keymap.of_view("log")}
            both = f"{moves['move.down']} {moves['move.up']}"
            parts.insert(0, line((both, "key"), (" scroll", "dim")))
        typed = f"{work.keys.pending} " if work.keys.pending else ""
        return clip(line(" ", (typed, "highlight"), *fitting(parts, width - 1 - len(typed))), width)

    def _answers(self, width: int) -> TextLine:
        """What the keys of the question do; the question itself too where no other line shows it."""
        asking = self._workspace.asking
        spans: list[Span] = [Span(" ")]
        if not self._workspace.shell.detail.display:
            spans.append(Span(f"{printable(asking.text)}  ", "warn"))
        for key, (words, _) in asking.answers.items():
            spans += [Span(key, "key"), Span(f" {words}  ")]
        return clip((*spans, Span(f"any other key {asking.other}", "dim")), width)

    def _box(self, corner: Cell, width: int) -> TextLine:
        """The box that is being drawn: nothing else says that keys choose its other corner."""
        selection = self._workspace.desk.selection
        row, column = selection.cursor(selection.focus)
        words = f" box ({corner[0]},{corner[1]}) to ({row},{column})  "
        keys = (("enter", "key"), " takes it  ", ("X", "key"), (" leaves", "dim"))
        return clip(line((words, "highlight"), *keys), width)
