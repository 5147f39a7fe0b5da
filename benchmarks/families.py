"""Synthetic stores of many families, with questions whose answer is known: for `lookup`.

A *family* is a kind of key: names, foods, words, glosses, summaries, questions of customers,
paraphrases, translations. A *store* draws keys of one family, gives them values of one kind, and
asks: the same key in other case, in a frame, with a slip of the fingers, in other words, in another
language; keys of the family that are not stored; and texts that have nothing to do with it.

Everything follows from a seed and a part: what may be tuned on, ``"tune"``, shares no key, frame or
language with what is reported, ``"report"``. Frames are composed by a grammar of our own.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from random import Random
from typing import Any

import datasets
from datasets import DATA
from hearing_columns import Part, in_half
from intents import banking, clinc
from spelling import with_slips

Value = str | float

#: What is asked of a store, and whether it holds the answer.
STORED_FORMS = ("case", "frame", "typo", "frame+typo", "paraphrase", "language", "same kind")
STRANGERS = ("near", "miss", "far")
FORMS = STORED_FORMS + STRANGERS
#: Kinds of values: so many labels at random, numbers at random, or what the data say.
KINDS = ("2", "5", "30", "n/2", "n", "number", "real")
SIZES = (6, 20, 50, 150, 500, 1500)
LARGE = 15_000


@dataclass(frozen=True)
class Item:
    """A key, what is known of it, and other ways to ask for it.

    Attributes
    ----------
    key : str
    value : str or float or None
        What the data say: a class, an intent, an energy in kcal.
    paraphrase, language, miss : tuple of str
        The same in other words; in another language; what looks the same and is not.
    """

    key: str
    value: Value | None = None
    paraphrase: tuple[str, ...] = ()
    language: tuple[str, ...] = ()
    miss: tuple[str, ...] = ()


@dataclass(frozen=True)
class Family:
    """Keys of one kind.

    Attributes
    ----------
    name : str
    source : str
        Where its texts are from: strangers are taken from other sources.
    items : list of Item
    framed : {"person", "thing", "sentence"}
        By what frames its keys are asked for.
    kinds : tuple of str
        Of values, from `KINDS`.
    shipped : bool
        Whether constants that are shipped may be learned from it.
    """

    name: str
    source: str
    items: list[Item]
    framed: str
    kinds: tuple[str, ...] = KINDS[:-1]
    shipped: bool = True


@dataclass(frozen=True)
class Question:
    """What is asked: `row` is the record that is meant, −1 where none is; `value` the answer.

    A question of the *same kind* means no record, and has a value nevertheless: that of its kind.
    """

    text: str
    form: str
    row: int
    value: Value | None


@dataclass(frozen=True)
class Store:
    """Records of one family, and questions to them."""

    family: str
    kind: str
    keys: list[str]
    values: list[Value]
    questions: list[Question] = field(repr=False)


def missing() -> list[str]:
    """Files that are needed and not there."""
    return datasets.missing(_NEEDED)


_NEEDED = (
    "banking77/train.csv.gz",
    "clinc150/data_full.json.gz",
    "pawsx/dev-en.tsv.gz",
    "pawsx/test-de.labelled.tsv.gz",
    "pypi_summaries/pypi_summaries_250k.tsv.gz",
    "stsb/stsb-en-dev.csv.gz",
    "tatoeba/tatoeba_v1.tar.gz",
    "usda_food/food.tsv.gz",
    "wordnet_glosses/glosses.tsv.gz",
    "xquad/xquad.en.json.gz",
)


# ── frames, and other ways to write ──────────────────────────────────────────────────────────


def _words(text: str) -> list[str]:
    return text.split()


_OPENINGS = (
    *("", "", "", "", "please ", "hi, ", "hello there, ", "quick question: ", "excuse me, "),
    *("sorry to bother you, ", "one more thing: ", "um, ", "hey ", "so, ", "ok, ", "well, "),
    *("good morning, ", "could you help me? ", "a colleague asks: ", "just checking: "),
)
_CLOSINGS = (
    *("", "", "", "?", "?", " please", " thanks", ", thank you", " now", " today", "!", " asap"),
    *(" if you can", " again", " these days", " by any chance?", "...", " - any idea?"),
)
_NOUNS = _words(
    "number code entry place price room shelf office desk id value address extension date details "
    "file page label type group team category owner status amount phone tag"
)
_THINGS = (
    *("{}", "{}", "{}", "what about {}", "and {}", "do you know {}", "what is {}", "find {}"),
    *("show me {}", "look up {}", "look for {}", "tell me about {}", "info on {}", "search {}"),
    *("i am looking for {}", "anything on {}", "what do we have on {}", "is {} in the list"),
    *("open the record of {}", "can you check {} for me", "could someone point me to {}"),
    *("i would like to know more about {}", "where can i find {}", "have we got {}"),
    *("i was told to ask about {}", "what is written down for {}", "is {} known here"),
    *("i have been trying to find {} all day", "my question is about {}", "the {}", "get {}"),
    *("{} <noun>", "the <noun> of {}", "what is the <noun> of {}", "what's the <noun> for {}"),
    *("give me the <noun> of {}", "i need the <noun> for {}", "which <noun> belongs to {}"),
    *("which <noun> has {}", "is there a <noun> for {}", "do we have the <noun> of {}"),
    *("how do i get the <noun> of {}", "<noun> {}", "what <noun> goes with {}"),
    *("i forgot the <noun> of {}", "can you read me the <noun> of {}", "{}, <noun>"),
)
_PEOPLE = (
    *("who is {}", "call {}", "email {}", "where is {}", "dr {}", "ms {}", "prof. {}", "ask {}"),
    *("is {} in today", "when was {} last seen", "how can i reach {}", "does {} work here"),
    *("at which desk is {} sitting", "i need to talk to {}", "who works with {}", "meet {}"),
    *("{}'s <noun>", "what is {}'s <noun>", "has {} got a <noun>", "did {} change the <noun>"),
)
_SENTENCES = (
    *("{}", "{}", "please tell me: {}", "i was wondering, {}", "can you help? {}", "{}"),
    *("my question: {}", "someone asked me: {}", "i would like to ask: {}", "the note says: {}"),
    *("another thing, {}", "what do you say to this: {}", "somebody wrote: {}", "again: {}"),
    *("here is what i have: {}", "it is about this: {}", "once more, {}", "listen, {}"),
)


@cache
def frames(framed: str, part: Part) -> list[str]:
    """Frames of a half: thousands of them, each with one ``{}`` where the key goes."""
    bodies = {
        "person": _THINGS + _PEOPLE,
        "thing": _THINGS,
        "sentence": _SENTENCES,
    }[framed]
    said = [
        body.replace("<noun>", noun)
        for body in bodies
        for noun in (_NOUNS if "<noun>" in body else ("",))
        if in_half(body.replace("<noun>", noun), part) or body == "{}"
    ]
    made = dict.fromkeys(map("".join, product(dict.fromkeys(_OPENINGS), said, _CLOSINGS)))
    return [one for one in made if in_half(one, part) and one != "{}"]


def framed(key: str, how: str, part: Part, random: Random) -> str:
    """The key in a frame; half of the time in lower case."""
    bodies = frames(how, part)
    # Short frames are as likely as long ones, of which there are many more.
    some = random.sample(bodies, 3)
    frame = min(some, key=len) if random.random() < 0.5 else some[0]
    text = frame.replace("{}", key.rstrip("?.! ") if how == "sentence" else key)
    return text.lower() if random.random() < 0.5 else text


def other_case(key: str, random: Random) -> str:
    """The key in other case, or with other marks around it: never as it is."""
    ways: list[Callable[[str], str]] = [
        str.upper,
        str.lower,
        str.title,
        str.capitalize,
        lambda text: text.rstrip("?.! "),
        lambda text: text.rstrip("?.! ").lower() + "?",
        lambda text: f"  {text.capitalize()}!",
    ]
    made = [text for way in ways if (text := way(key)) != key]
    return random.choice(made)


def slips(key: str, random: Random) -> str | None:
    """The key with slips of the fingers; None where it has no word that is long enough."""
    for _ in range(8):
        text = with_slips(key, random.randrange(1 << 30))
        if text != key:
            return text
    return None


# ── families ─────────────────────────────────────────────────────────────────────────────────

_FIRST = _words(
    "aaron adele agnes ahmed albert alice alina amir andrea anton astrid benjamin bianca boris "
    "carla carlos cecile chen claire daniel dario diana edgar elena elsa emil enzo erik esther "
    "fatima felix fiona george gina hannah helen hugo ines ingrid isaac ivan james jane joan john "
    "jonas julia karl katya lars laura leo linda lin lucia marco maria marta mary max mei michael "
    "mira nadia nancy nils noah omar oscar pablo patricia paul paula peter petra priya rafael rita "
    "robert rosa ruth samuel sana sara simon sofia susan sven tara theo thomas tomas ursula vera "
    "victor wanda william xavier yara yusuf zoe"
)
_LAST = _words(
    "adams ali allen anders baker bauer becker bell berg bianchi bishop blanc brandt brown burke "
    "campbell carter chavez christie chung clark cohen cole cruz daly davis diaz dunn eriksson "
    "evans farkas ferrari fischer fleming fox garcia gomez gray green gupta hall hansen harris "
    "hayes hill hoffmann horvat hughes ito ivanov jackson johnson jones jung kaya keller kelly "
    "khan kim king klein kumar lambert lee lopez mancini martin mendez meyer miller molnar moore "
    "mueller murphy nagy nelson nielsen okafor olsen ortiz park patel perez popov quinn rao reed "
    "ricci rivera romano roth russo sanchez sato schmidt scott shah silva simmons singh smith "
    "stein stone suzuki tanaka taylor thompson torres turner vargas vogel wagner walker walsh wang "
    "white williams wood wright wu yamada young zhang zimmerman"
)
_TATOEBA: dict[Part, tuple[str, ...]] = {
    "tune": ("nld", "pol", "rus", "jpn", "tur"),
    "report": ("deu", "cmn", "spa", "fra"),
}
_XQUAD: dict[Part, tuple[str, ...]] = {
    "tune": ("ar", "ru", "th", "tr"),
    "report": ("de", "es", "zh"),
}
#: Keys of a family at most, but in the largest store.
_MOST = 4000


def glosses(part: Part, count: int) -> Family:
    """A family of more keys than the others have, for the largest store."""
    return Family("glosses", "wordnet", _glosses(part, count), "sentence")


@cache
def families(part: Part) -> dict[str, Family]:
    """All families, their keys of one part alone."""
    made = [
        Family("names", "names", _names(part), "person"),
        Family("foods", "foods", _foods(part), "thing", KINDS),
        Family("lemmas", "wordnet", _lemmas(part), "thing", KINDS),
        Family("glosses", "wordnet", _glosses(part), "sentence"),
        Family("summaries", "packages", _summaries(part), "sentence"),
        Family("packages", "packages", _packages(part), "thing"),
        Family("banking", "intents", _intents(_banking(part)), "sentence", KINDS),
        Family("clinc", "intents", _intents(_clinc(part)), "sentence", KINDS),
        Family("banking faq", "intents", _faq(_banking(part), part), "sentence"),
        Family("clinc faq", "intents", _faq(_clinc(part), part), "sentence"),
        Family("pawsx", "pawsx", _pawsx(part), "sentence"),
        Family("stsb", "stsb", _stsb(part), "sentence"),
        Family("mqp", "mqp", _mqp(part), "sentence", shipped=False),
        Family("xquad", "xquad", _xquad(part), "sentence"),
        Family("tatoeba", "tatoeba", _translated(part), "sentence"),
    ]
    return {family.name: family for family in made if len(family.items) > 40}


def _some(items: Iterable[Item], name: str, most: int = _MOST) -> list[Item]:
    """At most so many, in an order of their own, each key once."""
    unique = {item.key: item for item in items}
    found = list(unique.values())
    Random(name).shuffle(found)
    return found[:most]


def _names(part: Part) -> list[Item]:
    keys = (f"{first} {last}" for first, last in product(_FIRST, _LAST))
    return _some((Item(key) for key in keys if in_half(key, part)), "names")


def _foods(part: Part) -> list[Item]:
    listed = ((key.replace('"', ""), kcal) for key, kcal in datasets.foods())
    return _some((Item(key, kcal) for key, kcal in listed if in_half(key, part)), "foods")


@cache
def _synsets(part: Part) -> list[tuple[str, list[str], str]]:
    """Lexicographer file, lemmas and gloss of WordNet's synsets, a half by their first lemma."""
    with gzip.open(DATA / "wordnet_glosses" / "glosses.tsv.gz", "rt", encoding="utf-8") as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines][1:]
    split = [(file, lemmas.split("; "), gloss.split(";")[0]) for _, file, lemmas, gloss in rows]
    return [(file, lemmas, gloss) for file, lemmas, gloss in split if in_half(lemmas[0], part)]


def _lemmas(part: Part) -> list[Item]:
    # A word of several synsets has no one class.
    files: dict[str, set[str]] = {}
    for file, lemmas, _ in _synsets(part):
        for lemma in lemmas:
            files.setdefault(lemma, set()).add(file)
    items = (
        Item(lemmas[0], datasets.CLASSES.get(file), tuple(lemmas[1:2]))
        for file, lemmas, _ in _synsets(part)
        if file in datasets.CLASSES and all(len(files[lemma]) == 1 for lemma in lemmas[:2])
    )
    return _some(items, "lemmas")


def _glosses(part: Part, most: int = _MOST) -> list[Item]:
    said = (Item(gloss) for _, _, gloss in _synsets(part) if len(gloss) > 20)
    return _some(said, "glosses", most)


@cache
def _listed(part: Part) -> list[tuple[str, str]]:
    listed = datasets.packages()[:60_000]
    return [(name, text[:200]) for name, text in listed if in_half(name, part)]


def _summaries(part: Part) -> list[Item]:
    return _some((Item(text) for _, text in _listed(part) if len(text) > 15), "summaries")


def _packages(part: Part) -> list[Item]:
    named = (name for name, _ in _listed(part) if len(name) > 3)
    return _some((Item(name) for name in named), "packages")


Labelled = list[tuple[str, str]]


def _banking(part: Part) -> Labelled:
    split = banking("train" if part == "tune" else "test")
    return list(zip(split.texts, split.labels, strict=True))


def _clinc(part: Part) -> Labelled:
    split = clinc("train" if part == "tune" else "test")
    return list(zip(split.texts, split.labels, strict=True))


def _intents(rows: Labelled) -> list[Item]:
    return _some((Item(text, label) for text, label in rows), "intents")


def _faq(rows: Labelled, part: Part) -> list[Item]:
    """One question of each intent, to be asked by others of the same intent."""
    of: dict[str, list[str]] = {}
    for text, label in rows:
        of.setdefault(label, []).append(text)
    random = Random(f"faq {part}")
    drawn = {label: random.sample(texts, min(6, len(texts))) for label, texts in of.items()}
    return [Item(texts[0], label, tuple(texts[1:])) for label, texts in drawn.items()]


def _pairs(rows: Iterable[tuple[str, str, bool]], name: str) -> list[Item]:
    """Keys with what is the same and what only looks the same."""
    same: dict[str, list[str]] = {}
    other: dict[str, list[str]] = {}
    for key, text, alike in rows:
        (same if alike else other).setdefault(key, []).append(text)
    keys = dict.fromkeys([*same, *other])
    items = (
        Item(key, paraphrase=tuple(same.get(key, ())), miss=tuple(other.get(key, ())))
        for key in keys
    )
    return _some(items, name)


def _tabbed(name: str) -> list[list[str]]:
    with gzip.open(DATA / "pawsx" / f"{name}.tsv.gz", "rt", encoding="utf-8") as lines:
        return [line.rstrip("\n").split("\t") for line in lines]


def _pawsx(part: Part) -> list[Item]:
    """English development pairs; for the report German test pairs, as no others are there."""
    rows = _tabbed("dev-en") if part == "tune" else [r[1:] for r in _tabbed("test-de.labelled")]
    return _pairs(((a, b, label == "1") for a, b, label in rows if label in "01"), "pawsx")


def _stsb(part: Part) -> list[Item]:
    pairs = datasets.sts("en-train" if part == "tune" else "en-test")
    rows = zip(pairs.left, pairs.right, pairs.alike.tolist(), strict=True)
    told = [(a, b, alike >= 4.4) for a, b, alike in rows if alike >= 4.4 or 1.0 <= alike <= 2.6]
    return _pairs(told, "stsb")


def _mqp(part: Part) -> list[Item]:
    path = DATA / "mqp" / "mqp.csv.gz"
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = [(a, b, label == "1") for _, a, b, label in csv.reader(file)]
    middle = len(rows) // 2
    return _pairs(rows[:middle] if part == "tune" else rows[middle:], "mqp")


def _xquad(part: Part) -> list[Item]:
    tuning = part == "tune"
    asked = datasets.xquad_half("en", tuning=tuning).questions
    others = [datasets.xquad_half(one, tuning=tuning).questions for one in _XQUAD[part]]
    rows = zip(asked, *others, strict=True)
    return _some((Item(key, language=tuple(said)) for key, *said in rows), "xquad")


def _translated(part: Part) -> list[Item]:
    said: dict[str, list[str]] = {}
    for code in _TATOEBA[part]:
        for foreign, english in datasets.translations(code):
            if in_half(english, part):
                said.setdefault(english, []).append(foreign)
    return _some((Item(key, language=tuple(texts)) for key, texts in said.items()), "tatoeba")


# ── stores ───────────────────────────────────────────────────────────────────────────────────


def store(
    family: Family,
    kind: str,
    size: int,
    part: Part,
    *,
    seed: int = 0,
    each: int = 40,
    forms: Sequence[str] = FORMS,
) -> Store | None:
    """A store of a family, and questions to it; None where the family has too few keys.

    Parameters
    ----------
    family : Family
    kind : str
        Of its values: see `KINDS`.
    size : int
        How many records.
    part : {"tune", "report"}
    seed : int
    each : int
        Questions of each form at most.
    forms : sequence of str
        See `FORMS`.
    """
    random = Random(f"{family.name} {kind} {size} {part} {seed}")
    items = [one for one in family.items if kind != "real" or one.value is not None]
    if len(items) < size * 4 // 3:
        return None
    kept, spare = _cut(family, items, size, random)
    values = _values(kept, kind, random)
    keys = [item.key for item in kept]
    asking = _Asking(family, kept, values, part, random)
    stored = set(keys)
    questions: list[Question] = []
    for form in forms:
        made = asking.of(form, spare, real=kind == "real")
        some = [one for one in made(4 * each) if one.text not in stored]
        unique = list({one.text: one for one in some}.values())
        questions += unique[:each]
    return Store(family.name, kind, keys, values, questions)


def _cut(
    family: Family, items: list[Item], size: int, random: Random
) -> tuple[list[Item], list[Item]]:
    """Records, and items that are not stored: of other intents, where there are intents."""
    items = random.sample(items, len(items))
    if family.source != "intents":
        return items[:size], items[size : size + 400]
    labels = sorted({str(item.value) for item in items})
    away = set(random.sample(labels, max(1, len(labels) // 4)))
    kept = [item for item in items if item.value not in away][:size]
    return kept, [item for item in items if item.value in away][:400]


def _values(kept: list[Item], kind: str, random: Random) -> list[Value]:
    n = len(kept)
    if kind == "real":
        return [item.value for item in kept if item.value is not None]
    if kind == "number":
        return [float(random.randint(1, 9999)) for _ in kept]
    count = {"n": n, "n/2": max(2, n // 2)}.get(kind) or int(kind)
    labels = [f"office {i}" for i in random.sample(range(1, 10 * count + 10), count)]
    drawn = [labels[i % count] for i in range(n)]
    random.shuffle(drawn)
    return [*drawn]


@dataclass(frozen=True)
class _Asking:
    """Makes questions to one store."""

    family: Family
    kept: list[Item]
    values: list[Value]
    part: Part
    random: Random

    def of(
        self, form: str, spare: list[Item], *, real: bool
    ) -> Callable[[int], Iterator[Question]]:
        """What makes at most so many questions of a form."""
        if form in ("near", "same kind"):
            same = real and all(isinstance(value, str) for value in self.values)
            own = set(self.values)
            if form == "near":
                return lambda n: self._near(spare if not same or self._intents else [], n)
            kin = self._beside() if self._intents else spare
            return lambda n: self._kin([i for i in kin if i.value in own] if same else [], n)
        if form == "far":
            return self._far
        return lambda n: self._stored(form, n)

    @property
    def _intents(self) -> bool:
        return self.family.source == "intents"

    def _beside(self) -> list[Item]:
        """Items of the stored intents that are not stored."""
        stored = {item.key for item in self.kept}
        return [item for item in self.family.items if item.key not in stored]

    def _stored(self, form: str, n: int) -> Iterator[Question]:
        for row in self.random.choices(range(len(self.kept)), k=n):
            text = self._asked(self.kept[row], form)
            if text is not None:
                yield Question(text, form, -1 if form == "miss" else row,
                               None if form == "miss" else self.values[row])  # fmt: skip

    def _asked(self, item: Item, form: str) -> str | None:
        random, key = self.random, item.key
        if form == "case":
            return other_case(key, random)
        if form == "frame":
            return framed(key, self.family.framed, self.part, random)
        if form in ("typo", "frame+typo"):
            slipped = slips(key, random)
            if slipped is None or form == "typo":
                return slipped
            return framed(slipped, self.family.framed, self.part, random)
        others = {"paraphrase": item.paraphrase, "language": item.language, "miss": item.miss}[form]
        return random.choice(others) if others else None

    def _near(self, spare: list[Item], n: int) -> Iterator[Question]:
        for item in self.random.choices(spare, k=n) if spare else ():
            yield Question(self._varied(item), "near", -1, None)

    def _kin(self, kin: list[Item], n: int) -> Iterator[Question]:
        for item in self.random.choices(kin, k=n) if kin else ():
            yield Question(item.key, "same kind", -1, item.value)

    def _varied(self, item: Item) -> str:
        """As it is, in another case, or in a frame."""
        how = self.random.random()
        if how < 0.4:
            return item.key
        if how < 0.6:
            return other_case(item.key, self.random)
        return framed(item.key, self.family.framed, self.part, self.random)

    def _far(self, n: int) -> Iterator[Question]:
        pools = [texts for source, texts in strangers(self.part).items()
                 if source != self.family.source]  # fmt: skip
        for _ in range(n):
            yield Question(self.random.choice(self.random.choice(pools)), "far", -1, None)


@cache
def strangers(part: Part) -> dict[str, list[str]]:
    """Texts by source: what is far from any family of another source."""
    found: dict[str, list[str]] = {}
    for family in families(part).values():
        if not family.shipped:
            continue
        random = Random(f"strangers {family.name} {part}")
        some = random.sample(family.items, min(150, len(family.items)))
        texts = [item.key for item in some]
        if family.framed != "sentence":
            texts[75:] = [framed(text, family.framed, part, random) for text in texts[75:]]
        found.setdefault(family.source, []).extend(texts)
    beyond = clinc("oos_train" if part == "tune" else "oos_test").texts
    found.setdefault("intents", []).extend(beyond[:150])
    return found


def described() -> list[dict[str, Any]]:
    """Each family of each part: how many keys, and an example."""
    return [
        {"part": part, "family": one.name, "keys": len(one.items), "such as": one.items[0].key}
        for part in ("tune", "report")
        for one in families(part).values()  # type: ignore[arg-type]
    ]
