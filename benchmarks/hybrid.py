"""Hybrid search beside its parts: ``python benchmarks/hybrid.py``.

nDCG@10 by words, by meaning, by ranks alone (rrf) and by the default fusion, with a weak and a
strong encoder, through ``Database.search``: documents (SciFact, Vaswani), questions to paragraphs
in one language and across (XQuAD), translations in stores of one and of two languages (Tatoeba),
names of packages to their summaries. The parts that constants were chosen on, and those that are
only reported: every second query; the first and the second half of the articles; languages; names
by their hash. Writes results/hybrid.md and results/hybrid.json.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
from datasets import DATA, SCIFACT, SUMMARIES, TRANSLATIONS, VASWANI, Judged
from defaults import Table
from encoded import remembering
from study import SEED, write

import qkv
from qkv.encoders import DEFAULT, LIGHT
from qkv.languages import LANGUAGES
from qkv.ranking import ndcg_at_k

#: The default, and the light one.
ENCODERS = (DEFAULT, LIGHT)
FOUND = 10
ASKED = 600  # questions of a set, at most
CODES = {
    "nl": "nld",
    "sv": "swe",
    "pl": "pol",
    "tr": "tur",
    "ru": "rus",
    "ja": "jpn",
    "de": "deu",
    "es": "spa",
    "fr": "fra",
    "zh": "cmn",
}
TUNED = ("nl", "sv", "pl", "tr", "ru", "ja")
PARAGRAPHS = ("en", "de", "es", "ru", "zh", "th")
ACROSS = (("en", "es"), ("en", "th"), ("de", "en"))
PACKAGES, NAMES = 5000, 1500


@dataclass(frozen=True)
class Asked:
    """Texts of a store, questions, which texts are right for each, and which were tuned on."""

    name: str
    texts: list[str]
    questions: list[str]
    right: list[set[str]]
    tuned: np.ndarray
    language: str | None = None
    exclude: bool = False


def main() -> None:
    """Run all of it, print it, and write it down."""
    files = [f"xquad/xquad.{language}.json.gz" for language in PARAGRAPHS]
    absent = datasets.missing((*SCIFACT, *VASWANI, SUMMARIES, TRANSLATIONS, *files))
    if absent:
        print(f"The data sets are not in {DATA} (set QKV_DATA): {', '.join(absent)}")
        print("Nothing to do.")
        return
    tables = []
    for encoder in ENCODERS:
        rows = [row for asked in every(encoder) for row in judged(asked, encoder)]
        tables.append(_table(encoder, rows))
        print(tables[-1].markdown(), flush=True)
    write("hybrid", "Hybrid search beside its parts", tables)


def _table(encoder: str, rows: list[list[Any]]) -> Table:
    return Table(
        f"{encoder}: nDCG@10",
        "Gain: of hybrid above the better of words and meaning. Share: of meaning, as the store "
        "found it; conflict: how far words contradict meaning there.",
        ["set", "part", "asked", "words", "meaning", "rrf", "hybrid", "gain", "share", "conflict"],
        rows,
    )


def judged(asked: Asked, encoder: str) -> Iterator[list[Any]]:
    """Rows of one set: the part that was tuned on, and the part that is reported."""
    order = np.random.default_rng(SEED).permutation(len(asked.questions))[:ASKED]
    questions = [asked.questions[q] for q in order]
    with qkv.Database(encoder=remembering(encoder), lexicon=None) as db:
        db.update(dict.fromkeys(asked.texts))
        number = {text: place for place, text in enumerate(db)}
        options = {"exclude_query": asked.exclude}
        ways: list[dict[str, Any]] = [
            {"mode": "keyword", "language": asked.language},
            {"mode": "semantic"},
            {"mode": "hybrid", "language": asked.language, "fusion": "rrf"},
            {"mode": "hybrid", "language": asked.language},
        ]
        figures = []
        for way in ways:
            matches = db.search(questions, FOUND, **way, **options)
            figures.append(
                [
                    ndcg_at_k(
                        np.array([[number[m.key] for m in row]], dtype=np.int64),
                        [{number[text]: 1.0 for text in asked.right[q]}],
                        FOUND,
                    )
                    for q, row in zip(order, matches, strict=True)
                ]
            )
        about = db._search.scales()
    for part, chosen in (("tuned", asked.tuned[order]), ("reported", ~asked.tuned[order])):
        if chosen.any():
            means = [float(np.mean(np.array(way)[chosen])) for way in figures]
            gain = f"{means[3] - max(means[:2]):+.3f}"
            shown = f"{about[0]:.2f}", f"{about[1]:.2f}"
            yield [asked.name, part, int(chosen.sum()), *means, gain, *shown]


# ── the sets ─────────────────────────────────────────────────────────────────────────────────


def every(encoder: str) -> Iterator[Asked]:
    """All sets; only those of two languages for an encoder that is there for them."""
    if encoder != "use":
        yield documents(datasets.scifact)
        yield documents(datasets.vaswani)
        yield packages()
        for language in PARAGRAPHS:
            yield paragraphs(language, language)
        for asked, stored in ACROSS:
            yield paragraphs(asked, stored)
        for language in ("nl", "es"):
            yield translations(language)
    yield two_languages("en", "de")
    for language in CODES:
        yield among_both(language)


def documents(read: Callable[[], Judged]) -> Asked:
    """Abstracts; every second query was tuned on."""
    data = read()
    queries = list(data.relevant)
    right = [
        {data.documents[name] for name, degree in data.relevant[q].items() if degree > 0}
        for q in queries
    ]
    tuned = np.arange(len(queries)) % 2 == 0
    texts = list(dict.fromkeys(data.documents.values()))
    return Asked(data.name, texts, [data.queries[q] for q in queries], right, tuned, "en")


def packages() -> Asked:
    """Names of packages, asked for their summaries."""
    pairs = datasets.shuffled(datasets.packages(), SEED)[: PACKAGES + 1000]
    texts = list(dict.fromkeys(text for _, text in pairs if len(text.split()) >= 3))[:PACKAGES]
    stored = set(texts)
    asked = [(name, text) for name, text in pairs if text in stored][:NAMES]
    tuned = np.array([zlib.crc32(name.encode()) % 2 == 0 for name, _ in asked])
    names = [name.replace("-", " ").replace("_", " ") for name, _ in asked]
    return Asked("package → summary", texts, names, [{text} for _, text in asked], tuned, "en")


def paragraphs(asked: str, stored: str) -> Asked:
    """Questions of a language, paragraphs of one."""
    ours, theirs = datasets.xquad(asked), datasets.xquad(stored)
    name = f"XQuAD {asked}" if asked == stored else f"XQuAD {asked} → {stored}"
    language = asked if asked == stored and asked in LANGUAGES else None
    right = [{theirs.paragraphs[place]} for place in ours.paragraph]
    return Asked(
        name, theirs.paragraphs, ours.questions, right, _first_half(ours.paragraph), language
    )


def two_languages(one: str, other: str) -> Asked:
    """Paragraphs of two languages in one store, questions of both: either text is right."""
    sides = [datasets.xquad(language) for language in (one, other)]
    right = [
        {side.paragraphs[place] for side in sides} for asked in sides for place in asked.paragraph
    ]
    return Asked(
        f"XQuAD {one} + {other}",
        [text for side in sides for text in side.paragraphs],
        [question for side in sides for question in side.questions],
        right,
        np.concatenate([_first_half(side.paragraph) for side in sides]),
    )


def _first_half(paragraph: Sequence[int]) -> np.ndarray:
    return np.array(paragraph) <= max(paragraph) // 2


def translations(language: str) -> Asked:
    """Sentences of a language, English ones asked."""
    right: dict[str, set[str]] = {}
    pairs = datasets.translations(CODES[language])
    for foreign, english in pairs:
        right.setdefault(english, set()).add(foreign)
    tuned = np.full(len(right), language in TUNED)
    texts = list(dict.fromkeys(foreign for foreign, _ in pairs))
    return Asked(f"Tatoeba en → {language}", texts, list(right), list(right.values()), tuned)


def among_both(language: str) -> Asked:
    """Sentences and their translations in one store; each asks for its translation."""
    right: dict[str, set[str]] = {}
    for pair in datasets.translations(CODES[language]):
        for text, other in (pair, pair[::-1]):
            if text != other:
                right.setdefault(text, set()).add(other)
    tuned = np.full(len(right), language in TUNED)
    texts = list(right)
    name = f"Tatoeba en + {language}"
    return Asked(name, texts, texts, list(right.values()), tuned, None, exclude=True)


if __name__ == "__main__":
    main()
