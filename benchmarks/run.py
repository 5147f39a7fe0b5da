"""Run benchmarks: ``python benchmarks/run.py [NAME ...]``; all of them without a name."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

from measure import Quiet, Row, Setup, clock, report, wait_for_quiet

HERE = Path(__file__).parent
RESULTS = HERE / "results"
NAMES = (
    "attend",
    "batch",
    "exact",
    "put",
    "bulk",
    "opening",
    "importing",
    "topk",
    "search_speed",
)
BEGIN, END = "<!-- results: written by run.py -->", "<!-- end of results -->"


def main() -> None:
    """Run, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--quick", action="store_true", help="4,000 records, few rounds, nothing written"
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="before each benchmark, wait so long at most until other programs are idle",
    )
    parser.add_argument(
        "--tables", action="store_true", help="only write the tables anew from the results"
    )
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}: {', '.join(NAMES)}")
    if not options.tables:
        setup = Setup(seed=options.seed)
        if options.quick:
            setup = Setup(n=4000, batch=16, seed=options.seed, patience=0.05)
        for name in options.names or NAMES:
            wait_for_quiet(options.wait)
            _run(name, setup, write=not options.quick)
    if not options.quick:
        write_tables()


def _run(name: str, setup: Setup, *, write: bool) -> None:
    print(f"\n{name}", flush=True)
    quiet = Quiet()
    rows = importlib.import_module(name).run(setup)
    for row in rows:
        _show(row)
    result = report(name, rows, setup, quiet)
    if result["others"] > 0.1:
        print(f"  noisy: other programs kept {result['others']} cores busy meanwhile")
    if write:
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps(result, indent=1, ensure_ascii=False)
        (RESULTS / f"{name}.json").write_text(text + "\n")


def _show(row: Row) -> None:
    verdict = {True: "met", False: "MISSED", None: ""}[row.met]
    print(f"  {row.what}")
    print(
        f"    {clock(row.seconds):>9} ({clock(row.low)} … {clock(row.high)})  {row.figure}"
        f"{f'   goal {row.goal}: {verdict}' if row.goal else ''}"
    )
    if row.floor is not None:
        above = row.seconds / row.floor
        print(f"    {clock(row.floor):>9} is the floor: {row.floor_is}; {above:.2f} × above")
    for name, seconds in row.peers.items():
        print(f"    {clock(seconds):>9} {name}", flush=True)


# ── tables ───────────────────────────────────────────────────────────────────────────────────


def write_tables() -> None:
    """Write results/README.md, and the short table in README.md, from the JSON files."""
    reports = [json.loads(path.read_text()) for name in NAMES if (path := _json(name)).exists()]
    if not reports:
        return
    (RESULTS / "README.md").write_text(_details(reports))
    readme = HERE / "README.md"
    text = readme.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    readme.write_text(f"{before}{BEGIN}\n\n{_summary(reports)}\n{END}{after}")


def _json(name: str) -> Path:
    return RESULTS / f"{name}.json"


def _summary(reports: list[dict[str, Any]]) -> str:
    lines = [
        "| | median | figure | goal | | × floor |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['what']} | {clock(row['seconds'])} | {row['figure']} | {row['goal']} "
        f"| {_mark(row)} | {_above(row)} |"
        for one in reports
        for row in one["rows"]
    ]
    return "\n".join(lines) + "\n\n" + _where(reports[0]) + "\n"


def _mark(row: dict[str, Any]) -> str:
    return {True: "met", False: "**missed**", None: ""}[row["met"]]


def _above(row: dict[str, Any]) -> str:
    return f"{row['seconds'] / row['floor']:.2f}" if row["floor"] else ""


def _where(one: dict[str, Any]) -> str:
    machine, versions = one["machine"], one["versions"]
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"{machine['os']}; Python {versions['python']}, NumPy {versions['numpy']} "
        f"({versions['blas']}), SQLite {versions['sqlite']}, qkv {versions['qkv']}; "
        f"seed {one['setup']['seed']}; {one['date']}."
    )


def _details(reports: list[dict[str, Any]]) -> str:
    parts = [
        "# Results\n",
        "Written by `benchmarks/run.py` from the JSON files beside this one.",
        "[../README.md](../README.md) says what the numbers mean.\n",
    ]
    for one in reports:
        lines = [
            f"## {one['name']}\n",
            f"{_where(one)} Other programs kept {one['others']} cores busy meanwhile.\n",
            "| | median (10 % … 90 %) | figure | goal | floor | × floor | peers |",
            "|---|---|---|---|---|---|---|",
        ]
        for row in one["rows"]:
            spread = f"{clock(row['seconds'])} ({clock(row['low'])} … {clock(row['high'])})"
            goal = f"{row['goal']}: {_mark(row)}" if row["goal"] else ""
            floor = f"{clock(row['floor'])}, {row['floor_is']}" if row["floor"] else ""
            peers = "; ".join(f"{name} {clock(s)}" for name, s in row["peers"].items())
            lines.append(
                f"| {row['what']} | {spread} | {row['figure']} | {goal} | {floor} "
                f"| {_above(row)} | {peers} |"
            )
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    main()
