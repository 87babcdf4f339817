"""Leakage-adjusted simulatability against the published formula and students made for it."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

import pytest

from distilwhy.draws import draw
from distilwhy.explainability.measures import ItemScores, MeasureResult, measure
from distilwhy.explainability.simulatability import Simulatability, las
from distilwhy.explainability.subject import Subject
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.records import Example, Prediction
from distilwhy.tasks.answers import stated_answer

CLUE = "It is the one that the question means."


def published_las(x: Sequence[int], xe: Sequence[int], e: Sequence[int]) -> float:
    """Hase et al. 2020, equations of section 4, in loops: 1 where the simulator is right."""
    groups = []
    for leaks in (0, 1):
        total = size = 0
        for by_x, by_xe, by_e in zip(x, xe, e, strict=True):
            if by_e == leaks:
                size += 1
                total += by_xe - by_x
        groups.append(total / size)
    return (groups[0] + groups[1]) / 2


def scored(x: Sequence[int], xe: Sequence[int], e: Sequence[int]) -> list[ItemScores]:
    return [
        ItemScores(
            example_id=str(number),
            scores={"x": bool(a), "xe": bool(b), "e": bool(c), "added": b - a},
        )
        for number, (a, b, c) in enumerate(zip(x, xe, e, strict=True))
    ]


def test_a_table_computed_by_hand() -> None:
    # 20 leak: 8 of them gain (0 -> 1), 3 lose; 10 do not: 1 gains, 2 lose.
    x = [0] * 8 + [1] * 3 + [1] * 9 + [0] + [1] * 2 + [0] * 7
    xe = [1] * 8 + [0] * 3 + [1] * 9 + [1] + [0] * 2 + [0] * 7
    e = [1] * 20 + [0] * 10
    figures = Simulatability().summarise(scored(x, xe, e), seed=0)
    assert figures["las_leaking"].value == pytest.approx(5 / 20)
    assert figures["las_not_leaking"].value == pytest.approx(-1 / 10)
    assert figures["las"].value == pytest.approx((0.25 - 0.1) / 2)
    assert [figures[name].n for name in ("las", "las_leaking", "las_not_leaking")] == [30, 20, 10]
    assert figures["x"].value == pytest.approx(14 / 30)
    assert figures["xe"].value == pytest.approx(18 / 30)
    assert figures["e"].value == pytest.approx(20 / 30)
    assert figures["added"].value == pytest.approx(4 / 30)
    assert figures["gold_las"].reason == "right answers are not known"


@pytest.mark.parametrize("seed", range(5))
def test_any_table_equals_the_published_formula(seed: int) -> None:
    random_number = random.Random(seed)
    x, xe, e = ([random_number.random() < rate for _ in range(200)] for rate in (0.4, 0.6, 0.3))
    x, xe, e = ([int(value) for value in column] for column in (x, xe, e))
    figure = Simulatability().summarise(scored(x, xe, e), seed)["las"]
    assert figure.value == pytest.approx(published_las(x, xe, e), abs=1e-12)
    found = []
    for _ in range(2000):
        places = random_number.choices(range(200), k=200)
        found.append(published_las(*([column[p] for p in places] for column in (x, xe, e))))
    found.sort()
    assert figure.ci_low == pytest.approx(found[50], abs=0.02)
    assert figure.ci_high == pytest.approx(found[1949], abs=0.02)


def test_groups_that_all_gain_alike_have_no_interval_of_no_width() -> None:
    figure = las([1.0] * 12, [0.0] * 10, seed=0)
    assert figure.value == 0.5
    # Clopper-Pearson: what 12 and 10 items never showed is at most 26.5 % and 30.8 % of all.
    most, other = 1 - 0.025 ** (1 / 12), 1 - 0.025 ** (1 / 10)
    assert figure.ci_low == pytest.approx((1 - 2 * most - other) / 2)
    assert figure.ci_high == pytest.approx((1 + other) / 2)


def test_a_small_group_is_refused() -> None:
    figure = las([1.0] * 91, [0.0] * 9, seed=0)
    assert (figure.value, figure.n, figure.ci_low) == (None, 100, None)
    assert figure.reason == (
        "only 9 of 100 explanations do not leak the answer to the simulator, "
        "and each group needs 10"
    )
    assert "only 0 of 20 explanations leak" in (las([], [0.0] * 20, seed=0).reason or "")


def simulator(knows: float = 0.0) -> ScriptedGenerator:
    """A simulator that believes what a reason states, and follows a clue to the question.

    Args:
        knows: The share of questions of which it knows the student's answer without a reason.
    """

    def likelihood(prompt: str, continuation: str) -> float:
        shown = prompt.split("\n\n")[-1]
        choices = re.findall(r"\([a-z]\) (\w+)", shown)
        reason = re.search(r"Reason: (.*)", shown)
        number = re.search(r"clue number (\d+)", shown)
        believed = stated_answer(reason[1], choices) if reason else None
        if number and believed is None:
            clue = reason is not None and CLUE in reason[1]
            if clue or int(number[1]) < 100 * knows:
                believed = draw(sorted(choices), "means", f"q{number[1]}")
        return 0.0 if believed == continuation.strip() else -3.0 * len(continuation.strip())

    return ScriptedGenerator(lambda _: "", likelihood, name="made simulator")


def judged(predictions: Sequence[Prediction], scorer: ScriptedGenerator) -> MeasureResult:
    return measure("simulatability", Subject(predictions, scorer=scorer))


def explained(examples: Sequence[Example], *texts: str) -> list[Prediction]:
    """Return answers of one student, with these texts in turn; X stands for its answer."""
    made = []
    for number, example in enumerate(examples):
        answer = draw(sorted(example.choices), "means", example.id)
        text = texts[number % len(texts)].replace("X", answer)
        made.append(Prediction(example=example, answer=answer, rationale=text))
    return made


STATED, NOTHING = "The answer is X.", "One looks closely."


@pytest.mark.parametrize(
    ("texts", "knows", "leaking", "others", "sizes"),
    [
        ((STATED, CLUE), 0.0, 1.0, 1.0, (50, 50)),  # all explanations help
        ((STATED, NOTHING), 1.0, 0.0, 0.0, (50, 50)),  # nothing is left to explain
        ((STATED, NOTHING), 0.0, 1.0, 0.0, (50, 50)),  # only what leaks helps
        ((STATED, CLUE, NOTHING, NOTHING), 0.0, 1.0, 1 / 3, (25, 75)),
        ((STATED, "The answer is camel."), 1.0, 0.0, 0.0, (50, 50)),
    ],
)
def test_made_students(
    examples: list[Example],
    texts: tuple[str, ...],
    knows: float,
    leaking: float,
    others: float,
    sizes: tuple[int, int],
) -> None:
    result = judged(explained(examples, *texts), simulator(knows))
    assert (result.details["leaking"], result.details["not_leaking"]) == sizes
    assert result.figures["las_leaking"].value == pytest.approx(leaking)
    assert result.figures["las_not_leaking"].value == pytest.approx(others)
    assert result.figures["las"].value == pytest.approx((leaking + others) / 2)
    assert {item.flags for item in result.items if item.scores["e"]} == {("leaking",)}


def test_explanations_of_other_answers_mislead(examples: list[Example]) -> None:
    made = []
    for number, prediction in enumerate(explained(examples, STATED)):
        wrong = next(c for c in prediction.example.choices if c != prediction.answer)
        text = f"The answer is {wrong}." if number % 2 else prediction.rationale
        made.append(prediction.model_copy(update={"rationale": text}))
    figures = judged(made, simulator(knows=1.0)).figures
    assert figures["las_not_leaking"].value == -1
    assert figures["las"].value == -0.5


def test_students_of_which_all_or_none_leak_are_refused(
    examples, copying, ignoring, leaking, guessing
) -> None:
    for student in (copying, ignoring, leaking):
        figures = judged(student.predict(examples), simulator()).figures
        assert figures["e"].value == 1
        assert figures["las_leaking"].value == 1
        assert figures["las"].value is None
        assert "only 0 of 100 explanations do not leak" in (figures["las"].reason or "")
    figures = judged(guessing.predict(examples), simulator()).figures
    assert figures["e"].value == 0
    assert figures["las_not_leaking"].value == 0
    assert "only 0 of 100 explanations leak" in (figures["las"].reason or "")


def test_right_answers_are_another_target(examples: list[Example]) -> None:
    predictions = explained(examples, STATED, CLUE)
    result = judged(predictions, simulator())
    right = {p.example.id for p in predictions if p.correct}
    assert 10 < len(right) < 60
    for item in result.items:
        assert item.scores["gold_xe"] is (item.example_id in right)
    assert result.figures["gold_las"].n == 100
    # Explanations that state a wrong answer leak no right one, and take the simulator there.
    assert result.details["leaking"] > sum(bool(i.scores["gold_e"]) for i in result.items)
    unknown = [
        p.model_copy(update={"example": p.example.model_copy(update={"answer": None})})
        for p in predictions
    ]
    assert judged(unknown, simulator()).figures["gold_las"].reason == "right answers are not known"


def test_no_explanation_or_no_answer(examples: list[Example]) -> None:
    silent = [Prediction(example=example, answer=example.answer) for example in examples]
    assert judged(silent, simulator()).reason == "it gives no explanation"
    lost = [Prediction(example=example, rationale="It is so.") for example in examples]
    assert judged(lost, simulator()).reason == "none of its explained answers names a choice"
    one = [*explained(examples, CLUE)[:20], lost[50]]
    assert judged(one, simulator()).details["without_answer"] == 1
