"""Reading and writing files."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from distilwhy.errors import DataError
from distilwhy.files import (
    atomic_text,
    read_json,
    read_records,
    read_table,
    read_text,
    sha256_file,
    sha256_json,
    write_json,
    write_records,
)


class Point(BaseModel):
    model_config = ConfigDict(extra="forbid")

    x: int = Field(ge=0)
    note: str | None = None


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "a.txt"
    with atomic_text(file) as stream:
        stream.write("old")
        assert not file.exists()
    assert file.read_text() == "old"
    assert file.stat().st_mode & 0o777 == 0o644
    with pytest.raises(KeyError):
        interrupted(file)
    assert file.read_text() == "old"
    assert names(file.parent) == ["a.txt"]


def interrupted(file: Path) -> None:
    with atomic_text(file) as stream:
        stream.write("half")
        raise KeyError


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(
    function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.json"
    write_json(file, {"old": 1})

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*((os, "fsync") if function == "fsync" else (Path, "replace")), full)
    with pytest.raises(DataError) as caught:
        write_json(file, {"new": 2})
    assert caught.value.message == f"{file} could not be written: No space left on device."
    assert "is kept" in caught.value.remedy
    assert read_json(file) == {"old": 1}
    assert names(tmp_path) == ["a.json"]


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(DataError, match="could not be written"):
        write_json(tmp_path / "a" / "b.json", {})


def test_json(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": "é", "a": [1]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text == '{\n  "b": "é",\n  "a": [\n    1\n  ]\n}\n'
    assert read_json(tmp_path / "a.json") == {"b": "é", "a": [1]}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1,\n "b" 2}', r":2: not valid JSON \(Expecting ':' delimiter\)"),
        ("[" * 100_000, r"not valid JSON \(maximum recursion depth exceeded"),
        ("1" * 5000, r"not valid JSON \(Exceeds the limit"),
    ],
)
def test_faulty_json(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=problem):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n' + text.replace("\n", " "))
    with pytest.raises(DataError, match=problem.replace(":2: ", "a.jsonl:2: ")):
        read_table(tmp_path / "a.jsonl")


def test_texts(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"\xef\xbb\xbfone\r\ntwo")
    assert read_text(file) == "one\ntwo"
    file.write_bytes(b"abc\xff")
    with pytest.raises(DataError, match=r"is not UTF-8 text \(byte 3\)"):
        read_text(file)
    with pytest.raises(DataError, match="does not exist"):
        read_text(tmp_path / "b.txt")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_text(tmp_path)


def test_records_come_back(tmp_path: Path) -> None:
    points = [Point(x=1), Point(x=2, note="line\u2028break\nand\r\n\ttab")]
    write_records(tmp_path / "a.jsonl", points)
    assert read_records(tmp_path / "a.jsonl", Point) == points
    first = (tmp_path / "a.jsonl").read_text(encoding="utf-8").split("\n")[0]
    assert json.loads(first) == {"x": 1}


def test_all_faulty_records_are_told_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"x": 1}\n\n{"x": -1, "y": 3}\nnonsense\n{"note": "n"}\n{"x": 5}\n')
    with pytest.raises(DataError) as caught:
        read_records(file, Point)
    lines = caught.value.message.split("\n")
    assert lines[0] == f"{file} has 4 faults:"
    assert lines[1] == f"  {file}:3: x: input should be greater than or equal to 0"
    assert lines[2] == f"  {file}:3: y: extra inputs are not permitted"
    assert lines[3].startswith(f"  {file}:4: invalid JSON")
    assert lines[4] == f"  {file}:5: x: field required"
    assert "Point records" in caught.value.remedy


def test_empty_records(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n \n")
    with pytest.raises(DataError, match="is empty"):
        read_records(tmp_path / "a.jsonl", Point)


ROWS = [{"q": "a, b", "n": "1"}, {"q": 'say "x"\u2028\x85', "n": "two\nlines"}]


def written(folder: Path, suffix: str) -> Path:
    file = folder / f"rows{suffix}"
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), file)
    elif suffix == ".json":
        file.write_text(json.dumps(ROWS))
    elif suffix in (".csv", ".tsv"):
        cells = [["q", "n"], ["a, b", "1"], ['say "x"\u2028\x85', "two\nlines"]]
        delimiter = "," if suffix == ".csv" else "\t"
        lines = [
            delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in cells
        ]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS))
    return file


@pytest.mark.parametrize(
    ("suffix", "places"),
    [
        (".jsonl", (":1", ":2")),
        (".ndjson", (":1", ":2")),
        (".json", (" row 1", " row 2")),
        (".csv", (":2", ":4")),
        (".tsv", (":2", ":4")),
        (".parquet", (" row 1", " row 2")),
    ],
)
def test_tables_of_every_format(suffix: str, places: tuple[str, str], tmp_path: Path) -> None:
    file = written(tmp_path, suffix)
    table = read_table(file)
    assert [row for _, row in table] == ROWS
    assert [place for place, _ in table] == [f"{file}{place}" for place in places]


def test_unquoted_cells_may_hold_odd_spaces(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("q,n\none\u2028two\x0b\x85,1\n", encoding="utf-8")
    assert read_table(tmp_path / "a.csv")[0][1] == {"q": "one\u2028two\x0b\x85", "n": "1"}


def test_faulty_tables(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("q,n,q\n1,2\n1,2,3\n1,2,3,4\n")
    with pytest.raises(DataError) as caught:
        read_table(tmp_path / "a.csv")
    assert [line.rsplit("/", 1)[1] for line in caught.value.message.split("\n")] == [
        "a.csv has 3 faults:",
        "a.csv:1: two columns are named 'q'",
        "a.csv:2: not 3 columns",
        "a.csv:4: not 3 columns",
    ]
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n[1]\n{"a"\n')
    with pytest.raises(DataError, match=r"(?s)2 faults.*a\.jsonl:2: not a JSON object.*jsonl:3: "):
        read_table(tmp_path / "a.jsonl")
    (tmp_path / "a.json").write_text('[{"a": 1}, 2]')
    with pytest.raises(DataError, match="is not a JSON list of objects"):
        read_table(tmp_path / "a.json")
    (tmp_path / "a.parquet").write_text("nothing")
    with pytest.raises(DataError, match="is not a Parquet file"):
        read_table(tmp_path / "a.parquet")
    (tmp_path / "a.xlsx").write_text("")
    with pytest.raises(DataError, match=r"unknown format '\.xlsx'"):
        read_table(tmp_path / "a.xlsx")
    with pytest.raises(DataError, match="does not exist"):
        read_table(tmp_path / "b.csv")
    for name in ("c.csv", "c.jsonl"):
        (tmp_path / name).write_text("q,n\n" if name == "c.csv" else "")
        with pytest.raises(DataError, match="is empty"):
            read_table(tmp_path / name)


def test_hashes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    # The test vector of FIPS 180-2.
    assert sha256_file(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    expected = hashlib.sha256('{"a":["é",2],"b":1}'.encode()).hexdigest()
    assert sha256_json({"b": 1, "a": ["é", 2]}) == expected
    assert sha256_json({"a": [2, "é"], "b": 1}) != expected


def test_a_quote_that_is_never_closed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "open.csv"
    path.write_text('answer,gold\nbank,bank\n"library,park\ncafe,cafe\nzoo,zoo\n')
    with pytest.raises(DataError, match=r"open\.csv:2: .*quote"):
        read_table(path)


def test_a_csv_file_may_be_separated_by_semicolons(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('answer;gold\n"bank; river";bank\nzoo, park;zoo\n')
    assert [row for _, row in read_table(path)] == [
        {"answer": "bank; river", "gold": "bank"},
        {"answer": "zoo, park", "gold": "zoo"},
    ]
