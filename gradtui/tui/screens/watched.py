"""The lines around the views of a watched run: what the header says of it, headline, detail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.viewmodel.run.choice import NEWEST
from gradtui.viewmodel.run.detail import LEAST_LINES, finding_lines, module_detail, told
from gradtui.viewmodel.run.headline import history_words, kept_words, overview_words, run_words

MANY = 100
"""More rows than any finding has."""

if TYPE_CHECKING:
    from gradtui.tui.screens.workspace import Workspace
    from gradtui.viewmodel.text import TextLine


def header_parts(work: Workspace) -> list[TextLine]:
    """Return the step, and how many findings there are; in Values the step at which its tensors were kept."""
    desk = work.desk
    if desk.selection.view == "values" and "step" in desk.generations.shown.meta:
        return [kept_words(desk.generations)]
    watch = desk.watch
    newest = work.run.newest
    view = work.view
    ended = ""
    if newest and view is not None and view.writer == "training" and not view.adapter.alive:
        ended = "failed" if view.adapter.state == "failed" else ""
        ended = "killed" if view.adapter.is_killed else ended
    return run_words(watch.run, watch.findings, watch.behind, older=not newest, ended=ended)


def headline(work: Workspace, width: int) -> TextLine:
    """Return the second line of the Overview or the History of a run."""
    desk = work.desk
    watch, choice = desk.watch, desk.selection.run
    if desk.selection.view == "history":
        view = work.views.history
        key = watch.histogram(choice) if choice.mode == "histogram" else watch.key(choice)
        return history_words(watch.run, choice, key, view.chart, view.window, watch.reading, width)
    rows = len(watch.rows(choice))
    return overview_words(watch.run, watch.training(choice), choice, rows, watch.reading, width)


def share_rows(work: Workspace, width: int) -> None:
    """Give a finding that is told in the Overview the rows that its list leaves blank."""
    desk = work.desk
    watch, choice = desk.watch, desk.selection.run
    wanted = 0
    if desk.watching and desk.selection.view == "overview":
        training = watch.training(choice)
        chosen = told(training, choice.path, desk.finding)
        if chosen is not None:
            # With the line that names the module.
            wanted = 1 + len(finding_lines(chosen, choice.path, width, rows=MANY))
    # The list has a row of titles.
    work.shell.share_blank_rows(wanted, 1 + len(watch.rows(choice)) if wanted else 0)


def detail(work: Workspace, width: int, clock: str) -> tuple[TextLine, ...]:
    """Return the lines about the selected module, or about the finding that was gone to."""
    desk = work.desk
    watch, choice = desk.watch, desk.selection.run
    training = watch.training(choice)
    path = choice.path
    if desk.selection.view == "history":
        path = watch.recorded(choice)
    return module_detail(
        watch.run,
        training,
        path,
        width,
        rank=choice.one_rank,
        clock=clock,
        finding=desk.finding,
        cursor=choice.cursor if desk.selection.view == "history" else NEWEST,
        # A notice has the last one.
        rows=(work.shell.detail.size.height or LEAST_LINES)
        - bool(desk.notice[0] or work.asking.text),
        ascii=work.palette.ascii_only,
    )
