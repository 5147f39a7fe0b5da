"""Nothing in the docs that has not run: README, docs and examples, block by block.

A ``python`` block runs in the page's own namespace; a line that ends in ``# → value`` must give
that value (``…`` stands for anything). In a ``console`` block each ``$ line`` runs in a shell, and
what follows it must be what it prints.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Set up the project or run it whole: the tests are inside one of them.
NOT_RUN_HERE = ("make ", "pip ", "git ")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def matches(shown: str, got: str) -> bool:
    """Whether the output is what the page shows, white space and ``…`` apart."""
    parts = [" ".join(part.split()) for part in shown.split("…")]
    pattern = ".*".join(re.escape(part) for part in parts)
    return re.fullmatch(pattern, " ".join(got.split()), re.DOTALL) is not None


def run_python(block: str, names: dict[str, object]) -> None:
    lines = block.splitlines()
    for statement in ast.parse(block).body:
        expect(statement, lines, names)


def expect(statement: ast.stmt, lines: list[str], names: dict[str, object]) -> None:
    """Run a statement; inside a ``with`` each line is checked too."""
    if isinstance(statement, ast.With):
        # Run the body line by line, so that values shown inside are checked.
        item = statement.items[0]
        manager = eval(compile(ast.Expression(item.context_expr), "page", "eval"), names)
        assert isinstance(item.optional_vars, ast.Name)
        names[item.optional_vars.id] = manager
        with manager:
            for inner in statement.body:
                expect(inner, lines, names)
        return
    last = lines[statement.end_lineno - 1]
    shown = re.search(r"#\s*→\s*(.*)$", last)
    if shown and isinstance(statement, ast.Expr):
        value = eval(compile(ast.Expression(statement.value), "page", "eval"), names)
        assert matches(shown[1], repr(value)), f"{last.strip()}\n  gave {value!r}"
    else:
        exec(compile(ast.Module([statement], []), "page", "exec"), names)


def run_console(block: str, folder: Path) -> None:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "TERM": "dumb",
    }
    for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, shown = step.partition("\n")
        if command.startswith(NOT_RUN_HERE):
            continue
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
        if shown.strip():
            assert matches(shown, done.stdout), f"$ {command}\n{done.stdout}"
        else:
            assert done.returncode == 0, f"$ {command}\n{done.stdout}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_does_what_the_page_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    for kind, block in BLOCK.findall(page.read_text()):
        if kind == "python":
            run_python(block, names)
        else:
            run_console(block, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{name_of(page)} links to {target}"


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_every_example_runs(example, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.strip()


def test_every_module_has_its_page():
    modules = {
        path.stem for path in (ROOT / "src/qkv").iterdir() if not path.name.startswith(("_", "."))
    } - {"py"}
    assert {m for m in modules if not (ROOT / "docs" / f"{m}.md").exists()} == set()
