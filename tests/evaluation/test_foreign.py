"""Predictions of other programs, in every format, with and without choices."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from distilwhy.errors import UserError
from distilwhy.evaluation.foreign import evaluate_foreign, foreign_predictions

ROWS = [
    {"label": "yes", "prediction": "[answer] The answer is Yes.", "why": "Fish swim."},
    {"label": "The answer is no", "prediction": "no", "why": ""},
    {"label": "No.", "prediction": "the answer is: yes", "why": "Stones float."},
    {"label": "no", "prediction": "who knows", "why": "A riddle."},
    {"label": "yes", "prediction": "", "why": ""},
]


def write(path: Path, rows: list[dict]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        import pyarrow as arrow
        import pyarrow.parquet as parquet

        parquet.write_table(arrow.Table.from_pylist(rows), path)
    else:
        with path.open("w", newline="") as stream:
            delimiter = "\t" if path.suffix == ".tsv" else ","
            writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_format_reads_alike(tmp_path, suffix):
    path = write(tmp_path / f"theirs{suffix}", ROWS)
    predictions = foreign_predictions(path, "prediction", "label", "why")
    assert [p.example.answer for p in predictions] == ["yes", "no", "no", "no", "yes"]
    assert [p.answer for p in predictions] == ["yes", "no", "yes", None, None]
    assert [p.rationale for p in predictions] == [
        "Fish swim.",
        None,
        "Stones float.",
        "A riddle.",
        None,
    ]
    assert [p.example.id for p in predictions] == ["1", "2", "3", "4", "5"]
    assert predictions[0].answer_text == "[answer] The answer is Yes."


def test_metrics_of_a_csv(tmp_path):
    metrics = evaluate_foreign(write(tmp_path / "theirs.csv", ROWS), "prediction", "label", "why")
    content = json.loads(metrics.model_dump_json())
    assert (content["n"], content["accuracy"], content["unparsed"]) == (5, 0.4, 2)
    assert content["ci_low"] < 0.4 < content["ci_high"]
    assert content["classes"]["no"]["n"] == 3
    assert content["explanations"]["n"] == 3


def test_missing_columns_are_named_together_with_the_known_ones(tmp_path):
    path = write(tmp_path / "theirs.csv", ROWS)
    with pytest.raises(UserError) as caught:
        foreign_predictions(path, "answer", "gold", "why", "options")
    assert "theirs.csv has no columns 'answer', 'gold', 'options'." in caught.value.message
    assert caught.value.remedy == "Its columns are: label, prediction, why."


def test_a_column_that_only_later_rows_have_is_known(tmp_path):
    path = write(tmp_path / "theirs.jsonl", [{"gold": "a"}, {"gold": "b", "answer": "b"}])
    assert [p.answer for p in foreign_predictions(path, "answer", "gold")] == [None, "b"]


@pytest.mark.parametrize("form", ["list", "json", "bars"])
def test_choices(tmp_path, form):
    choices = {
        "list": lambda *texts: list(texts),
        "json": lambda *texts: json.dumps(texts),
        "bars": lambda *texts: " | ".join(texts),
    }[form]
    rows = [
        {"gold": "oak", "answer": "The answer is (a) oak", "choices": choices("oak", "elm, ash")},
        {"gold": "(b)", "answer": "cat", "choices": choices("cat", "dog")},
        {"gold": "red", "answer": "red or blue", "choices": choices("red", "blue", "grey")},
    ]
    path = write(tmp_path / ("theirs.jsonl" if form == "list" else "theirs.csv"), rows)
    predictions = foreign_predictions(path, "answer", "gold", choices_column="choices")
    assert [p.example.choices for p in predictions] == [
        ("oak", "elm, ash"),
        ("cat", "dog"),
        ("red", "blue", "grey"),
    ]
    assert [p.example.answer for p in predictions] == ["oak", "dog", "red"]
    assert [p.answer for p in predictions] == ["oak", "cat", None]


def test_faulty_rows_are_reported_together(tmp_path):
    rows = [
        {"gold": "fir", "answer": "oak", "choices": "oak|elm"},
        {"gold": "oak", "answer": "oak", "choices": "oak| OAK"},
        {"gold": "oak", "answer": "oak", "choices": ""},
        {"gold": "c0", "answer": "c0", "choices": "|".join(f"c{n}" for n in range(27))},
        {"gold": "oak", "answer": "oak", "choices": "oak|elm"},
    ]
    with pytest.raises(UserError) as caught:
        foreign_predictions(
            write(tmp_path / "theirs.csv", rows), "answer", "gold", choices_column="choices"
        )
    message = str(caught.value)
    assert "has 4 faults" in message
    assert "theirs.csv:2: the right answer 'fir' is none of the choices" in message
    assert "theirs.csv:3: column 'choices' holds no two choices" in message
    assert "theirs.csv:4: column 'choices' holds no two choices" in message
    assert "theirs.csv:5: more than 26 choices" in message


def test_missing_right_answers_are_reported_together(tmp_path):
    rows = [{"gold": "", "answer": "a"}, {"gold": "b", "answer": "b"}, {"gold": None, "answer": ""}]
    with pytest.raises(UserError, match="has 2 faults") as caught:
        foreign_predictions(write(tmp_path / "theirs.jsonl", rows), "answer", "gold")
    assert "theirs.jsonl:1: column 'gold' holds no right answer" in str(caught.value)
    assert "theirs.jsonl:3" in str(caught.value)


def test_numbers_and_missing_values_of_parquet(tmp_path):
    rows = [{"gold": 0, "answer": 0.0}, {"gold": 1, "answer": None}, {"gold": 2, "answer": 1.0}]
    path = write(tmp_path / "theirs.jsonl", [{**row} for row in rows])
    assert [p.answer for p in foreign_predictions(path, "answer", "gold")] == ["0", None, "1"]
    nan = write(
        tmp_path / "nan.parquet",
        [{"gold": "a", "answer": float("nan")}, {"gold": "b", "answer": 1.0}],
    )
    assert [p.answer_text for p in foreign_predictions(nan, "answer", "gold")] == ["", "1"]


def test_more_labels_than_letters(tmp_path):
    rows = [
        {"gold": f"word {n}", "answer": f"word {n + n % 2}", "why": "Word 3 it is."}
        for n in range(40)
    ]
    rows[0]["answer"] = "another"
    path = write(tmp_path / "theirs.csv", rows)
    metrics = evaluate_foreign(path, "answer", "gold", "why")
    # Even rows but the first are right; the last names 'word 40', which is no label.
    assert (metrics.n, metrics.accuracy, metrics.unparsed) == (40, 19 / 40, 2)
    assert metrics.classes == {}
    assert metrics.explanations.words_mean == 4
    assert metrics.explanations.states_answer is None


def test_one_label(tmp_path):
    rows = [{"gold": "yes", "answer": "Yes"}, {"gold": "yes", "answer": "no"}]
    metrics = evaluate_foreign(write(tmp_path / "theirs.csv", rows), "answer", "gold")
    assert (metrics.accuracy, metrics.unparsed, metrics.classes) == (0.5, 1, {})


def test_ids(tmp_path):
    rows = [{"id": name, "gold": "a", "answer": "a"} for name in ("x", "y", "x", "")]
    path = write(tmp_path / "theirs.csv", rows)
    with pytest.raises(UserError, match="has 3 faults") as caught:
        foreign_predictions(path, "answer", "gold", id_column="id")
    assert "theirs.csv:2: the id 'x' occurs 2 times" in str(caught.value)
    assert "theirs.csv:5: the id is empty" in str(caught.value)
    path = write(path, rows[:2])
    predictions = foreign_predictions(path, "answer", "gold", id_column="id")
    assert [p.example.id for p in predictions] == ["x", "y"]
