"""`qkv check`: what a store says of its own answers; and answers within a budget of wrong ones."""

from __future__ import annotations

import json
import os
import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import qkv
from qkv.calibration import Reliability, prior
from qkv.cli import app
from qkv.cli.checking import _bands, _content
from qkv.tables import Tables

ABOUT = {
    "lights": ["lamp", "light", "bulb"],
    "music": ["song", "tune", "album"],
    "weather": ["rain", "snow", "sun"],
    "alarm": ["alarm", "bell", "clock"],
}
INTENTS = {
    f"{asked} the {word} {when}": intent
    for intent, words in ABOUT.items()
    for word in words
    for asked in ("turn on", "start", "please set", "what about")
    for when in ("now", "today", "in the morning")
}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def intents() -> str:
    return make(INTENTS)


def make(records: dict, path: str = "s.qkv", **options) -> str:
    with qkv.Database(records, path=path, encoder="hashing", **options):
        pass
    return path


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, (result.output, result.exception)
    return result


def report(*arguments: str) -> dict:
    return json.loads(run("check", *arguments, "--json").stdout)


def complaint(*arguments: str, code: int = 2) -> str:
    """What is said on stderr, which must be one line; nothing may be on stdout."""
    result = run(*arguments, code=code)
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


# ── the report ───────────────────────────────────────────────────────────────────────────────


def test_it_says_what_the_database_says(intents):
    found = report(intents)
    with qkv.Database(path=intents) as db:
        calibration = db.calibrate()
    known = calibration.reliability
    assert (found["records"], found["questions"]) == (144, 144)
    assert [found[name] for name in ("accuracy", "ece", "auroc", "temperature")] == [
        known.accuracy,
        known.ece,
        known.auroc,
        calibration.temperature,
    ]
    assert [tuple(one.values()) for one in found["bins"]] == list(known.bins)
    assert [one["max_wrong"] for one in found["budgets"]] == [0.01, 0.05, 0.1]
    for budget in found["budgets"]:
        least = calibration.threshold(budget["max_wrong"])
        assert budget["threshold"] == (least if np.isfinite(least) else None)


def test_its_fields():
    assert list(report(make(INTENTS))) == [
        "path",
        "records",
        "questions",
        "told",
        "unanswerable",
        "temperature",
        "accuracy",
        "ece",
        "auroc",
        "bins",
        "budgets",
        "kept",
    ]


def test_people_read_the_same_figures(intents):
    found = report(intents)
    text = run("check", intents).stdout
    assert text.startswith("s.qkv: 144 records, each asked for twice")
    for name in ("accuracy", "ece", "auroc"):
        assert f"{found[name]:.1%} " in text
    assert re.search(r"18% +of your questions", text)
    for budget in found["budgets"]:
        row = re.search(rf"^{budget['max_wrong']:.0%} wrong +(.*)$", text, re.MULTILINE)[1]
        if budget["threshold"] is None:
            assert row.startswith("never")
        else:
            assert row.startswith(f"{budget['threshold']:.1%} sure")
            assert row.rstrip().endswith(f"{budget['answered']:.1%}")


def test_confidences_are_brought_together_in_fifths():
    bins = ((0.05, 0.0, 0.1), (0.15, 0.5, 0.3), (0.9, 1.0, 0.2), (1.0, 0.8, 0.4))
    bands = _bands(bins)
    np.testing.assert_allclose(bands, [(0.58 / 0.6, 0.52 / 0.6, 0.6), (0.125, 0.375, 0.4)])


def test_a_budget_is_read_off_the_curve():
    known = Reliability(
        thresholds=(0.9, 0.8, 0.7, 0.6),
        errors=(0.0, 0.02, 0.05, 0.2),
        bounds=(0.03, 0.04, 0.08, 0.25),
        answered=(0.4, 0.7, 0.8, 1.0),
    )
    content = _content(replace(prior(9), questions=9, reliability=known))
    assert content["budgets"] == [
        {"max_wrong": 0.01, "threshold": None, "answered": 0.0},
        {"max_wrong": 0.05, "threshold": 0.8, "answered": 0.7},
        {"max_wrong": 0.1, "threshold": 0.7, "answered": 0.8},
    ]


@pytest.mark.parametrize(
    ("records", "there"),
    [
        ({}, "none"),
        ({"cat": "animal", "dog": "animal", "one": "number"}, "2 such records, of 1 value"),
        ({f"key {i}": 1.5 for i in range(50)}, "50 such records, of 1 value"),
        ({f"key {i}": i for i in range(50)}, "none"),
    ],
    ids=["empty", "small", "all equal", "all distinct"],
)
def test_a_store_that_cannot_be_asked_says_what_that_takes(records, there):
    make(records)
    text = run("check", "s.qkv").stdout
    assert "20 of them" in text
    assert f"Here are {there}. Until" in text
    assert re.search(rf"^s.qkv: {len(records)} records, and no questions", text)
    found = report("s.qkv")
    assert found["questions"] == 0
    assert [found[name] for name in ("accuracy", "ece", "auroc")] == [None] * 3
    assert [one["threshold"] for one in found["budgets"]] == [0.99, 0.95, 0.9]


# ── what it writes ───────────────────────────────────────────────────────────────────────────


def test_the_share_of_unanswerable_questions_changes_the_answers(intents):
    assert report(intents)["unanswerable"] == 0.18
    before = json.loads(run("attend", intents, "lamp", "--json").stdout)
    found = report(intents, "--unanswerable", "0.6")
    assert (found["unanswerable"], found["kept"]) == (0.6, True)
    after = json.loads(run("attend", intents, "lamp", "--json").stdout)
    assert after["null"] > before["null"]
    assert "60%" in run("check", intents, "--unanswerable", "0.6").stdout
    assert "--unanswerable is a share" in complaint("check", intents, "--unanswerable", "3")


def test_records_stay_as_they_are(intents):
    run("check", intents)
    with qkv.Database(path=intents) as db:
        assert dict(db) == INTENTS


def test_a_store_that_cannot_be_written_is_reported_all_the_same(intents, monkeypatch):
    expected = report(intents)
    make(INTENTS, "other.qkv")
    before = Path("other.qkv").read_bytes()
    access = os.access
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK and access(path, mode))
    result = run("check", "other.qkv", "--json")
    assert json.loads(result.stdout) == expected | {"path": "other.qkv", "kept": False}
    assert result.stderr.startswith("note: the report is not kept in the file: other.qkv")
    assert run("check", "other.qkv").stdout.startswith("other.qkv: 144 records")
    assert Path("other.qkv").read_bytes() == before
    assert not list(Path().glob("other.qkv-*"))


def test_a_store_that_another_process_is_writing_too(intents, monkeypatch):
    monkeypatch.setitem(qkv.Database.__init__.__kwdefaults__, "timeout", 0.05)
    with closing(Tables(Path(intents))) as other, other.writing():
        result = run("check", intents, "--json")
    assert json.loads(result.stdout)["kept"] is False
    assert "not kept" in result.stderr


# ── stores that cannot be checked ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("metric", ["dot", "euclidean"])
def test_only_cosine_is_calibrated(metric):
    make(INTENTS, metric=metric)
    assert f"compares keys by {metric}" in complaint("check", "s.qkv")


def test_the_encoder_of_another_program_is_not_guessed():
    class OwnEncoder:
        fingerprint = "letters"

        def encode(self, texts: list[str], /) -> np.ndarray:
            return np.array([[text.count("a") + 1.0, len(text)] for text in texts], np.float32)

    with qkv.Database(INTENTS, path="own.qkv", encoder=OwnEncoder()):
        pass
    before = Path("own.qkv").read_bytes()
    assert "encoder of its owner's" in complaint("check", "own.qkv")
    assert Path("own.qkv").read_bytes() == before


# ── the picture ──────────────────────────────────────────────────────────────────────────────


def test_a_picture_is_drawn_beside_the_report(intents):
    text = run("check", intents, "--picture", "trust.svg").stdout
    assert text.startswith("s.qkv: 144 records")
    assert text.endswith("\ndrew trust.svg\n")
    ElementTree.parse("trust.svg")
    json.loads(run("check", intents, "--picture", "trust.png", "--json").stdout)
    assert Path("trust.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_cannot_be_drawn_is_no_report(intents):
    Path("there.png").write_text("precious")
    assert ".png or .svg" in complaint("check", intents, "--picture", "trust.jpg")
    assert "--force" in complaint("check", intents, "--picture", "there.png")
    assert Path("there.png").read_text() == "precious"
    run("check", intents, "--picture", "there.png", "--force")
    make({"cat": "animal"}, "small.qkv")
    said = complaint("check", "small.qkv", "--picture", "small.png")
    assert "20 records that share their value with another" in said
    assert not Path("small.png").exists()


# ── answers within a budget ──────────────────────────────────────────────────────────────────


def test_max_wrong_gives_the_best_answer_or_none(intents):
    asked = ("query", intents, "start the light please")
    found = json.loads(run(*asked, "--max-wrong", "0.1", "--json").stdout)
    assert [answer["value"] for answer in found["answers"]] == ["lights"]
    result = run("query", intents, "start it", "--max-wrong", "0.001", "--json", code=1)
    assert json.loads(result.stdout)["answers"] == []
    assert "not sure enough" in result.stderr
    with qkv.Database(path=intents) as db:
        assert db.query("start the light please", max_wrong=0.1) == ["lights"]
        assert db.query("start it", max_wrong=0.001) == []


def test_an_exact_answer_is_within_every_budget(intents):
    asked = ("query", intents, "start the light now", "--max-wrong", "0.0001")
    assert "lights" in run(*asked).stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--max-wrong", "5"], "--max-wrong is a share above 0 and below 1, such as 0.05"),
        (["--max-wrong", "0"], "--max-wrong is a share"),
        (["--max-wrong", "nan"], "--max-wrong is a share"),
        (["--max-wrong", "0.1", "-k", "3"], "leave them out"),
        (["--max-wrong", "0.1", "--temperature", "1"], "leave them out"),
    ],
    ids=" ".join,
)
def test_a_budget_that_cannot_be_kept_is_refused(options, said, intents):
    assert said in complaint("query", intents, "lamp", *options)


# ── how sure an answer is ────────────────────────────────────────────────────────────────────


def test_an_answer_is_sure_only_where_its_probability_is_known(intents):
    asked = ("attend", intents, "start the light please")
    sure, attention = run(*asked).stdout, run(*asked, "-k", "3").stdout
    assert re.match(r"start the light please → lights \(stored, [\d.]+% sure\)\n", sure)
    assert "probability" in sure
    assert re.match(
        r"start the light please → lights \(stored, [\d.]+% of the attention\)\n", attention
    )
    assert "probability" not in attention
    assert json.loads(run(*asked, "--json").stdout)["calibrated"] is True
    assert json.loads(run(*asked, "-k", "3", "--json").stdout)["calibrated"] is False
    assert "(exact, 100.0% sure)" in run("attend", intents, "start the light now").stdout


def test_what_was_closest_is_below_the_line(intents):
    text = run("attend", intents, "xyzzy", code=1).stdout
    assert re.match("xyzzy → nothing\n\nclosest, but below the line *\n", text)
    said = complaint("query", intents, "xyzzy", code=1)
    assert re.search(r"no answer to 'xyzzy'; closest, but not sure enough: \w+, [\d.]+% sure", said)


def test_an_answer_explains_itself_in_words(intents):
    asked = ("attend", intents, "start the light please", "--explain")
    text = run(*asked).stdout
    assert text.startswith("'start the light please' → 'lights'")
    assert "\nwithout 'start the light now':" in text
    assert json.loads(run(*asked, "--json").stdout)["explanation"] + "\n" == text


# ── questions that are given ─────────────────────────────────────────────────────────────────────

YEARS = {f"who won the race in {year}": f"winner of {year}" for year in range(2000, 2030)}
ASKED = [(f"the winner of the {year} race", f"winner of {year}" if year > 1999 else "")
         for year in range(1975, 2025)]  # fmt: skip


def write_questions(path: str, rows: list[tuple[str, str]], names: str = "question,answer") -> str:
    lines = [names, *(f"{question},{answer}" for question, answer in rows)]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_it_is_asked_the_questions_that_are_given():
    store = make(YEARS)
    found = report(store, "--questions", write_questions("asked.csv", ASKED))
    with qkv.Database(path=store) as db:
        known = db.calibration
        assert known.told == len(ASKED) == found["told"]
        again = qkv.Database(YEARS, encoder="hashing")
        assert again.calibrate(questions=[(q, a or None) for q, a in ASKED]) == known
    assert found["unanswerable"] == 0.5
    assert found["questions"] == 0
    assert found["auroc"] == known.reliability.auroc > 0.9
    assert "asked 50 questions that it was given" in run("check", store).stdout
    assert re.search("questions +50", run("info", store).stdout)
    nothing = run("query", store, "the winner of the 1980 race", "--max-wrong", "0.2", code=1)
    assert "no answer" in nothing.stderr


def test_questions_are_forgotten():
    store = make(YEARS)
    run("check", store, "--questions", write_questions("asked.csv", ASKED))
    found = report(store, "--forget")
    assert (found["told"], found["unanswerable"], found["auroc"]) == (0, 0.18, None)


def test_questions_come_in_any_format_and_from_the_standard_input():
    rows = [{"n": 1, "asked": q, "right": a or None} for q, a in ASKED]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    columns = ("--query", "asked", "--answer", "right", "--format", "jsonl", "--json")
    result = CliRunner().invoke(
        app, ["check", make(YEARS), "--questions", "-", *columns], input=lines
    )
    assert json.loads(result.stdout)["told"] == len(ASKED)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (ASKED[:5], "0 are answered by a value of this store, and 5 by none; give 10 of both"),
        ([("a", "b,c")], "3 fields, where the first line has 2"),
        ([("", "x")] * 20, "empty string"),
    ],
)
def test_questions_that_say_nothing_are_refused(rows, said):
    store = make(YEARS)
    assert said in complaint("check", store, "--questions", write_questions("asked.csv", rows))
    assert report(store)["told"] == 0


def test_questions_are_given_or_forgotten():
    file = write_questions("asked.csv", ASKED)
    assert "leave --forget out" in complaint("check", make(YEARS), "--questions", file, "--forget")


def test_a_file_of_questions_that_is_not_there():
    assert "asked.csv" in complaint("check", make(YEARS), "--questions", "asked.csv")
