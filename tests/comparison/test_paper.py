"""Paper mode against R: the same runs through a table give what rstatix and car say of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from distilwhy.comparison.compare import compare
from distilwhy.errors import UserError

FOLDER = Path(__file__).parents[1] / "statistics" / "r"
DATA = json.loads((FOLDER / "data.json").read_text())["designs"]
R = json.loads((FOLDER / "reference.json").read_text())
KEYS = ("means", "outliers", "levene", "shapiro", "anova", "tukey", "conclusions")

Table = Callable[..., Path]


def close(value):
    return pytest.approx(value, rel=1e-8, abs=1e-8)


def rows_of(name: str, scale: float = 1.0):
    return [(r["condition"], r["size"], r["run"], r["value"] * scale) for r in DATA[name]]


def check(ours: dict, theirs: dict, unit: float = 1.0) -> None:
    """Compare every number of an analysis with R's, which has the values as they stand there."""
    effects = ours["anova"]["effects"]
    assert [x["effect"] for x in effects] == theirs["effects"][:-1]
    assert [x["df_num"] for x in effects] == theirs["df"][:-1]
    assert {x["df_den"] for x in effects} == {theirs["df"][-1]}
    assert [x["F"] for x in effects] == close(theirs["F"][:-1])
    assert [x["p"] for x in effects] == close(theirs["p"][:-1])
    assert [x["ges"] for x in effects] == pytest.approx(theirs["ges"], abs=5.01e-4)
    assert (ours["levene"]["statistic"], ours["levene"]["p"]) == close(
        (theirs["levene"]["F"], theirs["levene"]["p"])
    )
    assert len(ours["shapiro"]) == len(theirs["shapiro"])
    for cell in ours["shapiro"]:
        told = theirs["shapiro"][f"{cell['condition']} | {cell['size']}"]
        assert (cell["statistic"], cell["p"]) == close((told["w"], told["p"]))
    assert len(ours["tukey"]) == sum(map(len, theirs["tukey"].values()))
    for pair in ours["tukey"]:
        (told,) = [
            x for x in theirs["tukey"][pair["size"]] if x["pair"] == f"{pair['b']}-{pair['a']}"
        ]
        ours_of = [pair[key] * unit for key in ("difference", "ci_low", "ci_high")]
        assert ours_of == close([-told["difference"], -told["high"], -told["low"]])
        assert pair["p_adj"] == close(told["p"])


@pytest.mark.parametrize(
    ("name", "scale"), [("outliers", 1), ("outliers", 100), ("unequal", 1), ("three sizes", 1)]
)
def test_with_and_without_outliers_as_in_r(table: Table, name: str, scale: float) -> None:
    path = table(rows_of(name, scale))
    figures = compare([path], "paper").figures()
    percent = scale == 100 or name == "three sizes"
    assert figures["unit"] == ("percent" if percent else "share")
    found = {(x["condition"], x["size"], x["run"]) for x in figures["outliers"]}
    rows = DATA[name]
    told = [rows[place] for place in R["designs"][name]["outliers"]]
    assert found == {(x["condition"], x["size"], x["run"]) for x in told}
    for ours, theirs in (("trimmed", "trimmed"), ("all_runs", "designs")):
        unit = 100 if name == "three sizes" else 1
        check(figures["all_runs"] if ours == "all_runs" else figures, R[theirs][name], unit)
    assert figures["all_runs"]["outliers"] == []
    assert all(key in figures and key in figures["all_runs"] for key in KEYS)


def test_equal_to_the_last_bit_in_any_order_of_rows(table: Table) -> None:
    rows = rows_of("unequal")
    one = compare([table(rows, "a.csv")], "both").figures()
    other = compare([table(rows[::-1], "b.csv")], "both").figures()
    for figures in (one, other):
        for outlier in figures["outliers"]:
            outlier.pop("place")  # file and line
    assert one == other


def test_other_conditions_are_left_out_and_counted(table: Table) -> None:
    rows = rows_of("even")
    plain = compare([table(rows, "a.csv")], "paper").figures()
    more = [("CF revised", "small", n, 0.4) for n in range(3)] + [("MT revised", "large", 1, 0.5)]
    extended = compare([table([*more, *rows], "b.csv")], "paper").figures()
    assert extended["left_out"] == {"CF revised": 3, "MT revised": 1}
    assert [x["effect"] for x in extended["anova"]["effects"]] == [
        x["effect"] for x in plain["anova"]["effects"]
    ]
    assert extended["anova"]["effects"][0]["F"] == close(plain["anova"]["effects"][0]["F"])


def test_conditions_and_sizes_are_in_the_paper_s_order(table: Table) -> None:
    rows = [
        (name, size, run, 0.5 + run / 100)
        for name in ("MT+CF revised", "MT", "MT+CF", "CF")
        for size in ("1.5B", "770M", "220M")
        for run in range(3)
    ]
    figures = compare([table(rows)], "paper").figures()
    assert figures["conditions"] == ["CF", "MT", "MT+CF", "MT+CF revised"]
    assert figures["sizes"] == ["220M", "770M", "1.5B"]
    pairs = [(x["a"], x["b"]) for x in figures["tukey"]]
    assert pairs[:3] == [("CF", "MT"), ("CF", "MT+CF"), ("CF", "MT+CF revised")]


def test_one_size_gives_a_one_way_anova(table: Table) -> None:
    figures = compare([table(rows_of("one size"))], "paper").figures()
    check(
        figures["all_runs"], {**R["designs"]["one size"], "ges": [R["designs"]["one size"]["ges"]]}
    )
    assert figures["anova"]["factors"] == ["condition"]


def test_a_conclusion_that_hangs_on_an_outlier_says_so(table: Table) -> None:
    close_by = [0.70, 0.71, 0.705, 0.715, 0.70]
    rows = [("MT", "770M", n, x) for n, x in enumerate(close_by)]
    rows += [("CF", "770M", n, x - 0.1) for n, x in enumerate([*close_by[:4], 0.15])]
    figures = compare([table(rows)], "paper").figures()
    (one,), (other,) = figures["conclusions"], figures["all_runs"]["conclusions"]
    assert one["settled"]
    assert not other["settled"]
    assert one["text"].startswith("770M: MT better than CF by 9.9 points, 95 % interval ")
    assert "With all runs it is not settled" in one["text"]
    assert one["text"].endswith("the conclusion hangs on the outliers.")
    assert "not settled: MT is 21.0 points above CF in these runs" in other["text"]
    assert "Without outliers MT is better than CF" in other["text"]


def test_degenerate_runs_give_reasons_and_no_nan(table: Table) -> None:
    rows = [(name, "s", run, 0.5) for name in ("MT", "CF") for run in range(4)]
    figures = compare([table(rows)], "both").figures()
    assert figures["anova"]["reason"] == "values do not vary within any cell"
    assert "NaN" not in json.dumps(figures)
    assert "cannot be tested, as values do not vary" in figures["conclusions"][0]["text"]
    single = [(name, size, 0, 0.5) for name in ("MT", "CF") for size in ("s", "m")]
    figures = compare([table(single, "b.csv")], "both").figures()
    assert "no cell has two values" in figures["anova"]["reason"]
    assert "NaN" not in json.dumps(figures)
    text = figures["robust"]["conclusions"][0]["text"]
    assert "not tested, as one run of each condition does not tell how runs vary" in text


def test_one_condition_of_the_paper_is_not_enough(table: Table) -> None:
    rows = [("MT", "s", run, 0.5) for run in range(3)]
    with pytest.raises(UserError, match=r"only MT has runs\. Give runs of at least two"):
        compare([table(rows)], "paper")
    rows += [("MT revised", "s", run, 0.6) for run in range(3)]
    with pytest.raises(UserError, match=r"only MT has runs; there is also MT revised\."):
        compare([table(rows, "b.csv")], "paper")
    with pytest.raises(UserError, match="No size has runs of two of the paper's conditions"):
        compare([table([("MT", "s", 0, 0.5), ("CF", "m", 0, 0.5)], "c.csv")], "paper")


def test_a_direction_that_changes_with_an_outlier_is_no_same(table: Table) -> None:
    sound, low = [0.70, 0.71, 0.72, 0.705, 0.715], [0.69, 0.70, 0.71, 0.695, 0.705]
    rows = [("MT", "770M", n, x) for n, x in enumerate([*sound, 0.55])]
    rows += [("CF", "770M", n, x) for n, x in enumerate(low)]
    figures = compare([table(rows)], "paper").figures()
    (one,), (other,) = figures["conclusions"], figures["all_runs"]["conclusions"]
    assert not one["settled"]
    assert not other["settled"]
    change = 100 * (sum(low) / 5 - (sum(sound) + 0.55) / 6)
    assert change > 0
    assert f"With all runs it is not settled either (CF minus MT: +{change:.1f} p" in one["text"]
    assert one["text"].endswith(": the direction changes with the outliers.")
    assert "the same holds" not in one["text"]
