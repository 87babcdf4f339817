"""Custom tasks: columns, answer forms, labels, rejects and every fault they report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from distilwhy.errors import ConfigError, DataError
from distilwhy.records import Example
from distilwhy.tasks import load_task

COLUMNS = {"question": "q", "choices": "options", "answer": "gold"}


def load(
    tmp_path: Path, rows: Sequence[dict[str, Any]] | str, suffix: str = ".jsonl", **fields: Any
) -> list[Example]:
    text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / f"rows{suffix}").write_text(text)
    task = {"name": "mine", "columns": COLUMNS, "source": {"train": f"rows{suffix}"}, **fields}
    return load_task(task, tmp_path, rejects=tmp_path / "rejects").load("train")


@pytest.mark.parametrize(
    "options", [["pier", "attic", "roof"], '["pier", "attic", "roof"]', "pier| attic |roof"]
)
def test_choices_in_one_column(tmp_path: Path, options: Any) -> None:
    examples = load(tmp_path, [{"q": "Where?", "options": options, "gold": "attic"}])
    assert examples[0].choices == ("pier", "attic", "roof")
    assert examples[0].answer == "attic"
    assert examples[0].id == "train-1"


def test_choices_in_several_columns_of_a_csv_file(tmp_path: Path) -> None:
    text = 'key,q,a,b,c,gold\nk1,"Where, then?",pier,attic,roof,2\nk2,Who?,cook,pilot,,1\n'
    columns = {"id": "key", "question": "q", "choices": ["a", "b", "c"], "answer": "gold"}
    examples = load(tmp_path, text, ".csv", columns=columns, answer_form="index_from_1")
    assert [example.choices for example in examples] == [
        ("pier", "attic", "roof"),
        ("cook", "pilot"),
    ]
    assert [(example.id, example.answer) for example in examples] == [
        ("k1", "attic"),
        ("k2", "cook"),
    ]


@pytest.mark.parametrize(
    ("form", "gold", "answer"),
    [
        ("text", " attic ", "attic"),
        ("letter", "B", "attic"),
        ("letter", "(c)", "roof"),
        ("index_from_0", 0, "pier"),
        ("index_from_0", "2", "roof"),
        ("index_from_1", 2.0, "attic"),
    ],
)
def test_answer_forms(tmp_path: Path, form: str, gold: Any, answer: str) -> None:
    row = {"q": "Where?", "options": "pier;attic;roof", "gold": gold}
    assert load(tmp_path, [row], answer_form=form, separator=";")[0].answer == answer


@pytest.mark.parametrize(
    ("form", "gold", "fault"),
    [
        ("text", "Attic", "answer 'Attic' is not among the choices"),
        ("letter", "D", "gold 'D' names none of the 3 choices"),
        ("letter", "attic", "gold 'attic' names none"),
        ("index_from_0", 3, "gold '3' names none"),
        ("index_from_1", 0, "gold '0' names none"),
        ("index_from_1", "-1", "gold '-1' names none"),
        ("index_from_1", "²", "gold '²' names none"),
        ("text", None, "gold is empty"),
        ("text", ["pier"], "gold is not text"),
    ],
)
def test_answers_that_name_no_choice(tmp_path: Path, form: str, gold: Any, fault: str) -> None:
    row = {"q": "Where?", "options": "pier|attic|roof", "gold": gold}
    with pytest.raises(DataError) as caught:
        load(tmp_path, [row], answer_form=form)
    assert fault in caught.value.message
    assert "rows.jsonl:1" in caught.value.message


def test_labels_by_raw_value_make_a_classification_task(tmp_path: Path) -> None:
    text = "q\tgold\nGreat film.\tpos\nI fell asleep.\tNEG\nFine.\tpos\n"
    labels = {"pos": "praise", "neg": "blame"}
    columns = {"question": "q", "answer": "gold"}
    examples = load(tmp_path, text, ".tsv", columns=columns, labels=labels)
    assert [example.answer for example in examples] == ["praise", "blame", "praise"]
    assert {example.choices for example in examples} == {("praise", "blame")}
    with pytest.raises(DataError, match="gold 'meh' is not one of"):
        load(tmp_path, "q\tgold\nHm.\tmeh\n", ".tsv", columns=columns, labels=labels)


def test_yes_no_survives_yaml_and_truth_values(tmp_path: Path) -> None:
    columns = {"question": "q", "answer": "gold"}
    rows = [{"q": "Is it?", "gold": gold} for gold in (True, "no", "Yes", 0)]
    text = f"name: mine\nfamily: yes_no\nlabels: [yes, no]\ncolumns: {json.dumps(columns)}\n"
    fields = yaml.safe_load(text + "source: {train: rows.jsonl}\n")
    assert fields["labels"] == [True, False]
    examples = load(tmp_path, [rows[1], rows[2]], **fields)
    assert [example.answer for example in examples] == ["no", "yes"]
    del fields["labels"]
    examples = load(tmp_path, rows, **fields)
    assert [example.answer for example in examples] == ["yes", "no", "yes", "no"]
    assert examples[0].choices == ("yes", "no")


def test_nli_with_a_premise_column(tmp_path: Path) -> None:
    columns = {"question": "h", "context": "p", "answer": "gold"}
    rows = [{"p": "It rains.", "h": "It is wet.", "gold": 0}]
    labels = {0: "entailment", 1: "neutral", 2: "contradiction"}
    example = load(tmp_path, rows, columns=columns, family="nli", labels=labels)[0]
    assert (example.context, example.answer, example.family) == ("It rains.", "entailment", "nli")


def test_answers_may_be_unknown(tmp_path: Path) -> None:
    columns = {"question": "q", "choices": "options"}
    examples = load(tmp_path, [{"q": "Where?", "options": "pier|roof"}], columns=columns)
    assert examples[0].answer is None


def rows_with_faults(good: int) -> list[dict[str, Any]]:
    rows = [{"q": f"Where is {n}?", "options": "pier|roof", "gold": "roof"} for n in range(good)]
    rows.insert(1, {"q": "Where?", "options": "pier|roof", "gold": "moon"})
    rows.append({"q": "", "options": "pier|roof", "gold": "roof"})
    return rows


def test_a_share_of_rejects_is_written_down(tmp_path: Path) -> None:
    rows = rows_with_faults(98)
    assert len(load(tmp_path, rows, max_rejects=0.02)) == 98
    lines = (tmp_path / "rejects" / "mine-train.jsonl").read_text().splitlines()
    assert [json.loads(line)["reason"] for line in lines] == [
        "answer 'moon' is not among the choices",
        "q is empty",
    ]
    assert json.loads(lines[0])["row"] == rows[1]


@pytest.mark.parametrize("fields", [{}, {"max_rejects": 0.02}])
def test_over_the_share_the_load_stops_with_all_faults(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    with pytest.raises(DataError) as caught:
        load(tmp_path, rows_with_faults(97 if fields else 9998), **fields)
    assert "rows.jsonl:2: answer 'moon' is not among the choices" in caught.value.message
    assert "q is empty" in caught.value.message
    assert ("at most 2.0% may be rejected" in caught.value.message) == bool(fields)
    assert not (tmp_path / "rejects").exists()


def test_duplicate_ids_and_gaps_in_choices_are_faults(tmp_path: Path) -> None:
    columns = {"id": "n", "question": "q", "choices": ["a", "b", "c"], "answer": "gold"}
    rows = [
        {"n": 1, "q": "Where?", "a": "pier", "b": "roof", "c": None, "gold": "roof"},
        {"n": 1, "q": "Who?", "a": "cook", "b": "pilot", "c": None, "gold": "cook"},
        {"n": 2, "q": "When?", "a": "noon", "b": " ", "c": "night", "gold": "noon"},
    ]
    with pytest.raises(DataError) as caught:
        load(tmp_path, rows, columns=columns)
    assert f"rows.jsonl:2: id '1' stands in {tmp_path / 'rows.jsonl:1'} too" in caught.value.message
    assert "rows.jsonl:3: a choice is empty" in caught.value.message


def test_broken_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"rows\.jsonl:2: not valid JSON"):
        load(tmp_path, '{"q": 1}\n{"q": \n')
    with pytest.raises(DataError, match="is empty"):
        load(tmp_path, "")
    with pytest.raises(DataError, match="lacks the columns 'gold', 'options'"):
        load(tmp_path, [{"q": "Where?"}])
    with pytest.raises(DataError, match="options is not a JSON list"):
        load(tmp_path, [{"q": "Where?", "options": "[pier", "gold": "pier"}])


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"columns": {"question": "q"}}, "multiple_choice needs columns.choices or labels"),
        ({"labels": ["a", "b"]}, "give either columns.choices or labels"),
        ({"family": "yes_no"}, "yes_no takes labels, not columns.choices"),
        ({"family": "nli", "columns": {"question": "q"}}, "nli needs columns.context"),
        (
            {"family": "yes_no", "columns": {"question": "q"}, "labels": ["right", "wrong"]},
            "the labels of yes_no must be yes and no",
        ),
        ({"columns": {"question": "q"}, "labels": ["a", "a"]}, "give two or more"),
        ({"columns": {"quest": "q", "choices": "options"}}, "columns.question: field required"),
        ({"max_rejects": 1.5}, "max_rejects"),
        ({"answer_form": "number"}, "answer_form"),
    ],
)
def test_wrong_declarations_are_refused(tmp_path: Path, fields: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, [], **fields)
    assert fault in caught.value.message


def test_all_faults_of_a_declaration_come_together() -> None:
    with pytest.raises(ConfigError) as caught:
        load_task({"name": "mine", "family": "essay", "columns": {}, "max_rejects": 2})
    for field in ("source", "family", "columns.question", "max_rejects"):
        assert f"task mine: {field}" in caught.value.message


def test_a_blank_context_is_no_context_but_a_premise_must_be_there(tmp_path: Path) -> None:
    columns = {**COLUMNS, "context": "text"}
    row = {"q": "Where?", "options": ["pier", "attic"], "gold": "attic"}
    rows = [{**row, "text": "At home."}, {**row, "text": " "}, {**row, "text": None}]
    examples = load(tmp_path, rows, columns=columns)
    assert [example.context for example in examples] == ["At home.", None, None]
    nli = {"question": "q", "answer": "gold", "context": "text"}
    rows = [{"q": "It rains.", "gold": "neutral", "text": ""}]
    with pytest.raises(DataError, match="text is empty"):
        load(tmp_path, rows, columns=nli, family="nli")


def test_an_id_that_stands_twice_in_a_drawn_source_is_refused_in_every_split(
    tmp_path: Path,
) -> None:
    rows = [
        {"key": f"k{n % 19}", "q": f"Where {n}?", "options": ["pier", "attic"], "gold": "pier"}
        for n in range(20)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    values = {
        "name": "mine",
        "columns": {**COLUMNS, "id": "key"},
        "source": "rows.jsonl",
        "fractions": {"train": 0.5, "test": 0.5},
    }
    task = load_task(values, tmp_path, rejects=tmp_path / "rejects")
    for split in ("train", "test"):
        with pytest.raises(DataError, match=r"rows\.jsonl:20: id 'k0' stands in .*rows\.jsonl:1"):
            task.load(split)


def test_splits_may_be_unlabelled(tmp_path: Path) -> None:
    rows = [{"q": "Where?", "options": ["pier", "attic"]}]
    (example,) = load(tmp_path, rows, unlabelled=["train"])
    assert (example.choices, example.answer) == (("pier", "attic"), None)
    with pytest.raises(DataError, match="lacks the column 'gold'"):
        load(tmp_path, rows)
    with pytest.raises(DataError, match="lacks the column 'gold'"):
        load(tmp_path, rows, unlabelled=["test"])


def test_unlabelled_splits_keep_the_answers_that_they_have(tmp_path: Path) -> None:
    rows = [
        {"q": "Where?", "options": ["pier", "attic"], "gold": "attic"},
        {"q": "Who?", "options": ["cook", "pilot"], "gold": " "},
        {"q": "When?", "options": ["now", "later"], "gold": None},
    ]
    assert [e.answer for e in load(tmp_path, rows, unlabelled=["train"])] == ["attic", None, None]
    wrong = [{"q": "Where?", "options": ["pier", "attic"], "gold": "roof"}]
    with pytest.raises(DataError, match="not among the choices"):
        load(tmp_path, wrong, unlabelled=["train"])


def test_equal_ids_are_noticed_in_unlabelled_rows_too(tmp_path: Path) -> None:
    rows = "id,q,a,b\n1,Where?,pier,attic\n1,Who?,cook,pilot\n"
    (tmp_path / "rows.csv").write_text(rows)
    task = {
        "name": "mine",
        "columns": {"id": "id", "question": "q", "choices": ["a", "b"], "answer": "gold"},
        "source": "rows.csv",
        "fractions": {"train": 0.5, "test": 0.5},
        "unlabelled": ["train"],
    }
    with pytest.raises(DataError, match="'1'"):
        load_task(task, tmp_path).load("train")
