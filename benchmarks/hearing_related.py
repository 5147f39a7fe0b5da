"""Keys and values that belong together, through ``qkv.Database``: shared by ``hearing.py``.

What the value says is a second key: a question is stored with its paragraph, a word with its gloss,
a package with its summary, and something else is asked that only the value may answer. Shuffled,
keys and values have nothing to do with each other, and the value must not harm.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass

import numpy as np
from datasets import DATA, packages, shuffled, xquad_half
from hearing_columns import Part, of_part

from qkv import Database
from qkv.encoders import Encoder

#: Records of a store, and questions asked of it.
STORED, ASKED = 1500, 600
#: Words of a summary that are asked.
WORDS = 4
SEED = 0


@dataclass(frozen=True)
class Related:
    """Records, and questions with the value that answers each."""

    name: str
    records: dict[str, str]
    asked: list[tuple[str, str]]


def related(part: Part) -> list[Related]:
    """Every store of the part."""
    stores = [paragraphs("en", part), paragraphs("de", part), glosses(part), summaries(part)]
    return [*stores, mixed_up(stores[0])]


def paragraphs(language: str, part: Part) -> Related:
    """XQuAD: a question of each paragraph is stored with it, and the others are asked."""
    data = xquad_half(language, tuning=part == "tune")
    questions: dict[int, list[str]] = {}
    for question, row in zip(data.questions, data.paragraph, strict=True):
        questions.setdefault(row, []).append(question)
    several = {row: some for row, some in questions.items() if len(some) > 1}
    return Related(
        f"question → paragraph ({language}), another question",
        {some[0]: data.paragraphs[row] for row, some in several.items()},
        [(q, data.paragraphs[row]) for row, some in several.items() for q in some[1:]],
    )


def glosses(part: Part) -> Related:
    """WordNet: a word is stored with its gloss, and another word for it is asked."""
    with gzip.open(DATA / "wordnet_glosses" / "glosses.tsv.gz", "rt") as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines][1:]
    known = [
        (lemmas.split("; "), gloss)
        for synset, _, lemmas, gloss in rows
        if "; " in lemmas and of_part(synset, part)
    ]
    records: dict[str, str] = {}
    asked = []
    for lemmas, gloss in shuffled(known, SEED):
        if lemmas[0] not in records and len(records) < STORED:
            records[lemmas[0]] = gloss
            asked.append((lemmas[1], gloss))
    return Related(
        "word → gloss, another word",
        records,
        [one for one in asked if one[0] not in records][:ASKED],
    )


def summaries(part: Part) -> Related:
    """Packages: a name is stored with its summary, and some words of the summary are asked."""
    long = [
        (name, summary)
        for name, summary in packages()
        if summary.isascii() and len(summary.split()) >= WORDS + 2 and of_part(name, part)
    ]
    chosen = shuffled(long, SEED)[:STORED]
    rng = np.random.default_rng(SEED)
    asked = [
        (" ".join(rng.choice(summary.split(), WORDS, replace=False)), summary)
        for _, summary in chosen[:ASKED]
    ]
    return Related(f"package → summary, {WORDS} of its words", dict(chosen), asked)


def mixed_up(store: Related) -> Related:
    """The same keys with each other's values; what is right follows the key."""
    values = list(store.records.values())
    other = dict(zip(values, shuffled(values, SEED), strict=True))
    return Related(
        f"{store.name}, values shuffled",
        {key: other[value] for key, value in store.records.items()},
        [(question, other[value]) for question, value in store.asked],
    )


def right(store: Related, encoder: Encoder, *, words: bool, values: bool) -> float:
    """Share of questions whose likeliest candidate is right."""
    db = Database(store.records, encoder=encoder, lexicon=None, read_values=values)
    db._space.hears_words = words  # an ablation: a store has no switch for it
    answers = db.attend([question for question, _ in store.asked])
    found = [
        bool(answer.candidates) and answer.candidates[0].value == value
        for answer, (_, value) in zip(answers, store.asked, strict=True)
    ]
    return float(np.mean(found))
