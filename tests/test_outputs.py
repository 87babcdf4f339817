"""Outputs that could not be written are refused first."""

from __future__ import annotations

from pathlib import Path

import pytest

from distilwhy.errors import DataError
from distilwhy.outputs import check_output_file, check_output_folder, make_folder


def test_good_outputs_leave_nothing_but_their_folders(tmp_path: Path) -> None:
    check_output_file(tmp_path / "a" / "b" / "x.jsonl", tmp_path / "a" / "y.jsonl")
    check_output_folder(tmp_path / "c" / "student", tmp_path / "c")
    made = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    assert made == ["a", "a/b", "c", "c/student"]


def test_what_is_there_already_stays(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("kept")
    check_output_file(tmp_path / "x.jsonl")
    make_folder(tmp_path)
    assert (tmp_path / "x.jsonl").read_text() == "kept"


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_names_that_are_none(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="is a folder, not a file"):
        check_output_file(Path(name))
    with pytest.raises(DataError, match="is no name for a new folder"):
        check_output_folder(Path(name))


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    for check, path in (
        (check_output_folder, tmp_path / "x"),
        (check_output_file, tmp_path / "x" / "y.jsonl"),
    ):
        with pytest.raises(DataError, match="x is a file, not a folder to write to"):
            check(path)
    with pytest.raises(DataError, match="cannot be written to: Not a directory"):
        make_folder(tmp_path / "x" / "y" / "z")
    assert (tmp_path / "x").read_text() == "mine"


def test_inputs_are_known_by_where_they_lie(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("mine")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "x.jsonl")
    for other in (tmp_path / "sub" / ".." / "x.jsonl", tmp_path / "link.jsonl"):
        with pytest.raises(DataError, match="it would be overwritten"):
            check_output_file(tmp_path / "x.jsonl", other)
    with pytest.raises(DataError, match="it would be overwritten"):
        check_output_folder(tmp_path, tmp_path)


def test_no_file_is_written_into_an_input_folder(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    for name in ("given/x.jsonl", "given/new/x.jsonl"):
        with pytest.raises(DataError, match="from which the output is made"):
            check_output_file(tmp_path / name, tmp_path / "given")
    assert list((tmp_path / "given").iterdir()) == []
    check_output_file(tmp_path / "given.jsonl", tmp_path / "given")
