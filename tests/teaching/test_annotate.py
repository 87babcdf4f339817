"""The annotation loop: order, cost, gates, and going on after being killed anywhere."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from distilwhy.config import TeachingSettings
from distilwhy.errors import DataError, StageError
from distilwhy.generators.base import Decoding, Generated
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Annotation, Example
from distilwhy.teaching.annotate import AnnotationResult, annotate
from distilwhy.teaching.draws import draw_wrong_choice
from distilwhy.teaching.steps import (
    Asking,
    counterfactual_prompt,
    critique_prompt,
    rationale_prompt,
    revision_prompt,
)

EXAMPLES = [
    Example(
        id=f"q{number}",
        question=f"What is thing {number}?",
        choices=("stone", "water", "air"),
        answer=("stone", "water", "air")[number % 3],
    )
    for number in range(4)
]
SETTINGS = TeachingSettings(shots=1, adjective_pairs=2)


def write(prompt: str) -> str:
    """Write a text that depends on every byte of the prompt."""
    digest = hashlib.sha256(prompt.encode()).hexdigest()
    words = " ".join("abcdefghijklmnop"[int(digit, 16)] * 3 for digit in digest[:12])
    return f" {words}.\nQuestion: another"


def run(
    generator: ScriptedGenerator, path: Path, settings: TeachingSettings = SETTINGS, seed: int = 0
) -> AnnotationResult:
    return annotate(EXAMPLES, generator, settings, seed=seed, store_path=path)


def dumped(annotations: Sequence[Annotation]) -> list[str]:
    return [annotation.model_dump_json() for annotation in annotations]


def test_each_text_answers_its_own_prompt(tmp_path: Path) -> None:
    result = run(ScriptedGenerator(write), tmp_path / "t.jsonl")
    asking = Asking(load_prompts("multiple_choice"), SETTINGS, 0)

    def text(prompt: str) -> str:
        return write(prompt).split("\n")[0].strip()

    for example, annotation in zip(EXAMPLES, result.annotations, strict=True):
        assert annotation.example == example
        assert annotation.teacher == "scripted"
        assert annotation.rationale
        assert annotation.critique
        assert annotation.revision
        rationale = text(rationale_prompt(example, asking).prompt)
        critique = text(critique_prompt(example, rationale, asking).prompt)
        assert annotation.rationale.text == rationale
        assert annotation.critique.text == critique
        assert annotation.revision.text == text(
            revision_prompt(example, rationale, critique, asking).prompt
        )
        assert {choice: found.text for choice, found in annotation.counterfactuals.items()} == {
            choice: text(counterfactual_prompt(example, choice, asking).prompt)
            for choice in example.wrong_choices
        }


def test_equal_prefixes_are_asked_together(tmp_path: Path) -> None:
    taken: list[str] = []

    class Noting(ScriptedGenerator):
        def generate(
            self, prompts: Iterable[str], decoding: Decoding
        ) -> Iterator[tuple[int, Generated]]:
            noted = list(prompts)
            taken.extend(noted)
            return super().generate(noted, decoding)

    run(Noting(write), tmp_path / "t.jsonl")
    prefixes = [prompt.rsplit("\n\n", 1)[0] for prompt in taken]
    runs = [p for p, before in zip(prefixes, [None, *prefixes], strict=False) if p != before]
    assert len(runs) == len(set(runs))
    assert len(runs) <= 3 * 2  # rationale and counterfactual share theirs; two pairs each


def test_steps_left_out_are_not_asked(tmp_path: Path) -> None:
    generator = ScriptedGenerator(write)
    settings = TeachingSettings(shots=1, steps=("counterfactual",), counterfactuals="one")
    result = run(generator, tmp_path / "t.jsonl", settings)
    assert len(generator.calls) == 4
    for example, annotation in zip(EXAMPLES, result.annotations, strict=True):
        assert annotation.rationale is annotation.critique is annotation.revision is None
        assert list(annotation.counterfactuals) == [draw_wrong_choice(example, 0)]


def test_second_run_asks_nothing_and_counts_so(tmp_path: Path) -> None:
    first = run(ScriptedGenerator(write), tmp_path / "t.jsonl")
    generator = ScriptedGenerator(write)
    second = run(generator, tmp_path / "t.jsonl")
    assert generator.calls == []
    assert dumped(second.annotations) == dumped(first.annotations)
    assert first.cost.total.asked == second.cost.total.from_store == 4 * 5
    assert first.cost.total.from_store == second.cost.total.asked == 0
    assert first.cost.steps["counterfactual"].texts == 8
    assert second.cost.total.stored_prompt_tokens == first.cost.total.prompt_tokens > 1000
    assert second.cost.total.completion_tokens == 0


def test_other_settings_ask_anew(tmp_path: Path) -> None:
    run(ScriptedGenerator(write), tmp_path / "t.jsonl")
    generator = ScriptedGenerator(write)
    run(generator, tmp_path / "t.jsonl", SETTINGS.model_copy(update={"max_new_tokens": 50}))
    assert len(generator.calls) == 20
    other = ScriptedGenerator(write, name="other")
    run(other, tmp_path / "t.jsonl")
    assert len(other.calls) == 20


def test_more_examples_ask_only_the_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    annotate(EXAMPLES[:3], ScriptedGenerator(write), SETTINGS, seed=0, store_path=path)
    generator = ScriptedGenerator(write)
    run(generator, path)
    assert len(generator.calls) == 5


def test_equal_questions_are_asked_once(tmp_path: Path) -> None:
    generator = ScriptedGenerator(write)
    settings = TeachingSettings(shots=1, steps=("rationale",))
    result = annotate(
        [EXAMPLES[0], EXAMPLES[0]], generator, settings, seed=0, store_path=tmp_path / "t.jsonl"
    )
    assert len(generator.calls) == 1
    assert result.annotations[0] == result.annotations[1]
    cost = result.cost.steps["rationale"]
    assert (cost.texts, cost.asked, cost.from_store) == (2, 1, 1)


def test_progress_reaches_its_total_also_from_the_store(tmp_path: Path) -> None:
    for _ in range(2):
        seen: list[tuple[int, int]] = []
        annotate(
            EXAMPLES,
            ScriptedGenerator(write),
            SETTINGS,
            seed=0,
            store_path=tmp_path / "t.jsonl",
            progress=lambda done, total, *_: seen.append((done, total)),  # noqa: B023
        )
        assert seen == sorted(seen)
        assert seen[-1] == (20, 20)


def test_text_at_the_token_limit_is_cut_to_sentences_and_flagged(tmp_path: Path) -> None:
    generator = ScriptedGenerator(lambda prompt: "It fits well here. It also does " + "not " * 9)
    settings = TeachingSettings(shots=1, steps=("rationale",), max_new_tokens=9)
    result = run(generator, tmp_path / "t.jsonl", settings)
    text = result.annotations[0].rationale
    assert text is not None
    assert (text.text, text.finish) == ("It fits well here.", "length")
    assert "truncated" in text.flags
    assert result.counts["rationale"].n == result.counts["rationale"].flags["truncated"] == 4
    stored = (tmp_path / "t.jsonl").read_text(encoding="utf-8")
    assert "It also does not" in stored  # the store keeps what the teacher wrote


@pytest.mark.parametrize(
    ("empty", "asked"),
    [("explanation: The answer is stone.", 3 * 5 - 3 + 2), ("critique:", 20 - 4)],
)
def test_steps_that_build_on_an_empty_text_are_skipped_and_counted(
    tmp_path: Path, empty: str, asked: int
) -> None:
    examples = [e.model_copy(update={"answer": "stone"}) for e in EXAMPLES[:1]] + EXAMPLES[1:3]
    examples = examples if "stone" in empty else EXAMPLES

    def silent(prompt: str) -> str:
        last = prompt.rsplit("\n\n", 1)[-1]
        counterfactual = "thing 0" not in last
        return (
            ""
            if last.endswith(empty) and not (counterfactual and "stone" in empty)
            else write(prompt)
        )

    generator = ScriptedGenerator(silent)
    result = annotate(examples, generator, SETTINGS, seed=0, store_path=tmp_path / "t.jsonl")
    skipped = [a for a in result.annotations if a.revision is None]
    assert len(skipped) == result.cost.steps["revision"].skipped > 0
    assert len(generator.calls) == result.cost.total.asked
    assert result.cost.total.texts == len(examples) * 5


def test_texts_that_are_no_unicode_are_stored(tmp_path: Path) -> None:
    settings = TeachingSettings(shots=1, steps=("rationale",))
    result = run(ScriptedGenerator(lambda prompt: "Odd \ud83d end."), tmp_path / "t", settings)
    assert result.annotations[0].rationale is not None
    assert result.annotations[0].rationale.text == "Odd ? end."


def test_unknown_answers_are_named_together(tmp_path: Path) -> None:
    unknown = [example.model_copy(update={"answer": None}) for example in EXAMPLES]
    with pytest.raises(DataError, match=r"(?s)q0: .*q3: the example has no answer"):
        annotate(
            unknown, ScriptedGenerator(write), SETTINGS, seed=0, store_path=tmp_path / "t.jsonl"
        )
    assert not (tmp_path / "t.jsonl").exists()


def test_silent_teacher_is_noticed(tmp_path: Path) -> None:
    class Forgetful(ScriptedGenerator):
        def generate(
            self, prompts: Sequence[str], decoding: Decoding
        ) -> Iterator[tuple[int, Generated]]:
            yield from list(super().generate(prompts, decoding))[1:]

    with pytest.raises(StageError, match="left a prompt unanswered"):
        run(Forgetful(write), tmp_path / "t.jsonl")


class Killed(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize("survived", range(20))
def test_stopped_at_any_text_the_result_is_the_same(tmp_path: Path, survived: int) -> None:
    whole = run(ScriptedGenerator(write), tmp_path / "whole.jsonl")
    path = tmp_path / "torn.jsonl"
    left = survived

    def dying(prompt: str) -> str:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        return write(prompt)

    stopped = ScriptedGenerator(dying)
    with pytest.raises(Killed):
        run(stopped, path)
    with path.open("ab") as stream:
        stream.write(b'{"key":"torn by the kill')
    generator = ScriptedGenerator(write)
    result = run(generator, path)
    assert len(generator.calls) == 20 - survived
    assert not set(generator.calls) & set(stopped.calls[:survived])
    assert dumped(result.annotations) == dumped(whole.annotations)
    assert result.counts == whole.counts
    assert sorted(path.read_bytes().split(b"\n")) == sorted(
        (tmp_path / "whole.jsonl").read_bytes().split(b"\n")
    )


SLOW_RUN = """
import sys, time
from pathlib import Path
sys.path.insert(0, {folder!r})
import test_annotate as own
def slow(prompt):
    time.sleep(0.01)
    return own.write(prompt)
own.run(own.ScriptedGenerator(slow), Path({path!r}))
"""


def test_killed_at_several_moments_the_result_is_the_same(tmp_path: Path) -> None:
    whole = run(ScriptedGenerator(write), tmp_path / "whole.jsonl")
    path = tmp_path / "killed.jsonl"
    code = SLOW_RUN.format(folder=str(Path(__file__).parent), path=str(path))
    for lines in (1, 6, 14):
        process = subprocess.Popen([sys.executable, "-c", code])
        deadline = time.monotonic() + 60
        while not path.exists() or path.read_bytes().count(b"\n") < lines:
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    stored = path.read_bytes().count(b"\n")
    generator = ScriptedGenerator(write)
    result = run(generator, path)
    assert 14 <= stored < 20
    assert len(generator.calls) == 20 - stored
    assert dumped(result.annotations) == dumped(whole.annotations)
