"""What each rule of the default encoder's gate gives: ``python benchmarks/gate.py``.

Variants of ``"glove+use+transformer"`` on the tuning columns of ``hearing_columns.py``: without the
gate, without one of its rules, with other weights and slopes; a mean for each group of columns, and
the mean of those. What was chosen is ``qkv.encoders.gate.Rules``. Then stores that fit the weights
of their heads to their own records, and the same stores that do not. Writes
results/gate.{md,json}.

The linear maps by which GloVe's and MiniLM's parts of a text in another language are predicted from
USE are fitted, too (``gate_predictions.py``); ``--predictions`` does that alone, and writes
src/qkv/encoders/data/predictions.npz. Every text and question here is of a part that may be tuned
on.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import argparse
import csv
import gzip
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import inf
from typing import Any

import gate_predictions
import numpy as np
from datasets import CLASSES, DATA, nouns, shuffled
from defaults import Table, Vectors, random_store
from encoded import remembering
from hearing_columns import MEASURES, Ear, Figure, columns, of_part, share
from intents import Split, _some, _told, clinc
from study import SEED, write

from qkv import Database
from qkv.encoders import Encoder, GatedEncoder, HeadsEncoder
from qkv.encoders.gate import RULES, gate
from qkv.encoders.glove import glove_table
from qkv.forms import plain_form
from qkv.types import Floats

SIZES = (50, 512, 384)
EVEN = (1 / 3, 1 / 3, 1 / 3)

#: Columns that count as one, by how they begin; a group for each thing that an encoder is asked.
GROUPS = {
    "sentences, en": ("STS-B en",),
    "es fr de zh": ("STS-B ",),
    "word pairs": ("MEN", "RG-65", "SimVerb", "MTurk", "rare words"),
    "nouns": ("nouns",),
    "phrases": ("phrases",),
    "intents": ("CLINC150", "Banking77"),
    "out of scope": (),  # AUROC, of the same sets
    "abstracts": ("SciFact",),
    "paragraphs": ("XQuAD",),
    "translations": ("Tatoeba",),
    "two languages": ("two languages",),
}


class Remembered:
    """A head whose vectors stay in memory: variants differ in how heads are weighed alone."""

    def __init__(self, name: str) -> None:
        encoder = remembering(name)
        self._vectors = Vectors(encoder)
        self.fingerprint = f"{name}, remembered"

    def encode(self, texts: list[str]) -> Floats:
        """Vectors (n, d)."""
        return self._vectors(texts)


@cache
def heads() -> tuple[Encoder, Encoder, Encoder]:
    """GloVe, USE and MiniLM, as they ship."""
    return Remembered("glove"), Remembered("use"), Remembered("transformer-int8")


class Weighed:
    """Heads beside each other, as keys are weighed, weighed anew by the gate.

    Parameters
    ----------
    beside : Encoder
        Whose vectors have the heads' parts, scaled by √k.
    symmetric : bool
        Scale by √w, keys as well as queries; else queries alone, by w / √k.
    """

    def __init__(self, beside: Encoder, *, symmetric: bool) -> None:
        self._beside, self._symmetric = beside, symmetric

    def encode(self, texts: list[str]) -> Floats:
        """Keys (n, 946)."""
        return self.encode_queries(texts) if self._symmetric else self._plain(texts)

    def encode_queries(self, texts: list[str]) -> Floats:
        """Queries (n, 946)."""
        shares = gate([plain_form(text) for text in texts]).weights / np.array(RULES.keys)
        factors = np.sqrt(shares) if self._symmetric else shares
        weighed: Floats = self._plain(texts) * np.repeat(factors, SIZES, axis=1)
        return weighed

    def _plain(self, texts: list[str]) -> Floats:
        return np.asarray(self._beside.encode([plain_form(text) for text in texts]))


def heads_of(weights: tuple[float, float, float]) -> HeadsEncoder:
    """GloVe, USE and MiniLM with weights that every text has."""
    return HeadsEncoder([(head, w) for head, w in zip(heads(), weights, strict=True) if w])


def gated(**constants: Any) -> GatedEncoder:
    """The default encoder with other constants."""
    return GatedEncoder(*heads(), rules=RULES._replace(**constants))


def variants() -> dict[str, Encoder]:
    """What is compared, by name; the first is what ships."""
    given = {
        "weights of words": {"words": ((0.05, 0.5, 0.45), (0.2, 0.45, 0.35))},
        "weights of sentences": {
            "sentence": ((0.0, 0.4, 0.6), (0.1, 0.3, 0.6), (0.05, 0.45, 0.5), (0.05, 0.25, 0.7))
        },
        "weights of others": {"other": ((0.0, 1.0, 0.0), (0.0, 0.9, 0.1), (0.0, 0.7, 0.3))},
        "weights of keys": {"keys": (EVEN, (0.05, 0.35, 0.6), (0.1, 0.6, 0.3))},
        "short phrases, words": {"few": (2, 4)},
        "slopes": {"english": (6.0, 10.0), "foreign": (18.0, 30.0), "unusual": (6.0, 12.0)},
    }
    without = {
        "no rule for words": {"few": 0},
        "no rule for phrases": {"few": 1},
        "no rule for scripts": {"other_script": 1.0},
        "small words alone tell the language": {"unusual": 0.0},
        "unusual words alone tell the language": {"foreign": 0.0},
        "all Latin letters are English": {"english": inf},
        "all is English": {"english": inf, "other_script": 1.0},
    }
    return {
        "as it is": gated(),
        "glove+use": heads_of((0.3, 0.7, 0.0)),
        "use+transformer": heads_of((0.0, 0.5, 0.5)),
        "no gate, all three alike": heads_of(EVEN),
        "no gate, as keys are weighed": heads_of(RULES.keys),
        "√w on both sides": Weighed(gated(), symmetric=True),
        "nothing predicted": Weighed(heads_of(RULES.keys), symmetric=False),
        "nothing predicted, √w on both sides": Weighed(heads_of(RULES.keys), symmetric=True),
        **{name: gated(**constants) for name, constants in without.items()},
        **{
            f"{what}: {_said(name, value)}": gated(**{name: value})
            for what, constants in given.items()
            for name, values in constants.items()
            for value in values
        },
    }


def _said(name: str, value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(f"{weight:.2f}".lstrip("0") for weight in value)
    return f"{value}" if name == "few" else f"{name} {value:g}"


# ── columns ──────────────────────────────────────────────────────────────────────────────────


def ablation() -> Table:
    """Means over groups of columns, for each variant."""
    table = Table(
        "Variants of the gate, tuning columns",
        "Means over columns that are alike: Spearman's ρ of STS-B and word pairs; nouns, phrases "
        "(nouns of two or three words), intents, paragraphs, translations and stores of two "
        "languages: share right; out of scope: AUROC; abstracts: nDCG@10. Mean: of the groups. "
        "The first row is what ships; of the others the name says in what they differ from it.",
        ["variant", *GROUPS, "mean"],
        [],
    )
    # Not the article's words: few, and known.
    measures = [name for name in MEASURES if name != "article"]
    for name, encoder in variants().items():
        found = columns({name: encoder}, "tune", measures)[name] | phrases(Ear(encoder))
        means = group_means(found)
        table.rows.append([name, *means.values(), float(np.mean(list(means.values())))])
        print(_row(table.rows[-1]), flush=True)
    return table


def group_means(found: Mapping[str, Figure]) -> dict[str, float]:
    """The mean of each group of columns."""
    values: dict[str, list[float]] = {name: [] for name in GROUPS}
    for column, figure in found.items():
        values[_group(column)].append(figure.value)
    return {name: float(np.mean(those)) for name, those in values.items()}


def phrases(ear: Ear) -> dict[str, Figure]:
    """Nouns of two or three words, asked of ten each of eleven kinds."""
    split = _tuned_phrases()
    stored = _some(split, 10, SEED)
    kept = set(stored.texts)
    asked = _first(_where(split, lambda text, _: text not in kept))
    nearest = ear.scores(asked.texts, stored.texts).argmax(axis=1)
    return {"phrases, 10 each": share(np.array(stored.labels)[nearest] == np.array(asked.labels))}


def _tuned_phrases() -> Split:
    """WordNet's nouns of two or three words, each of one kind alone."""
    files: dict[str, set[str]] = {}
    for synset, file, lemmas, _ in gate_predictions.rows("wordnet_glosses/glosses.tsv.gz")[1:]:
        if synset.endswith("-n"):
            for lemma in lemmas.split("; "):
                files.setdefault(lemma, set()).add(file)
    pairs = [
        (lemma, CLASSES[file])
        for lemma, (file, *others) in files.items()
        if not others and file in CLASSES and len(lemma.split()) in (2, 3)
        if lemma.islower() and of_part(lemma, "tune")
    ]
    return Split([lemma for lemma, _ in pairs], [label for _, label in pairs])


def _group(column: str) -> str:
    if column.endswith("(AUROC)"):
        return "out of scope"
    return next(name for name, starts in GROUPS.items() if column.startswith(starts))


# ── weights that a store fits ────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Store:
    """Records, questions that they answer, and questions that they do not."""

    stored: Split
    asked: Split
    beyond: list[str]


def fitting() -> Table:
    """Stores that fit the weights of their heads, beside the same that do not."""
    table = Table(
        "Weights that a store fits to its own records",
        "Means over stores; ± is the standard error of the difference, between stores. ECE and "
        "AUROC: with questions out of scope, where there are any. Moved: share of stores whose "
        "weights are other than given. Seconds: one calibration.",
        ["encoder", "store", "stores", "records", "accuracy", "fitted", "±", "ECE", "fitted", "±",
         "AUROC", "fitted", "moved", "seconds", "fitted"],
        [],
    )  # fmt: skip
    encoders = {"glove+use+transformer": gated, "glove+use": lambda: heads_of((0.3, 0.7, 0.0))}
    for name, encoder in encoders.items():
        for kind, some in _stores().items():
            figures = np.array([_both(encoder(), store) for store in some])
            apart = _beside(figures[:, :, 2])[:2] if some[0].beyond else ["", ""]
            table.rows.append(
                [name, kind, len(some), round(np.mean([len(one.stored.texts) for one in some])),
                 *_beside(figures[:, :, 0]), *_beside(figures[:, :, 1]),
                 *apart, float(figures[:, 1, 4].mean()),
                 *figures[:, :, 3].mean(axis=0).tolist()]
            )  # fmt: skip
            print(_row(table.rows[-1]), flush=True)
    return table


def _beside(figures: np.ndarray) -> list[float]:
    """Means of as given and as fitted (stores, 2), and the error of their difference."""
    difference = figures[:, 1] - figures[:, 0]
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    return [*figures.mean(axis=0).tolist(), float(error)]


def _both(encoder: Any, store: Store) -> list[list[float]]:
    """Accuracy, ECE, AUROC, seconds, and whether weights moved: as given, and as fitted."""
    db = Database(encoder=encoder, lexicon=None)
    db.update(zip(store.stored.texts, store.stored.labels, strict=True))
    own = encoder.parts
    found = []
    for parts in (tuple, own):
        encoder.parts = parts
        start = time.perf_counter()
        known = db.calibrate()
        seconds = time.perf_counter() - start
        beyond = db.attend(store.beyond) if store.beyond else []
        told = _told(db.attend(store.asked.texts), store.asked.labels, beyond)
        moved = float(bool(known.scales))
        found.append([float(told.right.mean()), told.ece, told.auroc, seconds, moved])
    return found


def _stores() -> dict[str, list[Store]]:
    """Stores of tuning parts."""
    beyond = clinc("oos_val").texts + clinc("oos_train").texts
    stored, asked = _bank("train", "in"), _bank("valid", "in")
    strangers = shuffled(_bank("valid", "out").texts, SEED)[:200]
    words = _tuned_nouns()
    intents = [_store(clinc("train"), clinc("val"), beyond, seed) for seed in range(3)]
    lists = [_left_over(words, seed) for seed in range(12)]
    rng = np.random.default_rng(SEED)
    pairs = list(zip(words.texts, words.labels, strict=True))
    return {
        "CLINC150, 10 each": intents,
        "Banking77, 10 each": [_store(stored, asked, strangers, seed) for seed in range(3)],
        "nouns, 10 each": lists,
        "nouns and CLINC150 in one": [
            Store(_joined(a.stored, b.stored), _joined(a.asked, b.asked), beyond)
            for a, b in zip(intents, lists, strict=False)
        ],
        "10 intents, 5 each": [_few_intents(rng, 10, 5) for _ in range(20)],
        "5 intents, 3 each": [_few_intents(rng, 5, 3) for _ in range(20)],
        "5 kinds of nouns, 3 to 10 each": [_few_nouns(pairs, rng) for _ in range(40)],
    }


def _store(train: Split, asked: Split, beyond: list[str], seed: int) -> Store:
    return Store(_some(train, 10, seed), _first(asked), beyond)


def _left_over(words: Split, seed: int) -> Store:
    """Ten words of each kind, and the others asked."""
    stored = _some(words, 10, seed)
    kept = set(stored.texts)
    return Store(stored, _first(_where(words, lambda text, _: text not in kept)), [])


def _few_intents(rng: np.random.Generator, count: int, each: int) -> Store:
    chosen = set(rng.permutation(np.unique(clinc("train").labels))[:count].tolist())
    train, asked = (
        _where(clinc(split), lambda _, label: label in chosen) for split in ("train", "val")
    )
    others = _where(clinc("val"), lambda _, label: label not in chosen).texts
    return Store(_some(train, each, int(rng.integers(1 << 30))), asked, shuffled(others, SEED)[:50])


def _few_nouns(pairs: list[tuple[str, str]], rng: np.random.Generator) -> Store:
    made = random_store(pairs, rng, 3, 10)
    return Store(Split(made.stored, made.stored_labels), Split(made.asked, made.asked_labels), [])


def _where(split: Split, kept: Callable[[str, str], bool]) -> Split:
    pairs = [pair for pair in zip(split.texts, split.labels, strict=True) if kept(*pair)]
    return Split([text for text, _ in pairs], [label for _, label in pairs])


def _joined(one: Split, other: Split) -> Split:
    return Split(one.texts + other.texts, one.labels + other.labels)


def _first(split: Split) -> Split:
    """A thousand of them."""
    pairs = shuffled(list(zip(split.texts, split.labels, strict=True)), SEED)[:1000]
    return Split([text for text, _ in pairs], [label for _, label in pairs])


def _tuned_nouns() -> Split:
    listed = nouns(glove_table().rows, 2000, 40_000)
    ours = [pair for pair in listed if of_part(pair[0], "tune")]
    return Split([word for word, _ in ours], [label for _, label in ours])


def _bank(split: str, scope: str) -> Split:
    """A split of Banking77 with questions out of scope: those in it, or those out of it."""
    with gzip.open(DATA / "banking77_oos" / f"{split}.tsv.gz", "rt", newline="") as lines:
        rows = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    kept = [row for row in rows if row[0] and (row[2] == "in") == (scope == "in")]
    return Split([row[0] for row in kept], [row[1] for row in kept])


# ── predictions ──────────────────────────────────────────────────────────────────────────────


def predictions(*, saving: bool) -> Table:
    """Fit the maps anew, and say what they are worth on what was left out."""
    fit = gate_predictions.fit(lambda line: print(line, flush=True))
    if saving:
        gate_predictions.save(fit.maps)
    strengths = list(fit.tried["glove"])
    return Table(
        "Predictions from USE",
        f"Ridge regression on {fit.texts:,} English texts. Mean cosine of what is predicted and "
        "what the head says, of a tenth of the texts that was left out; and of what is predicted "
        "from a sentence in another language and what the head says of its English translation "
        f"({', '.join(gate_predictions.TUNED)}); λ was chosen by both together. Shipped: of "
        "the maps in the package, which were fitted to all of the texts.",
        ["head", "of", *(f"λ = {one:g}" for one in strengths), "shipped", "chosen"],
        [
            [
                head,
                what,
                *(tried[one][place] for one in strengths),
                fit.shipped[head][place],
                f"λ = {fit.chosen[head]:g}",
            ]
            for head, tried in fit.tried.items()
            for place, what in enumerate(("English texts", "translations"))
        ],
    )


# ── all of it ────────────────────────────────────────────────────────────────────────────────


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", action="store_true", help="fit the maps, and save them")
    parser.add_argument("--only", choices=("ablation", "fitting", "predictions"), help="one table")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    studies: dict[str, Callable[[], Table]] = {
        "predictions": lambda: predictions(saving=options.predictions and not options.no_write),
        "ablation": ablation,
        "fitting": fitting,
    }
    only = "predictions" if options.predictions else options.only
    tables = [study() for name, study in studies.items() if only in (None, name)]
    for table in tables:
        print(table.markdown(), flush=True)
    if only is None and not options.no_write:
        write("gate", "The gate: which head is heard", tables)


def _row(cells: list[Any]) -> str:
    return "  ".join(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells)


if __name__ == "__main__":
    main()
