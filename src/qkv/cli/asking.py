"""Commands that ask: query, attend, search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from qkv.cli.conversion import plain, to_json
from qkv.cli.display import (
    answers_table,
    busy,
    candidate_line,
    matches_table,
    out,
    weights_table,
    write,
)
from qkv.cli.endings import Absent
from qkv.cli.options import AsJson, Head, Question, Store, Temperature, TopK
from qkv.cli.stores import reading

if TYPE_CHECKING:
    from qkv.types import Attention, Candidate, Match, Weight

__all__ = ["attend", "query", "search"]


def query(
    store: Store,
    text: Question,
    count: Annotated[int, typer.Option("-n", min=1, help="How many answers.")] = 5,
    strict: Annotated[
        bool, typer.Option("--strict", help="Only values that are stored, none imagined.")
    ] = False,
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
    """
    attention = _attend(store, text, count, head, top_k, temperature, strict=strict)
    candidates = [] if attention.origin == "nothing" else list(attention.candidates)
    if as_json:
        write(to_json({"query": text, "answers": [_candidate(found) for found in candidates]}))
    elif candidates:
        out().print(answers_table(candidates))
    if not candidates:
        raise Absent(f"{store} has no answer to {text!r}")


def attend(
    store: Store,
    text: Question,
    count: Annotated[int, typer.Option("-n", min=1, help="Rows of each table.")] = 5,
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
    """
    attention = _attend(store, text, max(count, 10), head, top_k, temperature)
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
        raise Absent(f"{store} has no answer to {text!r}")


def search(
    store: Store,
    text: Question,
    k: Annotated[int, typer.Option("-k", min=1, help="How many records.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Find the records whose keys are most like the text.

    The score is the cosine of key and text: 1 for the same meaning, 0 for nothing in
    common (unless the store was made with another metric).

    For example:

        qkv search animals.qkv feline -k 3
    """
    with reading(store) as db, busy("searching"):
        matches: list[Match] = db.search(text, k)
    if as_json:
        found = [_match(match) for match in matches]
        write(to_json({"query": text, "matches": found}))
    elif matches:
        out().print(matches_table(matches))
    if not matches:
        raise Absent(f"{store} has no record like {text!r}")


def _attend(
    store: Store,
    text: str,
    count: int,
    head: str | None,
    top_k: int | None,
    temperature: float | None,
    *,
    strict: bool = False,
) -> Attention:
    with reading(store) as db, busy("attending"):
        return db.attend(
            text, n=count, strict=strict, head=head, top_k=top_k, temperature=temperature
        )


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
    return {"key": match.key, "value": plain(match.value), "score": match.score}
