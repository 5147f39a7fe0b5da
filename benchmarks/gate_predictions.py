"""What GloVe and MiniLM would say, predicted from USE: the fit behind ``gate.py --predictions``.

USE understands sixteen languages, GloVe and MiniLM English. A linear map from USE's vectors to
theirs, fitted to English texts, says what they would say of a text in another language: ridge
regression of unit vectors on unit vectors, without an intercept,

    M = (UᵀU + λ I)⁻¹ UᵀY,

λ chosen by what the maps are for: the mean cosine of what is predicted and what the head says, of
English texts of which it knows no word, or that do not look English, and of sentences in other
languages, where the head is asked of their English translations. Both kinds count alike, and none
is a text of the fit.

Texts are English ones of many kinds, of tuning parts only: words and their meanings, summaries,
captions, utterances, reviews, sentences of an encyclopedia and of a phrase book. What is also asked
in a report is left out.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
from datasets import DATA, shuffled
from encoded import remembering
from hearing_columns import of_part
from intents import banking, clinc

from qkv.encoders import encode_all
from qkv.forms import plain_form
from qkv.types import Floats

SEED = 0
#: One in so many texts is left out of the fit while λ is chosen.
HELD = 10
LAMBDAS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
#: Translations of each language that are texts of the fit; those after them are left out.
TRANSLATED = 700
HEADS = {"glove": "glove", "transformer": "transformer-int8"}
SHIPPED = (
    Path(__file__).parents[1] / "src" / "qkv" / "encoders" / "data" / "predictions.npz"
).resolve()
#: Languages whose English translations are read, and those of a report.
TUNED = ("nld", "swe", "pol", "tur", "rus", "jpn")
_REPORTED = ("deu", "cmn", "spa", "fra")


Cosines = tuple[float, float]


@dataclass(frozen=True)
class Fit:
    """Maps fitted to so many texts.

    `tried` has, for each head and each λ, the mean cosine on texts left out, and on translations;
    `shipped` the same of the maps that are there, which were fitted to the texts left out, too.
    """

    texts: int
    maps: dict[str, Floats]
    chosen: dict[str, float]
    tried: dict[str, dict[float, Cosines]]
    shipped: dict[str, Cosines]


def fit(progress: Callable[[str], None]) -> Fit:
    """Encode the texts and fit both maps, on nine tenths for λ and then on all."""
    texts = english_texts()
    progress(f"{len(texts)} texts")
    foreign, english = _translations()
    sentences, theirs = (encode_all(remembering("use"), one) for one in (texts, foreign))
    held = np.arange(len(texts)) % HELD == 0
    done = Fit(len(texts), {}, {}, {}, {})
    for head, name in HEADS.items():
        own, translated = (encode_all(remembering(name), one) for one in (texts, english))
        progress(f"encoded by {name}")
        known = own.any(axis=1)
        rest, left = known & ~held, known & held
        pairs = (sentences[left], own[left]), (theirs, translated)
        tried = {}
        for strength in LAMBDAS:
            tried[strength] = _cosines(_ridge(sentences[rest], own[rest], strength), pairs)
        best = max(LAMBDAS, key=lambda strength: sum(tried[strength]))
        done.tried[head], done.chosen[head] = tried, best
        done.maps[head] = _ridge(sentences[known], own[known], best)
        done.shipped[head] = _cosines(load()[head], pairs)
    return done


def save(maps: dict[str, Floats]) -> None:
    """Put the maps in the place of those that are shipped."""
    np.savez_compressed(SHIPPED, **{head: one.astype(np.float16) for head, one in maps.items()})


def load() -> dict[str, Floats]:
    """The maps that are shipped: from USE to GloVe (512, 50) and to MiniLM (512, 384)."""
    with np.load(SHIPPED, allow_pickle=False) as saved:
        return {head: saved[head].astype(np.float32) for head in HEADS}


def _ridge(x: Floats, y: Floats, strength: float) -> Floats:
    solved: Floats = np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ y)
    return solved


def _cosines(mapped: Floats, pairs: Iterable[tuple[Floats, Floats]]) -> Cosines:
    one, other = (_cosine(mapped, x, y) for x, y in pairs)
    return one, other


def _cosine(mapped: Floats, x: Floats, y: Floats) -> float:
    """Mean cosine of predictions, by a map as it is shipped, and vectors; zeros do not count."""
    predicted = x @ mapped.astype(np.float16).astype(np.float32)
    lengths = np.linalg.norm(predicted, axis=1) * np.linalg.norm(y, axis=1)
    some = lengths > 0
    return float(((predicted * y).sum(axis=1)[some] / lengths[some]).mean())


# ── texts ────────────────────────────────────────────────────────────────────────────────────


def english_texts() -> list[str]:
    """About 30,000 texts, each once, in their plain form, in an order of their own."""
    told = _reported()
    found = dict.fromkeys(plain_form(text) for text in _all_texts())
    return shuffled([text for text in found if text and text not in told], SEED)


def _all_texts() -> Iterator[str]:
    lemmas, glosses = _words()
    stsb = datasets.sts("en-train")
    packages = [text for name, text in datasets.packages() if of_part(name, "tune")]
    kinds = (
        (4000, lemmas),
        (4000, glosses),
        (4000, [text for text in packages if text.isascii()]),
        (4000, stsb.left + stsb.right),
        (4000, clinc("train").texts),
        (3000, _column("banking77_oos/train.tsv.gz", 0)[1:]),
        (2000, _column("sst2/train.tsv.gz", 0)),
        (1000, _column("pawsx/dev-en.tsv.gz", 0)),
        *((TRANSLATED, _sides(code)[1][:TRANSLATED]) for code in TUNED),
    )
    for most, texts in kinds:
        yield from shuffled(sorted(set(texts)), SEED)[:most]


def _translations() -> tuple[list[str], list[str]]:
    """Sentences that are no texts of the fit, in other languages, and in English."""
    foreign, english = zip(*(_sides(code) for code in TUNED), strict=True)
    told = _reported()
    pairs = [
        pair
        for one, other in zip(foreign, english, strict=True)
        for pair in list(zip(one, other, strict=True))[TRANSLATED:]
        if plain_form(pair[1]) not in told
    ]
    return [plain_form(text) for text, _ in pairs], [plain_form(text) for _, text in pairs]


def _sides(code: str) -> tuple[list[str], list[str]]:
    foreign, english = zip(*datasets.translations(code), strict=True)
    return list(foreign), list(english)


def _words() -> tuple[list[str], list[str]]:
    """WordNet's words and glosses, of the half that may be tuned on."""
    listed = rows("wordnet_glosses/glosses.tsv.gz")[1:]
    lemmas = [lemma for row in listed for lemma in row[2].split("; ") if of_part(lemma, "tune")]
    return lemmas, [row[3] for row in listed if of_part(row[0], "tune")]


def _reported() -> set[str]:
    """Texts that a report asks, and that a tuning part may hold, too."""
    english = {text for code in _REPORTED for _, text in datasets.translations(code)}
    return {plain_form(text) for text in english.union(banking("test").texts, clinc("test").texts)}


def _column(name: str, column: int) -> list[str]:
    return [row[column] for row in rows(name)]


def rows(name: str) -> list[list[str]]:
    """Of a compressed table, by its name in the folder of data."""
    with gzip.open(DATA / name, "rt", encoding="utf-8", newline="") as lines:
        return list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
