"""Commands that ask: query, attend, search."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from qkv.cli.conversion import plain, to_json
from qkv.cli.display import (
    answer_lines,
    answers_table,
    busy,
    matches_table,
    out,
    probable,
    progress,
    shown_value,
    weights_table,
    write,
)
from qkv.cli.endings import Absent
from qkv.cli.options import (
    AsJson,
    Head,
    MaxWrong,
    Question,
    Store,
    Temperature,
    TopK,
    Where,
    among,
)
from qkv.cli.stores import reading
from qkv.errors import InputError

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
    max_wrong: MaxWrong = None,
    where: Where = None,
    head: Head = None,
    top_k: TopK = None,
    temperature: Temperature = None,
    as_json: AsJson = False,
) -> None:
    """Answer with the likeliest values.

    Every record is compared with the text, by meaning and by words; values of
    records that are alike count more. Typos in the text are mended by the words of
    the store. An answer is exact (the text is a key), stored (the value of similar
    records) or imagined (a value that no record has, between those that are stored).
    The probability is how likely it is right. Where "nothing here" is likelier than
    not, or with --max-wrong the best is not sure enough, there is no answer.

    For example:

        qkv query animals.qkv "a kitten"
        qkv query intents.qkv "play me a song" --max-wrong 0.05
        qkv query capitals.qkv japan --head relation -n 1
        qkv query films.qkv "a heist" --where "year >= 2000"
    """
    if max_wrong is not None:
        _check_budget(max_wrong, plain=top_k is None and temperature is None)
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
        if candidates and max_wrong is not None:
            candidates = candidates[:1] if db.calibration.sure(attention, max_wrong) else []
    if as_json:
        answers = [_candidate(found) for found in candidates]
        known = {"calibrated": probable(attention), "mended": _mended(attention)}
        write(to_json({"query": text, "answers": answers, **known}))
    elif candidates:
        if attention.reading:
            out().print(Text(attention.reading, style="dim"))
        out().print(answers_table(attention, candidates))
    if not candidates:
        raise Absent(f"{store} has no answer to {text!r}{among(where)}{_closest(attention)}")


def _check_budget(max_wrong: float, *, plain: bool) -> None:
    """Raise an InputError for what is no share of wrong answers, or no question to keep it for."""
    from qkv.database.arguments import check_share  # noqa: PLC0415

    check_share(max_wrong, "--max-wrong")
    if not plain:
        raise InputError(
            "--max-wrong needs to know how likely an answer is right, and with -k or --temperature "
            "that is not known; leave them out"
        )


def _closest(attention: Attention) -> str:
    """Say which answer was not sure enough to be given."""
    if not attention.candidates or not attention.calibrated:
        return ""
    value, sure = attention.candidates[0].value, attention.candidates[0].probability
    return f"; closest, but not sure enough: {shown_value(value)}, {sure:.1%} sure"


def attend(
    store: Store,
    text: Question,
    count: Annotated[int, typer.Option("-n", min=1, help="Rows of each table.")] = 5,
    where: Where = None,
    head: Head = None,
    top_k: TopK = None,
    temperature: Temperature = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Say it in words instead, with what the answer would be without the record that "
            "carried most of it.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Answer, and show which records the answer comes from.

    Like query, with the weights: how much of the attention each record got. The
    weights of all records, and of "nothing here", sum to 100 %. An answer that is
    "91 % sure" is right in 91 of 100 such cases (see: qkv check); with -k or
    --temperature the percentages are only shares of the attention.

    For example:

        qkv attend animals.qkv "a kitten"
        qkv attend animals.qkv "a kitten" --explain
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
        # While the store is open: it is asked again, without a record.
        explanation = attention.explain() if explain else None
    if as_json:
        content = _attention(attention)
        write(to_json(content if explanation is None else content | {"explanation": explanation}))
    elif explanation is not None:
        out().print(Text(explanation))
    else:
        _print_attention(attention, count)
    if attention.origin == "nothing":
        raise Absent(f"{store} has no answer to {text!r}{among(where)}")


def _print_attention(attention: Attention, count: int) -> None:
    console = out()
    console.print(answer_lines(attention))
    if attention.candidates:
        below = attention.origin == "nothing"
        title = "closest, but below the line" if below else "answers"
        console.print()
        console.print(answers_table(attention, attention.candidates[:count], title))
    if attention.weights:
        console.print()
        console.print(weights_table(attention, count))


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
            help="How hybrid brings both rankings into one: by adding what meaning and words say, "
            "by rank, or by adding with this share (0 to 1) for meaning.",
        ),
    ] = "attention",
    in_: Annotated[
        str,
        typer.Option(
            "--in",
            metavar="keys|values|both",
            help="Which texts of a record are searched.",
        ),
    ] = "both",
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
    same, 0 for nothing in common (unless the store has another metric); values that
    are sentences add theirs. By words (keyword), both key and value count, as they
    are written; elsewhere typos in TEXT are mended. Hybrid shows the rank that a
    record has by either.

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
        "in_": in_,
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
        "calibrated": probable(attention),
        "mended": _mended(attention),
    }


def _mended(attention: Attention) -> list[dict[str, str]]:
    return [{"written": written, "read": read} for written, read in attention.mended]


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "value": plain(candidate.value),
        "probability": candidate.probability,
        "origin": str(candidate.origin),
        "spread": candidate.spread,
        "interval": _finite(candidate.interval),
        "keys": list(candidate.keys),
        "warnings": list(candidate.warnings),
    }


def _weight(weight: Weight) -> dict[str, Any]:
    return {
        "key": weight.key,
        "value": plain(weight.value),
        "weight": weight.weight,
        "score": weight.score,
        "words": weight.words,
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


def _finite(interval: tuple[float, float] | None) -> list[float] | None:
    """The ends of an interval; None where there is none, or too few records for one."""
    return None if interval is None or not math.isfinite(interval[1]) else list(interval)
