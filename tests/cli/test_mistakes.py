"""A user's mistake: one sentence that names it, one remedy, no traceback, exit code 2."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

Refused = Callable[..., str]

TEACHER = ("--teacher", "recorded:none.jsonl", "--out", "out.jsonl")


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def predict(refused: Refused, student: Path, *arguments: str) -> str:
    return refused("predict", "--student", student, "--out", "p.jsonl", *arguments)


def test_missing_columns(refused: Refused, student: Path) -> None:
    text = (
        Path("task.yaml").read_text().replace("c]", "d]").replace("answer: answer", "answer: gold")
    )
    Path("task.yaml").write_text(text)
    said = predict(refused, student, "--task", "task.yaml")
    assert "temperature test (test.csv:2) lacks the columns 'gold', 'd'." in said
    assert "It has: id, question, a, b, c, answer." in said


def test_bad_rows_are_told_together(refused: Refused, student: Path) -> None:
    rows = ["e0,Why?,a,b,c,a", "e1,Why?,a,b,c,d", "e0,Why not?,a,b,c,b", "e3,,a,b,c,a"]
    Path("test.csv").write_text("\n".join(["id,question,a,b,c,answer", *rows]))
    said = predict(refused, student, "--task", "task.yaml")
    assert "3 of 4 rows unusable" in said
    assert "test.csv:3: answer 'd' is not among the choices" in said
    assert "test.csv:4: id 'e0' stands in test.csv:2 too" in said
    assert "test.csv:5: question" in said
    assert said.endswith("allow a share of rejects with max_rejects.\n")
    assert not Path("p.jsonl").exists()


def test_an_empty_file(refused: Refused, student: Path) -> None:
    Path("test.csv").write_text("")
    assert "test.csv is empty." in predict(refused, student, "--task", "task.yaml")
    Path("a.jsonl").write_text("\n")
    said = refused("train", "--annotations", "a.jsonl", "--student", "x", "--out", "s")
    assert "a.jsonl is empty." in said


def test_wrong_json_is_told_with_its_line(refused: Refused, annotations: Path) -> None:
    lines = annotations.read_text().splitlines()
    # Windows line ends are fine, a torn line is not.
    Path("a.jsonl").write_text("\r\n".join([lines[0], lines[1], lines[2][:99], lines[3]]))
    said = refused("train", "--annotations", "a.jsonl", "--student", "x", "--out", "s")
    assert said.startswith("Error: a.jsonl:3: invalid JSON: EOF while parsing")


def test_a_file_of_other_records(refused: Refused, annotations: Path) -> None:
    said = refused("evaluate", "--predictions", annotations)
    assert "annotations.jsonl holds no Prediction records; the first line's fault: " in said
    assert said.count("\n") == 2


def test_an_experiment_s_faults_are_told_together(refused: Refused) -> None:
    Path("x.yaml").write_text(
        "task: task.yaml\nteachr: {model: embedded}\nannotations: a.jsonl\n"
        "students: [{model: a, alpha: 1}]\nconditions: [{method: multitask, alpha: 1.5}]\n"
        "limits: {train: 0}\nseeds: [-1]\n"
    )
    said = refused("run", "x.yaml")
    assert said.startswith("Error: x.yaml has 5 faults:\n")
    assert "x.yaml: unknown field 'teachr' (known: name, task, " in said
    assert "unknown field 'students.0.alpha'" in said
    assert "conditions.0.alpha: input should be less than or equal to 1" in said
    assert "limits.train: input should be greater than or equal to 2" in said
    assert "seeds: a seed must be from 0 to" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1", "x.yaml:1: not valid YAML"),
        ("- a\n", "x.yaml does not hold fields."),
        ("", "x.yaml does not hold fields."),
    ],
)
def test_an_experiment_that_is_no_yaml_mapping(text: str, said: str, refused: Refused) -> None:
    Path("x.yaml").write_text(text)
    assert said in refused("run", "x.yaml")


def test_a_typo_in_a_task_file(refused: Refused, student: Path) -> None:
    Path("task.yaml").write_text(Path("task.yaml").read_text().replace("source", "sauce"))
    said = predict(refused, student, "--task", "task.yaml")
    assert "task temperature: source: field required" in said
    assert "unknown field 'sauce' (known: source, " in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--alpha", "1.5", "--beta", "-0.5"), "distilwhy train has 2 faults:"),
        (("--alpha", "1.5"), "alpha: input should be less than or equal to 1."),
        (("--max-steps", "0"), "max_steps: input should be greater than or equal to 1."),
        (("--data", "raw"), "data: input should be 'unrevised' or 'revised'."),
        (("--precision", "fp16"), "precision: input should be 'auto', 'fp32' or 'bf16'."),
        (("--seed", "5000000000"), "seed: a seed must be from 0 to"),
    ],
)
def test_options_out_of_range(
    options: tuple[str, ...], said: str, refused: Refused, annotations: Path
) -> None:
    command = ("train", "--annotations", annotations, "--student", "x", "--out", "s", *options)
    text = refused(*command)
    assert said in text
    assert text.endswith("See distilwhy train --help.\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--shots", "9"), "shots: input should be less than or equal to 7."),
        (("--adjective-pairs", "many"), "adjective_pairs: must be from 1 to 306, or 'all'."),
        (("--adjective-pairs", "307"), "adjective_pairs: must be from 1 to 306, or 'all'."),
        (("--steps", "revision"), "step 'revision' needs step 'critique'."),
        (("--steps", ""), "steps.0: input should be 'rationale', 'critique', "),
        (("--samples", "2"), "samples above 1 need a temperature above 0."),
        (("--selection", "best"), "selection: input should be 'gates', 'likelihood' or"),
        (("--critique-rounds", "8"), "critique_rounds: input should be less than or equal to 7."),
        (("--limit", "-3"), "Invalid value for '--limit'"),
        (("--split", "tests"), "There is no split 'tests'."),
        (("--prompts", "nosuch.yaml"), "nosuch.yaml does not exist."),
    ],
)
def test_teaching_options_that_do_not_fit(
    options: tuple[str, ...], said: str, refused: Refused
) -> None:
    assert said in refused("generate", "--task", "task.yaml", *TEACHER, *options)


@pytest.mark.parametrize("text", ["", "- loss\n", "uld\n"])
def test_soft_labels_that_are_no_fields(text: str, refused: Refused, annotations: Path) -> None:
    Path("soft.yaml").write_text(text)
    command = ("train", "--annotations", annotations, "--student", "x", "--out", "s")
    assert refused(*command, "--soft", "soft.yaml").startswith("Error: soft.yaml does not hold fi")
    Path("soft.yaml").write_text("los: uld\n")
    assert "soft.yaml: unknown field 'los'" in refused(*command, "--soft", "soft.yaml")


@pytest.mark.parametrize("layers", ["every_secnd", "-1", "0,x"])
def test_layers_that_are_none(layers: str, refused: Refused, annotations: Path) -> None:
    command = ("train", "--annotations", annotations, "--student", "x", "--out", "s")
    said = refused(*command, "--layers", layers)
    assert said.startswith(
        "Error: distilwhy train: layers.keep: give all, every_second, or the numbers of layers, "
        "as in 0, 2, 4.\n"
    )


def test_places_on_ray_without_it(refused: Refused, annotations: Path) -> None:
    command = ("sweep", "learning_rate=1,2", "--annotations", annotations, "--student", "x")
    assert "Add --engine ray" in refused(*command, "--out", "s", "--workers", "3")


def test_unknown_names(refused: Refused, annotations: Path, student: Path) -> None:
    said = predict(refused, student, "--task", "comonsense_qa")
    assert "There is no task named 'comonsense_qa'.\nDid you mean 'commonsense_qa'?" in said
    train = ["train", "--annotations", annotations, "--out", "s"]
    said = refused(*train, "--student", student, "--method", "multitsk")
    assert "There is no method named 'multitsk'.\nDid you mean 'multitask'?" in said
    said = predict(refused, student, "--task", "task.yaml", "--split", "validation")
    assert "There is no validation split in the task.\nIt has: train, test." in said


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("nosuch/folder", "The model 'nosuch/folder' was found neither as a folder nor on"),
        ("", "The model string '' names no model."),
        ("gguf:none.gguf", "The model file none.gguf does not exist."),
        ("hf:.", ". could not be loaded as a language model: "),
    ],
)
def test_models_that_cannot_be_found(
    model: str, said: str, refused: Refused, annotations: Path
) -> None:
    assert said in refused("train", "--annotations", annotations, "--student", model, "--out", "s")
    assert said in refused(
        "generate", "--task", "task.yaml", "--teacher", model, "--out", "a.jsonl"
    )


def test_kinds_of_models_that_do_not_fit(refused: Refused, annotations: Path) -> None:
    train = ("train", "--annotations", annotations, "--out", "s", "--student")
    for model in ("openai:gpt-4o", "http://localhost:1/v1#m", "foo:bar"):
        said = refused(*train, model)
        assert f"{model} is not a model whose weights can be loaded here.\nGive one" in said
    generate = ("generate", "--task", "task.yaml", "--out", "a.jsonl", "--teacher")
    said = refused(*generate, "foo:bar")
    assert "The model string 'foo:bar' has the unknown kind 'foo'.\nKnown: gguf, hf" in said
    said = refused(*generate, "http://me:hunter2@localhost/v1#m")
    assert "model: must not hold a user name or a password; keys come from" in said
    assert "hunter2" not in said


def test_folders_that_are_no_students(
    refused: Refused, tiny_models: dict[str, Path], annotations: Path
) -> None:
    said = predict(refused, tiny_models["llama"], "--task", "task.yaml")
    assert "is not a trained student: it has no distilwhy.json." in said
    assert "nosuch is not a folder." in predict(refused, Path("nosuch"), "--task", "task.yaml")
    assert "is not a folder." in predict(refused, annotations, "--task", "task.yaml")


def test_a_full_disk(
    refused: Refused,
    annotations: Path,
    tiny_models: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 99, 1))
    command = ("train", "--annotations", annotations, "--student", tiny_models["llama"])
    said = refused(*command, "--out", "s")
    assert said.startswith("Error: s has 0.0 GiB free, but checkpoints need ")
    assert said.endswith("Free some space or choose another folder.\n")


def test_outputs_that_cannot_be_written(
    refused: Refused, student: Path, annotations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is refused before the model is loaded, so none of these models is looked for."""
    Path("full").mkdir()
    Path("a file").write_text("mine")
    commands = {
        "generate": ("--task", "task.yaml", "--teacher", "hf:nosuch"),
        "predict": ("--task", "task.yaml", "--student", student),
        "import": (annotations,),
    }
    for name, arguments in commands.items():
        assert "full is a folder, not a file to write." in refused(
            name, *arguments, "--out", "full"
        )
        assert "is a folder, not a file to write." in refused(name, *arguments, "--out", "")
        said = refused(name, *arguments, "--out", "a file/x.jsonl")
        assert "a file is a file, not a folder to write to." in said
    train = ("train", "--annotations", annotations, "--student", "hf:nosuch")
    assert "a file is a file, not a folder to write to." in refused(*train, "--out", "a file")
    assert "'.' is no name for a new folder." in refused(*train, "--out", "")
    assert Path("a file").read_text() == "mine"

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    said = refused(*train, "--out", "closed/s")
    assert "closed/s cannot be written to: Permission denied." in said


def test_outputs_that_would_overwrite_their_input(
    refused: Refused, annotations: Path, tiny_models: dict[str, Path]
) -> None:
    mine = Path("mine.jsonl")
    shutil.copy(annotations, mine)
    before = mine.read_bytes()
    said = refused("evaluate", "--predictions", mine, "--out", f"../{Path.cwd().name}/mine.jsonl")
    assert "it would be overwritten" in said
    columns = ("--answer-column", "a", "--gold-column", "b")
    said = refused("evaluate", "--predictions", mine, "--out", mine, *columns)
    assert "it would be overwritten" in said
    assert "it would be overwritten" in refused("import", mine, "--out", mine)
    assert mine.read_bytes() == before
    model = tiny_models["llama"]
    said = refused("train", "--annotations", mine, "--student", f"hf:{model}", "--out", model)
    assert "it would be overwritten" in said
    assert not (model / "distilwhy.json").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--predictions", "."), ". cannot be read: Is a directory."),
        (("--predictions", "nosuch.jsonl"), "nosuch.jsonl does not exist."),
        (("--predictions", "test.csv"), "needs both --answer-column and --gold-column."),
        (("--predictions", "test.csv", "--gold-column", "a"), "needs both --answer-column and"),
        (
            ("--predictions", "test.csv", "--gold-column", "", "--answer-column", "gold"),
            "test.csv has no columns 'gold', ''.\nIts columns are: id, question, a, b, c, answer.",
        ),
        (
            ("--predictions", "task.yaml", "--gold-column", "a", "--answer-column", "b"),
            "task.yaml has an unknown format '.yaml'.",
        ),
    ],
)
def test_predictions_that_cannot_be_evaluated(
    arguments: tuple[str, ...], said: str, refused: Refused
) -> None:
    assert said in refused("evaluate", *arguments)


def test_the_import_of_something_else(refused: Refused) -> None:
    assert "nosuch.parquet" in refused("import", "nosuch.parquet", "--out", "a.jsonl")
    said = refused("import", "test.csv", "--out", "a.jsonl")
    assert "test.csv lacks the columns 'few_shot_positive_rationale'" in said
    said = refused("import", "test.csv", "--task", "esnli", "--out", "a.jsonl")
    assert "lacks the columns 'premise', 'hypothesis', 'label'" in said
    said = refused("import", "test.csv", "--task", "nosuch", "--out", "a.jsonl")
    assert "nosuch" in said
    assert "Traceback" not in said


def test_a_recorded_teacher_that_lacks_the_texts(refused: Refused, annotations: Path) -> None:
    command = ("generate", "--task", "task.yaml", "--out", "a.jsonl", "--shots", "1")
    said = refused(*command, "--teacher", f"recorded:{annotations}")
    assert "annotations.jsonl holds no text for 18 of 18 prompts" in said


def test_rows_without_json_columns_in_a_foreign_table(refused: Refused) -> None:
    Path("p.jsonl").write_text(json.dumps({"a": "x", "b": "y"}) + "\n{oops\n")
    said = refused(
        "evaluate", "--predictions", "p.jsonl", "--answer-column", "a", "--gold-column", "b"
    )
    assert said.startswith("Error: p.jsonl:2: not valid JSON")
