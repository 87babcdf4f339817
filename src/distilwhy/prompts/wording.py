"""Filling of prompt templates, and finding again what a prompt was filled with."""

from __future__ import annotations

import re
from functools import cache
from string import Template

from distilwhy.records import Example
from distilwhy.tasks.base import question_text

SEPARATOR = "\n\n"
"""Stands between the questions of a prompt and nowhere else."""


def fill(template: str, adjectives: tuple[str, str], **values: str) -> str:
    """Fill a template; values are never read as templates themselves.

    Args:
        template: Wording with ``$names``.
        adjectives: The pair drawn, for ``$first``, ``$First`` (capitalised) and ``$second``.
        values: All other names.
    """
    first, second = adjectives
    names = {"first": first, "second": second, "First": first[:1].upper() + first[1:]}
    return Template(template).substitute(names, **values).strip()


def shown_question(example: Example) -> str:
    """Return an example's question as shown everywhere, without blank lines."""
    return re.sub(r"\n\s*\n", "\n", question_text(example)).strip()


def one_line(text: str) -> str:
    """Return a text on one line, white space made single spaces."""
    return " ".join(text.split())


def last_block(prompt: str) -> str:
    """Return the part of a prompt that is about the question asked."""
    return prompt.rsplit(SEPARATOR, 1)[-1]


def unfill(template: str, block: str) -> dict[str, str] | None:
    """Return what a template's names were filled with, or ``None`` when it is another template."""
    match = _pattern(template).fullmatch(block)
    return match.groupdict() if match else None


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """Turn a template into a pattern; only the question may span lines."""
    parts: list[str] = []
    end = 0
    for match in Template.pattern.finditer(template):
        parts.append(re.escape(template[end : match.start()]))
        end = match.end()
        name = match["named"] or match["braced"]
        if name is None:
            parts.append(re.escape("$"))
        elif any(part.startswith(f"(?P<{name}>") for part in parts):
            parts.append(f"(?P={name})")
        else:
            parts.append(f"(?P<{name}>{'(?s:.+?)' if name == 'question' else '.+?'})")
    return re.compile("".join([*parts, re.escape(template[end:])]))
