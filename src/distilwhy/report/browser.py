"""The content of the explanation browser: every question, all answers and reasons."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from distilwhy.explainability.measures import Score
from distilwhy.records import Example, Prediction
from distilwhy.report.data import Entry

NONE: dict[str, Any] = {"flags": [], "scores": []}

INERT = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}
"""Characters that could end a script element or a line of script, as JSON escapes."""


def browser_content(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return what the explanation browser shows, as plain values.

    Baselines are left out, as they give no reasons. Of several seeds of one student and condition
    the first is shown, which keeps the page small; ``seeds_left_out`` counts the others.

    Args:
        entries: All entries of the report.

    Returns:
        ``entries``: name and facets (pairs of a kind and a label to filter by) of each;
        ``questions``: the examples in order of first appearance, each with one answer an entry
        (``None`` where it was not asked), choices named by their position, -1 for none.
    """
    shown = _one_seed(entry for entry in entries if entry.kind != "baseline")
    examples = {
        prediction.example.id: prediction.example
        for entry in shown
        for prediction in entry.predictions
    }
    answers = [_answers(entry) for entry in shown]
    predictors = sum(entry.kind != "baseline" for entry in entries)
    return {
        "entries": [{"name": entry.name, "facets": _facets(entry)} for entry in shown],
        "seeds_left_out": predictors - len(shown),
        "questions": [
            _question(example, [found.get(key) for found in answers])
            for key, example in examples.items()
        ],
    }


def json_block(value: Any) -> Markup:
    """Write JSON for a ``<script type="application/json">`` element.

    Args:
        value: Plain values; parsing the text returns them unchanged.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character, escaped in INERT.items():
        text = text.replace(character, escaped)
    return Markup(text)  # noqa: S704 - no character is left that HTML gives a meaning


def _one_seed(entries: Any) -> list[Entry]:
    first: dict[tuple[str, str, str], Entry] = {}
    for entry in entries:
        key = (entry.kind, entry.student or "", entry.condition or entry.name)
        first.setdefault(key, entry)
    return list(first.values())


def _facets(entry: Entry) -> list[tuple[str, str]]:
    if entry.kind == "teacher":
        return [("Teacher", entry.name)]
    facets = [("Condition", entry.condition or entry.name)]
    return [("Student", entry.student), *facets] if entry.student else facets


def _question(example: Example, answers: list[dict[str, Any] | None]) -> dict[str, Any]:
    nli = example.family == "nli"
    return {
        "id": example.id,
        "question": example.question,
        "context": example.context,
        "context_label": "Premise" if nli else "Context",
        "question_label": "Hypothesis" if nli else "",
        "choices": list(example.choices),
        "right": example.choices.index(example.answer) if example.answer is not None else -1,
        "answers": answers,
    }


def _answers(entry: Entry) -> dict[str, dict[str, Any]]:
    """Return an entry's answers by example."""
    judged = _judged(entry)
    return {
        prediction.example.id: _answer(prediction, judged.get(prediction.example.id, NONE))
        for prediction in entry.predictions
    }


def _answer(prediction: Prediction, judged: dict[str, Any]) -> dict[str, Any]:
    choices = prediction.example.choices
    shown = {"reasons": prediction.rationale, **judged}
    if prediction.answer in choices:
        return {"choice": choices.index(prediction.answer), **shown}
    raw = prediction.answer_text or prediction.answer or ""
    return {"choice": -1, "raw": raw, **shown}


def _judged(entry: Entry) -> dict[str, dict[str, Any]]:
    """Return, by example, the flags and scores that measures gave an entry's explanations."""
    found: dict[str, dict[str, Any]] = {}
    for result in entry.measures:
        for item in result.items:
            judged = found.setdefault(item.example_id, {"flags": [], "scores": []})
            judged["flags"] += [flag for flag in item.flags if flag not in judged["flags"]]
            judged["scores"] += [
                (f"{result.measure}, {name.replace('_', ' ')}", _score(score))
                for name, score in item.scores.items()
                if score is not None
            ]
    return found


def _score(score: Score) -> str:
    if isinstance(score, bool):
        return "yes" if score else "no"
    return f"{score:.3g}" if isinstance(score, float) else str(score)
