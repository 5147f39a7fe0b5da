"""Words: the same tokens for the same text, in any script, and nothing is an operator."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkv.words import hits, query_tokens, tokenize, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The world-cup, in CAFÉS!", ["the", "world", "cup", "in", "cafes"]),
        ("don't", ["don", "t"]),
        ("snake_case", ["snake", "case"]),
        ("Straße ﬁne Ⅷ ①", ["strasse", "fine", "viii", "1"]),
        ("Москва́", ["москва"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("كأس العالم", ["كأس", "العالم"]),
        ("🎉 party", ["🎉", "party"]),
        ("世界杯2022", ["世", "世界", "界", "界杯", "杯", "2022"]),
        ("ｶﾀ カタ", ["カ", "カタ", "タ", "カ", "カタ", "タ"]),
        ('"a" OR (b* AND NOT c:d) ^e', ["a", "or", "b", "and", "not", "c", "d", "e"]),
        ("", []),
        ("\x00\ud800 …", []),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("世界杯", ["世界", "界杯"]),
        ("猫", ["猫"]),
        ("カップ", ["カッ", "ップ"]),
        ("한국어", ["한국", "국어"]),
        ("ไทยแลนด์", ["ไทย", "ทยแ", "ยแล", "แลน", "ลนด", "นด์"]),
        ("world cup", ["world", "cup"]),
    ],
)
def test_a_query_asks_for_the_longest_pieces(text: str, expected: list[str]) -> None:
    assert query_tokens(text) == expected


@given(st.text(max_size=80))
def test_whatever_a_query_asks_for_is_found_in_the_same_text(text: str) -> None:
    assert set(query_tokens(text)) <= set(tokens(text))


@given(st.text(max_size=80), st.text(max_size=20), st.text(max_size=20))
def test_spaces_around_change_nothing(text: str, before: str, after: str) -> None:
    inside = tokens(text)
    assert tokens(f"{before} {text} {after}")[len(tokens(before)) :][: len(inside)] == inside


@given(st.text(max_size=80))
def test_a_token_stands_where_it_says(text: str) -> None:
    last = 0
    for token in tokenize(text):
        assert 0 <= last <= token.start < token.end <= len(text)
        assert token.text == next(iter(tokens(text[token.start : token.end])), None) or any(
            token.text == one.text for one in tokenize(text[token.start : token.end])
        )
        last = token.start


@given(st.text(max_size=60))
def test_sqlite_keeps_tokens_as_they_are(text: str) -> None:
    expected = sorted(set(tokens(text)))
    file = sqlite3.connect(":memory:")
    file.execute("CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = 'ascii')")
    file.execute("CREATE VIRTUAL TABLE vocabulary USING fts5vocab (words, row)")
    file.execute("INSERT INTO words VALUES (?)", (" ".join(tokens(text)),))
    assert sorted(t for (t,) in file.execute("SELECT term FROM vocabulary")) == expected
    file.close()


def test_long_words_are_cut_alike_everywhere() -> None:
    assert tokens("x" * 500) == query_tokens("x" * 999) == ["x" * 64]
    assert tokens("é" * 500) == query_tokens("é" * 999) == ["e" * 64]


def test_hits_join_pieces_that_overlap() -> None:
    assert hits("我们在世界杯决赛", {"世界", "界杯"}) == [(3, 6)]
    assert hits("cup and CUP", {"cup"}) == [(0, 3), (8, 11)]
    assert hits("nothing", {"cup"}) == []
