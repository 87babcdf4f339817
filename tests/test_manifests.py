"""Manifests: every reason for which a stage counts as not done, and none more."""

from __future__ import annotations

import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from distilwhy import __version__
from distilwhy.errors import DataError
from distilwhy.manifests import (
    begin_stage,
    content_hash,
    manifest_path,
    read_manifest,
    stage_is_done,
    why_not_done,
    write_manifest,
)

SETTINGS = {"epochs": 2, "views": ("predict", "explain"), "seed": 3}


class Stage:
    """A stage that copies its input."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "in.jsonl"
        self.output = folder / "out.jsonl"
        self.source.write_text("question\n")

    def run(self) -> None:
        run = begin_stage("train", {"rows": self.source}, SETTINGS, seed=3)
        self.output.write_text(self.source.read_text())
        write_manifest(self.output, run)

    def why(self, stage="train", settings=SETTINGS, inputs=None) -> str | None:
        return why_not_done(self.output, stage, inputs or {"rows": self.source}, settings)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path)
    made.run()
    return made


def edit(stage: Stage, **changes) -> None:
    path = manifest_path(stage.output)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_finished_stage_that_is_made_anew_is_told(stage, capsys):
    other = {**SETTINGS, "more": 1}
    assert not stage_is_done(stage.output, "train", {"rows": stage.source}, other)
    assert capsys.readouterr().err == f"{stage.output} is made anew: the settings changed.\n"
    # One that is new, finished, or not finished yet says nothing.
    assert not stage_is_done(stage.output.with_name("new"), "train", {}, {})
    assert stage_is_done(stage.output, "train", {"rows": stage.source}, SETTINGS)
    manifest_path(stage.output).unlink()
    assert not stage_is_done(stage.output, "train", {"rows": stage.source}, SETTINGS)
    assert capsys.readouterr().err == ""


def test_a_finished_stage_is_done(stage):
    assert stage_is_done(stage.output, "train", {"rows": stage.source}, SETTINGS)
    # As read back from a YAML or JSON file: lists for tuples, another order of keys.
    plain = {"seed": 3, "views": ["predict", "explain"], "epochs": 2}
    assert stage.why(settings=plain) is None


def test_the_manifest_says_what_the_output_was_made_of(stage):
    manifest = json.loads((stage.output.parent / "out.jsonl.manifest.json").read_text())
    digest = hashlib.sha256(b"question\n").hexdigest()
    assert manifest["stage"] == "train"
    assert manifest["inputs"] == {"rows": {"path": str(stage.source), "sha256": digest}}
    assert manifest["output_sha256"] == digest
    assert manifest["settings"] == {"epochs": 2, "views": ["predict", "explain"], "seed": 3}
    assert manifest["seed"] == 3
    assert manifest["versions"]["distilwhy"] == __version__
    assert manifest["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    age = datetime.now(UTC) - datetime.fromisoformat(manifest["started"])
    assert 0 <= manifest["seconds"] <= age.total_seconds() < 60


def test_no_output(stage):
    stage.output.unlink()
    assert stage.why() == "no output yet"
    assert not stage_is_done(stage.output, "train", {"rows": stage.source}, SETTINGS)


def test_no_manifest(stage):
    manifest_path(stage.output).unlink()
    assert stage.why() == "the output has no manifest"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"stage": "train"}'])
def test_manifest_that_is_none(stage, content):
    manifest_path(stage.output).write_text(content)
    assert stage.why() == "the manifest cannot be read"
    with pytest.raises(DataError):
        read_manifest(stage.output)


def test_output_of_another_stage(stage):
    assert stage.why(stage="predict") == "the output is of stage 'train'"


def test_settings_changed(stage):
    assert stage.why(settings={**SETTINGS, "epochs": 3}) == "the settings changed"
    assert stage.why(settings={**SETTINGS, "alpha": 0.5}) == "the settings changed"


def test_other_version(stage):
    edit(stage, versions={"distilwhy": "0.0.1"})
    assert stage.why() == "the output is of distilwhy 0.0.1"
    edit(stage, versions={})
    assert stage.why() == "the output is of distilwhy unknown"


def test_input_changed(stage):
    stage.source.write_text("Question\n")
    assert stage.why() == "input 'rows' changed"


def test_input_missing(stage):
    stage.source.unlink()
    assert stage.why() == "input 'rows' is missing"


def test_other_inputs(stage):
    assert stage.why(inputs={"examples": stage.source}) == "the inputs are others"


def test_input_that_moved_is_the_same(stage):
    moved = stage.source.rename(stage.source.with_name("moved.jsonl"))
    assert stage.why(inputs={"rows": moved}) is None


def test_output_changed(stage):
    stage.output.write_text("question\nhalf a")
    assert stage.why() == "the output was changed"


def test_an_input_that_changes_under_way_does_not_pass_for_the_one_used(stage):
    run = begin_stage("train", {"rows": stage.source}, SETTINGS)
    stage.source.write_text("changed while training\n")
    write_manifest(stage.output, run)
    assert stage.why() == "input 'rows' changed"


def test_missing_input_or_output_is_named(stage, tmp_path):
    with pytest.raises(DataError, match=r"none\.jsonl cannot be read: No such file"):
        begin_stage("train", {"rows": tmp_path / "none.jsonl"}, {})
    with pytest.raises(DataError, match=r"none\.jsonl cannot be read"):
        write_manifest(tmp_path / "none.jsonl", begin_stage("train", {}, {}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "student"
    (made / "tokenizer").mkdir(parents=True)
    (made / "config.json").write_text("{}")
    (made / "tokenizer" / "vocab.txt").write_text("a\nb\n")
    (made / "weights.bin").write_bytes(bytes(range(256)) * 16384)
    return made


def test_folder_hash_is_stable(folder, tmp_path):
    before = content_hash(folder)
    folder.rename(tmp_path / "elsewhere")
    assert content_hash(tmp_path / "elsewhere") == before


def test_folder_hash_sees_content_names_and_files(folder):
    seen = {content_hash(folder)}
    (folder / "config.json").write_text("[]")
    seen.add(content_hash(folder))
    (folder / "tokenizer" / "vocab.txt").rename(folder / "tokenizer" / "words.txt")
    seen.add(content_hash(folder))
    (folder / "extra").write_text("")
    seen.add(content_hash(folder))
    (folder / "extra").unlink()
    (folder / "weights.bin").write_bytes((folder / "weights.bin").read_bytes() + b"x")
    seen.add(content_hash(folder))
    assert len(seen) == 5


def test_folder_hash_sees_other_weights_of_the_same_size(folder):
    before = content_hash(folder)
    weights = bytearray((folder / "weights.bin").read_bytes())
    for last in (0, len(weights) - 1, len(weights) // 2):
        changed = bytearray(weights)
        changed[max(0, last - 300_000) : last + 300_000] = bytes(
            len(changed[max(0, last - 300_000) : last + 300_000])
        )
        assert len(changed) == len(weights)
        (folder / "weights.bin").write_bytes(changed)
        assert content_hash(folder) != before
    (folder / "weights.bin").write_bytes(weights)
    assert content_hash(folder) == before


def test_folder_outputs(folder, tmp_path):
    write_manifest(folder, begin_stage("train", {}, {}))
    assert (tmp_path / "student.manifest.json").is_file()
    assert stage_is_done(folder, "train", {}, {})
    (folder / "config.json").unlink()
    assert why_not_done(folder, "train", {}, {}) == "the output was changed"
