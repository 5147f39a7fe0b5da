"""Fields: values that are sentences are a second key."""

from __future__ import annotations

import sqlite3
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkv import Database
from qkv.encoders import HashingEncoder
from qkv.errors import InputError
from qkv.fields import value_weight
from qkv.snapshot import Snapshot
from qkv.tables import Tables
from qkv.types import Metric

FAQ = {
    "opening hours": "the museum opens its doors at ten every morning",
    "ticket prices": "children pay half and students bring a card",
    "where to park": "leave your car behind the station",
    "guided tours": "a historian walks with you through the halls",
    "coffee": "cake and espresso are served in the garden",
    "lost things": "ask the porter for umbrellas that were left",
}
PARTS = ("opening", "ticket", "park", "tours", "coffee", "lost")


def related(count: int) -> dict[str, str]:
    """Keys whose values share half of their letters."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghijklmnoprstuvwxyz"), 7)) for _ in range(3 * count)]
    thirds = zip(words[::3], words[1::3], words[2::3], strict=True)
    return {f"{a} {b}": f"{a} and {b} with {c}" for a, b, c in thirds}


class TestReading:
    def test_words_of_the_value_are_found(self):
        db = Database(FAQ | related(40), encoder="hashing", lexicon=None, read_values=True)
        assert db.search("umbrellas left with the porter", k=1)[0].key == "lost things"
        assert db.attend("umbrellas left with the porter").weights[0].key == "lost things"

    def test_without_it_they_are_not(self):
        db = Database(FAQ | related(40), encoder="hashing", lexicon=None, read_values=False)
        assert db.attend("umbrellas left with the porter").weights[0].key != "lost things"

    @pytest.mark.parametrize("value", ["gas station", 12, {"a": "text of more than four words"}])
    def test_labels_and_other_kinds_are_no_second_key(self, value):
        db = Database({"one": value}, encoder="hashing", lexicon=None, read_values=True)
        db.query("something")
        assert db._reader.snapshot().index.dimension == db.dimension

    def test_an_encoder_that_reads_no_language_is_not_asked(self):
        db = Database(FAQ, encoder="hashing", lexicon=None)
        db.query("something")
        assert db._reader.snapshot().index.dimension == db.dimension

    def test_keys_given_as_vectors_of_another_length_have_values_beside_them(self):
        db = Database(encoder="hashing", lexicon=None, read_values=True)
        db.update(FAQ, vectors=np.eye(6))
        db.put("café", "tea is served in the garden, too", vector=np.ones(6))
        assert db.attend(np.eye(6)[2]).value == FAQ["where to park"]

    def test_a_key_written_again_is_known_by_its_new_value(self):
        db = Database(FAQ | related(40), encoder="hashing", lexicon=None, read_values=True)
        db.query("something")
        db["coffee"] = "telescopes can be borrowed from the observatory"
        asked = "telescopes can be borrowed from the observatory"
        assert db.search(asked, k=1)[0].key == "coffee"
        db["coffee"] = "closed"
        assert db.search(asked, k=1)[0].key != "coffee"

    def test_it_is_kept(self, tmp_path):
        path = tmp_path / "faq.qkv"
        more = FAQ | related(40)
        with Database(more, path=path, encoder="hashing", lexicon=None, read_values=True) as db:
            before = db.search("umbrellas left with the porter", k=3)
        with Database(path=path, lexicon=None) as db:
            assert db.search("umbrellas left with the porter", k=3) == before

    def test_an_index_finds_the_same(self):
        records = FAQ | related(2_000)
        flat, clustered = (
            Database(records, encoder="hashing", lexicon=None, read_values=True, index=index)
            for index in ("flat", "clustered")
        )
        clustered.compact()
        assert clustered.index == "clustered"
        for asked in ("umbrellas left with the porter", "a car behind the station"):
            assert flat.search(asked, k=1)[0].key == clustered.search(asked, k=1)[0].key

    def test_what_was_learned_asks_values_too(self):
        records = {
            f"{a} {b}": f"all about {a} is told here" for a in "abcdefgh" for b in "12345678"
        }
        db = Database(records, encoder="hashing", lexicon=None, read_values=True)
        db.learn(keys=True)
        assert db._reader.snapshot().index.dimension == 2 * db.dimension
        assert db.search("c 3 again", k=1)[0].key == "c 3"


class TestSearch:
    @pytest.fixture
    def db(self):
        return Database(FAQ | related(40), encoder="hashing", lexicon=None, read_values=True)

    def test_values_alone_are_compared_by_their_cosine(self, db):
        asked = FAQ["coffee"]
        match = db.search(asked, k=1, in_="values")[0]
        assert match.key == "coffee"
        assert match.score == pytest.approx(1, abs=1e-3)

    def test_keys_alone(self, db):
        match = db.search("coffee", k=1, in_="keys")[0]
        assert (match.key, match.score) == ("coffee", pytest.approx(1, abs=1e-3))
        assert db.search(FAQ["coffee"], k=1, in_="keys")[0].score < 0.5

    def test_a_store_without_sentences_has_none_to_compare(self):
        db = Database({"one": "label"}, encoder="hashing", lexicon=None, read_values=True)
        assert db.search("label", in_="values") == []

    def test_both_are_what_attend_goes_by(self, db):
        asked = "umbrellas left with the porter"
        weights = {w.key: w.score - w.words for w in db.attend(asked).weights}
        scores = {m.key: m.score for m in db.search(asked, k=200)}
        assert weights == pytest.approx({key: scores[key] for key in weights}, abs=1e-5)

    def test_hybrid_looks_where_it_is_told(self, db):
        found = db.search("umbrellas porter", k=3, mode="hybrid", in_="values")
        assert found[0].key == "lost things"


class TestTogether:
    def test_a_question_goes_on_while_another_thread_writes_the_first_sentence(self):
        class Meanwhile(HashingEncoder):
            asked = False

            def encode_queries(self, texts):
                if self.asked:
                    self.asked = False
                    other = threading.Thread(target=write)
                    other.start()
                    other.join()
                return self.encode(texts)

        def write():
            db["lost things"] = FAQ["lost things"]
            db.query("umbrellas")

        encoder = Meanwhile()
        db = Database({"coffee": "garden"}, encoder=encoder, lexicon=None, read_values=True)
        db.query("umbrellas")
        encoder.asked = True
        assert db.attend("some coffee").value == "garden"
        assert db.search("umbrellas with the porter", k=1)[0].key == "lost things"


class TestAgreement:
    def test_a_file_holds_to_what_it_was_begun_with(self, tmp_path):
        path = tmp_path / "faq.qkv"
        Database(FAQ, path=path, encoder="hashing", read_values=True).close()
        with pytest.raises(InputError, match="read_values=True"):
            Database(path=path, read_values=False)
        with Database(path=path) as db:
            assert db._space.reads_values

    @pytest.mark.parametrize(
        "options", [{"encoder": None}, {"encoder": "hashing", "metric": "dot"}]
    )
    def test_it_needs_an_encoder_and_the_cosine(self, options):
        with pytest.raises(InputError, match="needs an encoder"):
            Database(read_values=True, **options)

    def test_it_is_a_switch(self):
        with pytest.raises(InputError, match="True, False or 'auto'"):
            Database(read_values="yes")  # type: ignore[arg-type]

    def test_a_file_of_before_reads_keys_alone(self, tmp_path):
        path = tmp_path / "old.qkv"
        Database(FAQ, path=path, encoder="glove").close()
        with sqlite3.connect(path) as file:
            file.execute("ALTER TABLE vectors DROP COLUMN of_value")
            file.execute("DELETE FROM settings WHERE name IN ('values', 'precision')")
            file.execute("PRAGMA user_version = 5")
        file.close()
        with Database(path=path) as db:
            assert not db._space.reads_values
            db["new"] = "a text of more than four words"
            assert db.search("museum", k=1)

    def test_a_small_store_answers_alike_after_it_is_opened_again(self, tmp_path):
        path = tmp_path / "faq.qkv"
        with Database(FAQ, path=path, encoder="hashing", lexicon=None, read_values=True) as db:
            db.query("umbrellas")
            db["lost things"] = "we say nothing of these any more"
            before = [weight.score for weight in db.attend("lost umbrellas").weights]
        with Database(path=path, lexicon=None) as db:
            after = [weight.score for weight in db.attend("lost umbrellas").weights]
        np.testing.assert_allclose(before, after, atol=1e-6)


class TestWeight:
    @staticmethod
    def weight(records: dict[str, str]) -> float:
        db = Database(records, encoder="hashing", lexicon=None, read_values=True)
        snapshot = db._reader.snapshot()
        weight = value_weight(
            snapshot, lambda rows: snapshot.index.vectors(rows)[:, : db.dimension]
        )
        return weight.scores

    def test_values_that_keys_find_count(self):
        assert 0.2 < self.weight(related(100)) < 1

    @pytest.mark.parametrize("seed", range(5))
    def test_shuffled_values_do_not(self, seed):
        records = related(100)
        values = np.random.default_rng(seed).permutation(list(records.values())).tolist()
        assert self.weight(dict(zip(records, values, strict=True))) < 0.02

    def test_labels_do_not_however_long(self):
        labels = ["card arrives late or never", "money is gone from it", "pin was forgotten again"]
        words = [
            "red",
            "green",
            "blue",
            "white",
            "black",
            "grey",
            "pink",
            "brown",
            "gold",
            "silver",
        ]
        assert self.weight({f"{label} {word}": label for label in labels for word in words}) == 0

    def test_a_single_record_proves_nothing(self):
        assert self.weight({"a b": "a and b and c and d"}) == 0


KEYS = st.sampled_from("abcd")
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "label", "pop", "read"]), KEYS, st.integers(0, 3)),
    max_size=20,
)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_catching_up_equals_reading_anew(steps):
    tables = Tables(None)
    centre = np.full(2, 0.25, dtype=np.float32)
    snapshot = Snapshot.blank()
    for number, (step, key, value) in enumerate(steps):
        if step == "read":
            snapshot = snapshot.advance(tables, Metric.COSINE, centre=centre)
        elif step == "pop":
            tables.pop(key)
        else:
            vector = np.array([number + 1, value], dtype="<f4").tobytes()
            kept = None if tables.known([key]) else vector
            said = [vector if step == "put" else None]
            tables.put([key], [("text", f"{value}")], [kept], lambda _: [], of_values=said)
    found, anew = (
        start.advance(tables, Metric.COSINE, centre=centre)
        for start in (snapshot, Snapshot.blank())
    )
    contents = []
    for one in (found, anew):
        rows = one.index.live(np.arange(len(one.index)))
        vectors = one.index.vectors(rows).round(4).tolist() if len(rows) else []
        contents.append(dict(zip(one.records[rows].tolist(), vectors, strict=True)))
    assert contents[0] == contents[1]
    tables.close()


def test_keys_of_the_default_encoder_are_kept_in_half_precision(tmp_path):
    class Half(HashingEncoder):
        precision = "<f2"

    db = Database(FAQ, path=tmp_path / "half.qkv", encoder=Half(), lexicon=None)
    exact = Half().encode(["coffee"])[0]
    assert 0 < np.abs(db.vector("coffee") - exact).max() < 1e-3
    (size,) = db._tables.one("SELECT max(length(vector)) FROM vectors")
    assert size == 2 * db.dimension
    db.feedback("a cup of coffee", good="coffee")
    assert db.attend("a cup of coffee").value == FAQ["coffee"]
    db.close()
