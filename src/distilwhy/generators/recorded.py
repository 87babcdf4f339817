"""Texts recorded before, and their replay: ``recorded:FILE``."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from distilwhy.errors import DataError, ModelError
from distilwhy.files import read_records, read_text, sha256_json
from distilwhy.generators.base import ContrastedPrompt, Decoding, Finish, Generated
from distilwhy.prompts.library import Templated, load_prompts
from distilwhy.prompts.wording import last_block, one_line, shown_question, unfill
from distilwhy.records import Annotation, Record, TeacherText


class StoredText(Record):
    """One text as a model gave it: a line of a store.

    Args:
        key: What it was asked, see :func:`text_key`.
        teacher: The model string.
        step: The step that asked first.
        example: Id of the example that it is about.
        text: The text, cut before the first stop string, not cleaned.
        finish: ``stop`` or ``length``.
        prompt_tokens: Tokens in the prompt.
        completion_tokens: Tokens generated.
        logprob: Its log-likelihood in nats, summed over its tokens; ``None`` unless asked for.
        cached_tokens: Of the prompt's tokens, those that a server had cached.
    """

    key: str
    teacher: str
    step: str
    example: str
    text: str
    finish: Finish
    prompt_tokens: int
    completion_tokens: int
    logprob: float | None = None
    cached_tokens: int = 0


def text_key(prompt: str, teacher: str, decoding: Decoding) -> str:
    """Return the key of a request: a hexadecimal SHA-256 of all that its text depends on."""
    settings = asdict(decoding)
    # Settings that came later count only where they are used, so that older stores stay valid.
    later = {"logprobs": False, "contrast": 0.0}
    for name, unused in later.items():
        if settings[name] == unused:
            del settings[name]
    against = [prompt.against] if isinstance(prompt, ContrastedPrompt) else []
    return sha256_json([prompt, teacher, settings, *against])


def stored_key(prompt: str, teacher: str, decoding: Decoding, stored: Container[str]) -> str:
    """Return the key under which a text is stored, or is to be.

    A text that was drawn with its likelihood serves as well where none is wanted.

    Args:
        prompt: The whole prompt.
        teacher: The teacher's model string.
        decoding: How the text is decoded.
        stored: Keys that are there.
    """
    key = text_key(prompt, teacher, decoding)
    if decoding.logprobs or decoding.temperature == 0 or key in stored:
        return key
    richer = text_key(prompt, teacher, replace(decoding, logprobs=True))
    return richer if richer in stored else key


class RecordedGenerator:
    """Replays the texts of a store or of an annotations file.

    A store answers exactly the requests that it holds. An annotations file answers the rationale,
    critique, revision and counterfactual prompts about its examples, recognised by the shipped
    wording, whatever the draws; it holds cleaned texts, and not the teacher's own answers.

    Args:
        path: A store, or an ``annotations.jsonl``.

    Raises:
        DataError: When the file is missing or is neither.
    """

    contrasts = True

    def __init__(self, path: Path) -> None:
        self.name = f"recorded:{path}"
        self._path = path
        first = next((line for line in read_text(path).split("\n") if line.strip()), "")
        try:
            fields = json.loads(first)
        except json.JSONDecodeError:
            fields = None
        if isinstance(fields, dict) and "key" in fields:
            self._find = partial(_in_store, *_read_store(path))
        elif isinstance(fields, dict) and "example" in fields:
            self._find = partial(_in_annotations, _read_annotations(path))
        else:
            raise DataError(
                f"{path} holds no recorded texts.", "Name a store of texts or annotations.jsonl."
            )

    def generate(
        self, prompts: Iterable[str], decoding: Decoding
    ) -> Iterator[tuple[int, Generated]]:
        """Yield the recorded text of each prompt.

        Raises:
            ModelError: At the end, when any prompt has none.
        """
        missing: list[str] = []
        asked = 0
        for index, prompt in enumerate(prompts):
            asked += 1
            text = self._find(prompt, decoding)
            if text is None:
                missing.append(prompt)
            else:
                yield index, text
        if missing:
            raise ModelError(
                f"{self._path} holds no text for {len(missing)} of {asked} prompts; the "
                f"first is about: {last_block(missing[0])[:200]!r}.",
                "Use the settings that it was recorded with, or a model that can be asked.",
            )


def _read_store(path: Path) -> tuple[dict[str, StoredText], tuple[str, ...]]:
    """Return the texts by key, and the teachers that gave them."""
    texts: dict[str, StoredText] = {}
    for row in read_records(path, StoredText):
        texts.setdefault(row.key, row)
    return texts, tuple(dict.fromkeys(row.teacher for row in texts.values()))


def _in_store(
    texts: dict[str, StoredText], teachers: tuple[str, ...], prompt: str, decoding: Decoding
) -> Generated | None:
    for teacher in teachers:
        row = texts.get(stored_key(prompt, teacher, decoding, texts))
        if row is not None:
            return Generated(
                row.text, row.finish, row.prompt_tokens, row.completion_tokens, row.logprob
            )
    return None


def _read_annotations(path: Path) -> dict[str, Annotation]:
    """Return the annotations by question as shown."""
    found: dict[str, Annotation] = {}
    for annotation in read_records(path, Annotation):
        found.setdefault(shown_question(annotation.example), annotation)
    return found


def _in_annotations(
    annotations: dict[str, Annotation], prompt: str, decoding: Decoding
) -> Generated | None:
    """Find the text by what the prompt's last block was filled with; decoding plays no part."""
    block = last_block(prompt)
    # The shipped wording is the same for all families.
    for step, template in load_prompts("multiple_choice").templates.items():
        filled = unfill(template.block, block)
        annotation = annotations.get(filled["question"]) if filled else None
        if filled and annotation:
            text = _text_of(annotation, step, filled)
            return _replayed(text) if text else None
    return None


def _text_of(annotation: Annotation, step: Templated, filled: dict[str, str]) -> TeacherText | None:
    if step == "rationale":
        right = filled["answer"] == annotation.example.answer
        return annotation.rationale if right else annotation.counterfactuals.get(filled["answer"])
    explained = annotation.rationale
    for one in annotation.rounds:
        if explained is not None and one_line(explained.text) == filled["explanation"]:
            return one.critique if step == "critique" else one.revision
        explained = one.revision
    return annotation.critique if step == "critique" else annotation.revision


def _replayed(text: TeacherText) -> Generated:
    return Generated(
        text=text.text,
        finish="length" if text.finish == "length" else "stop",
        prompt_tokens=text.prompt_tokens or 0,
        completion_tokens=text.completion_tokens or 0,
    )
