from __future__ import annotations

import sys
from pathlib import Path

import pytest

from distilwhy.errors import DataError, MissingExtraError
from distilwhy.report import ReportData, render, write_report


def test_missing_extra_names_the_remedy(
    bare_data: ReportData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(MissingExtraError, match=r"distilwhy\[report\]"):
        render(bare_data)


def test_write_report_replaces_the_file_whole(bare_data: ReportData, tmp_path: Path) -> None:
    path = tmp_path / "run" / "report.html"
    path.parent.mkdir()
    path.write_text("an older report")
    write_report(bare_data, path)
    assert path.read_text(encoding="utf-8") == render(bare_data)
    assert [found.name for found in path.parent.iterdir()] == ["report.html"]


def test_write_report_to_a_folder_is_a_user_error(bare_data: ReportData, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="could not be written"):
        write_report(bare_data, tmp_path)
