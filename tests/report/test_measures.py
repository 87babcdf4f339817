"""What measures found, in the report: leaderboard, tables, figures, browser, methods, LaTeX."""

from __future__ import annotations

import html
import json
import re
from urllib.parse import unquote

import pytest

from distilwhy.comparison.robust import robust_analysis
from distilwhy.comparison.runs import Run, RunSet
from distilwhy.config import Experiment
from distilwhy.evaluation.contamination import contamination
from distilwhy.explainability import Figure, ItemScores, MeasureResult
from distilwhy.report import Entry, ReportData
from distilwhy.report.appendix import appendix
from distilwhy.report.browser import browser_content
from distilwhy.report.findings import headline
from distilwhy.report.measure_figures import measure_svg, plane_svg
from distilwhy.report.measure_tables import headlines, leaderboard, measure_table
from distilwhy.report.page import render
from distilwhy.report.table import Column, Table, text_cell


def surface(words: float, flags: tuple[str, ...] = ()) -> MeasureResult:
    return MeasureResult(
        measure="surface",
        figures={
            "words": Figure(value=words, n=80, ci_low=words - 1, ci_high=words + 1),
            "negations": Figure(value=None, n=0, reason="no item to judge"),
        },
        items=(
            ItemScores(
                example_id="q0", scores={"words": 12, "states_answer": True, "x": None}, flags=flags
            ),
        ),
    )


def consistency(value: float) -> MeasureResult:
    figure = Figure(value=value, n=50, ci_low=value - 0.1, ci_high=value + 0.1)
    return MeasureResult(measure="consistency", figures={"consistent": figure})


@pytest.fixture
def measured(report_data: ReportData) -> ReportData:
    first, second, third, *others = report_data.entries
    entries = (
        first.model_copy(update={"measures": (surface(31.25, ("<b>odd</b>",)), consistency(0.75))}),
        second.model_copy(update={"measures": (surface(20.5), consistency(0.5))}),
        third.model_copy(
            update={
                "measures": (
                    MeasureResult(measure="consistency", reason="it gives no explanations"),
                )
            }
        ),
        *others,
    )
    return report_data.model_copy(update={"entries": entries})


def texts(table: Table | None) -> list[list[str]]:
    assert table is not None
    return [[cell.text.replace("\u00a0", " ") for cell in row] for row in table.rows]


def test_leaderboard_has_a_figure_of_each_measure(measured: ReportData) -> None:
    table = leaderboard(measured)
    assert table is not None
    assert [label for label, _ in table.groups if label] == [
        "Accuracy",
        "consistency: consistent",
        "surface: words",
    ]
    rows = {row[0]: row for row in texts(table)}
    first = measured.entries[0]
    assert rows[first.name][3:9] == ["0.750", "0.650 to 0.850", "50", "31.2", "30.2 to 32.2", "80"]
    assert rows[measured.entries[2].name][3:9] == ["n/a", "—", "—", "—", "—", "—"]
    assert rows[first.name][-2:] == ["135 M", "12 min 34 s"]
    accuracies = {entry.name: entry.metrics.accuracy for entry in measured.entries}
    shown = [accuracies[row[0]] for row in texts(table)]
    assert shown == sorted(shown, reverse=True)


def test_each_measure_has_a_table_with_reasons(measured: ReportData) -> None:
    assert list(headlines(measured)) == ["consistency", "surface"]
    tables = {name: measure_table(measured, name) for name in headlines(measured)}
    name = measured.entries[2].name
    assert f"{name}: not applicable, it gives no explanations." in tables["consistency"].note
    assert "negations: no item to judge." in tables["surface"].note
    row = texts(tables["surface"])[0]
    assert row[1:] == ["31.2", "30.2 to 32.2", "80", "n/a", "—", "0"]


def test_nothing_measured_shows_nothing(report_data: ReportData) -> None:
    assert leaderboard(report_data) is None
    assert headlines(report_data) == {}
    assert 'id="measures"' not in render(report_data)


def test_figures_show_values(measured: ReportData) -> None:
    entries = list(measured.entries)
    drawn = measure_svg(entries, "consistency", "consistent")
    assert drawn is not None
    assert f"{entries[0].name} 0.750; {entries[1].name} 0.500." in drawn
    assert measure_svg(entries, "consistency", "none") is None
    assert plane_svg(entries, "consistency", "consistent") is not None
    assert plane_svg(entries[:1], "consistency", "consistent") is None, "one point is no plane"


def test_page_escapes_flags_and_holds_all_parts(measured: ReportData) -> None:
    page = render(measured)
    assert 'id="measures"' in page
    assert "Accuracy against consistency" in page
    assert "<b>odd</b>" not in page
    assert "&lt;b&gt;odd&lt;/b&gt;" in page


def test_browser_holds_scores_and_flags(measured: ReportData) -> None:
    content = browser_content(measured.entries)
    question = next(q for q in content["questions"] if q["id"] == "q0")
    answer = question["answers"][0]
    assert answer["flags"] == ["<b>odd</b>"]
    assert answer["scores"] == [("surface, words", "12"), ("surface, states answer", "yes")]
    assert content["questions"][1]["answers"][0]["flags"] == []
    json.dumps(content)


def test_tables_are_latex_too() -> None:
    row = (text_cell("50 % & more_\\x"), text_cell("{a}"))
    table = Table("t", "A table", (Column("a", numeric=False), Column("b", "of c")), (row,))
    assert r"50 \% \& more\_\textbackslash{}x & \{a\}" in table.latex
    assert "of c, b" in table.latex
    head, _, body = table.latex_link.partition(",")
    assert head == "data:application/x-tex;charset=utf-8"
    assert unquote(body) == table.latex


EXPERIMENT = {
    "task": "mini",
    "teacher": {"model": "embedded", "shots": 3},
    "students": [{"model": "hf:x/y", "lora": {"rank": 8}}],
    "conditions": [
        {"method": "multitask", "control": "shuffled"},
        {"method": "multitask+counterfactual", "data": "revised"},
    ],
    "seeds": [0, 1, 2],
    "training": {"max_steps": 500},
    "explanations": {"measures": ["surface", "calibration"]},
}


def test_methods_say_what_was_done_with_its_sources() -> None:
    found = appendix(Experiment.model_validate(EXPERIMENT), "mini", 1000, 500)
    text = " ".join(found.paragraphs)
    for words in (
        "1,000 training and 500 test questions",
        "shown 3 worked examples",
        "explanations were spoiled (shuffled)",
        "revised ones",
        "500 steps",
        "3 seeds each",
        "calibration [",
    ):
        assert words in text
    numbers = {int(n) for group in re.findall(r"\[([\d, ]+)\]", text) for n in group.split(",")}
    assert numbers == set(range(1, len(found.sources) + 1)), "all sources are cited, in order"
    assert "2106.09685" in " ".join(found.sources)


def test_methods_of_given_annotations_name_no_prompts() -> None:
    values = {**EXPERIMENT, "annotations": "a.jsonl", "teacher": None}
    found = appendix(Experiment.model_validate(values), "mini", 10, 5)
    assert "taken from a file of annotations" in " ".join(found.paragraphs)
    assert not any("2212.08073" in source for source in found.sources)


def test_an_entry_finds_its_measure(measured: ReportData) -> None:
    entry: Entry = measured.entries[0]
    found = entry.measure("surface")
    assert found is not None
    assert found.figures["words"].value == 31.25
    assert entry.measure("judge") is None


def test_several_seeds_are_compared_in_words_and_tables(report_data: ReportData) -> None:
    runs = tuple(
        Run(condition=name, size="small", run=str(seed), accuracy=base + seed / 100, place="x")
        for name, base in (("CF", 0.4), ("MT", 0.6))
        for seed in range(6)
    )
    found = robust_analysis(RunSet(runs=runs, origin="tables"))
    page = render(report_data.model_copy(update={"over_seeds": found}))
    assert "Over seeds" in page
    assert found.conclusions[0].text in html.unescape(page)
    assert "over-seeds-1.tex" in page
    assert "Over seeds" not in render(report_data)


def test_near_copies_in_training_are_said(report_data: ReportData) -> None:
    example = report_data.entries[0].predictions[0].example
    found = contamination(report_data.entries[0].predictions, [example])
    count = len(found.repeated)
    assert count >= 1
    told = headline(report_data.model_copy(update={"contamination": found})).caution
    assert f"{count} of 80 test question" in told
    assert "nearly repeat" not in headline(report_data).caution
