"""``generate --dry-run``: what it prints, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COMMAND = ("generate", "--task", "task.yaml", "--out", "new/a.jsonl", "--shots", "1", "--dry-run")
PRICED = (*COMMAND, "--teacher", "openai:some", "--price-prompt", "2", "--price-completion", "8")

Call = Callable[..., Any]


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def test_a_table_and_three_prompts_and_nothing_else(call: Call) -> None:
    called = call(*PRICED)
    assert (called.code, called.err) == (0, "")
    lines = called.out.splitlines()
    assert lines[0] == "Dry run: 6 examples, all of them; nothing is stored."
    header, *rows = lines[2:8]
    assert header.split()[:3] == ["step", "texts", "stored"]
    cells = {row.split()[0]: row.split()[1:] for row in rows}
    assert list(cells) == ["rationale", "counterfactual", "critique", "revision", "all"]
    numbers = {
        step: [int(cell.replace(",", "")) for cell in row[:5]] for step, row in cells.items()
    }
    assert [row[0] for row in numbers.values()] == [6, 12, 6, 6, 30]
    for column in range(5):
        parts = [row[column] for step, row in numbers.items() if step != "all"]
        assert numbers["all"][column] == sum(parts)
    _, _, prompt, text, most = numbers["all"]
    assert most == 30 * 96
    assert float(cells["all"][5][1:]) == pytest.approx((2 * prompt + 8 * text) / 1e6, rel=0.05)
    assert float(cells["all"][6][1:]) == pytest.approx((2 * prompt + 8 * most) / 1e6, rel=0.05)
    assert cells["all"][7] == "-"
    assert [line for line in lines if line.startswith("---")] == [
        "--- prompt 1 of 3: rationale ---",
        "--- prompt 2 of 3: counterfactual ---",
        "--- prompt 3 of 3: critique ---",
    ]
    shown = called.out.partition("prompt 1 of 3: rationale ---\n")[2].partition("\n\n---")[0]
    assert "Question: Which thing" in shown
    assert shown.count("explanation: The answer is ") == 2  # one worked, one asked
    assert not Path("new").exists()


def test_cached_tokens_have_a_price_of_their_own(folder: Path, call: Call) -> None:
    import distilwhy.cli.teacher_options as options
    from distilwhy.config import TeacherSettings

    given = {"price_prompt": 2.0, "price_completion": 8.0, "price_cached_prompt": 0.5}
    values = options.teacher_values(given, TeacherSettings)
    assert values == {"prices": {"prompt": 2.0, "completion": 8.0, "cached_prompt": 0.5}}
    assert call(*PRICED, "--price-cached-prompt", "0.5").code == 0
    assert call(*PRICED, "--price-cached-prompt", "-1").code == 2


def test_json_holds_the_same(call: Call) -> None:
    result = json.loads(call(*PRICED, "--json").out)
    assert result["examples"] == result["sampled"] == 6
    assert result["total"]["texts"] == sum(step["texts"] for step in result["steps"].values()) == 30
    assert result["total"]["seconds"] is None
    assert result["total"]["usd"] > 0
    assert len(result["prompts"]) == 3
    assert result["prompts"][0]["prompt"].rpartition(" ")[0].endswith("The answer is ice")
    assert result["spent_tokens"] == 0


def test_what_a_terminal_would_obey_is_shown_as_text(call: Call) -> None:
    rows = Path("train.csv").read_text().replace("Which thing", "[red]Which\x1b[2J\x07thing\u202e")
    Path("train.csv").write_text(rows)
    out = call(*PRICED).out
    assert "[red]Which\\x1b[2J\\x07thing\\u202e" in out
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_a_budget_that_will_not_be_enough_is_told(call: Call) -> None:
    out = call(*PRICED, "--budget-usd", "0.001", "--budget-tokens", "1000000").out
    assert "The budget of 0.001 usd will not be enough: 0.0" in out
    assert "1e+06 tokens" not in out


def test_the_task_is_checked_as_in_a_real_run(refused: Callable[..., str]) -> None:
    Path("train.csv").write_text("id,question,a,b,c,answer\nx,Why?,a,b,c,\n")
    assert "train.csv:2: answer is empty" in refused(*PRICED)
