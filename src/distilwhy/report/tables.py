"""The report's tables, from its data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from distilwhy.report import formats
from distilwhy.report.data import Entry, ReportData
from distilwhy.report.findings import judge
from distilwhy.report.table import (
    Cell,
    Column,
    Table,
    Value,
    count_cell,
    decimal_cell,
    interval_cell,
    percent_cell,
    text_cell,
)

NAME = Column("Predictor", numeric=False)


def accuracy_table(data: ReportData) -> Table:
    """Return accuracy and explanation figures of every entry."""
    columns = (
        NAME,
        Column("Kind", numeric=False),
        Column("Questions"),
        Column("Accuracy"),
        Column("95 % interval"),
        Column("Unreadable answers"),
        Column("Words", "Each explanation"),
        Column("Wrong choices named", "Each explanation"),
        Column("States another answer", "Each explanation"),
    )
    note = (
        "Unreadable answers name no choice and count as wrong. Words: mean number of words. "
        "Wrong choices named: mean number of distinct wrong choices that an explanation mentions. "
        "States another answer: share of explanations that state an answer other than the one "
        "given. "
        "None of these shows that an explanation is faithful."
    )
    caption = "Accuracy and surface figures of the explanations, on the test questions"
    rows = tuple(_accuracy_row(entry) for entry in data.entries)
    return Table("accuracy", caption, columns, rows, note)


def _accuracy_row(entry: Entry) -> tuple[Cell, ...]:
    metrics, reasons = entry.metrics, entry.metrics.explanations
    return (
        text_cell(entry.name),
        text_cell(entry.kind),
        count_cell(metrics.n),
        percent_cell(metrics.accuracy),
        interval_cell(metrics.ci_low, metrics.ci_high),
        count_cell(metrics.unparsed),
        decimal_cell(reasons.words_mean if reasons else None),
        decimal_cell(reasons.distractor_mentions if reasons else None, 2),
        percent_cell(reasons.states_other_answer if reasons else None),
    )


def cost_table(data: ReportData) -> Table | None:
    """Return what training and prediction cost, for entries where that is known."""
    known = [entry for entry in data.entries if entry.metrics.training or entry.metrics.prediction]
    if not known:
        return None
    columns = (
        NAME,
        Column("Parameters"),
        Column("Time", "Training"),
        Column("Tokens/s", "Training"),
        Column("Peak memory", "Training"),
        Column("Questions/s", "Prediction"),
        Column("Tokens/s", "Prediction"),
        Column("Peak memory", "Prediction"),
    )
    note = (
        "Training tokens are source and target tokens without padding; prediction tokens are "
        "generated ones, answers and explanations together. CSV values: seconds and MiB."
    )
    rows = tuple(_cost_row(entry) for entry in known)
    return Table("cost", "What training and prediction cost", columns, rows, note)


def _cost_row(entry: Entry) -> tuple[Cell, ...]:
    training, prediction = entry.metrics.training, entry.metrics.prediction
    size = training.parameters if training else prediction.parameters if prediction else None
    speed = None
    if prediction and prediction.seconds > 0:
        speed = prediction.examples / prediction.seconds
    seconds = training.seconds if training else None
    memories = [part.peak_memory_mb if part else None for part in (training, prediction)]
    return (
        text_cell(entry.name),
        Cell(formats.parameters(size), size),
        Cell(formats.duration(seconds), seconds),
        count_cell(training.tokens_per_second if training else None),
        Cell(formats.memory(memories[0]), memories[0]),
        decimal_cell(speed),
        count_cell(prediction.tokens_per_second if prediction else None),
        Cell(formats.memory(memories[1]), memories[1]),
    )


def comparison_table(data: ReportData) -> Table | None:
    """Return all paired comparisons, with p-values before and after Holm's correction."""
    if not data.comparisons:
        return None
    columns = (
        Column("A", numeric=False),
        Column("B", numeric=False),
        Column("A \u2212 B (points)"),
        Column("95 % interval"),
        Column("McNemar p"),
        Column("p, Holm"),
        Column("Finding", numeric=False),
        Column("Questions"),
        Column("Only A right"),
        Column("Only B right"),
    )
    rows = []
    for judged in judge(data.comparisons):
        item = judged.comparison
        low, high = item.ci_low, item.ci_high
        rows.append(
            (
                text_cell(item.a),
                text_cell(item.b),
                Cell(formats.points(item.difference), 100 * item.difference),
                Cell(formats.points_interval(low, high), f"{100 * low:.2f} to {100 * high:.2f}"),
                Cell(formats.p_value(item.p), item.p),
                Cell(formats.p_value(judged.p_adjusted), judged.p_adjusted),
                text_cell(judged.finding),
                count_cell(item.n),
                count_cell(item.only_a_right),
                count_cell(item.only_b_right),
            )
        )
    note = (
        f"p, Holm: corrected for the {len(rows)} comparisons of this table. A finding is given "
        "where the corrected p-value is below 0.05 and the interval leaves out zero; 'not settled' "
        "means that these questions do not tell the two apart, not that they are equal."
    )
    return Table("comparisons", "Paired comparisons", columns, tuple(rows), note)


def class_table(data: ReportData) -> Table | None:
    """Return recall and number of predictions of each class, for every entry."""
    names = list(dict.fromkeys(name for entry in data.entries for name in entry.metrics.classes))
    if not names:
        return None
    columns = [NAME]
    for name in names:
        sizes = {
            entry.metrics.classes[name].n for entry in data.entries if name in entry.metrics.classes
        }
        size = formats.DASH.join(formats.count(n) for n in sorted({min(sizes), max(sizes)}))
        group = f"{name} (n = {size})"
        columns += [Column("right", group), Column("given", group)]
    rows = []
    for entry in data.entries:
        row = [text_cell(entry.name)]
        for name in names:
            found = entry.metrics.classes.get(name)
            row += [
                percent_cell(found.accuracy if found else None),
                count_cell(found.predicted if found else None),
            ]
        rows.append(tuple(row))
    note = (
        "Right: share of the questions of this class answered rightly (recall). Given: how often "
        "the class was the answer given. A class is a label, or the right choice's position where "
        "the choices differ from question to question."
    )
    return Table("classes", "Results by class", tuple(columns), tuple(rows), note)


def gate_table(data: ReportData) -> Table | None:
    """Return how many teacher texts failed each quality gate, by step."""
    if not data.gates:
        return None
    flags = list(dict.fromkeys(flag for item in data.gates.values() for flag in item.flags))
    columns = [Column("Step", numeric=False), Column("Texts")]
    for flag in flags:
        columns += [Column("texts", flag), Column("share", flag)]
    rows = []
    for step, item in data.gates.items():
        row = [text_cell(step), count_cell(item.n)]
        for flag in flags:
            found = item.flags.get(flag, 0)
            row += [count_cell(found), percent_cell(found / item.n if item.n else None)]
        rows.append(tuple(row))
    note = "One text may fail several gates." if flags else "No text failed a gate."
    return Table(
        "gates", "Teacher texts that failed a quality gate", tuple(columns), tuple(rows), note
    )


def outcome_table(data: ReportData) -> Table | None:
    """Return what the methods of generation brought."""
    if not data.outcome:
        return None
    columns = (Column("What", numeric=False), Column("Count"), Column("Of"), Column("Share"))
    cells = tuple(
        (
            text_cell(item.name),
            count_cell(item.count),
            count_cell(item.total),
            percent_cell(item.count / item.total if item.total else None),
        )
        for item in data.outcome
    )
    return Table("outcome", "What the teacher's methods brought", columns, cells)


def token_table(data: ReportData) -> Table | None:
    """Return the teacher's tokens by step, with their total."""
    if not data.tokens:
        return None
    columns = (
        Column("Step", numeric=False),
        Column("Prompt tokens"),
        Column("Generated tokens"),
    )
    rows = [(step, item.prompt, item.completion) for step, item in data.tokens.items()]
    rows.append(("all steps", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    cells = tuple(
        (text_cell(step), count_cell(prompt), count_cell(done)) for step, prompt, done in rows
    )
    return Table("tokens", "Teacher tokens", columns, cells)


def stage_table(data: ReportData) -> Table | None:
    """Return the duration of each stage."""
    if not data.stage_seconds:
        return None
    columns = (Column("Stage", numeric=False), Column("Duration"))
    stages = [*data.stage_seconds.items(), ("whole run", data.seconds)]
    rows = tuple((text_cell(name), Cell(formats.duration(value), value)) for name, value in stages)
    return Table("stages", "Duration by stage", columns, rows)


def facts_table(key: str, caption: str, facts: Iterable[tuple[str, Value]]) -> Table | None:
    """Return a table of names and values, ``None`` when there are none."""
    rows = tuple((text_cell(name), Cell(_plain(value), value)) for name, value in facts)
    if not rows:
        return None
    columns = (Column("Name", numeric=False), Column("Value", numeric=False))
    return Table(key, caption, columns, rows)


def _plain(value: Value) -> str:
    if value is None or value == "":
        return formats.MISSING
    return value if isinstance(value, str) else f"{value:,}"


def shown(tables: Sequence[Table | None]) -> list[Table]:
    """Return the tables that have content."""
    return [table for table in tables if table is not None]
