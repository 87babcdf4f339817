"""Worked examples, requests and wording of the teacher's prompts, read from YAML and checked."""

from __future__ import annotations

from collections.abc import Set
from functools import cache
from pathlib import Path
from string import Template
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from distilwhy.config import Settings, read_yaml, validate
from distilwhy.errors import ConfigError
from distilwhy.files import describe, sha256_json
from distilwhy.records import Example, Family

FOLDER = Path(__file__).parent
REMEDY = "docs/teaching.md shows what a prompt file holds."

Templated = Literal["rationale", "critique", "revision"]
"""Steps that have wording of their own."""

ADJECTIVE_NAMES = frozenset({"first", "second", "First"})
COMMON_NAMES = ADJECTIVE_NAMES | {"question", "answer"}
STEP_NAMES: dict[Templated, frozenset[str]] = {
    "rationale": COMMON_NAMES,
    "critique": COMMON_NAMES | {"explanation", "critique_request"},
    "revision": COMMON_NAMES | {"explanation", "critique", "revision_request"},
}
"""What a step's block can be filled with; all but the adjectives must stand in it."""


class WorkedQuestion(Settings):
    """The question of a worked example."""

    context: str | None = Field(None, description="Context, or premise of an inference task.")
    question: str = Field(min_length=1, description="Question, or hypothesis.")
    choices: tuple[str, ...] = Field(min_length=2, description="Choices in the order shown.")
    answer: str = Field(min_length=1, description="The right choice.")

    @model_validator(mode="after")
    def _check_example(self) -> Self:
        try:
            self.example("multiple_choice")
        except ValidationError as error:
            raise ValueError("; ".join(describe(error))) from None
        return self

    def example(self, family: Family) -> Example:
        """Return the question as an example, to be shown as all questions are."""
        return Example(
            id="worked",
            question=self.question,
            choices=self.choices,
            answer=self.answer,
            context=self.context,
            family=family,
        )

    @staticmethod
    def one_line(text: str) -> str:
        """Return a text that is one line.

        Raises:
            ValueError: When it is not.
        """
        if "\n" in text or text != text.strip():
            raise ValueError("must be one line without spaces around it")
        return text


class WorkedExample(WorkedQuestion):
    """One worked example: its texts serve the prompts of all steps."""

    rationale: str = Field(min_length=1, description="A good explanation of the answer.")
    flawed_rationale: str = Field(min_length=1, description="An explanation with the flaw.")
    flaw: str = Field(min_length=1, description="Name of the flaw.")
    critique: str = Field(min_length=1, description="A critique that names the flaw.")
    revision: str = Field(min_length=1, description="The explanation without the flaw.")

    @field_validator("rationale", "flawed_rationale", "critique", "revision")
    @classmethod
    def _check_text(cls, value: str) -> str:
        return cls.one_line(value)


class RequestPair(Settings):
    """The two requests that belong to one flaw."""

    critique: str = Field(min_length=1, description="Asks to point the flaw out.")
    revision: str = Field(min_length=1, description="Asks to rewrite without the flaw.")


class NothingToMend(Settings):
    """How a critique of a later round is told that it may find nothing, and says so."""

    request: str = Field(min_length=1, description="Stands after the request of the flaw.")
    critique: str = Field(min_length=1, description="A critique that finds nothing.")


class StepTemplate(Settings):
    """Wording of one step, with ``$names`` to be filled in."""

    header: str = Field(description="First paragraph of the prompt.")
    block: str = Field(min_length=1, description="One question, up to where the text begins.")


class Prompts(Settings):
    """All that prompts are made of, for one family."""

    version: int = Field(description="Version of the content; raise it with every change.")
    family: Family = Field(description="Family of the questions.")
    worked_examples: tuple[WorkedExample, ...] = Field(
        min_length=1, description="Worked examples; the first ones are used when shots are fewer."
    )
    adjectives: tuple[str, ...] = Field(
        min_length=2, description="Adjectives that describe the teacher, two in each prompt."
    )
    flaws: dict[str, RequestPair] = Field(min_length=1, description="Requests by flaw.")
    nothing_to_mend: NothingToMend = Field(description="Wording from the second critique on.")
    templates: dict[Templated, StepTemplate] = Field(description="Wording by step.")

    @field_validator("adjectives")
    @classmethod
    def _check_adjectives(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value) or not all(word.strip() for word in value):
            raise ValueError("one is empty or stands twice")
        return value

    @field_validator("templates")
    @classmethod
    def _check_templates(
        cls, value: dict[Templated, StepTemplate]
    ) -> dict[Templated, StepTemplate]:
        faults = [f"{step} is missing" for step in STEP_NAMES if step not in value]
        for step, template in value.items():
            needed = STEP_NAMES[step] - ADJECTIVE_NAMES
            faults += template_faults(
                template.header,
                template.block,
                needed=needed,
                allowed=STEP_NAMES[step],
                place=f"{step}.",
            )
        if faults:
            raise ValueError("; ".join(faults))
        return value

    @model_validator(mode="after")
    def _check_worked_examples(self) -> Self:
        faults = []
        for number, worked in enumerate(self.worked_examples, 1):
            if worked.flaw not in self.flaws:
                known = ", ".join(self.flaws)
                faults.append(f"worked example {number}: unknown flaw {worked.flaw!r} ({known})")
            if self.family == "nli" and not worked.context:
                faults.append(f"worked example {number}: context (the premise) is missing")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of the content, for manifests."""
        return sha256_json(self.model_dump(mode="json"))


def template_faults(
    header: str, block: str, *, needed: Set[str], allowed: Set[str], place: str = ""
) -> list[str]:
    """Return what is wrong with the ``$names`` of a step's wording.

    Args:
        header: First paragraph of a prompt; only adjectives may stand in it.
        block: One question.
        needed: Names that must stand in the block.
        allowed: Names that may stand in it.
        place: Where they stand in the file, with a full stop.
    """
    opening, asked = Template(header), Template(block)
    if not (opening.is_valid() and asked.is_valid()):
        return [f"{place}header or {place}block has a lone $ (write $$ for a dollar sign)"]
    names = set(asked.get_identifiers())
    faults = [f"{place}block lacks ${name}" for name in sorted(needed - names)]
    faults += [f"{place}block has unknown ${name}" for name in sorted(names - allowed)]
    faults += [
        f"{place}header has unknown ${name}"
        for name in sorted(set(opening.get_identifiers()) - ADJECTIVE_NAMES)
    ]
    if "\n\n" in block.strip():
        faults.append(f"{place}block has a blank line (blank lines separate questions)")
    return faults


def load_prompts(family: Family, path: str | Path | None = None) -> Prompts:
    """Return the prompt content of a family.

    Args:
        family: Family of the questions to be asked.
        path: A prompt file of one's own. It has the fields of the shipped family files and may
            also hold ``adjectives``, ``flaws``, ``nothing_to_mend`` and ``templates``, each
            replacing the shipped ones (``templates`` step by step).

    Raises:
        ConfigError: When the file is of another family, or naming all its faults.
    """
    if path is None:
        return _shipped(family)
    values = read_yaml(Path(path))
    prompts = _build(values, str(path))
    if prompts.family != family:
        raise ConfigError(
            f"{path}: family is {prompts.family!r} but the task's is {family!r}.",
            "Name a prompt file of the task's family.",
        )
    return prompts


@cache
def _shipped(family: Family) -> Prompts:
    path = FOLDER / f"{family}.yaml"
    return _build(read_yaml(path), str(path))


@cache
def _shared() -> dict[str, Any]:
    """Return the shipped adjectives, requests and templates."""
    requests, templates = (read_yaml(FOLDER / f"{n}.yaml") for n in ("requests", "templates"))
    return {
        "adjectives": requests["adjectives"],
        "flaws": requests["flaws"],
        "nothing_to_mend": requests["nothing_to_mend"],
        "templates": templates["templates"],
    }


def _build(values: Any, source: str) -> Prompts:
    """Check one file's fields, completed with the shipped ones."""
    if isinstance(values, dict):
        shared = _shared()
        templates = values.get("templates", {})
        if isinstance(templates, dict):
            templates = shared["templates"] | templates
        values = shared | values | {"templates": templates}
    return validate(Prompts, values, source, REMEDY)
