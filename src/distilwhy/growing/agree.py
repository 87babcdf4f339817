"""Self-consistency: the teacher answers the questions that it wrote, and must agree with itself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from distilwhy.growing.prompt import Asking, answer_prompt, mixed
from distilwhy.records import Example
from distilwhy.tasks.answers import parse_answer
from distilwhy.teaching.teacher import Teacher


@dataclass(frozen=True)
class Votes:
    """What the teacher answered to one question.

    Args:
        counts: Answers by choice; those that name none are under ``None``.
        proposed: The answer that the question was written with.
        samples: Answers asked for; fewer were given where the outcome was sure.
        needed: Answers that must be the one proposed.
    """

    counts: Counter[str | None]
    proposed: str
    samples: int
    needed: int

    @property
    def favourable(self) -> int:
        """Answers that are the one proposed."""
        return self.counts[self.proposed]

    @property
    def agrees(self) -> bool:
        """Whether enough answers are the one proposed, and more than are any other choice."""
        return self.favourable >= self.needed and not self.contradicts

    @property
    def contradicts(self) -> bool:
        """Whether another choice has as many answers as the one proposed."""
        others = [n for choice, n in self.counts.items() if choice not in (self.proposed, None)]
        return max(others, default=0) >= max(self.favourable, 1)

    @property
    def open(self) -> bool:
        """Whether the answers still to come could make it agree."""
        left = self.samples - self.counts.total()
        return left > 0 and self.favourable + left >= self.needed

    def __str__(self) -> str:
        shown = (f"{choice or 'no choice'} {count}" for choice, count in self.counts.most_common())
        return ", ".join(shown)


def vote(examples: Sequence[Example], asking: Asking, teacher: Teacher) -> list[Votes]:
    """Have the teacher answer questions several times (self-consistency: Wang et al. 2022, arXiv
    2203.11171), each time with the choices in another order and without the proposed answer.

    A question that can no longer win is not asked further.

    Args:
        examples: Questions with proposed answers.
        asking: What prompts are made of.
        teacher: The teacher.
    """
    samples = asking.settings.samples
    # Without the small term, 3 of 5 would not be 0.6.
    needed = max(1, math.ceil(asking.settings.agreement * samples - 1e-9))
    votes = [Votes(Counter(), str(example.answer), samples, needed) for example in examples]
    for sample in range(samples):
        asked = {
            example.id: (mixed(example, sample, asking), votes_of)
            for example, votes_of in zip(examples, votes, strict=True)
            if votes_of.open
        }
        prompts = {
            name: answer_prompt(example, sample, asking) for name, (example, _) in asked.items()
        }
        texts = teacher.texts(prompts, asking.answering(sample), "answer")
        for name, (example, votes_of) in asked.items():
            # By the choices as they were shown: the answer may be a letter.
            votes_of.counts[parse_answer(texts[name].text, example.choices)] += 1
    return votes
