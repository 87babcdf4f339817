"""The judge on the command line: ratings, pairs, dry runs, a budget, mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from distilwhy.config import to_yaml
from distilwhy.files import write_records
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.records import Example, Prediction

JUDGE = "openai:a-judge"
CALLS = 5 * 2

Call = Callable[..., Any]


def verdict(prompt: str) -> str:
    """Rate all alike; prefer reasons."""
    if "Explanation A:" not in prompt:
        return "4"
    first, second = prompt.split("Explanation A:")[1].split("Explanation B:")
    a, b = "because" in first, "because" in second
    return "tie" if a == b else "A" if a else "B"


@pytest.fixture(autouse=True)
def judge(monkeypatch: pytest.MonkeyPatch) -> ScriptedGenerator:
    made = ScriptedGenerator(verdict, name=JUDGE)
    monkeypatch.setattr("distilwhy.generators.open.open_generator", lambda *_: made)
    return made


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Predictions of two predictors: one gives reasons, and in one case the other does too."""
    paths = [tmp_path / "a_1.jsonl", tmp_path / "b_2.jsonl"]
    for path in paths:
        rows = []
        for number in range(4):
            question = f"Which is {number}?"
            example = Example(id=f"q{number}", question=question, choices=("a cat", "a dog"))
            reason = "because" if path is paths[0] or number == 3 else "well, it is"
            text = f"{reason} {number}" + " word" * (number % 2)
            rows.append(Prediction(example=example, answer="a cat", rationale=text))
        write_records(path, rows)
    return paths


def rated(files: list[Path]) -> list[Any]:
    rows = [
        Prediction.model_validate_json(line).model_copy(update={"answer_text": "a cat"})
        for line in files[0].read_text().splitlines()
    ]
    known = [
        row.model_copy(update={"example": row.example.model_copy(update={"answer": "a cat"})})
        for row in rows
    ]
    write_records(files[0], known)
    return ["evaluate", "--predictions", files[0], "--measure", "judge"]


def test_ratings_and_their_forecast(
    files: list[Path], call: Call, judge: ScriptedGenerator, tmp_path: Path
) -> None:
    command = [*rated(files), "--judge", JUDGE, "--out", tmp_path / "new" / "figures.json"]
    told = call(*command, "--dry-run")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("Dry run: 4 examples, all of them; nothing is stored.")
    assert "Text tokens are the most that a verdict may have: " in told.out
    result = json.loads(call(*command, "--dry-run", "--json").out)
    assert (result["total"]["texts"], result["total"]["most_text_tokens"]) == (40, 320)
    assert judge.calls == []
    assert not (tmp_path / "new").exists()
    done = call(*command)
    assert done.code == 0, done.err
    assert "  quality 4.000 (95 % interval 4.000 to 4.000), n = 4" in done.out
    assert len(judge.calls) == 40
    again = json.loads(call(*command, "--dry-run", "--json").out)
    assert (again["total"]["texts"], again["total"]["stored"]) == (0, 40)


def test_a_file_says_how_the_judge_is_asked_and_the_option_which(
    files: list[Path], call: Call, judge: ScriptedGenerator, tmp_path: Path
) -> None:
    asked = {"model": "openai:other", "constructs": ["plausibility"], "budget": {"tokens": 700}}
    file, people = tmp_path / "explanations.yaml", tmp_path / "people.csv"
    file.write_text(yaml.safe_dump({"judge": asked}))
    people.write_text("rationale,plausibility\nbecause 0,2\n")
    command = [*rated(files), "--explanations", file, "--judge", JUDGE, "--ratings", people]
    stopped = call(*command)
    assert stopped.code == 1
    assert "Texts still missing: " in stopped.err
    assert "The budget of 700 tokens is reached" in stopped.err
    assert "No output was named beside which to keep the verdicts" in stopped.err
    kept = call(*command, "--out", tmp_path / "figures.json")
    assert "Raise judge.budget.tokens to about " in kept.err
    before = len(judge.calls)
    file.write_text(yaml.safe_dump({"judge": {**asked, "budget": {"tokens": 100_000}}}))
    done = call(*command, "--out", tmp_path / "figures.json", "--json")
    found = json.loads(done.out)["explanations"]["judge"]
    assert found["details"]["rated_by_people"] == 1
    assert found["details"]["judge"] == JUDGE
    assert 0 < len(judge.calls) - before < 4 * 2


def test_pairs(files: list[Path], call: Call, judge: ScriptedGenerator, tmp_path: Path) -> None:
    out = tmp_path / "pairs.json"
    command = ["judge", "--predictions", files[0], "--predictions", files[1], "--judge", JUDGE]
    told = json.loads(call(*command, "--out", out, "--dry-run", "--json").out)
    assert told["total"]["texts"] == 3 * CALLS + 5, "equal texts make the same prompt both ways"
    assert not out.exists()
    assert judge.calls == []
    done = call(*command, "--out", out)
    assert done.code == 0, done.err
    rows = [line.split() for line in done.out.splitlines()]
    assert ["plausibility", "a_1", "b_2", "3", "0", "1", "0"] in rows
    strengths = next(row for row in rows if row[:2] == ["all", "a_1"] and "." in row[2])
    # With ties as half wins, 3.5 of 4: log(7) apart, half of it to each side.
    assert float(strengths[2]) == pytest.approx(0.973, abs=0.006)
    assert "What was shown first was preferred in 50.0%" in done.out
    assert "a_1, b_2: Nothing tells of which family the student is" in done.out
    asked = len(judge.calls)
    assert json.loads(out.read_text())["constructs"]["all"]["pairs"][0]["wins"] == 15
    result = json.loads(call(*command, "--out", out, "--json").out)
    assert result["verdicts"] == 4 * CALLS
    latex = call(*command, "--out", out, "--latex").out
    assert latex.count(r"\begin{tabular}") == 2
    assert r"a\_1" in latex
    assert all(line.startswith("%") for line in latex.split(r"\end{table}")[-1].split("\n") if line)
    assert len(judge.calls) == asked
    chat = call(*command, "--judge-chat", "--out", out, "--dry-run", "--json")
    assert json.loads(chat.out)["total"]["texts"] == 35, "another format asks anew"
    named = call(*command, "--name", "x", "--name", "y", "--limit", "2", "--json")
    assert json.loads(named.out)["constructs"]["all"]["pairs"][0]["first"] == "x"


def test_mistakes(files: list[Path], refused: Callable[..., str], tmp_path: Path) -> None:
    pair = ("judge", "--predictions", files[0], "--predictions", files[1])
    assert "No judge is named" in refused(*pair)
    assert "2 predictions files have 1 names" in refused(*pair, "--judge", JUDGE, "--name", "x")
    same = refused(*pair, "--judge", JUDGE, "--name", "x", "--name", "x")
    assert "Two predictors are named 'x'" in same
    alone = refused(*pair[:3], "--judge", JUDGE)
    assert "nothing to compare" in alone
    assert "nothing to compare" in refused(*pair[:3], "--judge", JUDGE, "--dry-run")
    over = refused(*pair, "--judge", JUDGE, "--out", files[0])
    assert "it would be overwritten" in over
    command = ("evaluate", "--predictions", files[0], "--measure", "surface", "--dry-run")
    assert "the measure 'judge' is not wanted" in refused(*command)
    missing = refused(*rated(files), "--judge", JUDGE, "--ratings", tmp_path / "none.csv")
    assert "none.csv" in missing


def test_an_experiments_dry_run_tells_of_teacher_and_judge(
    folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch, tiny_models: dict[str, Path]
) -> None:
    from distilwhy.config import Experiment

    monkeypatch.chdir(folder)
    experiment = Experiment.model_validate(
        {
            "task": "task.yaml",
            "teacher": {"model": "openai:some", "shots": 1},
            "students": [{"model": f"hf:{tiny_models['llama']}"}],
            "conditions": [{"method": "multitask"}, {"method": "answer_only"}],
            "explanations": {"measures": ["judge"], "judge": {"model": JUDGE}},
        }
    )
    Path("experiment.yaml").write_text(to_yaml(experiment))
    told = call("run", "experiment.yaml", "--dry-run")
    assert told.code == 0, told.err
    assert f"\n\nThe judge {JUDGE}:\nDry run: 4 examples" in told.out
    result = json.loads(call("run", "experiment.yaml", "--dry-run", "--json").out)
    assert result["judge"]["total"]["texts"] == 4 * CALLS, "one of both methods explains"
    assert result["total"]["texts"] > 0


def test_a_judge_that_cannot_be_read_is_told_of(
    files: list[Path], call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    mute = ScriptedGenerator(lambda prompt: "", name=JUDGE)
    monkeypatch.setattr("distilwhy.generators.open.open_generator", lambda *_: mute)
    done = call("judge", "--predictions", files[0], "--predictions", files[1], "--judge", JUDGE)
    assert done.code == 0
    assert "40 of 40 verdicts could not be read. Many chat models need chat: true" in done.err
    assert done.out.count("nothing was compared") == 2
    rating = call(*rated(files), "--judge", JUDGE)
    assert "40 of 40 verdicts could not be read" in rating.err
