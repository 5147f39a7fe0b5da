"""Sentences of any text in any script, and the one that answers best."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qkv.encoders import HashingEncoder, resolve
from qkv.errors import TextError
from qkv.passages import LONGEST, Passage, best_sentences, sentences


def cut(text):
    return [text[start:end] for start, end in sentences(text)]


SIGNS = [
    *" \n\t\r.!?…。！？।؟;\"'”»«()[]1IaбA中字กข\u2028\u3000\ud800\U0001f600",
    "Dr",
    "z. B",
    "\n\n",
]


@given(st.one_of(st.text(), st.lists(st.sampled_from(SIGNS), max_size=200).map("".join)))
@example("\ud800. A")
@example("ก" * 80 + " " + "ก" * 80 + " .")
@example("a" + " " * 2 * LONGEST + "b" * 2 * LONGEST)
def test_sentences_hold_every_character_that_is_not_white_space(text):
    spans = sentences(text)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(edges)
    inside = "".join(text[start:end] for start, end in spans)
    assert "".join(inside.split()) == "".join(text.split())
    assert all(text[start:end] == text[start:end].strip() for start, end in spans)
    assert all(end - start <= LONGEST for start, end in spans)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("ar", "ما هذا؟|لا أعرف.|نعم!"),
        ("de", "Am 3. Oktober kam z. B. Hr. Meier.|Im 19. Jahrhundert war das so.|Wirklich?|Ja."),
        ("de", "Das kostet ca. 5 Mio. Euro.|Er rief: „Komm!“|Sie kam."),
        ("el", "Τι είναι;|Δεν ξέρω.|Ναι."),
        (
            "en",
            "Dr. J. R. Lee paid $3.50 at 5 p.m.|The U.S. Senate met.|See fig. 3, e.g. here.|No.",
        ),
        ("en", "“Why?” he asked… and left.|She stayed!|Visit a.b.org/c.html?x=1 now.|OK?!|Yes."),
        (
            "en",
            "It rose in 1999.|Then it fell.[12]|He said no.|They (we) agreed.|Vitamin C.|The end.",
        ),
        ("es", "¿Quién vino?|¡Nadie!|El Sr. Díaz vive en EE. UU. desde 1990.|Trabaja allí."),
        ("fr", "« Viens. »|Il partit !|M. Dupont aussi.|Pourquoi ?"),
        ("hi", "यह क्या है?|मुझे नहीं पता।|हाँ।"),
        ("it", "Il sig. Rossi arrivò.|Perché?|Non so."),
        ("ja", "「元気。」と言った。|本当？|3．5キロです。"),
        ("ko", "그는 갔다.|볼 것.|다음은 무엇입니까?|네."),
        ("nl", "Dhr. Jansen kwam bijv. gisteren.|Waarom?|Geen idee."),
        ("pl", "Prof. Nowak mieszka przy ul. Długiej.|Dlaczego?|Nie wiem."),
        ("pt", "O Sr. Silva chegou.|Por quê?|Não sei."),
        ("ru", "В 1999 г. он жил на ул. Ленина.|Т.е. так.|Почему?|Не знаю."),
        ("tr", "Dr. Yılmaz 19. yüzyılda yaşadı.|Neden?|Bilmiyorum."),
        ("vi", "Ông Nguyễn đã đến.|Tại sao?|Không biết."),
        ("zh", "他说：“你好！”|我不知道。|真的吗？|2022年……"),
    ],
)
def test_a_sentence_ends_where_a_reader_ends_it(language, text):
    parts = text.split("|")
    between = "" if language in {"ja", "zh"} else " "
    assert cut(between.join(parts)) == parts


def test_thai_is_cut_at_spaces_into_pieces_that_are_not_too_short():
    clause = "นี่คือประโยคภาษาไทยที่ยาวพอสมควร"
    pieces = cut(" ".join([clause] * 6))
    assert len(pieces) == 3
    assert all(piece == f"{clause} {clause}" for piece in pieces)


def test_lines_end_sentences_unless_they_are_wrapped():
    heading = "A heading\nThen text.\n- one\n- two\n1. First\n2. Second\n\nLast"
    assert cut(heading) == [
        "A heading",
        "Then text.",
        "- one",
        "- two",
        "1. First",
        "2. Second",
        "Last",
    ]
    wrapped = "A line that is quite long, as long as those of a letter,\nand goes on here. It ends."
    assert cut(wrapped) == [wrapped[:-9], "It ends."]


def test_a_text_without_capitals_is_cut_too():
    assert cut("hello there. how are you? fine") == ["hello there.", "how are you?", "fine"]
    assert cut("The Yahoo! site is old") == ["The Yahoo! site is old"]


def test_lone_signs_go_to_the_sentence_before():
    assert cut("It grew. … Then it fell.") == ["It grew. …", "Then it fell."]


@pytest.mark.parametrize("text", ["", " \n\t", "\u2028"])
def test_nothing_to_read_gives_no_sentence(text):
    assert sentences(text) == []


@pytest.mark.parametrize("unit", ["a", " ", ". ", "A. ", '."', "a\n", "ก ", "。", "Mr. Lee left. "])
def test_the_time_is_linear(unit):
    def seconds(size):
        text = unit * (size // len(unit))
        start = time.perf_counter()
        sentences(text)
        return time.perf_counter() - start

    seconds(1000)
    small = min(seconds(50_000) for _ in range(3))
    # Ten times the text; a quadratic way would take a hundred times as long.
    assert seconds(500_000) < 40 * small + 0.1


TEXT = "The pitch was dry. It began to rain at noon. Nobody had brought an umbrella."


def found(text, passage):
    return text[passage.start : passage.end]


def test_the_best_sentence_is_found_by_meaning():
    text = "Prices rose again. A feline slept in the sun. The minister resigned."
    (passage,) = best_sentences(resolve("use"), "Where was the cat?", [text])
    assert found(text, passage) == "A feline slept in the sun."


def test_the_best_sentence_is_found_in_another_language():
    text = "Der Himmel ist blau. Der Hund schläft. Das Auto ist kaputt."
    (passage,) = best_sentences(resolve("use"), "What is the dog doing?", [text])
    assert found(text, passage) == "Der Hund schläft."


def test_each_text_has_its_own():
    texts = [TEXT, "", " \n", "Rain is water. Snow is white.", TEXT]
    first, *empty, other, last = best_sentences(resolve("hashing"), "When did it rain?", texts)
    assert found(TEXT, first) == "It began to rain at noon."
    assert empty == [None, None]
    assert found(texts[3], other) == "Rain is water."
    assert last == first
    assert best_sentences(resolve("hashing"), "rain", []) == []
    assert best_sentences(resolve("hashing"), "rain", [""]) == [None]


class Blind:
    """Understands nothing: words alone decide."""

    def encode(self, texts):
        return np.zeros((len(texts), 2), dtype=np.float32)


class Counting(Blind):
    """Notes what it is asked to encode."""

    def __init__(self):
        self.seen = []

    def encode(self, texts):
        self.seen += texts
        return np.ones((len(texts), 2), dtype=np.float32)


def test_rare_words_count_more_than_common_ones():
    text = "A cup of tea. A cup of gold. The world of gold."
    (passage,) = best_sentences(Blind(), "a gold cup of the world", [text])
    assert found(text, passage) == "The world of gold."
    (passage,) = best_sentences(Blind(), "a gold cup of the land", [text])
    assert found(text, passage) == "A cup of gold."


def test_stop_words_do_not_count():
    text = "Where was the gate? A cat slept."
    (passage,) = best_sentences(Blind(), "Where was the cat?", [text])
    assert found(text, passage) == "A cat slept."


def test_endings_make_no_difference_to_words():
    text = "Nobody came. He celebrates his birthday."
    (passage,) = best_sentences(Blind(), "Who was celebrating?", [text])
    assert found(text, passage) == "He celebrates his birthday."


def test_each_sentence_is_encoded_once_and_scores_are_the_mean_of_both_parts():
    counting = Counting()
    passages = best_sentences(counting, "Ox bat.", ["Ox bat. Cow dog.", "Ox bat."])
    assert sorted(counting.seen) == [
        "Cow dog.",
        "Ox bat.",
        "Ox bat.",
    ]  # the query, and two sentences
    assert passages == [Passage(0, 7, pytest.approx(1)), Passage(0, 7, pytest.approx(1))]


@pytest.mark.parametrize("query", ["", "  ", "\ud800"])
def test_a_query_needs_something_to_read(query):
    with pytest.raises(TextError):
        best_sentences(Blind(), query, [TEXT])


def test_of_a_long_text_only_the_promising_sentences_are_encoded():
    class Counting(HashingEncoder):
        seen = 0

        def encode(self, texts):
            self.seen += len(texts)
            return super().encode(texts)

    encoder = Counting()
    filler = " ".join(f"Nothing happened on day {i}." for i in range(1000))
    text = f"{filler} It began to rain at noon. {filler}"
    (passage,) = best_sentences(encoder, "When did the rain begin?", [text])
    assert found(text, passage) == "It began to rain at noon."
    assert encoder.seen <= 201
