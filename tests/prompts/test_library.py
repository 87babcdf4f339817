"""The prompt content: the shipped files are whole, and faults of one's own are all named."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from distilwhy.errors import ConfigError, UserError
from distilwhy.prompts.library import FOLDER, load_prompts
from distilwhy.records import Family

FAMILIES: tuple[Family, ...] = get_args(Family)


def own_values(**changes: Any) -> dict[str, Any]:
    values = yaml.safe_load((FOLDER / "yes_no.yaml").read_text(encoding="utf-8"))
    return values | changes


def write(path: Path, values: Any) -> Path:
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


@pytest.mark.parametrize("family", FAMILIES)
def test_shipped_content_is_whole(family: Family) -> None:
    prompts = load_prompts(family)
    assert prompts.family == family
    assert len(prompts.worked_examples) == 7
    assert len(prompts.adjectives) == 18
    assert {worked.flaw for worked in prompts.worked_examples} == set(prompts.flaws)


@pytest.mark.parametrize("family", FAMILIES)
def test_shipped_answers_do_not_favour_a_position(family: Family) -> None:
    places = [w.choices.index(w.answer) for w in load_prompts(family).worked_examples]
    assert max(places.count(place) for place in places) <= 4
    assert len(set(places)) == len(load_prompts(family).worked_examples[0].choices)


def test_shipped_content_is_read_once() -> None:
    assert load_prompts("nli") is load_prompts("nli")


def test_own_file_takes_what_it_lacks_from_the_shipped_ones(tmp_path: Path) -> None:
    rationale = {"header": "", "block": "$question\n$First, $second: $answer."}
    path = write(tmp_path / "own.yaml", own_values(templates={"rationale": rationale}))
    own, shipped = load_prompts("yes_no", path), load_prompts("yes_no")
    assert own.templates["rationale"].block == rationale["block"]
    assert own.templates["critique"] == shipped.templates["critique"]
    assert own.adjectives == shipped.adjectives
    assert own.digest != shipped.digest


def test_own_file_is_read_again_after_a_change(tmp_path: Path) -> None:
    path = write(tmp_path / "own.yaml", own_values(version=1))
    assert load_prompts("yes_no", path).version == 1
    write(path, own_values(version=2))
    assert load_prompts("yes_no", path).version == 2


def test_other_family_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "own.yaml", own_values())
    with pytest.raises(ConfigError, match="family is 'yes_no' but the task's is 'nli'"):
        load_prompts("nli", path)


def test_all_faults_are_named_together(tmp_path: Path) -> None:
    values = own_values(adjectives=["clear", "clear"], extra=1)
    del values["worked_examples"][0]["critique"]
    values["worked_examples"][1]["answer"] = "maybe"
    values["worked_examples"][2]["rationale"] = "two\nlines"
    with pytest.raises(ConfigError) as caught:
        load_prompts("yes_no", write(tmp_path / "own.yaml", values))
    for part in (
        "worked_examples.0.critique: field required",
        "worked_examples.1: answer 'maybe' is not among the choices",
        "worked_examples.2.rationale: must be one line",
        "adjectives: one is empty or stands twice",
        "unknown field 'extra'",
        "docs/teaching.md",
    ):
        assert part in str(caught.value)


def test_unknown_flaw_names_the_known_ones(tmp_path: Path) -> None:
    values = own_values()
    values["worked_examples"][3]["flaw"] = "boring"
    with pytest.raises(ConfigError, match=r"worked example 4: unknown flaw 'boring' \(incorrect,"):
        load_prompts("yes_no", write(tmp_path / "own.yaml", values))


def test_premise_is_needed_for_inference(tmp_path: Path) -> None:
    path = write(tmp_path / "own.yaml", own_values(family="nli"))
    with pytest.raises(ConfigError, match="worked example 1: context"):
        load_prompts("nli", path)


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ({"header": "", "block": "$question $first"}, r"rationale.block lacks \$answer"),
        ({"header": "", "block": "$question $answer $who"}, r"rationale.block has unknown \$who"),
        ({"header": "$answer", "block": "$question $answer"}, r"header has unknown \$answer"),
        ({"header": "5 $", "block": "$question $answer"}, r"a lone \$"),
        ({"header": "", "block": "$question\n\n$answer"}, "blank line"),
    ],
)
def test_faulty_wording_is_named(tmp_path: Path, template: dict[str, str], fault: str) -> None:
    path = write(tmp_path / "own.yaml", own_values(templates={"rationale": template}))
    with pytest.raises(ConfigError, match=fault):
        load_prompts("yes_no", path)


@pytest.mark.parametrize("content", ["- a\n- b\n", "version: [1\n", ""])
def test_what_is_no_prompt_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"own\.yaml"):
        load_prompts("yes_no", path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml does not exist"):
        load_prompts("yes_no", tmp_path / "none.yaml")
