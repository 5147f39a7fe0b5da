"""Public data sets: those that the defaults were chosen on, and those that search is judged on.

The defaults were chosen on training and validation splits only.

They lie in the folder that the environment variable ``QKV_DATA`` names (by default
``../shared/data`` beside the checkout). benchmarks/README.md says where each comes from.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

DATA = Path(
    os.environ.get("QKV_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")
).resolve()

WORD_PAIRS = ("EN-WS-353-ALL", "EN-SIMLEX-999", "EN-MEN-TR-3k", "EN-RG-65")

#: WordNet's lexicographer files of concrete nouns.
CLASSES = {
    "05": "animal",
    "06": "artifact",
    "08": "body",
    "12": "feeling",
    "13": "food",
    "15": "location",
    "18": "person",
    "20": "plant",
    "25": "shape",
    "27": "substance",
    "28": "time",
}

_NEEDED = (
    "wordsim/questions-words.txt.gz",
    "stsb/stsb-en-dev.csv.gz",
    "clinc150/data_full.json.gz",
    "banking77/train.csv.gz",
    "wordnet_glosses/glosses.tsv.gz",
    *(f"wordsim/{name}.txt" for name in WORD_PAIRS),
)


@dataclass(frozen=True)
class Labelled:
    """Texts with labels: some to store, others to ask."""

    name: str
    stored: list[str]
    stored_labels: list[str]
    asked: list[str]
    asked_labels: list[str]


@dataclass(frozen=True)
class Pairs:
    """Pairs of texts and how alike people find them."""

    name: str
    left: list[str]
    right: list[str]
    alike: np.ndarray


@dataclass(frozen=True)
class Judged:
    """Documents, queries, and which documents people found relevant to which query."""

    name: str
    documents: dict[str, str]
    queries: dict[str, str]
    relevant: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Questions:
    """Questions about paragraphs of one language; `paragraph` says which paragraph answers each."""

    language: str
    paragraphs: list[str]
    questions: list[str]
    paragraph: list[int]


def missing(names: Iterable[str] = _NEEDED) -> list[str]:
    """Files that are needed and not there."""
    return [name for name in names if not (DATA / name).exists()]


def word_pairs(name: str) -> Pairs:
    """A word-similarity list."""
    lines = (DATA / "wordsim" / f"{name}.txt").read_text().splitlines()
    rows = [line.split() for line in lines if line.strip()]
    return _pairs(name, [row[:3] for row in rows])


def sentence_pairs() -> Pairs:
    """The development split of the STS benchmark, English."""
    return sts("en-dev")


def sts_file(name: str) -> Path | None:
    """Where a split of the STS benchmark lies, if it is there: ``"en-dev"``, ``"zh-test"``."""
    found = [DATA / "stsb" / f"stsb-{name}.csv{end}" for end in ("", ".gz")]
    return next((path for path in found if path.exists()), None)


def sts(name: str) -> Pairs:
    """A split of the STS benchmark, in a language: ``"en-dev"``, ``"zh-test"``."""
    path = sts_file(name)
    assert path is not None
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        return _pairs(name, list(csv.reader(file)))


def _pairs(name: str, rows: Sequence[Sequence[str]]) -> Pairs:
    left, right, alike = zip(*rows, strict=True)
    return Pairs(name, list(left), list(right), np.array(alike, dtype=np.float64))


def clinc() -> Labelled:
    """CLINC150, in scope: 15,000 training queries, 3,000 of validation."""
    with gzip.open(DATA / "clinc150" / "data_full.json.gz", "rt") as file:
        splits = json.load(file)
    return _labelled("CLINC150", splits["train"], splits["val"])


def banking(seed: int) -> Labelled:
    """The training split of Banking77, cut in two."""
    with gzip.open(DATA / "banking77" / "train.csv.gz", "rt", newline="") as file:
        rows = shuffled([tuple(row) for row in csv.reader(file)][1:], seed)
    return _labelled("Banking77", rows[:8000], rows[8000:])


def _labelled(
    name: str, stored: Sequence[Sequence[str]], asked: Sequence[Sequence[str]]
) -> Labelled:
    texts, labels = zip(*stored, strict=True)
    queries, answers = zip(*asked, strict=True)
    return Labelled(name, list(texts), list(labels), list(queries), list(answers))


def nouns(ranks: dict[str, int], lowest: int, highest: int) -> list[tuple[str, str]]:
    """Nouns with their class: single lower-case words of one class, of a range of frequency.

    Parameters
    ----------
    ranks : dict
        Word to its rank by frequency.
    lowest, highest : int
        Ranks to keep, `highest` excluded.
    """
    files: dict[str, set[str]] = {}
    with gzip.open(DATA / "wordnet_glosses" / "glosses.tsv.gz", "rt") as lines:
        for line in lines:
            synset, file, lemmas, _ = line.rstrip("\n").split("\t")
            if synset.endswith("-n"):
                for lemma in lemmas.split("; "):
                    files.setdefault(lemma, set()).add(file)
    return [
        (word, CLASSES[file])
        for word, (file, *others) in files.items()
        if not others and file in CLASSES and word.isalpha() and word.islower()
        if lowest <= ranks.get(word, -1) < highest
    ]


def as_labelled(name: str, pairs: Sequence[tuple[str, str]], stored: int) -> Labelled:
    """The first pairs to store, the rest to ask."""
    return _labelled(name, pairs[:stored], pairs[stored:])


def relations() -> dict[str, list[tuple[str, str]]]:
    """The Google analogy list: each relation as distinct pairs, lower case."""
    found: dict[str, dict[str, str]] = {}
    with gzip.open(DATA / "wordsim" / "questions-words.txt.gz", "rt") as lines:
        for line in lines:
            if line.startswith(":"):
                pairs = found.setdefault(line[1:].strip(), {})
                continue
            a, b, c, d = line.lower().split()
            pairs.setdefault(a, b)
            pairs.setdefault(c, d)
    return {name: list(pairs.items()) for name, pairs in found.items()}


FOOD = "usda_food/food.tsv.gz"


def foods() -> list[tuple[str, float]]:
    """Foods with the energy in 100 g of them, in kcal: 8,194 short descriptions, in lower case."""
    with gzip.open(DATA / FOOD, "rt", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        (", ".join(row["Shrt_Desc"].lower().split(",")), float(row["Energ_Kcal"])) for row in rows
    ]


# ── search ───────────────────────────────────────────────────────────────────────────────────

SCIFACT = ("scifact/corpus.jsonl.gz", "scifact/queries.jsonl.gz", "scifact/qrels.test.tsv")
VASWANI = ("vaswani/doc-text.trec.gz", "vaswani/query-text.trec", "vaswani/qrels")
SUMMARIES = "pypi_summaries/pypi_summaries_250k.tsv.gz"
TRANSLATIONS = "tatoeba/tatoeba_v1.tar.gz"


def scifact() -> Judged:
    """SciFact as BEIR has it: 5,183 abstracts with their titles, 300 claims; the test split."""
    corpus, asked, judged = (DATA / name for name in SCIFACT)
    with gzip.open(corpus, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    documents = {str(row["_id"]): f"{row['title']} {row['text']}".strip() for row in rows}
    with gzip.open(asked, "rt") as lines:
        queries = {str(row["_id"]): row["text"] for row in map(json.loads, lines)}
    judgements = [line.split() for line in judged.read_text().splitlines()[1:]]
    return _judged("SciFact", documents, queries, judgements)


def vaswani() -> Judged:
    """The NPL collection: 11,429 abstracts of physics, 93 queries; these in capitals, lowered."""
    corpus, asked, judged = (DATA / name for name in VASWANI)
    with gzip.open(corpus, "rt") as file:
        found = re.findall(r"<DOCNO>(.*?)</DOCNO>(.*?)</DOC>", file.read(), re.DOTALL)
    documents = {number.strip(): " ".join(text.split()) for number, text in found}
    found = re.findall(r"<num>(\d+)</num><title>(.*?)</title>", asked.read_text(), re.DOTALL)
    queries = {number: " ".join(text.lower().split()) for number, text in found}
    judgements = [line.split() for line in judged.read_text().splitlines()]
    return _judged("Vaswani", documents, queries, [(q, d, n) for q, _, d, n in judgements])


def _judged(
    name: str,
    documents: dict[str, str],
    queries: dict[str, str],
    judgements: Iterable[Sequence[str]],
) -> Judged:
    relevant: dict[str, dict[str, int]] = {}
    for query, document, degree in judgements:
        relevant.setdefault(query, {})[document] = int(degree)
    return Judged(name, documents, {query: queries[query] for query in relevant}, relevant)


def translations(language: str) -> list[tuple[str, str]]:
    """Sentences of a language (``"deu"``) with their English translations, from Tatoeba."""
    sides = _tatoeba()
    name = f"tatoeba.{language}-eng"
    return list(zip(sides[f"{name}.{language}"], sides[f"{name}.eng"], strict=True))


@cache
def _tatoeba() -> dict[str, list[str]]:
    with tarfile.open(DATA / TRANSLATIONS) as archive:
        files = [(Path(member.name).name, archive.extractfile(member)) for member in archive]
        return {name: file.read().decode().splitlines() for name, file in files if file}


def xquad(language: str) -> Questions:
    """XQuAD: 1,190 questions about 240 paragraphs, translated; in the same order in each."""
    return _questions(language, _articles(language))


def xquad_half(language: str, *, tuning: bool) -> Questions:
    """The first half of the articles of XQuAD, or the second."""
    articles = _articles(language)
    middle = len(articles) // 2
    return _questions(language, articles[:middle] if tuning else articles[middle:])


def _articles(language: str) -> list[Any]:
    with gzip.open(DATA / "xquad" / f"xquad.{language}.json.gz", "rt") as file:
        articles: list[Any] = json.load(file)["data"]
    return articles


def _questions(language: str, articles: Sequence[Any]) -> Questions:
    found = [one for article in articles for one in article["paragraphs"]]
    asked = [(qa["question"], row) for row, one in enumerate(found) for qa in one["qas"]]
    questions, paragraph = zip(*asked, strict=True)
    return Questions(language, [one["context"] for one in found], list(questions), list(paragraph))


def summaries(count: int) -> list[str]:
    """The first so many one-line summaries of Python packages, 250,000 at most; all distinct."""
    with gzip.open(DATA / SUMMARIES, "rt") as lines:
        rows = (line.rstrip("\n").split("\t")[1] for line in islice(lines, 1, None))
        return list(islice(dict.fromkeys(rows), count))


def packages() -> list[tuple[str, str]]:
    """Names of Python packages with their one-line summaries: 250,000."""
    with gzip.open(DATA / SUMMARIES, "rt") as lines:
        rows = (line.rstrip("\n").split("\t") for line in islice(lines, 1, None))
        return [(name, summary) for name, summary, *_ in rows]


def shuffled(items: Sequence[T], seed: int) -> list[T]:
    """The items in an order of their own."""
    order = np.random.default_rng(seed).permutation(len(items))
    return [items[i] for i in order]
