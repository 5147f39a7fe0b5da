"""Classification by neighbours, as attention: ``python benchmarks/classification.py``.

Sentiment (SST-2), intents (Banking77) and authors (the Federalist Papers): the majority vote of
the k nearest, attention over every key, and logistic regression, on the same vectors; the votes
beside scikit-learn's KNeighborsClassifier. k, β and C are chosen on validation splits; the test
splits are read once, at the end. Writes results/classification.md and classification.json.
"""

from __future__ import annotations

import csv
import datetime
import gzip
import json
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from datasets import DATA, shuffled
from defaults import Table, Vectors
from measure import machine, versions
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

import qkv
import qkv.errors
from qkv.attention import size_temperature, softmax, unit
from qkv.encoders import DEFAULT, resolve
from qkv.types import Floats

RESULTS = Path(__file__).parent / "results"
SEED = 0
KS = (1, 3, 5, 7, 9, 11, 15, 21, 31, 51, 101)
BETAS = (5, 10, 20, 40, 80)
CS = (1.0, 10.0, 100.0)
BESIDE = ("setting", "queries", "qkv", "scikit-learn", "tied", "different", "otherwise")
AUTHORS_C = 10.0
FOREVER = float("inf")
ALL_KEYS = 500  # queries of the comparison over every key: scikit-learn sorts all distances
#: Papers that Hamilton and Madison both claimed; Madison's, by common judgement since
#: Mosteller and Wallace (1964).
DISPUTED = (*range(49, 59), 62, 63)
WINDOW = 100  # words; a paper's vector is the mean of its windows'
#: What is compared; k and β are chosen, and stand beside.
WAYS = ("vote of 3", "vote of k", "k", "attention", "attention at β", "β", "logistic regression")
FREQUENT = 150  # words whose frequency makes a style

Labelled = tuple[list[str], np.ndarray]


@dataclass(frozen=True)
class Split:
    """Texts with labels: to store, to choose on, and to report on."""

    name: str
    train: Labelled
    dev: Labelled
    test: Labelled


def main() -> None:
    """Run all of it, print it, and write it down."""
    absent = [
        name
        for name in ("sst2/train.tsv.gz", "banking77/test.csv.gz", "federalist/text.csv.gz")
        if not (DATA / name).exists()
    ]
    if absent:
        print(f"The data sets are not in {DATA} (set QKV_DATA): {', '.join(absent)}")
        print("Nothing to do.")
        return
    warnings.simplefilter("ignore")  # of scikit-learn, about iterations
    encoders = {name: Vectors(resolve(name)) for name in _installed(DEFAULT, "use", "transformer")}
    accuracy: list[list[Any]] = []
    beside: list[list[Any]] = []
    for split in (sentiment(), intents()):
        for name, vectors in encoders.items():
            row, compared = classify(split, name, vectors)
            accuracy.append(row)
            beside += compared
            print(row, *compared, sep="\n  ", flush=True)
    tables = [
        Table(
            "Accuracy on the test split",
            "k, β and C chosen on the validation split (Banking77: a fifth of the training "
            "split); everything else left alone. Stored: the training split.",
            ["data", "vectors", "most frequent", "nearest", *WAYS, "C"],
            accuracy,
        ),
        Table(
            "Beside scikit-learn",
            "The same vectors, stored in a Database and given to KNeighborsClassifier(metric="
            "'cosine', algorithm='brute'). Tied: queries for which the vote itself is tied, or "
            "the k-th neighbour and the next are equally near (to 1e-6); otherwise: different "
            f"predictions that no tie explains. Over every key: the first {ALL_KEYS} queries.",
            ["data", "vectors", *BESIDE],
            beside,
        ),
        *authors(encoders),
    ]
    for table in tables:
        print(table.markdown(), flush=True)
    _write(tables)


def _installed(*names: str) -> Iterator[str]:
    """Those of the encoders that can be used here."""
    for name in names:
        try:
            resolve(name)
        except qkv.errors.MissingExtra as error:
            print(f"without {name}: {error}")
        else:
            yield name


def _write(tables: list[Table]) -> None:
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    used = versions() | {"scikit-learn": sklearn.__version__}
    facts = {"date": date, "seed": SEED, "machine": machine(), "versions": used}
    RESULTS.mkdir(exist_ok=True)
    record = facts | {"tables": [vars(table) for table in tables]}
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (RESULTS / "classification.json").write_text(text + "\n")
    named = ", ".join(f"{name} {version}" for name, version in used.items())
    head = (
        "# Classification by neighbours\n\nWritten by `benchmarks/classification.py` on "
        f"{date}, seed {SEED}; {named}.\n"
    )
    parts = [head, *(table.markdown() for table in tables)]
    (RESULTS / "classification.md").write_text("\n".join(parts))


# ── data ─────────────────────────────────────────────────────────────────────────────────────


def sentiment() -> Split:
    """SST-2: sentences of film reviews, positive or negative."""
    parts = [_tsv(name) for name in ("train.tsv.gz", "dev.tsv", "test.tsv")]
    return Split("SST-2", *parts)


def _tsv(name: str) -> Labelled:
    path = DATA / "sst2" / name
    raw = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    rows = [line.split("\t") for line in raw.decode().splitlines()]
    names = {"0": "negative", "1": "positive"}
    return [text for text, _ in rows], np.array([names[label] for _, label in rows])


def intents() -> Split:
    """Banking77: what a bank's customer wants, one of 77."""
    rows = shuffled(_csv("train.csv.gz"), SEED)
    fifth = len(rows) // 5
    parts = [_labelled(rows[fifth:]), _labelled(rows[:fifth]), _labelled(_csv("test.csv.gz"))]
    return Split("Banking77", *parts)


def _csv(name: str) -> list[tuple[str, ...]]:
    with gzip.open(DATA / "banking77" / name, "rt", newline="") as file:
        return [tuple(row) for row in csv.reader(file)][1:]


def _labelled(rows: Sequence[tuple[str, ...]]) -> Labelled:
    return [text for text, _ in rows], np.array([label for _, label in rows])


# ── sentiment and intents ────────────────────────────────────────────────────────────────────


def classify(split: Split, name: str, vectors: Vectors) -> tuple[list[Any], list[list[Any]]]:
    """Accuracies of one data set with one encoder, and the rows beside scikit-learn."""
    train, dev, test = (unit(vectors(texts)) for texts, _ in (split.train, split.dev, split.test))
    labels, dev_labels, truth = (side for _, side in (split.train, split.dev, split.test))
    scores = dev @ train.T
    k = _best(KS, [_right(scores, labels, dev_labels, FOREVER, k) for k in KS])
    beta = _best(BETAS, [_right(scores, labels, dev_labels, 1 / beta) for beta in BETAS])
    c = _best(CS, [_logistic(train, labels, dev, dev_labels, c) for c in CS])
    if split.name == "Banking77":  # the fifth that was chosen on is stored for the test too
        train, labels = np.concatenate((train, dev)), np.concatenate((labels, dev_labels))
    with store(train, labels) as db:
        found = {
            "nearest": ask(db, test, top_k=1),
            "vote of 3": ask(db, test, top_k=3, temperature=FOREVER),
            "vote of k": ask(db, test, top_k=k, temperature=FOREVER),
            "all": ask(db, test),
            "β": ask(db, test, temperature=1 / beta),
        }
        compared = list(_beside(db, train, labels, test, truth, sorted({3, k})))
    right = {what: float((answers == truth).mean()) for what, answers in found.items()}
    commonest = Counter(labels.tolist()).most_common(1)[0][0]
    row = [split.name, name, float((truth == commonest).mean())]
    row += [right["nearest"], right["vote of 3"], right["vote of k"], str(k)]
    row += [right["all"], right["β"], str(beta), _logistic(train, labels, test, truth, c), str(c)]
    return row, [[split.name, name, *rest] for rest in compared]


def store(vectors: Floats, labels: np.ndarray) -> qkv.Database:
    """A database of labels under given vectors."""
    db = qkv.Database(encoder=None, lexicon=None)
    db.update(((str(i), label) for i, label in enumerate(labels.tolist())), vectors=vectors)
    return db


def ask(db: qkv.Database, vectors: Floats, **how: Any) -> np.ndarray:
    """The answer to each vector."""
    return np.array([a.value for a in db.attend(vectors, n=1, **how)])


def _best(options: Sequence[Any], right: Sequence[float]) -> Any:
    return options[int(np.argmax(right))]


def _right(
    scores: Floats, labels: np.ndarray, truth: np.ndarray, temperature: float, k: int | None = None
) -> float:
    """Accuracy of attention, by the plain reference."""
    names = np.unique(labels)
    weights, _ = softmax(scores, temperature, top_k=k)
    masses = weights @ (labels[:, None] == names).astype(np.float32)
    return float((names[masses.argmax(axis=1)] == truth).mean())


def _logistic(
    train: Floats, labels: np.ndarray, asked: Floats, truth: np.ndarray, c: float
) -> float:
    model = LogisticRegression(C=c, max_iter=300).fit(train, labels)
    return float(model.score(asked, truth))


def _beside(
    db: qkv.Database,
    train: Floats,
    labels: np.ndarray,
    asked: Floats,
    truth: np.ndarray,
    ks: Sequence[int],
) -> Iterator[list[Any]]:
    """One setting after the other: accuracies, ties, and where the predictions differ."""
    tau = size_temperature(len(train))

    def softly(distances: Floats) -> Floats:
        return np.exp(-distances / tau)

    for k in ks:
        for what, weights, temperature in (
            (f"k = {k}, uniform", "uniform", FOREVER),
            (f"k = {k}, exp(−d/τ)", softly, tau),
        ):
            model = _neighbours(k, weights).fit(train, labels)
            theirs, ours = model.predict(asked), ask(db, asked, top_k=k, temperature=temperature)
            tied = _tied(asked @ train.T, labels, k, voting=temperature == FOREVER)
            yield _compared(what, ours, theirs, truth, tied)
        nearer = _neighbours(k, "distance").fit(train, labels).predict(asked)
        right = float((nearer == truth).mean())
        yield [f"k = {k}, distance (1/d)", len(asked), "", right, "", "", ""]
    some = slice(0, ALL_KEYS)
    theirs = _neighbours(len(train), softly).fit(train, labels).predict(asked[some])
    nothing = np.zeros(len(theirs), dtype=bool)
    yield _compared("every key, exp(−d/τ)", ask(db, asked[some]), theirs, truth[some], nothing)


def _neighbours(k: int, weights: Any) -> KNeighborsClassifier:
    return KNeighborsClassifier(k, weights=weights, metric="cosine", algorithm="brute")


def _compared(
    what: str, ours: np.ndarray, theirs: np.ndarray, truth: np.ndarray, tied: np.ndarray
) -> list[Any]:
    different = ours != theirs
    right = [float((answers == truth).mean()) for answers in (ours, theirs)]
    counts = [int(mask.sum()) for mask in (tied, different, different & ~tied)]
    return [what, len(ours), *right, *counts]


def _tied(scores: Floats, labels: np.ndarray, k: int, *, voting: bool) -> np.ndarray:
    """Queries whose vote, or whose k-th neighbour, is a matter of taste."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, : k + 1]
    best = np.take_along_axis(scores, order, axis=1)
    tied = best[:, k - 1] - best[:, k] < 1e-6
    if voting:
        names, numbers = np.unique(labels, return_inverse=True)
        votes = np.array([np.bincount(numbers[row], minlength=len(names)) for row in order[:, :k]])
        tied |= (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) > 1
    return tied


# ── authors ──────────────────────────────────────────────────────────────────────────────────


def authors(encoders: dict[str, Vectors]) -> Iterator[Table]:
    """The Federalist Papers: leave one out of the known, then ask for the disputed."""
    with gzip.open(DATA / "federalist" / "text.csv.gz", "rt", newline="") as file:
        papers = list(csv.DictReader(file))
    names = np.array([paper["author"] for paper in papers])
    disputed = np.isin(np.arange(1, len(papers) + 1), DISPUTED)
    known = ~disputed & np.isin(names, ("hamilton", "madison", "jay"))
    texts = [paper["body"] for paper in papers]
    kinds = {name: _pooled(texts, vectors) for name, vectors in encoders.items()}
    kinds["frequent words"] = _style(texts, known)
    rows = [
        row
        for name, vectors in kinds.items()
        for row in _by_author(name, vectors, names, known, disputed)
    ]
    commonest = Counter(names[known].tolist()).most_common(1)[0][1]
    yield Table(
        "Authors",
        f"{int(known.sum())} papers of one known author, leaving one out (the commonest wrote "
        f"{commonest}), and the {int(disputed.sum())} disputed ones, right if Madison's. k and β "
        "are chosen on the known papers, by the same leave-one-out: there they flatter. Encoders: "
        f"the mean over windows of {WINDOW} words. Frequent words: z-scores of the frequencies of "
        f"the {FREQUENT} commonest words (cosine Delta), vectors of one's own. C = {AUTHORS_C}.",
        ["vectors", "papers", *WAYS],
        rows,
    )


def _pooled(texts: Sequence[str], vectors: Vectors) -> Floats:
    means = []
    for text in texts:
        words = text.split()
        windows = [" ".join(words[i : i + WINDOW]) for i in range(0, len(words), WINDOW)]
        means.append(vectors(windows).mean(axis=0))
    return unit(np.array(means))


def _style(texts: Sequence[str], known: np.ndarray) -> Floats:
    """How much more or less often than usual each frequent word is used."""
    counts = [Counter(text.split()) for text in texts]
    everything = sum((counts[i] for i in np.flatnonzero(known)), Counter())
    words = [word for word, _ in everything.most_common(FREQUENT)]
    rates = np.array([[count[word] / count.total() for word in words] for count in counts])
    z = (rates - rates[known].mean(axis=0)) / rates[known].std(axis=0)
    return unit(z.astype(np.float32))


def _by_author(
    name: str, vectors: Floats, names: np.ndarray, known: np.ndarray, disputed: np.ndarray
) -> Iterator[list[Any]]:
    papers, labels, asked = vectors[known], names[known], vectors[disputed]
    scores = papers @ papers.T
    np.fill_diagonal(scores, -np.inf)  # leave itself out
    k = _best(KS, [_right(scores, labels, labels, FOREVER, k) for k in KS])
    beta = _best(BETAS, [_right(scores, labels, labels, 1 / beta) for beta in BETAS])
    ways: list[dict[str, Any]] = [
        {"top_k": 3, "temperature": FOREVER},
        {"top_k": k, "temperature": FOREVER},
        {},
        {"temperature": 1 / beta},
    ]
    left_out = np.array([_without(i, papers, labels, ways) for i in range(len(papers))])
    right = (left_out == labels[:, None]).mean(axis=0)
    lone = np.mean([_logistic_without(i, papers, labels) for i in range(len(papers))])
    yield [name, "known", *_row(right, k, beta), float(lone)]
    with store(papers, labels) as db:
        right = np.array([(ask(db, asked, **way) == "madison").mean() for way in ways])
    model = LogisticRegression(C=AUTHORS_C, max_iter=300).fit(papers, labels)
    lone = (model.predict(asked) == "madison").mean()
    yield [name, "disputed", *_row(right, k, beta), float(lone)]


def _row(right: np.ndarray, k: int, beta: int) -> list[Any]:
    of_3, of_k, over_all, at_beta = right.tolist()
    return [of_3, of_k, str(k), over_all, at_beta, str(beta)]


def _without(
    i: int, papers: Floats, labels: np.ndarray, ways: Sequence[dict[str, Any]]
) -> list[str]:
    others = np.arange(len(papers)) != i
    with store(papers[others], labels[others]) as db:
        return [ask(db, papers[i : i + 1], **way)[0] for way in ways]


def _logistic_without(i: int, papers: Floats, labels: np.ndarray) -> bool:
    others = np.arange(len(papers)) != i
    model = LogisticRegression(C=AUTHORS_C, max_iter=300).fit(papers[others], labels[others])
    return bool(model.predict(papers[i : i + 1])[0] == labels[i])


if __name__ == "__main__":
    main()
