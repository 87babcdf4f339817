"""Waits and limits of the API backend, by hand-made cases."""

from __future__ import annotations

import asyncio
import email.utils
import time

import pytest

from distilwhy.generators.api_traffic import Traffic, backoff, retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}, 0.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Sun, 99 Foo 1994 99:49:37 GMT"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_a_date() -> None:
    date = email.utils.formatdate(time.time() + 100, usegmt=True)
    seconds = retry_after({"retry-after": date})
    assert seconds is not None
    assert 90 < seconds <= 100


def test_waits_double_with_jitter_up_to_the_longest() -> None:
    for attempt, full in ((1, 0.5), (2, 1), (3, 2), (4, 4), (9, 60), (5000, 60)):
        waits = [backoff(attempt, 0.5, 60) for _ in range(200)]
        assert full / 2 <= min(waits) < 0.6 * full
        assert 0.9 * full < max(waits) <= full


def test_the_limit_halves_once_a_round_and_grows_by_one_a_round() -> None:
    async def work() -> None:
        traffic = Traffic(8)
        rounds = [await traffic.enter() for _ in range(8)]
        for round_ in rounds:
            traffic.refused(round_)
            await traffic.leave()
        assert traffic.limit == 4
        for limit in range(4, 8):
            for _ in range(limit + 1):
                traffic.answered()
            assert limit + 1 <= traffic.limit < limit + 1.5
        for _ in range(99):
            traffic.answered()
        assert traffic.limit == 8
        for _ in range(9):
            traffic.refused(await traffic.enter())
            await traffic.leave()
        assert traffic.limit == 1
        assert traffic.room(0)
        assert not traffic.room(1)
        traffic.pause(60)
        assert not traffic.room(0)

    asyncio.run(work())
