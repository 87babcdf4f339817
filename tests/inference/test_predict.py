"""Answers and reasons of students against plain generation, and of a teacher asked itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from distilwhy.config import PredictionSettings, TeachingSettings
from distilwhy.errors import ModelError, StageError
from distilwhy.files import read_json, write_json
from distilwhy.generators.base import Decoding
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.inference.predict import ask_teacher, predict
from distilwhy.inference.student import TrainedStudent, factual_rationale
from distilwhy.models.load import LoadedModel, load_model
from distilwhy.records import Annotation, Example
from distilwhy.students.load import CARD
from distilwhy.students.views import source_text
from distilwhy.tasks.base import question_text

SETTINGS = PredictionSettings(batch_size=3, max_new_tokens=12, precision="fp32")
TEACHING = TeachingSettings(shots=1, adjective_pairs=1, max_new_tokens=20)
SOURCE_TOKENS = 60

Student = Callable[..., Path]


@pytest.fixture
def student(make_student: Student) -> Student:
    return make_student


@pytest.fixture(scope="session")
def questions(tiny_annotations: list[Annotation]) -> list[Example]:
    return [annotation.example for annotation in tiny_annotations[:7]]


def plain(loaded: LoadedModel, prompt: str) -> tuple[str, int]:
    """Return the text and its tokens by transformers alone, one prompt at a time."""
    ids = loaded.tokenizer(prompt)["input_ids"]
    if loaded.is_encoder_decoder:
        ids = [*ids[: SOURCE_TOKENS - 1], loaded.tokenizer.eos_token_id]
    ids = ids[:SOURCE_TOKENS]
    with torch.inference_mode():
        output = loaded.model.generate(
            input_ids=torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            max_new_tokens=SETTINGS.max_new_tokens,
            do_sample=False,
        )[0].tolist()
    written = output[1:] if loaded.is_encoder_decoder else output[len(ids) :]
    return loaded.tokenizer.decode(written, skip_special_tokens=True).strip(), len(written)


@pytest.mark.parametrize("model", ["llama", "t5"])
def test_two_passes_equal_plain_generation(
    model: str, student: Student, questions: list[Example]
) -> None:
    folder = student(model, "predict", "explain")
    predicted = predict(folder, questions, SETTINGS)
    loaded = load_model(f"hf:{folder}", torch.float32)
    for example, prediction in zip(questions, predicted.predictions, strict=True):
        answer, answer_tokens = plain(loaded, source_text("predict", example))
        reason, reason_tokens = plain(loaded, source_text("explain", example))
        assert prediction.example == example
        assert prediction.answer_text == answer
        assert prediction.rationale == (reason or None)
        assert prediction.generated_tokens == answer_tokens + reason_tokens
        assert prediction.answer is None, "random weights do not spell out a choice"
    assert len({prediction.answer_text for prediction in predicted.predictions}) > 2
    summary = predicted.summary
    assert summary.examples == len(questions)
    assert summary.generated_tokens == sum(p.generated_tokens for p in predicted.predictions)
    assert summary.precision == "fp32"
    assert summary.parameters == sum(p.numel() for p in loaded.model.parameters())
    assert summary.seconds > 0
    assert summary.tokens_per_second == pytest.approx(summary.generated_tokens / summary.seconds)


@pytest.mark.parametrize(
    ("views", "rationales"), [(("predict", None), True), (("predict", "explain"), False)]
)
def test_no_second_pass_where_no_rationale_is_learnt_or_wanted(
    views: tuple[str, str | None], rationales: bool, student: Student, questions: list[Example]
) -> None:
    folder = student("llama", *views)
    settings = SETTINGS.model_copy(update={"rationales": rationales})
    predicted = predict(folder, questions, settings)
    loaded = load_model(f"hf:{folder}", torch.float32)
    for example, prediction in zip(questions, predicted.predictions, strict=True):
        text, tokens = plain(loaded, source_text("predict", example))
        assert (prediction.answer_text, prediction.generated_tokens) == (text, tokens)
        assert prediction.rationale is None


def plain_likelihood(
    loaded: LoadedModel, prompt: str, text: str, before: Sequence[int] = ()
) -> float:
    """Return a text's log-likelihood by transformers alone, one prompt at a time.

    Tokens ``before`` the text are read and not counted.
    """
    ids = loaded.tokenizer(prompt)["input_ids"]
    target = [*before, *loaded.tokenizer(text, add_special_tokens=False)["input_ids"]]
    with torch.inference_mode():
        if loaded.is_encoder_decoder:
            ids = [*ids[: SOURCE_TOKENS - 1], loaded.tokenizer.eos_token_id][:SOURCE_TOKENS]
            start = loaded.model.config.decoder_start_token_id
            logits = loaded.model(
                input_ids=torch.tensor([ids]), decoder_input_ids=torch.tensor([[start, *target]])
            ).logits[0, :-1]
        else:
            ids = ids[:SOURCE_TOKENS]
            logits = loaded.model(torch.tensor([ids + target])).logits[0, len(ids) - 1 : -1]
    counted = slice(len(before), None)
    return -float(
        torch.nn.functional.cross_entropy(
            logits[counted], torch.tensor(target)[counted], reduction="sum"
        )
    )


@pytest.mark.parametrize("model", ["llama", "t5"])
@pytest.mark.parametrize(
    ("views", "given", "tag", "form"),
    [
        (("predict", "explain"), None, "predict", "[answer] The answer is {}"),
        (("predict", "explain"), "It is so.", "predict", "[answer] The answer is {}"),
        (
            ("factual", "counterfactual"),
            "It is so.",
            "factual",
            "[factual] Answer: It is so. So the answer is {}.",
        ),
        (
            ("predict", "counterfactual"),
            "It is so.",
            "counterfactual",
            "[counterfactual] So the answer is {}.",
        ),
    ],
)
def test_choice_likelihoods_equal_plain_forward_passes(
    model: str,
    views: tuple[str, str],
    given: str | None,
    tag: str,
    form: str,
    student: Student,
    questions: list[Example],
) -> None:
    folder = student(model, *views)
    asked = TrainedStudent(folder, SETTINGS)
    found = asked.choice_likelihoods(questions, [given] * len(questions) if given else None)
    loaded = load_model(f"hf:{folder}", torch.float32)
    for example, likelihoods in zip(questions, found, strict=True):
        source = source_text(tag, example, "" if tag == "factual" else given or "")
        wanted = [plain_likelihood(loaded, source, form.format(c)) for c in example.choices]
        assert likelihoods == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("model", ["llama", "t5"])
@pytest.mark.parametrize(
    ("views", "begun", "form"),
    [
        (("predict", "explain"), "[predict] It is so.", " [answer] The answer is {}"),
        (("factual", "factual"), "[factual]", " Answer: It is so. So the answer is {}."),
        (
            ("predict", "counterfactual"),
            "[counterfactual] It is so.",
            " So the answer is {}.",
        ),
    ],
)
def test_choice_likelihoods_behind_a_tag_at_the_end(
    model: str,
    views: tuple[str, str],
    begun: str,
    form: str,
    student: Student,
    questions: list[Example],
) -> None:
    folder = student(model, *views)
    write_json(folder / CARD, {**read_json(folder / CARD), "tag": "end"})
    found = TrainedStudent(folder, SETTINGS).choice_likelihoods(
        questions, ["It is so."] * len(questions)
    )
    loaded = load_model(f"hf:{folder}", torch.float32)
    before = loaded.tokenizer(begun)["input_ids"]
    for example, likelihoods in zip(questions, found, strict=True):
        prompt = f"{question_text(example)}\n"
        wanted = [plain_likelihood(loaded, prompt, form.format(c), before) for c in example.choices]
        assert likelihoods == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("tags", ["dropped", "random"])
def test_other_tags(
    tags: Literal["dropped", "random"], student: Student, questions: list[Example]
) -> None:
    folder = student("llama", "predict", None)
    found = TrainedStudent(folder, SETTINGS).predict(questions, tags)
    learnt = TrainedStudent(folder, SETTINGS).predict(questions)
    loaded = load_model(f"hf:{folder}", torch.float32)
    for example, prediction in zip(questions, found, strict=True):
        if tags == "dropped":
            prompt = f"{question_text(example)}\n"
            assert prediction.answer_text == plain(loaded, prompt)[0]
    assert [p.answer_text for p in found] != [p.answer_text for p in learnt]


@pytest.fixture
def recite(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Have students say a given text for each tag; returns the prompts that they will get."""

    def tell(**texts: str) -> list[str]:
        generator = ScriptedGenerator(lambda prompt: texts[prompt[1 : prompt.index("]")]])
        monkeypatch.setattr("distilwhy.inference.student.LocalGenerator", lambda *_: generator)
        return generator.calls

    return tell


def test_a_factual_student_gives_both_in_one_text(
    student: Student, questions: list[Example], recite: Callable[..., list[str]]
) -> None:
    said = "[factual] Answer: A stove gives heat. So the answer is stove."
    prompts = recite(factual=said)
    settings = SETTINGS.model_copy(update={"max_new_tokens": 40})
    predicted = predict(student("llama", "factual", "factual"), questions[:2], settings)
    assert sorted(prompts) == sorted(source_text("factual", q) for q in questions[:2])
    for prediction in predicted.predictions:
        assert prediction.answer == "stove"
        assert prediction.rationale == "A stove gives heat."
        assert prediction.answer_text == said
        assert prediction.generated_tokens == len(said.split())


def test_a_multitask_student_answers_in_one_pass_and_explains_in_another(
    student: Student, questions: list[Example], recite: Callable[..., list[str]]
) -> None:
    prompts = recite(predict="[answer] The answer is garden", explain=" Plants grow there. ")
    predicted = predict(student("t5", "predict", "explain"), questions[:3], SETTINGS)
    wanted = [source_text(view, q) for view in ("predict", "explain") for q in questions[:3]]
    assert sorted(prompts) == sorted(wanted)
    for prediction in predicted.predictions:
        assert (prediction.answer, prediction.rationale) == ("garden", "Plants grow there.")
        assert prediction.generated_tokens == 5 + 3


@pytest.mark.parametrize("said", ["", "[answer] The answer is bathtub", "stove garden cellar"])
def test_what_names_no_choice_is_kept_and_unparsed(
    said: str, student: Student, questions: list[Example], recite: Callable[..., list[str]]
) -> None:
    recite(predict=said, explain=" ")
    prediction = predict(student("llama", "predict", "explain"), questions[:1], SETTINGS)
    assert prediction.predictions[0].answer is None
    assert prediction.predictions[0].answer_text == said
    assert prediction.predictions[0].rationale is None
    assert not prediction.predictions[0].correct


@pytest.mark.parametrize(
    ("text", "rationale"),
    [
        ("[factual] Answer: Heat boils water. So the answer is stove.", "Heat boils water."),
        ("Answer: Heat boils water. So the answer is stove", "Heat boils water."),
        ("Heat boils.\nIt does. So the answer is: (a)", "Heat boils.\nIt does."),
        ("[factual] Answer: It is cut off in the mid", "It is cut off in the mid"),
        ("So the answer is stove.", ""),
        ("[factual] Answer: So the answer is a", ""),
        ("It is so. So the answers differ. So the answer is b", "It is so. So the answers differ."),
        ("", ""),
    ],
)
def test_the_rationale_of_a_factual_text(text: str, rationale: str) -> None:
    assert factual_rationale(text) == rationale


def test_a_folder_without_a_card_is_no_student(
    tiny_models: dict[str, Path], questions: list[Example]
) -> None:
    with pytest.raises(ModelError, match="not a trained student"):
        predict(tiny_models["llama"], questions, SETTINGS)


def answer(prompt: str) -> str:
    """Answer as a teacher that goes on with the next question afterwards."""
    thing = prompt.split("thing ")[-1].split("?")[0]
    return f" garden. Thing {thing} grows.\n\nQuestion: next"


def test_a_teacher_is_not_told_the_answer(questions: list[Example], tmp_path: Path) -> None:
    generator = ScriptedGenerator(answer)
    predicted = ask_teacher(generator, questions, TEACHING, seed=3, store_path=tmp_path / "t.jsonl")
    for number, prediction in enumerate(predicted.predictions):
        assert prediction.example == questions[number]
        assert prediction.answer == "garden"
        assert prediction.answer_text == f"garden. Thing {number} grows."
        assert prediction.rationale == f"Thing {number} grows."
        assert prediction.generated_tokens == 4
    assert predicted.summary.generated_tokens == 4 * len(questions)
    assert predicted.summary.parameters is None
    # The prompt is the same whatever the right answer is, so it cannot depend on it.
    other = [q.model_copy(update={"answer": q.wrong_choices[0]}) for q in questions]
    again = ScriptedGenerator(answer)
    ask_teacher(again, other, TEACHING, seed=3, store_path=tmp_path / "u.jsonl")
    assert again.calls == generator.calls


def test_a_stopped_teacher_is_asked_only_what_is_missing(
    questions: list[Example], tmp_path: Path
) -> None:
    store = tmp_path / "t.jsonl"

    def tire(prompt: str) -> str:
        if len(dying.calls) > 3:
            raise KeyboardInterrupt
        return answer(prompt)

    dying = ScriptedGenerator(tire)
    with pytest.raises(KeyboardInterrupt):
        ask_teacher(dying, questions, TEACHING, seed=0, store_path=store)
    second = ScriptedGenerator(answer)
    resumed = ask_teacher(second, questions, TEACHING, seed=0, store_path=store)
    unbroken = ScriptedGenerator(answer)
    whole = ask_teacher(unbroken, questions, TEACHING, seed=0, store_path=tmp_path / "u.jsonl")
    assert sorted(dying.calls[:3] + second.calls) == sorted(unbroken.calls)
    assert resumed.predictions == whole.predictions
    assert resumed.summary.generated_tokens == 4 * len(second.calls)
    third = ScriptedGenerator(answer)
    ask_teacher(third, questions, TEACHING, seed=0, store_path=store)
    assert third.calls == []


def test_a_prompt_left_unanswered_is_a_fault(questions: list[Example], tmp_path: Path) -> None:
    class Silent(ScriptedGenerator):
        def generate(self, prompts, decoding: Decoding):  # type: ignore[no-untyped-def]
            yield from list(super().generate(prompts, decoding))[2:]

    with pytest.raises(StageError, match="2 prompts unanswered"):
        ask_teacher(Silent(answer), questions, TEACHING, seed=0, store_path=tmp_path / "t.jsonl")


def test_swapped_tags_ask_each_by_the_other(student: Student, questions: list[Example]) -> None:
    folder = student("llama", "predict", "explain")
    learnt = predict(folder, questions, SETTINGS).predictions
    swapped = predict(folder, questions, SETTINGS.model_copy(update={"tags": "swapped"}))
    loaded = load_model(f"hf:{folder}")
    for example, plainly, other in zip(questions, learnt, swapped.predictions, strict=True):
        assert other.answer_text == plain(loaded, source_text("explain", example))[0].strip()
        assert other.answer_text == (plainly.rationale or "")
        assert (other.rationale or "") == plainly.answer_text


def test_a_student_of_one_text_is_asked_by_another_tag(
    student: Student, questions: list[Example]
) -> None:
    folder = student("llama", "factual", "factual")
    with pytest.raises(ModelError, match=r"learnt the tag \[factual\] only"):
        predict(folder, questions, SETTINGS.model_copy(update={"tags": "swapped"}))
    card = read_json(folder / CARD)
    write_json(folder / CARD, {**card, "weights": {"factual": 1.0, "counterfactual": 1.0}})
    swapped = predict(folder, questions, SETTINGS.model_copy(update={"tags": "swapped"}))
    loaded = load_model(f"hf:{folder}")
    for example, other in zip(questions, swapped.predictions, strict=True):
        text = plain(loaded, source_text("counterfactual", example))[0]
        assert (other.answer_text, other.rationale) == (text.strip(), None)


def test_what_was_asked_once_is_not_asked_again(
    student: Student, questions: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = TrainedStudent(student("llama", "predict", "explain"), SETTINGS)
    first = asked.predict(questions[:3])
    likelihoods = asked.choice_likelihoods(questions[:3])
    seen: list[int] = []
    for name in ("generate", "score"):
        real = getattr(asked.generator, name)

        def counted(prompts: Any, *more: Any, real: Any = real) -> Any:
            prompts = list(prompts)
            seen.append(len(prompts))
            return real(prompts, *more)

        monkeypatch.setattr(asked.generator, name, counted)
    assert asked.predict(questions[:4])[:3] == first
    assert asked.choice_likelihoods(questions[:3]) == likelihoods
    assert seen == [2, 0], "one new question, of which answer and rationale are asked"
    assert asked.predict(questions[:3], "swapped") != first
    assert seen == [2, 0, 0], "each other's tags ask what was asked already"
