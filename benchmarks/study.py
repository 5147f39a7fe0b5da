"""Writing a study down: tables for people and for machines."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path

from defaults import Table
from measure import machine, versions

RESULTS = Path(__file__).parent / "results"
SEED = 0


def write(name: str, title: str, tables: Sequence[Table], **used: str) -> None:
    """Write results/<name>.md and results/<name>.json.

    Parameters
    ----------
    name : str
        Of the benchmark.
    title : str
    tables : sequence of Table
    **used : str
        Versions of what else took part.
    """
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    facts = {"date": date, "seed": SEED, "machine": machine(), "versions": versions() | used}
    RESULTS.mkdir(exist_ok=True)
    record = facts | {"tables": [vars(table) for table in tables]}
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    named = ", ".join(f"{what} {version}" for what, version in facts["versions"].items())
    head = f"# {title}\n\nWritten by `benchmarks/{name}.py` on {date}, seed {SEED}; {named}.\n"
    parts = [head, *(table.markdown() for table in tables)]
    (RESULTS / f"{name}.md").write_text("\n".join(parts))
