"""The loop: what is kept and why, worked out by hand; balance; going on after a stop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distilwhy.generators.base import Decoding, Generated
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.growing.grow import Growth, grow
from distilwhy.records import Example

ANIMALS = tuple(f"{first}{last}" for first in ("mar", "tol", "bix", "fen") for last in ("ko", "du"))


def choice_text(thing: str, answer: str = "harbour") -> str:
    choices = "(a) harbour (b) attic (c) lawn (d) oven (e) sky"
    return f" Where does the {thing} wait?\nChoices: {choices}\nAnswer: {answer}"


def run(asking: Any, generator: Any, folder: Path, against: Iterable[Example] = ()) -> Growth:
    return grow(asking, generator, against=against, name="g", store_path=folder / "t.jsonl")


def test_what_becomes_of_each_question(make_asking: Any, teacher_of: Any, tmp_path: Path) -> None:
    test = Example(id="t7", question="Where does a whale sleep?", choices=("a", "b"), answer="a")
    texts = [
        choice_text("ferry"),  # kept
        " Where?",  # no choices
        choice_text("ferries"),  # like the first
        choice_text("x").replace("does the x wait", "do whales sleep"),  # like the test's
        choice_text("x").replace("does the x wait", "is the old kettle kept"),  # like a seed
        choice_text("tram", "attic"),  # the teacher says harbour
        choice_text("plane"),  # the teacher says nothing
        choice_text("truck", "cellar"),  # not among the choices
        choice_text("bus"),  # kept
        choice_text("horse"),  # kept
    ]

    def answers(block: str, choices: list[str]) -> str:
        return "who knows" if "plane" in block else "harbour"

    asking = make_asking(n=10, requests=10, samples=3)
    growth = run(asking, teacher_of(texts, answers), tmp_path, [test])
    assert [item.id for item in growth.train] == ["g-0", "g-8", "g-9"]
    assert [(item.request, item.reason, item.detail) for item in growth.rejected] == [
        (1, "field missing", "Choices"),
        (2, "near-duplicate of a grown", "1.00 like g-0"),
        (3, "near-duplicate of a test", "1.00 like t7"),
        (4, "near-duplicate of a seed", "0.67 like s0"),
        (5, "teacher answers otherwise", "harbour 2"),
        (6, "teacher undecided", "no choice 2"),
        (7, "answer not among choices", "cellar"),
    ]
    report = growth.report
    assert (report.wanted, report.kept, report.requested, report.whole) == (10, 3, 10, False)
    assert sum(report.reasons.values()) + report.kept == report.requested
    assert report.agreement == 1.0
    # Two were answered three times; the others lost after two.
    assert growth.cost.steps["question"].asked == 10
    assert growth.cost.steps["answer"].asked == 3 * 3 + 2 * 2
    shown = report.table()
    assert "near-duplicate of a test" in shown
    assert "30.0%" in shown


def yes_no_teacher(
    answer: Any = None, refuse: Iterable[int] = (), name: str = "scripted"
) -> ScriptedGenerator:
    """Return a teacher that writes 'Can a duck swim?' and answers by the animal's place."""
    unasked = set(refuse)

    def write(prompt: str) -> str:
        block = prompt.rsplit("\n\n", 1)[-1]
        if not block.startswith("Example "):
            animal = block.split("Can a ")[1].split(" swim")[0]
            return f" {answer(animal)}" if answer else f" {truth(animal)}"
        number = int(block.split("\n")[0].removeprefix("Example ")) - 5
        label = block.split("\n")[1].removeprefix("Answer: ")
        if number in unasked:
            return ""
        return f" Can a {label}{ANIMALS[number % 8]}{number // 8} swim?"

    return ScriptedGenerator(write, name=name)


def truth(animal: str) -> str:
    return "yes" if animal.startswith("yes") else "no"


def test_as_many_of_each_label_and_no_more_requests_than_needed(
    make_asking: Any, tmp_path: Path
) -> None:
    generator = yes_no_teacher()
    growth = run(make_asking("yes_no", n=20, validation=10, samples=1), generator, tmp_path)
    assert growth.report.whole
    assert growth.report.requested == 30
    assert growth.report.reasons == {}
    assert Counter(item.answer for item in growth.train) == {"yes": 10, "no": 10}
    assert Counter(item.answer for item in growth.validation) == {"yes": 5, "no": 5}
    assert not {item.id for item in growth.train} & {item.id for item in growth.validation}
    assert growth.report.splits["train"].labels == {"yes": 10, "no": 10}
    assert len(generator.calls) == 60


def test_a_label_that_the_teacher_gets_wrong_is_asked_for_again(
    make_asking: Any, tmp_path: Path
) -> None:
    # Of the questions written for 'yes', the teacher agrees with every other one.
    def answer(animal: str) -> str:
        odd = ANIMALS.index(animal.removeprefix("yes").removeprefix("no")[:-1]) % 4 == 0
        return "no" if odd else truth(animal)

    growth = run(make_asking("yes_no", n=12, samples=1), yes_no_teacher(answer), tmp_path)
    assert growth.report.whole
    assert Counter(item.answer for item in growth.train) == {"yes": 6, "no": 6}
    assert growth.report.reasons["teacher answers otherwise"] > 0


def test_what_is_short_of_a_label_stays_balanced(make_asking: Any, tmp_path: Path) -> None:
    asking = make_asking("yes_no", n=10, requests=14, samples=1)
    growth = run(asking, yes_no_teacher(lambda animal: "no"), tmp_path)
    assert growth.report.requested == 14
    assert [item.answer for item in growth.train] == ["no"]
    assert growth.report.reasons["not needed"] == 4
    assert not growth.report.whole


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    n=st.integers(1, 12),
    validation=st.integers(0, 6),
    test=st.integers(0, 5),
    refused=st.sets(st.integers(0, 25)),
    seed=st.integers(0, 3),
)
def test_every_outcome_is_balanced(
    make_asking: Any,
    tmp_path_factory: pytest.TempPathFactory,
    n: int,
    validation: int,
    test: int,
    refused: set[int],
    seed: int,
) -> None:
    wanted = {"n": n, "validation": validation, "test": test}
    asking = make_asking("yes_no", seed, **wanted, requests=2 * sum(wanted.values()), samples=1)
    growth = run(asking, yes_no_teacher(refuse=refused), tmp_path_factory.mktemp("g"))
    splits = (growth.train, growth.validation, growth.test)
    for split in splits:
        counts = Counter(item.answer for item in split)
        assert abs(counts["yes"] - counts["no"]) <= 1
    report = growth.report
    assert report.kept == sum(map(len, splits)) <= report.wanted
    assert len({example.id for split in splits for example in split}) == report.kept
    assert sum(report.reasons.values()) + report.kept == report.requested
    if not refused:
        assert report.whole
        assert [len(split) for split in splits] == [n, validation, test]


class Killed(Exception):
    """Stands for the end of the process."""


class Stopping:
    """A teacher that is gone after so many texts."""

    def __init__(self, inner: ScriptedGenerator, texts: int) -> None:
        self.name = inner.name
        self._inner = inner
        self._left = texts

    def generate(
        self, prompts: Iterable[str], decoding: Decoding
    ) -> Iterator[tuple[int, Generated]]:
        for pair in self._inner.generate(prompts, decoding):
            if self._left == 0:
                raise Killed
            self._left -= 1
            yield pair


@pytest.mark.parametrize("stop", [0, 1, 7, 16, 23, 25])
def test_a_stopped_run_goes_on_and_asks_nothing_twice(
    make_asking: Any, tmp_path: Path, stop: int
) -> None:
    asking = make_asking("yes_no", n=8, samples=2)
    whole = run(asking, yes_no_teacher(refuse=[3, 5]), tmp_path / "whole")
    first = yes_no_teacher(refuse=[3, 5])
    with pytest.raises(Killed):
        run(asking, Stopping(first, stop), tmp_path / "cut")
    second = yes_no_teacher(refuse=[3, 5])
    growth = run(asking, second, tmp_path / "cut")
    assert growth.train == whole.train
    assert growth.report == whole.report
    total = whole.cost.total.asked
    assert len(second.calls) == total - stop
    third = yes_no_teacher(refuse=[3, 5])
    assert run(asking, third, tmp_path / "cut").train == whole.train
    assert third.calls == []


def test_more_examples_later_keep_what_there_is(make_asking: Any, tmp_path: Path) -> None:
    few = run(make_asking("yes_no", n=6, samples=2), yes_no_teacher(), tmp_path)
    generator = yes_no_teacher()
    many = run(make_asking("yes_no", n=10, samples=2), generator, tmp_path)
    assert [item.question for item in many.train[:6]] == [item.question for item in few.train]
    assert len(generator.calls) == 4 * 3


def test_right_answers_stand_everywhere(make_asking: Any, teacher_of: Any, tmp_path: Path) -> None:
    texts = [choice_text(f"{animal}{number}") for number in range(2) for animal in ANIMALS[:5]]
    teacher = teacher_of(texts, lambda *_: "harbour")
    growth = run(make_asking(n=10, samples=1), teacher, tmp_path)
    assert growth.report.splits["train"].positions == dict.fromkeys("abcde", 2)
    assert Counter(item.choices.index("harbour") for item in growth.train) == dict.fromkeys(
        range(5), 2
    )
