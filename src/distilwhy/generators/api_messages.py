"""What an OpenAI-compatible server is sent and what its answers say; answers are not trusted."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from distilwhy.generators.base import Decoding, Finish, Generated

SENT_STOPS = 4  # OpenAI takes no more; texts are cut here at all of them
BYTES_A_TOKEN = 4  # of English in UTF-8, for servers that do not count
UNFINISHED = ("length", "content_filter")

TOKEN_LIMITS = ("max_tokens", "max_completion_tokens")
OPTIONAL = ("logprobs", "seed", "stop", "temperature")
"""Fields that can be left out: without them a text may cost more or vary, yet is one."""


class MalformedAnswerError(Exception):
    """A body that is not a completion."""


class Dialect:
    """The fields that a server takes; what it refuses is learnt from its refusals.

    Args:
        model: The server's name of the model.
        decoding: How to decode.
        limit: The field that limits the tokens, one of ``max_tokens`` (which all servers knew
            first) and ``max_completion_tokens`` (which OpenAI's reasoning models insist on).
    """

    def __init__(self, model: str, decoding: Decoding, limit: str) -> None:
        self._model = model
        self._decoding = decoding
        self._limits = [limit] if not decoding.chat else [limit, *_others(limit)]
        self.left_out: list[str] = []
        """Fields that the server refused and that are no longer sent."""

    def body(self, prompt: str) -> dict[str, Any]:
        """Return the body of a request; in a chat the prompt is the one message, the user's."""
        decoding = self._decoding
        # A lone surrogate, which a task's file may hold, cannot be sent.
        prompt = prompt.encode("utf-8", "replace").decode()
        body: dict[str, Any] = {"model": self._model}
        if decoding.chat:
            body["messages"] = [{"role": "user", "content": prompt}]
        else:
            body["prompt"] = prompt
        body[self._limits[0]] = decoding.max_new_tokens
        body["temperature"] = decoding.temperature
        if decoding.stop:
            body["stop"] = list(decoding.stop[:SENT_STOPS])
        if decoding.temperature > 0:
            body["seed"] = decoding.seed
        if decoding.logprobs:
            body["logprobs"] = True if decoding.chat else 1
        return {name: value for name, value in body.items() if name not in self.left_out}

    def learn(self, sent: Mapping[str, Any], said: str) -> bool:
        """Return whether the request is worth sending again in other words.

        Args:
            sent: The body that was refused.
            said: What the server said of it.
        """
        if sent.keys() != self.body("").keys():
            return True  # learnt meanwhile, from another request
        if re.search(rf"\b{self._limits[0]}\b", said) and len(self._limits) > 1:
            del self._limits[0]
            return True
        named = [name for name in OPTIONAL if name in sent and re.search(rf"\b{name}\b", said)]
        self.left_out += named
        return bool(named)


def _others(limit: str) -> list[str]:
    return [name for name in TOKEN_LIMITS if name != limit]


def read_answer(content: bytes, prompt: str, decoding: Decoding, lost_attempts: int) -> Generated:
    """Return the text of a response's body.

    Tokens that the server does not count are estimated, four bytes a token.

    Raises:
        MalformedAnswerError: When the body is no completion.
    """
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise MalformedAnswerError("it is not JSON") from None
    choice = _first_choice(body)
    text = _chat_text(choice) if decoding.chat else choice.get("text")
    if not isinstance(text, str):
        raise MalformedAnswerError("it holds no text")
    usage = body.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    details = usage.get("prompt_tokens_details")
    details = details if isinstance(details, Mapping) else {}
    cut = decoding.cut(text)
    finish: Finish = "length" if choice.get("finish_reason") in UNFINISHED else "stop"
    return Generated(
        text=cut,
        finish=finish if cut == text else "stop",
        prompt_tokens=_count(usage.get("prompt_tokens"), prompt),
        completion_tokens=_count(usage.get("completion_tokens"), text),
        logprob=_likelihood(choice, decoding) if decoding.logprobs else None,
        lost_attempts=lost_attempts,
        cached_tokens=_count(details.get("cached_tokens"), ""),
    )


def _first_choice(body: object) -> Mapping[str, Any]:
    choices = body.get("choices") if isinstance(body, Mapping) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise MalformedAnswerError("it holds no choices")
    return choices[0]


def _chat_text(choice: Mapping[str, Any]) -> object:
    message = choice.get("message")
    if not isinstance(message, Mapping):
        return None
    content = message.get("content")
    if isinstance(content, list):
        return "".join(
            part["text"]
            for part in content
            if isinstance(part, Mapping) and isinstance(part.get("text"), str)
        )
    # A model that refuses, or that thinks to its token limit, leaves the content null.
    return "" if content is None else content


def _count(given: object, text: str) -> int:
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return given
    return math.ceil(len(text.encode("utf-8", "replace")) / BYTES_A_TOKEN)


def _likelihood(choice: Mapping[str, Any], decoding: Decoding) -> float | None:
    """Return the sum of the tokens' log-likelihoods, or ``None`` when any is missing."""
    given = choice.get("logprobs")
    found: object = None
    if isinstance(given, Mapping) and decoding.chat:
        content = given.get("content")
        if isinstance(content, list):
            found = [part.get("logprob") for part in content if isinstance(part, Mapping)]
    elif isinstance(given, Mapping):
        found = given.get("token_logprobs")
    if not isinstance(found, list) or not found:
        return None
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in found):
        return None
    return float(sum(found))
