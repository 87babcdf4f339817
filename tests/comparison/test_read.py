"""What is wrong with the files of a comparison is told, all of it together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from distilwhy.comparison.read import read_runs
from distilwhy.comparison.run_table import COLUMNS
from distilwhy.config import to_yaml
from distilwhy.config.experiment import Experiment
from distilwhy.errors import UserError

Table = Callable[..., Path]
MT, CF = "multitask-unrevised", "counterfactual-unrevised"
HEAD = ",".join(COLUMNS)
PLAIN = "few-shot-positive-rationale"


def refused(*paths: Path, **options) -> str:
    with pytest.raises(UserError) as caught:
        read_runs(paths, **options)
    return str(caught.value)


def test_a_table_and_an_experiment_give_equal_runs(table: Table, experiment) -> None:
    rows = [("MT", "t5", 0, 0.75), ("MT", "t5", 1, 0.5), ("CF", "t5", 0, 0.25)]
    ours = {
        (MT, "t5", 0): [1, 1, 1, 0],
        (MT, "t5", 1): [1, 1, 0, 0],
        (CF, "t5", 0): [1, 0, 0, 0],
    }
    facts = {"condition", "size", "run", "accuracy"}
    one, other = read_runs([table(rows)]), read_runs([experiment(ours)])
    assert [run.model_dump(include=facts) for run in one.runs] == [
        run.model_dump(include=facts) for run in other.runs
    ]
    assert one.conditions == ("CF", "MT")
    assert {run.questions for run in other.runs} == {4}


def test_percent_and_shares(table: Table) -> None:
    share = table([("MT", "s", n, x) for n, x in enumerate([0.0, 0.62, 1])], "share.csv")
    percent = table([("CF", "s", n, x) for n, x in enumerate([0.0, 62.1, 100])], "percent.csv")
    assert [run.accuracy for run in read_runs([share]).runs] == [0.0, 0.62, 1.0]
    found = read_runs([percent])
    assert found.unit == "percent"
    assert [run.accuracy for run in found.runs] == pytest.approx([0, 0.621, 1])
    said = refused(share, percent)
    assert "accuracies above 1 (62.1 in " in said
    assert "and of at most 1 (0.62 in " in said
    assert "say which by --unit" in said
    low = table([("MT", "s", 0, 0.9), ("MT", "s", 1, 61.0)], "low.csv")
    assert [x.accuracy for x in read_runs([low], unit="percent").runs] == pytest.approx(
        [0.009, 0.61]
    )
    assert "low.csv:3: accuracy 61.0 is no share" in refused(low, unit="share")


def test_all_faults_of_all_files_are_told_together(table: Table, tmp_path: Path) -> None:
    rows = [
        ("MT", "s", 0, 0.5),
        ("MT", "s", 0, 0.6),
        ("MT", "s", 1, "nan"),
        ("MT", "s", 2, "0,5"),
        ("MT", "s", 3, 101),
        ("MT", "", 4, 0.5),
        ("task_prefix", "s", 5, 0.5),
        ("MT", "s", 6, ""),
        ("MT", "s", 7, -0.1),
        ("MT", "s", 8, "inf"),
    ]
    lacking = tmp_path / "lacking.csv"
    lacking.write_text("run,accuracy,model_size\n1,0.5,220M\n")
    said = refused(table(rows), lacking, tmp_path / "none.csv")
    assert said.startswith("The comparison has 11 faults:\n")
    assert "runs.csv:3: run 0 of MT, s, stands in " in said
    assert "runs.csv:4: test accuracy nan is neither a share nor a percentage" in said
    assert "runs.csv:5: test accuracy '0,5' is no number" in said
    assert "runs.csv:6: test accuracy 101 is neither" in said
    assert "runs.csv:7: model_size is empty" in said
    assert "runs.csv:8: unknown training_mode 'task_prefix' (known: task-prefix, " in said
    assert "runs.csv:9: test accuracy is empty" in said
    assert "lacks the columns 'test accuracy', 'target_rationale', 'training_mode'" in said
    assert "it has: run, accuracy, model_size" in said
    assert "none.csv: does not exist" in said


def test_other_conditions_on_request(table: Table) -> None:
    path = table([("MT", "s", 0, 0.5), ("distil-it", "s", 0, 0.6)])
    assert "unknown training_mode 'distil-it'" in refused(path)
    names = (f"distil-it : {PLAIN}",)
    assert read_runs([path], other_conditions=True).conditions == ("MT", *names)


@pytest.mark.parametrize("text", ["", HEAD + "\n"])
def test_empty_tables(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    assert "a.csv: is empty" in refused(path)


def test_spreadsheet_s_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    head = ";" + ";".join(f" {name}" for name in COLUMNS)
    path.write_text(f"\ufeff{head}\r\n0;1;0.5;{PLAIN};220M;both\r\n", encoding="utf-8")
    (run,) = read_runs([path]).runs
    assert (run.condition, run.size, run.run, run.accuracy) == ("MT+CF", "220M", "1", 0.5)


def test_unfinished_experiments(experiment, tmp_path: Path) -> None:
    root = experiment({(MT, "t5", 0): [1, 0], (MT, "t5", 1): [1, 0]})
    (root / "cells" / CF / "t5" / "seed-0" / "student").mkdir(parents=True)
    said = refused(root)
    assert f"1 of 3 cells are not done: {Path('cells', CF, 't5', 'seed-0')}" in said
    assert "finish experiments with distilwhy run" in said
    assert len(read_runs(sorted(root.rglob("metrics.json"))).runs) == 2
    settings = {
        "task": "mini",
        "teacher": {"model": "embedded"},
        "students": [{"model": "hf:x/t5"}],
        "conditions": [{"method": "multitask"}],
        "seeds": [0, 1, 2, 3],
    }
    whole = experiment({(MT, "t5", 0): [1, 0], (MT, "t5", 2): [1, 0]}, "whole")
    (whole / "experiment.yaml").write_text(to_yaml(Experiment.model_validate(settings)))
    assert "2 of 4 cells are not done: " in refused(whole)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no metrics.json" in refused(empty)


def test_metrics_in_no_place_that_tells_their_condition(experiment, tmp_path: Path) -> None:
    root = experiment({(MT, "t5", 0): [1, 0]})
    loose = tmp_path / "metrics.json"
    loose.write_bytes(next(root.rglob("metrics.json")).read_bytes())
    assert "does not lie in a folder CONDITION/STUDENT/seed-N" in refused(loose)
    other = tmp_path / "other.json"
    other.write_text('{"accuracy": 2}')
    assert "n: field required" in refused(other)


def test_what_cannot_stand_beside_each_other(table: Table, experiment) -> None:
    root = experiment({(MT, "t5", 0): [1, 0], (CF, "t5", 0): [1, 0]})
    rows = table([("MT", "t5", 0, 0.5)])
    assert "is a table and " in refused(rows, root)
    longer = experiment({(CF, "t5", 1): [1, 0, 1]}, "longer")
    assert "has 3 test questions, " in refused(root, longer)
    again = experiment({(CF, "t5", 0): [1, 1]}, "again")
    assert "run 0 of CF, t5, stands in " in refused(root, again)
    assert len(read_runs([root, root]).runs) == 2
    assert "No file to compare" in refused()
