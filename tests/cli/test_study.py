"""``distilwhy study analyse``: results that can be read anywhere, and files at fault."""

from __future__ import annotations

import csv
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distilwhy.human_study.analyse import Mode, analyse
from distilwhy.human_study.tables import render

COLUMNS = [
    "CASE",
    "rationale",
    "Completeness",
    "Contrastiveness",
    "Plausibility",
    "Satisfaction",
    "Understandability",
    "rationale_id",
    "model",
    "rationale_length",
    "gender",
    "age",
    "country",
    "education",
    "employement",
]
CONSTRUCTS = [*COLUMNS[2:6], "Understandability"]

Rows = list[dict[str, str]]
Write = Callable[..., Path]


def made(participants: int = 8, conditions: tuple[str, ...] = ("CF", "MT"), each: int = 2) -> Rows:
    rng = random.Random(5)
    return [
        {
            **dict.fromkeys(COLUMNS, "x"),
            **{name: str(1 + int(5 * rng.random())) for name in CONSTRUCTS},
            "CASE": f"p{person}",
            "rationale": f"Because of {person}, {place}.",
            "rationale_id": f"{person}-{place}",
            "model": condition,
            "rationale_length": str(20 + int(30 * rng.random())),
        }
        for person in range(participants)
        for condition in conditions
        for place in range(each)
    ]


@pytest.fixture
def write(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes ratings.csv, in a folder that becomes the current one."""
    monkeypatch.chdir(folder)
    # Fewer draws change no word of what is said.
    monkeypatch.setattr("distilwhy.human_study.permutation.DRAWS", 99)
    monkeypatch.setattr("distilwhy.human_study.effects.RESAMPLES", 100)

    def run(rows: Rows, columns: list[str] = COLUMNS) -> Path:
        path = Path("ratings.csv")
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        return path

    return run


def figures(path: Path, mode: Mode = "both") -> dict[str, Any]:
    """Return all figures, after a look for numbers that are none, in tables too."""
    result = analyse(path, mode)
    found: dict[str, Any] = json.loads(json.dumps(result.figures(), allow_nan=False))
    for shown in (render(result), render(result, "latex")):
        assert not re.search(r"\bnan\b", shown)
    return found


def reasons(value: Any) -> set[str]:
    """Return all reasons in a result."""
    if isinstance(value, dict):
        own = {value["reason"]} if value.get("reason") else set()
        return own.union(*map(reasons, value.values()))
    return set().union(*map(reasons, value)) if isinstance(value, list) else set()


def test_all_forms(call: Any, write: Write) -> None:
    path = write(made())
    called = call("study", "analyse", path, "--json")
    assert called.code == 0, called.err
    found = json.loads(called.out)
    assert found["conditions"] == ["CF", "MT"]
    assert found["n"] == 32
    shown = call("study", "analyse", path, "--mode", "paper").out
    assert "Kruskal-Wallis" in shown
    assert "Sizes of differences" not in shown
    for name, form in (("a.json", "{"), ("a.tex", "%"), ("a.txt", "32 rated")):
        assert call("study", "analyse", path, "--out", name, "--mode", "paper").code == 0
        assert Path(name).read_text(encoding="utf-8").startswith(form)
    paper = json.loads(Path("a.json").read_text(encoding="utf-8"))
    assert "robust" not in paper
    assert paper["kruskal"] == found["kruskal"]
    robust = figures(path, "robust")
    assert "kruskal" not in robust
    assert robust["robust"] == found["robust"]


def test_options_at_fault(call: Any, refused: Any, write: Write) -> None:
    assert "analyse" in call("study", "--help").out
    path = write(made())
    assert "ending that names a format" in refused("study", "analyse", path, "--out", "a.doc")
    Path("ratings.txt").write_bytes(path.read_bytes())
    said = refused("study", "analyse", "ratings.txt", "--out", "ratings.txt")
    assert "would be overwritten" in said


def test_missing_columns(refused: Any, write: Write) -> None:
    path = write(made(), ["CASE", "rationale", *(set(CONSTRUCTS) - {"Plausibility"}), "Model"])
    said = refused("study", "analyse", path)
    assert "ratings.csv has no column 'plausibility'." in said
    assert "Its columns are: CASE, rationale, " in said
    path = write(made(), ["rationale"])
    assert "no columns 'CASE', 'model', 'plausibility'" in refused("study", "analyse", path)


def test_columns_that_are_not_needed(write: Write) -> None:
    found = figures(write(made(), ["CASE", *CONSTRUCTS, "model"]))
    assert found["ols"]["reason"] == "the table has no column 'rationale_length'"
    assert found["ols_demographics"]["reason"]
    assert found["robust"]["cluster_ols"]["quality"]["coef"].keys() == {"Intercept", "model[T.MT]"}
    agreed = found["robust"]["agreement"]["plausibility"]
    assert agreed["reason"] == "the table has no column 'rationale_id'"


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("Plausibility", "7", "plausibility is 7, not a whole number from 1 to 5"),
        ("Satisfaction", "0", "satisfaction is 0, not a whole number from 1 to 5"),
        ("Satisfaction", "-1", "satisfaction is -1, not a whole number from 1 to 5"),
        ("Completeness", "3.5", "completeness is 3.5, not a whole number"),
        ("Completeness", "good", "completeness is 'good', not a number"),
        ("Completeness", "=1+1", "completeness is '=1+1', not a number"),
        ("Completeness", "inf", "completeness is 'inf', not a number"),
        ("rationale_length", "long", "rationale_length is 'long', not a number"),
        ("rationale_length", "-3", "rationale_length is -3, below 0"),
        ("CASE", "", "CASE is empty"),
        ("model", "  ", "model is empty"),
    ],
)
def test_cells_at_fault(refused: Any, write: Write, column: str, cell: str, said: str) -> None:
    rows = made()
    rows[3][column] = cell
    assert f"ratings.csv:5: {said}" in refused("study", "analyse", write(rows))


def test_faults_are_told_together(refused: Any, write: Write) -> None:
    rows = made()
    rows[0]["Plausibility"], rows[1]["Satisfaction"], rows[5]["model"] = "9", "x", ""
    said = refused("study", "analyse", write(rows))
    assert "has 3 faults" in said
    assert "a missing one is empty" in said


def test_files_at_fault(refused: Any, write: Write) -> None:
    path = write([])
    assert "is empty" in refused("study", "analyse", path)
    path.write_bytes(b"")
    assert "is empty" in refused("study", "analyse", path)
    path.write_bytes((",".join(COLUMNS) + "\nZo\xeb" + ",1" * 14).encode("latin-1"))
    assert "is not UTF-8 text" in refused("study", "analyse", path)
    assert "does not exist" in refused("study", "analyse", "none.csv")
    assert "unknown format" in refused("study", "analyse", "task.yaml")


def test_lines_that_stand_twice(refused: Any, write: Write) -> None:
    rows = made()
    said = refused("study", "analyse", write([*rows, rows[0]]))
    assert "ratings.csv:34: the same person's same ratings" in said
    assert "as ratings.csv:2." in said.replace(str(Path.cwd()) + "/", "")
    changed = "1" if rows[0]["Plausibility"] != "1" else "2"
    found = figures(write([*rows, {**rows[0], "Plausibility": changed}]), "paper")
    assert "1 ratings are of an explanation that the same participant rated before" in str(found)


def test_missing_ratings(write: Write) -> None:
    rows = made()
    for row, cell in zip(rows, ("", "NA", "nan", " "), strict=False):
        row["Plausibility"] = cell
    found = figures(write(rows))
    assert found["kruskal"]["plausibility"]["n"] == 28
    assert found["kruskal"]["satisfaction"]["n"] == 32
    assert found["alpha"]["n"] == found["npmv"]["wilks"]["n"] == 28
    assert found["ols"]["missing"] == 4
    assert found["ols"]["n"] == 28 - sum(found["ols"]["outliers"].values())
    assert found["robust"]["missing"]["by_construct"]["plausibility"] == 4
    for row in rows:
        row["Plausibility"] = ""
    found = figures(write(rows))
    assert found["kruskal"]["plausibility"]["reason"] == "there are no ratings"
    assert found["ols"]["reason"] == "no row is whole"
    assert found["kruskal"]["satisfaction"]["p"] is not None


def test_one_condition(write: Write) -> None:
    found = figures(write(made(conditions=("MT",))))
    assert found["kruskal"]["plausibility"]["reason"] == "there is only one condition with ratings"
    assert found["means"]["quality"]["MT"]["se"] > 0
    assert found["dunn"]["plausibility"] == found["vda"]["plausibility"] == []
    assert found["npmv"]["wilks"]["p"] is None
    assert found["robust"]["mixed"]["quality"]["reason"]


def test_one_participant(write: Write) -> None:
    found = figures(write(made(participants=1, each=6)))
    assert found["kruskal"]["satisfaction"]["p"] is not None
    assert found["robust"]["icc"]["quality"]["reason"] == "there is only one participant"
    assert "there is only one participant" in reasons(found["robust"]["mixed"])
    assert found["robust"]["effects"]["quality"][0]["ci_low"] is None


def test_a_single_rating(write: Write) -> None:
    found = figures(write(made()[:1]))
    assert found["means"]["quality"]["CF"]["reason"] == "there is only one rating"


def test_each_participant_in_one_condition(write: Write) -> None:
    rows = [row for row in made(12) if (row["model"] == "CF") == (int(row["CASE"][1:]) % 2 == 0)]
    found = figures(write(rows))
    test = found["robust"]["permutation"]["quality"]
    assert test["scheme"] == "between participants"
    assert test["participants"] == 12
    assert found["robust"]["power"]["quality"][0]["design"] == "independent"


@pytest.mark.parametrize("participants", [2, 8])
def test_all_ratings_equal(write: Write, participants: int) -> None:
    rows = [{**row, **dict.fromkeys(CONSTRUCTS, "4")} for row in made(participants)]
    found = figures(write(rows))
    assert found["kruskal"]["plausibility"]["reason"] == "all ratings are equal"
    assert found["alpha"]["alpha"] is None
    assert found["vda"]["plausibility"][0]["A"] == 0.5
    assert found["ols"]["reason"] == "quality is the same in all rows"
    assert len(found["robust"]["straight_lining"]["participants"]) == participants


def test_ratings_that_conditions_tell_apart_wholly(write: Write) -> None:
    value = {"CF": "2", "MT": "4"}
    rows = [{**row, **dict.fromkeys(CONSTRUCTS, value[row["model"]])} for row in made()]
    found = figures(write(rows))
    assert found["ols"]["reason"] == "the terms explain quality wholly"
    assert "wholly" in found["robust"]["ordinal"]["plausibility"]["reason"]
    assert found["vda"]["plausibility"][0]["A"] == 0
    assert found["robust"]["permutation"]["plausibility"]["p"] <= 0.02


def test_unknown_conditions_keep_their_names(call: Any, write: Write) -> None:
    found = figures(write(made(conditions=("=HYPERLINK(1)", "MT", "a & b_", "CF"))), "paper")
    assert found["conditions"] == ["CF", "MT", "=HYPERLINK(1)", "a & b_"]
    assert "Not recognised as one of the paper's conditions: '=HYPERLINK(1)'" in found["notes"][0]
    latex = call("study", "analyse", "ratings.csv", "--format", "latex", "--mode", "paper").out
    assert r"a \& b\_" in latex


def test_demographics(write: Write) -> None:
    rows = made()
    for number, row in enumerate(rows):
        row |= {"gender": ("male", "Female", "")[number % 3], "age": str(20 + number % 4)}
    fit = figures(write(rows), "paper")["ols_demographics"]
    assert {"gender[T.Female]", "gender[T.not stated]", "age[T.21]"} <= fit["coef"].keys()
    assert fit["references"] == {"gender": "male", "age": "20"}
    assert fit["dropped"]["country"] == "there is only one category"
    # As many categories as rows leave nothing to test.
    for number, row in enumerate(rows):
        row["education"] = f"school {number}"
    assert figures(write(rows), "paper")["ols_demographics"]["reason"].startswith("there are")


def test_a_handful_of_ratings(write: Write) -> None:
    found = figures(write(made(3, ("CF", "MT", "MT+CF"), 1)))
    assert found["means"]["quality"]["MT"]["n"] == 3
    assert "there are fewer than 5 participants to draw from" in reasons(found)
