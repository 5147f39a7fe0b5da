"""Does a store get better by learning, and never worse? ``python benchmarks/learning.py``.

1. The second article's failure: "The world cup is in the moon" stands as close to "Where is the
   world cup?" as the right answer. Before and after learning from paraphrases, on the article's
   own questions and on other paraphrases, none of which was learned from.
2. CLINC150, all records or 10 of each intent, learned from nothing but the store's own records;
   and Banking77, 10 of each.
3. CLINC150, 10 of each, and 50 … 5,000 other questions of the training split whose intent someone
   told: as corrections alone, and learned from.
4. XQuAD: English questions → paragraphs, learned on questions about some articles, asked about
   others, in English and across languages.
5. Harmful lessons: shuffled intents, and pairs that are wrong.

What was chosen by looking was chosen on CLINC150's validation split. Writes
results/learning.{md,json}; benchmarks/pictures.py draws docs/pictures/learning.png.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "2")

import argparse
import time
from collections.abc import Sequence

import datasets
import numpy as np
from defaults import Table
from encoded import remembering
from intents import Split, _rows, _some, _store, _told, _unit, banking, clinc
from study import SEED, write

from qkv import Database
from qkv.attention import softmax
from qkv.learning import Learning
from qkv.ranking import auroc

ENCODERS = ("glove+use", "use", "transformer")
LABELS = (50, 200, 1000, 5000)
LANGUAGES = ("en", "es", "de", "ru", "zh", "ar", "th", "tr")

# ── the article's example ────────────────────────────────────────────────────────────────────────

#: What may be answered; the last two of each topic are what the article found standing too close.
ANSWERS = {
    "cup": [
        "The world cup is in Qatar",
        "The world cup is in the moon",
        "The previous world cup was in Russia",
    ],
    "sky": ["The sky is blue", "The sky is the limit", "The sky was full of birds yesterday"],
    "bear": [
        "The bear lives in the woods",
        "The bear lives in the fridge",
        "The bear used to live in a cage",
    ],
    "apple": ["An apple is a fruit", "An apple is a planet", "Apple was founded in a garage"],
}
ARTICLE = {
    "cup": ["Where is the world cup?"],
    "sky": ["What color is the sky?"],
    "bear": ["Where does the bear live?"],
    "apple": ["What is an apple?"],
}
TAUGHT = {
    "cup": [
        "In which country is the world cup held?",
        "Who hosts the world cup?",
        "Which place is the world cup played in?",
        "Where do they play the world cup?",
    ],
    "sky": [
        "Which colour does the sky have?",
        "How does the sky look?",
        "Tell me the color of the sky",
        "What shade is the sky?",
    ],
    "bear": [
        "Where can you find a bear?",
        "What is the home of the bear?",
        "In what place do bears live?",
        "Tell me where the bear lives",
    ],
    "apple": [
        "What kind of thing is an apple?",
        "Explain what an apple is",
        "Is an apple a fruit or a vegetable?",
        "What sort of food is an apple?",
    ],
}
HELD_OUT = {
    "cup": [
        "Where does the world cup take place?",
        "What country is the host of the world cup?",
        "Where can I watch the world cup?",
        "The world cup is being played where?",
    ],
    "sky": [
        "What is the colour of the sky?",
        "Is the sky red or blue?",
        "What does the sky look like?",
        "Do you know the sky's color?",
    ],
    "bear": [
        "Where do bears live?",
        "Where is the bear's home?",
        "What place does a bear live in?",
        "Where would I meet a bear?",
    ],
    "apple": [
        "What's an apple?",
        "Define apple",
        "What type of thing would you call an apple?",
        "Apples are what?",
    ],
}


def article() -> Table:
    """The article's questions, and paraphrases, before and after."""
    table = Table(
        "The second article's failure, and its cure",
        "Twelve answers, of which two in three are wrong but stand close. Learned from sixteen "
        "paraphrases with both wrong answers as negatives. Right at first place; margin: by how "
        "much the right answer's cosine is above the better of the two wrong ones.",
        [
            "encoder",
            "the article's 4 questions, before",
            "after",
            "16 other paraphrases, before",
            "after",
            "margin of the article's first, before",
            "after",
            "kept",
            "seconds",
        ],
        [],
    )
    for name in ENCODERS:
        db = Database(encoder=remembering(name), lexicon=None)
        listed = [one for some in ANSWERS.values() for one in some]
        db.update({one: number for number, one in enumerate(listed)})
        before = _article(db, ARTICLE), _article(db, HELD_OUT), _margin(db)
        pairs = [(q, ANSWERS[topic][0]) for topic, some in TAUGHT.items() for q in some]
        wrong = [ANSWERS[topic][1:] for topic, some in TAUGHT.items() for _ in some]
        learned = db.learn(pairs, negatives=wrong)
        after = _article(db, ARTICLE), _article(db, HELD_OUT), _margin(db)
        table.rows.append(
            [name, before[0], after[0], before[1], after[1], before[2], after[2],
             _kept(learned), round(learned.seconds, 1)]
        )  # fmt: skip
        print(table.rows[-1], flush=True)
    return table


def _article(db: Database, questions: dict[str, list[str]]) -> str:
    asked = [(q, ANSWERS[topic][0]) for topic, some in questions.items() for q in some]
    found = db.search([q for q, _ in asked], 1)
    right = sum(one[0].key == key for one, (_, key) in zip(found, asked, strict=True))
    return f"{right} of {len(asked)}"


def _margin(db: Database) -> float:
    scores = {match.key: match.score for match in db.search(ARTICLE["cup"][0], 12)}
    right, *wrong = (scores[key] for key in ANSWERS["cup"])
    return right - max(wrong)


def _kept(learned: Learning) -> str:
    return "yes" if learned.kept else f"no: {learned.why}"


# ── the store's own records ──────────────────────────────────────────────────────────────────────


def intents(asked: str) -> Table:
    """CLINC150 and Banking77, learned from themselves."""
    table = Table(
        f"Learned from the store's own records, without feedback: {asked} split",
        "Share of right answers: by attention alone (the softmax's largest mass; temperature fixed "
        "at 0.05 for all rows), by the nearest key, and by the store with all that it is "
        "calibrated by. AUROC of telling questions out of scope from the others, by the "
        "log-sum-exp of the scores at τ = 0.05, and by the store; ECE of the store's confidence.",
        [
            "encoder",
            "stored",
            "learned",
            "attention",
            "nearest",
            "store",
            "AUROC, log-sum-exp",
            "AUROC, store",
            "ECE",
            "kept",
            "seconds",
        ],
        [],
    )
    test, outside = clinc(asked), clinc(f"oos_{asked}")
    for name in ENCODERS:
        for per in (10, None):
            train = _some(clinc("train"), per)
            stored = "CLINC150, all" if per is None else f"CLINC150, {per} each"
            _self_taught(table, name, stored, train, test, outside)
        train, test_bank = _banking(asked)
        _self_taught(table, name, "Banking77, 10 each", train, test_bank, Split([], []))
    return table


def _banking(asked: str) -> tuple[Split, Split]:
    train, test = banking("train"), banking("test")
    if asked == "val":
        order = np.random.default_rng(SEED).permutation(len(train.texts))
        test, train = _rows(train, order[:2000]), _rows(train, order[2000:])
    return _some(train, 10), test


def _self_taught(
    table: Table, name: str, stored: str, train: Split, test: Split, outside: Split
) -> None:
    db = _store(name, train)
    db.calibrate()
    _measure(table, db, name, stored, "nothing", train, test, outside, None)
    for keys in (False, True):
        learned = db.learn(keys=keys)
        what = "W_Q and W_K" if keys else "W_Q"
        _measure(table, db, name, stored, what, train, test, outside, learned)
        if learned.kept:
            db.unlearn()


def _measure(
    table: Table,
    db: Database,
    name: str,
    stored: str,
    what: str,
    train: Split,
    test: Split,
    outside: Split,
    learned: Learning | None,
) -> None:
    told = _told(db.attend(test.texts), test.labels, db.attend(outside.texts or ["x"]))
    vote, nearest, alone = _attention(db, name, train, test, outside)
    table.rows.append(
        [
            name,
            stored,
            what,
            vote,
            nearest,
            float(told.right.mean()),
            alone if outside.texts else "",
            told.auroc if outside.texts else "",
            told.ece if outside.texts else "",
            "" if learned is None else _kept(learned),
            "" if learned is None else round(learned.seconds, 1),
        ]
    )
    print(table.rows[-1], flush=True)


def _attention(
    db: Database, name: str, train: Split, test: Split, outside: Split
) -> tuple[float, float, float]:
    """Attention alone, on the same vectors and the same W."""
    projection = db._space.projection
    keys = projection.keys(_unit(name, train.texts).astype(np.float32))
    names, groups = np.unique(train.labels, return_inverse=True)
    one_hot = np.eye(len(names), dtype=np.float32)[groups]

    def scores(texts: Sequence[str]) -> np.ndarray:
        return projection.queries(_unit(name, list(texts)).astype(np.float32)) @ keys.T

    inside = scores(test.texts)
    labels = np.array(test.labels)
    vote = (names[(softmax(inside, 0.05)[0] @ one_hot).argmax(axis=1)] == labels).mean()
    nearest = (names[groups[inside.argmax(axis=1)]] == labels).mean()
    if not outside.texts:
        return float(vote), float(nearest), float("nan")

    def mass(found: np.ndarray) -> np.ndarray:
        return np.log(np.exp((found - 1) / 0.05).sum(axis=1))

    return float(vote), float(nearest), auroc(-mass(scores(outside.texts)), -mass(inside))


# ── feedback ─────────────────────────────────────────────────────────────────────────────────────


def feedback(asked: str) -> Table:
    """Questions whose intent someone told: at once, and learned from."""
    table = Table(
        f"Feedback: CLINC150, 10 of each stored, {asked} split",
        "Questions that are not stored, with the intent that someone told: as corrections alone, "
        "and after learning W_Q, or both, from them and from the records. Right answers of the "
        "store, AUROC of out of scope, ECE. Told again: share of the corrected questions that are "
        "answered right at once.",
        ["encoder", "told", "way", "right", "AUROC", "ECE", "told again", "seconds"],
        [],
    )
    train = clinc("train")
    few = _some(train, 10)
    stored = set(few.texts)
    fresh = [i for i, text in enumerate(train.texts) if text not in stored]
    order = np.random.default_rng(SEED).permutation(fresh)
    test, outside = clinc(asked), clinc(f"oos_{asked}")
    name = "use"
    for count in LABELS:
        db = _store(name, few)
        told = _rows(train, order[:count])
        start = time.perf_counter()
        for text, label in zip(told.texts, told.labels, strict=True):
            db.feedback(text, good=label)
        took = time.perf_counter() - start
        db.calibrate()
        for way in ("corrections alone", "learned, W_Q", "learned, W_Q and W_K"):
            if way != "corrections alone":
                took = db.learn(keys="W_K" in way).seconds
            answers = _told(db.attend(test.texts), test.labels, db.attend(outside.texts))
            again = db.attend(told.texts)
            right = [a.value == label for a, label in zip(again, told.labels, strict=True)]
            table.rows.append(
                [name, count, way, float(answers.right.mean()), answers.auroc, answers.ece,
                 float(np.mean(right)), round(took, 1)]
            )  # fmt: skip
            print(table.rows[-1], flush=True)
            if "W_K" not in way and way != "corrections alone":
                db.unlearn()
    return table


# ── retrieval ────────────────────────────────────────────────────────────────────────────────────


def retrieval() -> Table:
    """English questions → paragraphs: other articles, other languages."""
    table = Table(
        "Finding paragraphs: XQuAD",
        "The store holds all 240 English paragraphs. Learned from the English questions of the "
        "first half of the paragraphs; asked are those of the other half, in each language. Right "
        "paragraph at first place, before → after.",
        ["encoder", "learned", *LANGUAGES, "kept", "seconds"],
        [],
    )
    data = {language: datasets.xquad(language) for language in LANGUAGES}
    english = data["en"]
    keys = list(dict.fromkeys(english.paragraphs))
    half = set(keys[: len(keys) // 2])
    right = [english.paragraphs[row] for row in english.paragraph]
    taught = [(q, key) for q, key in zip(english.questions, right, strict=True) if key in half]
    later = [i for i, key in enumerate(right) if key not in half]
    for name in ("glove+use", "use"):
        db = Database(encoder=remembering(name), lexicon=None)
        db.update({key: number for number, key in enumerate(keys)})
        before = _found(db, data, later, right)
        for both in (False, True):
            learned = db.learn(taught, keys=both)
            after = _found(db, data, later, right)
            cells = [f"{before[one]:.3f} → {after[one]:.3f}" for one in LANGUAGES]
            what = "W_Q and W_K" if both else "W_Q"
            table.rows.append([name, what, *cells, _kept(learned), round(learned.seconds, 1)])
            print(table.rows[-1], flush=True)
            if learned.kept:
                db.unlearn()
    return table


def _found(
    db: Database, data: dict[str, datasets.Questions], later: list[int], right: list[str]
) -> dict[str, float]:
    shares = {}
    for language, one in data.items():
        found = db.search([one.questions[i] for i in later], 1)
        hits = [match[0].key == right[i] for match, i in zip(found, later, strict=True)]
        shares[language] = float(np.mean(hits))
    return shares


# ── harm ─────────────────────────────────────────────────────────────────────────────────────────


def harm() -> Table:
    """Lessons that are wrong are refused."""
    table = Table(
        "Harmful lessons",
        "CLINC150, 10 of each, USE, seeds 0 – 4: intents shuffled among the records; and 1,000 "
        "pairs of a question and a record of another intent.",
        ["lesson", "seed", "kept", "held out, before", "after", "own records, before", "after"],
        [],
    )
    train = clinc("train")
    few = _some(train, 10)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        shuffled = Split(few.texts, rng.permutation(few.labels).tolist())
        _harmed(table, "shuffled intents", seed, _store("use", shuffled).learn())
        db = _store("use", few)
        asked = rng.choice(len(train.texts), 1000, replace=False)
        pairs = [(train.texts[i], few.texts[rng.integers(len(few.texts))]) for i in asked]
        _harmed(table, "wrong pairs", seed, db.learn(pairs))
    return table


def _harmed(table: Table, lesson: str, seed: int, learned: Learning) -> None:
    own = learned.parts["own"]
    table.rows.append(
        [lesson, seed, _kept(learned), learned.before.recall, learned.after.recall,
         own.before.recall, own.after.recall]
    )  # fmt: skip
    print(table.rows[-1], flush=True)


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-write", action="store_true", help="print only")
    parser.add_argument("--validation", action="store_true", help="ask the validation split")
    parser.add_argument("--only", nargs="*", help="article, intents, feedback, retrieval, harm")
    options = parser.parse_args()
    asked = "val" if options.validation else "test"
    parts = {
        "article": article,
        "intents": lambda: intents(asked),
        "feedback": lambda: feedback(asked),
        "retrieval": retrieval,
        "harm": harm,
    }
    tables = [make() for name, make in parts.items() if name in (options.only or parts)]
    if not (options.no_write or options.validation or options.only):
        write("learning", "Learning: before and after", tables)


if __name__ == "__main__":
    main()
