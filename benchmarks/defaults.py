"""The study behind the defaults: ``python benchmarks/defaults.py``.

Head weight, temperature, the relation head, and a check of the defaults on other words, on the
training and validation splits of public data sets; no test split is read. Writes
results/defaults.md and results/defaults.json.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from datasets import Labelled, Pairs
from measure import machine, versions

import qkv
from qkv.attention import size_temperature, softmax
from qkv.encoders import DEFAULT, Encoder, encode_all, resolve
from qkv.types import Floats

RESULTS = Path(__file__).parent / "results"
SEED = 0

HEAD_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
BETAS = (3, 5, 7, 10, 14, 20, 28, 40, 56, 80)
FACTORS = (1, 2, 3, 4, 5, 6, 8)
#: (classes or all, records per class, repetitions)
STORES = [
    (classes, each, repeats)
    for classes, repeats in ((3, 6), (10, 6), (None, 2))
    for each in (1, 3, 10, 50)
]
ASKED = 600  # queries per store at most
#: Smallest and largest class of the uneven stores.
UNEVEN = ((1, 3), (1, 10), (5, 20))
UNEVEN_STORES = 200
RELATION_SEEDS = range(100, 104)
RELATION_BETAS = (1, 3, 5, 10, 16)
SHARPNESS = (5, 10, 15, 20, 30, 40)
WORDS = 100_000  # the most frequent, that relations are completed from
OTHER_SEEDS = range(1000, 1040)
FIRST_ARTICLE = {
    "encoder": "glove-raw",
    "metric": "dot",
    "temperature": 1.0,
    "imagination": 1.0,
    "decoding": "euclidean",
}


@dataclass(frozen=True)
class Table:
    """A table with its numbers: for people and for machines."""

    title: str
    text: str
    columns: list[str]
    rows: list[list[Any]]

    def markdown(self) -> str:
        """The table in Markdown."""
        lines = [f"## {self.title}\n", f"{self.text}\n"]
        lines += [_line(self.columns), _line(["---"] * len(self.columns))]
        lines += [_line([_cell(cell) for cell in row]) for row in self.rows]
        return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Any) -> str:
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def main() -> None:
    """Run all of it, print it, and write it down."""
    absent = datasets.missing()
    if absent:
        print(f"The data sets are not in {datasets.DATA} (set QKV_DATA): {', '.join(absent)}")
        print("Nothing to do.")
        return
    tables = []
    for study in (head_weight, temperature, relation, other_words):
        for table in study():
            print(table.markdown(), flush=True)
            tables.append(table)
    _write(tables)


def _write(tables: list[Table]) -> None:
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    facts = {"date": date, "seed": SEED, "machine": machine(), "versions": versions()}
    RESULTS.mkdir(exist_ok=True)
    record = facts | {"tables": [vars(table) for table in tables]}
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (RESULTS / "defaults.json").write_text(text + "\n")
    named = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    head = (
        "# The study behind the defaults\n\nWritten by `benchmarks/defaults.py` on "
        f"{date}, seed {SEED}; {named}. Training and validation splits only.\n"
    )
    parts = [head, *(table.markdown() for table in tables)]
    (RESULTS / "defaults.md").write_text("\n".join(parts))


class Vectors:
    """Vectors of texts, each encoded once."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[str, Floats] = {}

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Look up, or encode, an array (n, d)."""
        fresh = list(dict.fromkeys(text for text in texts if text not in self._known))
        self._known.update(zip(fresh, encode_all(self._encoder, fresh), strict=True))
        return np.array([self._known[text] for text in texts])


GLOVE, USE, DEFAULT_ENCODER = (Vectors(resolve(name)) for name in ("glove", "use", DEFAULT))


# ── a. head weight ───────────────────────────────────────────────────────────────────────────


def head_weight() -> Iterator[Table]:
    """How much of the score should be GloVe's, how much USE's."""
    pairs = [datasets.word_pairs(name) for name in datasets.WORD_PAIRS]
    rows: list[list[Any]] = [
        [f"{one.name}, Spearman ρ", *_spearmans(one)] for one in (*pairs, datasets.sentence_pairs())
    ]
    rows.append(["CLINC150 val, 10 per class, nearest key", *_nearest(datasets.clinc())])
    means = np.array([row[1:] for row in rows]).mean(axis=0).tolist()
    rows.append(["mean of the six", *means])
    yield Table(
        "Head weight",
        "Share w of GloVe in w · cos_GloVe + (1 − w) · cos_USE; 0 is USE alone, 1 GloVe alone. "
        "CLINC150: mean of five draws of the ten stored queries per class (seeds 0–4).",
        ["w", *map(str, HEAD_WEIGHTS)],
        rows,
    )


def _spearmans(pairs: Pairs) -> list[float]:
    glove, use = (np.einsum("ij,ij->i", f(pairs.left), f(pairs.right)) for f in (GLOVE, USE))
    return [spearman(w * glove + (1 - w) * use, pairs.alike) for w in HEAD_WEIGHTS]


def spearman(a: Floats, b: Floats) -> float:
    """Rank correlation; equal values share their mean rank."""
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def _nearest(data: Labelled) -> list[float]:
    labels, answers = np.array(data.stored_labels), np.array(data.asked_labels)
    asked = GLOVE(data.asked), USE(data.asked)
    right = np.zeros((5, len(HEAD_WEIGHTS)))
    for seed in range(5):
        kept = draw(labels, sorted(set(labels)), 10, np.random.default_rng(seed))
        stored = [data.stored[i] for i in kept]
        glove, use = (q @ f(stored).T for q, f in zip(asked, (GLOVE, USE), strict=True))
        for column, w in enumerate(HEAD_WEIGHTS):
            nearest = (w * glove + (1 - w) * use).argmax(axis=1)
            right[seed, column] = (labels[kept][nearest] == answers).mean()
    return right.mean(axis=0).tolist()


def draw(
    labels: np.ndarray, classes: Sequence[str], each: int, rng: np.random.Generator
) -> np.ndarray:
    """Places of `each` random members of each class."""
    members = [rng.permutation(np.flatnonzero(labels == name))[:each] for name in classes]
    return np.concatenate(members)


# ── b. temperature ───────────────────────────────────────────────────────────────────────────


def temperature() -> Iterator[Table]:
    """Fixed inverse temperatures against the rule that follows the size of the store."""
    frequent, _ = _split_nouns()
    sets = [
        datasets.clinc(),
        datasets.banking(SEED),
        datasets.as_labelled("nouns", frequent, 2 * len(frequent) // 3),
    ]
    rules: dict[str, Callable[[int], float]] = {f"β = {b}": _fixed(b) for b in BETAS}
    rules |= {f"β = {c} ln(1 + n)": _logarithmic(c) for c in FACTORS}
    rules["τ = size_temperature(n)"] = lambda n: 1 / size_temperature(n)
    scored = [
        (data.name, classes, *_votes(data, classes, each, repeats, rules))
        for data in sets
        for classes, each, repeats in STORES
    ]
    yield _by_store(list(rules), scored)
    yield _by_rule(list(rules), scored)
    yield _uneven(frequent)


def _fixed(beta: float) -> Callable[[int], float]:
    return lambda n: beta  # noqa: ARG005


def _logarithmic(factor: float) -> Callable[[int], float]:
    return lambda n: factor * float(np.log1p(n))


def _votes(
    data: Labelled,
    classes: int | None,
    each: int,
    repeats: int,
    rules: dict[str, Callable[[int], float]],
) -> tuple[int, Floats]:
    """Mean size of the stores, and (rules, 2): accuracy and negative log-likelihood."""
    labels, answers = np.array(data.stored_labels), np.array(data.asked_labels)
    names = sorted(set(data.stored_labels))
    rng = np.random.default_rng(SEED)
    sizes, results = [], []
    for _ in range(repeats):
        chosen = np.array(names)[rng.permutation(len(names))[:classes]]
        stored = draw(labels, list(chosen), each, rng)
        asked = rng.permutation(np.flatnonzero(np.isin(answers, chosen)))[:ASKED]
        queries = DEFAULT_ENCODER([data.asked[i] for i in asked])
        scores = queries @ DEFAULT_ENCODER([data.stored[i] for i in stored]).T
        one_hot = (labels[stored][:, None] == chosen).astype(np.float32)
        truth = (answers[asked][:, None] == chosen).argmax(axis=1)
        betas = [rule(len(stored)) for rule in rules.values()]
        results.append([_vote(scores, one_hot, truth, beta) for beta in betas])
        sizes.append(len(stored))
    return round(np.mean(sizes)), np.mean(results, axis=0)


def _vote(scores: Floats, one_hot: Floats, truth: np.ndarray, beta: float) -> tuple[float, float]:
    weights, _ = softmax(scores, 1 / beta)
    votes = weights @ one_hot
    right = votes[np.arange(len(truth)), truth]
    # 2 % for all classes alike: one miss must not decide everything.
    smoothed = 0.98 * right + 0.02 / one_hot.shape[1]
    return float((votes.argmax(axis=1) == truth).mean()), float(-np.log(smoothed).mean())


def _by_store(rules: list[str], scored: list[Any]) -> Table:
    rows = []
    for name, classes, size, results in scored:
        fixed = results[: len(BETAS)]
        best, likeliest = int(fixed[:, 0].argmax()), int(fixed[:, 1].argmin())
        ours = results[rules.index("τ = size_temperature(n)")]
        rows.append(
            [
                name,
                classes or "all",
                size,
                f"{1 / size_temperature(size):.1f}",
                float(ours[0]),
                f"{fixed[best, 0]:.3f} (β = {BETAS[best]})",
                float(ours[1]),
                f"{fixed[likeliest, 1]:.3f} (β = {BETAS[likeliest]})",
            ]
        )
    return Table(
        "Temperature, by store",
        "Attention vote of the default encoder. Best of: the best of the fixed β in "
        f"{BETAS[0]} … {BETAS[-1]}, chosen for this store with the answers known. "
        "NLL of the right class, 2 % smoothed.",
        ["data", "classes", "n", "β of the rule", "accuracy", "best of", "NLL", "best of"],
        rows,
    )


def _by_rule(rules: list[str], scored: list[Any]) -> Table:
    everything = np.array([results for *_, results in scored])
    best = everything[:, : len(BETAS)]
    lost = best[:, :, 0].max(axis=1)[:, None] - everything[:, :, 0]
    surplus = everything[:, :, 1] - best[:, :, 1].min(axis=1)[:, None]
    columns = (
        everything[:, :, 0].mean(axis=0),
        lost.mean(axis=0),
        lost.max(axis=0),
        everything[:, :, 1].mean(axis=0),
        surplus.mean(axis=0),
    )
    rows = [[rule, *map(float, numbers)] for rule, *numbers in zip(rules, *columns, strict=True)]
    return Table(
        "Temperature, by rule",
        f"The same {len(everything)} stores, each counting alike. Lost: against the best fixed β "
        "of that store.",
        ["rule", "accuracy", "lost", "lost at worst", "NLL", "surplus"],
        rows,
    )


def _uneven(nouns: list[tuple[str, str]]) -> Table:
    """Stores whose classes differ in size: a warm softmax prefers the large ones."""
    rows = []
    for least, most in UNEVEN:
        results = []
        for seed in range(UNEVEN_STORES):
            store = random_store(nouns, np.random.default_rng((SEED, seed)), least, most)
            names = np.array(sorted(set(store.stored_labels)))
            one_hot = (np.array(store.stored_labels)[:, None] == names).astype(np.float32)
            truth = (np.array(store.asked_labels)[:, None] == names).argmax(axis=1)
            scores = DEFAULT_ENCODER(store.asked) @ DEFAULT_ENCODER(store.stored).T
            betas = [_logarithmic(factor)(len(store.stored)) for factor in (*FACTORS, 1e4)]
            results.append([_vote(scores, one_hot, truth, beta) for beta in betas])
        mean = np.mean(results, axis=0)
        kind = f"{least} … {most} per class"
        rows.append([f"{kind}, accuracy", *mean[:, 0].tolist()])
        rows.append([f"{kind}, NLL", *mean[:, 1].tolist()])
    return Table(
        "Temperature, uneven stores",
        f"Attention vote of the default encoder, {UNEVEN_STORES} random stores of five classes of "
        "frequent nouns, each class of a random size; eight words asked of each class.",
        ["β = c ln(1 + n), c", *map(str, FACTORS), "∞ (nearest key)"],
        rows,
    )


def random_store(
    nouns: list[tuple[str, str]], rng: np.random.Generator, least: int, most: int
) -> Labelled:
    """Five random classes, each of `least` to `most` words, and eight other words of each."""
    words, labels = (np.array(side) for side in zip(*nouns, strict=True))
    names, counts = np.unique(labels, return_counts=True)
    stored: list[tuple[str, str]] = []
    asked: list[tuple[str, str]] = []
    for name in rng.permutation(names[counts >= most + 8])[:5].tolist():
        size = int(rng.integers(least, most + 1))
        members = [(word, name) for word in rng.permutation(words[labels == name]).tolist()]
        stored += members[:size]
        asked += members[size : size + 8]
    return datasets.as_labelled("a random store", stored + asked, len(stored))


def _split_nouns() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Frequent nouns in two halves: one for the temperature, one held out for `other_words`."""
    nouns = datasets.nouns(qkv.Lexicon.glove().rows, 0, 40_000)
    order = datasets.shuffled(nouns, SEED)
    return order[: len(order) // 2], order[len(order) // 2 :]


# ── c. the relation head ─────────────────────────────────────────────────────────────────────


def relation() -> Iterator[Table]:
    """Complete relations: φ(q) + Σ α (v − φ(k)), decoded among the most frequent words."""
    lexicon = qkv.Lexicon.glove()
    pairs = {
        name: [pair for pair in known if _frequent(lexicon, pair)]
        for name, known in datasets.relations().items()
    }
    hits = np.zeros((len(RELATION_SEEDS), len(pairs), len(RELATION_BETAS)))
    surprise = np.zeros((*hits.shape, len(SHARPNESS)))
    for i, seed in enumerate(RELATION_SEEDS):
        for j, (stored, asked) in enumerate(_halves(pairs, seed)):
            hits[i, j], surprise[i, j] = _complete(lexicon, stored, asked)
    others = [j for j, name in enumerate(pairs) if name != "capital-world"]
    yield _by_relation(pairs, hits, others)
    yield _by_sharpness(surprise[:, others].mean(axis=(0, 1)))


def _frequent(lexicon: qkv.Lexicon, pair: tuple[str, str]) -> bool:
    places = lexicon.places(pair)
    return bool((places >= 0).all() and (places < WORDS).all())


def _halves(
    pairs: dict[str, list[tuple[str, str]]], seed: int
) -> Iterator[tuple[list[tuple[str, str]], list[tuple[str, str]]]]:
    """Each relation's pairs to store and to ask."""
    rng = np.random.default_rng(seed)
    for known in pairs.values():
        shuffled = [known[i] for i in rng.permutation(len(known))]
        yield shuffled[: len(known) // 2], shuffled[len(known) // 2 :]


def _complete(
    lexicon: qkv.Lexicon, stored: list[tuple[str, str]], asked: list[tuple[str, str]]
) -> tuple[list[float], list[list[float]]]:
    """P@1 for each β, and the NLL for each β and sharpness."""
    keys, values = ([pair[side] for pair in stored] for side in (0, 1))
    queries, answers = ([pair[side] for pair in asked] for side in (0, 1))
    offsets = lexicon.embed(values) - lexicon.embed(keys)
    start = lexicon.embed(queries)
    scores = DEFAULT_ENCODER(queries) @ DEFAULT_ENCODER(keys).T
    truth, own = lexicon.places(answers), lexicon.places(queries)
    rows = np.arange(len(asked))
    hits, surprise = [], []
    for beta in RELATION_BETAS:
        weights, _ = softmax(scores, 1 / beta)
        found = lexicon.score(start + weights @ offsets, limit=WORDS)
        found[rows, own] = -np.inf  # the question is no answer to itself
        hits.append(float((found.argmax(axis=1) == truth).mean()))
        surprise.append([_nll(found, truth, sharpness) for sharpness in SHARPNESS])
    return hits, surprise


def _nll(scores: Floats, truth: np.ndarray, sharpness: float) -> float:
    logits = sharpness * (scores - scores.max(axis=1, keepdims=True))
    right = logits[np.arange(len(truth)), truth]
    return float((np.log(np.exp(logits).sum(axis=1)) - right).mean())


def _by_relation(pairs: dict[str, list[tuple[str, str]]], hits: Floats, others: list[int]) -> Table:
    mean = hits.mean(axis=0)
    public = [_through_database(*halves) for halves in _halves(pairs, RELATION_SEEDS[0])]
    rows: list[list[Any]] = [
        [name, len(known), *mean[j].tolist(), public[j]]
        for j, (name, known) in enumerate(pairs.items())
    ]
    for what, chosen in (
        ("mean of the 13 others than capital-world", others),
        ("mean of all", list(range(len(pairs)))),
    ):
        average = float(np.mean([public[j] for j in chosen]))
        rows.append([what, "", *mean[chosen].mean(axis=0).tolist(), average])
    seeds = f"{RELATION_SEEDS[0]}–{RELATION_SEEDS[-1]}"
    return Table(
        "The relation head, by temperature",
        f"Half of a relation stored, the other half asked; P@1 among the {WORDS:,} most frequent "
        f"words, mean of seeds {seeds}. Last column: `Database(records, head='relation')` with "
        f"every other setting left alone, seed {RELATION_SEEDS[0]}.",
        ["relation", "pairs", *(f"β = {b}" for b in RELATION_BETAS), "Database"],
        rows,
    )


def _through_database(stored: list[tuple[str, str]], asked: list[tuple[str, str]]) -> float:
    with qkv.Database(dict(stored), head="relation") as db:
        answers = db.attend([query for query, _ in asked])
    right = [a.value == truth for a, (_, truth) in zip(answers, asked, strict=True)]
    return float(np.mean(right))


def _by_sharpness(surprise: Floats) -> Table:
    return Table(
        "The relation head, by sharpness",
        "Negative log-likelihood of the right word under softmax(sharpness · cosine), the 13 "
        "relations other than capital-world.",
        ["β", *(f"sharpness {s}" for s in SHARPNESS)],
        [[str(beta), *row.tolist()] for beta, row in zip(RELATION_BETAS, surprise, strict=True)],
    )


# ── d. other words ───────────────────────────────────────────────────────────────────────────


def other_words() -> Iterator[Table]:
    """The defaults on small stores of words that nothing was tuned on."""
    _, held_out = _split_nouns()
    rarer = datasets.nouns(qkv.Lexicon.glove().rows, 40_000, 100_000)
    kinds = {
        "frequent nouns (rank < 40,000)": held_out,
        "rarer nouns (rank 40,000–100,000)": rarer,
    }
    rows = []
    for kind, nouns in kinds.items():
        right = np.array([_small_store(nouns, seed) for seed in OTHER_SEEDS])
        mean = right.mean(axis=0)
        error = right.std(axis=0, ddof=1) / np.sqrt(len(right))
        cells = [f"{m:.3f} ± {e:.3f}" for m, e in zip(mean, error, strict=True)]
        rows.append([kind, *cells, "0.200"])
    seeds = f"{OTHER_SEEDS[0]}–{OTHER_SEEDS[-1]}"
    yield Table(
        "Other words",
        f"{len(OTHER_SEEDS)} stores (seeds {seeds}) of five random classes, one to three words "
        "each; 40 other words asked of each, eight per class; share with the class's name as the "
        "first answer, ± standard error over the stores. The frequent nouns are the half that the "
        "temperature study does not use.",
        ["words", *_ASKERS, "chance"],
        rows,
    )


def _ask(strict: bool = False, **options: Any) -> Callable[[dict[str, str], list[str]], list[Any]]:
    def answers(records: dict[str, str], words: list[str]) -> list[Any]:
        with qkv.Database(records, **options) as db:
            return [(db.query(word, n=1, strict=strict) or [None])[0] for word in words]

    return answers


def _nearest_key(records: dict[str, str], words: list[str]) -> list[Any]:
    with qkv.Database(records) as db:
        return [db.search(word, k=1)[0].value for word in words]


_ASKERS: dict[str, Callable[[dict[str, str], list[str]], list[Any]]] = {
    "default": _ask(),
    "default, strict": _ask(strict=True),
    "nearest key": _nearest_key,
    "first article": _ask(**FIRST_ARTICLE),
    "GloVe alone": _ask(encoder="glove"),
    "USE alone": _ask(encoder="use"),
}


def _small_store(nouns: list[tuple[str, str]], seed: int) -> list[float]:
    """Accuracy of each way to ask one random store."""
    store = random_store(nouns, np.random.default_rng(seed), 1, 3)
    records = dict(zip(store.stored, store.stored_labels, strict=True))
    answers = [ask(records, store.asked) for ask in _ASKERS.values()]
    truth = np.array(store.asked_labels)
    return [float((np.array(one) == truth).mean()) for one in answers]


if __name__ == "__main__":
    main()
