"""People's explanations, from columns of a task's own rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distilwhy.errors import ConfigError, DataError
from distilwhy.teaching.explained import import_explanations

COS_E = [
    {
        "id": "c1",
        "question": "Where does water boil?",
        "choices": ["stove", "garden", "lake"],
        "answer": "stove",
        "abstractive_explanation": "  a stove heats\nwhat stands on it. ",
        "extractive_explanation": "water boil",
    },
    {
        "id": "c2",
        "question": "Where do roses grow?",
        "choices": ["stove", "garden", "lake"],
        "answer": "garden",
        "abstractive_explanation": "",
        "extractive_explanation": "roses grow",
    },
]
ESNLI = [
    {"premise": "A man walks.", "hypothesis": "He moves.", "label": 0, "explanation_1": "Walks."},
    {"premise": "A man walks.", "hypothesis": "He flies.", "label": -1, "explanation_1": "No."},
    {"premise": "A man walks.", "hypothesis": "He sits.", "label": 2, "explanation_1": None},
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_the_first_column_that_is_not_blank_is_the_rationale(tmp_path: Path) -> None:
    path = write(tmp_path / "cos_e.jsonl", COS_E)
    columns = ["abstractive_explanation", "extractive_explanation"]
    result = import_explanations(path, "commonsense_qa", columns)
    texts = [a.rationale and a.rationale.text for a in result.annotations]
    assert texts == ["a stove heats what stands on it.", "roses grow"]
    assert [a.example.answer for a in result.annotations] == ["stove", "garden"]
    assert {a.teacher for a in result.annotations} == {"human"}
    assert result.counts["rationale"].n == 2
    alone = import_explanations(path, "commonsense_qa", columns[:1], by="crowd")
    assert [a.rationale is None for a in alone.annotations] == [False, True]
    assert alone.annotations[0].teacher == "crowd"


def test_rows_that_make_no_example_are_rejected(tmp_path: Path) -> None:
    path = write(tmp_path / "esnli-train.jsonl", ESNLI)
    with pytest.raises(DataError, match="label -1 is not 0, 1 or 2"):
        import_explanations(path, "esnli", ["explanation_1"])
    result = import_explanations(
        path, "esnli", ["explanation_1"], max_rejects=0.5, rejects=tmp_path / "r.jsonl"
    )
    assert [a.example.id for a in result.annotations] == ["train-1", "train-3"]
    assert [a.rationale is None for a in result.annotations] == [False, True]
    assert len((tmp_path / "r.jsonl").read_text().splitlines()) == 1


def test_missing_columns_and_tasks_without_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", COS_E)
    with pytest.raises(DataError, match="lacks the column 'explanation'"):
        import_explanations(path, "commonsense_qa", ["explanation"])
    with pytest.raises(ConfigError, match="no task named 'cos_e'"):
        import_explanations(path, "cos_e", ["abstractive_explanation"])
