"""Views: the input -> target pairs made from an annotated example (paper, 'Student training').

A method is a weighted set of views. Adding a view is adding one function to ``VIEWS``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from distilwhy.errors import ConfigError
from distilwhy.records import Annotation, DataKind, Example, TagPlace, TeacherText
from distilwhy.registry import Registry
from distilwhy.tasks.base import question_text


@dataclass(frozen=True)
class ViewOptions:
    """What the making of views depends on beside the annotation.

    Args:
        data: Which explanation is learnt.
        counterfactual_form: The wrong rationale in the ``input`` (the paper), or in the
            ``decoder``, masked from the loss (SCOTT, Wang et al. 2023, arXiv 2305.01879).
        wrong_choices: ``one`` wrong choice a question, drawn by seed, or ``all``.
        seed: Seed of that draw.
        blanks: Whether explanations without a word make rows, as controls want them.
        tag: Where rows have their tag; see :func:`with_tag_at_end`.
    """

    data: DataKind = "unrevised"
    counterfactual_form: Literal["input", "decoder"] = "input"
    wrong_choices: Literal["one", "all"] = "one"
    seed: int = 0
    blanks: bool = False
    tag: TagPlace = "front"

    def usable(self, text: TeacherText | None) -> bool:
        """Return whether a text makes a row."""
        return text is not None and (self.blanks or bool(text.text))


@dataclass(frozen=True)
class Row:
    """One input -> target pair.

    Args:
        example_id: The example that it was made from.
        view: The view's name.
        source: What the student reads.
        target: What it learns to write after ``given``.
        given: Start of the target that is read by the decoder but not counted in the loss.
        tag: The view's tag where it stands between source and ``given``, read and not counted as
            this is; empty where the source begins with it.
    """

    example_id: str
    view: str
    source: str
    target: str
    given: str = ""
    tag: str = ""


View = Callable[[Annotation, ViewOptions], list[Row]]

VIEWS: Registry[View] = Registry("view")


OWN = "extra:"
"""Front of the names of views that are made of a user's own teaching steps."""


def tag_text(view: str) -> str:
    """Return the tag that asks for a view."""
    return f"[{view.removeprefix(OWN)}]"


def plain_source(example: Example) -> str:
    """Return the input of all views of an example whose tag stands behind it."""
    return f"{question_text(example)}\n"


def source_text(view: str, example: Example, extra: str = "") -> str:
    """Return a view's input: its tag, the question with its choices, and any extra line."""
    extra = f"{extra}\n" if extra else ""
    return f"{tag_text(view)} {plain_source(example)}{extra}"


def with_tag_at_end(row: Row, example: Example) -> Row:
    """Return a row whose source is the question alone, with the view's tag behind it.

    An extra line of the source, such as the rationale of a ``counterfactual`` in its ``input``
    form, goes into ``given`` behind the tag; a tag that begins the target or ``given`` stands once.
    A row whose source is not made by :func:`source_text` stays as it is.

    Args:
        row: The row with its tag in front.
        example: The example that it was made from.
    """
    tag, front = tag_text(row.view), source_text(row.view, example)
    if not row.source.startswith(front):
        return row
    read = (row.source.removeprefix(front).strip(), row.given.removeprefix(tag).strip())
    target = row.target
    if not row.given:
        target = _spaced(target.removeprefix(tag).lstrip())
    given = "".join(map(_spaced, read))
    return replace(row, source=plain_source(example), tag=tag, given=given, target=target)


def _spaced(text: str) -> str:
    return f" {text}" if text else ""


@VIEWS.register("predict")
def predict_view(annotation: Annotation, options: ViewOptions) -> list[Row]:
    """``[predict]`` question -> ``[answer] The answer is X``."""
    example = annotation.example
    target = f"[answer] The answer is {example.answer}"
    return [Row(example.id, "predict", source_text("predict", example), target)]


@VIEWS.register("explain")
def explain_view(annotation: Annotation, options: ViewOptions) -> list[Row]:
    """``[explain]`` question -> the rationale or revision."""
    explanation = annotation.explanation(options.data)
    if explanation is None or not options.usable(explanation):
        return []
    example = annotation.example
    return [Row(example.id, "explain", source_text("explain", example), explanation.text)]


@VIEWS.register("factual")
def factual_view(annotation: Annotation, options: ViewOptions) -> list[Row]:
    """``[factual]`` question -> ``[factual] Answer:`` rationale ``So the answer is X.``"""
    explanation = annotation.explanation(options.data)
    if explanation is None or not options.usable(explanation):
        return []
    example = annotation.example
    target = _joined("[factual] Answer:", explanation.text, f"So the answer is {example.answer}.")
    return [Row(example.id, "factual", source_text("factual", example), target)]


@VIEWS.register("counterfactual")
def counterfactual_view(annotation: Annotation, options: ViewOptions) -> list[Row]:
    """A rationale for a wrong choice -> that wrong choice, so that answers follow rationales."""
    example = annotation.example
    rows = []
    for choice in _wrong_choices(annotation, options):
        rationale = annotation.counterfactuals[choice].text
        if options.counterfactual_form == "input":
            source = source_text("counterfactual", example, rationale)
            target, given = f"[counterfactual] So the answer is {choice}.", ""
        else:
            source = source_text("counterfactual", example)
            given = _joined("[counterfactual] Answer:", rationale, "So the answer is")
            target = f" {choice}."
        rows.append(Row(example.id, "counterfactual", source, target, given))
    return rows


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def find_view(name: str) -> View:
    """Return a view by name: a registered one, or ``extra:STEP`` for a step of the user's own.

    Its rows have their tag where the options want it.

    Raises:
        ConfigError: When there is none.
    """
    make = partial(_own_view, name) if name.startswith(OWN) else VIEWS.get(name)
    return partial(_placed, make)


def _placed(make: View, annotation: Annotation, options: ViewOptions) -> list[Row]:
    rows = make(annotation, options)
    if options.tag == "front":
        return rows
    return [with_tag_at_end(row, annotation.example) for row in rows]


def _own_view(name: str, annotation: Annotation, options: ViewOptions) -> list[Row]:
    """``[STEP]`` question -> the text of the user's own step."""
    step = name.removeprefix(OWN)
    example, text = annotation.example, annotation.extra.get(step)
    if text is None or not options.usable(text):
        return []
    return [Row(example.id, name, source_text(name, example), text.text)]


def _wrong_choices(annotation: Annotation, options: ViewOptions) -> Sequence[str]:
    """Return the wrong choices argued for: all, or one drawn from (seed, example id)."""
    example = annotation.example
    argued = [
        choice
        for choice in example.wrong_choices
        if options.usable(annotation.counterfactuals.get(choice))
    ]
    if options.wrong_choices == "all" or not argued:
        return argued
    digest = hashlib.sha256(f"{options.seed}\n{example.id}\nwrong choice".encode()).digest()
    return [argued[int.from_bytes(digest[:8], "big") % len(argued)]]


def _rows(annotation: Annotation, makers: Sequence[View], options: ViewOptions) -> list[Row]:
    """Return an example's rows by view, those of other sources too, equal ones once."""
    parts = (annotation, *annotation.others.values())
    return list(dict.fromkeys(r for make in makers for part in parts for r in make(part, options)))


def make_rows(
    annotations: Sequence[Annotation], views: Sequence[str], options: ViewOptions
) -> list[list[Row]]:
    """Return each annotation's rows, in the order of the views.

    Args:
        annotations: Annotated examples with their right answers.
        views: Names of views.
        options: Data kind and draws.

    Returns:
        One list a annotation; it is empty where the annotation lacks every text needed.

    Raises:
        ConfigError: When a view finds its text in no annotation at all.
    """
    makers = {name: find_view(name) for name in views}
    grouped = [_rows(annotation, list(makers.values()), options) for annotation in annotations]
    found = {row.view for rows in grouped for row in rows}
    if missing := [name for name in views if name not in found]:
        raise ConfigError(
            f"No annotation holds the text that the view {missing[0]!r} learns from "
            f"({options.data} data).",
            "Run the teaching steps that write it, or choose another method or data kind.",
        )
    return grouped
