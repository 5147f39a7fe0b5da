"""Calibration: probabilities that hold, "nothing here", budgets, and stores too small to ask."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkv import Database, Origin
from qkv.calibration import NEAR, Calibration, Store, calibrate, gather, prior
from qkv.calibration.evidence import CANDIDATES, Evidence
from qkv.calibration.model import Level
from qkv.encoders import TEXTS, HashingEncoder, HeadsEncoder, background, resolve
from qkv.errors import InputError
from qkv.indexes import FlatIndex
from qkv.prototypes import Prototypes
from qkv.ranking import auroc, expected_calibration_error, reliability_bins

DIMENSION = 32


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


class Made:
    """Values whose keys lie around directions of their own, and questions about them."""

    def __init__(self, values: int, each: int, noise: float = 0.8, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.noise = noise
        self.centres = unit(self.rng.normal(size=(2 * values, DIMENSION)))
        self.groups = np.repeat(np.arange(values), each)
        self.keys = self.around(self.groups)

    def around(self, groups: np.ndarray) -> np.ndarray:
        shape = (len(groups), DIMENSION)
        noise = self.noise * self.rng.normal(size=shape) / np.sqrt(DIMENSION)
        return unit(self.centres[groups] + noise * 1.2)

    def database(self, **options: object) -> Database:
        db = Database(encoder=None, lexicon=None, **options)  # type: ignore[arg-type]
        db.update(
            [(f"k{i}", f"v{group}") for i, group in enumerate(self.groups)], vectors=self.keys
        )
        return db

    def asked(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        groups = self.rng.integers(0, len(self.centres) // 2, size=count)
        return self.around(groups), groups

    def outside(self, count: int) -> np.ndarray:
        half = len(self.centres) // 2
        return self.around(self.rng.integers(half, 2 * half, size=count))


# ── evidence ─────────────────────────────────────────────────────────────────────────────────


def plain_evidence(q: np.ndarray, keys: np.ndarray, groups: np.ndarray) -> dict[int, tuple]:
    scores = keys @ q
    near = np.argsort(-scores, kind="stable")[:NEAR]
    found = {}
    for group in dict.fromkeys(groups[near].tolist()):
        mine = keys[groups == group]
        mean = mine.sum(axis=0)
        found[group] = (
            scores[near][groups[near] == group].max(),
            q @ mean / np.linalg.norm(mean),
            len(mine),
        )
    return dict(list(found.items())[:CANDIDATES])


@given(st.integers(0, 1000), st.integers(1, 30), st.integers(1, 6))
def test_evidence_is_what_a_loop_would_find(seed: int, values: int, each: int) -> None:
    made = Made(values, each, seed=seed)
    index = FlatIndex(made.keys)
    queries, _ = made.asked(3)
    rows, scores = index.neighbours(queries, NEAR)
    sums = Prototypes()
    counts = np.bincount(made.groups)
    evidence = gather(
        queries, rows, scores, made.groups[np.maximum(rows, 0)], counts,
        lambda wanted: sums.sums(wanted, index, made.groups), np.zeros(DIMENSION, np.float32),
    )  # fmt: skip
    for i, q in enumerate(queries):
        truth = plain_evidence(q, made.keys, made.groups)
        there = evidence.values[i] >= 0
        assert evidence.values[i][there].tolist() == list(truth)
        ours = np.column_stack((evidence.nearest[i], evidence.prototype[i], evidence.counts[i]))
        np.testing.assert_allclose(ours[there], list(truth.values()), atol=1e-5)


def test_leaving_a_record_out_is_a_store_without_it() -> None:
    """The questions that calibration asks are those of a store that never had the record."""
    made = Made(5, 8)
    questions = _ask(made, np.arange(40))
    for row in (0, 13, 39):
        left = np.delete(np.arange(40), row)
        truth = plain_evidence(made.keys[row], made.keys[left], made.groups[left])
        evidence = questions.answerable
        there = evidence.values[row] >= 0
        assert evidence.values[row][there].tolist() == list(truth)
        ours = np.column_stack(
            (evidence.nearest[row], evidence.prototype[row], evidence.counts[row])
        )
        np.testing.assert_allclose(ours[there], list(truth.values()), atol=1e-5)


def test_leaving_the_value_out_leaves_nothing_of_it() -> None:
    made = Made(5, 8)
    questions = _ask(made, np.arange(40))
    assert (questions.unanswerable.values != questions.truth[:, None]).all()
    kept = (questions.unanswerable.values >= 0).sum(axis=1)
    assert kept.min() >= 1
    assert len(set(kept.tolist())) > 1  # sometimes values that are like it go, too


def test_values_that_one_record_holds_do_not_change_what_the_others_teach() -> None:
    """Temperature and heads of a store are fitted to the same beside a crowd of other records."""
    from qkv.calibration.leaving import Leaving

    made = Made(5, 8)
    crowd = np.random.default_rng(1).standard_normal((300, DIMENSION)).astype(np.float32)
    crowd[:40] = made.keys + 0.01 * crowd[:40]  # some of them nearer than any of their own
    crowd /= np.linalg.norm(crowd, axis=1, keepdims=True)
    alone = _store(made)
    groups = np.concatenate((made.groups, made.groups.max() + 1 + np.arange(300)))
    keys = np.vstack((made.keys, crowd)).astype(np.float32)
    beside = replace(alone, index=FlatIndex(keys), groups=groups, counts=np.bincount(groups))
    one, other = (Leaving(store).choose(np.arange(40), ()) for store in (alone, beside))
    np.testing.assert_array_equal(one.truth, other.truth)
    np.testing.assert_array_equal(one.evidence.values, other.evidence.values)
    np.testing.assert_allclose(one.evidence.nearest, other.evidence.nearest, atol=1e-6)
    np.testing.assert_allclose(one.evidence.prototype, other.evidence.prototype, atol=1e-6)
    fitted = [calibrate(store, records=len(store.index)) for store in (alone, beside)]
    assert fitted[0].heads == pytest.approx(fitted[1].heads, rel=1e-4)
    asked = Leaving(beside).ask(np.arange(40), (), np.random.default_rng(0)).answerable
    assert (asked.nearest[:, 0] > one.evidence.nearest[:, 0]).all()


def _ask(made: Made, rows: np.ndarray):  # type: ignore[no-untyped-def]
    from qkv.calibration.leaving import Leaving

    return Leaving(_store(made)).ask(rows, (), np.random.default_rng(0))


def _store(made: Made) -> Store:
    background = np.zeros(DIMENSION, dtype=np.float32)
    none = np.zeros((0, DIMENSION), dtype=np.float32)
    return Store(FlatIndex(made.keys), made.groups, np.bincount(made.groups), background, none)


# ── a calibration ────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def made() -> Made:
    return Made(30, 40)


@pytest.fixture(scope="module")
def db(made: Made) -> Database:
    return made.database()


def test_confidence_is_the_share_of_right_answers(made: Made, db: Database) -> None:
    """On questions like the records, with the assumed share that has no answer."""
    inside, truth = made.asked(1640)
    outside = made.outside(360)
    answers = db.attend(list(inside)) + db.attend(list(outside))
    sure = np.array([a.candidates[0].probability for a in answers])
    right = np.array(
        [a.candidates[0].value == f"v{t}" for a, t in zip(answers, truth, strict=False)]
    )
    right = np.concatenate((right, np.zeros(360)))
    assert expected_calibration_error(sure, right) < 0.06
    null = np.array([a.null for a in answers])
    assert auroc(null[1640:], null[:1640]) > 0.9


@pytest.mark.parametrize("budget", [0.02, 0.05, 0.1])
def test_a_budget_is_kept(made: Made, db: Database, budget: float) -> None:
    inside, truth = made.asked(820)
    given = [db.query(q, max_wrong=budget) for q in inside]
    wrong = sum(bool(g) and g != [f"v{t}"] for g, t in zip(given, truth, strict=True))
    spurious = sum(bool(db.query(q, max_wrong=budget)) for q in made.outside(180))
    answered = sum(map(bool, given)) + spurious
    assert all(len(g) <= 1 for g in given)
    assert answered > 200
    # Two standard errors of a share of so many answers.
    assert (wrong + spurious) / answered < budget + 2 * np.sqrt(budget / answered)


def test_everything_sums_to_one_and_is_ordered(made: Made, db: Database) -> None:
    for answer in db.attend(list(made.asked(20)[0]) + list(made.outside(20))):
        weights = sum(w.weight for w in answer.weights) + answer.rest + answer.null
        assert weights == pytest.approx(1)
        probabilities = [c.probability for c in answer.candidates]
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) + answer.null < 1 + 1e-9
        assert answer.calibrated


def test_unrelated_records_change_nothing(made: Made) -> None:
    alone, crowded = made.database(), made.database()
    rng = np.random.default_rng(5)
    far = unit(np.hstack((np.zeros((5000, DIMENSION - 4)), rng.normal(size=(5000, 4)))))
    crowded.update([(f"far {i}", f"far {i}") for i in range(5000)], vectors=far)
    crowded.calibrate()
    queries = list(made.asked(200)[0])
    before, after = alone.attend(queries), crowded.attend(queries)
    assert np.mean([a.candidates[0].value == b.candidates[0].value
                    for a, b in zip(before, after, strict=True)]) > 0.98  # fmt: skip
    change = [abs(a.candidates[0].probability - b.candidates[0].probability)
              for a, b in zip(before, after, strict=True)]  # fmt: skip
    assert np.mean(change) < 0.05


def test_the_same_records_give_the_same_calibration(made: Made) -> None:
    assert made.database().calibrate() == made.database().calibrate()


def test_more_questions_without_an_answer_make_it_less_sure(made: Made) -> None:
    db = made.database()
    q = made.asked(1)[0][0]
    nulls, thresholds = [], []
    for share in (0.02, 0.2, 0.6):
        thresholds.append(db.calibrate(unanswerable=share).threshold(0.05))
        nulls.append(db.attend(q).null)
    assert nulls == sorted(nulls)
    assert nulls[0] < nulls[-1]
    assert thresholds[0] <= thresholds[1] <= 1  # with 60 % in vain, no answer is sure enough


def test_the_share_is_kept_in_the_file(made: Made, tmp_path) -> None:  # type: ignore[no-untyped-def]
    with made.database(path=tmp_path / "s.qkv") as db:
        kept = db.calibrate(unanswerable=0.4)
        null = db.attend(made.centres[0]).null
    with Database(path=tmp_path / "s.qkv", lexicon=None) as db:
        assert db.attend(made.centres[0]).null == pytest.approx(null)
        assert db.calibrate() == kept


def test_what_was_saved_is_what_is_read(made: Made, db: Database) -> None:
    calibration = db.calibrate()
    assert Calibration.from_json(calibration.to_json()) == calibration
    small = prior(3)
    again = Calibration.from_json(small.to_json())
    assert again is not None
    assert again.heads == small.heads


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"form": 1}', '{"form": 99}', '{"form": 1, "heads": 3}']
)
def test_a_spoilt_calibration_is_none(text: str) -> None:
    assert Calibration.from_json(text) is None


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("heads", [0.0, 0.0]),
        ("heads", [float("inf"), 1.0]),
        ("right", {"coefficients": [1.0], "intercept": 0.0}),
        ("answerable", {"coefficients": [1.0] * 4, "intercept": 0.0}),
        ("intervals", []),
        ("imagining", []),
        ("reliability", 3),
    ],
)
def test_a_calibration_with_one_spoilt_part_is_none(name: str, wrong: object) -> None:
    saved = json.loads(prior(3).to_json())
    assert Calibration.from_json(json.dumps(saved)) is not None
    assert Calibration.from_json(json.dumps({**saved, name: wrong})) is None


@pytest.mark.parametrize(
    "saved", ["", "[]", '{"version": "x"}', '{"version": 1, "calibration": "{"}']
)
def test_a_file_with_a_spoilt_calibration_is_calibrated_anew(
    made: Made, saved: str, tmp_path
) -> None:  # type: ignore[no-untyped-def]
    with made.database(path=tmp_path / "s.qkv") as db:
        good = db.calibrate()
        db._tables.keep("calibration", saved)
    with Database(path=tmp_path / "s.qkv", lexicon=None) as db:
        assert db.attend(made.centres[0]).calibrated
        row = db._tables.one("SELECT value FROM settings WHERE name = 'calibration'")
        assert Calibration.from_json(json.loads(row[0])["calibration"]) == good


class Topics:
    """Says what a text is about: its first letter."""

    fingerprint = "topics"

    def encode(self, texts: list[str]) -> np.ndarray:
        return np.eye(26, dtype=np.float32)[[ord(text[0]) - ord("a") for text in texts]]


def test_a_head_that_knows_nothing_of_a_store_counts_less() -> None:
    heads = HeadsEncoder([(HashingEncoder(64), 0.9), (Topics(), 0.1)])
    rng = np.random.default_rng(0)
    words = [f"{'abcdefgh'[i % 8]}{rng.integers(1 << 30)}" for i in range(240)]
    db = Database(encoder=heads, lexicon=None)
    db.update((word, word[0].upper()) for word in words[:160])
    known = db.calibrate()
    (size, less), (other, more) = known.scales
    assert (size, other) == (64, 26)
    assert less < 1 < more
    assert 0.9 * less + 0.1 * more == pytest.approx(1)
    assert Calibration.from_json(known.to_json()) == known
    answers = db.attend(words[160:])
    fitted = [a.value == word[0].upper() for a, word in zip(answers, words[160:], strict=True)]
    assert np.mean(fitted) == 1
    alike = db.attend("ax")
    assert sum(w.weight for w in alike.weights) + alike.rest + alike.null == pytest.approx(1)


def test_heads_that_are_as_good_as_they_are_stay_so(made: Made) -> None:
    assert made.database().calibrate().scales == ()


def test_it_happens_by_itself_when_the_store_has_grown(made: Made) -> None:
    db = Database(encoder=None, lexicon=None)
    records = [(f"k{i}", f"v{g}") for i, g in enumerate(made.groups)]
    order = np.random.default_rng(0).permutation(len(records))
    few, many = order[:10], order[10:]
    db.update([records[i] for i in few], vectors=made.keys[few])
    db.attend(made.centres[0])
    assert db._reader.calibrating._known is None  # too small: the prior
    db.update([records[i] for i in many], vectors=made.keys[many])
    db.attend(made.centres[0])
    known = db._reader.calibrating._known
    assert known is not None
    assert known.questions == len(records)
    db.put("one more", "v0", vector=made.keys[0])
    db.attend(made.centres[0])
    assert db._reader.calibrating._known is known  # one record is no reason


def test_a_large_store_is_calibrated_in_the_background(made: Made, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("qkv.calibrating.AT_ONCE", 100)
    db = made.database()
    first = db.attend(made.centres[0])
    assert first.calibrated
    thread = db._reader.calibrating._running
    assert thread is not None
    thread.join(30)
    assert db._reader.calibrating._known is not None


def test_a_file_that_cannot_be_written_is_read_all_the_same(made: Made, tmp_path) -> None:  # type: ignore[no-untyped-def]
    import os

    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    made.database(path=tmp_path / "s.qkv").close()
    (tmp_path / "s.qkv").chmod(0o400)
    tmp_path.chmod(0o500)
    with Database(path=tmp_path / "s.qkv", lexicon=None) as db:
        assert db.attend(made.centres[0]).calibrated
    tmp_path.chmod(0o700)


def test_another_writer_is_not_waited_for(made: Made, tmp_path) -> None:  # type: ignore[no-untyped-def]
    made.database(path=tmp_path / "s.qkv").close()
    with (
        Database(path=tmp_path / "s.qkv", lexicon=None, timeout=30) as reader,
        Database(path=tmp_path / "s.qkv", lexicon=None) as writer,
        writer._tables.writing(),
    ):
        assert reader.attend(made.centres[0]).calibrated


def test_the_likeliest_value_comes_first_however_doubtful(made: Made, db: Database) -> None:
    """Others share what is left of a doubtful answer, and are never as likely as it is."""
    questions = [*made.outside(300), *made.asked(300)[0]]
    snapshot, calibrating = db._reader.snapshot(), db._reader.calibrating
    calibration = calibrating.current(snapshot)
    indices, scores = snapshot.index.neighbours(np.array(questions), NEAR)
    evidence = gather(
        np.array(questions),
        indices,
        scores,
        snapshot.group_ids()[indices],
        *snapshot.held(None),
        calibrating.background(),
    )
    verdict = calibration.judge(evidence)
    chosen = calibration.logits(evidence)[:, :-1].argmax(axis=1)
    assert (verdict.best == chosen).all()
    others = verdict.probabilities.copy()
    others[np.arange(len(others)), verdict.best] = -1
    assert (others.max(axis=1) < verdict.confidence).all()
    doubtful = others.max(axis=1) > 0.999 * verdict.confidence
    assert doubtful.any()  # or this says nothing


# ── values that few records hold, and values that many do ────────────────────────────────────────


def test_prototypes_of_more_keys_score_higher_by_as_much_as_is_expected() -> None:
    """The formula, against queries and keys drawn around a direction."""
    rng = np.random.default_rng(0)
    centre = unit(rng.normal(size=256))
    around = unit(centre + rng.normal(size=(4000, 256)) / 16)
    queries, keys = around[:400], around[400:]
    alike = float((keys[:500] @ keys[500:1000].T).mean())
    level = Level(alike=alike)
    for count in (1, 2, 5, 20):
        means = keys[: 50 * count].reshape(50, count, -1).sum(axis=1)
        score = float((queries @ unit(means).T).mean())
        assert score == pytest.approx(float(level.expected(count)), abs=0.005)


def test_a_value_is_found_beside_values_of_many_more_records() -> None:
    made = Made(30, 40)
    rng = np.random.default_rng(3)
    kept = np.sort(
        np.concatenate(
            [
                rng.choice(np.flatnonzero(made.groups == value), 2 if value % 2 else 40, False)
                for value in range(30)
            ]
        )
    )
    made.groups, made.keys = made.groups[kept], made.keys[kept]
    db = made.database()
    inside, truth = made.asked(1500)

    def right() -> np.ndarray:
        answers = db.attend(list(inside))
        hits = [a.candidates[0].value == f"v{t}" for a, t in zip(answers, truth, strict=True)]
        rare = truth % 2 == 1
        return np.array([np.mean(np.array(hits)[rare]), np.mean(np.array(hits)[~rare])])

    levelled = right()
    calibrating = db._reader.calibrating
    assert calibrating._known is not None
    assert calibrating._known.level.alike > 0.2
    calibrating._known = replace(calibrating._known, level=Level())
    rare, often = levelled - right()
    assert rare > 0.05
    assert often > -0.05


def test_a_crowd_of_single_records_is_not_lifted() -> None:
    evidence = Evidence(
        values=np.array([[0, 1, -1]]),
        nearest=np.array([[0.5, 0.4, 0.0]]),
        prototype=np.array([[0.5, 0.6, 0.0]]),
        counts=np.array([[1.0, 10.0, 0.0]]),
        background=np.zeros(1),
        rows=np.array([[0, 1, -1]]),
    )
    few, crowd = Level(0.5, 10.0), Level(0.5, 10.0, crowd=6.0)
    assert few.apply(evidence, 20).prototype[0] == pytest.approx([0.5 + 0.174, 0.6, 0], abs=1e-3)
    assert crowd.apply(evidence, 20).prototype[0] == pytest.approx([0.5, 0.6, 0])
    assert crowd.apply(evidence, 60).prototype[0] == pytest.approx([0.574, 0.6, 0], abs=1e-3)
    assert Level().apply(evidence, 20) is evidence


@given(st.floats(0.01, 0.99), st.integers(1, 1000))
def test_more_keys_never_make_a_prototype_score_lower(alike: float, count: int) -> None:
    level = Level(alike)
    assert level.expected(count) <= level.expected(count + 1) <= np.sqrt(alike) + 1e-9
    assert level.expected(1) == pytest.approx(alike)


# ── what is not calibrated ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "options", [{"temperature": 0.1}, {"top_k": 3}, {"temperature": 0.1, "strict": True}]
)
def test_whoever_sets_the_attention_gets_its_mass(made: Made, db: Database, options: dict) -> None:  # type: ignore[type-arg]
    answer = db.attend(made.centres[0], **options)
    assert not answer.calibrated
    assert answer.null == 0


@pytest.mark.parametrize("metric", ["dot", "euclidean"])
def test_other_metrics_are_not_calibrated(made: Made, metric: str) -> None:
    db = made.database(metric=metric)
    assert not db.attend(made.centres[0]).calibrated
    with pytest.raises(InputError, match="only the cosine metric"):
        db.query(made.centres[0], max_wrong=0.05)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan"), "5%", None])
def test_shares_are_between_0_and_1(db: Database, made: Made, share: object) -> None:
    if share is not None:
        with pytest.raises(InputError, match="share"):
            db.query(made.centres[0], max_wrong=share)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="share"):
            db.calibrate(unanswerable=share)  # type: ignore[arg-type]


# ── small stores ─────────────────────────────────────────────────────────────────────────────

#: Has little to do with what is stored below.
FAR = "thunderous applause"
SMALL = {
    "one record": {"cat": "animal"},
    "two records": {"cat": "animal", "one": "number"},
    "all distinct": {f"word {i}": f"value {i}" for i in range(30)},
    "all equal": {f"word {i}": "value" for i in range(30)},
    "mixed kinds": {"cat": "animal", "two": 2, "list": [1], "none": None},
}


@pytest.mark.parametrize("records", SMALL.values(), ids=SMALL)
def test_small_stores_have_sound_priors(records: dict[str, object]) -> None:
    db = Database(records, encoder="hashing", lexicon=None)
    assert db.calibrate().questions == 0
    key = next(iter(records))
    near, far = db.attend(f"{key}s"), db.attend(FAR)
    assert near.origin is not Origin.NOTHING
    assert near.null < 0.5 < far.null
    assert far.origin is Origin.NOTHING
    assert db.query(FAR) == []
    exact = db.attend(key)
    assert (exact.origin, exact.confidence, exact.null) == (Origin.EXACT, 1.0, 0.0)


def test_an_empty_store_knows_nothing() -> None:
    db = Database(encoder="hashing")
    assert db.calibrate().questions == 0
    assert db.attend("cat").null == 1
    assert db.query("cat", max_wrong=0.05) == []


def test_a_small_store_answers_where_the_confidence_itself_promises_it() -> None:
    db = Database({"cat": "animal", "one": "number"}, encoder="hashing", lexicon=None)
    sure = db.attend("cats").confidence
    assert db.query("cats", max_wrong=1 - sure + 0.01) == ["animal"]
    assert db.query("cats", max_wrong=1 - sure - 0.01) == []
    assert db.query("cat", max_wrong=1e-9) == ["animal"]  # exact


# ── explained ────────────────────────────────────────────────────────────────────────────────


def test_explain_says_what_would_be_without_the_heaviest_record() -> None:
    db = Database(
        {"red apple": "fruit", "blue sky": "air", "red apples": "fruits"},
        encoder="hashing", lexicon=None,
    )  # fmt: skip
    text = db.attend("a red apple").explain()
    assert "without 'red apple': 'fruits'" in text
    assert "sure" in text.splitlines()[0]
    db["red apple"] = "other"  # explained from the store as it is
    assert db["red apple"] == "other"


def test_an_answer_outlives_its_store() -> None:
    db = Database({"cat": "animal", "one": "number"}, encoder="hashing", lexicon=None)
    answer = db.attend("cats")
    db.close()
    assert "without" not in answer.explain()


def test_two_values_are_told_from_texts_that_have_nothing_to_do_with_them() -> None:
    words = [
        "red",
        "blue",
        "green",
        "black",
        "white",
        "brown",
        "pink",
        "grey",
        "gold",
        "silver",
        "violet",
        "orange",
    ]
    records = {f"{w} fruit": "food" for w in words} | {f"{w} motor": "machine" for w in words}
    db = Database(records, encoder="hashing", lexicon=None)
    calibration = db.calibrate()
    assert calibration.questions == 24
    near, far = db.attend("a crimson fruit"), db.attend("the minister resigned")
    assert near.value == "food"
    assert near.null < far.null


def test_the_share_that_was_given_holds_for_the_next_calibration(made: Made, tmp_path) -> None:  # type: ignore[no-untyped-def]
    with made.database(path=tmp_path / "s.qkv") as db:
        db.calibrate(unanswerable=0.4)
    with Database(path=tmp_path / "s.qkv", lexicon=None) as db:
        assert db.calibrate().unanswerable == 0.4
        assert db.calibration.unanswerable == 0.4


def test_a_near_miss_is_less_sure_and_named() -> None:
    faq = Database({"Who won the race in 2019?": "Ada", "How tall is the tower?": "90 m"})
    before, after = (faq.attend(f"who has won the race in {year}") for year in (2019, 2020))
    assert after.confidence < before.confidence
    assert after.null > before.null
    assert after.candidates[0].warnings == ("asked about 2020, the record is about 2019",)
    assert "asked about 2020" in after.explain()
    assert before.candidates[0].warnings == ()


def test_what_comes_first_after_a_contradiction_is_looked_at_too() -> None:
    """Another year is unlikely then, and the record of another city must not slip through."""
    cities = ("Paris", "Rome", "Berlin", "Madrid", "Vienna", "Lisbon", "Oslo", "Prague")
    things = ("won the race", "hosted the games", "paid for the bridge")
    records = {f"Who {thing} in {city} in 1999?": f"{thing} {city}" for thing in things
               for city in cities}  # fmt: skip
    db = Database(records, lexicon=None)
    for city in ("Paris", "Oslo"):
        answer = db.attend(f"who has won the race in {city}, 2008")
        assert answer.candidates[0].warnings, answer.candidates[0]


def test_a_number_between_two_is_no_near_miss() -> None:
    prices = Database({"13 inch laptop": 999, "15 inch laptop": 1299})
    answer = prices.attend("14 inch laptop")
    assert 1000 < answer.value < 1290
    assert answer.candidates[0].warnings == ()


def test_explain_shows_what_came_closest_below_the_line() -> None:
    db = Database({"cat": "animal", "one": "number"}, encoder="hashing", lexicon=None)
    text = db.attend(FAR).explain()
    assert "nothing" in text.splitlines()[0]
    assert "below the line" in text
    assert "'animal'" in text


def test_an_answer_can_be_copied_and_pickled() -> None:
    import copy
    import pickle

    answer = Database({"cat": "animal"}, encoder="hashing").attend("cats")
    assert copy.deepcopy(answer) == answer
    back = pickle.loads(pickle.dumps(answer))
    assert back == answer
    assert "without" not in back.explain()


# ── measures ─────────────────────────────────────────────────────────────────────────────────


def test_measures_agree_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    curve = pytest.importorskip("sklearn.calibration").calibration_curve
    rng = np.random.default_rng(0)
    p = rng.random(500)
    y = (rng.random(500) < p**2).astype(float)
    assert auroc(p[y == 1], p[y == 0]) == pytest.approx(metrics.roc_auc_score(y, p))
    ours = reliability_bins(p, y, bins=10)
    hits, means = curve(y, p, n_bins=10)
    np.testing.assert_allclose([mean for mean, _, _ in ours], means)
    np.testing.assert_allclose([hit for _, hit, _ in ours], hits)
    assert sum(share for _, _, share in ours) == pytest.approx(1)


def test_a_weight_is_a_repetition() -> None:
    rng = np.random.default_rng(0)
    p, y, w = rng.random(50), rng.integers(0, 2, 50).astype(float), rng.integers(0, 4, 50)
    weighted = expected_calibration_error(p, y, w.astype(float))
    assert weighted == pytest.approx(expected_calibration_error(np.repeat(p, w), np.repeat(y, w)))


# ── properties ───────────────────────────────────────────────────────────────────────────────


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.integers(1, 12), st.floats(0.01, 0.9), st.integers(1, 10**9))
def test_verdicts_are_probabilities(seed: int, c: int, share: float, records: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.arange(c)[None, :].repeat(4, axis=0)
    values[0] = -1
    values[1, 1:] = -1
    evidence = Evidence(
        values, rng.uniform(-1, 1, (4, c)), rng.uniform(-1, 1, (4, c)),
        rng.integers(1, 1000, (4, c)).astype(float), rng.uniform(-1, 1, 4), values,
    )  # fmt: skip
    verdict = prior(records, share).judge(evidence)
    assert (verdict.probabilities >= 0).all()
    assert ((verdict.null >= -1e-12) & (verdict.null <= 1)).all()
    assert (verdict.probabilities.sum(axis=1) + verdict.null < 1 + 1e-9).all()
    assert (verdict.probabilities.max(axis=1) <= verdict.confidence + 1e-12).all()
    assert verdict.null[0] == 1  # nothing was found


def test_a_nearer_key_is_surer() -> None:
    near = np.linspace(0.1, 0.9, 9)[:, None]
    none = np.zeros((9, 1), int)
    evidence = Evidence(none, near, near, np.ones((9, 1)), np.full(9, 0.1), none)
    verdict = prior(1).judge(evidence)
    assert (np.diff(verdict.confidence) > 0).all()
    assert (np.diff(verdict.null) < 0).all()


def test_a_store_that_asks_itself_moves_away_from_the_prior(made: Made) -> None:
    store = _store(made)
    own = calibrate(store, records=len(made.groups))
    start = prior(len(made.groups))
    assert own.questions > 1000
    assert own.heads != start.heads
    assert own.right != start.right
    assert replace(own, records=1).temperature_at(10**6) < own.temperature


def test_the_background_is_a_mean() -> None:
    encoder = resolve("hashing")
    vector = background(encoder, 1)
    np.testing.assert_allclose(vector, encoder.encode(list(TEXTS)).mean(axis=0), atol=1e-6)


def test_an_encoder_that_reads_no_sentences_has_no_background() -> None:
    class Numbers:
        fingerprint = "only numbers"

        def encode(self, texts: list[str]) -> np.ndarray:
            return np.array([[float(text), 1.0] for text in texts], dtype=np.float32)

    db = Database({"1": "one", "5": "five"}, encoder=Numbers(), lexicon=None)
    assert db.attend("1.1").calibrated
    assert background(Numbers(), 2).tolist() == [0.0, 0.0]
