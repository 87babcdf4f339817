"""Prompts: unique, repeatable, and alike at their beginnings."""

from __future__ import annotations

from typing import Any

import pytest

from distilwhy.errors import DataError
from distilwhy.growing.prompt import writing_place
from distilwhy.growing.shape import shape_of
from distilwhy.records import Example


def test_a_whole_prompt(make_asking: Any) -> None:
    place = writing_place(7, "no", make_asking("yes_no", shots=2))
    lines = place.prompt.split("\n")
    assert lines[0] == "Where household things are."
    assert "one of: yes, no." in lines[1]
    blocks = place.prompt.split("\n\n")[1:]
    assert len(blocks) == 4
    assert {block.split("\n")[1] for block in blocks[:2]} == {"Answer: yes", "Answer: no"}
    assert blocks[2].startswith("Example 10\nAnswer: no\nQuestion: Can a ")
    assert blocks[3] == "Example 11\nAnswer: no\nQuestion:"
    assert place.fields == ("Answer", "Question")


@pytest.mark.parametrize("kind", ["choices", "yes_no", "nli", "labels"])
def test_many_prompts_share_few_beginnings(make_asking: Any, kind: str) -> None:
    asking = make_asking(kind, draws=4)
    labels = asking.shape.labels or (None,)
    places = [writing_place(n, labels[n % len(labels)], asking) for n in range(200)]
    assert len({place.prompt for place in places}) == 200
    prefixes = {place.prefix for place in places}
    assert 2 <= len(prefixes) <= 4
    assert all(place.prompt.startswith(place.prefix) for place in places)
    assert all(len(place.prefix) > len(place.prompt) / 2 for place in places)
    again = [writing_place(n, labels[n % len(labels)], asking) for n in range(200)]
    assert again == places


def test_another_seed_draws_otherwise(make_asking: Any) -> None:
    first, second = (writing_place(0, None, make_asking(seed=seed)) for seed in (0, 1))
    assert first.prompt != second.prompt


def test_a_chat_model_is_told_what_to_do(make_asking: Any) -> None:
    asking = make_asking(chat=True)
    prompt = writing_place(2, None, asking).prompt
    assert "Write example 7 to its end and stop." in prompt
    assert prompt.endswith("Example 7\nQuestion:")
    assert asking.writing.stop == ()
    assert make_asking().writing.stop == ("\n\n",)


def seed(**fields: Any) -> Example:
    return Example(
        **{"id": "s", "question": "Why?", "choices": ("a", "b"), "answer": "a", **fields}
    )


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ([], "no seed examples"),
        ([seed()], "one seed example"),
        ([seed(), seed(question="How?")], "label 'b': has no seed"),
        ([seed(), seed(question="How?", answer=None)], "has no answer"),
        ([seed(), seed(answer="b")], "'Why?': is the question of 2 seeds"),
        ([seed(), seed(question="How?", answer="b", family="yes_no")], "is of family yes_no"),
        ([seed(), seed(question="How?", choices=("a", "b", "A"))], "has a choice twice"),
        ([seed(family="nli"), seed(question="H.", answer="b", family="nli")], "has no premise"),
    ],
)
def test_seed_examples_that_cannot_be_used(seeds: list[Example], said: str) -> None:
    with pytest.raises(DataError) as error:
        shape_of(seeds)
    assert said in error.value.message


def test_the_shape_is_read_off(make_asking: Any) -> None:
    shape = make_asking("choices").shape
    assert (shape.labels, shape.counts, shape.context) == ((), (5,), 0.0)
    assert make_asking("labels").shape.labels == ("billing", "delivery", "other")
    assert make_asking("nli").shape.context == 1.0
