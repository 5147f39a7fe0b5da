"""Finding documents: ``python benchmarks/retrieval.py``.

nDCG@10 and recall@100 on SciFact and Vaswani by words, by meaning and by both, through
``Database.search``; words beside bm25s. Both sets have a test split only, and nothing was chosen
on it here: all settings are the library's defaults, whose fusion was chosen on half of the queries
of both (see `hybrid.py`). Writes results/retrieval.md and results/retrieval.json.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import bm25s
import datasets
import numpy as np
import Stemmer
from datasets import DATA, SCIFACT, VASWANI, Judged
from defaults import Table
from encoded import remembering
from study import write

import qkv
from qkv.encoders import DEFAULT
from qkv.errors import MissingExtra
from qkv.ranking import (
    mean_reciprocal_rank,
    ndcg_at_k,
    recall_at_k,
)
from qkv.types import Integers, Match

ENCODERS = (DEFAULT, "use", "transformer")
#: What keyword search is told, by what the tables call it.
WORDS: dict[str, dict[str, Any]] = {
    "bm25": {},
    "bm25, stop words": {"stop_words": "en"},
    "bm25, language": {"language": "en"},
    "tfidf": {"scheme": "tfidf"},
    "tfidf, language": {"scheme": "tfidf", "language": "en"},
    "overlap": {"scheme": "overlap"},
    "overlap, stop words": {"scheme": "overlap", "stop_words": "en"},
}
FOUND = 100  # records that are judged: nDCG of the first 10, MRR of 10, recall of all
MEASURES = ("nDCG@10", "MRR@10", "recall@100")

Ranking = list[list[int]]


def main() -> None:
    """Run all of it, print it, and write it down."""
    absent = datasets.missing((*SCIFACT, *VASWANI))
    if absent:
        print(f"The data sets are not in {DATA} (set QKV_DATA): {', '.join(absent)}")
        print("Nothing to do.")
        return
    collections = [Collection(datasets.scifact()), Collection(datasets.vaswani())]
    names = list(_installed(*ENCODERS))
    tables = []
    for table in (
        *(words(one) for one in collections),
        *(meaning(one, names) for one in collections),
    ):
        print(table.markdown(), flush=True)
        tables.append(table)
    write("retrieval", "Finding documents", tables, bm25s=bm25s.__version__)


def _installed(*names: str) -> Iterator[str]:
    """Those of the encoders that can be used here."""
    for name in names:
        try:
            remembering(name)
        except MissingExtra as error:
            print(f"without {name}: {error}")
        else:
            yield name


# ── a collection ─────────────────────────────────────────────────────────────────────────────


class Collection:
    """Documents in a store, their texts the keys; documents of the same text share a record."""

    def __init__(self, judged: Judged) -> None:
        self.name = judged.name
        self.documents = list(judged.documents.values())
        self.queries = list(judged.queries.values())
        numbers = {name: number for number, name in enumerate(judged.documents)}
        self.relevance = [
            {numbers[name]: float(degree) for name, degree in judged.relevant[query].items()}
            for query in judged.queries
        ]
        self._numbers: dict[str, list[int]] = {}
        for number, text in enumerate(self.documents):
            self._numbers.setdefault(text, []).append(number)
        self._stores: dict[str, qkv.Database] = {}

    def store(self, encoder: str) -> qkv.Database:
        """The documents in a database; made once."""
        if encoder not in self._stores:
            db = qkv.Database(encoder=remembering(encoder), lexicon=None)
            db.update(dict.fromkeys(self._numbers))
            self._stores[encoder] = db
        return self._stores[encoder]

    def search(self, encoder: str, k: int = FOUND, **options: Any) -> Ranking:
        """Numbers of the documents found for each query, best first."""
        found = self.store(encoder).search(self.queries, k, **options)
        return [self.numbers(matches)[:k] for matches in found]

    def numbers(self, matches: Sequence[Match]) -> list[int]:
        """Numbers of the documents of some matches."""
        return [number for match in matches for number in self._numbers[match.key]]

    def judge(self, ranking: Ranking, queries: Sequence[int] | None = None) -> list[float]:
        """nDCG@10, MRR@10 and recall@100, of all queries or of some."""
        asked = range(len(self.queries)) if queries is None else queries
        found = _matrix([ranking[q][:FOUND] for q in asked])
        relevance = [self.relevance[q] for q in asked]
        truth = [[n for n, degree in gains.items() if degree > 0] for gains in relevance]
        recalls = [
            recall_at_k(row[None], np.array([true])) for row, true in zip(found, truth, strict=True)
        ]
        return [
            ndcg_at_k(found, relevance, 10),
            mean_reciprocal_rank(found[:, :10], _matrix(truth)),
            float(np.mean(recalls)),
        ]


def _matrix(rows: Sequence[Sequence[int]]) -> Integers:
    """Rows of different lengths side by side, filled up with −1."""
    matrix = np.full((len(rows), max(map(len, rows))), -1, dtype=np.int64)
    for row, numbers in zip(matrix, rows, strict=True):
        row[: len(numbers)] = numbers
    return matrix


# ── words ────────────────────────────────────────────────────────────────────────────────────


def words(collection: Collection) -> Table:
    """Keyword search beside bm25s."""
    rows: list[list[Any]] = []
    for name, options in WORDS.items():
        found = collection.search("hashing", mode="keyword", **options)
        rows.append([f"qkv, {name}", *collection.judge(found)])
    stemmer = Stemmer.Stemmer("english")
    for name, stop_words, stemmed in (
        ("as written", None, None),
        ("stop words", "en", None),
        ("stop words and stems", "en", stemmer),
    ):
        # k₁ and b as here: the rest is what tells the two apart.
        for k1, b in ((1.2, 0.75), (1.5, 0.75)):
            found = _bm25s(collection, k1, b, stopwords=stop_words, stemmer=stemmed)
            what = f"bm25s, {name}, k₁ {k1}" + (" (its default)" if k1 == 1.5 else "")
            rows.append([what, *collection.judge(found)])
    return Table(
        f"{collection.name}: words",
        f"{len(collection.documents):,} documents, {len(collection.queries)} queries. Stop words "
        "and stems are English; bm25s counts by Lucene's formula, b = 0.75.",
        ["", *MEASURES],
        rows,
    )


def _bm25s(collection: Collection, k1: float, b: float, **options: Any) -> Ranking:
    index = bm25s.BM25(method="lucene", k1=k1, b=b)
    corpus = bm25s.tokenize(collection.documents, show_progress=False, **options)
    index.index(corpus, show_progress=False)
    asked = bm25s.tokenize(collection.queries, show_progress=False, **options)
    found, scores = index.retrieve(asked, k=FOUND, show_progress=False, n_threads=1)
    return [row[held > 0].tolist() for row, held in zip(found, scores, strict=True)]


# ── meaning, and both ────────────────────────────────────────────────────────────────────────


def meaning(collection: Collection, encoders: Sequence[str]) -> Table:
    """Semantic and hybrid search."""
    rows: list[list[Any]] = []
    heard: dict[str, dict[str, Any]] = {"as written": {}, "language": {"language": "en"}}
    keyword = {
        name: collection.judge(collection.search("hashing", mode="keyword", **options))
        for name, options in heard.items()
    }
    for name, figures in keyword.items():
        rows.append(["keyword", f"bm25, {name}", *figures, ""])
    for encoder in encoders:
        semantic = collection.judge(collection.search(encoder))
        rows.append([f"semantic, {encoder}", "", *semantic, ""])
        for name, options in heard.items():
            better = max(semantic[0], keyword[name][0])
            for fusion in ("attention", "rrf"):
                both = collection.search(encoder, mode="hybrid", fusion=fusion, **options)
                figures = collection.judge(both)
                gain = f"{figures[0] - better:+.3f}"
                rows.append([f"hybrid, {encoder}", f"{fusion}; bm25, {name}", *figures, gain])
    return Table(
        f"{collection.name}: meaning, and both",
        "Gain: nDCG@10 above the better of the two parts. Attention is the default; rrf with "
        "constant 60; both of the first 100 of each.",
        ["search", "fusion", *MEASURES, "gain"],
        rows,
    )


if __name__ == "__main__":
    main()
