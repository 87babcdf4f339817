"""A dry run tells what a real run then asks for, and asks and writes nothing itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distilwhy.config import BackendSettings, Prices, TeacherSettings
from distilwhy.errors import ConfigError
from distilwhy.files import read_json, read_records
from distilwhy.generators.base import Count, Generator
from distilwhy.generators.open import open_count, open_generator
from distilwhy.generators.recorded import StoredText
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.pipeline import stages
from distilwhy.pipeline.beside import cost_path, store_path
from distilwhy.pipeline.dry_run import forecast
from distilwhy.tasks import load_task
from distilwhy.teaching.cost import TeachingCost
from distilwhy.teaching.forecast import Forecast
from distilwhy.teaching.forecast import forecast as forecast_texts


def teacher(model: str, **fields: Any) -> TeacherSettings:
    values = {"model": model, "shots": 1, "adjective_pairs": 2, "max_new_tokens": 4}
    return TeacherSettings.model_validate({**values, "precision": "fp32", **fields})


def real(out: Path) -> TeachingCost:
    return TeachingCost.model_validate(read_json(cost_path(out)))


@pytest.fixture(scope="module", autouse=True)
def loaded_once() -> Iterator[None]:
    """Models are loaded once for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        kept: dict[str, Generator] = {}

        def load(model: str, settings: BackendSettings | None = None) -> Generator:
            if model not in kept:
                kept[model] = open_generator(model, settings)
            return kept[model]

        patch.setattr("distilwhy.generators.open.open_generator", load)
        yield


FIRST = ("rationale", "counterfactual")


@pytest.mark.parametrize("chat", [False, True])
def test_prompt_tokens_of_the_embedded_model_are_those_of_the_real_run(
    chat: bool, tmp_path: Path
) -> None:
    settings = teacher("embedded", chat=chat, steps=FIRST, max_new_tokens=2, batch_size=2)
    told = forecast("mini", settings, tmp_path / "a.jsonl", limit=2)
    assert list(tmp_path.iterdir()) == []
    assert told.examples == told.sampled == 2
    stages.generate("mini", settings, tmp_path / "a.jsonl", limit=2)
    for step, cost in real(tmp_path / "a.jsonl").steps.items():
        assert told.steps[step].texts == cost.asked == (2 if step == "rationale" else 8)
        assert told.steps[step].prompt_tokens == cost.prompt_tokens > 100


@pytest.mark.parametrize("model", ["llama", "t5"])
def test_what_builds_on_stored_texts_is_exact_too(
    model: str, tiny_models: dict[str, Path], tmp_path: Path
) -> None:
    name, out = f"hf:{tiny_models[model]}", tmp_path / "a.jsonl"
    for steps in (FIRST, (*FIRST, "critique"), (*FIRST, "critique", "revision")):
        told = forecast("mini", teacher(name, steps=steps), out, limit=2)
        stages.generate("mini", teacher(name, steps=steps), out, limit=2)
        for step, cost in real(out).steps.items():
            assert told.steps[step].texts == cost.asked
            assert told.steps[step].stored == cost.from_store
            assert told.steps[step].prompt_tokens == cost.prompt_tokens
            assert cost.completion_tokens <= told.steps[step].most_text_tokens
    after = forecast("mini", teacher(name), out, limit=2)
    assert after.total.texts == after.total.prompt_tokens == after.total.text_tokens == 0
    assert after.total.seconds == 0
    assert after.total.stored == 2 * (1 + 4 + 1 + 1)
    texts = read_records(store_path(out), StoredText)
    assert after.spent_tokens == sum(t.prompt_tokens + t.completion_tokens for t in texts)


def test_time_is_measured_once_and_then_taken_from_the_store(
    tiny_models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = teacher(f"hf:{tiny_models['llama']}", batch_size=3, steps=("rationale",))
    told = forecast("mini", settings, tmp_path / "a.jsonl", limit=5)
    assert told.total.seconds is not None
    assert told.total.seconds > 0
    assert "to take the time of 3 texts" in capsys.readouterr().err
    assert "Time is as 3 texts took just now, which are not kept." in told.notes
    stages.generate("mini", settings, tmp_path / "a.jsonl", limit=5)
    capsys.readouterr()
    ledger = read_json(tmp_path / "a.texts.ledger.json")
    more = forecast("mini", settings, tmp_path / "a.jsonl", limit=9)
    assert capsys.readouterr().err == ""
    assert more.steps["rationale"].texts == 4
    assert more.total.seconds == pytest.approx(4 * ledger["steps"]["rationale"]["seconds"] / 5)
    assert "Time is as texts of this store took so far." in more.notes


def test_a_server_is_not_asked_and_its_own_counts_improve_the_estimate(tmp_path: Path) -> None:
    # There is neither a key nor a network.
    settings = teacher("openai:none", prices={"prompt": 2.0, "completion": 8.0})
    out = tmp_path / "a.jsonl"
    told = forecast("mini", settings, out, limit=10)
    assert "Prompt tokens are estimated at 4 bytes a token." in told.notes
    assert told.total.seconds is None
    assert "Time is not known before texts were asked for." in told.notes
    words = ScriptedGenerator(lambda prompt: " One two three.\n", name="openai:none")
    stages.generate("mini", settings, out, limit=4, generator=words)
    more = forecast("mini", settings, out, limit=10)
    assert any(note.endswith("as the teacher counted 28 of these prompts.") for note in more.notes)
    before = real(out).total
    stages.generate("mini", settings, out, limit=10, generator=words)
    asked = real(out).total
    assert asked.asked == more.total.texts == 6 * 7
    assert asked.from_store == before.asked == 4 * 7
    # 4 bytes a word would be a third too many.
    assert more.total.prompt_tokens == pytest.approx(asked.prompt_tokens, rel=0.02)
    assert more.total.text_tokens == asked.completion_tokens == 6 * 7 * 3
    assert more.total.usd is not None
    prices = Prices(prompt=2.0, completion=8.0)
    assert more.total.usd == pytest.approx(prices.usd(more.total.prompt_tokens, 126))
    assert more.total.most_usd == pytest.approx(prices.usd(more.total.prompt_tokens, 42 * 4))
    assert more.spent_usd == pytest.approx(
        prices.usd(before.prompt_tokens, before.completion_tokens)
    )


def test_a_contrast_that_a_server_cannot_have_is_refused(tmp_path: Path) -> None:
    settings = teacher("http://localhost:9/v1#m", contrast={})
    with pytest.raises(ConfigError, match="cannot decode contrastively"):
        forecast("mini", settings, tmp_path / "a.jsonl", limit=2)


def test_a_sample_stands_for_all(tmp_path: Path) -> None:
    settings = teacher("openai:none")
    whole = forecast("mini", settings, tmp_path / "a.jsonl")
    examples = load_task("mini").load("train", None, 0)
    part = forecast_texts(
        examples, settings, seed=0, store_path=tmp_path / "t.jsonl", sample=len(examples) // 3
    )
    assert part.examples == whole.examples == len(examples)
    assert part.sampled == len(examples) // 3
    assert part.total.texts == pytest.approx(whole.total.texts, abs=4)
    assert part.total.prompt_tokens == pytest.approx(whole.total.prompt_tokens, rel=0.02)
    assert part.total.text_tokens == pytest.approx(whole.total.text_tokens, rel=0.1)


def test_methods_of_generation_are_counted(tmp_path: Path) -> None:
    def told(**fields: Any) -> Forecast:
        return forecast("mini", teacher("openai:x", **fields), tmp_path / "a.jsonl", limit=3)

    assert {s: f.texts for s, f in told().steps.items()} == {
        "rationale": 3,
        "counterfactual": 12,
        "critique": 3,
        "revision": 3,
    }
    rounds = told(critique_rounds=3).steps
    assert (rounds["critique"].texts, rounds["revision"].texts) == (9, 9)
    assert told(samples=2, temperature=0.7).total.texts == 42
    assert told(labels="teacher").steps["answer"].texts == 3
    assert told(selection="likelihood", samples=2, temperature=1).total.texts == 42


def test_three_prompts_of_as_many_steps_are_shown(tmp_path: Path) -> None:
    def shown(**fields: Any) -> list[str]:
        told = forecast("mini", teacher("openai:x", **fields), tmp_path / "a.jsonl", limit=4)
        assert len({prompt.prompt for prompt in told.prompts}) == len(told.prompts)
        return [prompt.step for prompt in told.prompts]

    assert shown() == ["rationale", "counterfactual", "critique"]
    assert shown(steps=["rationale", "critique"]) == ["rationale", "critique", "rationale"]
    assert shown(steps=["rationale"]) == ["rationale"] * 3


def test_the_estimate_without_a_tokenizer_is_near(tmp_path: Path) -> None:
    examples = load_task("mini").load("train", 6, 0)

    def told(count: Count | None) -> int:
        settings, store = teacher("openai:x", shots=7), tmp_path / "t.jsonl"
        figures = forecast_texts(examples, settings, seed=0, store_path=store, count=count)
        return figures.total.prompt_tokens

    assert told(None) == pytest.approx(told(open_count("embedded")), rel=0.05)
