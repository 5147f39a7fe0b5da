"""Languages: stop words of closed classes, and stems."""

from __future__ import annotations

import pytest

from qkv.errors import InputError
from qkv.languages import LANGUAGES, stems, stop_words


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_words_and_stems(language: str) -> None:
    words = stop_words(language)
    assert len(words) > 60
    assert len(set(words)) == len(words)
    assert len(stems(language)(list(words))) == len(words)


def test_nouns_are_not_stop_words() -> None:
    assert not {"world", "cup", "system", "computer", "life", "man"} & set(stop_words("en"))


@pytest.mark.parametrize(
    ("language", "forms"),
    [
        ("en", ["cups", "cup"]),
        ("de", ["katzen", "katze"]),
        ("es", ["gatos", "gato"]),
        ("fr", ["chats", "chat"]),
        ("it", ["gatti", "gatto"]),
        ("nl", ["katten", "kat"]),
        ("pl", ["kotami", "kotem"]),
        ("pt", ["gatos", "gato"]),
        ("ru", ["кошками", "кошка"]),
        ("tr", ["kediler", "kedi"]),
    ],
)
def test_forms_of_a_word_have_one_stem(language: str, forms: list[str]) -> None:
    assert len(set(stems(language)(forms))) == 1


@pytest.mark.parametrize("language", ["xx", "english", "", None, ["en"]])
def test_an_unknown_language_is_told(language: str) -> None:
    with pytest.raises(InputError, match="languages of keyword search are 'ar', 'de', 'en'"):
        stop_words(language)
