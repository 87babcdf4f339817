"""Prompts that have a judge rate an explanation, or compare two; they share their beginnings."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from pydantic import Field, model_validator

from distilwhy.config import CONSTRUCTS, Construct, Settings, read_yaml, validate
from distilwhy.files import sha256_json
from distilwhy.judging.verdicts import HIGHEST, LOWEST
from distilwhy.prompts.library import FOLDER
from distilwhy.prompts.wording import SEPARATOR, one_line, shown_question
from distilwhy.records import Prediction

LONGEST_SHOWN = 4000  # characters of an explanation; a looping one fills no context
_MARKS = re.compile(r"<{2,}|>{2,}")


class ItemWording(Settings):
    """How one construct is asked about."""

    item: str = Field(min_length=1, description="The statement that is rated.")
    anchors: tuple[str, ...] = Field(
        min_length=HIGHEST, max_length=HIGHEST, description="What each rating means, from 1."
    )


class Wording(Settings):
    """All words of the judge's prompts."""

    version: int = Field(ge=1, description="Counted up with each change.")
    task: str = Field(min_length=1, description="What is to be done with one explanation.")
    rate: str = Field(min_length=1, description="Last line of a prompt for a rating.")
    task_pairs: str = Field(min_length=1, description="What is to be done with two.")
    prefer: str = Field(min_length=1, description="Last line of a prompt for a preference.")
    constructs: dict[Construct, ItemWording] = Field(description="Item and anchors by construct.")

    @model_validator(mode="after")
    def _check_constructs(self) -> Wording:
        missing = [name for name in CONSTRUCTS if name not in self.constructs]
        if missing:
            raise ValueError(f"constructs lack {', '.join(missing)}")
        return self

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of the content, for manifests."""
        return sha256_json(self.model_dump(mode="json"))


@cache
def wording() -> Wording:
    """Return the shipped wording."""
    path = FOLDER / "judging.yaml"
    return validate(Wording, read_yaml(path), str(path), "Install the package anew.")


def rating_prompt(prediction: Prediction, construct: Construct, *, falling: bool) -> str:
    """Ask for a rating of one construct.

    Neither the right answer nor who explained is shown. The choices keep their order, as an
    explanation may name their letters.

    Args:
        prediction: The prediction whose explanation is rated.
        construct: What is rated.
        falling: Whether the scale is shown from 5 to 1; else from 1 to 5.
    """
    words = wording()
    item = words.constructs[construct]
    scale = [f"{number} = {text}" for number, text in enumerate(item.anchors, LOWEST)]
    head = [words.task.strip(), f"Quality: {construct}. {item.item}"]
    head.append("\n".join(["The ratings mean:", *(reversed(scale) if falling else scale)]))
    asked = [shown_question(prediction.example), *_given("", prediction)]
    return SEPARATOR.join([*head, "\n".join(asked), words.rate])


def pair_prompt(first: Prediction, second: Prediction, construct: Construct) -> str:
    """Ask which of two explanations of the same question is better in one construct.

    Args:
        first: The one that is shown first, as A.
        second: The one that is shown second, as B.
        construct: What is compared.
    """
    words = wording()
    item = words.constructs[construct]
    head = [words.task_pairs.strip(), f"Quality: {construct}. {item.item}"]
    head.append(f"At its best: {item.anchors[-1]} At its worst: {item.anchors[0]}")
    asked = [shown_question(first.example), *_given(" A", first), *_given(" B", second)]
    return SEPARATOR.join([*head, "\n".join(asked), words.prefer])


def _given(which: str, prediction: Prediction) -> list[str]:
    answer = "none that is readable" if prediction.answer is None else one_line(prediction.answer)
    return [
        f"Answer{which}: {answer}",
        f"Explanation{which}: <<< {harmless(prediction.rationale or '')} >>>",
    ]


def harmless(text: str) -> str:
    """Return an explanation as it is shown: on one line, without the marks that would end it."""
    line = one_line(_MARKS.sub(" ", text))
    line = "".join(c if unicodedata.category(c) not in ("Cc", "Cs", "Co") else " " for c in line)
    return line if len(line) <= LONGEST_SHOWN else f"{line[:LONGEST_SHOWN]} [cut here]"
