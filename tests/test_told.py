"""Questions that a store was given with their answers, and is calibrated by."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkv import Database, Origin
from qkv.calibration import UNANSWERABLE, Calibration, prior
from qkv.calibration.evidence import Evidence
from qkv.calibration.outcomes import Labelled
from qkv.calibration.told import ENOUGH, Told, fit_told, unanswerable
from qkv.errors import InputError

DIMENSION = 32


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


class Faq:
    """Records of one value each, and questions: near to one, or near to one that is not there.

    A store of such records has nothing to ask itself.
    """

    def __init__(self, records: int = 300, absent: int = 200, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.records = records
        self.keys = unit(self.rng.normal(size=(records + absent, DIMENSION)))
        # Half of what is not there lies beside what is.
        beside = self.keys[: absent // 2] + 0.6 * self.keys[records : records + absent // 2]
        self.keys[records : records + absent // 2] = unit(beside)

    def database(self, **options: object) -> Database:
        db = Database(encoder=None, lexicon=None, **options)  # type: ignore[arg-type]
        keys = self.keys[: self.records]
        db.update([(f"k{i}", f"v{i}") for i in range(self.records)], vectors=keys)
        return db

    def questions(self, count: int) -> list[tuple[np.ndarray, str | None]]:
        places = self.rng.integers(0, len(self.keys), count)
        noise = self.rng.normal(size=(count, DIMENSION)) / np.sqrt(DIMENSION)
        asked = unit(self.keys[places] + self.rng.uniform(0.3, 1.3, (count, 1)) * noise)
        return [
            (q, f"v{i}" if i < self.records else None)
            for q, i in zip(asked, places.tolist(), strict=True)
        ]


@pytest.fixture
def faq() -> Faq:
    return Faq()


def wrong_of(db: Database, questions: list, budget: float) -> tuple[float, float]:
    """Share of wrong answers among those that are given, and of questions with an answer."""
    least = db.calibration.threshold(budget)
    answers = db.attend([q for q, _ in questions], strict=True)
    given = np.array([a.origin is not Origin.NOTHING and a.confidence >= least for a in answers])
    right = np.array([a.value == truth for a, (_, truth) in zip(answers, questions, strict=True)])
    inside = np.array([truth is not None for _, truth in questions])
    return float((~right)[given].mean()) if given.any() else 0.0, float(given[inside].mean())


def gap(db: Database, questions: list) -> float:
    """Between mean confidence and the share of right answers, in fifths by confidence."""
    answers = db.attend([q for q, _ in questions], strict=True)
    sure = np.array([a.candidates[0].probability if a.candidates else 0 for a in answers])
    right = np.array(
        [
            bool(a.candidates) and a.candidates[0].value == truth
            for a, (_, truth) in zip(answers, questions, strict=True)
        ]
    )
    band = np.minimum((sure * 5).astype(int), 4)
    gaps = [abs(sure[band == b].sum() - right[band == b].sum()) for b in range(5)]
    return float(sum(gaps) / len(answers))


# ── what it is for ───────────────────────────────────────────────────────────────────────────


def test_confidence_and_budgets_hold_for_questions_like_them(faq: Faq) -> None:
    db = faq.database()
    later = faq.questions(2000)
    before = gap(db, later)
    wrong_before = wrong_of(db, later, 0.05)[0]
    known = db.calibrate(questions=faq.questions(1000))
    assert known.told == 1000
    assert known.unanswerable == pytest.approx(0.4, abs=0.05)
    assert gap(db, later) < min(0.04, before)
    for budget in (0.05, 0.1):
        wrong, answered = wrong_of(db, later, budget)
        assert wrong < budget + 0.01
        assert answered > 0.25
    assert wrong_before > 0.1  # as without them: this store has nothing to ask itself


def test_the_report_is_about_questions_that_were_held_out(faq: Faq) -> None:
    db = faq.database()
    known = db.calibrate(questions=faq.questions(1000))
    later = faq.questions(2000)
    answers = db.attend([q for q, _ in later], strict=True)
    right = [a.candidates[0].value == t for a, (_, t) in zip(answers, later, strict=True) if t]
    assert known.reliability.accuracy == pytest.approx(np.mean(right), abs=0.04)
    assert known.reliability.ece < 0.08
    assert 0.7 < known.reliability.auroc < 1


def test_it_is_deterministic(faq: Faq) -> None:
    questions = faq.questions(200)
    one, other = (faq.database().calibrate(questions=questions) for _ in range(2))
    assert one == other


def test_more_questions_count_for_more(faq: Faq) -> None:
    """Twenty move the store a little, a thousand to where they are."""
    later = faq.questions(2000)
    gaps = []
    for count in (0, 60, 1000):
        db = faq.database()
        if count:
            db.calibrate(questions=Faq().questions(count))
        gaps.append(gap(db, later))
    assert gaps[2] < gaps[0]
    assert gaps[1] < gaps[0]


# ── what a question's own words say ──────────────────────────────────────────────────────────

CITIES = ["Paris", "Rome", "Berlin", "Madrid", "Vienna", "Lisbon", "Oslo", "Prague"]
THINGS = ["won the race", "hosted the games", "paid for the bridge", "built the tower"]
STORED = {
    f"Who {thing} in {city} in {year}?": f"{thing[:4]} {city} {year}"
    for thing in THINGS for city in CITIES for year in (1999, 2007)
}  # fmt: skip


def _asked(years: dict[int, bool]) -> list[tuple[str, str | None]]:
    """Questions about the years of records, which have an answer, and about others, or not."""
    return [
        (f"who has {thing} in {city}, {year}", f"{thing[:4]} {city} {2007 if year > 2005 else 1999}"
         if right else None)
        for thing in THINGS for city in CITIES for year, right in years.items()
    ]  # fmt: skip


def test_the_guard_counts_as_much_as_it_is_worth_here() -> None:
    """Where another year is another question, more; where it makes no difference, nothing."""
    strict = Database(STORED, encoder="hashing", lexicon=None)
    known = strict.calibrate(questions=_asked({1999: True, 2007: True, 2000: False, 2008: False}))
    assert known.guard > 1.5
    lax = Database(STORED, encoder="hashing", lexicon=None)
    other = lax.calibrate(questions=_asked({1999: False, 2007: True, 2000: False, 2008: True}))
    assert 0 <= other.guard < 0.5
    question = "who has hosted the games in Rome, 2008"
    assert strict.attend(question).null > lax.attend(question).null + 0.2
    assert strict.query(question, strict=True, max_wrong=0.2) == []


# ── what counts as an answer ─────────────────────────────────────────────────────────────────


def test_an_answer_is_a_key_or_a_value() -> None:
    by_key = [(q, next((k for k, v in STORED.items() if v == a), None)) for q, a in
              _asked({1999: True, 2000: False})]  # fmt: skip
    by_value = _asked({1999: True, 2000: False})
    one, other = (
        Database(STORED, encoder="hashing", lexicon=None).calibrate(questions=questions)
        for questions in (by_key, dict(by_value))
    )
    assert one == other


def test_an_answer_that_is_not_stored_is_no_answer() -> None:
    told = [(q, a or "something else") for q, a in _asked({1999: True, 2000: False})]
    none = _asked({1999: True, 2000: False})
    one, other = (
        Database(STORED, encoder="hashing", lexicon=None).calibrate(questions=questions)
        for questions in (told, none)
    )
    assert one == other
    assert one.unanswerable == 0.5


def test_questions_that_are_answered_exactly_are_left_aside() -> None:
    questions = _asked({1999: True, 2000: False})
    db = Database(STORED, encoder="hashing", lexicon=None)
    keys = list(STORED)[:5]
    db.feedback("what is asked often", good=keys[0])
    exact = [(key, STORED[key]) for key in keys] + [("what is asked often", keys[0])]
    assert db.calibrate(questions=exact + questions).told == len(questions)


def test_what_was_learned_turns_them_too() -> None:
    """They are asked by the projection that holds, as any question is."""
    faq = Faq(60, 40)
    db = faq.database()
    questions = faq.questions(600)
    turned = np.linalg.qr(np.random.default_rng(5).normal(size=(DIMENSION, DIMENSION)))[0]
    pairs = [(unit(q @ turned), f"k{a[1:]}") for q, a in questions if a is not None]
    assert db.learn(pairs).kept
    later = [(unit(q @ turned), a) for q, a in faq.questions(600)]
    known = db.calibrate(questions=later)
    assert known.told == 600
    assert known.reliability.accuracy > 0.5
    assert db.unlearn()
    assert db.calibration.reliability.accuracy < 0.3  # asked again, by what holds now


# ── the file ─────────────────────────────────────────────────────────────────────────────────


def test_they_are_kept_and_asked_again_when_the_store_has_changed(faq: Faq, tmp_path: Path) -> None:
    path = tmp_path / "s.qkv"
    questions = faq.questions(300)
    with faq.database(path=path) as db:
        known = db.calibrate(questions=questions)
    with Database(path=path, encoder=None, lexicon=None) as db:
        assert db.calibration == known
        for i in range(0, 300, 2):
            del db[f"k{i}"]
        again = db.calibration
        assert again.told == 300
        assert again.unanswerable > known.unanswerable + 0.2  # half of the answers are gone
        db.calibrate(questions=[])
        assert db.calibration.told == 0
        assert db.calibration.unanswerable == UNANSWERABLE


def test_later_ones_take_the_place_of_those_before(faq: Faq, tmp_path: Path) -> None:
    path = tmp_path / "s.qkv"
    with faq.database(path=path) as db:
        db.calibrate(questions=faq.questions(300))
        db.calibrate(questions=faq.questions(50), unanswerable=0.3)
    file = sqlite3.connect(path)
    assert file.execute("SELECT count(*) FROM questions").fetchone() == (50,)
    file.close()
    with Database(path=path, encoder=None, lexicon=None) as db:
        assert (db.calibration.told, db.calibration.unanswerable) == (50, 0.3)
        db.clear()
        db.put("k", "v", vector=faq.keys[0])
        assert db.calibrate().told == 0


def test_the_share_that_was_seen_holds_until_they_are_forgotten(faq: Faq) -> None:
    db = faq.database()
    questions = faq.questions(200)
    none = sum(answer is None for _, answer in questions)
    assert db.calibrate(questions=questions).unanswerable == none / 200
    assert db.calibrate().unanswerable == none / 200
    known = db.calibrate(unanswerable=0.25)
    assert (known.told, known.unanswerable) == (200, 0.25)
    assert db.calibrate().unanswerable == 0.25
    assert db.calibrate(questions=[]).unanswerable == UNANSWERABLE


def test_a_share_that_was_said_is_not_taken_for_the_usual_one(faq: Faq, tmp_path: Path) -> None:
    path = tmp_path / "s.qkv"
    with faq.database(path=path) as db:
        db.calibrate(questions=faq.questions(100), unanswerable=UNANSWERABLE)
    with Database(path=path, encoder=None, lexicon=None) as db:
        assert db.calibrate().unanswerable == UNANSWERABLE


def test_a_kind_of_answer_that_nobody_knows_is_no_answer(faq: Faq, tmp_path: Path) -> None:
    path = tmp_path / "s.qkv"
    with faq.database(path=path) as db:
        before = db.calibrate(questions=faq.questions(100))
    file = sqlite3.connect(path)
    file.execute("UPDATE questions SET kind = 'colour' WHERE kind IS NOT NULL AND id % 2")
    file.commit()
    file.close()
    with Database(path=path, encoder=None, lexicon=None) as db:
        assert db.calibrate().unanswerable > before.unanswerable


def test_it_is_part_of_what_is_saved(faq: Faq) -> None:
    known = faq.database().calibrate(questions=faq.questions(100))
    assert Calibration.from_json(known.to_json()) == known
    for name in ("told", "guard"):
        saved = json.loads(known.to_json())
        del saved[name]
        assert Calibration.from_json(json.dumps(saved)) is None


# ── too few, and nonsense ────────────────────────────────────────────────────────────────────


def test_too_few_are_refused_and_change_nothing(faq: Faq, tmp_path: Path) -> None:
    db = faq.database(path=tmp_path / "s.qkv")
    before = db.calibrate(questions=faq.questions(100))
    inside = [one for one in faq.questions(100) if one[1] is not None]
    with pytest.raises(InputError, match=f"{len(inside)} are answered .* and 0 by none; give 10"):
        db.calibrate(questions=inside)
    assert db.calibration == before
    assert db.calibrate() == before


def test_an_empty_store_and_keys_for_questions() -> None:
    db = Database(encoder="hashing", lexicon=None)
    with pytest.raises(InputError, match="empty store"):
        db.calibrate(questions=[("a kitten", "cat")])
    db["cat"] = "animal"
    with pytest.raises(InputError, match="0 by none; 1 more are its keys, or were corrected"):
        db.calibrate(questions=[("cat", "animal")])


@pytest.mark.parametrize("value", [7.5, {"n": [1]}, np.array([1.0, 2.0], dtype=np.float32)])
def test_values_of_every_kind_are_answers(value: object) -> None:
    """By the key of their record, and by what they are."""
    db = Database({f"item {i}": i for i in range(20)}, encoder="hashing", lexicon=None)
    db["item 20"] = value
    asked = [(f"the item 20, {i}", value) for i in range(10)]
    none = [(f"weather {i}", None) for i in range(10)]
    named = [(q, "item 20") for q, _ in asked]
    assert db.calibrate(questions=asked + none) == db.calibrate(questions=named + none)


@pytest.mark.parametrize(
    ("questions", "said"),
    [
        ("a question", "questions are a list like .*not a str"),
        (7, "not a int"),
        ([("a", "b", "c")], "question 0 is no pair"),
        (["ab"], "question 0 is no pair"),
        ([("a kitten", None), (7, None)], "query"),
        ([(np.full(256, np.nan), "x")], "nan|NaN|finite"),
        ([(np.ones(4), "x")], "4 dimensions"),
        ([("", None)], "empty string"),
        ([(f"a kitten {i}", None) for i in range(50)], "0 are answered .* and 50 by none"),
    ],
)
def test_what_is_no_question_is_refused(questions: object, said: str) -> None:
    db = Database({"cat": "animal", "one": "number"}, encoder="hashing", lexicon=None)
    with pytest.raises(InputError, match=said):
        db.calibrate(questions=questions)  # type: ignore[arg-type]
    assert db.calibration.told == 0


def test_the_stores_own_questions_stand_for_the_kind_that_is_missing() -> None:
    """Who has collected only questions with answers need not think up others."""
    colours = {f"{shade} {colour}": colour for colour in ("red", "blue", "green", "grey", "pink")
               for shade in ("dark", "light", "pale", "deep", "bright", "warm")}  # fmt: skip
    db = Database(colours, encoder="hashing", lexicon=None)
    own = db.calibrate()
    asked = [(f"a {shade} sort of {colour}", colour) for colour in ("red", "blue", "green")
             for shade in ("soft", "dull", "neon", "dark", "rich")]  # fmt: skip
    known = db.calibrate(questions=asked)
    assert (known.told, known.questions) == (15, own.questions)
    assert known.unanswerable == UNANSWERABLE
    assert known.right != own.right
    assert known.reliability.auroc > 0.5


# ── the fit ──────────────────────────────────────────────────────────────────────────────────


def evidence(rng: np.random.Generator, count: int, near: float) -> Evidence:
    values = np.arange(count * 2).reshape(count, 2)
    scores = np.clip(np.sort(rng.normal(near, 0.1, (count, 2)))[:, ::-1], -1, 1)
    against = np.where(rng.random((count, 2)) < 0.3, -2.0, 0.0)
    ones = np.ones((count, 2))
    return Evidence(values, scores, scores, ones, np.zeros(count), values, against)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 60), st.integers(0, 60))
def test_whatever_is_given_probabilities_come_out(seed: int, inside: int, outside: int) -> None:
    rng = np.random.default_rng(seed)
    found = evidence(rng, inside + outside, rng.uniform(0.2, 0.9))
    truth = np.where(np.arange(inside + outside) < inside, found.values[:, 0], -1)
    start = prior(100)
    known = fit_told(Told(truth, found), start, None, np.random.default_rng(0))
    if min(inside, outside) < ENOUGH:
        assert known == start
        assert unanswerable(truth) is None
        return
    assert unanswerable(truth) == outside / (inside + outside)
    assert known.told == inside + outside
    assert known.guard >= 0
    verdict = known.judge(found)
    for shares in (verdict.confidence, verdict.null, verdict.probabilities):
        assert ((shares >= 0) & (shares <= 1)).all()
    assert (verdict.confidence + verdict.null <= 1 + 1e-12).all()


def test_a_guard_that_speaks_for_nothing_is_not_turned_around() -> None:
    """Words held against a record never make it likelier, whatever a few questions say."""
    rng = np.random.default_rng(0)
    inside, outside = evidence(rng, 40, 0.6), evidence(rng, 40, 0.6)
    inside.contradiction[:] = -2  # type: ignore[index]
    outside.contradiction[:] = 0  # type: ignore[index]
    asked = Labelled(inside.values[:, 0], inside, outside)
    start = prior(100)
    fitted = asked.examples(start).fit(start)
    assert fitted.guard == 0


def test_without_words_against_anything_the_guard_stays_as_it_is() -> None:
    rng = np.random.default_rng(0)
    plain = [evidence(rng, 40, near) for near in (0.7, 0.4)]
    for one in plain:
        one.contradiction[:] = 0  # type: ignore[index]
    start = prior(100)
    asked = Labelled(plain[0].values[:, 0], *plain)
    assert asked.examples(start).fit(start).guard == pytest.approx(1)
