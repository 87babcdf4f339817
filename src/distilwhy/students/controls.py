"""Controls: explanations are spoiled before views are made, so that any method can have them.

They answer whether a student gains by the reasons, or merely by having more to write: a method
whose control does as well learns nothing from what its explanations say.
"""

from __future__ import annotations

from collections.abc import Sequence

from distilwhy.draws import stable_number
from distilwhy.errors import ConfigError
from distilwhy.progress import say
from distilwhy.records import Annotation, Control, TeacherText
from distilwhy.students.function_words import without_content_words

Texts = dict[tuple[str, str, str], TeacherText]
"""All texts of an annotation, by kind, source and, where a kind has several, what they are for."""

KINDS = ("rationale", "critique", "revision")
COUNTER = "counterfactual"
OWN = "extra:"
WITH_BLANKS: tuple[Control, ...] = ("empty", "function_words")
"""Controls that leave texts without a word, which are then to be learnt all the same."""


def controlled(
    annotations: Sequence[Annotation], control: Control | None, seed: int
) -> list[Annotation]:
    """Return annotations with the explanations that a control gives them; answers stay right.

    Args:
        annotations: Training examples, those held out among them: every text is used once, so that
            none that a held-out example got is trained on.
        control: ``shuffled`` (each text goes to another question), ``empty`` (no word is left),
            ``function_words`` (only words of closed classes are left); ``None`` changes nothing.
        seed: Seed by which texts are shuffled.

    Raises:
        ConfigError: When there are too few questions to shuffle between.
    """
    if control is None:
        return list(annotations)
    all_texts = [_texts(annotation) for annotation in annotations]
    if control == "shuffled":
        changed = _shuffled(annotations, all_texts, seed)
    elif control == "empty":
        changed = [dict.fromkeys(texts, TeacherText(text="")) for texts in all_texts]
    else:
        changed = [
            _function_words(texts, annotation.example.choices)
            for annotation, texts in zip(annotations, all_texts, strict=True)
        ]
        _tell_share(all_texts, changed)
    pairs = zip(annotations, changed, strict=True)
    return [_with_texts(annotation, texts) for annotation, texts in pairs]


def _texts(annotation: Annotation, source: str = "") -> Texts:
    """Return an annotation's texts that hold a word; others make no rows without a control."""
    found = {(kind, source, ""): getattr(annotation, kind) for kind in KINDS}
    found |= {(COUNTER, source, key): text for key, text in annotation.counterfactuals.items()}
    found |= {(f"{OWN}{key}", source, key): text for key, text in annotation.extra.items()}
    texts = {place: text for place, text in found.items() if text is not None and text.text}
    for name, other in annotation.others.items():
        texts |= _texts(other, name)
    return texts


def _with_texts(annotation: Annotation, texts: Texts, source: str = "") -> Annotation:
    """Return an annotation with other texts; rounds are left out, as nothing else may be learnt."""
    own = {(kind, key): text for (kind, of, key), text in texts.items() if of == source}
    changes: dict[str, object] = {kind: own.get((kind, "")) for kind in KINDS}
    changes["counterfactuals"] = {key: text for (kind, key), text in own.items() if kind == COUNTER}
    changes["extra"] = {key: text for (kind, key), text in own.items() if kind.startswith(OWN)}
    changes["others"] = {
        name: _with_texts(other, texts, name) for name, other in annotation.others.items()
    }
    return annotation.model_copy(update={**changes, "rounds": ()})


def _function_words(texts: Texts, choices: Sequence[str]) -> Texts:
    return {
        place: TeacherText(text=without_content_words(text.text, choices))
        for place, text in texts.items()
    }


def _shuffled(
    annotations: Sequence[Annotation], all_texts: Sequence[Texts], seed: int
) -> list[Texts]:
    """Give every text to another question: in a drawn order, each kind moves on by some places.

    By as many places as the question with the most texts of that kind has, so that no text can
    reach its own question.
    """
    ids = [annotation.example.id for annotation in annotations]
    order = sorted(range(len(ids)), key=lambda place: stable_number(seed, "shuffled", ids[place]))
    changed: list[Texts] = [{} for _ in ids]
    for kind in sorted({place[:2] for texts in all_texts for place in texts}):
        slots = [
            (number, place) for number in order for place in all_texts[number] if place[:2] == kind
        ]
        counts = [sum(place[:2] == kind for place in texts) for texts in all_texts]
        step = max(counts)
        if len(slots) < 2 * step:
            raise ConfigError(
                f"The control 'shuffled' finds too few questions with a {kind[0]} text: "
                f"{sum(map(bool, counts))}.",
                "Give more examples.",
            )
        for index, (number, place) in enumerate(slots):
            donor, source = slots[(index + step) % len(slots)]
            changed[number][place] = all_texts[donor][source]
    return changed


def _tell_share(before: Sequence[Texts], after: Sequence[Texts]) -> None:
    words = [
        sum(len(text.text.split()) for texts in part for text in texts.values())
        for part in (before, after)
    ]
    say(f"Control function_words: {words[1]:,} of {words[0]:,} words of explanations are left.")
