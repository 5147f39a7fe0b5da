"""What a store hears: ``python benchmarks/hearing.py``, every figure of the encoders' hearing.

Three parts, each for the encoders that are named:

- columns: likeness of sentences and words, intents, documents, paragraphs, translations, stores of
  two languages; by the encoder's vectors alone,

Whatever was chosen by looking was chosen on ``--tune``: training and development splits, other
languages, halves; ``--report``, the default, asks the test splits and the other halves. Writes
results/hearing.md and results/hearing.json.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import argparse

from defaults import Table
from encoded import remembering
from hearing_columns import MEASURES, Part, columns
from study import write

from qkv.encoders import DEFAULT

ENCODERS = tuple(dict.fromkeys((DEFAULT, "glove+use", "use+transformer")))
PARTS = ("columns",)


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
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    part: Part = "tune" if options.tune else "report"
    names, only, measures = (
        options.encoders.split(","),
        options.only.split(","),
        options.measures.split(","),
    )
    tables = []
    if "columns" in only:
        tables.append(heard(names, part, measures))
        print(tables[-1].markdown(), flush=True)
    if not (options.no_write or options.tune):
        write("hearing", "What a store hears", tables)


def heard(names: list[str], part: Part, measures: list[str]) -> Table:
    """The columns of the encoders, as a table: a row for each measure."""
    found = columns({name: remembering(name) for name in names}, part, measures)
    first = found[names[0]]
    return Table(
        f"Columns, {part}",
        "STS-B and words: Spearman's ρ; out of scope: AUROC of the best score; SciFact: nDCG@10; "
        "else the share of questions whose nearest key is right (prototype: nearest mean). Two "
        "languages: 500 translations and 500 sentences of the question's language are stored. "
        f"±: standard error of {names[0]}'s figure.",
        ["", *names, "±"],
        [
            [what, *(found[name][what].value for name in names), figure.error]
            for what, figure in first.items()
        ],
    )


if __name__ == "__main__":
    main()
