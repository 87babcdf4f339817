"""Replay gives what was recorded, and says what it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from distilwhy.config import TeachingSettings
from distilwhy.errors import DataError, ModelError
from distilwhy.files import write_records
from distilwhy.generators.base import Decoding, generate_all
from distilwhy.generators.recorded import RecordedGenerator
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Annotation, Example, TeacherText
from distilwhy.teaching.annotate import annotate
from distilwhy.teaching.steps import Asking, answer_prompt, rationale_prompt

EXAMPLES = [
    Example(id="1", question="What is wet?", choices=("sand", "rain"), answer="rain"),
    Example(
        id="2",
        question="A man sleeps.",
        choices=("entailment", "neutral", "contradiction"),
        answer="neutral",
        context="A man\n\nrests.",
        family="nli",
    ),
]
SETTINGS = TeachingSettings(shots=2)


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, Path, tuple[Annotation, ...]]:
    """Return a store, an annotations file, and the annotations in both."""
    store = tmp_path / "texts.jsonl"
    teacher = ScriptedGenerator(lambda prompt: f"It is so by {hash_words(prompt)}. " + "More " * 9)
    settings = SETTINGS.model_copy(update={"max_new_tokens": 12})
    result = annotate(EXAMPLES, teacher, settings, seed=0, store_path=store)
    write_records(tmp_path / "annotations.jsonl", result.annotations)
    return store, tmp_path / "annotations.jsonl", result.annotations


def hash_words(prompt: str) -> str:
    return f"{sum(prompt.encode())} and {len(prompt)}"


def texts_of(annotation: Annotation) -> list[TeacherText | None]:
    found = [annotation.rationale, annotation.critique, annotation.revision]
    return [*found, *annotation.counterfactuals.values()]


def test_store_is_replayed_exactly(
    recorded: tuple[Path, Path, tuple[Annotation, ...]], tmp_path: Path
) -> None:
    store, _, annotations = recorded
    settings = SETTINGS.model_copy(update={"max_new_tokens": 12})
    replay = RecordedGenerator(store)
    result = annotate(EXAMPLES, replay, settings, seed=0, store_path=tmp_path / "again.jsonl")
    assert [texts_of(a) for a in result.annotations] == [texts_of(a) for a in annotations]
    assert result.annotations[0].teacher == f"recorded:{store}"


def test_annotations_are_replayed_whatever_the_draws(
    recorded: tuple[Path, Path, tuple[Annotation, ...]], tmp_path: Path
) -> None:
    _, path, annotations = recorded
    replay = RecordedGenerator(path)
    result = annotate(EXAMPLES, replay, SETTINGS, seed=9, store_path=tmp_path / "again.jsonl")
    assert [texts_of(a) for a in result.annotations] == [texts_of(a) for a in annotations]


def test_missing_prompts_are_counted_when_all_others_are_answered(
    recorded: tuple[Path, Path, tuple[Annotation, ...]],
) -> None:
    store, path, _ = recorded
    asking = Asking(load_prompts("multiple_choice"), SETTINGS, 0)
    known = rationale_prompt(EXAMPLES[0], asking)
    other = EXAMPLES[0].model_copy(update={"question": "What is dry?", "answer": "sand"})
    prompts = [known.prompt, rationale_prompt(other, asking).prompt]
    with pytest.raises(ModelError, match=r"no text for 1 of 2 prompts.*What is dry"):
        generate_all(RecordedGenerator(path), prompts, known.decoding)
    with pytest.raises(ModelError, match="no text for 2 of 2 prompts"):
        generate_all(RecordedGenerator(store), prompts, known.decoding)


def test_own_answers_of_the_teacher_are_not_in_annotations(
    recorded: tuple[Path, Path, tuple[Annotation, ...]],
) -> None:
    asking = Asking(load_prompts("multiple_choice"), SETTINGS, 0)
    prompt = answer_prompt(EXAMPLES[0], asking).prompt
    with pytest.raises(ModelError, match="no text for 1 of 1"):
        generate_all(RecordedGenerator(recorded[1]), [prompt], Decoding())


@pytest.mark.parametrize("content", ["", "{}\n", "[1]\n", "text\n"])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"other\.jsonl holds no recorded texts"):
        RecordedGenerator(path)
