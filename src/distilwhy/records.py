"""The records that stages exchange: example, teacher text, annotation, prediction."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Family = Literal["multiple_choice", "nli", "yes_no"]
"""How a question is asked: lettered choices, premise and hypothesis, or yes/no."""

DataKind = Literal["unrevised", "revised"]
"""Which explanation a student learns from: the teacher's rationale, or its revision."""

TagPlace = Literal["front", "end"]
"""Where a view's tag stands: before the question, or behind it."""

Control = Literal["shuffled", "empty", "function_words"]
"""What is done to explanations to see whether it is they that help: each question gets those of
another, none at all, or its own without content words."""

TRAINING_SUMMARY = "training.json"
STUDENT_CARD = "distilwhy.json"
"""File in a student's folder that holds its :class:`TrainingSummary`."""

Tags = Literal["learnt", "swapped", "dropped", "random"]
"""By which tags a student is asked: its own, each other's, none, or words that are no tag."""

LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Record(BaseModel):
    """Base of all records: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Example(Record):
    """One question of a task.

    Args:
        id: Unique within its split.
        question: The question; for natural language inference, the hypothesis.
        choices: Two to 26 answers, in the order in which they are lettered. A choice may stand
            twice (CommonsenseQA has such questions); measures treat equal texts as one choice.
        answer: The text of the right choice; ``None`` where it is not known.
        context: Text that the question refers to; for natural language inference, the premise.
        family: How the question is asked.
    """

    id: str = Field(min_length=1)
    question: str = Field(min_length=1)
    choices: tuple[str, ...] = Field(min_length=2, max_length=len(LETTERS))
    answer: str | None = None
    context: str | None = None
    family: Family = "multiple_choice"

    @model_validator(mode="after")
    def _check_choices(self) -> Self:
        if any(not choice.strip() for choice in self.choices):
            raise ValueError("a choice is empty")
        if len(set(self.choices)) < 2:
            raise ValueError("all choices are the same")
        if self.answer is not None and self.answer not in self.choices:
            raise ValueError(f"answer {self.answer!r} is not among the choices")
        return self

    def letter(self, choice: str) -> str:
        """Return the letter, ``a`` first, under which a choice is first shown."""
        return LETTERS[self.choices.index(choice)]

    @property
    def wrong_choices(self) -> tuple[str, ...]:
        """All distinct choices but the right one, in order."""
        return tuple(dict.fromkeys(choice for choice in self.choices if choice != self.answer))


class TeacherText(Record):
    """One text by the teacher, cleaned, with what was noticed about it.

    Args:
        text: The cleaned text, one paragraph.
        finish: ``stop`` when the teacher ended it, ``length`` when it hit the token limit,
            ``unknown`` for imported texts.
        flags: Names of the quality gates that it failed, e.g. ``looping``.
        prompt_tokens: Tokens in the prompt; ``None`` when unknown.
        completion_tokens: Tokens generated; ``None`` when unknown.
    """

    text: str
    finish: Literal["stop", "length", "unknown"] = "unknown"
    flags: tuple[str, ...] = ()
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Round(Record):
    """One round of critique and revision.

    Args:
        critique: The critique of the rationale or, in later rounds, of the last revision.
        revision: The explanation after it; ``None`` where the critique found nothing to mend.
    """

    critique: TeacherText | None = None
    revision: TeacherText | None = None


class Annotation(Record):
    """All that the teacher said of one example.

    Args:
        example: The example annotated.
        teacher: The teacher's model string, or the source of imported texts.
        rationale: The explanation of the right answer (``unrevised`` data).
        critique: The critique that led to the revision.
        revision: The rationale after critique and revision (``revised`` data).
        rounds: Where several rounds were wanted, all that took place, in order; ``critique`` and
            ``revision`` are those of the last one with a revision that is not empty.
        counterfactuals: For wrong choices, an explanation written as if that choice were right;
            the rationale stands for the right one.
        extra: Texts of a user's own steps, by the step's name.
        others: By a source's name, what else was said of the same example, by people or by other
            teachers; conditions choose which they learn from.
        labelled_by: Whose answer the example's ``answer`` is: the data set's, or the teacher's.
    """

    example: Example
    teacher: str
    rationale: TeacherText | None = None
    critique: TeacherText | None = None
    revision: TeacherText | None = None
    rounds: tuple[Round, ...] = ()
    counterfactuals: dict[str, TeacherText] = Field(default_factory=dict)
    extra: dict[str, TeacherText] = Field(default_factory=dict)
    others: dict[str, Annotation] = Field(default_factory=dict)
    labelled_by: Literal["gold", "teacher"] = "gold"

    def explanation(self, data: DataKind) -> TeacherText | None:
        """Return the explanation that a student of this data kind learns from, if there is one."""
        return self.rationale if data == "unrevised" else self.revision


class Prediction(Record):
    """What a student (or the teacher, or a baseline) answered to one example.

    Args:
        example: The example asked; its ``answer`` is the gold label.
        answer: The choice that the answer text was parsed to; ``None`` when unparsable.
        answer_text: The generated text that holds the answer, unchanged.
        rationale: The explanation given; ``None`` when the predictor gives none.
        generated_tokens: Tokens generated for this example, both texts together.
    """

    example: Example
    answer: str | None = None
    answer_text: str = ""
    rationale: str | None = None
    generated_tokens: int = 0

    @property
    def correct(self) -> bool:
        """Whether the parsed answer is the gold label; an unparsable answer is wrong."""
        return self.answer is not None and self.answer == self.example.answer


class CurvePoint(Record):
    """One point of a training curve.

    Args:
        step: Optimiser steps done.
        loss: Mean of the method's loss since the last point; ``None`` at evaluations.
        held_out_loss: The method's loss on held-out training rows; ``None`` between evaluations.
        held_out_views: Each view's own mean token loss on held-out rows, in nats.
    """

    step: int
    loss: float | None = None
    held_out_loss: float | None = None
    held_out_views: dict[str, float] = Field(default_factory=dict)


class TrainingSummary(Record):
    """What a training run did and cost.

    Args:
        examples: Training examples, held-out ones not counted.
        held_out: Held-out training examples.
        rows: Rows (view by example) trained on, one epoch.
        steps: Optimiser steps done.
        best_step: Step of the checkpoint kept.
        seconds: Wall time of training and its held-out evaluations.
        tokens: Source and target tokens trained on, padding not counted.
        tokens_per_second: ``tokens / seconds``.
        padding_share: Share of padding among all token positions computed.
        peak_memory_mb: Peak memory of the process (or the GPU), in MiB.
        precision: ``fp32`` or ``bf16``.
        parameters: Parameters of the model.
        trainable_parameters: Of these, trained ones.
        memory: What was chosen to keep within ``training.memory_budget``; ``None`` without one.
        sources: By source of explanations, how many of the examples trained on have its
            explanation; ``none`` counts those that no source explains. Empty where sources are not
            mixed.
        curve: Training curve.
        stopped_early: Whether ``patience`` ended the run before its last step.
        unigram_entropy: Entropy of each view's target tokens in training, in nats: the loss of a
            student that knows how often each token occurs and nothing else.
        collapsed: What shows that the run brought no useful student; empty for a sound run.
    """

    examples: int
    held_out: int
    rows: int
    steps: int
    best_step: int
    seconds: float
    tokens: int
    tokens_per_second: float
    padding_share: float
    peak_memory_mb: float
    precision: str
    parameters: int
    trainable_parameters: int
    sources: dict[str, int] = Field(default_factory=dict)
    memory: str | None = None
    curve: tuple[CurvePoint, ...] = ()
    stopped_early: bool = False
    unigram_entropy: dict[str, float] = Field(default_factory=dict)
    collapsed: tuple[str, ...] = ()


class PredictionSummary(Record):
    """What a prediction run cost.

    Args:
        examples: Questions answered.
        seconds: Wall time, loading the model not counted.
        generated_tokens: Tokens generated.
        tokens_per_second: ``generated_tokens / seconds``.
        peak_memory_mb: Peak memory of the process (or the GPU), in MiB.
        precision: ``fp32`` or ``bf16``.
        parameters: Parameters of the model; ``None`` when unknown.
    """

    examples: int
    seconds: float
    generated_tokens: int
    tokens_per_second: float
    peak_memory_mb: float
    precision: str
    parameters: int | None = None
