"""A judge on a server: rated, refused and garbled verdicts, and nothing asked twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distilwhy.config import JudgeSettings, MeasureSettings, Prices
from distilwhy.generators.open import open_generator
from distilwhy.judging.judge import Judge
from distilwhy.judging.rating import rate
from distilwhy.pipeline.measuring import measure_all
from distilwhy.records import Example, Prediction
from distilwhy.teaching.spending import Terms

CHOICES = ("heron", "swift")


def test_a_judge_on_a_server(stub: Any, reply: Any, tmp_path: Path) -> None:
    rows = [
        Prediction(
            example=Example(id=f"q{n}", question=f"Which one is {n}?", choices=CHOICES),
            answer="heron",
            rationale=f"It is number {n}.",
        )
        for n in range(5)
    ]
    verdicts = {
        0: "4",
        1: "<script>4</script>",
        2: "Rating: 2/5\nIt is short.",
        3: "9",
        4: "\ud800",
    }

    def answer(asked: Any) -> Any:
        number = next(n for n in range(5) if f"It is number {n}." in asked.prompt)
        return reply(asked.text(verdicts[number]))

    stub.reply = answer
    prices = Prices(prompt=1.0, completion=2.0)
    settings = JudgeSettings(
        model=stub.model, chat=True, constructs=("plausibility", "completeness"), prices=prices
    )
    store = tmp_path / "judge.jsonl"

    def judged() -> Any:
        generator = open_generator(stub.model, settings)
        return rate(rows, Judge(generator, settings, store, Terms(prices=prices)))

    found = judged()
    assert len(stub.asked) == 5 * 2 * 2
    assert {asked.path for asked in stub.asked} == {"/v1/chat/completions"}
    assert {asked.body["max_tokens"] for asked in stub.asked} == {8}
    means = [item.mean("plausibility") for item in found.items]
    assert means == [4.0, None, 2.0, None, None]
    assert [item.unreadable for item in found.items] == [0, 4, 0, 4, 4]
    spent = found.cost.total
    assert found.cost.usd == (spent.prompt_tokens + 2 * spent.completion_tokens) / 1e6
    again = judged()
    assert len(stub.asked) == 20
    assert again.items == found.items
    assert again.cost.usd == found.cost.usd


def test_a_refused_prompt_is_asked_again_by_the_same_command(
    stub: Any, reply: Any, tmp_path: Path
) -> None:
    rows = [
        Prediction(
            example=Example(id=f"q{n}", question=f"Which one is {n}?", choices=CHOICES),
            answer="heron",
            rationale=f"It is number {n}.",
        )
        for n in range(3)
    ]
    too_long = {"error": {"code": "context_length_exceeded", "message": "maximum context length"}}

    def refusing(asked: Any) -> Any:
        refused = "It is number 1." in asked.prompt
        return reply(too_long, status=400) if refused else reply(asked.text("4"))

    settings = MeasureSettings(
        measures=("judge",),
        judge=JudgeSettings(model=stub.model, constructs=("plausibility",), concurrency=1),
    )
    stub.reply = refusing
    (first,) = measure_all(rows, tmp_path, settings)
    assert (first.figures["plausibility"].n, first.details["unreadable"]) == (2, 2)
    assert len(stub.asked) == 6
    stub.reply = lambda asked: reply(asked.text("5"))
    (again,) = measure_all(rows, tmp_path, settings)
    assert (again.figures["plausibility"].n, again.details["unreadable"]) == (3, 0)
    assert len(stub.asked) == 8
    assert measure_all(rows, tmp_path, settings) == [again]
    assert len(stub.asked) == 8
