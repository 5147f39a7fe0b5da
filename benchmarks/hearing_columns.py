"""What an encoder hears, by its vectors alone: shared by ``hearing.py``.

Every measure is a function of an encoder and a part of the data. ``"tune"`` is what may be chosen
on, ``"report"`` what is told once: no text is asked in both, but the article's words, which are
few and known to all.

The score of a query and a key is the dot product of what ``encode_queries`` and ``encode`` make of
them, whatever their lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import datasets
import numpy as np
from datasets import Pairs
from defaults import spearman
from intents import Split, _rows, _some, banking, clinc

from qkv.encoders import Encoder, encode_all, encode_queries
from qkv.encoders.glove import glove_table
from qkv.ranking import auroc, ndcg_at_k
from qkv.types import Floats

Part = Literal["tune", "report"]

SEED = 0
BATCH = 256
#: Records of each label that are stored, where not all are; and how many draws of them are tried.
EACH = 10
DRAWS = 4
#: Sentences of a language that have a translation.
TRANSLATIONS = 500
DOCUMENTS = 1000


@dataclass(frozen=True)
class Figure:
    """A measure and its standard error."""

    value: float
    error: float


Measure = Callable[["Ear", Part], dict[str, Figure]]


class Ear:
    """An encoder, and the two sides of what it encodes."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def keys(self, texts: Sequence[str]) -> Floats:
        """Encode as keys: (n, d)."""
        return encode_all(self.encoder, texts, batch=BATCH)

    def queries(self, texts: Sequence[str]) -> Floats:
        """Encode as queries: (n, d)."""
        starts = range(0, len(texts), BATCH)
        return np.vstack([encode_queries(self.encoder, texts[i : i + BATCH]) for i in starts])

    def scores(self, queries: Sequence[str], keys: Sequence[str]) -> Floats:
        """Scores of all pairs: (queries, keys)."""
        return self.queries(queries) @ self.keys(keys).T


class Halves:
    """An encoder whose keys are kept in float16."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def encode(self, texts: list[str]) -> Floats:
        """Keys, rounded."""
        vectors = encode_all(self.encoder, texts, batch=BATCH)
        return vectors.astype(np.float16).astype(np.float32)

    def encode_queries(self, texts: list[str]) -> Floats:
        """Queries, as they are."""
        return encode_queries(self.encoder, texts)


# ── figures and their errors ─────────────────────────────────────────────────────────────────


def share(right: np.ndarray) -> Figure:
    """A mean of marks between 0 and 1."""
    return Figure(float(right.mean()), float(right.std() / np.sqrt(len(right))))


def agreement(ear: Ear, pairs: Pairs) -> Figure:
    """Spearman's ρ of scores and people's; the mean of asking the left of the right, and back."""
    sides = ((pairs.left, pairs.right), (pairs.right, pairs.left))
    scores = [np.einsum("ij,ij->i", ear.queries(a), ear.keys(b)) for a, b in sides]
    value = float(np.mean([spearman(one, pairs.alike) for one in scores]))
    # Bonett and Wright (2000), for ρ itself: the variance of Fisher's z times (1 − ρ²)².
    spread = np.sqrt((1 + value**2 / 2) / (len(pairs.alike) - 3))
    return Figure(value, float((1 - value**2) * spread))


def told_apart(inside: Floats, outside: Floats) -> Figure:
    """AUROC, with the error of Hanley and McNeil (1982)."""
    a = auroc(inside, outside)
    m, n = len(inside), len(outside)
    both = a * (1 - a) + (m - 1) * (a / (2 - a) - a * a) + (n - 1) * (2 * a * a / (1 + a) - a * a)
    return Figure(a, float(np.sqrt(max(both, 0.0) / (m * n))))


# ── likeness ─────────────────────────────────────────────────────────────────────────────────


def sentences(ear: Ear, part: Part) -> dict[str, Figure]:
    """STS-B in five languages."""
    split = "dev" if part == "tune" else "test"
    return {
        f"STS-B {language}": agreement(ear, datasets.sts(f"{language}-{split}"))
        for language in ("en", "es", "fr", "de", "zh")
    }


WORD_LISTS: dict[Part, dict[str, str]] = {
    "tune": {
        "MEN": "EN-MEN-TR-3k",
        "RG-65": "EN-RG-65",
        "SimVerb": "EN-SimVerb-3500",
        "MTurk-771": "EN-MTurk-771",
        "MTurk-287": "EN-MTurk-287",
        "rare words": "EN-RW-STANFORD",
    },
    "report": {"SimLex-999": "EN-SIMLEX-999", "WordSim-353": "EN-WS-353-ALL"},
}


def words(ear: Ear, part: Part) -> dict[str, Figure]:
    """Lists of word similarity."""
    lists = WORD_LISTS[part]
    return {name: agreement(ear, datasets.word_pairs(file)) for name, file in lists.items()}


# ── stores of single words ───────────────────────────────────────────────────────────────────

RECORDS = {"one": "number", "cat": "animal", "dog": "animal", "ball": "toy",
           "sphere": "shape", "male": "gender"}  # fmt: skip
#: The article's six queries, and eight that were written down before any encoder was asked: the
#: plainest other words of each value, about as many of each.
QUERIES = {
    "rhombus": "shape", "parabola": "shape", "cylinder": "shape", "cube": "shape",
    "female": "gender", "woman": "gender",
    "seven": "number", "seventy": "number", "twelve": "number",
    "kitten": "animal", "horse": "animal", "wolf": "animal",
    "doll": "toy", "puppet": "toy",
}  # fmt: skip


def article(ear: Ear, part: Part) -> dict[str, Figure]:  # noqa: ARG001
    """Words asked of the article's six records: how many are nearest to a key of their value."""
    values = np.array(list(RECORDS.values()))
    nearest = ear.scores(list(QUERIES), list(RECORDS)).argmax(axis=1)
    right = values[nearest] == np.array(list(QUERIES.values()))
    return {f"words of {len(right)} on six records": Figure(float(right.sum()), 0.0)}


def nouns(ear: Ear, part: Part) -> dict[str, Figure]:
    """Nouns of eleven classes, 10 of each stored: single words asked of single words."""
    listed = datasets.nouns(glove_table().rows, 2000, 40_000)
    ours = [pair for pair in listed if of_part(pair[0], part)]
    split = Split([word for word, _ in ours], [label for _, label in ours])
    stored = _some(split, EACH, SEED)
    kept = set(stored.texts)
    rows = np.array([i for i, word in enumerate(split.texts) if word not in kept])
    return {"nouns, 10 each": share(_nearest_right(ear, stored, _rows(split, rows)))}


def of_part(key: str, part: Part) -> bool:
    """Whether a key of a set without splits belongs to this half."""
    return (blake2b(key.encode(), digest_size=1).digest()[0] % 2 == 0) == (part == "tune")


# ── intents ──────────────────────────────────────────────────────────────────────────────────


def clinc150(ear: Ear, part: Part) -> dict[str, Figure]:
    """CLINC150: the nearest key, the nearest mean, and questions out of scope by the best score."""
    asked = clinc("val" if part == "tune" else "test")
    if part == "tune":
        beyond = clinc("oos_val").texts + clinc("oos_train").texts
    else:
        beyond = clinc("oos_test").texts
    inside, outside = ear.queries(asked.texts), ear.queries(beyond)
    found: dict[str, Figure] = {}
    for name, draws in (("10 each", _draws(clinc("train"))), ("all", [clinc("train")])):
        keys = [ear.keys(stored.texts) for stored in draws]
        found |= _intents(f"CLINC150 {name}", draws, keys, inside, asked)
        best = [[(q @ k.T).max(axis=1) for q in (inside, outside)] for k in keys]
        apart = [told_apart(*scores) for scores in best]
        found[f"CLINC150 {name}, out of scope (AUROC)"] = Figure(
            float(np.mean([one.value for one in apart])), apart[0].error
        )
    return found


def banking77(ear: Ear, part: Part) -> dict[str, Figure]:
    """Banking77: the nearest key and the nearest mean."""
    train, asked = banking("train"), banking("test")
    if part == "tune":
        order = np.random.default_rng(SEED).permutation(len(train.texts))
        asked, train = _rows(train, order[:2000]), _rows(train, order[2000:])
    draws = _draws(train)
    keys = [ear.keys(stored.texts) for stored in draws]
    return _intents("Banking77 10 each", draws, keys, ear.queries(asked.texts), asked)


def _draws(split: Split) -> list[Split]:
    return [_some(split, EACH, seed) for seed in range(DRAWS)]


def _intents(
    name: str, draws: list[Split], keys: list[Floats], queries: Floats, asked: Split
) -> dict[str, Figure]:
    """Nearest key and nearest mean; each question counts by its mean over the draws."""
    pairs = list(zip(draws, keys, strict=True))
    nearest = [_right(queries @ k.T, stored, asked) for stored, k in pairs]
    mean = [_mean_right(queries, k, stored, asked) for stored, k in pairs]
    return {
        f"{name}, nearest": share(np.mean(nearest, axis=0)),
        f"{name}, prototype": share(np.mean(mean, axis=0)),
    }


def _nearest_right(ear: Ear, stored: Split, asked: Split) -> np.ndarray:
    return _right(ear.scores(asked.texts, stored.texts), stored, asked)


def _right(scores: Floats, stored: Split, asked: Split) -> np.ndarray:
    return np.array(stored.labels)[scores.argmax(axis=1)] == np.array(asked.labels)


def _mean_right(queries: Floats, keys: Floats, stored: Split, asked: Split) -> np.ndarray:
    """Whether the label whose mean key, scaled to the keys' length, scores best is right."""
    names, groups = np.unique(stored.labels, return_inverse=True)
    means = np.eye(len(names), dtype=np.float32)[groups].T @ keys
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return names[(queries @ means.T).argmax(axis=1)] == np.array(asked.labels)


# ── documents and paragraphs ─────────────────────────────────────────────────────────────────


def scifact(ear: Ear, part: Part) -> dict[str, Figure]:
    """SciFact: nDCG@10 among 1,000 abstracts: those that any claim needs, and the first others."""
    judged = datasets.scifact()
    needed = [name for gains in judged.relevant.values() for name in gains]
    names = list(dict.fromkeys([*needed, *judged.documents]))[:DOCUMENTS]
    places = {name: place for place, name in enumerate(names)}
    asked = list(judged.queries)[0 if part == "tune" else 1 :: 2]
    scores = ear.scores(
        [judged.queries[query] for query in asked], [judged.documents[name] for name in names]
    )
    best = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    gains = [
        {places[name]: float(degree) for name, degree in judged.relevant[query].items()}
        for query in asked
    ]
    each = [ndcg_at_k(row[None], [gain], 10) for row, gain in zip(best, gains, strict=True)]
    return {"SciFact of 1,000 (nDCG@10)": share(np.array(each))}


def xquad(ear: Ear, part: Part) -> dict[str, Figure]:
    """XQuAD: is the paragraph that answers a question the nearest of its half's?"""
    found = {}
    for language in ("en", "de", "zh"):
        half = datasets.xquad_half(language, tuning=part == "tune")
        nearest = ear.scores(half.questions, half.paragraphs).argmax(axis=1)
        found[f"XQuAD {language}"] = share(nearest == np.array(half.paragraph))
    return found


# ── translations ─────────────────────────────────────────────────────────────────────────────

#: Languages by what Tatoeba calls them.
TRANSLATED: dict[Part, dict[str, str]] = {
    "tune": {"nl": "nld", "pl": "pol", "ru": "rus", "ja": "jpn"},
    "report": {"de": "deu", "zh": "cmn"},
}


def tatoeba(ear: Ear, part: Part) -> dict[str, Figure]:
    """Translations: is the nearest English sentence that of a sentence in another language?"""
    found = {}
    for language, code in TRANSLATED[part].items():
        foreign, english = _sides(code)
        nearest = ear.scores(foreign, english).argmax(axis=1)
        found[f"Tatoeba {language} → en"] = share(_same(english, nearest, english))
    return found


def mixed(ear: Ear, part: Part) -> dict[str, Figure]:
    """Stores of two languages: is the nearest of 1,000 the translation, not a neighbour at home?

    500 sentences of one language are asked; stored are their translations, and the same sentences,
    without the one that is asked.
    """
    found = {}
    for language, code in TRANSLATED[part].items():
        foreign, english = _sides(code)
        for way, own, other in (
            (f"{language} → en", foreign, english),
            (f"en → {language}", english, foreign),
        ):
            stored = other + own
            scores = ear.scores(own, stored)
            scores[np.array(own)[:, None] == np.array(stored)] = -np.inf
            found[f"two languages {way}"] = share(_same(stored, scores.argmax(axis=1), other))
    return found


def _sides(code: str) -> tuple[list[str], list[str]]:
    """Sentences of a language, and the same in English."""
    foreign, english = zip(*datasets.translations(code)[:TRANSLATIONS], strict=True)
    return list(foreign), list(english)


def _same(texts: list[str], places: np.ndarray, right: list[str]) -> np.ndarray:
    """Whether the text is right; the same text may stand in several places."""
    return np.array([texts[place] == text for place, text in zip(places, right, strict=True)])


# ── all of them ──────────────────────────────────────────────────────────────────────────────

MEASURES: dict[str, Measure] = {
    "sentences": sentences,
    "words": words,
    "article": article,
    "nouns": nouns,
    "clinc150": clinc150,
    "banking77": banking77,
    "scifact": scifact,
    "xquad": xquad,
    "tatoeba": tatoeba,
    "mixed": mixed,
}


def columns(
    encoders: Mapping[str, Encoder], part: Part, measures: Sequence[str] = tuple(MEASURES)
) -> dict[str, dict[str, Figure]]:
    """Every measure of some encoders: for comparing variants side by side.

    Parameters
    ----------
    encoders : dict of str to Encoder
        By what they shall be called. Give them a memory (``encoded.remembering``), or, where what
        is compared is how heads are weighed, give their heads one.
    part : {"tune", "report"}
    measures : sequence of str, optional
        Of `MEASURES`.

    Returns
    -------
    dict
        Of encoder to figure by what it is of.
    """
    ears = {name: Ear(encoder) for name, encoder in encoders.items()}
    return {
        name: {
            what: figure
            for measure in measures
            for what, figure in MEASURES[measure](ear, part).items()
        }
        for name, ear in ears.items()
    }
