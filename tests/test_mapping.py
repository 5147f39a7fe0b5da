"""Database as a dict: what holds for `dict` holds for a store, in memory and in a file."""

from __future__ import annotations

import itertools
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from qkv import Database, Origin
from qkv.encoders import HashingEncoder

try:
    from test import mapping_tests
except ImportError:  # some distributions leave CPython's own tests out
    mapping_tests = None

# ── random steps against dict ────────────────────────────────────────────────────────────────

# A small pool, so that steps meet the same keys again; the two spellings of é are two keys.
POOL = ["cat", "Cat", "dog", "one", "caf\u00e9", "cafe\u0301", "日本", "a\0b", "a", "x y", "🐈"]
KEYS = st.sampled_from(POOL) | st.text(min_size=1, max_size=8).filter(lambda t: not t.isspace())
NAMES = st.sampled_from(["cat", "dog", "one", "a", "records", "self", "key", "path"])
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
)
VALUES = st.sampled_from(["animal", "number", 1, 2.5]) | st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
PAIRS = st.lists(st.tuples(KEYS, VALUES), max_size=6)
QUESTIONS = ("a cat sat here", "catalogue", "日本語", "0")


def same(store: Database, expected: dict) -> None:
    """Equal in keys, order, values and their types: repr tells 1 from True, and 0.0 from -0.0."""
    assert repr(list(store.items())) == repr(list(expected.items()))


class AgainstDict(RuleBasedStateMachine):
    """Each rule does one thing to a store and to a dict, and compares what comes back."""

    in_file = False

    @initialize(pairs=PAIRS)
    def begin(self, pairs):
        self.folder = tempfile.TemporaryDirectory() if self.in_file else None
        self.model = dict(pairs)
        self.db = self.open(pairs)

    def open(self, records=None):
        path = Path(self.folder.name) / "store.qkv" if self.folder else None
        return Database(records, path=path, encoder="hashing", lexicon=None, imagination=0)

    def teardown(self):
        if not hasattr(self, "db"):
            return
        try:
            self.agree_on_attention(QUESTIONS[0])
        finally:
            self.db.close()
            if self.folder:
                self.folder.cleanup()

    # writing

    @rule(key=KEYS, value=VALUES)
    def set(self, key, value):
        self.db[key] = value
        self.model[key] = value

    @rule(key=KEYS, value=VALUES)
    def put(self, key, value):
        self.db.put(key, value)
        self.model[key] = value

    @rule(key=KEYS)
    def delete(self, key):
        if key in self.model:
            del self.db[key]
            del self.model[key]
        else:
            with pytest.raises(KeyError) as caught:
                del self.db[key]
            assert caught.value.args == (key,)

    @rule(key=KEYS)
    def pop(self, key):
        if key in self.model:
            assert repr(self.db.pop(key)) == repr(self.model.pop(key))
        else:
            with pytest.raises(KeyError) as caught:
                self.db.pop(key)
            assert caught.value.args == (key,)

    @rule(key=KEYS, default=st.none() | st.tuples(st.integers()))
    def pop_with_default(self, key, default):
        assert repr(self.db.pop(key, default)) == repr(self.model.pop(key, default))

    @rule()
    def popitem(self):
        if self.model:
            assert repr(self.db.popitem()) == repr(self.model.popitem())
        else:
            with pytest.raises(KeyError):
                self.db.popitem()

    @rule(key=KEYS, value=VALUES)
    def setdefault(self, key, value):
        assert repr(self.db.setdefault(key, value)) == repr(self.model.setdefault(key, value))

    @rule(pairs=PAIRS, more=st.dictionaries(NAMES, VALUES, max_size=3))
    def update_with_pairs(self, pairs, more):
        self.db.update(iter(pairs), **more)
        self.model.update(pairs, **more)

    @rule(pairs=PAIRS, more=st.dictionaries(NAMES, VALUES, max_size=3))
    def update_with_mapping(self, pairs, more):
        self.db.update(dict(pairs), **more)
        self.model.update(dict(pairs), **more)

    @rule(pairs=PAIRS, as_mapping=st.booleans())
    def update_in_place(self, pairs, as_mapping):
        before = self.db
        self.db |= dict(pairs) if as_mapping else pairs
        self.model |= pairs
        assert self.db is before

    @rule()
    def clear(self):
        self.db.clear()
        self.model.clear()

    @precondition(lambda self: self.in_file)
    @rule()
    def reopen(self):
        self.db.close()
        self.db = self.open()

    # reading

    @rule(key=KEYS, default=VALUES)
    def get(self, key, default):
        assert repr(self.db.get(key)) == repr(self.model.get(key))
        assert repr(self.db.get(key, default)) == repr(self.model.get(key, default))
        if key in self.model:
            assert repr(self.db[key]) == repr(self.model[key])
        else:
            with pytest.raises(KeyError) as caught:
                self.db[key]
            assert caught.value.args == (key,)

    @rule(key=KEYS)
    def contains(self, key):
        assert (key in self.db) is (key in self.model)
        assert (key in self.db.keys()) is (key in self.model)  # noqa: SIM118

    @rule(pairs=PAIRS)
    def union(self, pairs):
        other = dict(pairs)
        for mine, expected in (
            (self.db | other, self.model | other),
            (other | self.db, other | self.model),
        ):
            assert type(mine) is dict
            assert repr(mine) == repr(expected)

    @rule(key=KEYS, value=VALUES)
    def compare(self, key, value):
        assert self.db == self.model
        assert self.model == self.db
        assert (self.db != self.model) is False
        other = self.model | {key: value}
        assert (self.db == other) is (self.model == other)
        fewer = dict(itertools.islice(self.model.items(), 1, None))
        assert (self.db == fewer) is (self.model == fewer)

    @rule(pairs=PAIRS)
    def views(self, pairs):
        others = dict(pairs).keys()
        assert self.db.keys() & others == self.model.keys() & others
        assert self.db.keys() | others == self.model.keys() | others
        assert self.db.keys() - others == self.model.keys() - others
        assert len(self.db.items()) == len(self.db.values()) == len(self.model)
        for key, value in self.model.items():
            assert (key, value) in self.db.items()
            assert value in self.db.values()
        assert ("cat", object()) not in self.db.items()

    @invariant()
    def agree(self):
        if not hasattr(self, "db"):
            return
        same(self.db, self.model)
        assert len(self.db) == len(self.model)
        assert bool(self.db) is bool(self.model)
        assert list(self.db) == list(self.db.keys()) == list(self.model)
        assert list(reversed(self.db)) == list(reversed(self.model))
        assert repr(list(self.db.values())) == repr(list(self.model.values()))

    @rule(question=st.sampled_from(QUESTIONS))
    def agree_on_attention(self, question):
        """What is live in the dict is what attention looks at; no more, no less."""
        size = max(1, len(self.model))
        found = self.db.search(question, k=size)
        scores = {match.key: match.score for match in found}
        assert len(found) == len(scores)
        # A vector of zeros is a key of which the encoder understood nothing.
        assert set(scores) == {key for key in self.model if self.db.vector(key).any()}
        assert all(repr(match.value) == repr(self.model[match.key]) for match in found)
        assert [match.score for match in found] == sorted(scores.values(), reverse=True)

        answer = self.db.attend(question)
        shown = {weight.key: weight.weight for weight in answer.weights}
        assert sum(shown.values()) + answer.rest + answer.null == pytest.approx(1, abs=1e-5)
        if question in self.model:
            assert answer.origin is Origin.EXACT
            assert repr(answer.value) == repr(self.model[question])
            return
        if not scores:
            assert answer.origin is Origin.NOTHING
            assert (answer.weights, answer.null) == ((), 1.0)
            return
        assert len(shown) == min(10, len(scores))
        powers = {key: math.exp(score / answer.temperature) for key, score in scores.items()}
        total = sum(powers.values())
        for key, weight in shown.items():
            assert weight == pytest.approx(powers[key] / total, abs=1e-4)

        # What many steps have made is what one step makes.
        fresh = Database(self.model, encoder="hashing", lexicon=None, imagination=0)
        expected = {match.key: match.score for match in fresh.search(question, k=size)}
        assert scores == pytest.approx(expected, abs=1e-5)
        mine = sorted(c.probability for c in answer.candidates)
        once = sorted(c.probability for c in fresh.attend(question).candidates)
        assert mine == pytest.approx(once, abs=1e-4)


class FileAgainstDict(AgainstDict):
    """The same in a file, which is closed and opened again at random."""

    in_file = True


@pytest.mark.parametrize(("machine", "runs"), [(AgainstDict, 60), (FileAgainstDict, 30)])
def test_random_steps_do_what_they_do_to_a_dict(machine, runs):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],  # shrinking a store's steps takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )


# ── CPython's own tests of a mapping ─────────────────────────────────────────────────────────

if mapping_tests is None:

    @pytest.mark.skip(reason="this interpreter does not ship test.mapping_tests")
    def test_cpython_mapping_tests():
        """Stands for the two classes below."""

else:

    class TestCPythonMapping(mapping_tests.TestMappingProtocol):
        """`test.mapping_tests`, which CPython runs on dict and UserDict, run on a Database.

        Each method of `TestMappingProtocol` begins with `BasicTestMappingProtocol`'s, so both run.
        """

        def _reference(self):
            # CPython's has a tuple, which JSON would turn into a list.
            return {"1": "2", "key1": "value1", "key2": [1, 2, 3]}

        def type2test(self, **records):
            # Keywords of Database itself are options, not records.
            return Database(records, encoder="hashing", lexicon=None)

        # Overridden where CPython's version has keys that are no text; the steps are the same.

        def test_values(self):
            mapping_tests.BasicTestMappingProtocol.test_values(self)
            assert list(self._full_mapping({"1": 2}).values()) == [2]

        def test_items(self):
            mapping_tests.BasicTestMappingProtocol.test_items(self)
            assert list(self._full_mapping({"1": 2}).items()) == [("1", 2)]

        def test_clear(self):
            d = self._full_mapping({"1": 1, "2": 2, "3": 3})
            d.clear()
            assert d == {}
            with pytest.raises(TypeError):
                d.clear(None)

        def test_update(self):
            mapping_tests.BasicTestMappingProtocol.test_update(self)
            d = self._empty_mapping()
            d.update({"1": 100})
            d.update({"2": 20})
            d.update({"1": 1, "2": 2, "3": 3})
            assert d == {"1": 1, "2": 2, "3": 3}
            d.update()
            assert d == {"1": 1, "2": 2, "3": 3}
            d = self._empty_mapping()
            d.update(x=100)
            d.update(y=20)
            d.update(x=1, y=2, z=3)
            assert d == {"x": 1, "y": 2, "z": 3}
            d = self._empty_mapping()
            d.update([("x", 100), ("y", 20)], x=1, y=2)
            assert d == {"x": 1, "y": 2}
            d = self._full_mapping({"1": 3, "2": 4})
            d.update(self._full_mapping({"1": 2, "3": 4, "5": 6}).items())
            assert d == {"1": 2, "2": 4, "3": 4, "5": 6}

        def test_setdefault(self):
            # CPython's changes the default in place afterwards; what a store gives is a copy.
            mapping_tests.BasicTestMappingProtocol.test_setdefault(self)
            d = self._empty_mapping()
            assert d.setdefault("key0") is None
            assert d.setdefault("key0", []) is None
            assert d.setdefault("key", [3]) == [3]
            d.setdefault("key", []).append(4)
            assert d["key"] == [3]

        def test_popitem(self):
            # CPython's uses copy(), which a store does not have.
            mapping_tests.BasicTestMappingProtocol.test_popitem(self)
            for size in (1, 2, 64, 300):
                d = self._full_mapping({repr(i): i for i in range(size)})
                assert [d.popitem() for _ in range(size)] == [
                    (repr(i), i) for i in reversed(range(size))
                ]
                assert not d

        def test_copy(self):
            # A store is a file, or its own memory, and has no copy(); its records have.
            d = self._full_mapping({"1": 1, "2": 2, "3": 3})
            assert dict(d) == {"1": 1, "2": 2, "3": 3}
            assert self._full_mapping(d) == d

        def test_fromkeys(self):
            # A store cannot be made from keys alone, without its encoder; a dict of them can.
            d = self._full_mapping(dict.fromkeys("abc"))
            assert d == {"a": None, "b": None, "c": None}

    class TestCPythonMappingInFile(TestCPythonMapping):
        """The same in a file."""

        def type2test(self, **records):
            folder = tempfile.TemporaryDirectory()
            self.addCleanup(folder.cleanup)
            path = Path(folder.name) / "store.qkv"
            db = Database(records, path=path, encoder="hashing", lexicon=None)
            self.addCleanup(db.close)
            return db


# ── what random steps seldom meet ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
def test_order_holds_at_any_size(count, path):
    model = {f"key {i}": i for i in range(count)}
    db = Database(model, path=path, encoder="hashing", lexicon=None)
    assert list(db.items()) == list(model.items())
    assert list(reversed(db)) == list(reversed(model))
    assert len(db) == len(list(db.values())) == count


def test_overwriting_keeps_the_place_and_adding_again_takes_the_last():
    db = Database({"a": 1, "b": 2, "c": 3}, encoder="hashing", lexicon=None)
    db["a"] = 10
    del db["b"]
    db["b"] = 20
    assert list(db.items()) == [("a", 10), ("c", 3), ("b", 20)]


def test_records_may_change_while_they_are_read():
    db = Database({f"key {i}": i for i in range(1500)}, encoder="hashing", lexicon=None)
    for key in db:
        db[key] = -1
        if key.endswith("7"):
            del db[key]
    assert len(db) == 1350
    assert set(db.values()) == {-1}


def test_many_deletions_leave_what_is_left():
    """More than a snapshot carries along before it is made anew."""
    model = {f"key {i}": i % 10 for i in range(3000)}
    db = Database(model, encoder=HashingEncoder(16), lexicon=None, imagination=0)
    for i in range(0, 3000, 2):
        del db[f"key {i}"], model[f"key {i}"]
        if i % 250 == 0:
            assert len(db.search("a key", k=4000)) == len(db) == len(model)
    fresh = Database(model, encoder=HashingEncoder(16), lexicon=None, imagination=0)
    for question in ("a key 77", "something"):
        found = {match.key: match.score for match in db.search(question, k=4000)}
        expected = {match.key: match.score for match in fresh.search(question, k=4000)}
        assert found == pytest.approx(expected, abs=1e-5)
        mine = {c.value: c.probability for c in db.attend(question).candidates}
        assert mine == pytest.approx(
            {c.value: c.probability for c in fresh.attend(question).candidates}, abs=1e-4
        )


@pytest.mark.parametrize("key", [1, None, 2.5, ("a",), b"a", "", "  ", "\ud800", frozenset()])
def test_a_key_that_cannot_be_stored_is_absent(key):
    db = Database({"a": 1}, encoder="hashing", lexicon=None)
    assert key not in db
    assert db.get(key, "default") == "default"
    assert db.pop(key, "default") == "default"
    for look_up in (db.__getitem__, db.__delitem__, db.pop, db.vector):
        with pytest.raises(KeyError):
            look_up(key)
    assert dict(db) == {"a": 1}


@pytest.mark.parametrize("key", [[], {}, set()])
def test_an_unhashable_key_is_a_type_error_as_in_any_dict(key):
    db = Database({"a": 1}, encoder="hashing", lexicon=None)
    for look_up in (db.__getitem__, db.__contains__, db.__delitem__, db.pop, db.get):
        with pytest.raises(TypeError, match="unhashable"):
            look_up(key)


@pytest.mark.parametrize("other", [None, 5, [("a", 1)]])
def test_union_is_for_mappings_only(other):
    db = Database({"a": 1}, encoder="hashing", lexicon=None)
    with pytest.raises(TypeError):
        db | other
    with pytest.raises(TypeError):
        other | db


def test_a_store_has_no_hash_and_equals_no_stranger():
    db = Database({"a": 1}, encoder="hashing", lexicon=None)
    with pytest.raises(TypeError, match="unhashable"):
        hash(db)
    assert db != 5
    assert db != [("a", 1)]
    assert db == Database({"a": 1}, encoder=HashingEncoder(32), lexicon=None)


def test_keys_of_one_character_are_found():
    keys = "aAzé ßΩжש差為権日本🐈0123456789+-?!".replace(" ", "")
    db = Database(dict.fromkeys(keys, 1), encoder="hashing", lexicon=None)
    for key in keys:
        assert key in {match.key for match in db.search(key, k=len(keys))}


def test_what_a_store_gives_is_a_copy():
    value = {"list": [1, 2]}
    db = Database({"a": value}, encoder="hashing", lexicon=None)
    value["list"].append(3)
    db["a"]["list"].append(4)
    assert db["a"] == {"list": [1, 2]}


@pytest.mark.parametrize(
    "name", ["a?b#c.qkv", "100%25.qkv", "mit leer ü 日本.qkv", ":memory:", "a'b\"c.qkv", "file:x"]
)
def test_any_name_of_a_file_will_do(name, tmp_path):
    with Database({"a": 1}, path=tmp_path / name, encoder="hashing", lexicon=None):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    with Database(path=str(tmp_path / name), lexicon=None) as db:
        assert dict(db) == {"a": 1}


# ── vectors as values ────────────────────────────────────────────────────────────────────────

VECTORS = [
    np.array([1.5, -2.25, 0.0], dtype=np.float32),
    np.linspace(-1, 1, 300, dtype=np.float64),
    np.arange(5),
    np.array([7], dtype=np.uint8),
    np.array([0.5, 65504.0], dtype=np.float16),
    np.array([1.0, 2.0], dtype=">f8"),
    np.arange(10.0)[::2],
    np.array([-0.0, 1e-45, 9e14], dtype=np.float32),
]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v.dtype}-{len(v)}")
def test_vectors_come_back_as_float32(vector, path):
    with Database({"v": vector}, path=path, encoder="hashing", lexicon=None) as db:
        np.testing.assert_array_equal(db["v"], vector.astype(np.float32), strict=True)
    with Database(path=path, lexicon=None) as db:
        for back in (db["v"], db.get("v"), *db.values(), dict(db)["v"], db.pop("v")):
            np.testing.assert_array_equal(back, vector.astype(np.float32), strict=True)


@pytest.mark.parametrize("key", ["cat", "a\0b", "日本", "🐈", 'a"b\\c', "[1]", "é" * 1000])
def test_a_new_value_leaves_the_vector_of_its_key(key, path):
    vector = np.full(256, 1 / 16, dtype=np.float32)
    db = Database({"a": 0}, path=path, encoder="hashing", lexicon=None)
    db.put(key, 1, vector=vector)
    db[key] = 2
    db.update({"fresh": 3, key: 4})
    assert db.setdefault(key, 5) == 4
    np.testing.assert_array_equal(db.vector(key), vector)
    assert db.search(vector, k=1)[0].key == key


def test_a_vector_that_is_given_is_a_copy():
    db = Database({"v": np.ones(3, dtype=np.float32)}, encoder="hashing", lexicon=None)
    db["v"][0] = 5
    np.testing.assert_array_equal(db["v"], np.ones(3))


def holding(vector):
    return Database({"v": vector, "t": "text"}, encoder="hashing", lexicon=None)


def test_stores_with_equal_vectors_are_equal():
    db = holding(np.arange(3.0))
    assert db == db  # noqa: PLR0124
    assert db == holding(np.arange(3.0))
    assert db == {"t": "text", "v": np.arange(3.0, dtype=np.float32)}


@pytest.mark.parametrize("other", [np.array([0.0, 1.0, 3.0]), np.arange(4.0), "text", 0, None, [0]])
def test_stores_with_other_vectors_are_not_equal(other):
    db = holding(np.arange(3.0))
    assert db != holding(other)
    assert (db == {"v": other, "t": "text"}) is False


def test_views_find_vectors():
    db = holding(np.arange(3.0))
    vector = np.arange(3.0, dtype=np.float32)
    assert ("v", vector) in db.items()
    assert ("v", vector + 1) not in db.items()
    assert ("t", "text") in db.items()
    assert vector in db.values()
    assert vector + 1 not in db.values()
    assert "text" in db.values()


def test_items_and_values_go_backward_too():
    records = {f"key {n}": n for n in range(2500)}
    db = Database(records, encoder="hashing", lexicon=None)
    assert list(reversed(db.items())) == list(reversed(records.items()))
    assert list(reversed(db.values())) == list(reversed(records.values()))


def test_looking_for_an_absent_key_to_delete_writes_nothing(tmp_path):
    with Database({"a": 1}, path=tmp_path / "s.qkv", encoder="hashing", lexicon=None) as db:
        before = db._tables.version()
        assert db.pop("b", 7) == 7
        with pytest.raises(KeyError):
            del db["b"]
        assert db._tables.version() == before
