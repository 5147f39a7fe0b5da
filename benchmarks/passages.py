"""Which sentence of a text answers a question: ``python benchmarks/passages.py``.

XQuAD: 240 paragraphs of Wikipedia with questions, translated by people. A sentence is right if the
answer begins in it. The weight of words against meaning was chosen on one half of the paragraphs
(``--tuning`` shows that half); the tables are about the other half. Writes results/passages.md and
results/passages.json.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import DATA
from defaults import Table, Vectors
from measure import machine, versions

import qkv
import qkv.errors
from qkv.encoders import DEFAULT, Encoder, resolve
from qkv.passages import best_sentences, sentences
from qkv.types import Floats

RESULTS = Path(__file__).parent / "results"
SEED = 0
LANGUAGES = ("en", "es", "de", "zh", "ar", "ru", "th", "tr")
ACROSS = ("es", "de", "zh", "ar", "ru", "th", "tr")


@dataclass(frozen=True)
class Paragraph:
    """A text, and its questions with the places where their answers begin."""

    text: str
    questions: list[tuple[str, int]]


class Once:
    """An encoder that reads each text once."""

    def __init__(self, encoder: Encoder) -> None:
        self._vectors = Vectors(encoder)

    def encode(self, texts: list[str]) -> Floats:
        return self._vectors(texts)


class Blind:
    """An encoder that understands nothing, so that words alone decide."""

    def encode(self, texts: list[str]) -> Floats:
        return np.zeros((len(texts), 1), dtype=np.float32)


def main() -> None:
    """Run all of it, print it, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tuning", action="store_true", help="the other half; nothing written")
    options = parser.parse_args()
    absent = [name for lang in LANGUAGES if not (DATA / (name := _file(lang))).exists()]
    if absent:
        print(f"The data sets are not in {DATA} (set QKV_DATA): {', '.join(absent)}")
        print("Nothing to do.")
        return
    data = {lang: _half(paragraphs(lang), tuning=options.tuning) for lang in LANGUAGES}
    encoders = {name: Once(resolve(name)) for name in _installed(DEFAULT, "use", "transformer")}
    tables = [within(data, encoders), across(data, encoders), speed(data["en"])]
    for table in tables:
        print(table.markdown(), flush=True)
    if not options.tuning:
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
    facts = {"date": date, "seed": SEED, "machine": machine(), "versions": versions()}
    RESULTS.mkdir(exist_ok=True)
    record = facts | {"tables": [vars(table) for table in tables]}
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (RESULTS / "passages.json").write_text(text + "\n")
    named = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    head = (
        "# Where in the text\n\nWritten by `benchmarks/passages.py` on "
        f"{date}, seed {SEED}; {named}.\n"
    )
    parts = [head, *(table.markdown() for table in tables)]
    (RESULTS / "passages.md").write_text("\n".join(parts))


# ── data ─────────────────────────────────────────────────────────────────────────────────────


def _file(lang: str) -> str:
    return f"xquad/xquad.{lang}.json.gz"


def paragraphs(lang: str) -> list[Paragraph]:
    """All paragraphs of a language; the same ones, in the same order, for each."""
    with gzip.open(DATA / _file(lang), "rt") as file:
        articles = json.load(file)["data"]
    return [
        Paragraph(
            one["context"],
            [(qa["question"], qa["answers"][0]["answer_start"]) for qa in one["qas"]],
        )
        for article in articles
        for one in article["paragraphs"]
    ]


def _half(items: Sequence[Paragraph], *, tuning: bool) -> list[Paragraph]:
    order = np.random.default_rng(SEED).permutation(len(items))
    middle = len(items) // 2
    return [items[i] for i in (order[:middle] if tuning else order[middle:])]


# ── accuracy ─────────────────────────────────────────────────────────────────────────────────


def within(data: dict[str, list[Paragraph]], encoders: dict[str, Once]) -> Table:
    """Question and paragraph in one language."""
    spans = {lang: [sentences(one.text) for one in data[lang]] for lang in data}
    rows: list[list[Any]] = [
        ["sentences in a paragraph", *(float(np.mean([len(s) for s in spans[x]])) for x in data)],
        ["expected of a random one", *(_random(data[lang], spans[lang]) for lang in data)],
        ["the first", *(_right(data[lang], data[lang], _first) for lang in data)],
        ["words alone", *(_right(data[lang], data[lang], _by(Blind())) for lang in data)],
    ]
    for name, encoder in encoders.items():
        known = ("en",) if name == "transformer" else tuple(data)
        for what, choose in ((f"{name}, cosine alone", _nearest), (name, _by)):
            cells = [
                _right(data[lang], data[lang], choose(encoder)) if lang in known else ""
                for lang in data
            ]
            rows.append([what, *cells])
            print(rows[-1], flush=True)
    return Table(
        "Within a language",
        f"XQuAD, {len(data['en'])} of 240 paragraphs (seed {SEED}): share of "
        f"{sum(len(one.questions) for one in data['en'])} questions whose answer begins in the "
        "sentence that is picked from its paragraph.",
        ["", *data],
        rows,
    )


def across(data: dict[str, list[Paragraph]], encoders: dict[str, Once]) -> Table:
    """English questions about paragraphs in other languages."""
    rows: list[list[Any]] = [
        ["words alone", *(_right(data["en"], data[lang], _by(Blind())) for lang in ACROSS)]
    ]
    for name, encoder in encoders.items():
        if name == "transformer":
            continue
        for what, choose in ((f"{name}, cosine alone", _nearest), (name, _by)):
            cells = [_right(data["en"], data[lang], choose(encoder)) for lang in ACROSS]
            rows.append([what, *cells])
            print(rows[-1], flush=True)
    return Table(
        "Across languages",
        "The same paragraphs in another language, the questions in English.",
        ["", *ACROSS],
        rows,
    )


Choose = Callable[[str, str], tuple[int, int]]


def _right(asking: list[Paragraph], answering: list[Paragraph], choose: Choose) -> float:
    hits = []
    for ours, theirs in zip(asking, answering, strict=True):
        for (question, _), (_, place) in zip(ours.questions, theirs.questions, strict=True):
            start, end = choose(question, theirs.text)
            hits.append(start <= place < end)
    return float(np.mean(hits))


def _first(question: str, text: str) -> tuple[int, int]:  # noqa: ARG001
    return sentences(text)[0]


def _random(asked: list[Paragraph], spans: list[list[tuple[int, int]]]) -> float:
    chances = [1 / len(s) for one, s in zip(asked, spans, strict=True) for _ in one.questions]
    return float(np.mean(chances))


def _by(encoder: Encoder) -> Choose:
    def choose(question: str, text: str) -> tuple[int, int]:
        (passage,) = best_sentences(encoder, question, [text])
        assert passage is not None
        return passage.start, passage.end

    return choose


def _nearest(encoder: Encoder) -> Choose:
    def choose(question: str, text: str) -> tuple[int, int]:
        spans = sentences(text)
        vectors = encoder.encode([text[start:end] for start, end in spans])
        return spans[int((vectors @ encoder.encode([question])[0]).argmax())]

    return choose


# ── speed ────────────────────────────────────────────────────────────────────────────────────


def speed(english: list[Paragraph]) -> Table:
    """How long cutting and choosing take."""
    texts = [one.text for one in english]
    book = "\n\n".join(texts * (1_000_000 // sum(map(len, texts)) + 1))[:1_000_000]
    cutting = _seconds(lambda: sentences(book))
    count = sum(len(sentences(text)) for text in texts)
    rows: list[list[Any]] = [["cut 1,000,000 characters", f"{cutting:.2f} s"]]
    for name in (DEFAULT, "use"):
        encoder = resolve(name)
        chosen = _seconds(lambda e=encoder: best_sentences(e, "Who wrote it?", texts))
        rows.append([f"best_sentences, {name}, per sentence", f"{1000 * chosen / count:.1f} ms"])
    return Table("Speed", f"One thread; {count} sentences of English.", ["", ""], rows)


def _seconds(task: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
