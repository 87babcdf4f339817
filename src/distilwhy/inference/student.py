"""A trained student that is asked: for answers and reasons, and how likely it finds each choice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from distilwhy.config import PredictionSettings
from distilwhy.draws import stable_number
from distilwhy.generators.base import BegunPrompt, Decoding, Generated, generate_all
from distilwhy.generators.transformers_local import LocalGenerator
from distilwhy.models.precision import precision_name, resolve_precision
from distilwhy.progress import progress_bar
from distilwhy.records import Example, Prediction, Tags
from distilwhy.students.load import StudentCard, load_student
from distilwhy.students.views import Row, plain_source, source_text, with_tag_at_end
from distilwhy.tasks.answers import parse_answer

_FACTUAL = re.compile(
    r"^\s*(?:\[factual\]\s*)?(?:Answer:\s*)?(?P<rationale>.*?)\s*(?:So the answer is\b.*)?$",
    re.DOTALL,
)


class TrainedStudent:
    """A student's folder, loaded and ready to be asked. Decoding is greedy.

    What it was asked once it is not asked again: measures start from the same answers.

    Args:
        folder: The folder that training wrote.
        settings: Batch size, limits, precision and whether separate rationales are wanted.

    Raises:
        ModelError: When the folder is not a trained student.
    """

    def __init__(self, folder: Path, settings: PredictionSettings | None = None) -> None:
        self.settings = settings or PredictionSettings()
        dtype = resolve_precision(self.settings.precision)
        loaded, self.card = load_student(folder, dtype)
        self.name = str(folder)
        self.precision = precision_name(dtype)
        self.parameters = sum(p.numel() for p in loaded.model.parameters())
        self.generator = LocalGenerator(
            loaded, self.settings.batch_size, self.card.max_source_tokens
        )
        self._texts: dict[tuple[str, str], Generated] = {}
        self._scores: dict[tuple[str, str, str], float] = {}

    @property
    def answers_after_rationale(self) -> bool:
        """Whether its answer follows its own rationale in one text."""
        return self.card.answer_view == "factual"

    @property
    def base(self) -> str:
        """Model string of the model that it was trained from."""
        return self.card.base

    def predict(self, examples: Sequence[Example], tags: Tags = "learnt") -> list[Prediction]:
        """Return answers and rationales.

        The answer comes from the tag that the student learnt to answer (``[predict]``, or
        ``[factual]``, which gives its rationale first), the rationale from the same text or from a
        second pass with ``[explain]``.

        Args:
            examples: The examples to answer.
            tags: ``learnt``; ``swapped``, the answer asked for by the explanation's tag and the
                other way round; ``dropped``, no tag at all; ``random``, a word that is no tag.

        Raises:
            ModelError: When it learnt no tags that can be swapped.
        """
        card = self.card.with_tags_swapped() if tags == "swapped" else self.card
        settings = self.settings
        separate = settings.rationales and card.rationale_view not in (None, card.answer_view)
        views = [card.answer_view, card.rationale_view] if separate else [card.answer_view]
        prompts = [self._prompt(tags, view or "", e) for view in views for e in examples]
        texts = self._written(prompts)
        answers = texts[: len(examples)]
        rationales: list[Generated | None] = [*texts[len(examples) :]]
        return [
            _prediction(example, card, answer, rationale)
            for example, answer, rationale in zip(
                examples, answers, rationales or [None] * len(answers), strict=True
            )
        ]

    def choice_likelihoods(
        self, examples: Sequence[Example], rationales: Sequence[str] | None = None
    ) -> list[tuple[float, ...]]:
        """Return the log-likelihood (nats, summed over tokens) of each choice as the answer.

        Args:
            examples: The examples.
            rationales: Where given, each stands before the answer, where the student answers after
                a rationale; else behind the question, in the way of the counterfactual view where
                that was learnt. Without them, one that answers after a rationale writes its own.

        Returns:
            One tuple an example, in the order of its choices. All choices of an example stand
            behind the same text, so that their differences are those of the choices alone.
        """
        if rationales is None and self.answers_after_rationale:
            rationales = [p.rationale or "" for p in self.predict(examples)]
        asked: list[tuple[str, str]] = []
        for place, example in enumerate(examples):
            rationale = rationales[place] if rationales else None
            asked += [self._answer_form(example, rationale, choice) for choice in example.choices]
        scores = iter(self._scored(asked))
        return [tuple(next(scores) for _ in example.choices) for example in examples]

    def _written(self, prompts: Sequence[str]) -> list[Generated]:
        """Return the texts behind prompts, those from before where it was asked for them."""
        new = {key: prompt for prompt in prompts if (key := _key(prompt)) not in self._texts}
        decoding = Decoding(max_new_tokens=self.settings.max_new_tokens)
        with progress_bar("predict", len(new)) as advance:
            texts = generate_all(self.generator, list(new.values()), decoding, advance)
        self._texts.update(zip(new, texts, strict=True))
        return [self._texts[_key(prompt)] for prompt in prompts]

    def _scored(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return the log-likelihood of each text behind its prompt, likewise."""
        keys = [(*_key(prompt), text) for prompt, text in pairs]
        new = {k: pair for k, pair in zip(keys, pairs, strict=True) if k not in self._scores}
        prompts, texts = [prompt for prompt, _ in new.values()], [text for _, text in new.values()]
        self._scores.update(zip(new, self.generator.score(prompts, texts), strict=True))
        return [self._scores[key] for key in keys]

    def _answer_form(self, example: Example, rationale: str | None, choice: str) -> tuple[str, str]:
        """Return what is read before the answer, and the text of an answer with a choice."""
        view = self.card.answer_view
        if view == "factual":
            spoken = " ".join(("[factual] Answer:", *(rationale or "").split(), "So the answer is"))
            return self._placed(view, example, f"{spoken} {choice}.")
        if rationale is not None and self._learnt_from_input:
            answer = f"[counterfactual] So the answer is {choice}."
            return self._placed("counterfactual", example, answer, rationale)
        return self._placed(view, example, f"[answer] The answer is {choice}", rationale or "")

    def _prompt(self, tags: Tags, view: str, example: Example) -> str:
        """Return what asks for a view by the tags wanted."""
        if tags == "dropped":
            return plain_source(example)
        return self._placed(_drawn_word(view, example) if tags == "random" else view, example)[0]

    def _placed(
        self, view: str, example: Example, target: str = "", extra: str = ""
    ) -> tuple[str, str]:
        """Return a view's prompt and target, the tag where it stood in training."""
        row = Row(example.id, view, source_text(view, example, extra), target)
        if self.card.tag == "front":
            return row.source, row.target
        row = with_tag_at_end(row, example)
        return BegunPrompt(row.source, row.tag + row.given), row.target

    @cached_property
    def _learnt_from_input(self) -> bool:
        form = self.card.condition.counterfactual_form
        return "counterfactual" in self.card.weights and form == "input"


def _key(prompt: str) -> tuple[str, str]:
    """Return what makes two prompts the same: their text, and what a text behind it begins with."""
    if isinstance(prompt, BegunPrompt):
        return prompt.prompt, prompt.beginning
    return prompt, ""


def _drawn_word(view: str, example: Example) -> str:
    """Return five drawn letters for a tag, others for each question and view."""
    number = stable_number("random tag", view, example.id)
    return "".join(chr(ord("a") + number // 26**place % 26) for place in range(5))


def _prediction(
    example: Example, card: StudentCard, answer: Generated, rationale: Generated | None
) -> Prediction:
    reason = rationale.text.strip() if rationale else None
    if card.answer_view == "factual":
        reason = factual_rationale(answer.text)
    return Prediction(
        example=example,
        answer=parse_answer(answer.text, example.choices),
        answer_text=answer.text.strip(),
        rationale=reason or None,
        generated_tokens=answer.completion_tokens
        + (rationale.completion_tokens if rationale else 0),
    )


def factual_rationale(text: str) -> str:
    """Return the rationale within a ``[factual]`` text, without its tag and its answer."""
    match = _FACTUAL.match(text)
    return match["rationale"].strip() if match else text.strip()
