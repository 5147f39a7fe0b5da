"""Hearing: slips in questions are read by the words of the store."""

from __future__ import annotations

import pytest

from qkv import Database, Origin
from qkv import hearing as module

PHONES = {
    "alice nguyen": "555 0101",
    "bob martin": "555 0102",
    "carol fernandez": "555 0103",
    "david okonkwo": "555 0104",
}


@pytest.fixture
def db() -> Database:
    return Database(PHONES, encoder="glove+use", lexicon=None)


class TestQuestions:
    @pytest.mark.parametrize(
        ("asked", "written", "read", "value"),
        [
            ("what is alice nguyan's number", "nguyan", "nguyen", "555 0101"),
            ("call carol fernadez please", "fernadez", "fernandez", "555 0103"),
            ("number of David Okonkwp", "Okonkwp", "Okonkwo", "555 0104"),
        ],
    )
    def test_a_slip_in_a_name(self, db, asked, written, read, value):
        answer = db.attend(asked)
        assert answer.value == value
        assert answer.mended == ((written, read),)
        assert answer.query == asked
        assert f"read as: {written!r} as {read!r}" in answer.explain()

    @pytest.mark.parametrize(
        "asked",
        ["WHAT IS BOB MARTIN'S NUMBER", "ｂｏｂ ｍａｒｔｉｎ", "bob mar\u00adtin", "bob maaaartin"],
    )
    def test_case_and_form(self, db, asked):
        assert db.attend(asked).value == "555 0102"

    def test_a_key_is_found_as_it_is_written(self, db):
        db["alice nguyan"] = "555 0199"
        answer = db.attend("alice nguyan")
        assert (answer.origin, answer.value, answer.mended) == (Origin.EXACT, "555 0199", ())

    def test_a_new_word_is_known_at_once(self, db):
        assert db.attend("call nguyan").mended
        db["bob nguyan"] = "555 0199"
        assert db.attend("call nguyan").mended == ()

    def test_a_word_that_is_gone_is_no_more(self, db):
        assert db.attend("call fernadez now").mended
        del db["carol fernandez"]
        assert ("fernadez", "fernandez") not in db.attend("call fernadez now").mended

    def test_a_word_that_was_overwritten_is_no_more(self, db):
        db["office"] = "ask for zebediah at the desk"
        assert db.attend("where is zebediahh").mended == (("zebediahh", "zebediah"),)
        db["office"] = "closed"
        assert ("zebediahh", "zebediah") not in db.attend("where is zebediahh").mended

    def test_a_correction_is_of_the_question_as_it_is_heard(self, db):
        db.feedback("ring alice nguyan", good="bob martin")
        assert db.attend("ring alice nguyan").value == "555 0102"
        assert db.attend("ring alice nguyen").weights[0].key == "ring alice nguyan"

    def test_left_out_a_record_is_not_read_into_the_question(self, db):
        answer = db.attend("alice nguyan")
        assert answer.value == "555 0101"
        assert answer.again("alice nguyen").value != "555 0101"

    def test_search_by_meaning_hears_and_by_words_does_not(self, db):
        assert db.search("nguyan", k=1)[0].key == "alice nguyen"
        assert db.search("nguyan", k=1, mode="hybrid")[0].why["keyword"].rank == 1
        assert db.search("nguyan", mode="keyword") == []

    def test_a_vector_is_not_read(self, db):
        assert db.attend(db.vector("bob martin")).mended == ()


class TestLargeStores:
    def test_words_are_counted_in_the_background(self, db, monkeypatch):
        monkeypatch.setattr(module, "AT_ONCE", 2)
        fresh = Database(PHONES, encoder="glove+use", lexicon=None)
        hearing = fresh._reader.lexical.hearing
        assert hearing.read(["call nguyan"])[0].text == "call nguyan"
        hearing._running.join()
        assert hearing.read(["call nguyan"])[0].text == "call nguyen"

    def test_what_is_written_since_is_added(self, monkeypatch):
        monkeypatch.setattr(module, "_FEW", 2)
        db = Database(PHONES | {f"person {i}": str(i) for i in range(40)}, encoder="glove+use")
        db.attend("call nguyan")
        vocabulary = db._reader.lexical.hearing._vocabulary
        db["greta thunberg"] = "555 0105"
        del db["person 3"]
        assert db.attend("call thunburg").mended == (("thunburg", "thunberg"),)
        assert db._reader.lexical.hearing._vocabulary is vocabulary


def test_an_encoder_that_reads_no_language_hears_as_written():
    db = Database(PHONES, encoder="hashing", lexicon=None)
    assert db.attend("what is alice nguyan's number").mended == ()
