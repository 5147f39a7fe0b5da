"""The demo: what qkv is for, live, in under a minute. Run it with ``qkv demo``."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from qkv.database import Database
from qkv.types import Attention, Candidate, Origin

__all__ = [
    "ANSWERS",
    "ARTICLE",
    "CAPITALS",
    "QUERIES",
    "QUESTIONS",
    "RECORDS",
    "RESPONSES",
    "SPLITS",
    "article_database",
    "halves",
    "run",
]

#: The first article's store, what it was asked, and the words that it answered.
RECORDS = {
    "one": "number",
    "cat": "animal",
    "dog": "animal",
    "ball": "toy",
    "sphere": "shape",
    "male": "gender",
}
ARTICLE = {
    "rhombus": ["shape", "shaped", "fit", "fits", "resembles"],
    "parabola": ["shape", "shaped", "fit", "fits", "resembles"],
    "female": ["gender", "ethnicity", "orientation", "racial", "mainstreaming"],
    "seven": ["number", "numbers", "ten", "only", "other"],
    "seventy": ["gender", "ethnicity", "orientation", "regardless", "defining"],
    "cylinder": ["toy", "instance", "unlike", "besides", "newest"],
}
QUERIES = tuple(ARTICLE)
#: What a person would answer.
ANSWERS = dict(zip(QUERIES, ("shape", "shape", "gender", "number", "number", "shape"), strict=True))

#: The world's capitals of the Google analogy list (Mikolov et al. 2013, Apache-2.0): 116
#: countries whose name and capital are single words of the vocabulary.
CAPITALS = dict(
    pair.split()
    for pair in """
    afghanistan kabul, albania tirana, algeria algiers, angola luanda, armenia yerevan,
    australia canberra, austria vienna, azerbaijan baku, bahamas nassau, bahrain manama,
    bangladesh dhaka, belarus minsk, belgium brussels, belize belmopan, bhutan thimphu, botswana
    gaborone, bulgaria sofia, burundi bujumbura, canada ottawa, chile santiago, china beijing,
    croatia zagreb, cuba havana, cyprus nicosia, denmark copenhagen, dominica roseau, ecuador
    quito, egypt cairo, england london, eritrea asmara, estonia tallinn, fiji suva, finland
    helsinki, france paris, gabon libreville, gambia banjul, georgia tbilisi, germany berlin,
    ghana accra, greece athens, greenland nuuk, guinea conakry, guyana georgetown, honduras
    tegucigalpa, hungary budapest, indonesia jakarta, iran tehran, iraq baghdad, ireland dublin,
    italy rome, jamaica kingston, japan tokyo, jordan amman, kazakhstan astana, kenya nairobi,
    kyrgyzstan bishkek, laos vientiane, latvia riga, lebanon beirut, liberia monrovia, libya
    tripoli, liechtenstein vaduz, lithuania vilnius, macedonia skopje, madagascar antananarivo,
    malawi lilongwe, mali bamako, malta valletta, mauritania nouakchott, moldova chisinau,
    montenegro podgorica, morocco rabat, mozambique maputo, namibia windhoek, nepal kathmandu,
    nicaragua managua, niger niamey, nigeria abuja, norway oslo, oman muscat, pakistan
    islamabad, peru lima, philippines manila, poland warsaw, portugal lisbon, qatar doha,
    romania bucharest, russia moscow, rwanda kigali, samoa apia, senegal dakar, serbia belgrade,
    slovakia bratislava, slovenia ljubljana, somalia mogadishu, spain madrid, sudan khartoum,
    suriname paramaribo, sweden stockholm, switzerland bern, syria damascus, taiwan taipei,
    tajikistan dushanbe, thailand bangkok, tunisia tunis, turkey ankara, turkmenistan ashgabat,
    tuvalu funafuti, uganda kampala, ukraine kiev, uruguay montevideo, uzbekistan tashkent,
    venezuela caracas, vietnam hanoi, zambia lusaka, zimbabwe harare
    """.replace("\n", " ").split(",")
)

#: The second article's responses, in three languages, by what they are about.
RESPONSES = {
    "The bear lives in the woods": "bear",
    "The world cup is in Qatar": "world cup",
    "The sky is blue": "sky",
    "An apple is a fruit": "apple",
    "El oso vive en el bosque": "bear",
    "El mundial es en Qatar": "world cup",
    "El cielo es azul": "sky",
    "Una manzana es una fruta": "apple",
    "L'ours vit dans la forêt": "bear",
    "La coupe du monde est au Qatar": "world cup",
    "Le ciel est bleu": "sky",
    "Une pomme est un fruit": "apple",
}
QUESTIONS = {
    "Where does the bear live?": "bear",
    "Where is the world cup?": "world cup",
    "What color is the sky?": "sky",
    "What is an apple?": "apple",
    "世界杯在哪里举行？": "world cup",
}

#: Random halves that the second part averages over.
SPLITS = 5

_Step = TypeVar("_Step")

_STYLES = {
    Origin.EXACT: ("exact", "bold green"),
    Origin.RECALLED: ("stored", "green"),
    Origin.IMAGINED: ("imagined", "magenta"),
    Origin.NOTHING: ("nothing", "dim"),
}


def article_database() -> Database:
    """The first article's store under its settings.

    Raw GloVe vectors, dot product, τ = 1, and nothing but decoding to the nearest of all 400,000
    words.

    Examples
    --------
    >>> article_database().query("seventy")
    ['gender', 'ethnicity', 'orientation', 'regardless', 'defining']
    """
    return Database(
        RECORDS,
        encoder="glove-raw",
        metric="dot",
        temperature=1.0,
        imagination=1.0,
        decoding="euclidean",
    )


def halves(pairs: dict[str, str], seed: int) -> tuple[dict[str, str], dict[str, str]]:
    """Split pairs at random into those that are stored and those that are asked."""
    keys = sorted(pairs)
    random.Random(seed).shuffle(keys)  # noqa: S311  (a fair split, not a secret)
    middle = len(keys) // 2
    return {k: pairs[k] for k in keys[:middle]}, {k: pairs[k] for k in keys[middle:]}


def run(console: Console) -> None:
    """Run the three parts of the demo."""
    _article(console)
    _capitals(console)
    _languages(console)


def _heading(console: Console, title: str, text: str) -> None:
    console.print()
    console.rule(f"[bold]{title}")
    console.print(text)
    console.print()


def _labelled(candidates: Iterable[Candidate]) -> Text:
    """Values by origin, in words and colour: "stored shape, imagined shaped fit"."""
    line = Text()
    last = None
    for candidate in candidates:
        label, style = _STYLES[candidate.origin]
        if candidate.origin is not last:
            line.append(f"{', ' if last else ''}{label}", "dim")
            last = candidate.origin
        line.append(f" {candidate.value}", style)
    return line


def _checked(right: bool, line: Text) -> Text:
    return Text("✓ " if right else "✗ ").append_text(line)


def _waiting(console: Console, steps: Sequence[_Step]) -> Iterable[_Step]:
    return track(steps, "asking", console=console, transient=True, disable=not console.is_terminal)


def _article(console: Console) -> None:
    _heading(
        console,
        "1  A dict that answers keys it has never seen",
        "Six records: " + ", ".join(f"{k} → {v}" for k, v in RECORDS.items()) + ".\n"
        "None of the queries is among them.",
    )
    theirs, ours = article_database(), Database(RECORDS)
    table = Table(
        "query",
        "the article's settings (✓ as printed there)",
        "qkv's defaults",
        box=None,
        pad_edge=False,
    )
    right = 0
    for query in _waiting(console, QUERIES):
        before, after = theirs.attend(query, n=5), ours.attend(query)
        words = [candidate.value for candidate in before.candidates]
        right += after.value == ANSWERS[query]
        table.add_row(
            query,
            _checked(words == ARTICLE[query], _labelled(before.candidates)),
            _checked(after.value == ANSWERS[query], _labelled([after.best])),
        )
    console.print(table)
    console.print(f"\nRight at first place: {right} of {len(QUERIES)} with the defaults.")


def _capitals(console: Console) -> None:
    stored, asked = halves(CAPITALS, seed=0)
    _heading(
        console,
        "2  A relation, completed",
        f"{len(stored)} of the world's countries and their capitals are stored; the other "
        f"{len(asked)} countries are asked.\nNo record holds any of their capitals: a right answer "
        "can only be imagined.",
    )
    db = Database(stored, head="relation")
    table = Table("country", "relation", "blend", box=None, pad_edge=False)
    for country, capital in list(asked.items())[:8]:
        answers = (db.attend(country), db.attend(country, head="blend"))
        table.add_row(country, *(_marked(answer, capital) for answer in answers))
    console.print(table)
    console.print(f"\nRight at first place, mean of {SPLITS} random halves:")
    countries = {capital: country for country, capital in CAPITALS.items()}
    for title, pairs in (("country → capital", CAPITALS), ("capital → country", countries)):
        relation, blend = _right(console, pairs)
        console.print(f"  {title}:  relation {relation:.0%}   blend {blend:.0%}")


def _right(console: Console, pairs: dict[str, str]) -> tuple[float, float]:
    """Share right at first place, also where the store doubts it, with either head."""
    right = {"relation": 0, "blend": 0}
    total = 0
    for seed in _waiting(console, range(SPLITS)):
        stored, asked = halves(pairs, seed)
        db = Database(stored)
        total += len(asked)
        for head in right:
            answers = db.attend(list(asked), head=head)
            right[head] += sum(
                bool(a.candidates) and a.candidates[0].value == asked[a.query] for a in answers
            )
    return right["relation"] / total, right["blend"] / total


def _marked(answer: Attention, expected: str) -> Text:
    return _checked(answer.value == expected, _labelled([answer.best]))


def _languages(console: Console) -> None:
    _heading(
        console,
        "3  Questions and answers in four languages",
        "Twelve responses in English, Spanish and French. The last question is Chinese.",
    )
    db = Database(RESPONSES)
    table = Table("question", "nearest responses", box=None, pad_edge=False)
    for question, subject in QUESTIONS.items():
        found = db.search(question, k=3)
        line = Text()
        for place, match in enumerate(found):
            line.append("; " if place else "")
            line.append("✓ " if match.value == subject else "✗ ")
            line.append(match.key, "green" if match.value == subject else "red")
            line.append(f" {match.score:.2f}", "dim")
        table.add_row(question, line)
    console.print(table)
    hits = sum(db.query(q, 1) == [subject] for q, subject in QUESTIONS.items())
    console.print(f"\nAsked for the value, {hits} of {len(QUESTIONS)} are right at first place.")
