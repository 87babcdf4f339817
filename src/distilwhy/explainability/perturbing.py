"""Texts changed on purpose: cut short, spoilt, turned to another choice. Rules and hashed draws."""

from __future__ import annotations

import re

from distilwhy.draws import draw, stable_number
from distilwhy.tasks.words import mentions, normalise, words

FILLER = "..."
_PLAIN = (
    "table window paper morning street letter garden number colour music corner bottle summer "
    "walking reading turning holding waiting calling moving opening closing looking taking round "
    "green early quiet narrow simple recent common gently often slowly nearly later along beyond "
    "between under seven twelve"
)
PLAIN_WORDS = tuple(_PLAIN.split())
_ADJECTIVES = (
    "red old small heavy wooden quiet ancient bright cold famous hidden empty yellow foreign local "
    "modern narrow ordinary plain private rare round secret simple strange tall tiny typical "
    "unusual wide young expensive broken dusty gentle enormous"
)
ADJECTIVES = tuple(_ADJECTIVES.split())
_ADVERBS = (
    "quickly slowly often rarely secretly carefully suddenly usually quietly happily gladly "
    "barely eagerly calmly openly sadly"
)
ADVERBS = tuple(_ADVERBS.split())

_SUBJECT = re.compile(r"\b(?:you|we|they|he|she|people|someone|somebody|everyone|I)(?=\s+\w)", re.I)
_ARTICLE = re.compile(r"\b(?:an?|the|my|your|his|her|its|their|our)(?=\s+\w)", re.I)
_VERB = re.compile(
    r"\b(is|are|was|were|can|could|will|would|should|may|might|must|does|do|did|has|have|had)"
    r"(n['\u2019]t|not|['\u2019]t|\s+not)?(?!\w|['\u2019]\w)",
    re.IGNORECASE,
)


def first_words(text: str, share: float) -> str:
    """Return the first words of a text: so large a share of them, rounded down."""
    spoken = text.split()
    return " ".join(spoken[: int(len(spoken) * share + 1e-9)])


def filler(text: str) -> str:
    """Return as many dots as the text has words."""
    return " ".join(FILLER for _ in text.split())


def half_replaced(text: str, choices: tuple[str, ...], *parts: str | int) -> str:
    """Return a text with half of its words (rounded up) replaced by drawn ones that fit nowhere.

    Args:
        text: The text.
        choices: The question's choices; no word of theirs is put in.
        parts: What is drawn for: a seed, an example's id.
    """
    spoken = text.split()
    named = {word for choice in choices for word in words(choice)}
    order = sorted(range(len(spoken)), key=lambda place: stable_number(*parts, "place", place))
    for place in order[: (len(spoken) + 1) // 2]:
        taken = {*named, *words(spoken[place])}
        pool = [word for word in PLAIN_WORDS if word not in taken]
        spoken[place] = draw(pool, *parts, "word", place)
    return " ".join(spoken)


def exchanged(text: str, one: str, other: str) -> str | None:
    """Return a text with two choices exchanged wherever it names them.

    Args:
        text: The text.
        one: The choice that the text must name.
        other: The choice that takes its place, and the other way round.

    Returns:
        The text; ``None`` where it does not name ``one``, or names it in another form only.
    """
    swap = {normalise(one): other, normalise(other): one}
    if len(swap) < 2 or not mentions(text, one):
        return None
    forms = sorted(swap, key=len, reverse=True)
    pattern = re.compile(
        r"(?<!\w)("
        + "|".join(r"\s+".join(map(re.escape, form.split())) for form in forms)
        + r")(?=(?:'s|\u2019s|e?s)?(?!\w))",
        re.IGNORECASE,
    )

    def put(match: re.Match[str]) -> str:
        new = swap.get(normalise(match[1]), match[1])
        return new[0].upper() + new[1:] if match[1][0].isupper() else new

    changed = pattern.sub(put, text)
    return changed if changed != text else None


def negated(text: str) -> str | None:
    """Return a text with its first verb of a closed class denied, or no longer denied.

    Returns:
        The text; ``None`` where it has no such verb. English only.
    """
    match = _VERB.search(text)
    if match is None:
        return None
    verb = match[1] if match[2] else f"{match[1]} not"
    return text[: match.start()] + verb + text[match.end() :]


def word_inserted(text: str, avoid: str, *parts: str | int) -> tuple[str, str] | None:
    """Return a text with one adjective or adverb more, and that word.

    An adjective behind an article or possessive, an adverb behind the subject of a verb; where the
    text has neither, an adjective before its last word. Grammar is guessed, not parsed.

    Args:
        text: A question, English.
        avoid: Text that must not have the word already.
        parts: What is drawn for: a seed, an example's id, the number of the edit.

    Returns:
        The changed text and the word; ``None`` where every word stands there already.
    """
    places = [(match.start(), match.end(), ADJECTIVES) for match in _ARTICLE.finditer(text)]
    places += [(match.start(), match.end(), ADVERBS) for match in _SUBJECT.finditer(text)]
    if not places:
        front = text.rstrip().rpartition(" ")[0]
        places = [(len(front), len(front), ADJECTIVES)]
    start, end, listed = draw(places, *parts, "place")
    free = [word for word in listed if not mentions(avoid, word) and not mentions(text, word)]
    if not free:
        return None
    word = draw(free, *parts, "word")
    before, rest = text[start:end], text[end:]
    if before.casefold() in ("a", "an"):
        before = before[0] + ("n" if word[0] in "aeiou" else "")
    gap = " " if text[:start] or before else ""
    return f"{text[:start]}{before}{gap}{word}{rest if rest[:1] == ' ' else ' ' + rest}", word
