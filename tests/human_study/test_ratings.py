"""Reading ratings: which condition a name means, which explanation a row is about."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from distilwhy.human_study.checks import straight_lining
from distilwhy.human_study.conditions import ordered, recognise
from distilwhy.human_study.ratings import read_ratings


@pytest.mark.parametrize(
    ("label", "place"),
    [
        ("CF:PosRationales", 0),
        ("MT:PosRationales", 1),
        ("MT+CF:PosRationales", 2),
        ("MT+CF:RevRationales", 3),
        ("CF : unrevised", 0),
        ("counterfactual-unrevised", 0),
        ("counterfactual-prefix", 0),
        ("task-prefix", 1),
        ("Multi-Task", 1),
        ("both, few-shot-positive-rationale", 2),
        ("both, few-shot-revision", 3),
        ("multitask+counterfactual-revised", 3),
        ("CF+MT (revised)", 3),
        ("MT:RevRationales", None),
        ("answer_only-unrevised", None),
        ("scripts", None),
        ("", None),
        ("MT+CR", None),
        ("MT-large", None),
        ("MT 2", None),
        ("MT2", None),
        ("CF baseline", None),
        ("non-revised MT+CF", None),
    ],
)
def test_names_of_conditions(label: str, place: int | None) -> None:
    assert recognise(label) == place


def test_order_of_conditions() -> None:
    labels = ["mine", "MT+CF:RevRationales", "yours", "CF:PosRationales", "mine"]
    assert ordered(labels) == (
        ["CF:PosRationales", "MT+CF:RevRationales", "mine", "yours"],
        ["mine", "yours"],
    )
    assert ordered(["b", "a", "b"])[0] == ["b", "a"]


def test_notes_on_names_of_conditions(synthetic: ModuleType, tmp_path: Path) -> None:
    names = ("MT+CR", "multitask", "CF baseline", "MT")
    rows = synthetic.ratings(participants=4, conditions=names)
    found = read_ratings(synthetic.write(tmp_path / "a.csv", rows))
    first = list(dict.fromkeys(row["model"] for row in rows))
    known = [name for name in first if name in ("multitask", "MT")]
    assert list(found.conditions) == known + [name for name in first if name not in known]
    unknown, alike = found.notes[:2]
    assert "Not recognised as one of the paper's conditions: " in unknown
    assert "'MT+CR'" in unknown
    assert "'CF baseline'" in unknown
    assert alike.startswith(f"{known[0]!r} and {known[1]!r} mean the same condition of the paper")


def test_columns_in_any_case_and_form(synthetic: ModuleType, tmp_path: Path) -> None:
    rows = synthetic.ratings(participants=4)
    first = read_ratings(synthetic.write(tmp_path / "a.csv", rows))
    lines = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()
    head = lines[0].upper().replace("EMPLOYEMENT", "Employment")
    text = "\ufeff" + "\r\n".join([head, *lines[1:]]).replace(",", ";")
    (tmp_path / "b.csv").write_text(text, encoding="utf-8")
    second = read_ratings(tmp_path / "b.csv")
    assert np.array_equal(first.values, second.values)
    assert first.conditions == second.conditions
    assert first.demographics == second.demographics
    assert set(second.demographics["employement"]) == {"employed", "student"}


def test_an_explanation_is_its_condition_id_and_text(synthetic: ModuleType, tmp_path: Path) -> None:
    rows = synthetic.ratings(participants=2)[:5]
    for row, (model, name, text) in zip(rows, ["CA1", "CA1", "CB1", "CA2", "DA1"], strict=True):
        row |= {"model": model, "rationale_id": name, "rationale": text, "CASE": row["CASE"]}
    for number, row in enumerate(rows):
        row["CASE"] = str(number)
    item = read_ratings(synthetic.write(tmp_path / "a.csv", rows)).item
    assert item is not None
    assert item.tolist() == [0, 0, 1, 2, 3]


def test_participants_who_never_vary(synthetic: ModuleType, tmp_path: Path) -> None:
    rows = synthetic.ratings(participants=6)
    for row in rows:
        if row["CASE"] == "p2":
            row.update(dict.fromkeys(synthetic.CONSTRUCT_COLUMNS, "5"))
    ratings = read_ratings(synthetic.write(tmp_path / "a.csv", rows))
    found = straight_lining(ratings)
    assert found.participants == ["p2"]
    whole = [tuple(row[name] for name in synthetic.CONSTRUCT_COLUMNS) for row in rows]
    assert found.rows == sum(len(set(row)) == 1 for row in whole)
    assert found.share == found.rows / len(rows)
