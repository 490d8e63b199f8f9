"""The lines around the views of a watched run: what the header says of it, headline, detail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.viewmodel.run.detail import finding_lines, module_detail
from gradtui.viewmodel.run.headline import history_words, overview_words, run_words
from gradtui.viewmodel.text import clip, line, safe_label

if TYPE_CHECKING:
    from gradtui.tui.screens.workspace import Workspace
    from gradtui.viewmodel.text import TextLine


def header_parts(work: Workspace) -> list[TextLine]:
    """Return the step, and how many findings there are."""
    desk = work.desk
    watch = desk.watch
    return run_words(watch.run, watch.findings, watch.behind)


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


def detail(work: Workspace, width: int, clock: str) -> tuple[TextLine, ...]:
    """Return the lines about the selected module, or about the finding that was gone to."""
    desk = work.desk
    watch, choice = desk.watch, desk.selection.run
    training = watch.training(choice)
    if desk.selection.view == "overview":
        return module_detail(
            watch.run, training, choice.path, width,
            rank=choice.one_rank, clock=clock, finding=desk.finding, ascii=work.palette.ascii_only,
        )  # fmt: skip
    path = watch.recorded(choice)
    node = training.tree.node(path)
    findings = training.flags.below(node, int(training.tree.ends[node])) if node >= 0 else ()
    if desk.finding is not None and desk.finding in findings:
        return tuple(finding_lines(desk.finding, path, width, watch.findings))
    if findings:
        return tuple(finding_lines(findings[0], path, width, watch.findings))
    kind = safe_label(training.tree.kinds[node], 30) if node > 0 else "the whole model"
    name = safe_label(path, 40) or training.tree.labels[0]
    words = line((f" {name}", "title"), (f"  {kind}", "dim"), ("  no findings", "good"))
    return (clip(words, width),)
