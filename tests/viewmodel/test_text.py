"""The one door for names, and the numbers of the screen."""

from __future__ import annotations

import math
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from gradtui.viewmodel.text import (
    Span,
    ago,
    cell_width,
    clip,
    line,
    line_width,
    number,
    plain,
    printable,
    safe_label,
    shorten,
    spread,
)

HARMFUL = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_every_character_is_shown_as_itself_or_written_out_at_its_width():
    # The planes between hold nothing: a sample of them is enough.
    for code in (
        *range(0x20000),
        *range(0x20000, sys.maxunicode + 1, 251),
        *range(0xE0000, 0xE0200),
    ):
        shown = printable("a" + chr(code))
        assert shown == "a" + chr(code) or shown.isascii()
        assert cell_len(shown) == cell_width(shown), hex(code)
        assert not any(unicodedata.category(c) in HARMFUL for c in shown)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("conv1", "conv1"),
        ("layer[/]", "layer[/]"),
        ("a\x1b]0;t\x07b", "a\\x1b]0;t\\x07b"),
        ("a\nb\tc", "a\\x0ab\\x09c"),
        ("\u202eabc", "\\u202eabc"),
        ("e\u0301\u0301\u0301", "e\u0301\u0301\\u0301"),
        ("\u0301a", "\\u0301a"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("中文", "中文"),
    ],
)
def test_labels(name, shown):
    assert safe_label(name) == shown


@given(st.text(max_size=60), st.integers(0, 30), st.sampled_from(["start", "end", "both"]))
def test_labels_fit_and_are_one_plain_line(name, width, keep):
    shown = safe_label(name, width, keep=keep)
    assert not any(unicodedata.category(c) in HARMFUL for c in shown)
    if width:
        assert cell_width(shown) <= width


def test_a_huge_name_is_cut_before_it_is_read():
    assert len(safe_label("x" * 10_000_000)) < 5000
    assert safe_label("x" * 10_000_000, 5) == "…xxxx"


def test_shorten_keeps_what_is_asked_for():
    assert shorten("encoder.block.attn", 8) == "…ck.attn"
    assert shorten("encoder.block.attn", 8, keep="start") == "encoder…"
    assert shorten("encoder.block.attn", 8, keep="both") == "enc…attn"


@given(st.floats(), st.integers(3, 12), st.booleans())
def test_numbers_fit_and_keep_their_sign(value, width, signed):
    text = number(value, width, signed=signed)
    assert len(text) <= width
    if math.isfinite(value) and value < 0:
        assert text.startswith("-")
    if math.isfinite(value) and "#" not in text and value:
        assert abs(value) > 1e308 or float(text) == pytest.approx(value, rel=0.5)


@pytest.mark.parametrize(
    ("value", "width", "text"),
    [
        (3.98, 8, "3.98"), (0.0, 8, "0"), (-0.0, 8, "0"), (math.nan, 8, "nan"), (-math.inf, 8, "-inf"),
        (0.000123456, 8, "1.235e-4"), (1e-10, 8, "1e-10"), (1234567.0, 8, "1.235e6"), (-0.5, 3, "-.5"),
        (123456.0, 8, "123456"),
    ],
)  # fmt: skip
def test_numbers(value, width, text):
    assert number(value, width) == text


def test_ages_are_no_finer_than_a_minute():
    assert [ago(s) for s in (0, 59, 60, 7199, 7200, 2 * 86400)] == [
        "under a minute", "under a minute", "1 min", "119 min", "2 h", "2 days",
    ]  # fmt: skip
    assert ago(math.nan) == "under a minute"


@given(st.lists(st.tuples(st.text("ab中 ", max_size=6), st.just("dim"))), st.integers(0, 20))
def test_clipped_lines_fit(parts, width):
    assert line_width(clip(line(*parts), width)) <= width


def test_lines():
    assert line("a", ("b", "dim"), "") == (Span("a"), Span("b", "dim"))
    assert plain(clip(line("abc", "def"), 4)) == "abc…"
    assert plain(spread(line("a"), line("b"), 5)) == "a   b"
    assert plain(spread(line("abcd"), line("b"), 5)) == "abcd…"


@pytest.mark.parametrize(
    ("value", "width", "told"),
    [
        (-0.00722, 4, "-.01"), (-0.00722, 5, "-.007"), (-0.0722, 3, "-.1"), (0.0722, 2, ".1"),
        (-0.00722, 3, "-##"), (0.004, 3, "+##"), (0.996, 3, "1"),
    ],
)  # fmt: skip
def test_small_numbers_in_narrow_cells_are_rounded_and_never_zero(value, width, told):
    assert number(value, width) == told
