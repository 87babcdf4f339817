"""Near-duplicates: hand-made pairs on both sides of the threshold, and all pairs compared."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilwhy.growing.settings import GrowingSettings
from distilwhy.records import Example
from distilwhy.tasks.duplicates import NearDuplicates, similarity

THRESHOLD = GrowingSettings(model="x").similarity
SAME = [
    ("What do cows mainly eat in a pasture?", "What do cows eat in a pasture?"),
    ("What do cows eat in a pasture?", "In a pasture, what do cows eat?"),
    ("Where would a sailor sleep during a voyage?", "Where would sailors sleep during voyages?"),
    ("Can penguins fly?", "can a penguin fly"),
    ("What is the capital of France?", "What's the capital city of France?"),
    ("Three ducks are swimming across the pond.", "Three ducks swim across the pond."),
    ("My parcel was sent but has not arrived.", "My parcel has not arrived; it was sent."),
    ("Where do you put a kettle to boil water?", "Where would you put a kettle to boil water?"),
    ("Which tool drives a nail into wood?", "What tool drives nails into wood?"),
    ("What covers the top of a high mountain?", "What covers the tops of very high mountains?"),
    ("Is a dozen eggs enough for five people?", "Are a dozen eggs enough for five people?"),
]
OTHER = [
    ("What is the capital of France?", "What is the capital of Spain?"),
    ("What do cows mainly eat?", "What do horses mainly eat?"),
    ("Can penguins fly?", "Can parrots fly?"),
    ("Where would you keep milk cold?", "Where would you keep a car dry?"),
    ("What is 12 + 7?", "What is 12 - 7?"),
    ("What is 12 + 7?", "What is 13 + 8?"),
    ("Which tool makes a small round hole in a board?", "Which tool cuts a board in two?"),
    ("A man is walking a dog.", "A woman is walking a dog."),
    ("Would ten eggs be enough for five people?", "Would ten eggs be enough to bake a cake?"),
    ("My parcel has not arrived.", "My invoice has not arrived."),
    ("Where do you find a book?", "Where do you find a fish?"),
    ("What is it?", "Who is he?"),
]


def example(question: str, context: str | None = None, name: str = "x") -> Example:
    return Example(id=name, question=question, context=context, choices=("yes", "no"))


@pytest.mark.parametrize(("first", "second"), SAME)
def test_the_same_question_in_other_words(first: str, second: str) -> None:
    assert similarity(example(first), example(second)) >= THRESHOLD


@pytest.mark.parametrize(("first", "second"), OTHER)
def test_another_question_in_similar_words(first: str, second: str) -> None:
    assert similarity(example(first), example(second)) < THRESHOLD


def test_similarity_worked_out_by_hand() -> None:
    # cow, eat, pasture of cow, mainly, eat, pasture
    assert similarity(example(SAME[0][0]), example(SAME[0][1])) == 3 / 4
    assert similarity(example("Kühe?"), example("KÜHE")) == 1


def test_contexts_count_as_well() -> None:
    first = example("Somebody sleeps.", "A man lies in bed.")
    assert similarity(first, example("Somebody eats.", "A man lies in bed.")) < THRESHOLD
    assert similarity(first, example("Somebody sleeps.", "A dog runs home.")) == 0
    assert similarity(first, example("Somebody sleeps.")) == 0
    assert similarity(first, example("Somebody sleeps!", "A man in a bed lies.")) == 1


def test_twins_are_named_and_only_new_questions_are_remembered() -> None:
    known = NearDuplicates(THRESHOLD)
    known.add([example("Where do cows sleep at night?", name="t1")], "test")
    known.add([example("Can penguins fly?", name="s1")], "seed")
    new = [
        example("Where does a cow sleep at night?", name="g0"),
        example("Where do ships wait?", name="g1"),
        example("Can a penguin fly?", name="g2"),
        example("Where does a ship wait?", name="g3"),
        example("Which bird sings best?", name="g4"),
    ]
    twins = known.sift(new, "grown")
    assert [twin and (twin.origin, twin.example, twin.similarity) for twin in twins] == [
        ("test", "t1", 1.0),
        None,
        ("seed", "s1", 1.0),
        ("grown", "g1", 1.0),
        None,
    ]
    (later,) = known.sift([example("Where do the ships wait?", name="g5")], "grown")
    assert later is not None
    assert later.example == "g1"


WORDS = ("cow", "ship", "lake", "bird", "stone")
QUESTIONS = st.lists(
    st.tuples(
        st.sets(st.sampled_from(WORDS), min_size=1), st.sampled_from(("", "lake", "bird cow"))
    ),
    max_size=12,
)


@given(QUESTIONS, st.sampled_from((0.3, 0.5, 2 / 3, 1.0)))
def test_no_pair_is_missed_and_none_made_up(
    drawn: list[tuple[set[str], str]], threshold: float
) -> None:
    questions = [
        example(" ".join(sorted(words)), context or None, str(number))
        for number, (words, context) in enumerate(drawn)
    ]
    known = NearDuplicates(threshold)
    known.add(questions[:3], "test")
    twins = known.sift(questions[3:], "grown")
    kept = list(questions[:3])
    for question, twin in zip(questions[3:], twins, strict=True):
        best = max((similarity(question, other) for other in kept), default=0.0)
        if twin is None:
            assert best < threshold
            kept.append(question)
        else:
            assert twin.similarity == pytest.approx(best)
            assert best >= threshold


def test_thousands_of_questions_are_sifted_in_blocks() -> None:
    names = [f"{a}{b}" for a, b in product("bcdfghjklmnpqrstvwxz", repeat=2)]
    questions = [example(f"{a} {b}", name=f"{a}-{b}") for a, b in product(names[:40], names[40:80])]
    known = NearDuplicates(1.0)
    twins = known.sift([*questions, *questions], "grown")
    assert twins[:1600] == [None] * 1600
    assert [twin and twin.example for twin in twins[1600:]] == [q.id for q in questions]
