"""Headlines and details in words: steps, findings, ranks, reading, held, nothing yet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from kit.run_folders import SmallGpt
from kit.runs import Training as Made

from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Edges, Entry
from gradtui.core.run.run import Run
from gradtui.diagnosis.finding import Finding
from gradtui.folder.adapter_state import AdapterState
from gradtui.viewmodel.generations import Generations
from gradtui.viewmodel.headline import FolderState, header_line
from gradtui.viewmodel.run.choice import APART, NEWEST, RunChoice
from gradtui.viewmodel.run.curves import Chart, chart_of
from gradtui.viewmodel.run.detail import finding_lines, module_detail
from gradtui.viewmodel.run.headline import history_words, overview_words, run_words
from gradtui.viewmodel.run.history import companion_lines, flags_line, legend_lines, marks_line
from gradtui.viewmodel.run.lines import row
from gradtui.viewmodel.run.snapshots import as_map, layers_of, snapshots_of
from gradtui.viewmodel.run.telling import findings_page
from gradtui.viewmodel.run.training import Training, training_of
from gradtui.viewmodel.run.window import window_of
from gradtui.viewmodel.selection import Selection
from gradtui.viewmodel.text import line, line_width, plain

BAD = Finding(
    "exploding", "bad", "a", "weight", 7, "The gradient of a explodes.",
    "|grad|2 reached 897 in 65 steps, x14000 the largest before; the bound is x10", "Clip the gradient.",
)  # fmt: skip
NOTE = Finding("no gradient", "note", "b", "weight", 0, "b is frozen.", "why", "nothing")
KEY = SeriesKey("a", "gradient", "l2", "weight")


def run():
    made = Made(steps=40).layer("a").layer("b").layer("c")
    made.happens(9, "epoch", "epoch 0", epoch=0)
    made.happens(20, "skipped", "skipped")
    made.edges = [("a", "b"), ("b", "c")]
    return made.run()


@pytest.mark.parametrize(
    ("findings", "behind", "words"),
    [
        ((), -1, ["step 39", "ok"]),
        ((BAD, NOTE), -1, ["step 39", "bad 1"]),
        ((), 12, ["step 39", "paused, 12 newer"]),
    ],
)
def test_the_header_tells_step_findings_and_whether_it_is_held(findings, behind, words):
    text = "  ".join(plain(part) for part in run_words(run(), findings, behind))
    assert all(word in text for word in words)


def test_a_run_without_steps():
    assert "no step yet" in plain(run_words(Run.empty(), (), -1)[0])


def overview(choice=RunChoice(), findings=(), reading=1.0, width=120, run_=None):  # noqa: B008
    made = run_ or run()
    training = training_of(made, findings, Training())
    return plain(overview_words(made, training, choice, 2, reading, width))


def test_the_overview_in_words():
    assert "no findings" in overview()
    assert "loss" in overview()
    assert "4 modules" in overview()
    assert "1 finding, e goes to it" in overview(findings=(BAD,))
    assert "no findings, 1 note" in overview(findings=(NOTE,))
    assert "reading 40%" in overview(reading=0.4)
    assert "only fc: 2" in overview(RunChoice(filter="fc"))
    assert "sorted by |dy|2" in overview(RunChoice(sort="output_gradient"))


def test_ranks_in_words():
    made = Made(steps=3).layer("a")
    both = Run.of({rank: made.entries(rank, 3) for rank in (0, 2)})
    assert "2 of 3 ranks together" in overview(run_=both)
    assert "apart" in overview(RunChoice(rank=APART), run_=both)
    assert "rank 2 of" in overview(RunChoice(rank=2), run_=both)


def test_the_history_in_words():
    made = run()
    choice = RunChoice(cursor=30, baseline=5, pins=(KEY,))
    window = window_of(made, choice)
    chart = chart_of(made, choice, (KEY,), window, 40, 10)
    text = plain(history_words(made, choice, KEY, chart, window, 0.25, 160))
    for words in (
        "|dW|2 a.weight",
        "cursor 30",
        "steps 0..39",
        "log",
        "baseline step 5",
        "1 pinned",
        "reading 25%",
    ):
        assert words in text
    nothing = history_words(made, choice, None, Chart(), window, 1.0, 80)
    assert "nothing recorded" in plain(nothing)


def test_what_happened_stands_under_its_step():
    made = run()
    training = training_of(made, (BAD,), Training())
    window = window_of(made, RunChoice())
    text = plain(marks_line(made, training.flags, window, 81, 8))
    assert text[8 + window.column(7, 81)] == "!"
    assert text[8 + window.column(9, 81)] == "╵"
    assert text[8 + window.column(20, 81)] == "s"
    assert "step 7 a EXPL" in plain(flags_line(training.flags, 80))
    assert plain(flags_line(training_of(made, (), Training()).flags, 80)).strip() == "no findings"
    noted = training_of(made, (replace(BAD, severity="note"),), Training())
    assert plain(flags_line(noted.flags, 80)).strip() == "no findings, 1 note"
    # A note about a module is none about the model that it is in.
    for training, end in ((noted, " ."), (training_of(made, (BAD,), Training()), "! EXPL")):
        assert plain(row(training, 0, 120, flat=False, folded=False)).rstrip().endswith(end)


def test_legends_and_companions():
    made = run()
    choice = RunChoice(baseline=0, cursor=20)
    window = window_of(made, choice)
    keys = (KEY, SeriesKey("b", "gradient", "l2", "weight"), SeriesKey("gone", "gradient", "l2"))
    chart = chart_of(made, choice, keys, window, 40, 10)
    lines = [plain(each) for each in legend_lines(made, chart, choice, 100, 3)]
    assert "|dW|2 a.weight" in lines[0]
    assert "×" in lines[0]
    assert "in view" in lines[1]
    assert "nothing measured" in lines[2]
    assert "more curves" in plain(legend_lines(made, chart, choice, 100, 2)[-1])
    for width in (40, 80, 120):
        found = companion_lines(made, choice, keys, "a", window, width, 2)
        assert len(found) == 2
        assert all(line_width(each) <= width for each in found)
    assert "|dW|2 weight" in plain(companion_lines(made, choice, keys, "a", window, 120, 2)[0])


def test_the_detail_of_a_module_has_its_finding_with_reasons_and_advice():
    made = run()
    training = training_of(made, (BAD,), Training())
    for width in (40, 80, 120):
        lines = [
            plain(each) for each in module_detail(made, training, "a", width, clock="14:02:07")
        ]
        assert all(len(each) <= width for each in lines)
        first = "\n".join(lines[:5])
        assert "explodes" in first
        assert "897" in first
        assert "Clip" in first
    healthy = "\n".join(
        plain(each) for each in module_detail(made, training, "b", 120, clock="14:02:07")
    )
    assert "b  Linear" in healthy
    assert "in<-a" in healthy
    assert "out->c" in healthy
    assert "14:02:07" in healthy
    assert module_detail(made, training, "gone", 80) == ()
    healthy_run = training_of(made, (), Training())
    assert "the whole model" in plain(module_detail(made, healthy_run, "", 80)[0])


def test_a_finding_says_which_of_how_many_it_is():
    lines = finding_lines(BAD, "a", 200, (BAD, BAD))
    assert "e goes on" in plain(lines[0])
    assert "since step 7" in plain(lines[0])


def test_the_key_gives_way_to_the_sentence_of_a_finding():
    told = plain(finding_lines(BAD, "a", 200, (BAD, BAD))[0])
    whole = told.removesuffix(", e goes on")
    assert whole.endswith("1 of 2")
    for width, wanted in ((len(told), told), (len(told) - 1, whole), (len(whole), whole)):
        assert plain(finding_lines(BAD, "a", width, (BAD, BAD))[0]) == wanted


def test_snapshots_are_sessions_of_a_step_each_and_made_once():
    model = SmallGpt()
    entries = [*model.preamble(), *(e for step in range(120) for e in model.step(step, 0.0))]
    made = Run.of({0: entries})
    first = snapshots_of(made, "run")
    assert [session.generation for session in first] == [0, 50, 100]
    assert layers_of(first[0], "h.1.mlp.fc1") == ["h.1.mlp.fc1 dy"]
    assert layers_of(first[0], "embed") == []
    again = snapshots_of(Run.of({0: [*entries, Entry(121, 0.0, Edges(()))]}), "run", first)
    assert all(one is other for one, other in zip(first, again, strict=True))
    assert snapshots_of(Run.empty(), "run") == ()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((), (1, 1)),
        ((5,), (1, 5)),
        ((2, 3), (2, 3)),
        ((4, 2, 3), (4, 2, 3)),
        ((6, 4, 3, 3), (6, 36)),
        ((0,), (1, 0)),
    ],
)
def test_tensors_of_any_shape_are_maps(shape, expected):
    assert as_map(np.zeros(shape)).shape == expected


@pytest.mark.parametrize("width", [1, 20, 40, 80])
def test_a_page_of_findings_has_each_of_them_whole(width):
    findings = (BAD, replace(NOTE, also=("c", "d"), until=8))
    lines = findings_page(findings, findings[1], width)
    assert all(line_width(each) <= width for each in lines)
    if width >= 40:
        text = " ".join(" ".join(map(plain, lines)).split())
        assert text.startswith(
            ". NOGRAD b (weight) note 1 of 1 b is frozen. since step 0 to 8 why why"
        )
        assert "also c, d ! EXPL a (weight) 1 of 1" in text
        assert "since step 7 to now" in text
        assert BAD.why in text
    assert findings_page((), None, width) == ()


@pytest.mark.parametrize(("cursor", "words"), [(35, " at 30"), (30, ""), (NEWEST, " at 30")])
def test_a_value_that_is_older_than_the_cursor_tells_its_step(cursor, words):
    """Outputs are measured at every tenth step: of 40 the newest is 30."""
    made = run()
    key = SeriesKey("a", "output", "l2")
    choice = RunChoice(cursor=cursor)
    chart = chart_of(made, choice, (key,), window_of(made, choice), 40, 10)
    (text,) = (plain(each) for each in legend_lines(made, chart, choice, 80, 3))
    assert (" at " in text) == bool(words)
    assert words in text


def header(name, kind, text, width, *words):
    return plain(
        header_line(
            FolderState(name, kind, text, "12:34:56"),
            Generations(),
            Selection(),
            0,
            width,
            run=[line(word) for word in words],
        )
    )


def test_the_name_of_a_run_comes_before_the_program_the_clock_and_what_a_training_says():
    step = ("step 12", "ok")
    assert header("a", "live", "training: watching Net", 120, *step).startswith(" gradtui  a  step")
    at_80 = header("runs/mnist-resnet18", "live", "training: watching ResNet", 80, *step)
    assert at_80.startswith(" runs/mnist-resnet18  step 12  ok  training  ")
    ended = header("runs/mnist-resnet18", "finished", "training ended", 80, *step)
    assert ended.startswith(" runs/mnist-resnet18  step 12  ok  training ended 12:34:56")
    long = ("step 123456 paused, 12 newer", "bad 1 warn 3")
    held = header("runs/mnist-resnet18", "live", "training: watching ResNet", 80, *long)
    assert "snet18  step 123456 paused, 12 newer  bad 1 warn 3" in held
    gone = header("runs/mnist-resnet18-again", "missing", "the folder is gone", 80, *step)
    assert "again  step 12  ok  the folder is gone  " in gone
    failed = header("mnist", "finished", "training failed: RuntimeError: no more memory", 80, *step)
    assert failed.startswith(" mnist  step 12  ok  training failed: Runtime")


def test_all_rows_that_there_are_tell_of_a_finding_and_what_is_left_out_is_marked():
    words = " ".join(f"number{n}" for n in range(60))
    long = replace(BAD, why=words, advice=words)
    whole = len(finding_lines(long, "a", 80, rows=100))
    assert whole > 12
    for rows in (5, 6, 9, 30):
        lines = [plain(each) for each in finding_lines(long, "a", 80, rows=rows)]
        assert len(lines) == min(rows, whole)
        shown = " ".join(lines)
        for sentence in ("why", "try"):
            begin = next(n for n, each in enumerate(lines) if each.startswith(f" {sentence}  "))
            assert lines[begin].startswith(f" {sentence}  number0 ")
        assert ("…" in shown) == (rows < whole)
    short = [plain(each) for each in finding_lines(replace(BAD, why=words), "a", 80, rows=12)]
    assert "number59" in " ".join(short)
    assert "…" not in " ".join(short)


def test_loss_and_learning_rate_stand_in_the_headline_however_many_series_there_are():
    made = Made(steps=4)
    made.set("", "run", "value", 3e-4, slot="lr.0")
    for place in range(4100):
        made.set(f"m{place}", "module", "seconds", 1.0)
    run_ = made.run()
    assert len(run_.keys) > 4096
    assert "loss 2.2" in overview(run_=run_)
    narrow = overview(RunChoice(filter="fc1", sort="output_gradient"), (BAD,), width=80, run_=run_)
    assert "lr.0 3e-4" in narrow


def test_what_tells_two_numbers_apart_is_seen_in_the_small():
    made = Made(steps=30)
    keys = [SeriesKey("rnn", "gradient", "l2", slot) for slot in ("weight_hh_l0", "bias_hh_l0")] + [
        SeriesKey("rnn", "output", "l2", "", 0, phase) for phase in ("train", "eval")
    ]
    made.numbers |= {key: np.ones(30) for key in keys}
    run_ = made.run()
    choice = RunChoice()
    lines = companion_lines(run_, choice, keys, "rnn", window_of(run_, choice), 80, 2)
    text = " ".join(map(plain, lines))
    for name in ("|dW|2 weight_hh_l0 ", "|dW|2 bias_hh_l0 ", "|y|2  ", "|y|2 eval "):
        assert name in text
    assert all(line_width(each) <= 80 for each in lines)


def test_the_header_says_how_a_run_ended():
    made = Made(steps=5).layer("a")
    made.happens(
        4, "note", "the training ended with RuntimeError: shapes", error="RuntimeError: shapes"
    )
    assert plain(run_words(made.run(), (), -1)[1]) == "failed"
    assert plain(run_words(made.run(), (BAD,), -1)[1]) == "failed bad 1"
    assert plain(run_words(run(), (), -1, ended="killed")[1]) == "killed"
    for error in ("KeyboardInterrupt", "GeneratorExit"):
        made = Made(steps=5).layer("a")
        made.happens(4, "note", f"the training ended with {error}", error=error)
        assert plain(run_words(made.run(), (), -1)[1]) == "interrupted"
    assert AdapterState(pid=7, state="training").is_killed
    for state in (AdapterState(), AdapterState(7, state="stopped"), AdapterState(7, alive=True)):
        assert not state.is_killed


def test_a_group_tells_its_own_zeros_and_those_of_all_below():
    made = Made(steps=20).layer("body").layer("body.a")
    made.of("body", "output", "zeros")[:] = 32 * 64 / 4
    training = training_of(made.run(), (), Training())
    title = plain(module_detail(made.run(), training, "body", 160)[0])
    assert "zeros of y 25.0% all below 0%" in title
    assert "all below" not in plain(module_detail(made.run(), training, "body.a", 160)[0])
