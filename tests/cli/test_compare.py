"""``distilwhy compare`` on the command line: JSON, tables, files, misuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

PLAIN, REVISED = "few-shot-positive-rationale", "few-shot-revision"
CONDITIONS = (("task-prefix", PLAIN), ("counterfactual-prefix", PLAIN), ("both", REVISED))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    lines = ["run,test accuracy,target_rationale,model_size,training_mode"]
    for place, (mode, target) in enumerate(CONDITIONS):
        for run, shift in enumerate((0, 12, 5, 9, 40)):
            lines.append(f"{run},0.6{place}{shift:02},{target},220M,{mode}")
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(lines))
    return path


def test_json_has_every_number_under_stable_keys(call: Callable, runs: Path) -> None:
    called = call("compare", runs, "--mode", "both", "--json")
    assert called.code == 0, called.err
    found = json.loads(called.out)
    keys = {"means", "outliers", "levene", "shapiro", "anova", "tukey", "conclusions"}
    assert keys <= found.keys()
    assert keys == found["all_runs"].keys()
    assert len(found["outliers"]) == 3
    assert found["means"][0] == {
        "condition": "CF",
        "size": "220M",
        "n": 4,
        "mean": 0.61065,
        "sd": pytest.approx(0.000520, abs=1e-6),
    }
    assert {"pairs", "conclusions", "family", "collapsed"} <= found["robust"].keys()
    assert "robust" not in json.loads(call("compare", runs, "--mode", "paper", "--json").out)
    assert keys.isdisjoint(json.loads(call("compare", runs, "--json").out))


def test_text_latex_and_files(call: Callable, runs: Path, tmp_path: Path) -> None:
    text = call("compare", runs, "--mode", "both").out
    assert "15 runs of 3 conditions, from tables, accuracies read as shares." in text
    assert "Tukey's HSD for each size" in text
    assert "- 220M: " in text
    latex = call("compare", runs, "--mode", "both", "--latex", "--out", tmp_path / "t.tex").out
    assert latex == (tmp_path / "t.tex").read_text()
    assert latex.count(r"\begin{table}") == latex.count(r"\end{table}") == 6
    plain = [line for line in latex.splitlines() if line and not line.startswith("%")]
    assert all(line[0] == "\\" or line.endswith(r"\\") for line in plain)
    assert r"Mean \%" in latex
    called = call("compare", runs, "--json", "--out", tmp_path / "new" / "t.json")
    assert json.loads(called.out) == json.loads((tmp_path / "new" / "t.json").read_text())


def test_only_some_conditions(call: Callable, runs: Path) -> None:
    some = ("--condition", "MT", "--condition", "CF")
    found = json.loads(call("compare", runs, "--json", *some).out)
    assert found["conditions"] == ["CF", "MT"]
    assert len(found["robust"]["pairs"]) == 1


def test_misuse(refused: Callable[..., str], runs: Path, tmp_path: Path) -> None:
    assert "no ending that names a format" in refused("compare", runs, "--out", tmp_path / "x.pdf")
    assert "No run is of condition 'XY'." in refused("compare", runs, "--condition", "XY")
    broken = tmp_path / "broken.csv"
    broken.write_text("run,test accuracy\n1,2\n")
    said = refused("compare", broken, runs)
    assert "lacks the columns 'target_rationale', 'model_size', 'training_mode'" in said
    assert "Mend the tables" in said
