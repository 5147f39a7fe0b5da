"""Engines: one suite for the family, each member held against the exact index."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qkv.attention import unit
from qkv.errors import CorruptFile, InputError, MissingExtra
from qkv.indexes import FlatIndex
from qkv.indexes.engines import ENGINES, engine, installed
from qkv.indexes.locks import ReadWriteLock
from qkv.indexes.trial import Trial

EVERY = [
    pytest.param(make, id=name, marks=pytest.mark.skipif(not installed(name), reason="no package"))
    for name, make in ENGINES.items()
]


def sphere(n, seed=0, dimension=20):
    return unit(np.random.default_rng(seed).normal(size=(n, dimension)).astype(np.float32))


def topics(n, seed=0, dimension=64):
    """Keys as texts have them: many about the same things."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(200, dimension))
    noise = rng.normal(size=(n, dimension))
    return unit((centres[rng.integers(200, size=n)] + 0.7 * noise).astype(np.float32))


def recall(engine, keys, queries, k=10, among=None, gone=()):
    """Share of the exact k best that the engine proposes."""
    flat = FlatIndex(keys).remove(np.array(sorted(gone), dtype=np.int64))
    _, best = flat.neighbours(queries, k, among)
    worst = best.min(axis=1, where=best > -np.inf, initial=np.inf)
    hits = total = 0
    for query, floor, scores, rows in zip(
        queries, worst, best, engine.nearest(queries, k, among), strict=True
    ):
        real = rows[rows >= 0]
        assert len(np.unique(real)) == len(real), "no row is proposed twice"
        wanted = int((scores > -np.inf).sum())
        hits += min(wanted, int((keys[real] @ query >= floor - 1e-6).sum()))
        total += wanted
    return hits / total if total else 1


@pytest.mark.parametrize("make", EVERY)
class TestEveryEngine:
    @pytest.mark.parametrize("k", [1, 10, 50])
    def test_finds_what_the_exact_index_finds(self, make, k):
        keys, queries = topics(4000), topics(60, seed=1)
        built = make.build(keys)
        assert recall(built, keys, queries, k) >= 0.97
        assert built.recall >= 0.98

    def test_few_keys_are_all_found(self, make):
        keys = sphere(40)
        assert recall(make.build(keys), keys, sphere(20, seed=1), 10) == 1

    def test_keys_added_are_found_and_keys_removed_are_not(self, make):
        keys, more = topics(3000), topics(500, seed=5)
        built = make.build(keys)
        built.add(more)
        gone = np.arange(0, 3500, 7)
        built.remove(gone)
        built.remove(gone[:10])  # a second time does nothing
        assert len(built) == 3500
        every, queries = np.vstack((keys, more)), topics(40, seed=1)
        assert recall(built, every, queries, gone=gone) >= 0.97
        assert not set(built.nearest(queries, 100).ravel().tolist()) & set(gone.tolist())

    @pytest.mark.parametrize("size", [0, 1, 12, 300, 1500, 2999])
    def test_among_some_proposes_those_alone(self, make, size):
        keys, queries = topics(3000), topics(20, seed=1)
        among = np.sort(np.random.default_rng(size).permutation(3000)[:size])
        built = make.build(keys)
        gone = np.arange(0, 3000, 11)
        built.remove(gone)
        found = set(built.nearest(queries, 10, among).ravel().tolist()) - {-1}
        assert found <= set(among.tolist()) - set(gone.tolist())
        assert recall(built, keys, queries, among=among, gone=gone) >= 0.97

    @pytest.mark.parametrize("known", [3, 1500])
    def test_among_rows_that_it_does_not_have_yet(self, make, known):
        built = make.build(topics(1500))
        among = np.append(np.arange(known), [1500, 9000])
        assert built.nearest(topics(1, seed=1), 10, among).max() < 1500

    def test_keys_of_zeros_are_never_found(self, make):
        keys = sphere(50)
        keys[[0, 20, 49]] = 0
        built = make.build(keys)
        built.add(np.zeros((3, 20), dtype=np.float32))
        found = built.nearest(-keys[:5], 60)
        assert len(built) == 53
        assert set(found.ravel().tolist()) - {-1} == set(range(50)) - {0, 20, 49}

    def test_keys_of_zeros_alone(self, make):
        built = make.build(np.zeros((5, 20), dtype=np.float32))
        assert (built.nearest(sphere(2), 3) == -1).all()
        built.add(sphere(2))
        assert set(built.nearest(sphere(1), 3).ravel().tolist()) == {-1, 5, 6}

    def test_more_are_asked_for_than_there_are(self, make):
        built = make.build(sphere(7))
        built.remove(np.array([3]))
        found = built.nearest(sphere(2, seed=1), 20)
        assert found.shape[0] == 2
        assert found.shape[1] >= 20
        assert set(found.ravel().tolist()) == {-1, 0, 1, 2, 4, 5, 6}

    def test_nothing_in_it(self, make):
        built = make.build(np.zeros((0, 20), dtype=np.float32))
        assert len(built) == 0
        assert (built.nearest(sphere(2), 3) == -1).all()
        assert built.nearest(np.zeros((0, 20), dtype=np.float32), 3).shape[0] == 0
        built.add(sphere(30))
        assert recall(built, sphere(30), sphere(5, seed=1)) == 1

    def test_everything_removed(self, make):
        built = make.build(sphere(30))
        built.remove(np.arange(30))
        assert (built.nearest(sphere(2), 3) == -1).all()
        assert (built.nearest(sphere(2), 3, np.arange(30)) == -1).all()

    def test_short_keys_rank_by_the_dot_product(self, make):
        keys = topics(3000)
        keys *= np.random.default_rng(3).uniform(0.2, 1, size=(3000, 1)).astype(np.float32)
        assert recall(make.build(keys), keys, topics(40, seed=1)) >= 0.97

    @pytest.mark.parametrize("dimension", [1, 2, 7, 32, 50])
    def test_any_dimension(self, make, dimension):
        keys = sphere(300, dimension=dimension)
        built = make.build(keys)
        assert recall(built, keys, sphere(10, seed=1, dimension=dimension)) >= 0.95

    def test_a_batch_is_its_queries_one_by_one(self, make):
        keys, queries = topics(3000), topics(9, seed=1)
        built = make.build(keys)
        batch = built.nearest(queries, 10)
        for query, rows in zip(queries, batch, strict=True):
            assert set(built.nearest(query[None], 10)[0].tolist()) == set(rows.tolist())

    def test_progress_ends_at_all(self, make):
        seen = []
        make.build(sphere(1000), lambda done, total: seen.append((done, total)))
        assert seen[-1] == (1000, 1000)

    def test_keys_may_be_mapped_from_a_file(self, make, tmp_path):
        np.save(tmp_path / "keys.npy", topics(500))
        keys = np.load(tmp_path / "keys.npy", mmap_mode="r")
        assert recall(make.build(keys), np.asarray(keys), topics(5, seed=1)) >= 0.97

    def test_saved_and_loaded_it_answers_the_same(self, make, tmp_path):
        keys, more, queries = topics(2500), topics(200, seed=4), topics(10, seed=1)
        keys[5] = 0
        built = make.build(keys)
        built.add(more)
        built.remove(np.array([1, 2, 2600]))
        built.save(tmp_path)
        every = np.vstack((keys, more))
        loaded = make.load(tmp_path, np.vstack((every, topics(50, seed=7))))
        assert (len(loaded), loaded.recall, loaded.built) == (2700, built.recall, 2500)
        before, after = built.nearest(queries, 10), loaded.nearest(queries, 10)
        assert (np.sort(before, axis=1) == np.sort(after, axis=1)).all()
        loaded.add(topics(50, seed=7))
        loaded.remove(np.array([0, 2701]))
        assert (
            recall(
                loaded, np.vstack((every, topics(50, seed=7))), queries, gone=[0, 1, 2, 2600, 2701]
            )
            >= 0.97
        )
        loaded.save(tmp_path)
        assert len(make.load(tmp_path, np.vstack((every, topics(50, seed=7))))) == 2750

    def test_nothing_is_saved_and_loaded(self, make, tmp_path):
        make.build(np.zeros((0, 20), dtype=np.float32)).save(tmp_path)
        loaded = make.load(tmp_path, sphere(3))
        assert len(loaded) == 0
        loaded.add(sphere(3))
        assert set(loaded.nearest(sphere(1), 3).ravel().tolist()) == {0, 1, 2}

    @pytest.mark.parametrize("harm", ["missing", "cut short", "foreign", "empty"])
    @pytest.mark.parametrize("which", [0, 1, 2])
    def test_files_that_cannot_be_read_are_refused(self, make, tmp_path, harm, which):
        keys = topics(500)
        make.build(keys).save(tmp_path)
        path = sorted(tmp_path.iterdir())[which]
        whole = path.read_bytes()
        if harm == "missing":
            path.unlink()
        else:
            foreign = b"\x93NUMPY or something else altogether" * 10
            path.write_bytes({"cut short": whole[:-9], "foreign": foreign, "empty": b""}[harm])
        with pytest.raises(CorruptFile, match="delete the folder"):
            make.load(tmp_path, keys)

    def test_files_of_other_keys_are_refused(self, make, tmp_path):
        make.build(topics(500)).save(tmp_path)
        for keys in (topics(499), topics(500, dimension=63)):
            with pytest.raises(CorruptFile, match="500 × 64 keys"):
                make.load(tmp_path, keys)

    def test_threads_search_while_others_add_and_remove(self, make):
        keys, queries = topics(3000), topics(8, seed=1)
        built = make.build(keys)
        kept = np.arange(1500, 3000)
        stop, errors, rounds = threading.Event(), [], []

        def search():
            try:
                while not stop.is_set():
                    rows = built.nearest(queries, 10)
                    assert rows.min() >= -1
                    assert rows.max() < len(built)
                    assert len(built.nearest(queries[:1], 10, kept)) == 1
                    rounds.append(1)
            except BaseException as error:  # noqa: BLE001  (shown by the test)
                errors.append(error)

        threads = [threading.Thread(target=search) for _ in range(3)]
        for thread in threads:
            thread.start()
        for step in range(40):
            built.add(topics(25, seed=step + 10))
            built.remove(np.arange(step * 30, step * 30 + 30))
        stop.set()
        for thread in threads:
            thread.join()
        assert not errors
        assert rounds
        every = np.vstack([keys, *(topics(25, seed=step + 10) for step in range(40))])
        assert recall(built, every, queries, gone=range(1200)) >= 0.97


STEP = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 90)),
    st.tuples(st.just("remove"), st.lists(st.integers(0, 300), max_size=30, unique=True)),
    st.tuples(st.just("search"), st.integers(1, 30)),
    st.tuples(st.just("among"), st.integers(1, 400)),
    st.tuples(st.just("reload"), st.none()),
)


@pytest.mark.parametrize("make", EVERY)
@given(steps=st.lists(STEP, max_size=14), start=st.integers(0, 80))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_happens_it_is_the_exact_index(make, tmp_path, steps, start):
    keys, gone = sphere(start), set()
    built = make.build(keys)
    for seed, (step, what) in enumerate(steps):
        rng = np.random.default_rng(seed)
        if step == "add":
            more = sphere(what, seed=seed + 10)
            more[rng.random(what) < 0.1] = 0
            keys = np.vstack((keys, more))
            built.add(more)
        elif step == "remove":
            rows = np.array([row for row in what if row < len(keys)], dtype=np.int64)
            gone |= set(rows.tolist())
            built.remove(rows)
        elif step == "search":
            live = set(np.flatnonzero(keys.any(axis=1)).tolist()) - gone
            assert set(built.nearest(sphere(3, seed), 999).ravel().tolist()) - {-1} == live
            assert recall(built, keys, sphere(3, seed=seed), what, gone=gone) >= 0.9
        elif step == "among":
            among = np.flatnonzero(rng.random(len(keys)) < what / 400)
            assert recall(built, keys, sphere(3, seed=seed), 5, among, gone) >= 0.9
        else:
            built.save(tmp_path)
            built = make.load(tmp_path, keys)
        assert len(built) == len(keys)


@pytest.mark.skipif(not installed("quantized"), reason="no package")
class TestCodes:
    def test_structureless_keys_are_not_ranked_by_their_signs(self):
        keys = sphere(40_000, dimension=64)
        codes = ENGINES["quantized"].build(keys)
        assert codes.recall >= 0.99
        assert recall(codes, keys, sphere(50, seed=1, dimension=64)) >= 0.98

    @pytest.mark.slow
    def test_texts_of_many_are_found(self):
        keys = topics(60_000, dimension=128)
        codes = ENGINES["quantized"].build(keys)
        assert recall(codes, keys, topics(50, seed=1, dimension=128)) >= 0.99

    def test_huge_coordinates_are_kept(self):
        keys = sphere(20)
        keys[3] *= np.float32(1e20)
        built = ENGINES["quantized"].build(keys)
        assert 3 in built.nearest(keys[3:4], 1)


class TestTrial:
    def test_finding_all_is_one_and_finding_nothing_is_none(self):
        keys = sphere(200)
        trial = Trial.of(keys, np.arange(200))
        every = np.tile(np.arange(200), (len(trial.queries), 1))
        assert trial.recall(lambda *_: every) == 1
        assert trial.recall(lambda *_: np.full_like(every, -1)) == 0

    def test_long_keys_are_not_lost_by_rounding(self):
        keys = 1000 * np.random.default_rng(0).normal(size=(2000, 50)).astype(np.float32)
        trial = Trial.of(keys, np.arange(2000))
        nearest = FlatIndex(keys).neighbours
        assert trial.recall(lambda queries, k: nearest(queries, k + 1)[0]) == 1
        assert trial.recall(lambda queries, k: nearest(queries, k + 1)[0], 50) == 1

    def test_its_own_row_does_not_count(self):
        keys = sphere(200)
        trial = Trial.of(keys, np.arange(200))
        assert trial.recall(lambda *_: trial.own[:, None]) == 0

    def test_half_is_half(self):
        keys, queries = sphere(200), sphere(30, seed=1)
        trial = Trial.of(keys, np.arange(200), queries)
        best, _ = FlatIndex(keys).neighbours(queries, 5)
        assert trial.recall(lambda *_: best) == pytest.approx(0.5)


def test_writers_are_alone():
    lock, inside, most = ReadWriteLock(), [], []

    def read():
        for _ in range(200):
            with lock.reading():
                assert "writer" not in inside
                inside.append("reader")
                most.append(len(inside))
                inside.remove("reader")

    def write():
        for _ in range(100):
            with lock.writing():
                assert not inside
                inside.append("writer")
                inside.remove("writer")

    threads = [threading.Thread(target=target) for target in (read, read, read, write, write)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not inside
    assert most


class TestNames:
    def test_an_unknown_engine_names_those_there_are(self):
        with pytest.raises(InputError, match="'quantized', 'hnsw', 'ivf'"):
            engine("annoy")

    @pytest.mark.parametrize(("name", "extra"), [("quantized", "quantized"), ("hnsw", "faiss")])
    def test_a_missing_package_answers_with_the_line_that_helps(self, monkeypatch, name, extra):
        monkeypatch.setattr("qkv.encoders.extras.find_spec", lambda _: None)
        with pytest.raises(MissingExtra, match=rf"pip install 'qkv\[{extra}\]'"):
            engine(name).build(sphere(3))


@pytest.mark.parametrize("make", EVERY)
@pytest.mark.parametrize("facts", [None, "", "{", "[]", '{"width": 12}', '{"width": -8}', "null"])
def test_warming_trusts_no_file(make, tmp_path, facts):
    """It goes on while files are still being checked."""
    if facts is not None:
        (tmp_path / "codes.json").write_text(facts)
    make.warm(tmp_path)
    keys = sphere(50)
    built = make.build(keys)
    built.save(tmp_path)
    make.warm(tmp_path)
    assert len(make.load(tmp_path, keys)) == 50
