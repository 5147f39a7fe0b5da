"""Words as a head of attention: rare words of the store count beside meaning."""

from __future__ import annotations

import sqlite3
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkv import Database
from qkv.encoders import HashingEncoder
from qkv.lexical import KEYS
from qkv.words import content_tokens, query_tokens


class Reading(HashingEncoder):
    """Letters, as if they were language: quick, and it knows nothing of meaning."""

    reads_language = True
    fingerprint = "hashing that reads"

    def __init__(self, dimension: int = 64) -> None:
        super().__init__(dimension)


def store(records, **options) -> Database:
    return Database(records, encoder=Reading(), lexicon=None, **options)


WORDS = ["red", "blue", "green", "apple", "car", "whale", "e1042", "pie"]
CODES = {f"fault E{code} of the pump": f"change part {code}" for code in range(1000, 1200)}


class TestRareWords:
    @pytest.mark.parametrize(
        "asked", ["E1042", "what about e1042", "E1042?", "the pump says E1042"]
    )
    def test_a_code_finds_its_record(self, asked):
        weight = store(CODES, read_values=False).attend(asked).weights[0]
        assert weight.key == "fault E1042 of the pump"
        assert weight.words > 0

    def test_through_an_index_as_well(self):
        many = {f"fault E{code} of the pump": code % 50 for code in range(1000, 6000)}
        db = store(many, index="clustered")
        db.compact()
        assert db.index == "clustered"
        assert db.attend("what about E1042").weights[0].key == "fault E1042 of the pump"

    def test_what_meaning_does_not_find_words_do(self):
        # More records that sound alike than are looked at by meaning.
        class Apart(Reading):
            def encode(self, texts):
                rows = super().encode(["the same"] * len(texts))
                rows[["zephyr" in text for text in texts]] *= 0.998
                return rows

            def encode_queries(self, texts):
                return super().encode(["the same"] * len(texts))

        records = {f"number {i}": i for i in range(300)} | {"zephyr": "found"}
        db = Database(records, encoder=Apart(), lexicon=None)
        assert "zephyr" not in [match.key for match in db.search("a zephyr", k=100)]
        assert db.attend("a zephyr").weights[0].key == "zephyr"

    def test_words_of_values_count_where_values_do(self):
        keys = {
            f"topic {i} of {i * 7}": f"topic {i} of {i * 7} is told by zephyr{i}" for i in range(60)
        }
        answer = store(keys, read_values=True).attend("zephyr41")
        assert answer.weights[0].key == "topic 41 of 287"

    def test_a_filter_holds(self):
        db = store({})
        for i, key in enumerate(("red e1042", "blue", "green")):
            db.put(key, i, metadata={"n": i})
        found = db.attend("e1042", where="n > 0")
        assert [weight.key for weight in found.weights if "e1042" in weight.key] == []

    def test_a_record_left_out_is_not_proposed(self):
        db = store(CODES)
        answer = db.attend("what about E1042")
        assert answer.again is not None
        assert "fault E1042 of the pump" not in [
            w.key for w in answer.again("fault E1042 of the pump").weights
        ]

    def test_it_is_told(self):
        explained = store(CODES, read_values=False).attend("what about E1042").explain()
        assert "of it by words)" in explained


class TestWhoListens:
    def test_an_encoder_that_reads_no_language_hears_no_words(self):
        db = Database(CODES, encoder="hashing", lexicon=None)
        assert all(weight.words == 0 for weight in db.attend("what about E1042").weights)

    def test_a_file_of_before_hears_none(self, tmp_path):
        path = tmp_path / "old.qkv"
        Database(CODES, path=path, encoder="glove").close()
        with sqlite3.connect(path) as file:
            file.execute("ALTER TABLE vectors DROP COLUMN of_value")
            file.execute("DELETE FROM settings WHERE name IN ('values', 'valued', 'precision')")
            file.execute("PRAGMA user_version = 5")
        file.close()
        with Database(path=path, lexicon=None) as db:
            answer = db.attend("what about E1042 pumps")
            assert all(weight.words == 0 for weight in answer.weights)
            assert db.attend("fautl of the pump").mended == ()

    def test_a_vector_has_no_words(self):
        db = store(CODES)
        answer = db.attend(db.vector("fault E1042 of the pump"))
        assert all(weight.words == 0 for weight in answer.weights)

    def test_reading_writes_nothing(self, tmp_path):
        with store(CODES, path=tmp_path / "codes.qkv") as db:
            before = db._tables.one("SELECT count(*) FROM sqlite_master"), db._tables.version()
            db.attend("what about E1042")
            db.clear()
            db["one"] = 1
            db.attend("what about one")
            db.attend(["two", "three"])
            assert db._tables.one("SELECT count(*) FROM sqlite_master") == before[0]
            assert db._tables.version() == before[1] + 2

    def test_a_writer_elsewhere_is_not_waited_for(self, tmp_path):
        path = tmp_path / "codes.qkv"
        store(CODES, path=path).close()
        with sqlite3.connect(path, isolation_level=None) as other:
            for name in ("postings", "vocabulary", "words"):
                other.execute(f"DROP TABLE {name}")
            other.execute("UPDATE clock SET words = 0")
            db = Database(path=path, encoder=Reading(), lexicon=None, timeout=0.05)
            other.execute("BEGIN IMMEDIATE")
            assert db.attend("the pump says E1042").weights
            other.execute("ROLLBACK")
            assert db.attend("the pump says E1042").weights[0].words > 0
            db.close()


@given(
    st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4), min_size=2, max_size=12),
    st.lists(st.sampled_from([*WORDS, "unheard"]), min_size=1, max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_what_words_add_is_the_formula_written_out(texts, asked):
    keys = list(dict.fromkeys(" ".join(words) for words in texts))
    db = store(dict.fromkeys(keys, "x"))
    query = " ".join(asked)
    if query in keys or len(keys) < 2:
        return
    held = [Counter(query_tokens(key)) for key in keys]
    lengths = [count.total() for count in held]
    mean, n = np.mean(lengths), len(keys)
    found = dict.fromkeys(keys, 0.0)
    rarity = known = 0.0
    for word, times in Counter(content_tokens(query)).items():
        df = sum(word in count for count in held)
        idf = np.log1p((n - df + 0.5) / (df + 0.5))
        rarity += times * idf
        known += times * idf * (df > 0)
        for key, count, length in zip(keys, held, lengths, strict=True):
            tf = count[word]
            found[key] += times * idf * 2.2 * tf / (tf + 1.2 * (0.25 + 0.75 * length / mean))
    spread = db._reader.lexical.spread(db._reader.snapshot())
    scale = KEYS * spread.deviation * (known / rarity) / np.sqrt(rarity)
    answer = db.attend(query)
    assert answer.mended == ()
    for weight in answer.weights:
        assert weight.words == pytest.approx(scale * found[weight.key], rel=1e-4, abs=1e-6)
    assert sum(w.weight for w in answer.weights) + answer.rest + answer.null == pytest.approx(1)


def test_a_batch_is_answered_as_its_questions_alone():
    db = store(CODES)
    asked = ["what about E1042", "the pump", "zzz", "E1100 or E1101"]
    for one, alone in zip(db.attend(asked), map(db.attend, asked), strict=True):
        assert [w.key for w in one.weights[:2]] == [w.key for w in alone.weights[:2]]
        assert [w.words for w in one.weights[:2]] == pytest.approx(
            [w.words for w in alone.weights[:2]]
        )


def test_given_questions_are_heard_as_they_are_asked():
    records = {f"fault E{code} of the pump": f"part {code}" for code in range(1000, 1060)}
    db = store(records)
    given = [(f"what about E{code}", f"fault E{code} of the pump") for code in range(1000, 1030)]
    given += [(f"what about X{code}", None) for code in range(2000, 2030)]
    db.calibrate(questions=given)
    assert db.attend("what about E1050").value == "part 1050"
    assert db.attend("what about E1050").confidence > 0.5
