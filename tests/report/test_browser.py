from __future__ import annotations

from distilwhy.records import Example, Prediction
from distilwhy.report import Entry, ReportData
from distilwhy.report.browser import browser_content


def asked(entry: Entry, *predictions: Prediction) -> Entry:
    return entry.model_copy(update={"predictions": predictions})


def test_entries_and_questions_match_the_data(report_data: ReportData) -> None:
    content = browser_content(report_data.entries)
    names = [entry["name"] for entry in content["entries"]]
    assert names == [entry.name for entry in report_data.entries if entry.kind != "baseline"]
    assert len(content["questions"]) == 80
    for place, entry in enumerate(report_data.entries[:-1]):
        for question, prediction in zip(content["questions"], entry.predictions, strict=True):
            given = question["answers"][place]
            right = given["choice"] >= 0 and given["choice"] == question["right"]
            assert right == prediction.correct
            assert given["reasons"] == prediction.rationale


def test_equal_choices_count_as_one(report_data: ReportData) -> None:
    example = Example(id="x", question="Q?", choices=("b", "a", "a"), answer="a")
    entry = asked(report_data.entries[0], Prediction(example=example, answer="a"))
    question = browser_content([entry])["questions"][0]
    assert question["answers"][0]["choice"] == question["right"] == 1


def test_question_that_an_entry_was_not_asked(report_data: ReportData) -> None:
    first, second = report_data.entries[:2]
    content = browser_content(
        [asked(first, first.predictions[0]), asked(second, second.predictions[1])]
    )
    answers = [question["answers"] for question in content["questions"]]
    assert [[answer is None for answer in row] for row in answers] == [[False, True], [True, False]]


def test_later_seeds_are_left_out_and_counted(report_data: ReportData) -> None:
    first = report_data.entries[0]
    again = first.model_copy(update={"name": "again", "seed": 1})
    content = browser_content([first, again])
    assert [entry["name"] for entry in content["entries"]] == [first.name]
    assert content["seeds_left_out"] == 1


def test_premise_and_hypothesis_are_named(report_data: ReportData) -> None:
    example = Example(
        id="x", question="H", context="P", choices=("yes", "no"), answer="no", family="nli"
    )
    entry = asked(report_data.entries[0], Prediction(example=example, answer="yes"))
    question = browser_content([entry])["questions"][0]
    assert (question["context_label"], question["question_label"]) == ("Premise", "Hypothesis")
