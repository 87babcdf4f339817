"""Grouping of prompts that begin alike."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from distilwhy.generators.prefixes import MIN_PREFIX, common_prefix, group_by_prefix

TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=12)
BEGINNINGS = st.sampled_from([[], [7] * 70, [7] * 70 + [8] * 10, [7] * 200, [9] * 63])
PROMPTS = st.lists(st.tuples(BEGINNINGS, TOKENS).map(lambda pair: pair[0] + pair[1]), max_size=25)


@given(PROMPTS)
def test_groups_are_a_partition_with_true_prefixes(prompts: list[list[int]]) -> None:
    groups = group_by_prefix(prompts)
    places = [place for group in groups for place in group.members]
    assert sorted(places) == list(range(len(prompts)))
    for group in groups:
        members = [prompts[place] for place in group.members]
        assert len({tuple(prompt[: group.prefix]) for prompt in members}) == 1
        assert all(len(prompt) > group.prefix for prompt in members)
        assert group.prefix == 0 or (group.prefix >= MIN_PREFIX and len(members) > 1)
        assert members == sorted(members)
    assert sum(group.prefix == 0 for group in groups) <= 1


@given(PROMPTS.filter(lambda prompts: len(prompts) > 1))
def test_order_of_the_prompts_does_not_matter(prompts: list[list[int]]) -> None:
    def contents(items: list[list[int]]) -> list[tuple[int, list[list[int]]]]:
        return sorted(
            (group.prefix, sorted(items[place] for place in group.members))
            for group in group_by_prefix(items)
        )

    assert contents(prompts) == contents(prompts[::-1])


def test_two_families_of_prompts() -> None:
    first, second = list(range(100)), list(range(500, 600))
    prompts = [[*first, 1], [*second, 5], [*first, 2, 3], [77], [*second, 6], [*first, 4]]
    groups = {group.prefix: group.members for group in group_by_prefix(prompts[:4])}
    assert groups == {100: (0, 2), 0: (3, 1)}
    assert sorted(group.members for group in group_by_prefix(prompts)) == [(0, 2, 5), (1, 4), (3,)]


def test_one_prompt_that_shares_little_does_not_spoil_the_prefix() -> None:
    shared = list(range(200))
    prompts = [[*shared, 1], [*shared, 2], [*shared[:70], 999], [*shared, 3]]
    groups = group_by_prefix(prompts)
    assert [(group.prefix, len(group.members)) for group in groups] == [(200, 3), (0, 1)]


def test_common_prefix_leaves_one_token() -> None:
    assert common_prefix([1, 2, 3], [1, 2, 3], 9) == 2
    assert common_prefix([1, 2, 3], [1, 2, 3, 4], 9) == 3
    assert common_prefix([1, 2, 3], [1, 9, 3], 9) == 1
    assert common_prefix([1, 2, 3, 4], [1, 2, 3, 4, 5], 2) == 2
    assert common_prefix([1], [1], 9) == 0
