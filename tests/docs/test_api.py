"""The Python examples of docs/api.md run on tiny models and do what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_the_examples_run_as_printed(
    tiny_models: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    assert len(blocks) == 2
    names: dict[str, Any] = {
        "TEACHER": f"hf:{tiny_models['llama']}",
        "STUDENT": f"hf:{tiny_models['t5']}",
    }
    exec("\n".join(blocks), names)
    assert len(names["annotations"]) == 8
    assert names["metrics"].n == len(names["predictions"]) == 4
    assert Path("student/distilwhy.json").is_file()
    assert names["report"] == Path("runs/api/report.html")
    assert "answer_only" in names["report"].read_text()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("8 1 4 ")
    assert printed[-1] == str(Path("runs/api/report.html"))


@pytest.mark.parametrize(
    "verb", ["grow", "generate", "train", "predict", "evaluate", "compare", "run"]
)
def test_every_verb_is_there_with_the_arguments_named(verb: str) -> None:
    import inspect

    import distilwhy

    row = re.search(rf"^\| `{verb}\((.*?)\)`", PAGE.read_text(encoding="utf-8"), re.M)
    assert row is not None
    named = [part.split("=")[0].strip() for part in row[1].split(",")]
    assert named == list(inspect.signature(getattr(distilwhy, verb)).parameters)
