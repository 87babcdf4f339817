"""How many rows are written together: doubled while that brings more tokens a second."""

from __future__ import annotations

import pytest

from distilwhy.generators.row_budget import FIRST_ROWS, STEPS, RowBudget


def seconds(rows: int, knee: int) -> float:
    """Return the time of a step on a machine that computes up to so many rows at one price."""
    return 0.1 * max(rows, knee) / knee


@pytest.mark.parametrize(
    ("knee", "found"), [(8, 32), (32, 32), (48, 64), (64, 64), (128, 128), (4096, 200)]
)
def test_rows_are_doubled_up_to_the_knee(knee: int, found: int) -> None:
    budget = RowBudget(200)
    for _ in range(10 * STEPS):
        budget.note(budget.rows, seconds(budget.rows, knee))
    assert (budget.rows, budget.is_settled) == (found, True)


def test_steps_that_other_programs_slow_down_do_not_count() -> None:
    budget = RowBudget(256)
    for number in range(10 * STEPS):
        slowed = 1 if number % 5 == 3 else 4 + number % 3
        budget.note(budget.rows, slowed * seconds(budget.rows, 64))
    assert (budget.rows, budget.is_settled) == (64, True)


def test_half_empty_steps_tell_nothing() -> None:
    budget = RowBudget(256)
    for _ in range(10 * STEPS):
        budget.note(FIRST_ROWS // 2, 0.1)
    assert (budget.rows, budget.rates) == (FIRST_ROWS, {})


def test_small_batches_need_no_measurement() -> None:
    assert RowBudget(8).is_settled
    assert RowBudget(8).rows == 8


def test_what_was_found_can_be_read() -> None:
    budget = RowBudget(256)
    for _ in range(10 * STEPS):
        budget.note(budget.rows, seconds(budget.rows, 64))
    assert (
        str(budget)
        == "64 texts at a time (tokens a second: 320 with 32, 640 with 64, 640 with 128)"
    )
