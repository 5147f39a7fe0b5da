"""The command line, called in this process and, where it matters, as a real one."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from typer.testing import CliRunner, Result

import qkv
from qkv.cli import app
from qkv.cli.columns import Format, Source
from qkv.cli.conversion import Record, Type, number, typed
from qkv.cli.display import EXCERPT, excerpt, shown, shown_value
from qkv.cli.formats import rows_of, write_records
from qkv.cli.transfer import checked_records
from qkv.errors import InputError
from qkv.types import Span
from qkv.values import to_stored

SCRIPT = shutil.which("qkv")
QKV = [SCRIPT] if SCRIPT else [sys.executable, "-c", "from qkv.cli import main; main()"]
ANIMALS = {"one": "number", "cat": "animal", "dog": "animal", "ball": "toy"}
UNICODE = {"naïve café": "crème brûlée", "猫は好きですか": "動物", "🐈‍⬛ cat": "😀", "Ω≈ç": "ﬁ"}
AWKWARD = {
    "comma, quote": 'he said "no", twice',
    'a "quoted" key': "x",
    "line\nbreak": "two\r\nlines",
    "return\ralone": "\r",
    "tab\there": "\t",
    " spaces ": "  kept  ",
    "empty": "",
    "line separator": "\u2028 and \u2029",
    "looks like a number": "007",
    "is a number as text": "42",
    "null": "null",
}
MIXED = {
    "text": "1984",
    "whole": 1984,
    "big": 2**62,
    "bigger": 2**80,
    "float": 0.1,
    "whole float": 2.0,
    "tiny": 5e-324,
    "negative": -1e300,
    "none": None,
    "true": True,
    "list": [1, 2.5, "a"],
    "numbers": [1.0, 2.0],
    "object": {"a": {"b": ["ü", None]}},
    "vector": np.array([0.1, -2.5, 3.0], dtype=np.float32),
}
FILMS = {"Rififi": "a heist in Paris", "Heat": "a heist in the city", "Alien": "a ship in space"}
ABOUT = {
    "Rififi": {"year": 1955, "lang": "fr", "tags": ["noir", "crime"]},
    "Heat": {"year": 1995, "lang": "en", "tags": ["crime"]},
}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)


def run(*arguments: str, input: str | bytes | None = None, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(arguments), input=input)
    assert result.exit_code == code, (result.output, result.exception)
    return result


def lines(result: Result) -> list[str]:
    return result.stdout.splitlines()


def complaint(*arguments: str, code: int = 2, input: str | bytes | None = None) -> str:
    """What is said on stderr, which must be one line; nothing may be on stdout."""
    result = run(*arguments, code=code, input=input)
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    return result.stderr


def make(records: dict, path: str = "s.qkv") -> str:
    with qkv.Database(records, path=path, encoder="hashing"):
        pass
    return path


def make_films(path: str = "s.qkv") -> str:
    with qkv.Database(path=path, encoder="hashing") as db:
        db.update(FILMS, metadata=[ABOUT.get(key) for key in FILMS])
    return path


def metadata_in(path: str) -> dict:
    """Metadata by key, of the records that have some."""
    with qkv.Database(path=path) as db:
        return {key: about for key in db if (about := db.metadata(key))}


def keys_found(*arguments: str) -> list[str]:
    found = json.loads(run("search", "s.qkv", *arguments, "--json").stdout)
    return [match["key"] for match in found["matches"]]


def content(path: str) -> dict:
    with qkv.Database(path=path) as db:
        return dict(db)


def same(left: dict, right: dict) -> bool:
    """Equal, in the same order, value by value of the same type."""
    return list(left) == list(right) and all(
        type(left[key]) is type(right[key]) and np.array_equal(left[key], right[key])
        for key in left
    )


# ── help ─────────────────────────────────────────────────────────────────────────────────────


def test_alone_it_shows_help():
    result = CliRunner().invoke(app, [])
    assert "Usage" in result.output
    for command in [
        "put",
        "get",
        "rm",
        "ls",
        "info",
        "query",
        "feedback",
        "learn",
        "attend",
        "search",
        "check",
        "map",
        "heatmap",
        "import",
        "export",
        "compact",
        "demo",
    ]:
        assert command in result.output


@pytest.mark.parametrize("command", [command.name for command in app.registered_commands])
def test_every_help_page_has_an_example(command):
    page = run(command, "--help").stdout
    assert "For example:" in page
    assert f"qkv {command}" in page.split("For example:")[1]


def test_version():
    assert run("--version").stdout == f"qkv {qkv.__version__}\n"


def test_an_unknown_command_is_a_usage_error():
    assert "No such command" in run("quer", code=2).stderr


# ── compact ──────────────────────────────────────────────────────────────────────────────────────


def test_compact():
    make({f"k{i}": "x" * 2000 for i in range(300)})
    with qkv.Database(path="s.qkv") as db:
        for i in range(299):
            del db[f"k{i}"]
    before = Path("s.qkv").stat().st_size
    told = run("compact", "s.qkv")
    assert Path("s.qkv").stat().st_size < before / 2
    assert "every key is read" in told.stderr
    assert run("get", "s.qkv", "k299").stdout.strip() == "x" * 2000


# ── put, get, rm, ls, info ───────────────────────────────────────────────────────────────────


def test_put_makes_a_store_and_get_reads_it():
    assert run("put", "s.qkv", "cat", "animal", "--encoder", "hashing").stdout == "added cat\n"
    assert run("put", "s.qkv", "cat", "pet").stdout == "replaced cat\n"
    assert run("get", "s.qkv", "cat").stdout == "pet\n"


@pytest.mark.parametrize(
    ("written", "type", "value"),
    [
        ("5", "text", "5"),
        ("5", "number", 5),
        ("5", "auto", 5),
        ("-2.50", "auto", -2.5),
        ("five", "auto", "five"),
        ("007", "auto", "007"),
        ("[1, 2]", "json", [1, 2]),
        ('"5"', "json", "5"),
        ("null", "json", None),
        ("[1, 2]", "auto", "[1, 2]"),
    ],
)
def test_put_types(written, type, value):
    run("put", "s.qkv", "--encoder", "hashing", "--type", type, "--", "k", written)
    assert same(content("s.qkv"), {"k": value})


def test_put_a_vector():
    run("put", "s.qkv", "k", "[1, 0.5]", "--type", "vector", "--encoder", "hashing")
    assert same(content("s.qkv"), {"k": np.array([1, 0.5], dtype=np.float32)})
    assert run("get", "s.qkv", "k").stdout == "[1.0, 0.5]\n"


def test_put_says_that_a_number_was_stored_as_text():
    first = ("put", "s.qkv", "k", "5", "--encoder", "hashing")
    assert "--type number" in run(*first).stderr
    assert run("put", "s.qkv", "k", "five").stderr == ""


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_put_reads_the_standard_input(end):
    run("put", "s.qkv", "k", "-", "--encoder", "hashing", input=f"two\nlines 🐈{end}".encode())
    assert content("s.qkv") == {"k": "two\nlines 🐈"}


@pytest.mark.parametrize(
    ("arguments", "input", "said"),
    [
        (["k", "five", "--type", "number"], None, "not a number: 'five'"),
        (["k", "007", "--type", "number"], None, "leading zeros"),
        (["k", "{", "--type", "json"], None, "broken JSON at character 2"),
        (["k", "NaN", "--type", "json"], None, "NaN is not JSON"),
        (["k", "[" * 9999, "--type", "json"], None, "JSON"),
        (["k", "5", "--type", "vector"], None, "not a vector"),
        (["k", '["a"]', "--type", "vector"], None, "not a vector"),
        (["", "v"], None, "a key needs something to read"),
        (["  ", "v"], None, "a key needs something to read"),
        (["k", "-"], b"caf\xe9", "UTF-8"),
        (["k", "v", "--encoder", "nope"], None, "no encoder is called 'nope'"),
    ],
)
def test_a_put_that_fails_makes_no_store(arguments, input, said):
    assert said in complaint("put", "s.qkv", *arguments, input=input)
    assert not Path("s.qkv").exists()


def test_put_with_another_encoder_says_how_to_copy():
    make(ANIMALS)
    said = complaint("put", "s.qkv", "k", "v", "--encoder", "use")
    assert "encoder hashing" in said
    assert "qkv export s.qkv | qkv import NEW - --format jsonl --encoder use" in said
    assert content("s.qkv") == ANIMALS


def test_an_empty_file_is_a_store_yet_to_begin():
    Path("s.qkv").touch()
    assert "there is no store" in complaint("ls", "s.qkv")
    run("put", "s.qkv", "cat", "animal", "--encoder", "hashing")
    assert content("s.qkv") == {"cat": "animal"}


def test_get_prints_text_as_it_is_and_the_rest_as_json():
    make(MIXED | AWKWARD | UNICODE)
    assert run("get", "s.qkv", "text").stdout == "1984\n"
    assert run("get", "s.qkv", "naïve café").stdout == "crème brûlée\n"
    assert run("get", "s.qkv", "none").stdout == "null\n"
    assert run("get", "s.qkv", "object").stdout == '{"a": {"b": ["ü", null]}}\n'
    assert run("get", "s.qkv", "line\nbreak").stdout_bytes == b"two\r\nlines\n"
    vector = json.loads(run("get", "s.qkv", "vector").stdout)
    assert np.array_equal(np.array(vector, np.float32), MIXED["vector"])


def test_get_of_an_absent_key():
    make(ANIMALS)
    said = complaint("get", "s.qkv", "a kitten", code=1)
    assert "no key 'a kitten'" in said
    assert "qkv query s.qkv 'a kitten'" in said
    complaint("get", "s.qkv", "a kitten", "--json", code=1)


def test_rm():
    make(ANIMALS)
    assert lines(run("rm", "s.qkv", "cat", "ball")) == ["deleted cat", "deleted ball"]
    result = run("rm", "s.qkv", "cat", "dog", "cat", code=1)
    assert lines(result) == ["deleted dog"]
    assert result.stderr == "error: not in s.qkv: 'cat'\n"
    assert content("s.qkv") == {"one": "number"}


def test_ls_is_one_line_a_record():
    make(ANIMALS | AWKWARD)
    listed = lines(run("ls", "s.qkv"))
    assert listed[:2] == ["one\tnumber", "cat\tanimal"]
    assert len(listed) == len(ANIMALS | AWKWARD)
    assert "line\\nbreak\ttwo\\r\\nlines" in listed
    assert lines(run("ls", "s.qkv", "-n", "1")) == ["one\tnumber"]
    assert lines(run("ls", "s.qkv", "-n", "0")) == []


def test_info():
    make(MIXED)
    text = run("info", "s.qkv").stdout
    assert "hashing" in text
    assert re.search(r"records +14\n", re.sub(" +\n", "\n", text))


def test_names_and_values_are_no_markup():
    make({"[red]key[/red]": "[bold]value"})
    assert "[red]key[/red]" in run("search", "s.qkv", "key").stdout
    assert "[bold]value" in run("query", "s.qkv", "key").stdout
    assert run("rm", "s.qkv", "[red]key[/red]").stdout == "deleted [red]key[/red]\n"


# ── query, attend, search ────────────────────────────────────────────────────────────────────


def test_query_is_a_table_with_origins():
    make(ANIMALS)
    answers = lines(run("query", "s.qkv", "cats"))
    assert answers[0].split() == ["#", "value", "probability", "origin"]
    assert answers[1].split()[:2] == ["1", "animal"]
    assert answers[1].split()[-1] == "stored"
    assert "%" in answers[1]
    assert lines(run("query", "s.qkv", "cat"))[1].split()[-2:] == ["100.0%", "exact"]
    assert len(lines(run("query", "s.qkv", "cats", "-n", "1"))) == 2


def test_query_marks_what_is_imagined_and_strict_leaves_it_out():
    make({"13 inch laptop": 999, "15 inch laptop": 1299})
    assert "imagined" in run("query", "s.qkv", "14 inch laptop").stdout
    strict = json.loads(run("query", "s.qkv", "14 inch laptop", "--strict", "--json").stdout)
    with qkv.Database(path="s.qkv") as db:
        values = [answer["value"] for answer in strict["answers"]]
        assert values == db.query("14 inch laptop", strict=True)


def test_query_agrees_with_the_database():
    make(ANIMALS)
    found = json.loads(run("query", "s.qkv", "cats", "--json", "-n", "3").stdout)
    with qkv.Database(path="s.qkv") as db:
        assert [answer["value"] for answer in found["answers"]] == db.query("cats", 3)


def test_options_reach_attention():
    make(ANIMALS)
    sharp = json.loads(run("attend", "s.qkv", "cats", "--temperature", "0.01", "--json").stdout)
    flat = json.loads(run("attend", "s.qkv", "cats", "--temperature", "inf", "--json").stdout)
    vote = json.loads(run("attend", "s.qkv", "cats", "-k", "2", "--json").stdout)
    assert sharp["confidence"] > 0.99
    assert {round(weight["weight"], 6) for weight in flat["weights"]} == {0.25}
    assert flat["temperature"] is None
    assert len(vote["weights"]) == 2
    assert "'auto', 'blend' or 'relation', not 'x'" in complaint(
        "query", "s.qkv", "cats", "--head", "x"
    )
    complaint("query", "s.qkv", "cats", "--temperature", "-1")
    complaint("query", "s.qkv", "cats", "--temperature", "nan")


def test_the_relation_head():
    make({"france": "paris", "italy": "rome", "spain": "madrid", "germany": "berlin"})
    found = json.loads(run("query", "s.qkv", "japan", "--head", "relation", "--json").stdout)
    assert found["answers"][0]["value"] == "tokyo"
    assert found["answers"][0]["origin"] == "imagined"


def test_attend_shows_answer_candidates_and_weights():
    make({f"{animal} {n}": animal for animal in ("cat", "dog", "bird") for n in range(7)})
    text = run("attend", "s.qkv", "a cat 5!", "-n", "2").stdout
    assert text.startswith("a cat 5! → cat")
    assert "answers" in text
    assert "records looked at" in text
    weights = text.split("score")[1].splitlines()[1:]
    assert [line.split("  ")[0] for line in weights[:2]] == ["1", "2"]
    percentages = [float(share) for share in re.findall(r"([\d.]+)%", "\n".join(weights))]
    assert len(percentages) == 4  # two records, the others, nothing here
    assert sum(percentages) == pytest.approx(100, abs=0.3)


def test_search():
    make(ANIMALS)
    found = lines(run("search", "s.qkv", "cats", "-k", "2"))
    assert len(found) == 3
    assert found[1].split()[:3] == ["1", "cat", "animal"]


@pytest.mark.parametrize("command", ["query", "attend", "search"])
def test_a_store_that_knows_nothing_says_so(command):
    make({})
    result = run(command, "s.qkv", "cat", code=1)
    assert "s.qkv has no" in result.stderr
    result = run(command, "s.qkv", "cat", "--json", code=1)
    assert json.loads(result.stdout)["query"] == "cat"


@pytest.mark.parametrize("command", ["query", "attend", "search"])
def test_an_empty_question_is_bad_input(command):
    make(ANIMALS)
    assert "a query needs something to read" in complaint(command, "s.qkv", " ")


# ── modes, filters and spans ─────────────────────────────────────────────────────────────────


def test_a_keyword_search_finds_words_and_begins_their_index():
    make_films()
    assert json.loads(run("info", "s.qkv", "--json").stdout)["words"] is False
    found = lines(run("search", "s.qkv", "heist", "--mode", "keyword"))
    assert [line.split()[1] for line in found] == ["key", "Rififi", "Heat"]
    assert json.loads(run("info", "s.qkv", "--json").stdout)["words"] is True
    assert re.search("words +indexed", run("info", "s.qkv").stdout)


def test_a_semantic_search_begins_no_index():
    make_films()
    run("search", "s.qkv", "heist")
    assert re.search("words +not indexed", run("info", "s.qkv").stdout)


def test_a_hybrid_search_shows_both_ranks():
    make_films()
    found = lines(run("search", "s.qkv", "Heat", "--mode", "hybrid"))
    assert found[0].split() == ["#", "key", "value", "score", "semantic", "keyword"]
    assert found[1].split()[1] == "Heat"
    assert found[1].split()[-2:] == ["1", "1"]
    assert {line.split()[-1] for line in found[2:]} == {"–"}


def test_options_reach_the_search():
    make({"cup": "a", "the cups": "the the", "mug": "c"})
    assert keys_found("the cups", "--mode", "keyword") == ["the cups"]
    english = keys_found("the cups", "--mode", "keyword", "--language", "en")
    assert sorted(english) == ["cup", "the cups"]
    keyword = ["search", "s.qkv", "the", "--mode", "keyword", "--json"]
    for stop_words in ("en", "a,the"):
        result = run(*keyword, "--stop-words", stop_words, code=1)
        assert json.loads(result.stdout) == {"query": "the", "matches": []}
    overlap = json.loads(run(*keyword, "--scheme", "overlap").stdout)
    assert overlap["matches"][0]["score"] == 3
    assert keys_found("mug", "--exclude-query", "-k", "3") != ["mug"]
    assert "mug" not in keys_found("mug", "--exclude-query")
    hybrid = ["search", "s.qkv", "cup", "--mode", "hybrid", "-k", "1", "--json"]
    by_rank = json.loads(run(*hybrid, "--fusion", "rrf").stdout)["matches"][0]
    assert (by_rank["key"], by_rank["score"]) == ("cup", pytest.approx(2 / 61))
    by_words = json.loads(run(*hybrid, "--fusion", "0").stdout)["matches"][0]
    assert (by_words["key"], list(by_words["why"])) == ("cup", ["semantic", "keyword"])
    assert keys_found("c", "--mode", "keyword", "--in", "values") == ["mug"]
    assert "in_ is one of" in run("search", "s.qkv", "c", "--in", "key", code=2).stderr


def test_where_leaves_out_records():
    make_films()
    assert keys_found("Heat", "--where", 'lang == "fr"') == ["Rififi"]
    assert keys_found("heist", "--mode", "keyword", "--where", "year > 1990") == ["Heat"]
    assert set(keys_found("heist", "--where", '"crime" in tags')) == {"Rififi", "Heat"}
    where = ["--where", "1950 <= year < 1960", "--json"]
    for command in ("query", "attend"):
        text = run(command, "s.qkv", "Rififi?", *where).stdout
        assert "Paris" in text
        assert "city" not in text


@pytest.mark.parametrize("command", ["query", "attend", "search"])
def test_a_filter_that_no_record_passes(command):
    make_films()
    asked = [command, "s.qkv", "Heat", "--where", "year > 3000"]
    assert run(*asked, code=1).stderr.endswith("'Heat' where year > 3000\n")
    assert json.loads(run(*asked, "--json", code=1).stdout)["query"] == "Heat"


@pytest.mark.parametrize("command", ["query", "attend", "search"])
@pytest.mark.parametrize("where", ["year >", "year = 3", "", "import os", "1 == 1", "a.b()"])
def test_a_bad_filter_is_one_line(command, where):
    make_films()
    assert "filter" in complaint(command, "s.qkv", "Heat", "--where", where)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--mode", "words"], "mode is one of 'semantic', 'keyword', 'hybrid', not 'words'"),
        (["--scheme", "bm26"], "bm26"),
        (["--language", "tlh"], "'tlh'"),
        (["--stop-words", "tlh"], "'tlh'"),
        (["--fusion", "x"], "fusion is 'attention'"),
        (["--fusion", "2"], "fusion is 'attention'"),
        (["--fusion", "nan"], "fusion is 'attention'"),
        (["--where", "year >"], "filter"),
    ],
)
def test_bad_options_are_named_before_words_are_indexed(options, said):
    make_films()
    mode = [] if "--mode" in options else ["--mode", "keyword"]
    assert said in complaint("search", "s.qkv", "heist", *mode, *options)
    assert json.loads(run("info", "s.qkv", "--json").stdout)["words"] is False


def test_spans_are_marked_on_a_terminal_and_plain_in_a_pipe(monkeypatch):
    make({"Rififi": "A heist in Paris."})
    asked = ["search", "s.qkv", "paris", "--mode", "keyword", "--spans"]
    assert lines(run(*asked))[1].split("  ")[:3] == ["1", "Rififi", "A heist in Paris."]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert b"A heist in \x1b[1;33mParis\x1b[0m." in process(*asked).stdout


def test_a_long_value_is_cut_around_its_span():
    make({"story": "Once upon a time. " * 50 + "The bear ate honey. " + "The end. " * 50})
    keyword = run("search", "s.qkv", "honey", "--mode", "keyword", "--spans").stdout
    assert "The bear ate honey." in keyword
    assert "… " in keyword
    assert len(lines(run("search", "s.qkv", "honey", "--spans"))[1]) < 1.5 * EXCERPT
    assert len(run("search", "s.qkv", "honey").stdout) > 1000


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=600), st.data())
def test_an_excerpt_is_a_part_of_the_text_that_holds_the_span(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + EXCERPT)))
    why = data.draw(st.sampled_from(["keyword", "semantic"]))
    cut = excerpt(text, [Span(text[start:end], "value", start, end, why)]).plain
    assert shown(text[start:end]) in cut
    assert cut.removeprefix("… ").removesuffix(" …") in shown(text)
    assert len(text) > EXCERPT or cut == shown(text)


# ── metadata ─────────────────────────────────────────────────────────────────────────────────


def test_put_and_get_metadata():
    put = ["put", "s.qkv", "Rififi", "a heist", "--encoder", "hashing"]
    run(*put, "--metadata", '{"year": 1955, "größe": {"é": [1, null]}}')
    about = {"year": 1955, "größe": {"é": [1, None]}}
    assert metadata_in("s.qkv") == {"Rififi": about}
    assert run("get", "s.qkv", "Rififi", "--metadata").stdout == (
        '{"year": 1955, "größe": {"é": [1, null]}}\n'
    )
    found = json.loads(run("get", "s.qkv", "Rififi", "--json").stdout)
    assert found == {"key": "Rififi", "value": "a heist", "metadata": about}
    run("put", "s.qkv", "Rififi", "another")
    assert metadata_in("s.qkv") == {"Rififi": about}
    run("put", "s.qkv", "Rififi", "another", "--metadata", "{}")
    assert metadata_in("s.qkv") == {}
    assert run("get", "s.qkv", "Rififi", "--metadata").stdout == "{}\n"
    assert (
        run("get", "s.qkv", "Rififi", "--json").stdout == '{"key": "Rififi", "value": "another"}\n'
    )


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ("{", "broken JSON"),
        ("5", "metadata is a JSON object like {\"year\": 2020}, not '5'"),
        ("", "broken JSON"),
        ('{"a.b": 1}', "has a dot"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": "\\ud800"}', "metadata holds something that JSON cannot"),
    ],
)
def test_bad_metadata_makes_no_store(metadata, said):
    put = ["put", "s.qkv", "k", "v", "--encoder", "hashing", "--metadata", metadata]
    assert said in complaint(*put)
    assert not Path("s.qkv").exists()


def test_info_counts_metadata():
    make_films()
    assert json.loads(run("info", "s.qkv", "--json").stdout)["metadata"] == 2


@pytest.mark.parametrize("format", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("records", [FILMS, MIXED | UNICODE], ids=["films", "mixed"])
def test_metadata_comes_back_as_it_was(format, records):
    about = {
        "year": 1955,
        "whole float": 2.0,
        "big": 2**80,
        "ü 猫": 'a "quoted", tab\t\n text',
        "none": None,
        "deep": {"a.b": [{}, [], "007"]},
        "metadata": {"key": 1},
    }
    keys = list(records)
    with qkv.Database(path="s.qkv", encoder="hashing") as db:
        db.update(records, metadata=[about, None, {}, *[None] * (len(keys) - 3)])
    run("export", "s.qkv", f"r.{format}")
    run("import", "t.qkv", f"r.{format}", "--encoder", "hashing")
    assert same(content("t.qkv"), records)
    assert json.dumps(metadata_in("t.qkv")) == json.dumps({keys[0]: about})
    assert run("export", "s.qkv").stdout == run("export", "t.qkv").stdout
    assert run("ls", "s.qkv", "--json").stdout == run("export", "s.qkv").stdout


def test_a_file_has_a_metadata_column_only_where_there_is_metadata():
    from arro3.io import read_parquet

    def header(store: str) -> tuple[str, list[str]]:
        run("export", store, "r.parquet", "--force")
        table = read_parquet(Path("r.parquet")).read_all()
        return lines(run("export", store, "--format", "csv"))[0], table.column_names

    assert header(make(FILMS, "plain.qkv")) == ("key,value,kind", ["key", "value"])
    films = header(make_films("films.qkv"))
    assert films == ("key,value,kind,metadata", ["key", "value", "metadata"])


def test_an_import_that_brings_no_metadata_leaves_it():
    make_films()
    Path("r.csv").write_text(
        'key,value,kind,metadata\nHeat,new,text,\nRififi,new,text,"{""year"": 1954}"\n'
    )
    run("import", "s.qkv", "r.csv")
    assert metadata_in("s.qkv") == {"Rififi": {"year": 1954}, "Heat": ABOUT["Heat"]}
    Path("r.jsonl").write_text('{"key": "Heat", "value": "new", "metadata": {}}\n')
    run("import", "s.qkv", "r.jsonl")
    assert list(metadata_in("s.qkv")) == ["Rififi"]


@pytest.mark.parametrize(
    ("text", "options", "metadata"),
    [
        ("title,plot,year\nHeat,x,1995\n", [], {}),
        ("title,plot,year\nHeat,x,1995\n", ["--metadata", "year"], {"Heat": {"year": 1995}}),
        (
            "title,plot,year\nA,x,1995\nB,x,c. 1955\n",
            ["--metadata", "year"],
            {"A": {"year": "1995"}, "B": {"year": "c. 1955"}},
        ),
        (
            "title,plot,agent\nA,x,1\nB,x,007\n",
            ["--metadata", "agent"],
            {"A": {"agent": "1"}, "B": {"agent": "007"}},
        ),
        ("title,plot,year\nA,x,1995\nB,x,\n", ["--metadata", "year"], {"A": {"year": 1995}}),
        (
            "plot,title,year,größe\nx,Heat,1995,ü\n",
            ["--key", "title", "--value", "plot", "--all-metadata"],
            {"Heat": {"year": 1995, "größe": "ü"}},
        ),
        (
            ",title,plot,year\n0,Heat,x,1.5\n",
            ["--key", "title", "--value", "plot", "--all-metadata"],
            {"Heat": {"year": 1.5}},
        ),
        (
            "title,plot,a,b\nHeat,x,1,2\n",
            ["--metadata", "b", "--metadata", "title", "--metadata", "b"],
            {"Heat": {"b": 2, "title": "Heat"}},
        ),
        ('key,value,metadata\nk,v,"{""a"": 1}"\n', [], {"k": {"a": 1}}),
        ("key,value,metadata\nk,v,free text\n", ["--key", "key"], {}),
        (
            'q,a,metadata,year\nk,v,"{""a"": 1}",5\n',
            ["--all-metadata"],
            {"k": {"a": 1, "year": 5}},
        ),
        ('key,value,kind,metadata\nk,5,number,"{""a"": 1}"\n', ["--type", "text"], {"k": {"a": 1}}),
        ("1,x,1995\n", ["--no-header", "--metadata", "3"], {"1": {"3": 1995}}),
    ],
)
def test_columns_of_csv_become_metadata(text, options, metadata):
    Path("r.csv").write_text(text, encoding="utf-8")
    run("import", "s.qkv", "r.csv", "--encoder", "hashing", *options)
    assert json.dumps(metadata_in("s.qkv")) == json.dumps(metadata)


@pytest.mark.parametrize(
    ("options", "metadata"),
    [
        ([], {}),
        (["--metadata", "year"], {"A": {"year": 1995}, "B": {"year": "1955"}}),
        (["--metadata", "tags"], {"B": {"tags": ["noir", 1]}}),
        (["--all-metadata"], {"A": {"year": 1995}, "B": {"year": "1955", "tags": ["noir", 1]}}),
    ],
)
def test_fields_of_jsonl_become_metadata_as_they_are(options, metadata):
    Path("r.jsonl").write_text(
        '{"key": "A", "value": "x", "year": 1995}\n'
        '{"key": "B", "value": "y", "year": "1955", "tags": ["noir", 1], "none": null}\n'
    )
    run("import", "s.qkv", "r.jsonl", "--encoder", "hashing", *options)
    assert metadata_in("s.qkv") == metadata


def test_columns_of_parquet_become_metadata():
    from arro3.core import Array, DataType, Table
    from arro3.io import write_parquet

    days = Array([0, 19000], type=DataType.int32()).cast(DataType.date32())
    table = Table.from_pydict(
        {
            "name": Array(["a", "b"], type=DataType.string()),
            "text": Array(["x", "y"], type=DataType.string()),
            "day": days,
            "price": Array([float("nan"), 2.5], type=DataType.float64()),
            "count": Array([None, 7], type=DataType.int64()),
        }
    )
    write_parquet(table, "r.parquet")
    run("import", "s.qkv", "r.parquet", "--encoder", "hashing", "--all-metadata")
    assert metadata_in("s.qkv") == {
        "a": {"day": "1970-01-01"},
        "b": {"day": "2022-01-08", "price": 2.5, "count": 7},
    }


@pytest.mark.parametrize(
    ("name", "text", "options", "said"),
    [
        ("r.csv", "a,b\nc,d\n", ["--metadata", "year"], "no column 'year'; it has 'a', 'b'"),
        (
            "r.csv",
            "a,b,c.d\n1,2,3\n",
            ["--all-metadata"],
            "line 2: metadata's name 'c.d' has a dot",
        ),
        ("r.csv", "a,b,c,c\n1,2,3,4\n", ["--all-metadata"], "two columns 'c'"),
        ("r.csv", "key,value,metadata\na,b,[1]\n", [], "line 2: metadata is a JSON object"),
        ("r.csv", "key,value,metadata\na,b,free\n", [], "--key key --value value"),
        ("r.jsonl", '{"key": "a", "value": 1, "metadata": 5}', [], "metadata is a JSON object"),
        ("r.jsonl", '{"key": "a", "value": 1}', ["--metadata", "y"], "has 'y' in no line"),
        (
            "r.jsonl",
            '{"a": 1, "b": 1, "c": {"d": "\\ud800"}}',
            ["--all-metadata"],
            "line 1: metadata",
        ),
    ],
)
def test_metadata_that_cannot_be_read(name, text, options, said):
    Path(name).write_text(text)
    assert said in complaint("import", "s.qkv", name, "--encoder", "hashing", *options)
    assert not Path("s.qkv").exists()


def test_an_import_names_the_columns_of_metadata():
    Path("r.csv").write_text("key,value,year,lang\nHeat,x,1995,en\n")
    said = run("import", "s.qkv", "r.csv", "--encoder", "hashing", "--all-metadata").stdout
    assert "value from column 'value' (1 text), metadata from 'year', 'lang'\n" in said


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────


def test_json_of_records():
    make(MIXED | UNICODE)
    assert run("get", "s.qkv", "naïve café", "--json").stdout == (
        '{"key": "naïve café", "value": "crème brûlée"}\n'
    )
    assert json.loads(run("get", "s.qkv", "bigger", "--json").stdout)["value"] == 2**80
    vector = json.loads(run("get", "s.qkv", "vector", "--json").stdout)
    assert list(vector) == ["key", "value", "kind"]
    assert vector["kind"] == "vector"
    listed = [json.loads(line) for line in lines(run("ls", "s.qkv", "--json"))]
    assert [record["key"] for record in listed] == list(MIXED | UNICODE)
    assert all(set(record) <= {"key", "value", "kind"} for record in listed)
    assert run("ls", "s.qkv", "--json").stdout == run("export", "s.qkv").stdout


def test_json_of_info():
    make(MIXED)
    information = json.loads(run("info", "s.qkv", "--json").stdout)
    size = information.pop("bytes")
    assert size > 4096
    assert information == {
        "path": "s.qkv",
        "derived_bytes": 0,
        "records": 14,
        "kinds": {"number": 6, "json": 6, "text": 1, "vector": 1},
        "metadata": 0,
        "words": False,
        "corrections": 0,
        "questions": 0,
        "learned": 0,
        "encoder": "hashing",
        "fingerprint": qkv.Database(encoder="hashing").encoder.fingerprint,
        "dimension": qkv.Database({"a": "b"}, encoder="hashing").dimension,
        "metric": "cosine",
    }


def test_json_of_answers():
    make({"13 inch laptop": 999, "15 inch laptop": 1299})
    found = json.loads(run("query", "s.qkv", "14 inch laptop", "--json").stdout)
    assert list(found) == ["query", "answers", "calibrated", "mended"]
    assert found["query"] == "14 inch laptop"
    best = found["answers"][0]
    assert list(best) == [
        "value",
        "probability",
        "origin",
        "spread",
        "interval",
        "keys",
        "warnings",
    ]
    assert best["origin"] == "imagined"
    assert 999 < best["value"] < 1299
    assert best["spread"] == pytest.approx(150, rel=0.1)
    assert sorted(best["keys"]) == ["13 inch laptop", "15 inch laptop"]
    assert {answer["origin"] for answer in found["answers"][1:]} == {"recalled"}


def test_json_of_attention():
    make(ANIMALS)
    found = json.loads(run("attend", "s.qkv", "cats", "--json").stdout)
    assert list(found) == [
        "query",
        "origin",
        "value",
        "confidence",
        "candidates",
        "weights",
        "rest",
        "null",
        "temperature",
        "calibrated",
        "mended",
    ]
    assert (found["origin"], found["value"]) == ("recalled", "animal")
    assert list(found["weights"][0]) == ["key", "value", "weight", "score", "words"]
    total = sum(weight["weight"] for weight in found["weights"]) + found["rest"] + found["null"]
    assert total == pytest.approx(1)


def test_what_was_mended_is_told():
    run("put", "names.qkv", "alice nguyen", "555 0101", "--encoder", "glove")
    asked = "number of alice nguyan"
    assert lines(run("query", "names.qkv", asked))[0] == "read as: 'nguyan' as 'nguyen'"
    assert lines(run("attend", "names.qkv", asked))[1] == "read as: 'nguyan' as 'nguyen'"
    for command in ("query", "attend"):
        found = json.loads(run(command, "names.qkv", asked, "--json").stdout)
        assert found["mended"] == [{"written": "nguyan", "read": "nguyen"}]


def test_json_of_a_search():
    make(ANIMALS)
    found = json.loads(run("search", "s.qkv", "cats", "-k", "1", "--json").stdout)
    assert list(found) == ["query", "matches"]
    (match,) = found["matches"]
    assert list(match) == ["key", "value", "score", "metadata", "why", "spans"]
    assert (match["key"], match["metadata"], match["spans"]) == ("cat", None, [])
    assert match["why"] == {"semantic": {"rank": 1, "score": match["score"]}}


def test_json_of_a_hybrid_search():
    make_films()
    options = ["--mode", "hybrid", "--spans", "-k", "1", "--json"]
    (match,) = json.loads(run("search", "s.qkv", "Rififi in paris", *options).stdout)["matches"]
    assert match["key"] == "Rififi"
    assert match["metadata"] == ABOUT["Rififi"]
    assert list(match["why"]) == ["semantic", "keyword"]
    assert match["why"]["keyword"]["rank"] == 1
    words = [span for span in match["spans"] if span["why"] == "keyword"]
    assert [span["text"] for span in words] == ["Rififi", "in", "Paris"]
    assert list(words[0]) == ["text", "field", "start", "end", "why"]
    assert "semantic" in {span["why"] for span in match["spans"]}
    for span in match["spans"]:
        assert match[span["field"]][span["start"] : span["end"]] == span["text"]


def test_json_of_vectors():
    make({"north": np.array([0.0, 1.0]), "east": np.array([1.0, 0.0])})
    for command in ("query", "attend", "search"):
        run(command, "s.qkv", "northern", "--json")
        assert "[" in run(command, "s.qkv", "northern").stdout


# ── import and export ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("format", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    "records",
    [
        {},
        ANIMALS,
        UNICODE,
        AWKWARD,
        MIXED,
        {"a": 1, "b": -2},
        {"a": 0.5, "b": 2.0},
        {"a": 1, "b": 0.5},
        {"a": np.array([1, 2.5], np.float32), "b": np.array([0, 0.1], np.float32)},
        {"a": np.array([1], np.float32), "b": np.array([0, 0.1], np.float32)},
        {"a": None, "b": {"c": []}},
        {"long": "x" * 300_000},
    ],
    ids=[
        "nothing",
        "animals",
        "unicode",
        "awkward",
        "mixed",
        "int",
        "float",
        "numbers",
        "vectors",
        "ragged",
        "json",
        "long",
    ],
)
def test_round_trip(format, records):
    make(records)
    run("export", "s.qkv", f"r.{format}")
    run("import", "t.qkv", f"r.{format}", "--encoder", "hashing")
    assert same(content("t.qkv"), records)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
KEYS = TEXTS.filter(lambda text: text.strip() != "")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=5,
)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VECTORS = st.lists(st.floats(-1e9, 1e9, width=32), min_size=1, max_size=3).map(
    lambda entries: np.array(entries, np.float32)
)
NAMES = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="\"'\\."), min_size=1
)
METADATA = st.none() | st.dictionaries(NAMES, JSON | NUMBERS, min_size=1, max_size=3)
RECORDS = st.one_of(
    st.lists(st.builds(Record, KEYS, values, METADATA), max_size=5)
    for values in (TEXTS, NUMBERS, VECTORS, JSON, TEXTS | NUMBERS | VECTORS | JSON)
)


@pytest.mark.parametrize("format", list(Format))
@settings(deadline=None)
@given(records=RECORDS)
def test_round_trip_of_anything(format, records):
    file = io.BytesIO()
    metadata = any(record.metadata for record in records)
    write_records(records, file, format, metadata=metadata)
    file.seek(0)
    with rows_of(file, Source("a file", format)) as (_, found):
        untyped = Type.TEXT if format in (Format.CSV, Format.TSV) else None
        again = checked_records(found, None, untyped).records
    assert [record.key for record in again] == [record.key for record in records]
    for left, right in zip(again, records, strict=True):
        assert to_stored(left.value) == to_stored(right.value)
        assert json.dumps(left.metadata) == json.dumps(right.metadata)


@pytest.mark.parametrize("format", ["csv", "tsv", "jsonl", "parquet"])
def test_round_trip_by_pipe(format):
    make(MIXED | UNICODE)
    exported = run("export", "s.qkv", "-", "--format", format).stdout_bytes
    result = run("import", "t.qkv", "-", "--format", format, "--encoder", "hashing", input=exported)
    assert "from the standard input" in result.stdout
    assert same(content("t.qkv"), MIXED | UNICODE)


def test_import_reports_what_it_did():
    make({"cat": "?", "cow": "animal"})
    Path("r.csv").write_text("key,value\ncat,animal\ndog,animal\ncat,pet\n")
    assert lines(run("import", "s.qkv", "r.csv")) == [
        "read 3 records from r.csv: key from column 'key', value from column 'value' (3 text)",
        "s.qkv: 1 added, 1 replaced; 3 in all",
    ]
    assert content("s.qkv") == {"cat": "pet", "cow": "animal", "dog": "animal"}


@pytest.mark.parametrize(
    ("text", "options", "records"),
    [
        ("question,answer,id\nwhy?,because,1\n", [], {"why?": "because"}),
        ("id,value,key\n1,v,k\n", [], {"k": "v"}),
        ("id, Value ,Key\n1,v,k\n", [], {"k": "v"}),
        ("id,a,b\n1,x,y\n", ["--key", "a"], {"x": "1"}),
        ("id,a,b\n1,x,y\n", ["--value", "id"], {"x": "1"}),
        ("id,a,b\n1,x,y\n", ["--key", "b", "--value", "a"], {"y": "x"}),
        ("value,key\nv,k\n", ["--key", "value", "--value", "key"], {"v": "k"}),
        ("value,key\nv,k\n", ["--key", "value"], {"v": "k"}),
        ("cat,animal\ndog,animal\n", ["--no-header"], {"cat": "animal", "dog": "animal"}),
        ("1,cat,animal\n", ["--no-header", "--key", "2", "--value", "3"], {"cat": "animal"}),
        ("key;value\ncat;1,5\n", ["--delimiter", ";"], {"cat": "1,5"}),
        ("\ufeffkey,value\nk,v\n", [], {"k": "v"}),
        ("key,value\r\nk,v\r\n\r\n", [], {"k": "v"}),
        ('key,value\n"a\nb","say ""hi"""', [], {"a\nb": 'say "hi"'}),
        ("key,value\na,1\nb,2.5\n", ["--type", "auto"], {"a": 1, "b": 2.5}),
        ("key,value\na,1\nb,\n", ["--type", "auto"], {"a": "1", "b": ""}),
        ("key,value\na,1\nb,007\n", ["--type", "auto"], {"a": "1", "b": "007"}),
        ("key,value\na,1\nb,2\n", [], {"a": "1", "b": "2"}),
        ("key,value\na,1\n", ["--type", "number"], {"a": 1}),
        ('key,value\na,"[1, null]"\n', ["--type", "json"], {"a": [1, None]}),
        ("key,value,kind\na,1,number\n", [], {"a": 1}),
        ("key,value,kind\na,1,number\n", ["--type", "text"], {"a": "1"}),
        ("key,value,kind\na,1,chair\n", ["--key", "key"], {"a": "1"}),
        ("", [], {}),
        ("key,value\n", [], {}),
    ],
)
def test_csv(text, options, records):
    Path("r.csv").write_text(text, encoding="utf-8", newline="")
    run("import", "s.qkv", "r.csv", "--encoder", "hashing", *options)
    assert same(content("s.qkv"), records)


@pytest.mark.parametrize(
    ("text", "options", "records"),
    [
        ('{"key": "a", "value": 1}\n\n{"value": null, "key": "b"}\n', [], {"a": 1, "b": None}),
        ('{"q": "a", "a": [1], "x": 0}\n{"a": [], "q": "b"}', [], {"a": [1], "b": []}),
        ('{"key": 5, "value": "v"}', [], {"5": "v"}),
        ('{"key": "a", "value": "5"}\n{"key": "b", "value": 6}', ["--type", "auto"], [5, 6]),
        ('{"key": "a", "value": "5"}\n{"key": "b", "value": [6]}', ["--type", "auto"], ["5", [6]]),
        ('{"key": "a", "value": 5}\n{"key": "b", "value": null}', ["--type", "text"], ["5", None]),
        ('{"key": "a", "value": [1, 2]}', [], {"a": [1, 2]}),
        ('{"key": "a", "value": "[1, 2]"}', ["--type", "json"], {"a": [1, 2]}),
        ('{"key": "a", "value": "x"}\u2028', [], None),
    ],
)
def test_jsonl(text, options, records):
    Path("r.jsonl").write_text(text, encoding="utf-8")
    if records is None:
        complaint("import", "s.qkv", "r.jsonl", "--encoder", "hashing", *options)
        return
    run("import", "s.qkv", "r.jsonl", "--encoder", "hashing", *options)
    if isinstance(records, list):
        records = dict(zip("ab", records, strict=True))
    assert same(content("s.qkv"), records)


def test_a_vector_in_jsonl_is_marked():
    Path("r.jsonl").write_text(
        '{"key": "a", "value": "x"}\n{"key": "b", "value": [1], "kind": "vector"}\n'
        '{"key": "c", "value": [1]}\n'
    )
    run("import", "s.qkv", "r.jsonl", "--encoder", "hashing")
    assert same(content("s.qkv"), {"a": "x", "b": np.array([1], np.float32), "c": [1]})


def test_parquet_of_other_programs():
    from arro3.core import Array, DataType, Table, list_array
    from arro3.io import write_parquet

    days = Array([0, 19000], type=DataType.int32()).cast(DataType.date32())
    offsets = Array.from_numpy(np.array([0, 2, 3], np.int32))
    floats = list_array(offsets, Array.from_numpy(np.array([1, 2.5, 3])))
    whole = list_array(offsets, Array([1, 2, 3], type=DataType.int64()))
    prices = Array([150, 299], type=DataType.int64()).cast(DataType.decimal128(10, 2))
    table = Table.from_pydict(
        {
            "id": Array([7, 8], type=DataType.int64()),
            "name": Array(["a", "b"], type=DataType.large_string()),
            "day": days,
            "floats": floats,
            "whole": whole,
            "price": prices,
            "some": Array([None, 2.5], type=DataType.float64()),
            "flag": Array([True, None], type=DataType.bool()),
        }
    )
    write_parquet(table, "r.parquet")
    run("import", "a.qkv", "r.parquet", "--encoder", "hashing")
    assert same(content("a.qkv"), {"7": "a", "8": "b"})
    for column, values in {
        "day": ["1970-01-01", "2022-01-08"],
        "floats": [np.array([1, 2.5], np.float32), np.array([3], np.float32)],
        "whole": [[1, 2], [3]],
        "price": [150, 299],
        "some": [None, 2.5],
        "flag": [True, None],
    }.items():
        store = f"{column}.qkv"
        options = ["--key", "name", "--value", column, "--encoder", "hashing"]
        run("import", store, "r.parquet", *options)
        assert same(content(store), dict(zip("ab", values, strict=True)))


def test_parquet_written_here_has_plain_types():
    from arro3.io import read_parquet

    make({"a": 1, "b": 2})
    run("export", "s.qkv", "r.parquet")
    table = read_parquet(Path("r.parquet")).read_all()
    assert table.column("value").to_pylist() == [1, 2]
    assert table.column_names == ["key", "value"]


def test_exported_csv_is_what_csv_reads():
    make(AWKWARD)
    text = run("export", "s.qkv", "--format", "csv").stdout_bytes.decode()
    parsed = list(csv.reader(io.StringIO(text, newline="")))
    assert parsed[0] == ["key", "value", "kind"]
    assert {key: value for key, value, _ in parsed[1:]} == AWKWARD


def test_latin_1_and_utf_16():
    Path("r.csv").write_text("key,value\ncafé,crème\n", encoding="latin-1")
    said = complaint("import", "s.qkv", "r.csv", "--encoder", "hashing")
    assert "r.csv is not utf-8" in said
    assert "--encoding latin-1" in said
    assert not Path("s.qkv").exists()
    run("import", "s.qkv", "r.csv", "--encoding", "latin-1", "--encoder", "hashing")
    Path("r.csv").write_text("key,value\n猫,動物\n", encoding="utf-16")
    assert "utf-16" in complaint("import", "s.qkv", "r.csv")
    run("import", "s.qkv", "r.csv", "--encoding", "utf-16")
    assert content("s.qkv") == {"café": "crème", "猫": "動物"}
    assert "no encoding is called" in complaint("import", "s.qkv", "r.csv", "--encoding", "x")


@pytest.mark.parametrize(
    ("name", "text", "options", "said"),
    [
        ("r.csv", "key,value\na,b\nc\n", [], "r.csv, line 3: 1 fields"),
        ("r.csv", "key,value\na,b,c\n", [], "r.csv, line 2: 3 fields"),
        ("r.csv", 'key,value\na,"b\nc,d\n', [], "line 3: unexpected end of data"),
        ("r.csv", 'key,value\n"a"b,c\n', [], "line 2: ',' expected after '\"'"),
        ("r.csv", "key;value\na;b\n", [], "--delimiter ';'"),
        ("r.csv", "a,b\n", ["--delimiter", "::"], "a delimiter is one character"),
        ("r.csv", "a,b\nc,d\n", ["--key", "q"], "no column 'q'; it has 'a', 'b'"),
        ("r.csv", "a,b\nc,d\n", ["--key", "a", "--value", "a"], "both the column 'a'"),
        ("r.csv", "key,value\na,b\n ,c\n", [], "r.csv, line 3: a key needs something"),
        ("r.csv", "key,value\na,5\nb,x\n", ["--type", "number"], "line 3: not a number: 'x'"),
        ("r.csv", "key,value\na,[\n", ["--type", "json"], "line 2: broken JSON"),
        ("r.csv", "key,value,kind\na,b,chair\n", [], "not 'chair'"),
        ("r.jsonl", '{"key": "a", "value": 1}\n{"key": ', [], "r.jsonl, line 2: broken JSON"),
        ("r.jsonl", '{"key": "a", "value": 1}\n{"key": "b"}', [], "line 2: no 'value' here"),
        ("r.jsonl", '{"key": "a", "value": 1}\n[1]', [], "line 2: a record is an object"),
        ("r.jsonl", '[{"key": "a", "value": 1}]', [], "jq -c"),
        ("r.jsonl", '[\n{"key": "a", "value": 1}]', [], "jq -c"),
        ("r.jsonl", '{"key": "a", "value": NaN}', [], "line 1: JSON that cannot be read: NaN"),
        ("r.jsonl", '{"key": null, "value": 1}', [], "line 1: the key is missing"),
        ("r.jsonl", '{"key": [1], "value": 1}', [], "line 1: the key is [1]"),
        ("r.jsonl", '{"key": "a", "value": "\\ud800"}', [], "line 1: a value holds a lone surr"),
        ("r.jsonl", '{"key": "a"}', [], "one column ('key')"),
        ("r.jsonl", '{"a": 1, "b": 2}', ["--value", "c"], "no column 'c'"),
        ("r.parquet", "key,value\n", [], "r.parquet is not a Parquet file"),
        ("r.parquet", "PAR1" + "x" * 50 + "PAR1", [], "r.parquet is not a Parquet file"),
        ("r.txt", "a,b", [], "what is r.txt? Say --format csv"),
    ],
)
def test_a_bad_file_is_named_and_nothing_is_written(name, text, options, said):
    Path(name).write_text(text, encoding="utf-8")
    options = [*options, "--encoder", "hashing"]
    assert said in complaint("import", "s.qkv", name, *options)
    assert not Path("s.qkv").exists()
    make(ANIMALS)
    assert said in complaint("import", "s.qkv", name, *options)
    assert content("s.qkv") == ANIMALS


def test_a_damaged_parquet_file():
    make({f"key {n}": f"value {n}" for n in range(100)})
    run("export", "s.qkv", "r.parquet")
    whole = Path("r.parquet").read_bytes()
    for cut in (7, len(whole) // 2, len(whole) - 1):
        Path("r.parquet").write_bytes(whole[:cut])
        assert "cut short" in complaint("import", "t.qkv", "r.parquet")
    Path("r.parquet").write_bytes(whole[:40] + b"\xff" * 40 + whole[80:])
    assert "damaged" in complaint("import", "t.qkv", "r.parquet")
    assert not Path("t.qkv").exists()


def test_files_that_are_not_there_or_no_files():
    assert "nope.csv: No such file" in complaint("import", "s.qkv", "nope.csv")
    assert "Say --format" in complaint("import", "s.qkv", "-", input="a,b")
    Path("folder.csv").mkdir()
    complaint("import", "s.qkv", "folder.csv")
    make(ANIMALS)
    assert "No such file" in complaint("export", "s.qkv", "nowhere/r.csv")
    complaint("export", "s.qkv", "folder.csv")


def test_export_overwrites_only_when_told_to():
    make(ANIMALS)
    Path("r.csv").write_text("precious")
    assert "--force" in complaint("export", "s.qkv", "r.csv")
    assert Path("r.csv").read_text() == "precious"
    run("export", "s.qkv", "r.csv", "--force")
    assert Path("r.csv").read_text().startswith("key,value,kind\n")
    force = ["--format", "jsonl", "--force"]
    assert "is the store itself" in complaint("export", "s.qkv", "s.qkv", *force)
    assert sorted(path.name for path in Path().iterdir()) == ["r.csv", "s.qkv"]


# ── pictures ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "options",
    [
        ["map"],
        ["map", "--query", "a cat", "-k", "2"],
        ["heatmap"],
        ["heatmap", "cats", "bulls", "-k", "1"],
    ],
    ids=" ".join,
)
def test_pictures_are_drawn_by_the_ending_of_the_name(options):
    command, *rest = options
    make(ANIMALS)
    for name, start in {"p.png": b"\x89PNG", "p.SVG": b"<?xml"}.items():
        assert run(command, "s.qkv", *rest, "-o", name).stdout == f"drew {name}\n"
        assert Path(name).read_bytes().startswith(start)


def test_a_heatmap_can_be_of_the_nearest_keys_alone(monkeypatch):
    make(ANIMALS)
    drawn = []
    monkeypatch.setattr("qkv.plots.heatmap", lambda matrix: drawn.append(matrix) or Figure())
    run("heatmap", "s.qkv", "cats", "dogs", "-k", "1", "-o", "p.png")
    assert drawn[0].queries == ("cats", "dogs")
    assert drawn[0].keys == ("cat", "dog")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["map", "-o", "p.jpg"], ".png or .svg"),
        (["map", "-o", "there.png"], "--force"),
        (["map", "-o", "nowhere/p.png"], "No such file"),
        (["map", "-o", "p.png", "--method", "mds"], "'pca', 'tsne' or 'umap'"),
        (["map", "-o", "p.png", "--query", ""], "empty"),
        (["heatmap", "-o", "there.png"], "--force"),
        (["heatmap", "-o", "p.png", "-k", "2"], "leave -k out"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_picture_that_cannot_be_drawn_leaves_no_file(arguments, said):
    make(ANIMALS)
    Path("there.png").write_text("precious")
    before = sorted(path.name for path in Path().iterdir())
    command, *rest = arguments
    assert said in complaint(command, "s.qkv", *rest)
    assert sorted(path.name for path in Path().iterdir()) == before
    assert Path("there.png").read_text() == "precious"


def test_a_picture_is_overwritten_when_told_to():
    make(ANIMALS)
    Path("p.png").write_text("old")
    run("map", "s.qkv", "-o", "p.png", "--force")
    assert Path("p.png").read_bytes().startswith(b"\x89PNG")


def test_pictures_without_matplotlib():
    make(ANIMALS)
    code = "import sys; sys.modules['matplotlib'] = None; from qkv.cli import main; main()"
    command = [sys.executable, "-c", code, "map", "s.qkv", "-o", "p.png"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: pictures need matplotlib: pip install 'qkv[plots]'\n"


# ── stores that are none, and no stores made ─────────────────────────────────────────────────

READING = [
    ["get", "nope.qkv", "k"],
    ["rm", "nope.qkv", "k"],
    ["ls", "nope.qkv"],
    ["info", "nope.qkv"],
    ["query", "nope.qkv", "k"],
    ["attend", "nope.qkv", "k"],
    ["search", "nope.qkv", "k"],
    ["check", "nope.qkv"],
    ["map", "nope.qkv", "-o", "map.png"],
    ["heatmap", "nope.qkv", "-o", "heat.png"],
    ["export", "nope.qkv"],
    ["export", "nope.qkv", "r.csv"],
]


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_reading_makes_no_store(command):
    assert "there is no store at nope.qkv; begin one with: qkv put" in complaint(*command)
    assert not list(Path().iterdir())


def test_a_name_without_its_ending():
    make(ANIMALS, "animals.qkv")
    assert "did you mean animals.qkv?" in complaint("get", "animals", "cat")


def test_files_of_others_are_left_alone():
    Path("text.txt").write_text("hello")
    connection = sqlite3.connect("other.db")
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    before = Path("other.db").read_bytes()
    for command in (["ls"], ["put", "k", "v"], ["import", "text.txt"]):
        name, *rest = command
        assert "not a qkv database" in complaint(name, "text.txt", *rest)
        assert "another program" in complaint(name, "other.db", *rest)
        assert "directory" in complaint(name, ".", *rest)
    assert Path("text.txt").read_text() == "hello"
    assert Path("other.db").read_bytes() == before


class OwnEncoder:
    fingerprint = "letters"

    def encode(self, texts: list[str], /) -> np.ndarray:
        return np.array([[text.count("a") + 1.0, len(text)] for text in texts], np.float32)


def test_a_store_of_an_encoder_that_only_its_owner_has():
    with qkv.Database(ANIMALS, path="own.qkv", encoder=OwnEncoder()):
        pass
    assert run("get", "own.qkv", "cat").stdout == "animal\n"
    assert len(lines(run("export", "own.qkv"))) == 4
    assert json.loads(run("info", "own.qkv", "--json").stdout)["fingerprint"] == "letters"
    found = run("search", "own.qkv", "animal", "--mode", "keyword", "--json").stdout
    assert [match["key"] for match in json.loads(found)["matches"]] == ["cat", "dog"]
    said = complaint("query", "own.qkv", "kitten")
    assert "letters" in said
    assert "Database(path='own.qkv', encoder=...)" in said


def test_a_store_of_given_vectors():
    with qkv.Database(path="given.qkv", encoder=None) as db:
        db.put("north", "up", vector=[0.0, 1.0])
    assert json.loads(run("info", "given.qkv", "--json").stdout)["encoder"] is None
    assert "no encoder" in complaint("query", "given.qkv", "south")
    assert "no encoder" in complaint("put", "given.qkv", "south", "down")


# ── real processes ───────────────────────────────────────────────────────────────────────────


def process(*arguments: str, **options) -> subprocess.CompletedProcess[bytes]:
    command = [*QKV, *arguments]
    return subprocess.run(command, capture_output=True, timeout=60, check=False, **options)


def test_a_real_process():
    make(UNICODE)
    # A terminal of another encoding must not decide on what a pipe gets.
    environment = os.environ | {"PYTHONIOENCODING": "latin-1", "LC_ALL": "C"}
    result = process("get", "s.qkv", "naïve café", env=environment)
    assert (result.returncode, result.stdout) == (0, "crème brûlée\n".encode())
    result = process("ls", "s.qkv", "--json", env=environment)
    assert [json.loads(line)["key"] for line in result.stdout.splitlines()] == list(UNICODE)
    assert b"\x1b" not in result.stdout
    result = process("get", "s.qkv", "absent")
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.startswith(b"error: no key 'absent'")


def test_color_stays_out_of_json(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    make(ANIMALS)
    for command in (["get", "s.qkv", "cat"], ["query", "s.qkv", "cats"], ["info", "s.qkv"]):
        assert b"\x1b" not in process(*command, "--json").stdout


@pytest.mark.skipif(os.name == "nt", reason="pipes of Unix")
@pytest.mark.parametrize("asked", ["ls s.qkv", "ls s.qkv --json", "export s.qkv"])
def test_head_ends_it_quietly(asked):
    make({f"key {n}": "x" * 200 for n in range(2000)})
    shell = f"{shlex.join(QKV)} {asked} | head -n 1; echo ${{PIPESTATUS[0]}}"
    command = ["bash", "-c", shell]
    result = subprocess.run(command, capture_output=True, timeout=60, text=True, check=False)
    assert result.stderr == ""
    assert "key 0" in result.stdout
    assert result.stdout.endswith("\n141\n")


@pytest.mark.skipif(os.name == "nt", reason="pipes of Unix")
def test_closed_and_full_streams():
    make(ANIMALS)
    for shell, code in {"ls s.qkv >&-": 0, "info s.qkv >&-": 0, "ls s.qkv >/dev/full": 2}.items():
        command = ["bash", "-c", f"{shlex.join(QKV)} {shell}"]
        result = subprocess.run(command, capture_output=True, timeout=60, text=True, check=False)
        assert result.returncode == code
        assert result.stderr.count("\n") == (1 if code else 0)


@pytest.fixture
def interruptible():
    """Tests that run in the background of a shell have the signal ignored, for all below them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_it_quietly_and_writes_nothing():
    make(ANIMALS)
    command = [*QKV, "import", "s.qkv", "-", "--format", "jsonl"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as importing:
        # More than a pipe holds: when all is written, it is reading.
        importing.stdin.write(b'{"key": "a", "value": "b"}\n' * 10_000)
        importing.stdin.flush()
        importing.send_signal(signal.SIGINT)
        output, errors = importing.communicate(timeout=30)
    assert (importing.returncode, output, errors) == (130, b"", b"")
    assert content("s.qkv") == ANIMALS


# ── values ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    ["0", "-0", "7", "-12", "+3", "1.5", "-0.25", "1e5", "2E-3", "1.5e+300", "9007199254740993"],
)
def test_numbers(text):
    found = number(f" {text} ")
    assert found == (float(text) if set(text) & set(".eE") else int(text))


@pytest.mark.parametrize(
    "text", ["", "-", "1,000", "1_000", "0x10", "007", "-01", ".5.", "nan", "inf", "1e999", "٣"]
)
def test_no_numbers(text):
    assert number(text) is None


REFUSED = [
    ("x", Type.NUMBER),
    (True, Type.NUMBER),
    ("{", Type.JSON),
    ({}, Type.VECTOR),
    (b"x", Type.TEXT),
    (float("nan"), Type.TEXT),
]


def test_typed_refuses_what_it_is_not():
    for raw, type in REFUSED:
        with pytest.raises(InputError):
            typed(raw, type)
    assert typed(None, Type.NUMBER) is None


def test_what_is_shown_is_safe_and_short():
    assert shown("\x1b]0;title\x07\u2028") == "\\x1b]0;title\\x07\\u2028"
    assert shown_value(np.arange(100, dtype=np.float32)) == "[0, 1, 2, 3, …] (100 numbers)"


# ── learning ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def intents():
    words = "play stop open close buy sell".split()  # noqa: SIM905
    things = "song film door shop window book house car".split()  # noqa: SIM905
    rows = "".join(f"{word} the {thing},{word}\n" for word in words for thing in things)
    run("import", "intents.qkv", "-", "--format", "csv", "--no-header", "--encoder", "hashing",
        input=rows)  # fmt: skip
    return "intents.qkv"


def test_feedback_holds_at_once_and_changes_no_record(intents):
    said = run("feedback", intents, "put an end to it", "--good", "stop", "--bad", "play")
    assert said.stdout == "kept: put an end to it → stop\n"
    assert "exact" in run("query", intents, "put an end to it").stdout
    assert re.search(r"records +48\s.*corrections +1\s", run("info", intents).stdout, re.DOTALL)
    assert run("feedback", intents, "hm", "--bad", "play").stdout == "kept\n"
    assert "what is right" in run("feedback", intents, "hm", code=2).stderr


def test_feedback_may_be_a_number(intents):
    run("feedback", intents, "how many", "--good", "42", "--type", "number")
    assert (
        json.loads(run("query", intents, "how many", "--json").stdout)["answers"][0]["value"] == 42
    )


def test_learning_from_pairs_is_reported_and_undone(intents):
    things = ("song", "film", "door", "shop", "window", "book")
    Path("pairs.csv").write_text(
        "asked,key,wrong\n"
        + "".join(f"put the {one} on,play the {one},sell the {one}\n" for one in things)
    )
    found = run("learn", intents, "pairs.csv", "--negative", "wrong", "--json")
    learned = json.loads(found.stdout)
    assert learned["parts"]["told"]["before"]["questions"] == 6
    assert learned["kept"] in {True, False}
    table = run("learn", intents, "pairs.csv", "--query", "asked", "--key", "key")
    assert "questions with answers" in table.stdout
    assert "kept:" in table.stdout
    while json.loads(run("learn", intents, "--undo", "--json").stdout)["undone"]:
        pass
    assert "nothing that could be undone" in run("learn", intents, "--undo").stderr


def test_pairs_that_are_none_are_said_by_their_place(intents):
    said = run("learn", intents, "-", "--format", "jsonl", input='{"q": 1, "key": "a"}\n', code=2)
    assert "line 1" in said.stderr
    assert "a question is text" in said.stderr
    assert "no such file" in run("learn", intents, "no.csv", code=2).stderr.lower()
