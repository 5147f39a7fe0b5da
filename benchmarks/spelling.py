"""Spelling, case and form: ``python benchmarks/spelling.py [--encoder NAME]``.

Questions with slips of the fingers, in capitals, in full width, with look-alikes, soft hyphens and
letters held down, as they are and as ``qkv.forms`` and ``qkv.spelling`` read them; what is done to
clean questions, names, codes and other languages; how long it takes. ``--fit`` prints the channel
that ``qkv.spelling`` ships, from tuning parts alone. Writes results/spelling.{md,json}.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import argparse
import csv
import gzip
import random
import re
import time
import unicodedata
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from datasets import DATA, SUMMARIES, summaries, translations, xquad
from defaults import Table
from encoded import remembering
from intents import Split, banking, clinc
from study import SEED, write

from qkv.encoders.glove import glove_table
from qkv.forms import plain_form
from qkv.ranking import auroc
from qkv.spelling import FITTED, Channel, Vocabulary, mend
from qkv.spelling.vocabulary import folded, lowered

ENCODERS = ("glove+use", "use+transformer")
#: Records of each value that are stored, and questions asked.
STORED, ASKED, ASKED_BEFORE = 10, 1500, 500
WORD = re.compile(r"[^\W\d_]+")
#: Keys by row, and by how much a row is shifted: the slips' keyboard is not the channel's.
ROWS = (("qwertyuiop", 0.0), ("asdfghjkl", 0.25), ("zxcvbnm", 0.75))
#: Names of programs as they are typed, none of them chosen by what becomes of it.
TOOLS = (
    "kubectl nginx redis etcd postgres mysql sqlite numpy scipy pandas pytest mypy ruff uvicorn "
    "gunicorn celery kafka zookeeper grafana prometheus ansible terraform jenkins gitlab webpack "
    "eslint npm yarn vite tmux vim zsh ffmpeg rsync systemd journalctl iptables openssl sudo grep "
    "awk sed chmod curl wget hadoop hdfs sklearn pytorch cuda onnx fastapi"
)
QUESTIONS = ("what is {}'s number", "call {}", "phone number of {}", "how do i reach {}")
PEOPLE = 500


# ── slips, and other ways to write ───────────────────────────────────────────────────────────


@cache
def beside(key: str) -> str:
    """Keys beside a key."""
    at = {c: (x + shift, y) for y, (row, shift) in enumerate(ROWS) for x, c in enumerate(row)}
    x, y = at[key]
    return "".join(c for c, (u, v) in at.items() if c != key and (u - x) ** 2 + (v - y) ** 2 <= 1.6)


def slipped(word: str, rng: random.Random) -> str:
    """The word with one slip: two letters swapped, one missing, one too many, or one beside."""
    while True:
        i = rng.randrange(len(word))
        kind = rng.choice(("swap", "drop", "more", "other"))
        c = word[i].lower()
        key = rng.choice(beside(c)) if c in "qwertyuiopasdfghjklzxcvbnm" else c
        if kind == "swap":
            made = word[:i] + word[i + 1 : i + 2] + word[i] + word[i + 2 :]
        elif kind == "drop":
            made = word[:i] + word[i + 1 :]
        elif kind == "more":
            made = word[:i] + rng.choice((c, key)) + word[i:]
        else:
            made = word[:i] + key + word[i + 1 :]
        if made.lower() != word.lower():
            return made


def with_slips(text: str, seed: int = SEED, only: str | None = None) -> str:
    """A text with one slip in half of its words of four letters or more."""
    rng = random.Random(zlib.crc32(f"{seed} {text}".encode()))

    def of(found: re.Match[str]) -> str:
        word = found[0]
        if len(word) < 4 or (only is not None and word.lower() not in only):
            return word
        return slipped(word, rng) if only is not None or rng.random() < 0.5 else word

    return WORD.sub(of, text)


def wide(text: str) -> str:
    """In full width."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def drawn(text: str) -> str:
    """In mathematical letters."""
    return "".join(chr(0x1D41A + ord(c) - 97) if "a" <= c <= "z" else c for c in text)


ALIKE = dict(zip("aeopcyxijs", "аеорсухіјѕ", strict=True))


def alike(text: str) -> str:
    """With Cyrillic letters for all that have one that looks the same."""
    return "".join(ALIKE.get(c, c) for c in text)


def hyphened(text: str) -> str:
    """With a soft hyphen, or a space without width, in every word of four letters or more."""
    return WORD.sub(
        lambda w: w[0][:2] + "\u00ad\u200b"[len(w[0]) % 2] + w[0][2:] if len(w[0]) > 3 else w[0],
        text,
    )


def held(text: str) -> str:
    """With a vowel held down in half of the words of three letters or more."""
    rng = random.Random(zlib.crc32(text.encode()))

    def of(found: re.Match[str]) -> str:
        at = [i for i, c in enumerate(found[0]) if c in "aeiouy"]
        if len(found[0]) < 3 or not at or rng.random() < 0.5:
            return found[0]
        i = rng.choice(at)
        return found[0][:i] + found[0][i] * rng.randint(3, 6) + found[0][i + 1 :]

    return WORD.sub(of, text)


def accented(text: str) -> str:
    """With an accent on a vowel of every word of four letters or more."""
    return WORD.sub(
        lambda w: (
            re.sub(
                "[aeiou]", lambda c: unicodedata.normalize("NFC", c[0] + "\u0301"), w[0], count=1
            )
            if len(w[0]) > 3
            else w[0]
        ),
        text,
    )


WAYS: dict[str, Callable[[str], str]] = {
    "capitals": str.upper,
    "full width": wide,
    "mathematical letters": drawn,
    "look-alikes": alike,
    "soft hyphens": hyphened,
    "letters held down": held,
    "accents": accented,
}


# ── data ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Look:
    """Records, and questions to them."""

    name: str
    stored: Split
    asked: Split
    outside: list[str]

    @property
    def vocabulary(self) -> Vocabulary:
        """The words of the records."""
        return _vocabulary(tuple(self.stored.texts))


@cache
def _vocabulary(texts: tuple[str, ...]) -> Vocabulary:
    return Vocabulary(texts)


def looks(*, tuning: bool) -> list[Look]:
    """CLINC150 and Banking77, so many records of each value."""
    found = []
    train = clinc("train")
    part = "val" if tuning else "test"
    found.append(
        Look(
            "CLINC150",
            _few(train, STORED)[0],
            _sample(clinc(part)),
            clinc(f"oos_{part}").texts + (clinc("oos_train").texts if tuning else []),
        )
    )
    stored, rest = _few(banking("train"), STORED)
    found.append(Look("Banking77", stored, _sample(rest if tuning else banking("test")), []))
    return found


def small() -> Look:
    """A store of 50 questions of CLINC150's training part, asked about the same values."""
    one, _ = _few(clinc("train"), 1)
    stored = _sample(one, 50)
    val = clinc("val")
    rows = [i for i, label in enumerate(val.labels) if label in stored.labels]
    return Look("50 records", stored, _rows(val, rows), [])


def _few(split: Split, count: int) -> tuple[Split, Split]:
    """So many of each label, and the others."""
    order = np.random.default_rng(SEED).permutation(len(split.texts))
    seen: dict[str, int] = {}
    first, rest = [], []
    for i in order.tolist():
        seen[split.labels[i]] = seen.get(split.labels[i], 0) + 1
        (first if seen[split.labels[i]] <= count else rest).append(i)
    return _rows(split, first), _rows(split, rest)


def _sample(split: Split, count: int = ASKED) -> Split:
    order = np.random.default_rng(SEED).permutation(len(split.texts))
    return _rows(split, order[:count].tolist())


def _rows(split: Split, rows: Sequence[int]) -> Split:
    return Split([split.texts[i] for i in rows], [split.labels[i] for i in rows])


def _tuned(text: str) -> bool:
    """Whether a text is in the half that is tuned on, by its hash."""
    return zlib.crc32(text.encode()) % 2 == 0


def packages(*, tuning: bool) -> list[str]:
    """2,000 names of Python packages, lower case letters alone."""
    with gzip.open(DATA / SUMMARIES, "rt") as lines:
        names = [row[0] for row in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)][1:]
    fit = [n for n in names if n.isascii() and n.isalpha() and n.islower() and _tuned(n) == tuning]
    return random.Random(SEED).sample(fit, 2000)


def people(*, tuning: bool) -> tuple[list[str], list[str]]:
    """A phone book of so many people, and so many others: names as often as in the US census."""
    import names

    rng = random.Random(SEED)
    folder = Path(names.__file__).parent
    first = [*_census(folder / "dist.female.first"), *_census(folder / "dist.male.first")]
    last = _census(folder / "dist.all.last")
    chosen: list[str] = []
    for part in ([one for one in first if _tuned(one[0]) == tuning],):
        given = rng.choices([n for n, _ in part], [w for _, w in part], k=8 * PEOPLE)
        of_half = [one for one in last if _tuned(one[0]) == tuning]
        family = rng.choices([n for n, _ in of_half], [w for _, w in of_half], k=8 * PEOPLE)
        chosen = list(dict.fromkeys(f"{a} {b}" for a, b in zip(given, family, strict=True)))
    return chosen[:PEOPLE], chosen[PEOPLE : 5 * PEOPLE]


def _census(path: Path) -> list[tuple[str, float]]:
    rows = [line.split() for line in path.read_text().splitlines()]
    return [(row[0].lower(), float(row[1])) for row in rows]


def single_words() -> list[str]:
    """1,000 words that GloVe has among its commonest."""
    words = [
        w for w in glove_table().words[1000:20000] if w.isascii() and w.isalpha() and len(w) > 4
    ]
    return random.Random(SEED).sample(words, 1000)


def codes() -> list[str]:
    """500 codes of products and errors."""
    rng = random.Random(SEED)

    def letters(n: int) -> str:
        return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=n))

    def digits(n: int) -> str:
        return "".join(rng.choices("0123456789", k=n))

    made = []
    for _ in range(100):
        made += [
            f"{letters(1)}{digits(4)}",
            f"{letters(3).upper()}-{digits(3)}",
            f"{letters(2)}{digits(2)}{letters(2)}",
            f"{letters(4)}_{letters(5)}",
            f"{letters(4).upper()}-{digits(2)}{letters(1).upper()}",
        ]
    return made


# ── what is mended, and what is harmed ───────────────────────────────────────────────────────


def changed(texts: Sequence[str], read: Callable[[str], str]) -> tuple[float, list[str]]:
    """Percent of the words of clean texts that are changed, and the changes."""
    count, found = 0, []
    for text in map(plain_form, texts):
        before, after = WORD.findall(text), WORD.findall(read(text))
        count += len(before)
        found += [f"{a} → {b}" for a, b in zip(before, after, strict=True) if a != b]
    return 100 * len(found) / max(1, count), found


def mended(texts: Sequence[str], read: Callable[[str], str]) -> tuple[float, float]:
    """Of words with a slip: percent that are read rightly, and wrongly."""
    count = right = wrong = 0
    for text in map(plain_form, texts):
        bad = with_slips(text)
        words = (WORD.findall(lowered(one)) for one in (text, bad, read(bad)))
        for clean, slip, found in zip(*words, strict=True):
            if clean != slip:
                count += 1
                right += found == clean
                wrong += found not in (clean, slip)
    return 100 * right / max(1, count), 100 * wrong / max(1, count)


def reader(vocabulary: Vocabulary, channel: Channel = FITTED) -> Callable[[str], str]:
    """What reads a question: its form, then its spelling."""

    def read(text: str) -> str:
        return mend(plain_form(text), vocabulary, channel=channel).text

    return read


def bent(
    book: Sequence[str], others: Sequence[str], channel: Channel = FITTED
) -> tuple[float, ...]:
    """Percent of people whose name is read rightly with a slip; of others, read as a stored one."""
    words = Vocabulary(book)
    read = reader(words, channel)
    right = 0
    for i, name in enumerate(book):
        question = QUESTIONS[i % len(QUESTIONS)]
        right += read(question.format(one_slip(name, i))) == question.format(name)
    wrong = near = 0
    for i, name in enumerate(others):
        question = QUESTIONS[i % len(QUESTIONS)]
        wrong += read(question.format(name)) != question.format(name)
        near += any(w not in words and _close(w, words) for w in name.split())
    return 100 * right / len(book), 100 * wrong / len(others), 100 * wrong / max(1, near)


def one_slip(name: str, seed: int) -> str:
    """A name with a slip in one of its words of four letters or more."""
    rng = random.Random(seed)
    words = name.split()
    long = [i for i, word in enumerate(words) if len(word) > 3]
    if not long:
        return name
    i = rng.choice(long)
    return " ".join(slipped(word, rng) if j == i else word for j, word in enumerate(words))


def _close(word: str, words: Vocabulary) -> bool:
    from qkv.spelling.edits import one_edit

    return bool(one_edit(word, "", words.counts))


def goodness(channel: Channel) -> tuple[float, dict[str, float]]:
    """How good a channel is on the tuning parts: one number, and what it is made of."""
    told: dict[str, float] = {}
    total = 0.0
    for look in (*looks(tuning=True), small()):
        read = reader(look.vocabulary, channel)
        texts = look.asked.texts[:500]
        right, wrong = mended(texts, read)
        harm, _ = changed(look.asked.texts, read)
        told |= {
            f"{look.name} right": right,
            f"{look.name} wrong": wrong,
            f"{look.name} clean": harm,
        }
        total += (right - 1.5 * wrong - 15 * harm) / 3
    read = reader(looks(tuning=True)[0].vocabulary, channel)
    data = xquad("en")
    told["other English"] = changed(data.questions[: len(data.questions) // 2][:300], read)[0]
    told["package names"] = changed(packages(tuning=True), read)[0]
    told["names right"], told["names bent"], _ = bent(*people(tuning=True), channel)
    told["single words right"], _ = mended(single_words(), read)
    total -= 10 * told["other English"] + 2 * told["package names"]
    total += 0.1 * told["single words right"]
    total += 0.3 * told["names right"] - 3 * told["names bent"]
    return total, told


GRID: dict[str, tuple[float, ...]] = {
    "near": (2.0, 2.5, 3.5, 4.0),
    "vowel": (3.5, 5.5),
    "other": (6.0, 8.0),
    "missing": (2.0, 3.0, 3.5),
    "missing_double": (0.5, 1.5, 2.0),
    "beside": (3.0, 3.5, 5.0),
    "extra": (4.0, 6.0, 7.0),
    "doubled": (2.0, 2.5, 4.0),
    "swapped": (1.5, 2.0, 3.0),
    "form": (0.0, 1.0, 2.0, 3.0, 4.0),
    "first": (0.0, 0.5, 1.0, 1.5),
    "any": (2.5, 3.5, 4.0),
    "alone": (0.0, 1.0, 3.0, 4.0),
    "three": (0.0, 2.0),
    "four": (0.0, 0.5, 1.5),
    "unknown": (-19.0, -18.0, -21.0),
    "share": (0.2, 0.4, 0.5),
    "firm": (300.0, 3000.0),
    "context": (0.3, 0.5),
    "most": (30.0, 300.0),
    "rare": (1.0, 10.0),
    "common": (30_000, 100_000),
}


def fit() -> Channel:
    """Choose constants one at a time, as long as any other value is better."""
    best = FITTED
    most, told = goodness(best)
    print(f"{most:.2f}", {k: round(v, 2) for k, v in told.items()}, flush=True)
    for _ in range(2):
        before = best
        for field in fields(Channel):
            for value in GRID.get(field.name, ()):
                tried = replace(best, **{field.name: value})
                good, told = goodness(tried)
                if good > most + 0.1:
                    best, most = tried, good
                    shown = {k: round(v, 2) for k, v in told.items()}
                    print(f"{most:.2f} {field.name} = {value}", shown, flush=True)
        if best == before:
            break
    print(best)
    return best


# ── what it is worth ─────────────────────────────────────────────────────────────────────────


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", action="append", help=f"default: {', '.join(ENCODERS)}")
    parser.add_argument("--fit", action="store_true", help="the channel of qkv.spelling, only")
    parser.add_argument("--tuning", action="store_true", help="ask the tuning parts")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    if options.fit:
        fit()
        return
    encoders = options.encoder or ENCODERS
    tables = [
        slips(encoders, tuning=options.tuning),
        forms(encoders, tuning=options.tuning),
        phone_book(encoders, tuning=options.tuning),
        harm(tuning=options.tuning),
        foreign(tuning=options.tuning),
        speed(),
    ]
    for table in tables:
        print(table.markdown(), flush=True)
    if not options.no_write and not options.tuning:
        write("spelling", "Spelling, case and form", tables)


def _unit(name: str, texts: Sequence[str]) -> np.ndarray:
    vectors = remembering(name).encode(list(texts))
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


class Asked:
    """Nearest key and prototype of a store, for an encoder."""

    def __init__(self, name: str, stored: Split) -> None:
        self.name, self.labels = name, np.array(stored.labels)
        self.keys = _unit(name, [plain_form(text) for text in stored.texts])
        self.values, groups = np.unique(self.labels, return_inverse=True)
        means = np.stack([self.keys[groups == i].mean(axis=0) for i in range(len(self.values))])
        self.means = means / np.linalg.norm(means, axis=1, keepdims=True)

    def right(self, texts: Sequence[str], labels: Sequence[str]) -> tuple[float, float]:
        """Percent right by the nearest key and by the nearest prototype."""
        asked = _unit(self.name, texts)
        nearest = self.labels[(asked @ self.keys.T).argmax(axis=1)]
        prototype = self.values[(asked @ self.means.T).argmax(axis=1)]
        return tuple(
            100 * float((found == np.array(labels)).mean()) for found in (nearest, prototype)
        )

    def largest(self, texts: Sequence[str]) -> np.ndarray:
        """The nearest key's score."""
        return (_unit(self.name, texts) @ self.keys.T).max(axis=1)


def slips(encoders: Sequence[str], *, tuning: bool) -> Table:
    """Questions with slips, as they are and as they are read."""
    table = Table(
        "One slip in half of the words of four letters or more",
        f"{STORED} records of each value, {ASKED} questions. Percent right by the nearest key and "
        "by the nearest prototype; AUROC of the nearest key's score against questions out of "
        "scope. Mended: of words with a slip, percent read rightly and wrongly; of clean words, "
        "changed.",
        ["data", "encoder", "clean", "clean, mended", "with slips", "with slips, mended",
         "lost: nearest, prototype", "AUROC clean, slips, mended", "right, wrong, clean changed"],
        [],
    )  # fmt: skip
    for look in looks(tuning=tuning):
        read = reader(look.vocabulary)
        texts, labels = look.asked.texts, look.asked.labels
        bad = [with_slips(text) for text in texts]
        outside = [with_slips(text) for text in look.outside]
        right, wrong = mended(texts, read)
        harm, _ = changed(texts, read)
        for name in encoders:
            asked = Asked(name, look.stored)
            found = [
                asked.right(one, labels)
                for one in (texts, [*map(read, texts)], bad, [*map(read, bad)])
            ]
            told = "–"
            if outside:
                pairs = [(texts, look.outside), (bad, outside)]
                pairs.append(([*map(read, bad)], [*map(read, outside)]))
                told = " ".join(
                    f"{auroc(asked.largest(a), asked.largest(b)):.3f}" for a, b in pairs
                )
            table.rows.append(
                [
                    look.name,
                    name,
                    *(_two(one) for one in found),
                    _two((found[0][0] - found[3][0], found[0][1] - found[3][1])),
                    told,
                    f"{right:.1f} {wrong:.1f} {harm:.2f}",
                ]
            )
            print(table.rows[-1], flush=True)
    return table


def _two(pair: Sequence[float]) -> str:
    return f"{pair[0]:.1f} {pair[1]:.1f}"


def forms(encoders: Sequence[str], *, tuning: bool) -> Table:
    """Questions in another form."""
    table = Table(
        "Another form",
        f"Percent right by the nearest key and by the nearest prototype, {ASKED_BEFORE} questions: "
        "as they are, in that form, and as they are read.",
        ["data", "encoder", "form", "clean", "in that form", "read", "lost: nearest, prototype"],
        [],
    )
    for look in looks(tuning=tuning):
        read = reader(look.vocabulary)
        texts, labels = look.asked.texts[:ASKED_BEFORE], look.asked.labels[:ASKED_BEFORE]
        for name in encoders:
            asked = Asked(name, look.stored)
            clean = asked.right(texts, labels)
            for way, written in WAYS.items():
                other = [written(text) for text in texts]
                before, after = asked.right(other, labels), asked.right([*map(read, other)], labels)
                lost = _two((clean[0] - after[0], clean[1] - after[1]))
                table.rows.append(
                    [look.name, name, way, _two(clean), _two(before), _two(after), lost]
                )
                print(table.rows[-1], flush=True)
    return table


def phone_book(encoders: Sequence[str], *, tuning: bool) -> Table:
    """People asked for with a slip in the name, and people who are not in the book."""
    book, others = people(tuning=tuning)
    table = Table(
        "A phone book",
        f"{len(book)} people are stored and asked for with a slip in the name: percent whose "
        f"record is nearest, as asked and as read, and AUROC of its score against {len(others)} "
        "other people. Read: percent of names with a slip read rightly; of other people, percent "
        "whose name is read as another one, and these as a percentage of those who have a name one "
        "slip from a stored one.",
        ["encoder", "as asked", "as read", "AUROC as asked, as read", "read rightly", "others bent",
         "of those near"],
        [],
    )  # fmt: skip
    read = reader(Vocabulary(book))
    told = bent(book, others)
    plain = [QUESTIONS[i % 4].format(name) for i, name in enumerate(others)]
    bad = [QUESTIONS[i % 4].format(one_slip(name, i)) for i, name in enumerate(book)]
    for name in encoders:
        asked = Asked(name, Split(book, book))
        before, _ = asked.right(bad, book)
        after, _ = asked.right([*map(read, bad)], book)
        apart = [
            auroc(asked.largest(a), asked.largest(b))
            for a, b in ((bad, plain), ([*map(read, bad)], [*map(read, plain)]))
        ]
        cells = [f"{value:.1f}" for value in told]
        table.rows.append(
            [name, f"{before:.1f}", f"{after:.1f}", f"{apart[0]:.3f} {apart[1]:.3f}", *cells]
        )
        print(table.rows[-1], flush=True)
    return table


def harm(*, tuning: bool) -> Table:
    """What becomes of texts that have nothing to mend."""
    table = Table(
        "Nothing to mend",
        "Percent of the words changed, by CLINC150's records, and some of the changes.",
        ["texts", "words changed, %", "for instance"],
        [],
    )
    first, second = looks(tuning=tuning)
    read = reader(first.vocabulary)
    english = xquad("en").questions
    half = len(english) // 2
    book, others = people(tuning=tuning)
    texts = {
        "CLINC150": first.asked.texts,
        "out of scope": first.outside,
        "XQuAD, English": english[:half] if tuning else english[half:],
        "people": [*book, *others],
        "package names": packages(tuning=tuning),
        "names of programs": [" ".join(TOOLS.split()[i : i + 5]) for i in range(0, 55, 5)],
        "codes": codes(),
        "package summaries": [s for s in summaries(8000) if _tuned(s) == tuning][:1000],
    }
    for what, asked in texts.items():
        share, found = changed(asked, read)
        shown = ", ".join(dict.fromkeys(random.Random(SEED).sample(found, min(6, len(found)))))
        table.rows.append([what, f"{share:.2f}", shown])
    share, found = changed(second.asked.texts, reader(second.vocabulary))
    table.rows.append(["Banking77, by its own records", f"{share:.2f}", ", ".join(found[:6])])
    return table


def foreign(*, tuning: bool) -> Table:
    """Other languages: against the store's own words alone."""
    table = Table(
        "Other languages",
        "XQuAD: a half's paragraphs are stored, its questions asked. Of words with a slip, percent "
        "read rightly and wrongly; of clean words, changed; of words without their accents, "
        "percent that get them back, of those that the store has. Tatoeba, against CLINC150's "
        "records: percent of words changed.",
        ["language", "right", "wrong", "clean changed", "accents put back", "Tatoeba changed"],
        [],
    )
    english = reader(looks(tuning=tuning)[0].vocabulary)
    other = {"nl": "nld", "pl": "pol", "tr": "tur"} if tuning else {}
    other |= {} if tuning else {"de": "deu", "es": "spa", "fr": "fra"}
    for language in ("de", "es", "tr", "ru", "fr", "nl", "pl"):
        cells = ["–"] * 4
        if language in ("de", "es", "tr", "ru"):
            data = xquad(language)
            half = len(data.questions) // 2
            rows = range(half) if tuning else range(half, len(data.questions))
            texts = [data.questions[i] for i in rows]
            words = Vocabulary({data.paragraphs[data.paragraph[i]] for i in rows})
            read = reader(words)
            told = (*mended(texts, read), changed(texts, read)[0], _accents(texts, words, read))
            cells = [f"{value:.2f}" for value in told]
        harmed = "–"
        if language in other:
            asked = [text for text, _ in translations(other[language])]
            harmed = f"{changed(asked, english)[0]:.2f}"
        if cells[0] != "–" or harmed != "–":
            table.rows.append([language, *cells, harmed])
    return table


def _accents(texts: Sequence[str], words: Vocabulary, read: Callable[[str], str]) -> float:
    count = right = 0
    for text in texts:
        pairs = zip(
            WORD.findall(text.lower()), WORD.findall(read(folded(text)).lower()), strict=False
        )
        for word, found in pairs:
            if folded(word) != word and word in words and folded(word) not in words:
                count += 1
                right += found == word
    return 100 * right / max(1, count)


def speed() -> Table:
    """How long it takes."""
    table = Table(
        "Time",
        "Processor time, one thread: a question, every word seen for the first time, CLINC150's "
        "records; the words of records, counted.",
        ["what", "time"],
        [],
    )
    look = looks(tuning=False)[0]
    words = look.vocabulary
    read = partial(mend, vocabulary=words)
    read("wher")
    bad = [with_slips(text) for text in look.asked.texts]
    for what, texts, call in (
        ("plain form", look.asked.texts, plain_form),
        ("clean question", look.asked.texts, read),
        ("question with slips", bad, read),
    ):
        start = time.process_time()
        for text in texts:
            call(text)
        took = (time.process_time() - start) / len(texts)
        table.rows.append([what, f"{1e3 * took:.4f} ms"])
    for what, texts in (
        ("15,000 questions counted", clinc("train").texts),
        ("100,000 summaries counted", summaries(100_000)),
    ):
        start = time.process_time()
        Vocabulary(texts)
        table.rows.append([what, f"{time.process_time() - start:.2f} s"])
    return table


if __name__ == "__main__":
    main()
