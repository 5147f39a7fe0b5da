"""What a store hears: ``python benchmarks/hearing.py``, every figure of the encoders' hearing.

Four parts, each for the encoders that are named:

- columns: likeness of sentences and words, intents, documents, paragraphs, translations, stores of
  two languages; by the encoder's vectors alone,
- everyday: stores as people keep them (questions and answers, merchants, a catalogue …), asked
  through ``qkv.Database``,
- related: records whose values say something of their keys, with the values read and without,
- costs: the time of encoding and of the first answer, floats, and with ``--stores`` the size of
  files and the time to read them.

Whatever was chosen by looking was chosen on ``--tune``: training and development splits, other
languages, halves; ``--report``, the default, asks the test splits and the other halves. Writes
results/hearing.md and results/hearing.json.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import argparse
import sys
from pathlib import Path
from typing import Any

import datasets
import hearing_costs as costs
import hearing_everyday as everyday
import hearing_related as pairs
from defaults import Table
from encoded import remembering
from hearing_columns import MEASURES, Halves, Part, columns
from measure import Quiet, wait_for_quiet
from stores import LABELS
from study import write

from qkv.encoders import DEFAULT, Encoder, resolve
from qkv.errors import EncoderError, MissingExtra
from qkv.tables import SINGLE

ENCODERS = tuple(dict.fromkeys((DEFAULT, "glove+use", "use+transformer")))
PARTS = ("columns", "everyday", "related", "costs")
#: Of the report part, what was aimed at where the very same questions had been asked beforehand;
#: those of intents are of other draws.
GOALS = {
    "STS-B en": 0.832,
    "STS-B es": 0.760,
    "STS-B fr": 0.753,
    "STS-B de": 0.750,
    "STS-B zh": 0.746,
    "SimLex-999": 0.546,
    "WordSim-353": 0.765,
    "CLINC150 10 each, nearest": 0.850,
    "CLINC150 10 each, prototype": 0.906,
    "CLINC150 10 each, out of scope (AUROC)": 0.951,
    "Banking77 10 each, nearest": 0.807,
    "Banking77 10 each, prototype": 0.809,
    "Tatoeba de → en": 0.986,
    "Tatoeba zh → en": 0.928,
    "two languages de → en": 0.90,
    "two languages en → de": 0.85,
    "two languages zh → en": 0.65,
    "two languages en → zh": 0.65,
}


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--tune", action="store_true", help="what may be chosen on; nothing written")
    which.add_argument("--report", action="store_true", help="what is told: the default")
    parser.add_argument("--encoders", default=",".join(ENCODERS), help="names, by commas")
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument(
        "--measures", default=",".join(MEASURES), help=f"of columns: {', '.join(MEASURES)}"
    )
    parser.add_argument(
        "--float16", action="store_true", help="columns: the first encoder's keys in float16, too"
    )
    parser.add_argument(
        "--stores", action="store_true", help="costs: stores of 15,000 and 100,000, too"
    )
    parser.add_argument(
        "--site-packages", type=Path, metavar="DIR", help="costs: of an environment with qkv alone"
    )
    parser.add_argument(
        "--wait", type=float, default=0.0, metavar="SECONDS", help="costs: for a quiet machine"
    )
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    only, measures = _of(parser, options.only, PARTS), _of(parser, options.measures, MEASURES)
    absent = datasets.missing()
    if absent:
        sys.exit(f"The data sets are not in {datasets.DATA} (set QKV_DATA): {', '.join(absent)}")
    names = _usable(options.encoders.split(","))
    part: Part = "tune" if options.tune else "report"
    tables = []
    if "columns" in only:
        tables.append(heard(names, part, measures, float16=options.float16))
    if "everyday" in only and part == "report":
        tables += asked(names)
    if "related" in only:
        tables.append(related(names, part))
    if "costs" in only and part == "report":
        wait_for_quiet(options.wait)
        tables.append(cost(names, options.site_packages))
        if options.stores:
            tables.append(stores(names))
    for table in tables:
        print(table.markdown(), flush=True)
    whole = set(only) == set(PARTS) and set(measures) == set(MEASURES)
    if whole and part == "report" and not options.no_write:
        write("hearing", "What a store hears", tables)


def _of(parser: argparse.ArgumentParser, given: str, known: Any) -> list[str]:
    names = given.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"{', '.join(unknown)}: there are {', '.join(known)}")
    return names


def _usable(names: list[str]) -> list[str]:
    """Those of the encoders that are there."""
    usable = []
    for name in names:
        try:
            resolve(name)
        except (EncoderError, MissingExtra) as error:
            print(f"left out: {error}")
        else:
            usable.append(name)
    return usable or sys.exit("no encoder is left")


# ── columns ──────────────────────────────────────────────────────────────────────────────────


def heard(names: list[str], part: Part, measures: list[str], *, float16: bool) -> Table:
    """The columns of the encoders, as a table: a row for each measure."""
    encoders: dict[str, Encoder] = {name: remembering(name) for name in names}
    if float16:
        encoders[f"{names[0]}, float16"] = Halves(remembering(names[0]))
    found = columns(encoders, part, measures)
    goal = part == "report"
    return Table(
        f"Columns, {part}",
        "STS-B and words: Spearman's ρ; out of scope: AUROC of the best score; SciFact: nDCG@10; "
        "else the share of questions whose nearest key is right (prototype: nearest mean), of "
        "intents over four draws of what is stored. Two languages: 500 translations and 500 "
        "sentences of the question's language are stored. "
        f"±: standard error of {names[0]}'s figure.",
        ["", *found, "±", *(["goal"] if goal else [])],
        [
            [what, *(one[what].value for one in found.values()), figure.error]
            + ([GOALS.get(what, "")] if goal else [])
            for what, figure in found[names[0]].items()
        ],
    )


# ── related ──────────────────────────────────────────────────────────────────────────────────


def related(names: list[str], part: Part) -> Table:
    """Stores of keys and values that belong together: what words and values give."""
    rows = []
    for store in pairs.related(part):
        for name in names:
            encoder = remembering(name)
            shares = [
                pairs.right(store, encoder, words=words, values=values)
                for words, values in ((False, False), (True, False), (False, True), (True, True))
            ]
            rows.append([store.name, name, len(store.records), len(store.asked), *shares])
            print(rows[-1], flush=True)
    return Table(
        f"Keys and values that belong together, {part}",
        "Share of questions whose likeliest candidate is right: by the meaning of keys alone, with "
        "their words, with the meaning of values, and with all, which is what a store does.",
        ["store", "encoder", "records", "questions", "keys", "+ words", "+ values", "all"],
        rows,
    )


# ── everyday ─────────────────────────────────────────────────────────────────────────────────


def asked(names: list[str]) -> list[Table]:
    """The everyday sets: a table of sets, and one of forms."""
    sets = everyday.everyday_sets()
    if not sets:
        print(f"no everyday sets in {everyday.FOLDER}")
        return []
    heard: dict[str, list[everyday.Heard]] = {name: [] for name in names}
    rows: list[list[Any]] = []
    for one in sets:
        for name in names:
            answers = everyday.ask(one, resolve(name))
            heard[name] += answers
            rows.append([one.name, name, *everyday.summary(answers)])
    rows += [["all", name, *everyday.summary(answers)] for name, answers in heard.items()]
    return [
        Table(
            "Everyday sets",
            "Of the questions that have an answer: right at first place by `query`, the likeliest "
            "candidate of `attend` (though it may not be given), the first record of hybrid "
            "search, and the share wrongly refused; of those with none: the share rightly "
            "refused. Confidence of the likeliest candidate over all questions, how often it is "
            f"right, and the calibration error ({everyday.BINS} bins).",
            ["set", "encoder", *everyday.SUMMARY],
            rows,
        ),
        forms(heard),
    ]


def forms(heard: dict[str, list[everyday.Heard]]) -> Table:
    """Everyday questions by their form."""
    groups = {name: everyday.by_form(answers) for name, answers in heard.items()}
    first = next(iter(groups.values()))
    return Table(
        "Everyday sets by the form of the question",
        "Right by `query` · likeliest candidate · first by hybrid search · wrongly refused; of "
        "forms without an answer the share rightly refused.",
        ["kind", "form", "questions", *groups],
        [
            [*key, len(answers), *(everyday.cell(group[key]) for group in groups.values())]
            for key, answers in first.items()
        ],
    )


# ── costs ────────────────────────────────────────────────────────────────────────────────────


def cost(names: list[str], site_packages: Path | None) -> Table:
    """Time of encoding and of the first answer."""
    quiet = Quiet()
    rows = [[name, *_rounded(figures)] for name, figures in costs.encoding(names).items()]
    text = (
        "One core. Single sentences are the median of "
        f"{costs.ROUNDS} rounds of {costs.SINGLE}; the first answer is the median of "
        f"{costs.FRESH} processes, from `import qkv`. Other programs kept {quiet.others()} cores "
        "busy meanwhile."
    )
    if site_packages is not None:
        text += f" All packages of an environment: {costs.folder_size(site_packages):.0f} MB."
    return Table("Costs", text, ["encoder", *costs.COSTS], rows)


def stores(names: list[str]) -> Table:
    """Files and scans."""
    rows: list[list[Any]] = []
    seen: set[int] = set()
    for name in names:
        encoder = resolve(name)
        width = costs.width(encoder)
        precision = getattr(encoder, "precision", SINGLE)
        if width not in seen:
            rows += [
                [name, width, n, *_rounded(costs.store(n, width, precision))] for n in costs.SIZES
            ]
        seen.add(width)
    return Table(
        "Stores",
        f"{LABELS} labels; random unit vectors of the encoder's width, kept in its precision; "
        "every key is read.",
        ["encoder", "floats a text", "records", *costs.STORE],
        rows,
    )


def _rounded(figures: list[float]) -> list[str]:
    return [f"{figure:,.0f}" if figure >= 100 else f"{figure:.2g}" for figure in figures]


if __name__ == "__main__":
    main()
