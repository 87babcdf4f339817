"""Made-up ratings, what R says of them, and their analysis."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from distilwhy.human_study.analyse import analyse
from distilwhy.human_study.ratings import Ratings, read_ratings

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    """The module that makes ratings up."""
    spec = importlib.util.spec_from_file_location("synthetic", HERE / "synthetic.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tables(synthetic: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The two tables that R was given, by name."""
    study, gaps = synthetic.write_all(tmp_path_factory.mktemp("ratings"))
    return {"study": study, "gaps": gaps}


@pytest.fixture(scope="session")
def study(tables: dict[str, Path]) -> Ratings:
    """The ratings of the larger table."""
    return read_ratings(tables["study"])


@pytest.fixture(scope="session")
def reference() -> dict[str, Any]:
    """R's numbers (reference.R)."""
    found: dict[str, Any] = json.loads((HERE / "reference.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="session")
def figures(tables: dict[str, Path]) -> dict[str, dict[str, Any]]:
    """Our numbers as the command line prints them, by table."""
    return {name: analyse(path, "both").figures() for name, path in tables.items()}
