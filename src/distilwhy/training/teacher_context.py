"""What the teacher reads before the target whose tokens it judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from distilwhy.config import Condition, SoftSettings
from distilwhy.errors import ConfigError
from distilwhy.prompts.library import WorkedExample, load_prompts
from distilwhy.prompts.wording import SEPARATOR
from distilwhy.records import Annotation, Example, Family, TagPlace, TeacherText
from distilwhy.students.encode import Encoder
from distilwhy.students.views import Row, ViewOptions, find_view


class TeacherContext:
    """The beginning of each row as the teacher reads it; the target follows.

    With context ``source`` it is the student's own input. With ``few_shot`` worked examples stand
    before it, each an input and target of the same view, so that a model that was never trained on
    such inputs can tell from them what is asked; with ``gold_answer`` each input also tells the
    right answer, as a teacher is told it when it writes rationales.

    Args:
        settings: What the teacher is shown.
        condition: Data kind and form of the views.
        encoder: Turns texts into the teacher's tokens.
        examples: The examples by id.
        tag: Where the student's rows have their tags.
    """

    def __init__(
        self,
        settings: SoftSettings,
        condition: Condition,
        encoder: Encoder,
        examples: Mapping[str, Example],
        tag: TagPlace = "front",
    ) -> None:
        self._settings = settings
        self._encoder = encoder
        self._examples = examples
        self._options = replace(_options(condition), tag=tag)
        # The worked examples of a view are the same for all its rows.
        self._shown = cache(self._worked)

    @property
    def end(self) -> int:
        """The teacher's token that ends a target.

        Worked examples end with what parts them from the next one; an encoder's reader ends as it
        was trained to.
        """
        if self._few_shot and not self._encoder.is_encoder_decoder:
            return self._plain(SEPARATOR)[0]
        return int(self._encoder.tokenizer.eos_token_id)

    def source_ids(self, row: Row) -> tuple[int, ...]:
        """Return the teacher's tokens before a row's target.

        Raises:
            ConfigError: When no worked example of the row's view can be shown.
        """
        if not self._few_shot:
            return tuple(self._encoder.source_ids(row.source))
        example = self._examples[row.example_id]
        if self._encoder.is_encoder_decoder:
            shown = [*self._texts(row.view, example.family), self._source(row, example)]
            return tuple(self._encoder.source_ids(SEPARATOR.join(shown)))
        own = self._plain(self._source(row, example))
        return (*self.prefix(row), *own)

    def prefix(self, row: Row) -> tuple[int, ...]:
        """Return the tokens that all rows of a view begin with; none where there are no examples.

        Each piece is turned into tokens by itself, as a row's input and target are: else the first
        tokens of a target would be others than those that the student learns.
        """
        if not self._few_shot or self._encoder.is_encoder_decoder:
            return ()
        return self._shown(row.view, self._examples[row.example_id].family)

    @property
    def _few_shot(self) -> bool:
        return self._settings.context == "few_shot"

    def _worked(self, view: str, family: Family) -> tuple[int, ...]:
        ids: list[int] = []
        for source, target in self._pairs(view, family):
            ids += self._plain(source) if ids else self._encoder.source_ids(source)
            ids += [*self._plain(target), *self._plain(SEPARATOR)]
        return tuple(ids)

    def _texts(self, view: str, family: Family) -> list[str]:
        return [source + target for source, target in self._pairs(view, family)]

    def _pairs(self, view: str, family: Family) -> list[tuple[str, str]]:
        """Return input and target of each worked example."""
        pairs = []
        for annotation in _worked_examples(self._settings, family):
            rows = find_view(view)(annotation, self._options)
            if not rows:
                raise ConfigError(
                    f"soft: the worked examples hold nothing for the view {view!r}.",
                    "Leave it out of soft.views, or set soft.context: source.",
                )
            row = rows[0]
            pairs.append((self._source(row, annotation.example), row.tag + row.given + row.target))
        return pairs

    def _source(self, row: Row, example: Example) -> str:
        told = f"The right answer is {example.answer}.\n" if self._settings.gold_answer else ""
        return row.source + told

    def _plain(self, text: str) -> list[int]:
        ids: list[int] = self._encoder.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def can_show(settings: SoftSettings, condition: Condition, view: str, family: Family) -> bool:
    """Return whether a view's rows can be shown to the teacher.

    Args:
        settings: What the teacher is shown.
        condition: Data kind and form of the views.
        view: The view's name.
        family: How the questions are asked.
    """
    options = _options(condition)
    return settings.context != "few_shot" or all(
        find_view(view)(annotation, options) for annotation in _worked_examples(settings, family)
    )


def _options(condition: Condition) -> ViewOptions:
    return ViewOptions(data=condition.data, counterfactual_form=condition.counterfactual_form)


def _worked_examples(settings: SoftSettings, family: Family) -> list[Annotation]:
    worked = load_prompts(family).worked_examples
    if len(worked) < settings.shots:
        raise ConfigError(
            f"soft.shots is {settings.shots}, but there are {len(worked)} examples.", "Lower it."
        )
    return [_annotation(w, family) for w in worked[: settings.shots]]


def _annotation(worked: WorkedExample, family: Family) -> Annotation:
    return Annotation(
        example=worked.example(family),
        teacher="worked example",
        rationale=TeacherText(text=worked.rationale),
        critique=TeacherText(text=worked.critique),
        revision=TeacherText(text=worked.revision),
    )
