"""Across languages: ``python benchmarks/languages.py``.

Tatoeba: is the nearest sentence the translation? Beside brute force on the encoder's own vectors,
which must give the same. XQuAD: questions to paragraphs, within a language and across, by words, by
meaning and by both. Nothing is chosen: all settings are the defaults. Writes results/languages.md
and results/languages.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
from datasets import DATA, TRANSLATIONS, Questions
from defaults import Table
from encoded import remembering
from study import write

import qkv
from qkv.encoders import DEFAULT, encode_all
from qkv.languages import LANGUAGES
from qkv.ranking import mean_reciprocal_rank
from qkv.types import Floats, Integers

#: The other languages of USE, and what Tatoeba calls them. It has no zh-TW: its Chinese is in both
#: scripts, see `traditional`.
OTHERS = {
    "es": "spa",
    "fr": "fra",
    "de": "deu",
    "zh": "cmn",
    "ar": "ara",
    "it": "ita",
    "ja": "jpn",
    "ko": "kor",
    "nl": "nld",
    "pl": "pol",
    "pt": "por",
    "ru": "rus",
    "th": "tha",
    "tr": "tur",
}
#: Languages of XQuAD: USE's, and those that it was not trained on.
KNOWN = ("en", "es", "de", "zh", "ar", "ru", "th", "tr")
UNKNOWN = ("el", "hi", "ro", "vi")
ENCODERS = ("use", DEFAULT)
FOUND = 10


def main() -> None:
    """Run all of it, print it, and write it down."""
    files = [f"xquad/xquad.{language}.json.gz" for language in (*KNOWN, *UNKNOWN)]
    absent = datasets.missing([TRANSLATIONS, *files])
    if absent:
        print(f"The data sets are not in {DATA} (set QKV_DATA): {', '.join(absent)}")
        print("Nothing to do.")
        return
    data = {language: datasets.xquad(language) for language in (*KNOWN, *UNKNOWN)}
    tables = [bitext(), *(within(data, measure) for measure in MEASURES), across(data)]
    for table in tables:
        print(table.markdown(), flush=True)
    write("languages", "Across languages", tables)


# ── sentences and their translations ─────────────────────────────────────────────────────────


def bitext() -> Table:
    """P@1 of translations, through the database and by brute force."""
    rows: list[list[Any]] = []
    for language, code in OTHERS.items():
        pairs = datasets.translations(code)
        rows.append([language, len(pairs), *_both_ways(pairs)])
        if language == "zh":
            part = [pair for pair in pairs if traditional(pair[0])]
            rows.append(["zh, traditional characters", len(part), *_both_ways(part, among=pairs)])
    return Table(
        "Tatoeba: is the nearest sentence the translation?",
        "Encoder use. Into English: the sentence is asked, the English sentences of all pairs are "
        "stored; from English: the other way round. Among both: sentences of both languages are "
        "stored, the query's own record is excluded, and the nearest has to be its translation. "
        "Right is the text of the translation; the same text stands for each pair that has it. "
        "Differing: queries of the three for which the database and brute force (argmax of the dot "
        "products of the encoder's vectors) find different sentences.",
        ["language", "pairs", "into English", "from English", "among both", "differing"],
        rows,
    )


def traditional(text: str) -> bool:
    """Whether a Chinese text has a character that only Big5 knows, and none that it lacks.

    Examples
    --------
    >>> traditional("我愛你。"), traditional("我爱你。")
    (True, False)
    """
    return _encodable(text, "big5") and not _encodable(text, "gb2312")


def _encodable(text: str, charset: str) -> bool:
    letters = "".join(filter(str.isalpha, text))
    return letters.encode(charset, errors="ignore").decode(charset) == letters


def _both_ways(
    pairs: Sequence[tuple[str, str]], among: Sequence[tuple[str, str]] | None = None
) -> list[Any]:
    """P@1 into English, from English and among both; and how many answers differ."""
    foreign, english = map(list, zip(*pairs, strict=True))
    all_foreign, all_english = map(list, zip(*(among or pairs), strict=True))
    figures: list[Any] = []
    differing = 0
    for stored, asked, right, own in (
        (all_english, foreign, english, False),
        (all_foreign, english, foreign, False),
        (all_foreign + all_english, foreign, english, True),
    ):
        keys = list(dict.fromkeys(stored))
        with qkv.Database(encoder=remembering("use"), lexicon=None) as db:
            db.update(dict.fromkeys(keys))
            matches = db.search(asked, 1, exclude_query=own)
        found = [match.key for (match,) in matches]
        differing += sum(
            a != b for a, b in zip(found, _brute_force(keys, asked, own=own), strict=True)
        )
        figures.append(float(np.mean([a == b for a, b in zip(found, right, strict=True)])))
    return [*figures, differing]


def _brute_force(keys: list[str], queries: list[str], *, own: bool) -> list[str]:
    """The nearest key of each query, by the encoder's own vectors."""
    scores = _encoded(queries) @ _encoded(keys).T
    if own:
        places = {key: place for place, key in enumerate(keys)}
        for row, query in zip(scores, queries, strict=True):
            row[places[query]] = -np.inf
    return [keys[place] for place in scores.argmax(axis=1)]


def _encoded(texts: list[str]) -> Floats:
    return encode_all(remembering("use"), texts)


# ── questions and paragraphs ─────────────────────────────────────────────────────────────────


def _recall(found: Integers, truth: Integers) -> float:
    return float((found[:, 0] == truth).mean())


def _mrr(found: Integers, truth: Integers) -> float:
    return mean_reciprocal_rank(found, truth[:, None])


MEASURES = {"Recall@1": _recall, f"MRR@{FOUND}": _mrr}


def within(data: dict[str, Questions], measure: str) -> Table:
    """Questions and paragraphs of one language."""
    rows: list[list[Any]] = []
    for language, one in data.items():
        heard: list[dict[str, Any]] = [{}]
        if language in LANGUAGES:
            heard.append({"language": language})
        row: list[Any] = [language + ("" if language in KNOWN else " (not of USE)")]
        keyword = [_figure(one, one, "use", measure, mode="keyword", **how) for how in heard]
        row += [keyword[0], keyword[1] if len(keyword) > 1 else "–"]
        for encoder in ENCODERS:
            row.append(_figure(one, one, encoder, measure))
            row.append(_figure(one, one, encoder, measure, mode="hybrid", **heard[-1]))
        row.append(_figure(one, one, "use", measure, mode="hybrid", fusion="rrf", **heard[-1]))
        rows.append(row)
    encoders = [name for encoder in ENCODERS for name in (encoder, f"hybrid, {encoder}")]
    return Table(
        f"XQuAD within a language: {measure}",
        f"{len(data['en'].questions):,} questions, {len(data['en'].paragraphs)} paragraphs: is the "
        "paragraph with the answer found first? Language: bm25 with the language's stop words and "
        "stems, where it has them; hybrid: that, or else the words as written, and meaning.",
        ["language", "keyword", "keyword, language", *encoders, "hybrid by rrf, use"],
        rows,
    )


def across(data: dict[str, Questions]) -> Table:
    """Questions of one language, paragraphs of another."""
    rows: list[list[Any]] = []
    english = data["en"]
    for language in [*KNOWN[1:], *UNKNOWN]:
        other = data[language]
        name = language + ("" if language in KNOWN else " (not of USE)")
        for asked, stored, way in (
            (english, other, f"en → {name}"),
            (other, english, f"{name} → en"),
        ):
            row: list[Any] = [way, _figure(asked, stored, "use", "Recall@1", mode="keyword")]
            for encoder in ENCODERS:
                row.append(_figure(asked, stored, encoder, "Recall@1"))
                row.append(_figure(asked, stored, encoder, "Recall@1", mode="hybrid"))
            how = {"mode": "hybrid", "fusion": "rrf"}
            row.append(_figure(asked, stored, "use", "Recall@1", **how))
            row.append(_figure(asked, stored, "use", f"MRR@{FOUND}"))
            rows.append(row)
    encoders = [name for encoder in ENCODERS for name in (encoder, f"hybrid, {encoder}")]
    return Table(
        "XQuAD across languages: Recall@1",
        "Question → paragraph. Keyword: names and numbers are the words that languages share.",
        ["languages", "keyword", *encoders, "hybrid by rrf, use", f"MRR@{FOUND}, use"],
        rows,
    )


_STORES: dict[tuple[str, str], qkv.Database] = {}


def _figure(
    asked: Questions, stored: Questions, encoder: str, measure: str, **options: Any
) -> float:
    """A measure of searching the paragraphs of one language for questions of another."""
    where = stored.language, encoder
    if where not in _STORES:
        _STORES[where] = qkv.Database(encoder=remembering(encoder), lexicon=None)
        _STORES[where].update({text: row for row, text in enumerate(stored.paragraphs)})
    found = np.full((len(asked.questions), FOUND), -1, dtype=np.int64)
    matches = _STORES[where].search(asked.questions, FOUND, **options)
    for row, best in zip(found, matches, strict=True):
        row[: len(best)] = [match.value for match in best]
    return MEASURES[measure](found, np.array(asked.paragraph))


if __name__ == "__main__":
    main()
