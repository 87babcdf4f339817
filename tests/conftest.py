"""Fixtures that tests of several packages share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def published_data() -> Path:
    """The folder of published teacher outputs; the test is skipped where it is absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("DISTILWHY_PUBLISHED_DATA", default))
    if not folder.is_dir():
        pytest.skip("the published teacher outputs are absent; set DISTILWHY_PUBLISHED_DATA")
    return folder
