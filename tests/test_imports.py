"""Imports go one way, and the command line starts without the heavy libraries."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "distilwhy"

# The one place that says which way imports go. A module may import from its own package and from
# the layers before its own. What stands on one layer knows nothing of each other: teaching and
# training, say, exchange files only.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("ranks",),
    ("errors", "records", "progress", "draws", "grids"),
    ("environment", "files", "outputs", "registry", "statistics"),
    ("manifests", "config"),
    ("tasks",),
    ("prompts", "models"),
    ("generators", "students"),
    ("teaching", "training"),
    ("inference", "evaluation", "growing"),
    ("human_study",),
    ("comparison",),
    ("judging",),
    ("explainability",),
    ("report",),
    ("pipeline",),
    ("api",),
    ("__init__", "cli"),
    ("__main__",),
)
POSITIONS = {name: place for place, names in enumerate(LAYERS) for name in names}
FROM_ROOT = {"__version__"}
HEAVY = (
    "torch",
    "transformers",
    "datasets",
    "pyarrow",
    "scipy",
    "altair",
    "peft",
    "pandas",
    "openai",
)


def imported_modules(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield ``(line, module below distilwhy)`` of every import, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            names = ["distilwhy." + "." * node.level + (node.module or "")]
        elif isinstance(node, ast.ImportFrom) and node.module == "distilwhy":
            names = [f"distilwhy.{a.name}" for a in node.names if a.name not in FROM_ROOT]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            names = [str(a.value) for a in node.args if isinstance(a, ast.Constant)]
        else:
            continue
        for name in names:
            if name == "distilwhy" or name.startswith("distilwhy."):
                yield node.lineno, name.partition(".")[2]


def _called(node: ast.Call) -> str:
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def violations(path: str, text: str) -> list[str]:
    """Return what is wrong with a module's imports, as ``file:line: clause``.

    Args:
        path: The module's path below src/distilwhy, e.g. ``tasks/base.py``.
        text: Its source.
    """
    own = Path(path).parts[0].removesuffix(".py")
    if own not in POSITIONS:
        return [f"{path}:1: {own} stands on no layer; add it to LAYERS in tests/test_imports.py"]
    wrong = []
    for line, module in imported_modules(ast.parse(text)):
        other = module.partition(".")[0]
        place = f"{path}:{line}: {own} imports"
        if not other:
            wrong.append(f"{place} {module or 'the root package'}; name the module in full")
        elif other not in POSITIONS:
            wrong.append(f"{place} {other}, which stands on no layer")
        elif other != own and POSITIONS[other] >= POSITIONS[own]:
            wrong.append(f"{place} {other}, which does not stand before it")
    return wrong


def test_imports_go_one_way() -> None:
    wrong = [
        fault
        for path in sorted(SOURCE.rglob("*.py"))
        for fault in violations(
            path.relative_to(SOURCE).as_posix(), path.read_text(encoding="utf-8")
        )
    ]
    assert not wrong, "\n".join(wrong)


def test_each_layer_names_a_module_once() -> None:
    names = [name for layer in LAYERS for name in layer]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("tasks/base.py", "from distilwhy.records import Example", None),
        ("tasks/base.py", "from distilwhy.tasks.rows import draw", None),
        ("manifests.py", "from distilwhy import __version__", None),
        ("tasks/base.py", "import numpy\nimport distilwhyx", None),
        ("files.py", "\nfrom distilwhy.tasks import base", "files.py:2: files imports tasks"),
        ("files.py", "def f():\n    import distilwhy.cli.main", "files.py:2: files imports cli"),
        (
            "records.py",
            "if TYPE_CHECKING:\n    from distilwhy.errors import Fault",
            "records.py:2: records imports errors",
        ),
        ("training/a.py", "from distilwhy import teaching", "training/a.py:1: training imports"),
        ("tasks/base.py", "from . import rows", "name the module in full"),
        ("tasks/base.py", "from ..cli import main", "name the module in full"),
        ("tasks/base.py", "import distilwhy", "the root package"),
        ("tasks/base.py", "importlib.import_module('distilwhy.cli')", "tasks imports cli"),
        ("tasks/base.py", "from distilwhy.extra import x", "extra, which stands on no layer"),
        ("extra.py", "", "extra.py:1: extra stands on no layer"),
    ],
)
def test_violations_are_found(path: str, text: str, expected: str | None) -> None:
    found = violations(path, text)
    assert len(found) == (expected is not None)
    assert expected is None or expected in found[0]


def loaded_by(code: str) -> set[str]:
    """Return the heavy libraries that are loaded after some code ran in a fresh interpreter."""
    report = (
        f"import json, sys\n{code}\nprint(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", report], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_heavy_libraries_are_noticed() -> None:
    assert loaded_by("import pyarrow") == {"pyarrow"}


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("import distilwhy") == set()


def test_the_human_study_needs_no_torch() -> None:
    loaded = loaded_by("import distilwhy.human_study.analyse, distilwhy.human_study.tables")
    assert loaded.isdisjoint({"torch", "transformers"})


@pytest.mark.skipif(
    importlib.util.find_spec("distilwhy.cli.main") is None, reason="no command line yet"
)
def test_help_loads_nothing_heavy() -> None:
    code = (
        "from distilwhy.cli.main import main\n"
        "sys.argv = ['distilwhy', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code"
    )
    assert loaded_by(code) == set()
