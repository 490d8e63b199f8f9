"""A word looked for in many texts, against one text after the other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtui.viewmodel.run.texts import Texts

WORDS = st.text(alphabet="aab.7é中\n\ud800", max_size=5)


@given(st.lists(WORDS, max_size=12), WORDS)
def test_a_word_is_found_where_python_finds_it(texts, word):
    found = Texts.of(texts).having(word).tolist()
    plain = [text.replace("\n", " ") for text in texts]
    assert found == [place for place, text in enumerate(plain) if word in text]


def test_case_and_ends():
    texts = Texts.of(["", "Layers.0 Linear", "a"])
    assert texts.having("layers.0 linear").tolist() == [1]
    assert texts.having("a").tolist() == [1, 2]
    assert texts.having("a" * 99).tolist() == []
    assert texts.having("").tolist() == [0, 1, 2]
    assert len(texts) == 3


@pytest.mark.parametrize("word", ["", "a", "\n"])
def test_nothing_is_in_no_texts(word):
    assert Texts.of([]).having(word).tolist() == []
    assert Texts().having(word).tolist() == []
