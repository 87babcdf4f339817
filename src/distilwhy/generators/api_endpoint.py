"""Where an OpenAI-compatible server is and which key it gets; keys stay out of every text."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from distilwhy.errors import ModelError
from distilwhy.models.names import URL_KINDS, parse_model, split_url

OPENAI_URL = "https://api.openai.com/v1"
OLLAMA_URL = "http://localhost:11434/v1"
OPENAI_VARIABLE = "OPENAI_API_KEY"
OTHER_VARIABLE = "DISTILWHY_API_KEY"
SHOWN = 200  # characters of a server's own words that a message repeats
PIECE = 6  # a word that shares so many characters in a row with the key is not shown
HIDDEN = "[hidden]"
KEY_LIKE = re.compile(r"\b(?:sk|gsk|xai|nvapi|hf)[-_][\w*.-]{4,}|Bearer \S+", re.IGNORECASE)


@dataclass(frozen=True)
class Endpoint:
    """A server and the model asked there.

    Args:
        url: The base address, e.g. ``http://localhost:8000/v1``.
        model: The server's name of the model.
        key: The key, if the server wants one.
        key_source: Where the key comes from, for messages.
    """

    url: str
    model: str
    key: str | None = field(repr=False)
    key_source: str

    @property
    def is_openai(self) -> bool:
        """Whether it is OpenAI's own server."""
        return self.url == OPENAI_URL

    def shown(self, text: object) -> str:
        """Return a server's words so that they can be shown: one short line, without the key."""
        line = " ".join(str(text).split())
        line = "".join(c if c.isprintable() else "?" for c in KEY_LIKE.sub(HIDDEN, line))
        key = self.key or ""
        pieces = {key[i : i + PIECE] for i in range(max(1, len(key) - PIECE + 1))} - {""}
        words = [HIDDEN if any(p in word for p in pieces) else word for word in line.split(" ")]
        line = " ".join(words)
        return line if len(line) <= SHOWN else line[: SHOWN - 3] + "..."


def endpoint_of(model: str, key_file: str | None) -> Endpoint:
    """Return the endpoint that a model string names, with its key.

    OpenAI's key goes to OpenAI only; any other server gets ``DISTILWHY_API_KEY``, if it is set.

    Args:
        model: A model string of kind ``openai``, ``ollama``, ``http`` or ``https``.
        key_file: A file that holds the key, in place of the environment.

    Raises:
        ModelError: When the key is missing or cannot be one.
    """
    name = parse_model(model)
    if name.kind in URL_KINDS:
        url, target = split_url(model)
    else:
        url, target = (OPENAI_URL if name.kind == "openai" else OLLAMA_URL), name.target
    variable = OPENAI_VARIABLE if name.kind == "openai" else OTHER_VARIABLE
    source = "the key file" if key_file else variable
    key = _from_file(key_file) if key_file else os.environ.get(variable, "").strip()
    if not key and name.kind == "openai":
        raise ModelError(
            f"{model} needs a key.",
            f"Set {variable}, or name a file that holds the key with api_key_file.",
        )
    # Such characters would end up in an error of the HTTP library, with the key around them.
    if not all(33 <= ord(character) <= 126 for character in key):
        raise ModelError(
            f"{source} holds a blank or a character that no key has.",
            "Put the key there, alone, on one line.",
        )
    return Endpoint(url, target, key or None, source)


def _from_file(path: str) -> str:
    try:
        # Some editors put a byte order mark before a text.
        key = Path(path).expanduser().read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        # The name is not repeated: it may be the key itself, given in the wrong place.
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ModelError(
            f"The file that api_key_file names cannot be read: {reason}.", "Check its path."
        ) from None
    if not key:
        raise ModelError("The file that api_key_file names is empty.", "Put the key into it.")
    return key
