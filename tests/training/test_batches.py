"""Steps of whole examples, cut into forward passes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from distilwhy.students.rows import EncodedRow
from distilwhy.training.batches import Bundle, StepSampler, cut_sorted, flatten, passes_for


def by_itself(lengths: Sequence[int]) -> Callable[[Sequence[int]], list[Bundle]]:
    """Bundle no row with another."""
    return lambda rows: [Bundle([row], lengths[row]) for row in rows]


def sampler(groups: list[list[int]], **options: int) -> StepSampler:
    rows = [row for group in groups for row in group]
    lengths = [random.Random(row).randint(1, 50) for row in range(max(rows, default=0) + 1)]
    return StepSampler(groups, by_itself(lengths), **{"batch_size": 2, **options})


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=30).filter(any),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 5),
)
def test_an_epoch_holds_each_row_once(
    sizes: list[int], batch_size: int, micro_batches: int, seed: int
) -> None:
    groups, start = [], 0
    for size in sizes:
        groups.append(list(range(start, start + size)))
        start += size
    steps = sampler(groups, batch_size=batch_size, micro_batches=micro_batches, seed=seed)
    passes = list(steps)
    assert sorted(row for rows in passes for row in rows) == list(range(start))
    assert all(passes), "a forward pass without rows cannot be computed"
    assert len(passes) == len(steps) == steps.steps * steps.micro_batches
    assert steps.micro_batches <= micro_batches
    # The views of an example stand in one step, as its terms of the loss belong together.
    step_of = {
        row: number // steps.micro_batches for number, rows in enumerate(passes) for row in rows
    }
    for group in groups:
        assert len({step_of[row] for row in group}) <= 1


def test_order_is_seeded_and_new_in_each_epoch() -> None:
    groups = [[number] for number in range(20)]
    first, same, other = (sampler(groups, seed=seed) for seed in (1, 1, 2))
    assert list(first) == list(same)
    assert list(first) != list(other)
    before = list(first)
    first.set_epoch(1)
    assert list(first) != before
    first.set_epoch(0)
    assert list(first) == before


def test_short_and_long_rows_do_not_pad_each_other() -> None:
    lengths = [5, 90, 7, 80, 6, 85, 8, 95]
    groups = [[0, 1], [2, 3], [4, 5], [6, 7]]
    steps = StepSampler(groups, by_itself(lengths), batch_size=4, micro_batches=2)
    short, long = list(steps)
    assert sorted(lengths[row] for row in short) == [5, 6, 7, 8]
    assert sorted(lengths[row] for row in long) == [80, 85, 90, 95]


def test_rows_of_one_source_stand_in_one_pass() -> None:
    def bundle(rows: Sequence[int]) -> list[Bundle]:
        return [Bundle(list(rows), 10 * (1 + min(rows) % 4))]

    groups = [[0, 1, 2], [3, 4], [5], [6, 7, 8]]
    passes = list(StepSampler(groups, bundle, batch_size=4, micro_batches=2, seed=3))
    assert len(passes) == 2
    assert sorted(row for rows in passes for row in rows) == list(range(9))
    for group in groups:
        assert sum(set(group) <= set(rows) for rows in passes) == 1
    # Cut by what the bundles take together: lengths 10 and 20, 30 and 40.
    assert passes == [[0, 1, 2, 5], [6, 7, 8, 3, 4]]


def test_an_example_whose_rows_are_bundled_fills_one_pass_only() -> None:
    steps = StepSampler(
        [[0, 1], [2, 3]],
        lambda rows: [Bundle(list(rows), 5)],
        batch_size=2,
        micro_batches=2,
        counted=lambda row, step: row < 2,
    )
    # Two rows of one bundle count; a pass without rows is no pass, so all count.
    assert [sorted(rows) for rows in steps] == [[0, 1], [2, 3]]


def test_flatten_keeps_the_places_of_an_examples_rows() -> None:
    one, two, three = (EncodedRow(view, (1,), (2,), 0, False) for view in range(3))
    rows, groups = flatten([[one, two], [], [three]])
    assert rows == [one, two, three]
    assert groups == [[0, 1], [], [2]]


def largest(lengths: list[int], sizes: list[int]) -> int:
    """Return the positions of the largest part, padding counted."""
    parts, start = [], 0
    for size in sizes:
        parts.append(size * lengths[start + size - 1])
        start += size
    return max(parts)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=9), st.integers(1, 9))
def test_no_other_cut_has_a_smaller_largest_pass(lengths: list[int], parts: int) -> None:
    lengths, parts = sorted(lengths), min(parts, len(lengths))
    sizes = cut_sorted(lengths, parts)
    assert len(sizes) == parts
    assert all(sizes)
    assert sum(sizes) == len(lengths)
    every = [
        [end - start for start, end in pairwise([0, *cuts, len(lengths)])]
        for cuts in combinations(range(1, len(lengths)), parts - 1)
    ]
    assert largest(lengths, sizes) == min(largest(lengths, other) for other in every)


def test_a_pass_holds_about_so_many_tokens() -> None:
    # Four examples of 100 tokens in two rows each; a step of three has 300.
    lengths = [40, 60] * 4
    assert passes_for(lengths, 4, 3, tokens=100) == 3
    assert passes_for(lengths, 4, 3, tokens=180) == 2
    assert passes_for(lengths, 4, 3, tokens=1000) == 1
    # More than there are examples make no larger step.
    assert passes_for(lengths, 4, 64, tokens=400) == 1
