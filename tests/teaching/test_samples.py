"""Several samples of a text: their seeds, and the choice among them."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from distilwhy.config import TeachingSettings
from distilwhy.errors import ConfigError
from distilwhy.files import read_records
from distilwhy.generators.base import Decoding
from distilwhy.generators.recorded import RecordedGenerator, StoredText
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.records import Example, TeacherText
from distilwhy.teaching.annotate import AnnotationResult, annotate
from distilwhy.teaching.samples import Sample, fewest_faults, most_likely, sample_decodings

EXAMPLE = Example(id="q", question="What is wet?", choices=("sand", "rain", "fire"), answer="rain")
RATIONALE = TeachingSettings(shots=1, steps=("rationale",), temperature=0.7, samples=3)
SEEDS = [
    int(hashlib.sha256(f'[0,"sample",{number}]'.encode()).hexdigest(), 16) % 2**31
    for number in range(3)
]
LOOP = "It is wet, it is wet, it is wet, it is wet, it is wet."
WRONG = "So the answer is sand."


def teacher(*texts: str, likelihoods: dict[str, float] | None = None) -> ScriptedGenerator:
    """Return a teacher that gives these texts for the first sample, the second and so on."""
    return ScriptedGenerator(
        lambda prompt: "Greedy.",
        (lambda prompt, text: likelihoods[text]) if likelihoods else None,
        sample=lambda prompt, seed: texts[SEEDS.index(seed)],
    )


def run(generator: ScriptedGenerator, path: Path, **changes: object) -> AnnotationResult:
    settings = TeachingSettings.model_validate(RATIONALE.model_dump() | changes)
    return annotate([EXAMPLE], generator, settings, seed=0, store_path=path)


def chosen(result: AnnotationResult) -> str:
    (annotation,) = result.annotations
    assert annotation.rationale is not None
    return annotation.rationale.text


def test_greedy_texts_are_decoded_as_ever() -> None:
    decoding = Decoding(max_new_tokens=5, stop=("\n",))
    assert sample_decodings(decoding, TeachingSettings(), 3) == (decoding,)


def test_each_sample_has_its_own_seed_and_more_samples_keep_the_first() -> None:
    decodings = sample_decodings(Decoding(), RATIONALE, 0)
    assert [(d.temperature, d.seed, d.logprobs) for d in decodings] == [
        (0.7, seed, False) for seed in SEEDS
    ]
    one = RATIONALE.model_copy(update={"samples": 1})
    assert sample_decodings(Decoding(), one, 0) == decodings[:1]
    assert sample_decodings(Decoding(), one, 1) != decodings[:1]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((LOOP, WRONG, "Rain is water."), "Rain is water."),
        ((LOOP, "Rain is water.", "Rain falls."), "Rain is water."),
        ((WRONG, LOOP, LOOP), WRONG),
    ],
)
def test_gates_take_the_first_of_the_least_faulty(
    tmp_path: Path, texts: tuple[str, ...], expected: str
) -> None:
    result = run(teacher(*texts), tmp_path / "t.jsonl")
    assert chosen(result) == expected
    cost = result.cost.steps["rationale"]
    assert (cost.texts, cost.asked) == (3, 3)
    assert result.counts["rationale"].n == 1


def test_likelihood_takes_the_highest_mean_of_a_token(tmp_path: Path) -> None:
    # Summed, the short text would win; a token of the long one is likelier (-1.0 against -1.5).
    sums = {"Rain wets.": -3.0, "Rain is made of water.": -5.0, WRONG: -9.0}
    result = run(teacher(*sums, likelihoods=sums), tmp_path / "t.jsonl", selection="likelihood")
    assert chosen(result) == "Rain is made of water."
    assert [row.logprob for row in read_records(tmp_path / "t.jsonl", StoredText)] == [
        -3.0,
        -5.0,
        -9.0,
    ]


def test_stored_likelihoods_are_replayed(tmp_path: Path) -> None:
    sums = {"Rain wets.": -3.0, "Rain is made of water.": -5.0, WRONG: -9.0}
    run(teacher(*sums, likelihoods=sums), tmp_path / "t.jsonl", selection="likelihood")
    replay = RecordedGenerator(tmp_path / "t.jsonl")
    settings = RATIONALE.model_copy(update={"selection": "likelihood"})
    result = annotate([EXAMPLE], replay, settings, seed=0, store_path=tmp_path / "again.jsonl")
    assert chosen(result) == "Rain is made of water."


def test_texts_with_likelihoods_serve_other_selections(tmp_path: Path) -> None:
    sums = {LOOP: -1.0, WRONG: -2.0, "Rain is made of water.": -5.0}
    asked = teacher(*sums, likelihoods=sums)
    run(asked, tmp_path / "t.jsonl", selection="likelihood")
    silent = teacher()
    result = run(silent, tmp_path / "t.jsonl", selection="gates")
    assert chosen(result) == "Rain is made of water."
    assert silent.calls == []
    replay = RecordedGenerator(tmp_path / "t.jsonl")
    again = annotate([EXAMPLE], replay, RATIONALE, seed=0, store_path=tmp_path / "again.jsonl")
    assert list(again.annotations) == [
        found.model_copy(update={"teacher": replay.name}) for found in result.annotations
    ]


def test_teacher_without_likelihoods_is_refused_at_the_first_text(tmp_path: Path) -> None:
    generator = teacher("One.", "Two.", "Three.")
    with pytest.raises(ConfigError, match=r"^scripted gives no likelihoods, so samples cannot be"):
        run(generator, tmp_path / "t.jsonl", selection="likelihood")
    assert len(generator.calls) == 1


def test_a_text_without_tokens_is_never_the_likeliest() -> None:
    empty, some = Sample(TeacherText(text=""), -math.inf), Sample(TeacherText(text="a"), -99.0)
    assert most_likely([empty, some]) is some
    assert most_likely([some, some]) is some
    assert fewest_faults([empty, some]) is empty  # neither is flagged here


def test_all_steps_are_sampled(tmp_path: Path) -> None:
    generator = teacher("Rain is water.", "It lacks a reason.", "Rain is water from clouds.")
    result = run(
        generator,
        tmp_path / "t.jsonl",
        steps=("rationale", "critique", "revision", "counterfactual"),
    )
    assert {step: cost.asked for step, cost in result.cost.steps.items()} == {
        "rationale": 3,
        "critique": 3,
        "revision": 3,
        "counterfactual": 6,
    }


def test_more_samples_later_ask_only_for_the_new_ones(tmp_path: Path) -> None:
    first = run(teacher(WRONG), tmp_path / "t.jsonl", samples=1)
    assert chosen(first) == WRONG
    generator = teacher(WRONG, LOOP, "Rain is water.")
    result = run(generator, tmp_path / "t.jsonl")
    assert chosen(result) == "Rain is water."
    assert len(generator.calls) == 2


def test_samples_need_a_temperature() -> None:
    with pytest.raises(ValidationError, match="samples above 1 need a temperature above 0"):
        TeachingSettings(samples=2)


def test_a_contrast_that_no_text_would_have_is_refused() -> None:
    fields = {"contrast": {}, "rationales_from": "own_answer", "steps": ("rationale",)}
    with pytest.raises(ValidationError, match="contrast needs step 'counterfactual'"):
        TeachingSettings.model_validate(fields)
    TeachingSettings.model_validate(fields | {"rejected": "label"})
    TeachingSettings.model_validate(fields | {"steps": ("rationale", "counterfactual")})


def test_faults_of_methods_are_reported_together() -> None:
    with pytest.raises(ValidationError) as caught:
        TeachingSettings(samples=2, critique_rounds=2, steps=("rationale",), selection="agreement")
    for fault in ("samples above 1", "critique_rounds above 1", "selection 'agreement'"):
        assert fault in str(caught.value)
