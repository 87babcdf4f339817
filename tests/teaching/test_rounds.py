"""Rounds of critique and revision: what each is about, and when they end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from distilwhy.config import TeachingSettings
from distilwhy.files import write_records
from distilwhy.generators.recorded import RecordedGenerator
from distilwhy.generators.scripted import ScriptedGenerator
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Annotation, Example
from distilwhy.teaching.annotate import AnnotationResult, annotate
from distilwhy.teaching.draws import draw_flaw
from distilwhy.teaching.rounds import finds_nothing
from distilwhy.teaching.steps import Asking, critique_prompt, revision_prompt

EXAMPLE = Example(id="q", question="What is wet?", choices=("sand", "rain"), answer="rain")
SETTINGS = TeachingSettings(
    shots=2, steps=("rationale", "critique", "revision"), critique_rounds=3, adjective_pairs=1
)


def scripted(critiques: dict[str, str], revisions: dict[str, str]) -> ScriptedGenerator:
    """Return a teacher by what it makes of each explanation; the rationale is 'R.'."""

    def write(prompt: str) -> str:
        last = prompt.rsplit("\n\n", 1)[-1]
        if "Explanation: " not in last:
            return " R."
        explanation = last.split("Explanation: The answer is rain. ")[1].split("\n")[0]
        return f" {(revisions if 'Critique: ' in last else critiques)[explanation]}"

    return ScriptedGenerator(write)


def run(generator: ScriptedGenerator, path: Path, rounds: int = 3) -> AnnotationResult:
    settings = SETTINGS.model_copy(update={"critique_rounds": rounds})
    return annotate([EXAMPLE], generator, settings, seed=0, store_path=path)


def shown(annotation: Annotation) -> list[tuple[str | None, str | None]]:
    return [
        (one.critique and one.critique.text, one.revision and one.revision.text)
        for one in annotation.rounds
    ]


def test_each_round_criticises_what_the_last_one_left(tmp_path: Path) -> None:
    generator = scripted(
        {"R.": "Bad.", "A.": "Worse.", "B.": "Poor."}, {"R.": "A.", "A.": "B.", "B.": "C."}
    )
    result = run(generator, tmp_path / "t.jsonl")
    (annotation,) = result.annotations
    assert shown(annotation) == [("Bad.", "A."), ("Worse.", "B."), ("Poor.", "C.")]
    assert annotation.critique
    assert annotation.revision
    assert (annotation.critique.text, annotation.revision.text) == ("Poor.", "C.")
    assert result.outcome.rounds
    assert (result.outcome.rounds.examples, result.outcome.rounds.settled) == ({3: 1}, 0)
    assert result.counts["critique"].n == result.counts["revision"].n == 3


NOTHING = "There is nothing to mend."


@pytest.mark.parametrize(
    ("critiques", "revisions", "rounds", "final", "skipped"),
    [
        # A later critique that finds nothing: the last revision stands.
        (
            {"R.": "Bad.", "A.": NOTHING},
            {"R.": "A."},
            [("Bad.", "A."), (NOTHING, None)],
            ("Bad.", "A."),
            (1, 2),
        ),
        # The first round is whole even so, and the last.
        ({"R.": NOTHING}, {"R.": "A."}, [(NOTHING, "A.")], (NOTHING, "A."), (2, 2)),
        # A revision that changes nothing but case.
        (
            {"R.": "Bad.", "A.": "Bad."},
            {"R.": "A.", "A.": "a."},
            [("Bad.", "A."), ("Bad.", "a.")],
            ("Bad.", "a."),
            (1, 1),
        ),
        # Empty texts: what was there before stands.
        (
            {"R.": "Bad.", "A.": "Bad."},
            {"R.": "A.", "A.": ""},
            [("Bad.", "A."), ("Bad.", "")],
            ("Bad.", "A."),
            (1, 1),
        ),
        (
            {"R.": "Bad.", "A.": ""},
            {"R.": "A."},
            [("Bad.", "A."), ("", None)],
            ("Bad.", "A."),
            (1, 2),
        ),
        ({"R.": ""}, {}, [("", None)], ("", None), (2, 3)),
    ],
)
def test_rounds_end_early(
    tmp_path: Path,
    critiques: dict[str, str],
    revisions: dict[str, str],
    rounds: list[tuple[str, str | None]],
    final: tuple[str, str | None],
    skipped: tuple[int, int],
) -> None:
    result = run(scripted(critiques, revisions), tmp_path / "t.jsonl")
    (annotation,) = result.annotations
    assert shown(annotation) == rounds
    assert annotation.critique
    revision = annotation.revision.text if annotation.revision else None
    assert (annotation.critique.text, revision) == final
    cost = result.cost.steps
    assert (cost["critique"].skipped, cost["revision"].skipped) == skipped
    assert cost["critique"].texts == cost["revision"].texts == 3
    assert result.outcome.rounds
    assert result.outcome.rounds.examples == {len(rounds): 1}
    assert result.outcome.rounds.settled == 1


def test_more_rounds_later_ask_only_for_them(tmp_path: Path) -> None:
    make: Callable[[], ScriptedGenerator] = lambda: scripted(  # noqa: E731
        {"R.": "Bad.", "A.": "Worse."}, {"R.": "A.", "A.": "B."}
    )
    once = run(make(), tmp_path / "t.jsonl", rounds=1)
    assert once.annotations[0].rounds == ()
    assert once.outcome.rounds is None
    generator = make()
    twice = run(generator, tmp_path / "t.jsonl", rounds=2)
    assert len(generator.calls) == 2
    assert shown(twice.annotations[0])[0] == ("Bad.", "A.")


def test_flaws_are_all_drawn_before_one_comes_again() -> None:
    flaws = tuple(load_prompts("nli").flaws)
    drawn = [draw_flaw(flaws, 0, "q", number) for number in range(1, 15)]
    assert drawn[0] == draw_flaw(flaws, 0, "q")
    assert set(drawn[:7]) == set(flaws)
    assert drawn[7:] == drawn[:7]
    others = {tuple(draw_flaw(flaws, 0, str(e), n) for n in range(1, 8)) for e in range(30)}
    assert len({order[1:] for order in others}) > 7


def test_only_later_critiques_may_find_nothing() -> None:
    asking = Asking(load_prompts("multiple_choice"), SETTINGS, 0)
    first, second = (critique_prompt(EXAMPLE, "A.", asking, number) for number in (1, 2))
    assert "nothing to mend" not in first.prompt
    assert second.prefix.startswith(first.prefix)
    flaw = asking.prompts.flaws[draw_flaw(tuple(asking.prompts.flaws), 0, "q", 2)]
    last = second.prompt.removeprefix(second.prefix)
    assert f"Request: {flaw.critique} If there is nothing to mend, say so.\n" in last
    added = second.prefix.removeprefix(first.prefix).strip().split("\n\n")
    good, flawed = asking.worked
    assert [block.rsplit("critique: ", 1)[1] for block in added] == [NOTHING, flawed.critique]
    assert good.rationale in added[0]
    assert flawed.flawed_rationale in added[1]
    assert all("If there is nothing to mend, say so.\n" in block for block in added)
    revision = revision_prompt(EXAMPLE, "A.", "Bad.", asking, 2)
    assert flaw.revision in revision.prompt.removeprefix(revision.prefix)
    assert revision.prefix == revision_prompt(EXAMPLE, "A.", "Bad.", asking).prefix


@pytest.mark.parametrize(
    "critique",
    [
        NOTHING,
        "Nothing to improve here.",
        "I see nothing that needs to change, and nothing at all to mend.",
        "There are no errors in it.",
        "I find no real problem.",
        "The explanation has no flaws.",
        "It needs no change.",
    ],
)
def test_critiques_that_find_nothing(critique: str) -> None:
    assert finds_nothing(critique)


@pytest.mark.parametrize(
    "critique",
    [
        "",
        "The explanation says nothing about the cold.",
        "There is no mention of water.",
        "There is nothing to mend, but the last word is vague.",
        "There are no errors except in the second sentence.",
        "The error is that sand is not wet.",
        "Nothing is said about why rain is wet.",
    ],
)
def test_critiques_that_find_something(critique: str) -> None:
    assert not finds_nothing(critique)


def test_a_prompt_file_may_say_so_in_its_own_words() -> None:
    assert finds_nothing("Hier ist  NICHTS zu verbessern!", "Hier ist nichts zu verbessern.")
    assert not finds_nothing("Hier ist viel zu verbessern.", "Hier ist nichts zu verbessern.")


def test_rounds_are_replayed_from_annotations(tmp_path: Path) -> None:
    generator = scripted({"R.": "Bad.", "A.": "Worse.", "B.": NOTHING}, {"R.": "A.", "A.": "B."})
    result = run(generator, tmp_path / "t.jsonl")
    write_records(tmp_path / "annotations.jsonl", result.annotations)
    replay = RecordedGenerator(tmp_path / "annotations.jsonl")
    again = annotate([EXAMPLE], replay, SETTINGS, seed=5, store_path=tmp_path / "again.jsonl")
    assert shown(again.annotations[0]) == shown(result.annotations[0])


def test_annotations_written_before_there_were_rounds_are_read() -> None:
    old = {"example": EXAMPLE.model_dump(), "teacher": "t", "revision": {"text": "R."}}
    annotation = Annotation.model_validate(old)
    assert (annotation.rounds, annotation.extra, annotation.labelled_by) == ((), {}, "gold")
