"""Prompts that a teacher refuses for themselves: the run goes on, and the next one asks again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from distilwhy.config import Budget, TeacherSettings
from distilwhy.errors import ModelError
from distilwhy.files import read_json, read_records
from distilwhy.generators.base import Decoding, Generated
from distilwhy.generators.recorded import StoredText
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.pipeline import stages
from distilwhy.pipeline.beside import cost_path, store_path
from distilwhy.teaching.asking import Request, stored_teacher
from distilwhy.teaching.ledger import Tokens, read_ledger
from distilwhy.teaching.refusals import MOST_AT_FIRST, Refused, refused_path
from distilwhy.teaching.spending import Terms


class Picky(ScriptedGenerator):
    """The stand-in for a teacher, but prompts that are too long for it are refused."""

    def __init__(self, longest: int) -> None:
        super().__init__(lambda prompt: f"It has {len(prompt)} signs.", name="scripted")
        self.longest = longest
        self.refusals = 0

    def generate(
        self, prompts: Iterable[str], decoding: Decoding
    ) -> Iterator[tuple[int, Generated]]:
        asked: list[str] = []

        def seen() -> Iterator[str]:
            for prompt in prompts:
                asked.append(prompt)
                yield prompt

        for number, generated in super().generate(seen(), decoding):
            if len(asked[number]) <= self.longest:
                yield number, generated
            else:
                self.refusals += 1
                yield number, Generated("", "stop", 0, 0, refused="answered 400: too long")


SETTINGS = TeacherSettings(model="scripted", shots=1, adjective_pairs=1, steps=("rationale",))


def annotated(teacher: Picky, out: Path) -> list[str | None]:
    done = stages.generate("mini", SETTINGS, out, limit=12, generator=teacher)
    return [a.rationale.text if a.rationale else None for a in done]


def test_the_run_goes_on_and_the_next_one_asks_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    free, out = Picky(10**6), tmp_path / "a.jsonl"
    whole = annotated(free, tmp_path / "free.jsonl")
    longest = sorted(len(prompt) for prompt in free.calls)[-3]  # so that two are longer
    teacher = Picky(longest)
    texts = annotated(teacher, out)
    assert [text for text in texts if text] == [w for w, t in zip(whole, texts, strict=True) if t]
    assert texts.count("") == teacher.refusals == 2
    assert len(read_records(store_path(out), StoredText)) == 10
    refused = read_records(refused_path(store_path(out)), Refused)
    assert {row.reason for row in refused} == {"answered 400: too long"}
    assert "refused their prompts: 2 rationale" in capsys.readouterr().err
    cost = read_json(cost_path(out))["steps"]["rationale"]
    assert [cost[name] for name in ("texts", "asked", "refused", "skipped")] == [12, 10, 2, 0]
    assert read_ledger(store_path(out)).lost == Tokens()

    teacher.calls.clear()
    assert annotated(teacher, out) == texts
    assert len(teacher.calls) == 2
    teacher.longest = 10**6
    assert annotated(teacher, out) == whole
    assert not refused_path(store_path(out)).exists()
    teacher.calls.clear()
    assert annotated(teacher, out) == whole
    assert teacher.calls == []


@pytest.mark.parametrize(("count", "asked"), [(3, 3), (100, MOST_AT_FIRST)])
def test_a_teacher_that_refuses_every_prompt_ends_the_run(
    count: int, asked: int, tmp_path: Path
) -> None:
    teacher, decoding = Picky(0), Decoding()
    wanted = {f"{n}": Request(f"prompt {n}", decoding, "rationale", f"{n}") for n in range(count)}
    terms = Terms(Budget(tokens=10**6))
    with (
        pytest.raises(ModelError, match=r"refused every prompt \(answered 400: too long\)"),
        stored_teacher(teacher, tmp_path / "t.jsonl", terms) as source,
    ):
        list(source.ask(wanted))
    assert teacher.refusals == asked
    assert read_ledger(tmp_path / "t.jsonl").lost == Tokens()
