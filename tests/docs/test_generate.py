"""The reference pages name everything that they should."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Annotated, Literal

import pytest
import typer
import yaml

from distilwhy import config

FOLDER = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", FOLDER / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sections(page: str) -> dict[str, list[str]]:
    """Return the cells of the first column under each heading, without backquotes."""
    found: dict[str, list[str]] = {}
    for line in page.splitlines():
        if line.startswith("## "):
            found[line[3:]] = []
        elif match := re.match(r"\| `([^`]+)`", line):
            found[list(found)[-1]].append(match[1])
    return found


def test_every_field_of_every_settings_class_is_described(generate: ModuleType) -> None:
    found = sections(generate.config_page())
    shown = {field for names in found.values() for field in names}
    classes = [
        cls
        for _, cls in inspect.getmembers(config, inspect.isclass)
        if issubclass(cls, config.Settings)
    ]
    wanted = {field for cls in classes for field in cls.model_fields}
    assert wanted <= shown
    assert found["students.lora"] == list(config.LoraSettings.model_fields)


def test_no_field_lacks_a_meaning(generate: ModuleType) -> None:
    rows = [line for line in generate.config_page().splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert not [row for row in rows if re.search(r"\|\s*\|$", row)]


def test_example_is_a_valid_experiment(generate: ModuleType) -> None:
    block = re.search(r"```yaml\n(.*?)```", generate.config_page(), re.S)
    assert block is not None
    experiment = config.Experiment.model_validate(yaml.safe_load(block[1]))
    assert [condition.data for condition in experiment.conditions] == ["unrevised", "revised"]


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int | None, "integer"),
        (float, "number"),
        (tuple[str, ...], "list of text"),
        (list[int] | str, "list of integer or text"),
        (Literal["a", "b"], "`a`, `b`"),
        (dict[str, float], "text -> number"),
        (bool, "true or false"),
        (Path, "path"),
    ],
)
def test_types_in_words(generate: ModuleType, annotation: object, words: str) -> None:
    assert generate.type_text(annotation, {}) == words


def test_commands_with_all_their_arguments_and_options(generate: ModuleType) -> None:
    app = typer.Typer()
    inner = typer.Typer()

    @app.command("train")
    def train(
        source: Annotated[Path, typer.Argument(help="What to read.")],
        out: Annotated[Path | None, typer.Argument(help="Where to | write.")] = None,
        rate: Annotated[float, typer.Option("--rate", "-r", help="How fast.")] = 0.5,
        chat: Annotated[bool, typer.Option("--chat/--plain", help="How.")] = True,
        kind: Annotated[Literal["a", "b"], typer.Option(help="Which.")] = "a",
        name: Annotated[str, typer.Option(help="Whose.")] = ...,  # type: ignore[assignment]
        secret: Annotated[bool, typer.Option(hidden=True)] = False,
    ) -> None:
        """Train a student."""

    @inner.command("create")
    def create() -> None:
        """Create a study."""

    app.add_typer(inner, name="study")
    page = "\n".join(generate.command_sections("tool", typer.main.get_command(app)))
    assert "    tool train SOURCE [OUT] [OPTIONS]\n\nTrain a student." in page
    assert "| `SOURCE` | path | must be given | What to read. |" in page
    assert "| `OUT` | path | unset | Where to \\| write. |" in page
    assert "| `--rate`, `-r` | number | `0.5` | How fast. |" in page
    assert "| `--chat`, `--plain` | switch | on | How. |" in page
    assert "| `--kind` | `a`, `b` | `a` | Which. |" in page
    assert "| `--name` | text | must be given | Whose. |" in page
    assert "secret" not in page
    assert "completion" not in page
    assert "## tool study create\n\n    tool study create\n\nCreate a study." in page
