"""Commands that ask: query, attend, search."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qkv.cli.conversion import plain, to_json
from qkv.cli.display import (
    answers_table,
    busy,
    candidate_line,
    matches_table,
    out,
    progress,
    weights_table,
    write,
)
from qkv.cli.endings import Absent
from qkv.cli.options import AsJson, Head, Question, Store, Temperature, TopK, Where, among
from qkv.cli.stores import reading

if TYPE_CHECKING:
    from qkv.database import Database
    from qkv.types import Attention, Candidate, Match, Weight

__all__ = ["attend", "query", "search"]


def query(
    store: Store,
    text: Question,
    count: Annotated[int, typer.Option("-n", min=1, help="How many answers.")] = 5,
    strict: Annotated[
        bool, typer.Option("--strict", help="Only values that are stored, none imagined.")
    ] = False,
    where: Where = None,
    head: Head = None,
    top_k: TopK = None,
    temperature: Temperature = None,
    as_json: AsJson = False,
) -> None:
    """Answer with the likeliest values.

    Every key is compared with the text; values of keys that are alike count more.
    An answer is exact (the text is a key), stored (the value of similar keys) or
    imagined (a value that no record has, between those that are stored).

    For example:

        qkv query animals.qkv "a kitten"
        qkv query capitals.qkv japan --head relation -n 1
        qkv query films.qkv "a heist" --where "year >= 2000"
    """
    with reading(store) as db, busy("attending"):
        attention = db.attend(
            text,
            n=count,
            strict=strict,
            head=head,
            top_k=top_k,
            temperature=temperature,
            where=where,
        )
    candidates = [] if attention.origin == "nothing" else list(attention.candidates)
    if as_json:
        write(to_json({"query": text, "answers": [_candidate(found) for found in candidates]}))
    elif candidates:
        out().print(answers_table(candidates))
    if not candidates:
        raise Absent(f"{store} has no answer to {text!r}{among(where)}")


def attend(
    store: Store,
    text: Question,
    count: Annotated[int, typer.Option("-n", min=1, help="Rows of each table.")] = 5,
    where: Where = None,
    head: Head = None,
    top_k: TopK = None,
    temperature: Temperature = None,
    as_json: AsJson = False,
) -> None:
    """Answer, and show which records the answer comes from.

    Like query, with the weights: how much of the attention each record got. The
    weights of all records, and of "nothing here", sum to 100 %.

    For example:

        qkv attend animals.qkv "a kitten"
        qkv attend films.qkv "a heist" --where 'country == "fr"'
    """
    with reading(store) as db, busy("attending"):
        attention = db.attend(
            text,
            n=max(count, 10),
            head=head,
            top_k=top_k,
            temperature=temperature,
            where=where,
        )
    if as_json:
        write(to_json(_attention(attention)))
    else:
        console = out()
        console.print(candidate_line(text, attention.best))
        if attention.candidates:
            console.print()
            console.print(answers_table(attention.candidates[:count], "answers"))
        if attention.weights:
            console.print()
            console.print(weights_table(attention, count))
    if attention.origin == "nothing":
        raise Absent(f"{store} has no answer to {text!r}{among(where)}")


def search(
    store: Store,
    text: Question,
    k: Annotated[int, typer.Option("-k", min=1, help="How many records.")] = 10,
    mode: Annotated[
        str,
        typer.Option(
            "--mode",
            metavar="semantic|keyword|hybrid",
            help="Rank by meaning, by words, or by both.",
        ),
    ] = "semantic",
    where: Where = None,
    scheme: Annotated[
        str,
        typer.Option(
            "--scheme",
            metavar="bm25|tfidf|overlap",
            help="How words are counted: rare ones more and long texts held back, rare ones more, "
            "or all alike.",
        ),
    ] = "bm25",
    language: Annotated[
        str | None,
        typer.Option(
            "--language",
            metavar="CODE",
            help="Of the words, such as en: small ones do not count, and all forms of a word are "
            "one.",
            show_default="words as they are written",
        ),
    ] = None,
    stop_words: Annotated[
        str | None,
        typer.Option(
            "--stop-words",
            metavar="CODE|WORDS",
            help="Words that do not count: a language's small ones (en), or your own, with commas "
            "between.",
            show_default="none",
        ),
    ] = None,
    fusion: Annotated[
        str,
        typer.Option(
            "--fusion",
            metavar="attention|rrf|SHARE",
            help="How hybrid brings both rankings into one: by adding logits, by rank, or by "
            "score, with this share (0 to 1) for meaning.",
        ),
    ] = "attention",
    exclude_query: Annotated[
        bool, typer.Option("--exclude-query", help="Leave out the record whose key is TEXT.")
    ] = False,
    spans: Annotated[
        bool,
        typer.Option(
            "--spans",
            help="Show where in a record the answer is: words of TEXT are bold, the sentence "
            "nearest to it is underlined, and long texts are cut to what is around it.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find records, by meaning, by words, or by both.

    By meaning (semantic), the score is the cosine of key and TEXT: 1 for the
    same, 0 for nothing in common (unless the store has another metric). By words
    (keyword), both key and value count, and the first search of a store begins an
    index of them. Hybrid shows the rank that a record has by either.

    For example:

        qkv search animals.qkv feline -k 3
        qkv search faq.qkv "error 0x80070005" --mode keyword
        qkv search faq.qkv "my cup is leaking" --mode hybrid --language en --spans
        qkv search films.qkv "a heist" --where 'year < 1970 and "noir" in tags'
    """
    options: dict[str, Any] = {
        "mode": mode,
        "where": where,
        "scheme": scheme,
        "language": language,
        "stop_words": _words(stop_words),
        "fusion": _fusion(fusion),
        "exclude_query": exclude_query,
        "spans": spans,
    }
    with reading(store) as db:
        if mode != "semantic":
            _index_words(db, text, options)
        with busy("searching"):
            matches: list[Match] = db.search(text, k, **options)
    if as_json:
        found = [_match(match) for match in matches]
        write(to_json({"query": text, "matches": found}))
    elif matches:
        out().print(matches_table(matches, ranks=mode == "hybrid", excerpts=spans))
    if not matches:
        raise Absent(f"{store} has no record like {text!r}{among(where)}")


def _words(listed: str | None) -> str | list[str] | None:
    """A language, or a list of words; commas tell them apart."""
    return listed.split(",") if listed and "," in listed else listed


def _fusion(fusion: str) -> str | float:
    try:
        return float(fusion)
    except ValueError:
        return fusion


def _index_words(db: Database, text: str, options: dict[str, Any]) -> None:
    """Begin the index of words, if there is none, where progress can be seen."""
    from qkv.space import check_query  # noqa: PLC0415

    # What is wrong with the question is said now, not after an index of minutes.
    check_query(text)
    db.search([], **options)
    with progress("indexing words") as report:
        db.index_words(report)


# ── as JSON ──────────────────────────────────────────────────────────────────────────────────


def _attention(attention: Attention) -> dict[str, Any]:
    finite = attention.temperature != float("inf")
    return {
        "query": attention.query,
        "origin": str(attention.origin),
        "value": plain(attention.value),
        "confidence": attention.confidence,
        "candidates": [_candidate(found) for found in attention.candidates],
        "weights": [_weight(weight) for weight in attention.weights],
        "rest": attention.rest,
        "null": attention.null,
        # JSON has no infinity.
        "temperature": attention.temperature if finite else None,
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "value": plain(candidate.value),
        "probability": candidate.probability,
        "origin": str(candidate.origin),
        "spread": candidate.spread,
        "keys": list(candidate.keys),
    }


def _weight(weight: Weight) -> dict[str, Any]:
    return {
        "key": weight.key,
        "value": plain(weight.value),
        "weight": weight.weight,
        "score": weight.score,
    }


def _match(match: Match) -> dict[str, Any]:
    return {
        "key": match.key,
        "value": plain(match.value),
        "score": match.score,
        "metadata": match.metadata or None,
        "why": {name: asdict(place) for name, place in match.why.items()},
        "spans": [asdict(span) for span in match.spans],
    }
