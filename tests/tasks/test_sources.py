"""Rows from files, folders, saved data sets and the Hub's layout."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import Dataset, DatasetDict

from distilwhy.config import validate
from distilwhy.errors import ConfigError, DataError
from distilwhy.tasks.rows import PlacedRow
from distilwhy.tasks.sources import SourceSettings, read_split

ROWS = [{"question": f"question {index}", "answer": "yes"} for index in range(10)]


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        Dataset.from_list(list(rows)).to_parquet(str(path))
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(list(rows)))
    else:
        with path.open("w", newline="") as stream:
            delimiter = "," if path.suffix == ".csv" else "\t"
            writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
    return path


def questions(rows: Sequence[PlacedRow]) -> list[str]:
    return [row["question"] for _, row in rows]


def settings(source: Any, **fields: Any) -> SourceSettings:
    return validate(SourceSettings, {"source": source, **fields}, "test")


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".tsv", ".parquet"])
def test_a_folder_of_one_file_a_split(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"train{suffix}", ROWS[:7])
    write(tmp_path / f"test{suffix}", ROWS[7:])
    source = settings(str(tmp_path))
    assert [row for _, row in read_split(source, ("test",), "test")] == ROWS[7:]
    with pytest.raises(ConfigError, match="no validation split"):
        read_split(source, ("validation", "dev"), "validation")


def test_one_file_for_each_split_and_places_name_lines(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", ROWS[:7])
    write(tmp_path / "b.csv", ROWS[7:])
    source = settings({"train": "a.jsonl", "test": "b.csv"})
    rows = read_split(source, ("test",), "test", base=tmp_path)
    assert questions(rows) == questions([("", row) for row in ROWS[7:]])
    assert rows[0][0] == f"{tmp_path / 'b.csv'}:2"
    with pytest.raises(ConfigError, match="no validation split"):
        read_split(source, ("validation",), "validation", base=tmp_path)


def test_fractions_draw_disjoint_splits_that_cover_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "all.jsonl", ROWS)
    fractions = {"train": 0.6, "validation": 0.2, "test": 0.2}
    source = settings(str(path), fractions=fractions)
    parts = {split: questions(read_split(source, (split,), split)) for split in fractions}  # type: ignore[arg-type]
    assert {split: len(part) for split, part in parts.items()} == {
        "train": 6,
        "validation": 2,
        "test": 2,
    }
    assert sorted(chain.from_iterable(parts.values())) == sorted(row["question"] for row in ROWS)
    assert parts["train"] == sorted(parts["train"])
    other = settings(str(path), fractions=fractions, split_seed=1)
    assert questions(read_split(other, ("train",), "train")) != parts["train"]


def test_one_file_without_fractions_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "all.jsonl", ROWS)
    with pytest.raises(ConfigError, match="does not say what is train"):
        read_split(settings(str(path)), ("train",), "train")


def test_saved_data_sets(tmp_path: Path) -> None:
    saved = DatasetDict({"train": Dataset.from_list(ROWS[:7]), "dev": Dataset.from_list(ROWS[7:])})
    saved.save_to_disk(str(tmp_path / "dict"))
    rows = read_split(settings(str(tmp_path / "dict")), ("validation", "dev"), "validation")
    assert [row for _, row in rows] == ROWS[7:]
    saved["train"].save_to_disk(str(tmp_path / "plain"))
    with pytest.raises(ConfigError, match="without splits"):
        read_split(settings(str(tmp_path / "plain")), ("train",), "train")
    drawn = settings(str(tmp_path / "plain"), fractions={"train": 1.0})
    assert [row for _, row in read_split(drawn, ("train",), "train")] == ROWS[:7]


def test_a_folder_laid_out_as_on_the_hub(tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    write(hub / "data" / "train-00000-of-00001.parquet", ROWS[:7])
    write(hub / "data" / "validation-00000-of-00001.parquet", ROWS[7:])
    rows = read_split(settings(str(hub)), ("validation", "test"), "test")
    assert [row for _, row in rows] == ROWS[7:]
    with pytest.raises(ConfigError, match="no test split"):
        read_split(settings(str(hub)), ("test",), "test")


def test_config_and_revision_reach_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def names(name: str, config: str | None, revision: str | None) -> list[str]:
        asked.append((name, config, revision))
        return ["train", "test"]

    def load(name: str, config: str | None, split: str, revision: str | None) -> Dataset:
        asked.append((name, config, split, revision))
        return Dataset.from_list(ROWS)

    monkeypatch.setattr(datasets, "get_dataset_split_names", names)
    monkeypatch.setattr(datasets, "load_dataset", load)
    source = settings("owner/name", config="plain", revision="abc")
    rows = read_split(source, ("validation", "test"), "test")
    assert asked == [("owner/name", "plain", "abc"), ("owner/name", "plain", "test", "abc")]
    assert rows[1] == ("owner/name test row 2", ROWS[1])


@pytest.mark.parametrize(
    "error",
    [
        datasets.exceptions.DatasetNotFoundError("Dataset 'x' doesn't exist on the Hub"),
        ConnectionError("offline mode is enabled"),
        ValueError("BuilderConfig 'x' not found"),
        RuntimeError("Dataset scripts are no longer supported"),
    ],
)
def test_an_unreachable_or_unknown_data_set_has_a_remedy(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(datasets, "get_dataset_split_names", fail)
    with pytest.raises(DataError, match="could not be loaded") as caught:
        read_split(settings("owner/nowhere"), ("train",), "train")
    assert "local file or folder" in caught.value.remedy


@pytest.mark.parametrize("source", ["./nowhere", "nowhere.jsonl", "/nowhere/at/all"])
def test_a_missing_path_is_not_taken_for_a_hub_name(source: str) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_split(settings(source), ("train",), "train")


def test_two_files_of_one_split_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", ROWS)
    write(tmp_path / "train.csv", ROWS)
    with pytest.raises(ConfigError, match=r"train\.jsonl and train\.csv"):
        read_split(settings(str(tmp_path)), ("train",), "train")


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"source": "x", "fractions": {"train": 0.8, "test": 0.4}}, "more than 1"),
        ({"source": "x", "fractions": {"train": 0.0}}, "over 0"),
        ({"source": {"train": "x"}, "fractions": {"train": 1.0}}, "either a source for each"),
        ({"source": ""}, "source is empty"),
        ({"source": {"training": "x"}}, "source"),
    ],
)
def test_wrong_settings_are_refused(fields: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        validate(SourceSettings, fields, "test")
