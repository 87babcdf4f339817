from __future__ import annotations

import csv
import io
from urllib.parse import unquote

import pytest
from pydantic import ValidationError

from distilwhy.report import ReportData, formats, tables
from distilwhy.report.seeds import seeds_table
from distilwhy.report.table import Column, Table, text_cell


def cells(table: Table) -> list[list[str]]:
    return [[cell.text.replace("\u00a0", " ") for cell in row] for row in table.rows]


def csv_rows(table: Table) -> list[dict[str, str]]:
    head, _, body = table.csv_link.partition(",")
    assert head == "data:text/csv;charset=utf-8"
    return list(csv.DictReader(io.StringIO(unquote(body))))


def test_accuracy_table_shows_what_the_metrics_say(report_data: ReportData) -> None:
    table = tables.accuracy_table(report_data)
    row = cells(table)[0]
    metrics = report_data.entries[0].metrics
    assert row[:4] == ["multitask : unrevised", "student", "80", f"{100 * metrics.accuracy:.1f} %"]
    assert row[5:] == [str(metrics.unparsed), "31.4", "0.41", "3.8 %"]
    assert cells(table)[-1][6:] == ["—", "—", "—"]


def test_csv_holds_plain_values(report_data: ReportData) -> None:
    rows = csv_rows(tables.accuracy_table(report_data))
    assert len(rows) == 7
    assert float(rows[0]["Accuracy"]) == report_data.entries[0].metrics.accuracy
    assert rows[0]["Each explanation Words"] == "31.4"
    assert rows[-1]["Each explanation Words"] == ""


def test_csv_text_cannot_run_as_a_formula() -> None:
    row = (text_cell("=1+1"), text_cell("plain"))
    table = Table("t", "T", (Column("a"), Column("@b")), (row,))
    assert table.csv == "a,'@b\n'=1+1,plain\n"


def test_cost_table_shows_speed_and_memory(report_data: ReportData) -> None:
    table = tables.cost_table(report_data)
    assert table is not None
    assert cells(table)[0][1:] == [
        "135 M",
        "12 min 34 s",
        "411",
        "3.3 GiB",
        "3.2",
        "128",
        "812 MiB",
    ]
    assert [row[0] for row in cells(table)][-1] == "hf:teacher-7b"


def test_comparison_table_shows_both_p_values(report_data: ReportData) -> None:
    table = tables.comparison_table(report_data)
    assert table is not None
    against_teacher = cells(table)[-1]
    assert against_teacher[4:7] == ["0.030", "0.150", "not settled"]
    assert cells(table)[4][4:7] == ["< 0.001", "< 0.001", "A better"]
    assert "6 comparisons" in table.note


def test_class_table_groups_two_columns_a_class(report_data: ReportData) -> None:
    table = tables.class_table(report_data)
    assert table is not None
    assert table.groups[:3] == [("", 1), ("a (n = 16)", 2), ("b (n = 16)", 2)]
    assert cells(table)[0][2] == "14"


def test_gate_table_counts_and_shares(report_data: ReportData) -> None:
    table = tables.gate_table(report_data)
    assert table is not None
    assert cells(table)[0] == ["rationale", "1,000", "3", "0.3 %", "41", "4.1 %", "0", "0.0 %"]


def test_token_table_ends_with_the_total(report_data: ReportData) -> None:
    table = tables.token_table(report_data)
    assert table is not None
    assert cells(table)[-1] == ["all steps", "2,224,690", "132,400"]


def test_seeds_table_only_with_several_seeds(report_data: ReportData) -> None:
    assert seeds_table(report_data) is None
    first = report_data.entries[0]
    lower = first.metrics.model_copy(update={"accuracy": first.metrics.accuracy - 0.1})
    again = first.model_copy(update={"name": "again", "seed": 1, "metrics": lower})
    table = seeds_table(report_data.model_copy(update={"entries": (first, again)}))
    assert table is not None
    # Two values 10 points apart: SD = 10 / sqrt(2).
    assert cells(table)[0][2:5:2] == ["2", "7.1"]


def test_entries_of_one_name_are_refused(report_data: ReportData) -> None:
    values = dict(report_data)
    with pytest.raises(ValidationError, match="share a name: majority"):
        ReportData(**values | {"entries": (*report_data.entries, report_data.entries[-1])})
    with pytest.raises(ValidationError, match="comparisons name no entry"):
        ReportData(**values | {"entries": report_data.entries[:1]})


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (formats.percent(0.6214), "62.1 %"),
        (formats.percent(None), "—"),
        (formats.points(0.0412), "+4.1"),
        (formats.points(-0.0412), "-4.1"),
        (formats.points(-0.0001), "0.0"),
        (formats.points_interval(-0.01, 0.094), "-1.0 to +9.4"),
        (formats.p_clause(0.0004), "p < 0.001"),
        (formats.p_clause(0.0344), "p = 0.034"),
        (formats.duration(4.21), "4.2 s"),
        (formats.duration(59.97), "1 min 00 s"),
        (formats.duration(3905), "1 h 05 min"),
        (formats.memory(812.4), "812 MiB"),
        (formats.memory(2048), "2.0 GiB"),
        (formats.parameters(1_540_000_000), "1.5 B"),
        (formats.parameters(248_000_000), "248 M"),
        (formats.decimal(float("nan")), "—"),
        (formats.count(1221), "1,221"),
    ],
)
def test_numbers_are_written_one_way(shown: str, expected: str) -> None:
    assert shown.replace("\u00a0", " ").replace("\u2212", "-") == expected
