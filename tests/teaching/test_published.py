"""The import of published teacher outputs, on rows made by hand and on the real files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from distilwhy.errors import ConfigError, DataError
from distilwhy.teaching.published import import_published

CQA = {
    "id": "c1",
    "question": "Where are boats kept?",
    "choices": ["pier", "shed", "pier", "bank", "roof"],
    "answer": "shed",
    "few_shot_positive_rationale": "\nA shed is\ndry.\n\nQuestion: Where are cars kept?",
    "few_shot_negative_rationale": "Boats, obviously.",
    "few_shot_revision": "A shed is dry. So the answer is (d) shed. A pier",
    **{f"counterfactual_prompt_answer_{k}_rationale": f"Reason number {k}." for k in range(1, 6)},
}
ESNLI = {
    "premise": "A man sleeps.",
    "hypothesis": "A man rests.",
    "label": 0,
    "few_shot_positive_rationale": "Who sleeps rests.",
    "few_shot_revision": "So the relationship is neutral.",
    **{f"counterfactual_prompt_answer_{k}_rationale": f"Reason {k}." for k in range(1, 4)},
}
STRATEGY = {
    "qid": "s1",
    "term": "Boat",
    "description": "vessel",
    "question": "Can a boat fly?",
    "answer": False,
    "facts": "A boat has no wings.",
    "few_shot_positive_rationale": "It has no wings.",
    "few_shot_revision": "It has no wings.",
    "counterfactual_prompt_answer_1_rationale": "Flying boats do.",
    "counterfactual_prompt_answer_2_rationale": "It has no wings.",
}


def parquet(path: Path, *rows: dict[str, Any]) -> Path:
    Dataset.from_list(list(rows)).to_parquet(str(path))
    return path


def test_commonsense_qa_rows_become_annotations(tmp_path: Path) -> None:
    result = import_published(parquet(tmp_path / "cqa.parquet", CQA))
    (annotation,) = result.annotations
    assert result.task == "commonsense_qa"
    assert annotation.teacher == "published:cqa.parquet"
    assert annotation.example.id == "c1"
    assert annotation.rationale is not None
    assert (annotation.rationale.text, annotation.rationale.flags) == ("A shed is dry.", ())
    assert annotation.revision is not None
    assert annotation.revision.text == "A shed is dry. So the answer is (d) shed."
    assert annotation.revision.flags == ("truncated", "wrong_letter")
    # 'pier' stands twice; its first argument is kept.
    assert {choice: text.text for choice, text in annotation.counterfactuals.items()} == {
        "pier": "Reason number 1.",
        "shed": "Reason number 2.",
        "bank": "Reason number 4.",
        "roof": "Reason number 5.",
    }
    assert annotation.critique is None
    assert (result.counts["rationale"].n, result.counts["counterfactual"].n) == (1, 4)
    assert result.counts["revision"].flags == {"truncated": 1, "wrong_letter": 1}


def test_esnli_labels_and_numbered_ids(tmp_path: Path) -> None:
    path = parquet(tmp_path / "esnli-teacher-train.parquet", ESNLI, {**ESNLI, "label": 2})
    first, second = import_published(path).annotations
    assert (first.example.id, second.example.id) == ("train-1", "train-2")
    assert (first.example.answer, second.example.answer) == ("entailment", "contradiction")
    assert {c: text.text for c, text in first.counterfactuals.items()} == {
        "entailment": "Reason 1.",
        "neutral": "Reason 2.",
        "contradiction": "Reason 3.",
    }
    assert first.revision is not None
    assert first.revision.flags == ("contradicts_answer",)
    other = import_published(parquet(tmp_path / "restrained.parquet", ESNLI)).annotations
    assert other[0].example.id == "row-1"


def test_strategyqa_first_argues_yes_and_second_no(tmp_path: Path) -> None:
    result = import_published(parquet(tmp_path / "s.parquet", STRATEGY))
    (annotation,) = result.annotations
    assert (result.task, annotation.example.id, annotation.example.answer) == (
        "strategyqa",
        "s1",
        "no",
    )
    assert annotation.counterfactuals["yes"].text == "Flying boats do."
    assert annotation.counterfactuals["no"].text == "It has no wings."


def test_folders_of_saved_shards_are_read_in_order(tmp_path: Path) -> None:
    for number in range(11):
        rows = [{**STRATEGY, "qid": f"s{number}"}]
        Dataset.from_list(rows).save_to_disk(str(tmp_path / "out" / f"shard_{number}"))
    result = import_published(tmp_path / "out", "strategyqa")
    assert [a.example.id for a in result.annotations] == [f"s{number}" for number in range(11)]
    assert result.annotations[0].teacher == "published:out"
    plain = import_published(tmp_path / "out" / "shard_4")
    assert [a.example.id for a in plain.annotations] == ["s4"]


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a folder written by"):
        import_published(tmp_path)


def test_all_missing_columns_are_named_in_one_sentence(tmp_path: Path) -> None:
    row = {
        name: value for name, value in CQA.items() if name not in ("few_shot_revision", "answer")
    }
    path = parquet(tmp_path / "cqa.parquet", row)
    with pytest.raises(DataError) as caught:
        import_published(path, "commonsense_qa")
    assert caught.value.message == f"{path} lacks the columns 'answer', 'few_shot_revision'."


def test_unknown_layouts_are_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", {"question": "Where?"})
    with pytest.raises(DataError, match="does not look like the published outputs"):
        import_published(path)
    with pytest.raises(ConfigError, match="no published layout for the task 'mini'"):
        import_published(path, "mini")


def test_unusable_rows_stop_the_import_or_are_written_down(tmp_path: Path) -> None:
    path = parquet(tmp_path / "e.parquet", ESNLI, {**ESNLI, "label": -1}, ESNLI)
    with pytest.raises(DataError, match="row 2: label -1"):
        import_published(path)
    out = tmp_path / "rejects.jsonl"
    result = import_published(path, max_rejects=0.5, rejects=out)
    assert [a.example.id for a in result.annotations] == ["row-1", "row-3"]
    assert [reject.reason for reject in result.rejects] == ["label -1 is not 0, 1 or 2"]
    assert json.loads(out.read_text())["row"]["label"] == -1


def test_missing_texts_are_left_out_and_empty_ones_flagged(tmp_path: Path) -> None:
    row = {**STRATEGY, "few_shot_revision": None, "few_shot_positive_rationale": "\n"}
    (annotation,) = import_published(
        parquet(tmp_path / "s.parquet", STRATEGY, {**row, "qid": "2"})
    ).annotations[1:]
    assert annotation.revision is None
    assert annotation.rationale is not None
    assert annotation.rationale.flags == ("empty",)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "task", "rows"),
    [
        ("strategyqa-llama-test", "strategyqa", 687),
        ("cqa-llama-test", "commonsense_qa", 1221),
        pytest.param("strategyqa-llama-train", "strategyqa", 1603, marks=pytest.mark.slow),
        pytest.param("cqa-llama-train", "commonsense_qa", 9741, marks=pytest.mark.slow),
        pytest.param("esnli-llama-train", "esnli", 10983, marks=pytest.mark.slow),
        pytest.param("esnli-llama-test", "esnli", 9824, marks=pytest.mark.slow),
    ],
)
def test_real_files_are_imported_whole(
    published_data: Path, name: str, task: str, rows: int
) -> None:
    result = import_published(published_data / f"{name}.parquet")
    assert (result.task, len(result.annotations), result.rejects) == (task, rows, ())
    for step in ("rationale", "revision"):
        assert result.counts[step].n == rows
    texts = [
        text
        for annotation in result.annotations
        for text in (
            annotation.rationale,
            annotation.revision,
            *annotation.counterfactuals.values(),
        )
        if text is not None
    ]
    assert not [text for text in texts if "\n" in text.text]
    unended = [t for t in texts if not t.text.endswith(tuple(".!?\u201d\"')]"))]
    # Texts without a single whole sentence are kept as they are, and flagged.
    assert all({"truncated", "empty"} & set(text.flags) for text in unended)
    assert len(unended) < 0.07 * len(texts)


@pytest.mark.data
def test_real_faults_are_found(published_data: Path) -> None:
    """Counts of the raw texts, made here without the gates, agree with the gates' counts."""
    from pyarrow import parquet as tables

    path = published_data / "cqa-llama-test.parquet"
    raw = tables.read_table(path).to_pylist()
    counts = import_published(path).counts
    unended = sum(
        row["few_shot_positive_rationale"].strip()[-1:] not in set(".!?\u2026")
        and row["few_shot_positive_rationale"].strip()[-2:-1] not in set(".!?\u2026")
        for row in raw
    )
    assert counts["rationale"].flags["truncated"] == unended
    assert counts["revision"].flags["empty"] == sum(
        not row["few_shot_revision"].strip() for row in raw
    )
