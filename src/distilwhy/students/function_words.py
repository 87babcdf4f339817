"""Texts without their content words: what is left says how it is said, and not what.

The words kept are the closed classes of English. They are more than those that
:mod:`distilwhy.tasks.words` leaves aside when it compares texts, and hold none about tasks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_CLASSES = {
    "determiners": "a an the this that these those some any no every each either neither both all "
    "half several enough another other others such what which whose many much few fewer fewest "
    "little less least more most own same",
    "pronouns": "i me my mine myself you your yours yourself yourselves he him his himself she her "
    "hers herself it its itself we us our ours ourselves they them their theirs themselves one "
    "ones oneself someone somebody something anyone anybody anything everyone everybody everything "
    "nobody nothing none who whom whoever whomever whatever whichever there",
    "prepositions": "about above across after against along among amongst around as at before "
    "behind below beneath beside besides between beyond by despite down during except for from in "
    "inside into like near of off on onto out outside over past per since through throughout to "
    "toward towards under underneath until till unlike up upon via with within without than",
    "conjunctions": "and or but nor so yet because although though while whereas if unless whether "
    "once when whenever where wherever how why lest",
    "auxiliaries": "am is are was were be been being do does did done doing have has had having "
    "will would shall should can could may might must ought cannot",
    "particles": "not then here thus hence therefore however moreover furthermore also too only "
    "just even still very quite rather instead otherwise",
}
FUNCTION_WORDS = frozenset(word for words in _CLASSES.values() for word in words.split())

_TOKEN = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*|[.,;:!?]")
_MARKS = frozenset(".,;:!?")
_CONTRACTED = frozenset(("s", "re", "ll", "ve", "d", "m"))


def is_function_word(word: str) -> bool:
    """Return whether a word, of any case, is of a closed class: *the*, *don't*, *they're*."""
    folded = word.casefold().replace("\u2019", "'")
    head, _, ending = folded.partition("'")
    if folded.endswith("n't"):
        return True
    return folded in FUNCTION_WORDS or (head in FUNCTION_WORDS and ending in _CONTRACTED)


def without_content_words(text: str, choices: Iterable[str] = ()) -> str:
    """Return a text's function words, with the marks that end sentences and clauses.

    Args:
        text: A text, in English; of another language next to nothing is left.
        choices: The question's choices. One that is made of function words alone (*yes*, *no*,
            *none*) is left out too, as it would tell the answer.
    """
    told = {word.casefold() for choice in choices for word in _telling(choice)}
    kept = ""
    for token in _TOKEN.findall(text):
        if token in _MARKS:
            # Where all words between two marks are gone, the later one stands for both.
            kept = kept.rstrip(".,;:!?") + token if kept else ""
        elif is_function_word(token) and token.casefold() not in told:
            kept += f" {token}"
    return kept.strip()


def _telling(choice: str) -> list[str]:
    words = [token for token in _TOKEN.findall(choice) if token not in _MARKS]
    return words if all(map(is_function_word, words)) else []
