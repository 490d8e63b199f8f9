"""The History view: curves or a distribution over the steps, and below them what they say at the cursor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.geometry import Size

from gradtui.tui.actions.offered import NO_RUN
from gradtui.tui.screens.maps import Resized
from gradtui.tui.widgets.textline import LineView
from gradtui.viewmodel.run.curves import Chart, chart_of, charted
from gradtui.viewmodel.run.density import bins_of, density_of, on_one_grid, only_zeros
from gradtui.viewmodel.run.distribution import distribution_lines
from gradtui.viewmodel.run.history import companion_lines, flags_line, legend_lines, marks_line
from gradtui.viewmodel.run.quantities import series_name
from gradtui.viewmodel.run.ticks import step_ticks
from gradtui.viewmodel.run.window import Window, window_of
from gradtui.viewmodel.text import Span, TextLine, clip, line, line_width, safe_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.run.keys import SeriesKey
    from gradtui.core.run.series import HistogramSeries
    from gradtui.tui.actions.desk import Desk
    from gradtui.viewmodel.run.choice import RunChoice
    from gradtui.viewmodel.run.watch import Watch

LEAST_CHART = 5
BOTH_ROWS = 26
"""Rows from which a chart and a distribution stand one above the other."""
MOST_COMPANIONS = 3
LEAST_PANE = 24
"""Columns of one of several distributions side by side."""
LEAST_DENSITY = 7
"""Rows of a distribution from which two stand one above the other."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How many rows each part of the view has."""

    chart: int = 0
    density: int = 0
    marks: int = 0
    legend: int = 0
    companions: int = 0
    distribution: int = 0
    flags: int = 0


def shared(height: int, curves: int, *, mode: str, alone: bool, histogram: int) -> Shares:
    """Share rows out: the chart has most; what says least goes first where there are few."""
    if height < LEAST_CHART + 2:
        return Shares(chart=height) if mode == "series" else Shares(density=height)
    marks = 1
    legend = min(curves, max(height // 6, 1)) if mode == "series" else 0
    distribution = histogram if height >= 14 and not alone else 0
    companions = 0 if alone or height < 12 else min(MOST_COMPANIONS, (height - 8) // 4)
    flags = 1 if height >= 15 and not alone else 0
    if alone and mode == "series":
        legend = min(curves, height // 2)
    left = height - marks - legend - distribution - companions - flags
    if mode != "series":
        return Shares(0, left, marks, 0, companions, distribution, flags)
    if histogram and height >= BOTH_ROWS and not alone:
        density = left * 2 // 5
        return Shares(left - density, density, marks, legend, companions, distribution, flags)
    return Shares(left, 0, marks, legend, companions, distribution, flags)


class HistoryView(LineView):
    """Everything in one widget of lines, of which those that changed are painted."""

    DEFAULT_CSS = "HistoryView { width: 1fr; height: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.drawn_for = Size(0, 0)
        self.chart = Chart()
        self.window = Window()
        self.columns = 1
        self._chart_lines: tuple[tuple[object, ...], tuple[TextLine, ...]] = ((), ())

    def on_resize(self) -> None:
        """Ask for lines of the new size."""
        if self.size != self.drawn_for:
            self.post_message(Resized())

    def draw(self, desk: Desk, size: Size, *, ascii: bool) -> None:
        """Show the chosen series of the run."""
        self.drawn_for = size
        watch, choice = desk.watch, desk.selection.run
        if not desk.watching:
            self.show(*self._saying(NO_RUN, size))
            return
        self.window = window_of(watch.run, choice)
        from gradtui.tui.render.chart import field_of

        self.columns = field_of(size.width, size.height)[0]
        key = watch.key(choice)
        histogram = watch.histogram(choice)
        if watch.run.last_step < 0 or (key is None and histogram is None):
            self.chart = Chart(window=self.window)
            self.show(*self._nothing(watch, size))
            return
        keys = charted(choice, key) if key is not None else choice.pins
        apart = len(watch.run.ranks) if choice.rank == -2 else 1
        shares = shared(
            size.height, len(keys) * apart, mode=choice.mode, alone=choice.alone,
            histogram=0 if histogram is None else 4 if choice.baseline >= 0 else 3,
        )  # fmt: skip
        lines: list[TextLine] = []
        lines += self._curves(watch, choice, keys, size.width, shares, ascii=ascii)
        lines += self._densities(watch, choice, histogram, size.width, shares)
        if shares.marks:
            training = watch.training(choice)
            left = size.width - self.columns
            lines.append(
                marks_line(watch.run, training.flags, self.window, self.columns, left, ascii=ascii)
            )
        if shares.legend:
            lines += legend_lines(
                watch.run, self.chart, choice, size.width, shares.legend, ascii=ascii
            )
        lines += self._below(watch, choice, keys, histogram, size.width, shares, ascii=ascii)
        self.show(*lines[: size.height])

    def _nothing(self, watch: Watch, size: Size) -> list[TextLine]:
        """Words for a run, or a module, without numbers."""
        if watch.reading < 1:
            words = f"reading the history: {watch.reading:.0%}"
        elif watch.run.last_step < 0:
            words = "no step was recorded yet: the first optimizer step will be here"
        else:
            words = "nothing was recorded for this module; j and k go to others, / finds a series"
        return self._saying(words, size)

    @staticmethod
    def _saying(words: str, size: Size) -> list[TextLine]:
        """Words in place of a chart."""
        blank = max(size.height // 3, 0)
        return [*(() for _ in range(blank)), clip(line((f"   {words}", "dim")), size.width)]

    def _curves(
        self,
        watch: Watch,
        choice: RunChoice,
        keys: tuple[SeriesKey, ...],
        width: int,
        shares: Shares,
        *,
        ascii: bool,
    ) -> list[TextLine]:
        from gradtui.tui.render.chart import drawn, field_of, is_drawable, with_column

        columns, rows = field_of(width, max(shares.chart, 3))
        self.chart = chart_of(
            watch.run, choice, keys, self.window, columns, rows, exact=watch.exact
        )
        if not shares.chart:
            return []
        if not is_drawable(width, shares.chart):
            return legend_lines(watch.run, self.chart, choice, width, shares.chart, ascii=ascii)
        field = drawn(self.chart, width, shares.chart, ascii=ascii)
        lines = list(
            with_column(field, self.window.column(self.window.cursor, field.width), ascii=ascii)
        )
        if self.chart.empty:
            spoilt = any(len(curve.bad) for curve in self.chart.curves)
            words = f"nothing {'finite' if spoilt else 'measured'} in these steps"
            lines[len(lines) // 3] = line((f"          {words}", "dim"))
        return lines

    def _densities(
        self,
        watch: Watch,
        choice: RunChoice,
        histogram: SeriesKey | None,
        width: int,
        shares: Shares,
    ) -> list[TextLine]:
        if not shares.density:
            return []
        if choice.mode == "inputs":
            return self._inputs(watch, choice, width, shares.density)
        if histogram is None:
            words = "no histograms of this module; M shows its numbers"
            return [clip(line((f"   {words}", "dim")), width), *[()] * (shares.density - 1)]
        steps = (self.window.first, self.window.last)
        series = watch.run.histogram(histogram, choice.one_rank, steps)
        return self._density(histogram, series, width, shares.density)

    def _density(
        self,
        key: SeriesKey,
        series: HistogramSeries,
        width: int,
        height: int,
        *,
        beside: tuple[int, int] | None = None,
    ) -> list[TextLine]:
        """A distribution over the steps; ``beside`` others of the same grid these are the bins of all of them."""
        from gradtui.tui.render.density import LABELS, cell_rows, density_lines, other_lines

        columns = max(width - LABELS - 1, 1)
        alone = beside is None
        label = safe_label(series_name(key), width - (18 if alone else 2), keep="both")
        title = line((f" {label}", "title"), ("  over the steps" if alone else "", "dim"))
        solid = self.palette.solid
        others = 0
        rows = cell_rows(height - 1, solid=solid, others=others)
        density = density_of(series, self.window, columns, rows, beside)
        while other_lines(density) > others:
            others += 1
            rows = cell_rows(height - 1, solid=solid, others=others)
            density = density_of(series, self.window, columns, rows, beside)
        if density.empty or (alone and only_zeros(series, self.window)):
            text = "no histogram" if density.empty else "every finite value counted is exactly 0"
            words = line((f"   {text} in these steps", "dim"))
            return [clip(title, width), clip(words, width), *[()] * (height - 2)]
        ticks = step_ticks(self.window.first, self.window.last, max(columns // 10, 1))
        cells = density_lines(density, self.window, ticks, width, height - 1, self.palette)
        return [clip(title, width), *cells]

    def _inputs(self, watch: Watch, choice: RunChoice, width: int, height: int) -> list[TextLine]:
        """The distributions of a module's inputs side by side: which of them matters.

        Below them, or beside them where there is no room for that, those of their gradients.
        """
        groups = watch.inputs(choice)
        if not groups:
            words = "no histograms of this module's inputs; I goes back"
            return [clip(line((f"   {words}", "dim")), width), *[()] * (height - 1)]
        most = max(width // LEAST_PANE, 1)
        if height >= 2 * LEAST_DENSITY:
            heights = [height - height // 2, height // 2] if len(groups) > 1 else [height]
            stacked = [
                self._panes(watch, choice, [keys[:most]], width, rows)
                for keys, rows in zip(groups, heights, strict=True)
            ]
            return [row for pane in stacked for row in pane]
        if sum(map(len, groups)) > most:
            groups = (groups[0][:most],)
        return self._panes(watch, choice, groups, width, height)

    def _panes(
        self,
        watch: Watch,
        choice: RunChoice,
        groups: Sequence[Sequence[SeriesKey]],
        width: int,
        height: int,
    ) -> list[TextLine]:
        """Distributions in a row, those of a group on one scale."""
        steps = (self.window.first, self.window.last)
        each = (width + 1) // sum(map(len, groups)) - 1
        panes = []
        for keys in groups:
            read = [watch.run.histogram(key, choice.one_rank, steps) for key in keys]
            series = on_one_grid(read)
            bins = bins_of(series, self.window)
            panes += [
                self._density(key, one, each, height, beside=bins if len(keys) > 1 else None)
                for key, one in zip(keys, series, strict=True)
            ]
        return [
            tuple(span for n, pane in enumerate(row) for span in _padded(pane, each, bool(n)))
            for row in zip(*panes, strict=True)
        ]

    def _below(
        self,
        watch: Watch,
        choice: RunChoice,
        keys: tuple[SeriesKey, ...],
        histogram: SeriesKey | None,
        width: int,
        shares: Shares,
        *,
        ascii: bool,
    ) -> list[TextLine]:
        lines: list[TextLine] = []
        if shares.companions:
            path = watch.recorded(choice)
            others = [key for key in watch.keys(path) if key not in keys]
            scalars = [key for key in watch.keys("") if key.role == "run" and key not in keys]
            place = min(3, len(others))
            chosen = [*others[:place], *(scalars[:1] if path else []), *others[place:]]
            found = companion_lines(
                watch.run, choice, chosen, path, self.window, width, shares.companions, ascii=ascii
            )
            lines += [*found, *[()] * (shares.companions - len(found))]
        if shares.distribution and histogram is not None:
            found = distribution_lines(
                watch.run, choice, histogram, self.window, width, ascii=ascii
            )[: shares.distribution]
            lines += [*found, *[()] * (shares.distribution - len(found))]
        if shares.flags:
            lines.append(flags_line(watch.training(choice).flags, width))
        return lines


def _padded(text_line: TextLine, width: int, gap: bool) -> TextLine:
    text_line = clip(text_line, width)
    left = (Span(" "),) if gap else ()
    return (*left, *text_line, Span(" " * (width - line_width(text_line))))
