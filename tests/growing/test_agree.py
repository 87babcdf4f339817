"""Agreement: questions are answered several times, and the majority must be the proposed answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distilwhy.growing.agree import Votes, vote
from distilwhy.records import Example
from distilwhy.teaching.asking import stored_teacher
from distilwhy.teaching.teacher import Teacher

CHOICES = ("harbour", "attic", "stage")


def question(name: str, answer: str = "harbour") -> Example:
    return Example(id=name, question=f"Where is {name}?", choices=CHOICES, answer=answer)


@pytest.mark.parametrize(
    ("counts", "samples", "needed", "agrees", "contradicts"),
    [
        ({"harbour": 3, "attic": 2}, 5, 3, True, False),
        ({"harbour": 2, None: 3}, 5, 3, False, False),
        ({"harbour": 2, None: 3}, 5, 2, True, False),
        ({"harbour": 2, "attic": 2, None: 1}, 5, 2, False, True),
        ({"harbour": 2, "attic": 3}, 5, 2, False, True),
        ({"harbour": 2, "attic": 1, "stage": 1}, 4, 2, True, False),
        ({"attic": 1}, 1, 1, False, True),
        ({None: 1}, 1, 1, False, False),
    ],
)
def test_who_wins(
    counts: dict[str | None, int], samples: int, needed: int, agrees: bool, contradicts: bool
) -> None:
    votes = Votes(Counter(counts), "harbour", samples, needed)
    assert (votes.agrees, votes.contradicts) == (agrees, contradicts)


def voted(
    examples: list[Example],
    asking: Any,
    teacher_of: Callable[..., Any],
    answers: Callable[[str, list[str]], str],
    path: Path,
) -> tuple[list[Votes], Any]:
    generator = teacher_of([], answers)
    with stored_teacher(generator, path / "t.jsonl") as source:
        return vote(examples, asking, Teacher(source)), generator


def test_the_proposed_answer_is_not_shown_and_choices_move(
    make_asking: Any, teacher_of: Any, tmp_path: Path
) -> None:
    orders = []

    def answers(block: str, choices: list[str]) -> str:
        assert block.endswith("\nAnswer:")
        assert block.count("harbour") == 1
        orders.append(tuple(choices))
        return "harbour"

    asking = make_asking(samples=12)
    votes, generator = voted([question("Ann")], asking, teacher_of, answers, tmp_path)
    assert votes[0].counts == {"harbour": 12}
    assert len(generator.calls) == 12
    assert len(set(generator.calls)) >= 8
    assert len(set(orders)) >= 4
    assert all(set(order) == set(CHOICES) for order in orders)


def test_a_teacher_that_goes_by_position_agrees_with_nothing(
    make_asking: Any, teacher_of: Any, tmp_path: Path
) -> None:
    examples = [question(f"thing {number}") for number in range(60)]
    asking = make_asking(samples=5, agreement=0.8)
    votes, _ = voted(examples, asking, teacher_of, lambda *_: "(a)", tmp_path)
    # Four or five of five by luck, 1 in 3 each: about 3 of 60.
    assert sum(item.agrees for item in votes) <= 9


def test_a_question_that_cannot_win_is_asked_no_further(
    make_asking: Any, teacher_of: Any, tmp_path: Path
) -> None:
    def answers(block: str, choices: list[str]) -> str:
        return "harbour" if "Ann" in block else "no idea"

    asking = make_asking(samples=5, agreement=0.6)
    votes, generator = voted(
        [question("Ann"), question("Bob")], asking, teacher_of, answers, tmp_path
    )
    assert votes[0].counts == {"harbour": 5}
    # After three of five without a vote, three can no longer be had.
    assert votes[1].counts == {None: 3}
    assert len(generator.calls) == 8
    assert [item.agrees for item in votes] == [True, False]


def test_samples_are_asked_apart_where_prompts_are_equal(
    make_asking: Any, teacher_of: Any, tmp_path: Path
) -> None:
    asking = make_asking("yes_no", samples=6, draws=1)
    example = Example(
        id="g", question="Can a duck swim?", choices=("yes", "no"), answer="yes", family="yes_no"
    )
    votes, generator = voted([example], asking, teacher_of, lambda *_: "yes", tmp_path)
    assert votes[0].counts == {"yes": 6}
    assert len(generator.calls) == 6
    assert len(set(generator.calls)) == 2
