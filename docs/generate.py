"""Writes what follows from the code: docs/config.md, docs/cli.md and the README's file list.

``python docs/generate.py`` writes them; with ``--check`` it only says which are out of date and
exits with 1 when any is. Equal code gives equal pages, whatever the terminal or the environment.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import sys
import types
import typing
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python
from typer.main import get_command

from distilwhy.config import Experiment, validate
from distilwhy.tasks.custom import CustomSettings

ROOT = Path(__file__).parents[1]
TREE_START, TREE_END = "<!-- tree -->", "<!-- /tree -->"
TREE_FOLDERS = {
    "src/distilwhy": "the library; a file may import from its own folder and from those above it",
    "src/distilwhy/statistics": "statistics of plain numbers",
    "src/distilwhy/config": "the experiment file and what it may say",
    "src/distilwhy/tasks": "data sets, how questions are shown, how answers are read",
    "src/distilwhy/prompts": "the few-shot prompts and their words",
    "src/distilwhy/models": "naming, finding and loading language models",
    "src/distilwhy/generators": "text in, text out",
    "src/distilwhy/teaching": "what the teacher is asked, and what is noticed about its texts",
    "src/distilwhy/growing": "tasks without data: questions that a teacher writes",
    "src/distilwhy/students": "what a student reads and learns to write",
    "src/distilwhy/training": "methods, batches, the one loss, the one trainer",
    "src/distilwhy/inference": "asking students and teachers",
    "src/distilwhy/evaluation": "figures of predictions",
    "src/distilwhy/judging": "a language model as the judge of explanations",
    "src/distilwhy/human_study": "people rating explanations: what their ratings say",
    "src/distilwhy/explainability": "measures of explanations, one a file",
    "src/distilwhy/comparison": "differences across runs",
    "src/distilwhy/report": "the HTML page",
    "src/distilwhy/pipeline": "stages, cells, whole experiments",
    "src/distilwhy/cli": "one thin file a command",
    "configs": "experiment files",
    "docs": "a page a subject",
}

CONFIG_OPENING = """\
# The experiment file

<!-- Written by docs/generate.py from the settings' classes; change it there, then `make docs`. -->

`distilwhy run FILE` reads one YAML file. Unknown fields, missing ones and values out of range are
all reported together, each with its place in the file. A short one:

```yaml
{example}```

Every student is trained on every condition with every seed. All fields follow; a heading such as
`students.lora` names where a group of fields stands in the file.
"""

EXAMPLE = """\
name: my first experiment
task: mini                      # a task's name, a task file, or a task of your own (below)
teacher:
  model: embedded               # or hf:NAME_OR_FOLDER, gguf:FILE, recorded:FILE
students:
  - model: hf:google/t5-v1_1-base
conditions:
  - method: multitask
    data: unrevised
  - method: counterfactual
    data: revised
seeds: [0, 1]
training:
  epochs: 3
  learning_rate: 5.0e-5
"""

CLI_OPENING = """\
# The command line

<!-- Written by docs/generate.py from the commands' own help; change it there, then `make docs`. -->

`distilwhy COMMAND --help` says the same in the terminal.
"""

TYPE_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "integer",
    float: "number",
    str: "text",
    Path: "path",
    dict[str, Any]: "fields",
}
BOUND_WORDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
COMPLETION = {"install_completion", "show_completion"}


def config_page() -> str:
    """Return docs/config.md: every settings class that an experiment file can hold."""
    validate(Experiment, yaml.safe_load(EXAMPLE), "the example of docs/config.md")
    places = {**places_in(Experiment, "experiment"), **places_in(CustomSettings, "task")}
    parts = [CONFIG_OPENING.format(example=EXAMPLE)]
    for model, place in places.items():
        parts.append(f"## {place}\n\n{cleandoc(model.__doc__ or '')}\n")
        parts.append(table(("field", "type", "default", "meaning"), field_rows(model, places)))
    return "\n".join(parts)


Places = dict[type[BaseModel], str]
"""Where in the file a settings class stands, e.g. ``students.lora``; in reading order."""


def places_in(model: type[BaseModel], place: str) -> Places:
    """Return the place of a settings class and of all that its fields hold."""
    places = {model: place}
    for name, info in model.model_fields.items():
        for inner in models_in(info.annotation):
            places |= places_in(inner, name if model is Experiment else f"{place}.{name}")
    return places


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the settings classes that an annotation names, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from models_in(part)


def field_rows(model: type[BaseModel], places: Places) -> Iterator[tuple[str, str, str, str]]:
    """Yield a table row for each field, the ones that must be given first."""
    fields = sorted(model.model_fields.items(), key=lambda item: not item[1].is_required())
    for name, info in fields:
        kind = ", ".join([type_text(info.annotation, places), *bounds(info)])
        yield f"`{name}`", kind, default_text(info), info.description or ""


def type_text(annotation: Any, places: Places) -> str:
    """Return what an annotation allows, in words that a writer of YAML knows."""
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in places:
        place = places[annotation]
        return f"[{place}](#{place.replace('.', '')})"
    if annotation in TYPE_WORDS:
        return TYPE_WORDS[annotation]
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in inside)
    # What a field is when it is unset stands in the column of defaults.
    parts = [type_text(part, places) for part in inside if part not in (type(None), Ellipsis)]
    if origin in (typing.Union, types.UnionType):
        return " or ".join(parts)
    if origin is dict:
        return f"{parts[0]} -> {parts[1]}"
    return f"list of {parts[0]}"


def bounds(info: FieldInfo) -> list[str]:
    """Return the bounds of a field as clauses, e.g. ``at least 1``."""
    clauses = [
        f"{words} {getattr(limit, name):g}"
        for limit in info.metadata
        for name, words in BOUND_WORDS.items()
        if hasattr(limit, name)
    ]
    empty_refused = any(getattr(limit, "min_length", 0) for limit in info.metadata)
    return [*clauses, *["not empty"] * empty_refused]


def default_text(info: FieldInfo) -> str:
    """Return a field's default as YAML."""
    if info.is_required():
        return "must be given"
    if isinstance(info.default, BaseModel):
        return "as below"
    return value_text(info.default)


def value_text(value: Any) -> str:
    """Return a default value as YAML."""
    if value is None or value == ():
        return "unset" if value is None else "`[]`"
    if isinstance(value, float):
        return f"`{value:g}`"
    plain = to_jsonable_python(value)
    return f"`{plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)}`"


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines) + "\n"


def cell(text: str) -> str:
    """Return a text that stays inside one table cell."""
    return " ".join(text.split()).replace("|", "\\|")


def cli_page() -> str | None:
    """Return docs/cli.md: every command with its arguments and options; None without a CLI."""
    if importlib.util.find_spec("distilwhy.cli.main") is None:
        return None
    app = importlib.import_module("distilwhy.cli.main").app
    return "\n".join([CLI_OPENING, *command_sections("distilwhy", get_command(app))])


def command_sections(path: str, command: Any) -> Iterator[str]:
    """Yield the Markdown of a command and of those below it.

    Args:
        path: The command as typed, e.g. ``distilwhy study create``.
        command: What typer made of it.
    """
    shown = [p for p in command.params if p.name not in COMPLETION and not getattr(p, "hidden", 0)]
    arguments = [p for p in shown if p.param_type_name == "argument"]
    options = [p for p in shown if p.param_type_name == "option"]
    below = getattr(command, "commands", {})
    usage = [path, *(argument_text(p) for p in arguments)]
    usage += ["[OPTIONS]"] * bool(options) + ["COMMAND"] * bool(below)
    yield f"## {path}\n\n    {' '.join(usage)}\n"
    if command.help:
        yield cleandoc(command.help.split("\f")[0]) + "\n"
    hints = typing.get_type_hints(command.callback) if command.callback else {}
    if arguments:
        rows = ((f"`{p.name.upper()}`", *parameter_cells(p, hints)) for p in arguments)
        yield table(("argument", "type", "default", "meaning"), rows)
    if options:
        rows = ((option_text(p), *parameter_cells(p, hints)) for p in options)
        yield table(("option", "type", "default", "meaning"), rows)
    for name, inner in below.items():
        if not inner.hidden:
            yield from command_sections(f"{path} {name}", inner)


def argument_text(parameter: Any) -> str:
    """Return an argument as the usage line shows it."""
    text = f"{parameter.name.upper()}{'...' if parameter.nargs == -1 else ''}"
    return text if parameter.required else f"[{text}]"


def option_text(parameter: Any) -> str:
    """Return the names of an option, the negative ones of a switch included."""
    return ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))


def parameter_cells(parameter: Any, hints: dict[str, Any]) -> tuple[str, str, str]:
    """Return type, default and meaning of an argument or option."""
    annotation = hints.get(parameter.name, str)
    switch = getattr(parameter, "is_flag", False) or annotation is bool
    kind = "switch" if switch else type_text(annotation, {})
    if parameter.required:
        default = "must be given"
    elif switch and parameter.default is not None:
        default = "on" if parameter.default else "off"
    else:
        default = value_text(parameter.default)
    return kind, default, parameter.help or ""


def readme_page() -> str:
    """Return README.md with its file list made anew from the first line of every file."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    before, _, rest = text.partition(TREE_START)
    _, _, after = rest.partition(TREE_END)
    return f"{before}{TREE_START}\n{tree()}{TREE_END}{after}"


def tree() -> str:
    """Return the file tree with a line for each file, as Markdown."""
    lines = []
    for folder, name in TREE_FOLDERS.items():
        lines.append(f"\n**{folder}** {name}\n")
        for path in sorted((ROOT / folder).glob("*")):
            if what := first_line(path):
                lines.append(f"- `{path.name}` {what}")
    return "\n".join(lines) + "\n\n"


def first_line(path: Path) -> str:
    """Return what a file says of itself in its first line, without mark-up or full stop."""
    if path.suffix == ".py" and path.stat().st_size:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    elif path.suffix in (".yaml", ".md", ".j2"):
        text = path.read_text(encoding="utf-8").lstrip("#- \n")
    else:
        return ""
    return text.partition("\n")[0].replace("``", "`").rstrip(".").lstrip("# ")


def main() -> int:
    """Write the pages, or with ``--check`` compare them; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    check = parser.parse_args().check
    pages = {
        "docs/config.md": config_page(),
        "docs/cli.md": cli_page(),
        "README.md": readme_page(),
    }
    stale = 0
    for name, text in pages.items():
        path = ROOT / name
        if text is None or (path.is_file() and path.read_text(encoding="utf-8") == text):
            continue
        stale += 1
        if not check:
            path.write_text(text, encoding="utf-8")
        print(f"{name} {'is out of date; run: make docs' if check else 'written'}")
    return int(check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
