"""Preferences: both orders, disagreement is a tie, position and length do not pass for quality."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import pytest

from distilwhy.config import CONSTRUCTS, JudgeSettings
from distilwhy.draws import stable_number
from distilwhy.errors import DataError
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.judging.forecast import forecast_preferences
from distilwhy.judging.judge import Judge
from distilwhy.judging.preference import ALL, PairCount, prefer
from distilwhy.records import Prediction

Said = Callable[..., Prediction]
Reads = Callable[[str], list[str]]
ONE = JudgeSettings(model="scripted", constructs=("completeness",))


def chance(*parts: str) -> float:
    """Return a number from 0 to 1 that the parts decide."""
    return stable_number(*parts) / 2**256


def noisy(odds: float, first: str, second: str) -> str:
    """Return A or B for log odds of the first; the same texts give the same winner in any order."""
    low, high = sorted((first, second))
    for_low = odds if low == first else -odds
    winner = low if chance(low, high) < 1 / (1 + math.exp(-for_low)) else high
    return "A" if winner == first else "B"


def groups(said: Said, n: int, **words: int) -> dict[str, list[Prediction]]:
    """Return predictors whose texts name them, with so many words each on average."""
    return {
        name: [
            said(
                q,
                " ".join(
                    [name, f"in pond {q}", *["word"] * (mean - 4 + stable_number(name, q) % 8)]
                ),
            )
            for q in range(n)
        ]
        for name, mean in words.items()
    }


def test_a_judge_that_always_says_first_has_no_preference(said: Said) -> None:
    judge = Judge(ScriptedGenerator(lambda prompt: "A"), ONE)
    found = prefer(groups(said, 10, ann=9, bob=20), judge)
    told = found.constructs["completeness"]
    assert told.pairs == (PairCount(first="ann", second="bob", ties=10),)
    assert {name: e.value for name, e in told.raw.strengths.items()} == {"ann": 0.0, "bob": 0.0}
    assert found.first_share == 1.0
    assert (found.verdicts, found.unreadable) == (20, 0)


def test_known_preferences_come_out(said: Said, explanations: Reads) -> None:
    strength = {"ann": 1.0, "bob": 0.0, "cid": -1.0}

    def write(prompt: str) -> str:
        first, second = explanations(prompt)
        odds = strength[first.split()[0]] - strength[second.split()[0]]
        return noisy(odds, first, second)

    judge = Judge(ScriptedGenerator(write), ONE)
    found = prefer(groups(said, 300, ann=12, bob=12, cid=12), judge)
    told = found.constructs["completeness"].raw
    assert told.units == 300
    assert told.comparisons == 900
    for name, estimate in told.strengths.items():
        assert estimate.value == pytest.approx(strength[name], abs=0.25)
        assert estimate.ci_low is not None
        assert estimate.ci_high is not None
        assert estimate.ci_low < strength[name] < estimate.ci_high
        assert estimate.ci_high - estimate.ci_low < 0.5
    assert found.first_share == pytest.approx(0.5)


def test_a_judge_of_length_prefers_nothing_at_equal_length(said: Said, explanations: Reads) -> None:
    rows = groups(said, 400, ann=16, bob=12)

    both = zip(rows["ann"], rows["bob"], strict=True)
    longer = [len(str(a.rationale).split()) - len(str(b.rationale).split()) for a, b in both]
    unit = math.sqrt(fmean(words**2 for words in longer))

    def write(prompt: str) -> str:
        first, second = explanations(prompt)
        more = len(first.split()) - len(second.split())
        return noisy(2 * math.tanh(more / unit), first, second)

    told = prefer(rows, Judge(ScriptedGenerator(write), ONE)).constructs["completeness"]
    raw, adjusted = (r.strengths["ann"] for r in (told.raw, told.length_adjusted))
    assert raw.value > 0.4
    assert raw.ci_low is not None
    assert raw.ci_low > 0.3
    assert abs(adjusted.value) < 0.15
    assert adjusted.ci_low is not None
    assert adjusted.ci_high is not None
    assert adjusted.ci_low < 0 < adjusted.ci_high
    slope = told.length_adjusted.covariate
    assert slope is not None
    assert slope.ci_low is not None
    assert slope.ci_high is not None
    assert slope.ci_low < 2 < slope.ci_high
    assert slope.value == pytest.approx(2, abs=0.5)


def test_a_judge_that_goes_by_length_alone_gives_a_reason(said: Said, explanations: Reads) -> None:
    def write(prompt: str) -> str:
        first, second = (len(text.split()) for text in explanations(prompt))
        return "tie" if first == second else "A" if first > second else "B"

    told = prefer(groups(said, 60, ann=13, bob=12), Judge(ScriptedGenerator(write), ONE))
    adjusted = told.constructs["completeness"].length_adjusted
    assert adjusted.reason is not None
    assert "explain every preference" in adjusted.reason
    assert not adjusted.strengths


def test_one_that_always_wins_has_no_finite_strength(said: Said, explanations: Reads) -> None:
    def write(prompt: str) -> str:
        return "A" if explanations(prompt)[0].startswith("ann") else "B"

    found = prefer(groups(said, 8, ann=9, bob=9), Judge(ScriptedGenerator(write), ONE))
    told = found.constructs["completeness"]
    assert told.pairs[0].wins == 8
    assert (
        told.raw.reason
        == "one side won every comparison against the others, so no strength is finite"
    )


def test_unreadable_verdicts_do_not_count_as_ties(said: Said, explanations: Reads) -> None:
    def write(prompt: str) -> str:
        first = explanations(prompt)[0]
        if "pond number 0?" in prompt:
            return "Hm." if first.startswith("ann") else "B"
        return "tie"

    found = prefer(groups(said, 5, ann=9, bob=9), Judge(ScriptedGenerator(write), ONE))
    told = found.constructs["completeness"]
    assert told.pairs == (PairCount(first="ann", second="bob", ties=4, unreadable=1),)
    assert told.raw.comparisons == 4
    assert found.unreadable == 1
    assert found.unreadable_text == "'Hm.'"


def test_all_constructs_are_summed_up(said: Said, tmp_path: Path) -> None:
    scripted = ScriptedGenerator(lambda prompt: "tie")
    rows = groups(said, 3, ann=9, bob=9)
    judge = Judge(scripted, store_path=tmp_path / "judge.jsonl")
    found = prefer(rows, judge)
    assert set(found.constructs) == {*CONSTRUCTS, ALL}
    assert found.constructs[ALL].pairs[0].ties == 15
    assert found.constructs[ALL].raw.units == 3
    told = forecast_preferences(rows, judge.settings, seed=0, store_path=tmp_path / "none.jsonl")
    assert told.total.texts == len(scripted.calls) == 3 * 5 * 2
    prefer(rows, judge)
    assert len(scripted.calls) == 30


def test_what_cannot_be_compared_is_said(said: Said) -> None:
    judge = Judge(ScriptedGenerator(lambda prompt: "A"), ONE)
    with pytest.raises(DataError, match="two predictors or more"):
        prefer({"ann": [said(1, "It wades.")]}, judge)
    with pytest.raises(DataError, match="'ann' and 'bob' explain no common question"):
        prefer({"ann": [said(1, "It wades.")], "bob": [said(2, "It wades."), said(1, " ")]}, judge)
