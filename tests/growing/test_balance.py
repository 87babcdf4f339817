"""Labels and positions of right answers are as even as the number of examples allows."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from distilwhy.growing.balance import (
    balanced_sizes,
    place_answers,
    ranked_labels,
    shuffled,
    spread,
)
from distilwhy.records import Example

LABELS = st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=6, unique=True)


def questions(counts: list[int]) -> list[Example]:
    return [
        Example(
            id=f"q{number}",
            question="Which?",
            choices=tuple(f"c{choice}" for choice in range(count)),
            answer="c0",
        )
        for number, count in enumerate(counts)
    ]


@given(LABELS, st.integers(0, 200), st.integers(0, 5))
def test_labels_share_evenly(labels: list[str], n: int, seed: int) -> None:
    ranked = ranked_labels(labels, seed)
    shares = spread(n, ranked)
    assert sorted(ranked) == sorted(labels)
    assert sum(shares.values()) == n
    assert max(shares.values()) - min(shares.values()) <= 1


@given(LABELS, st.data())
def test_short_labels_hold_the_others_back(labels: list[str], data: st.DataObject) -> None:
    wanted = spread(data.draw(st.integers(1, 40)), labels)
    available = {label: data.draw(st.integers(0, 60)) for label in labels}
    sizes = balanced_sizes(available, wanted)
    assert max(sizes.values()) - min(sizes.values()) <= 1
    assert all(sizes[label] <= min(available[label], wanted[label]) for label in labels)
    if all(available[label] >= wanted[label] for label in labels):
        assert sizes == wanted


def test_short_labels_worked_out_by_hand() -> None:
    wanted = {"yes": 10, "no": 10}
    assert balanced_sizes({"yes": 14, "no": 3}, wanted) == {"yes": 4, "no": 3}
    assert balanced_sizes({"yes": 14, "no": 0}, wanted) == {"yes": 1, "no": 0}
    assert balanced_sizes({"yes": 14, "no": 12}, wanted) == wanted


@given(st.lists(st.integers(2, 6), max_size=60), st.integers(0, 9))
def test_right_answers_stand_everywhere_alike(counts: list[int], seed: int) -> None:
    examples = questions(counts)
    placed = place_answers(examples, seed)
    assert [item.id for item in placed] == [item.id for item in examples]
    for count in set(counts):
        of_count = [item for item in placed if len(item.choices) == count]
        places = Counter(item.choices.index("c0") for item in of_count)
        assert max(places.values()) - min(places[place] for place in range(count)) <= 1
    for before, after in zip(examples, placed, strict=True):
        assert sorted(after.choices) == sorted(before.choices)
        assert after.answer == before.answer


def test_positions_do_not_follow_a_pattern() -> None:
    placed = place_answers(questions([4] * 400), 0)
    places = [item.choices.index("c0") for item in placed]
    assert Counter(places) == {0: 100, 1: 100, 2: 100, 3: 100}
    assert len({tuple(places[start : start + 4]) for start in range(0, 400, 4)}) > 20
    assert places != [item.choices.index("c0") for item in place_answers(questions([4] * 400), 1)]
    wrong = Counter(item.choices.index("c1") for item in placed)
    assert max(wrong.values()) < 140


def test_shuffling_keeps_choices_and_depends_on_its_parts_only() -> None:
    example = questions([5])[0].model_copy(update={"choices": ("a", "b", "a", "c", "d")})
    orders = {shuffled(example, 0, sample).choices for sample in range(20)}
    assert len(orders) > 5
    assert all(sorted(order) == ["a", "a", "b", "c", "d"] for order in orders)
    assert shuffled(example, 0, 3) == shuffled(example, 0, 3)
