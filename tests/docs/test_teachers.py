"""docs/teachers.md: its backend is installed and used, its requests are those that are sent."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from distilwhy.config import TeacherSettings
from distilwhy.files import read_records
from distilwhy.generators.api_messages import Dialect
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Annotation
from distilwhy.tasks import load_task
from distilwhy.teaching.steps import Asking, rationale_prompt

PAGE = (Path(__file__).parents[2] / "docs" / "teachers.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.S | re.M)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder in which the page's package is installed, as an installer would leave it."""
    folder = tmp_path / "site"
    (code,) = blocks("python")
    (declared,) = blocks("toml")
    project = tomllib.loads(declared)["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    lines = [f"{key.capitalize()}: {project[key]}" for key in ("name", "version")]
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines, ""]))
    groups = project["entry-points"].items()
    points = [f"[{g}]\n" + "".join(f"{n} = {v}\n" for n, v in named.items()) for g, named in groups]
    (info / "entry_points.txt").write_text("\n".join(points))
    (folder / "distilwhy_program.py").write_text(code)
    return folder


def generate(site: Path, teacher: str) -> subprocess.CompletedProcess[str]:
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    task = ("--task", "mini", "--limit", "3", "--steps", "rationale", "--shots", "1")
    return subprocess.run(
        [sys.executable, "-m", "distilwhy", "generate", *task, "--teacher", teacher, "--out", "a"],
        cwd=site.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_backend_of_the_page_works_once_installed(site: Path) -> None:
    code = "import sys; print(' It is', len(sys.stdin.read()), 'long.'); print('Next')"
    done = generate(site, f'program:{sys.executable} -c "{code}"')
    assert done.returncode == 0, done.stderr
    made = read_records(site.parent / "a", Annotation)
    assert len(made) == 3
    for annotation in made:
        assert annotation.rationale is not None
        assert re.fullmatch(r"It is \d{3} long\.", annotation.rationale.text)
    assert len(blocks("python")[0].splitlines()) <= 40


def test_the_backend_of_the_page_tells_what_is_wrong(site: Path) -> None:
    done = generate(site, "program:no-such-program")
    assert done.returncode == 2
    assert "program:no-such-program failed: " in done.stderr
    assert "Traceback" not in done.stderr
    done = generate(site, "progam:cat")
    assert "unknown kind 'progam'.\nKnown: gguf, hf, http, https, ollama, openai, program," in (
        done.stderr
    )


@pytest.mark.parametrize("chat", [False, True])
def test_requests_are_those_that_are_sent(chat: bool) -> None:
    settings = TeacherSettings(model="http://h/v1#Qwen/Qwen3-4B-Instruct-2507", shots=1, chat=chat)
    (example,) = load_task("mini").load("train", 1, 0)
    asking = Asking(load_prompts(example.family), settings, 0)
    prompt = rationale_prompt(example, asking).prompt
    dialect = Dialect("Qwen/Qwen3-4B-Instruct-2507", asking.decoding(), "max_tokens")
    assert json.loads(blocks("json")[chat]) == dialect.body(prompt)
