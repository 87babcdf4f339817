"""An annotation in the making."""

from __future__ import annotations

from dataclasses import dataclass, field

from distilwhy.generators.recorded import StoredText
from distilwhy.records import Annotation, Example, Round, TeacherText
from distilwhy.teaching.steps import Asking


@dataclass(frozen=True)
class OwnAnswer:
    """One answer of the teacher, given without knowing the right one.

    Args:
        choice: The choice that it names; ``None`` when it names none.
        reason: What it wrote after the answer, not cleaned.
        row: The whole text.
    """

    choice: str | None
    reason: str
    row: StoredText


@dataclass
class Draft:
    """What the teacher has said of one example so far.

    Args:
        example: The example, with the answer that is explained.
        asking: What prompts about it have in common.
        rationale: The explanation of the answer.
        counterfactuals: Explanations of wrong choices.
        rounds: Rounds of critique and revision.
        settled: Whether another round would change nothing.
        extra: Texts of a user's own steps, by the step's name.
        answers: The teacher's own answers, given without knowing the right one.
        kept: Whether the rationale is one that led the teacher to the answer itself.
        gold: The gold answer where it is known; for figures only, never for a prompt.
    """

    example: Example
    asking: Asking
    rationale: TeacherText | None = None
    counterfactuals: dict[str, TeacherText] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    settled: bool = False
    extra: dict[str, TeacherText] = field(default_factory=dict)
    answers: tuple[OwnAnswer, ...] = ()
    kept: bool = False
    gold: str | None = None

    @property
    def label(self) -> str:
        """The answer that is explained; drafts without one are set aside before they are."""
        assert self.example.answer is not None
        return self.example.answer

    @property
    def explanation(self) -> str:
        """The last explanation of the answer that is not empty; empty where there is none."""
        effective = self.effective_round
        text = effective.revision if effective and has_text(effective.revision) else self.rationale
        return text.text if text is not None else ""

    def annotation(self, teacher: str) -> Annotation:
        """Return the finished annotation.

        Args:
            teacher: The teacher's model string.
        """
        last = self.effective_round
        return Annotation(
            example=self.example,
            teacher=teacher,
            rationale=self.rationale,
            critique=last.critique if last else None,
            revision=last.revision if last else None,
            rounds=tuple(self.rounds) if self.asking.settings.critique_rounds > 1 else (),
            counterfactuals={
                choice: self.counterfactuals[choice]
                for choice in self.example.wrong_choices
                if choice in self.counterfactuals
            },
            extra=self.extra,
            labelled_by=self.asking.settings.labels,
        )

    @property
    def effective_round(self) -> Round | None:
        """The last round with a revision that is not empty, else the first."""
        whole = [one for one in self.rounds if has_text(one.revision)]
        return whole[-1] if whole else next(iter(self.rounds), None)


def has_text(text: TeacherText | None) -> bool:
    """Return whether there is a text and it is not empty."""
    return text is not None and bool(text.text)
