"""The teacher's steps: each a pure function from an example and earlier texts to a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from distilwhy.config import TeachingSettings
from distilwhy.errors import ConfigError, DataError
from distilwhy.generators.base import ContrastedPrompt, Decoding
from distilwhy.prompts.library import Prompts, Templated, WorkedExample
from distilwhy.prompts.own import OwnPrompts
from distilwhy.prompts.wording import SEPARATOR, fill, one_line, shown_question
from distilwhy.records import Example
from distilwhy.teaching.draws import (
    AdjectivePair,
    adjective_pool,
    contrasted_answer,
    draw_adjectives,
    draw_flaw,
)


@dataclass(frozen=True)
class StepPrompt:
    """One request to the teacher.

    Args:
        step: The step it belongs to: ``rationale``, ``counterfactual``, ``critique``,
            ``revision``, ``answer``, or the name of a user's own step.
        prompt: The whole prompt; the teacher's text follows on its last line.
        prefix: Its beginning that does not depend on the example, textually equal for equal
            draws, so that a local model computes it once. Its last token may differ from the
            prompt's where a tokeniser joins line breaks: compare tokens, not text.
        decoding: How the text is decoded.
        target: The choice that the text argues for; ``None`` for critiques and where the teacher
            answers itself.
    """

    step: str
    prompt: str
    prefix: str
    decoding: Decoding
    target: str | None


@dataclass(frozen=True)
class Asking:
    """What all prompts of a run have in common.

    Args:
        prompts: The family's prompt content.
        settings: How the teacher is asked.
        seed: The experiment's seed.
        own: The prompt content of a user's own steps, in order.

    Raises:
        ConfigError: When there are fewer worked examples than shots.
    """

    prompts: Prompts
    settings: TeachingSettings
    seed: int
    own: tuple[OwnPrompts, ...] = ()

    def __post_init__(self) -> None:
        available = len(self.prompts.worked_examples)
        if self.settings.shots > available:
            raise ConfigError(
                f"teacher.shots is {self.settings.shots} but the prompt file has {available} "
                "worked examples.",
                "Lower shots or add worked examples.",
            )

    @property
    def worked(self) -> tuple[WorkedExample, ...]:
        """The worked examples shown: the first ones, so that all prompts show the same."""
        return self.prompts.worked_examples[: self.settings.shots]

    def adjectives(self, example: Example, step: Templated) -> AdjectivePair:
        """Return the adjective pair drawn for an example's step."""
        pool = adjective_pool(self.prompts.adjectives, self.settings.adjective_pairs, self.seed)
        return draw_adjectives(pool, self.seed, example.id, step)

    def flaw(self, example: Example, number: int = 1) -> str:
        """Return the flaw drawn for a round of an example, the first round unless told."""
        return draw_flaw(tuple(self.prompts.flaws), self.seed, example.id, number)

    def decoding(self) -> Decoding:
        """Return how texts are decoded.

        A completion model goes on with the next question, so its text ends with its line; a chat
        model ends by itself and may write a line break first.
        """
        stop = ("\nQuestion:", "\nPremise:") if self.settings.chat else ("\n",)
        return Decoding(
            max_new_tokens=self.settings.max_new_tokens, stop=stop, chat=self.settings.chat
        )


def rationale_prompt(example: Example, asking: Asking) -> StepPrompt:
    """Ask why the right answer is right (paper, teacher data, step 1).

    Raises:
        DataError: When the example's answer is not known.
    """
    return _explain(example, _gold(example), "rationale", asking)


def counterfactual_prompt(example: Example, choice: str, asking: Asking) -> StepPrompt:
    """Ask for the rationale as if another choice were right (paper, teacher data, step 3).

    All but the choice is as in :func:`rationale_prompt`, the draws too, so the prefix is shared.

    Args:
        example: The example.
        choice: The choice to argue for.
        asking: What all prompts have in common.
    """
    return _explain(example, choice, "counterfactual", asking)


def answer_prompt(example: Example, asking: Asking) -> StepPrompt:
    """Ask for answer and reason without giving the answer, to measure the teacher's accuracy.

    The prompt is the rationale's, cut before the answer; the text begins with the answer and goes
    on with the reason. ``own_answers.split_answer`` takes it apart.
    """
    template = asking.prompts.templates["rationale"]
    pair = asking.adjectives(example, "rationale")
    block = template.block.split("$answer")[0].rstrip()
    last = fill(block, pair, question=shown_question(example))
    return _assemble("answer", _prefix("rationale", pair, asking), last, asking, None)


def critique_prompt(
    example: Example, explanation: str, asking: Asking, number: int = 1
) -> StepPrompt:
    """Ask for a critique of an explanation that names the flaw drawn (paper, step 2).

    From the second round on, two more worked examples show that a critique may find nothing; what
    stands before them is the prefix of the first round.

    Args:
        example: The example.
        explanation: The teacher's rationale or, in later rounds, its last revision, cleaned.
        asking: What all prompts have in common.
        number: The round, from 1.
    """
    gold = _gold(example)
    pair = asking.adjectives(example, "critique")
    request = asking.prompts.flaws[asking.flaw(example, number)].critique
    prefix = _prefix("critique", pair, asking)
    if number > 1:
        request = f"{request} {asking.prompts.nothing_to_mend.request}"
        prefix += _may_find_nothing(pair, asking)
    last = fill(
        asking.prompts.templates["critique"].block,
        pair,
        question=shown_question(example),
        answer=gold,
        explanation=one_line(explanation),
        critique_request=request,
    )
    return _assemble("critique", prefix, last, asking, None)


def revision_prompt(
    example: Example, explanation: str, critique: str, asking: Asking, number: int = 1
) -> StepPrompt:
    """Ask for the explanation anew, without the flaw; restates the right answer (paper, step 2).

    Args:
        example: The example.
        explanation: The text that was criticised, cleaned.
        critique: The teacher's critique of it, cleaned.
        asking: What all prompts have in common.
        number: The round, from 1.
    """
    gold = _gold(example)
    pair = asking.adjectives(example, "revision")
    last = fill(
        asking.prompts.templates["revision"].block,
        pair,
        question=shown_question(example),
        answer=gold,
        explanation=one_line(explanation),
        critique=one_line(critique),
        revision_request=asking.prompts.flaws[asking.flaw(example, number)].revision,
    )
    return _assemble("revision", _prefix("revision", pair, asking), last, asking, gold)


def own_prompt(
    example: Example, name: str, prompts: OwnPrompts, given: Mapping[str, str], asking: Asking
) -> StepPrompt:
    """Ask for the text of a step of the user's own.

    Args:
        example: The example.
        name: The step's name.
        prompts: The step's prompt content.
        given: The texts that the step builds on, by name, each one line.
        asking: What all prompts have in common.
    """
    pool = adjective_pool(prompts.adjectives, asking.settings.adjective_pairs, asking.seed)
    pair = draw_adjectives(pool, asking.seed, example.id, name)
    parts = [fill(prompts.header, pair)] if prompts.header.strip() else []
    for worked in prompts.worked_examples[: asking.settings.shots]:
        question = shown_question(worked.example(prompts.family))
        opening = fill(prompts.block, pair, question=question, answer=worked.answer, **worked.given)
        parts.append(f"{opening} {worked.text}")
    prefix = SEPARATOR.join(parts) + SEPARATOR
    last = fill(
        prompts.block, pair, question=shown_question(example), answer=_gold(example), **given
    )
    return _assemble(name, prefix, last, asking, None)


def _explain(
    example: Example, choice: str, step: Literal["rationale", "counterfactual"], asking: Asking
) -> StepPrompt:
    pair = asking.adjectives(example, "rationale")
    block = asking.prompts.templates["rationale"].block
    last = fill(block, pair, question=shown_question(example), answer=choice)
    plain = _assemble(step, _prefix("rationale", pair, asking), last, asking, choice)
    if asking.settings.contrast is None:
        return plain
    other = contrasted_answer(example, choice, asking.settings.contrast, asking.seed)
    against = fill(block, pair, question=shown_question(example), answer=other)
    return replace(
        plain,
        prompt=ContrastedPrompt(plain.prompt, plain.prefix + against),
        decoding=replace(plain.decoding, contrast=asking.settings.contrast.weight),
    )


def _prefix(step: Templated, pair: AdjectivePair, asking: Asking) -> str:
    """Return header and worked examples; nothing here depends on the example asked."""
    template = asking.prompts.templates[step]
    parts = [fill(template.header, pair)] if template.header.strip() else []
    for worked in asking.worked:
        request = asking.prompts.flaws[worked.flaw]
        opening = fill(
            template.block,
            pair,
            question=shown_question(worked.example(asking.prompts.family)),
            answer=worked.answer,
            explanation=worked.flawed_rationale,
            critique_request=request.critique,
            critique=worked.critique,
            revision_request=request.revision,
        )
        parts.append(f"{opening} {getattr(worked, step)}")
    return SEPARATOR.join(parts) + SEPARATOR


def _may_find_nothing(pair: AdjectivePair, asking: Asking) -> str:
    """Return two worked critiques under the longer request: one finds nothing, one a flaw."""
    good, flawed = asking.worked[0], asking.worked[-1]
    shown = (
        (good, good.rationale, asking.prompts.nothing_to_mend.critique),
        (flawed, flawed.flawed_rationale, flawed.critique),
    )
    parts = []
    for worked, explanation, critique in shown:
        request = asking.prompts.flaws[worked.flaw].critique
        opening = fill(
            asking.prompts.templates["critique"].block,
            pair,
            question=shown_question(worked.example(asking.prompts.family)),
            answer=worked.answer,
            explanation=explanation,
            critique_request=f"{request} {asking.prompts.nothing_to_mend.request}",
        )
        parts.append(f"{opening} {critique}")
    return SEPARATOR.join(parts) + SEPARATOR


def _assemble(step: str, prefix: str, last: str, asking: Asking, target: str | None) -> StepPrompt:
    return StepPrompt(step, prefix + last, prefix, asking.decoding(), target)


def _gold(example: Example) -> str:
    if example.answer is None:
        raise DataError(
            f"Example {example.id!r} has no answer, so its rationale cannot be asked for.",
            "Give an answer to every example that the teacher explains.",
        )
    return example.answer
