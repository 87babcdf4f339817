"""The experiment file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from distilwhy.config import (
    Condition,
    Experiment,
    MethodSettings,
    StudentSettings,
    TeacherSettings,
    TeachingSettings,
    TrainingSettings,
    load_experiment,
    validate,
)
from distilwhy.errors import ConfigError, DataError

SMALLEST = """\
task: mini
teacher: {model: embedded}
students: [{model: hf:google/t5-v1_1-base}]
conditions: [{method: multitask}]
"""


def load(folder: Path, text: str) -> Experiment:
    file = folder / "experiment.yaml"
    file.write_text(text)
    return load_experiment(file)


def faults(folder: Path, text: str) -> list[str]:
    """Return what is said of a faulty file, one line a fault, without its path."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    lines = caught.value.message.split("\n")
    kept = lines[1:] if len(lines) > 1 else [lines[0].removesuffix(".")]
    assert "docs/config.md" in caught.value.remedy
    return [line.strip().removeprefix(f"{folder / 'experiment.yaml'}: ") for line in kept]


def test_the_smallest_file(tmp_path: Path) -> None:
    experiment = load(tmp_path, SMALLEST)
    assert experiment.students[0].label == "t5-v1_1-base"
    assert experiment.conditions[0].label == "multitask : unrevised"
    assert experiment.seeds == (0,)
    method = experiment.conditions[0]
    # The paper's weights.
    assert (method.alpha, method.beta, method.gamma) == (0.5, 0.5, 0.5)


def test_all_faults_are_reported_together(tmp_path: Path) -> None:
    text = SMALLEST.replace("{method: multitask}", "{method: multitask, alpha: 1.5, bta: 0.5}")
    text += "sedes: [1]\ntraining: {batch_size: 0, learning_rate: fast, lr: 1}\nseeds: []\n"
    assert sorted(faults(tmp_path, text)) == sorted(
        [
            "conditions.0.alpha: input should be less than or equal to 1",
            "unknown field 'conditions.0.bta'",
            "seeds: 0 given, at least 1 needed",
            "training.batch_size: input should be greater than or equal to 1",
            "training.learning_rate: input should be a valid number, unable to parse string as a "
            "number",
            "unknown field 'training.lr'",
            f"unknown field 'sedes' (known: {', '.join(Experiment.model_fields)})",
        ]
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"api_key": "sk-hunter2"}, "unknown field 'api_key': no key belongs in the file; keys"),
        ({"budget": {"token": 5}}, "unknown field 'budget.token'."),
        ({"openai_token": "hunter2"}, "unknown field 'openai_token': no key belongs in the file"),
        ({"api_key_file": "sk-hunter2"}, "api_key_file: must name a file, not be the key itself"),
        ({"model": "http://hunter2@host/v1#m"}, "model: must not hold a user name or a password"),
    ],
)
def test_keys_are_refused_and_not_repeated(fields: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        validate(TeacherSettings, {"model": "openai:m", **fields}, "here")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("weight", ["alpha", "beta", "gamma"])
@pytest.mark.parametrize("value", [-0.1, 1.01, float("nan"), float("inf"), "half"])
def test_weights_outside_0_to_1(weight: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"here: {weight}: "):
        validate(MethodSettings, {weight: value}, "here")
    for edge in (0, 1):
        validate(MethodSettings, {weight: edge}, "here")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("epochs: .inf", "training.epochs: "),
        ("epochs: 0", "training.epochs: "),
        ("held_out: 1.0", "training.held_out: "),
        ("warmup: 1.0", "training.warmup: "),
        ("max_target_tokens: 1", "training.max_target_tokens: "),
        ("seed: -1", "training.seed: "),
        ("seed: 4294967296", "training.seed: a seed must be from 0 to 4294967295"),
        ("precision: fp16", "training.precision: "),
    ],
)
def test_training_out_of_range(changes: str, message: str, tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, f"{SMALLEST}training: {{{changes}}}\n")
    assert fault.startswith(message)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_that_numpy_refuses(seed: int, tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, f"{SMALLEST}seeds: [0, {seed}]\n")
    assert fault == "seeds: a seed must be from 0 to 4294967295"


def test_teacher_or_annotations(tmp_path: Path) -> None:
    both = faults(tmp_path, f"{SMALLEST}annotations: a.jsonl\n")
    neither = faults(tmp_path, SMALLEST.replace("teacher: {model: embedded}\n", ""))
    assert both == neither == ["give either a teacher or an annotations file"]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("seeds", "seeds: [1, 2, 1]\n"),
        ("conditions", "conditions: [{method: multitask}, {method: multitask}]\n"),
        ("students", "students: [{model: hf:a/one}, {model: hf:b/one}]\n"),
    ],
)
def test_cells_must_differ(field: str, text: str, tmp_path: Path) -> None:
    kept = [line for line in SMALLEST.splitlines() if not line.startswith(f"{field}:")]
    (fault,) = faults(tmp_path, "\n".join([*kept, text]))
    assert fault == f"{field}: two are the same; give each its own name"


def test_a_name_tells_students_apart() -> None:
    assert StudentSettings(model="hf:b/one", name="two").label == "two"
    assert StudentSettings(model="embedded").label == "embedded"
    assert Condition(method="counterfactual", data="revised").label == "counterfactual : revised"


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        (["revision"], "step 'revision' needs step 'critique'"),
        (["critique"], "step 'critique' needs step 'rationale'"),
        (["rationale", "dance"], "steps.1: "),
    ],
)
def test_steps_need_those_before(steps: list[str], fault: str) -> None:
    with pytest.raises(ConfigError, match=f"here: {fault}"):
        validate(TeachingSettings, {"steps": steps}, "here")


@pytest.mark.parametrize("pairs", [0, 307, "some"])
def test_adjective_pairs(pairs: Any) -> None:
    with pytest.raises(ConfigError, match="adjective_pairs"):
        validate(TeachingSettings, {"adjective_pairs": pairs}, "here")
    for fine in (1, 306, "all"):
        assert validate(TeachingSettings, {"adjective_pairs": fine}, "here").adjective_pairs == fine


def test_files_that_are_not_settings(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        load_experiment(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match=r"experiment\.yaml:2: not valid YAML"):
        load(tmp_path, "task: mini\nteacher: {model: [}\n")
    for text in ("", "- task\n", "mini\n"):
        with pytest.raises(ConfigError, match="does not hold fields"):
            load(tmp_path, text)


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    mark = tmp_path / "was_run"
    with pytest.raises(ConfigError, match="not valid YAML"):
        load(tmp_path, f"task: !!python/object/apply:os.mkdir ['{mark}']\n")
    assert not mark.exists()


def test_settings_do_not_change() -> None:
    settings = TrainingSettings()
    with pytest.raises(ValueError, match="frozen"):
        settings.epochs = 3  # type: ignore[misc]


def test_conditions_that_differ_in_weights_only_can_be_named():
    low = {"method": "multitask", "alpha": 0.2, "name": "few answers"}
    values = {
        "task": "mini",
        "annotations": "a.jsonl",
        "students": [{"model": "embedded"}],
        "conditions": [low, {"method": "multitask", "alpha": 0.8}],
    }
    experiment = validate(Experiment, values, "test")
    assert [condition.label for condition in experiment.conditions] == [
        "few answers",
        "multitask : unrevised",
    ]


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text("task: mini\nseeds: [0]\ntask: esnli\n")
    with pytest.raises(ConfigError, match=r"twice\.yaml:3: .*the key 'task' stands twice"):
        load_experiment(path)
