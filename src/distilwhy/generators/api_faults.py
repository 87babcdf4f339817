"""What a failed request means: to be sent again, and when, or to be told to the user at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientConnectorError, ConnectionTimeoutError, InvalidURL
from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError

from distilwhy.errors import ModelError
from distilwhy.generators.api_endpoint import Endpoint
from distilwhy.generators.api_messages import MalformedAnswerError
from distilwhy.generators.api_traffic import retry_after

LONGEST_WAIT = 600.0  # seconds; a server that asks for more is not waited for
NOT_SENT = (ClientConnectorError, ConnectionTimeoutError, InvalidURL)
OUT_OF_MONEY = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
TRY_AGAIN = (408, 409, 425, 429)
BUSY = (429, 503, 529)
CUT_OFF = (502, 504, 524)  # a gateway gave up on a model that may have answered
REWORD = (400, 422)
OWN_FAULT = (400, 413, 422)
OWN_CODES = {
    "content_filter",
    "content_policy_violation",
    "context_length_exceeded",
    "exceed_context_size_error",
    "invalid_prompt",
    "string_above_max_length",
}
# How servers that have no such code say that a prompt is too long for them, or offends a filter.
OWN_WORDS = re.compile(
    r"context[ _-]?(length|size|window)|maximum (model|input|sequence) length|content management"
    r"|max_(completion_|new_)?tokens\b.*\btoo large"
    r"|(prompt|inputs?|request)\b.*\b(longer|too (long|large)|exceeds?|must be <=|flagged)",
    re.IGNORECASE,
)
GO_ON = "then run the same command again to go on."


@dataclass(frozen=True)
class Trouble:
    """What a failed request means.

    Args:
        what: What the server did, as a clause.
        final: The error to stop with; ``None`` when the request may be sent again.
        lost: Whether the server may have charged for it.
        busy: Whether the server has too much to do.
        unreachable: Whether no connection was made.
        reword: What a server said that took offence at the request's form.
        wait: How long the server asks to wait, in seconds.
        refused: Whether it is about this prompt alone, so that others may be answered.
    """

    what: str
    final: ModelError | None = None
    lost: bool = False
    busy: bool = False
    unreachable: bool = False
    reword: str | None = None
    wait: float | None = None
    refused: bool = False


def judge(error: Exception, endpoint: Endpoint) -> Trouble:
    """Return what a failed request means.

    Raises:
        Exception: The error itself, when it is not one of a request.
    """
    if isinstance(error, MalformedAnswerError):
        return Trouble(f"sent a broken answer ({error})", lost=True)
    if isinstance(error, APIStatusError):
        return _status(error, endpoint)
    if isinstance(error, TimeoutError | APIConnectionError):
        # The client's own classes do not tell a refused connection from one that broke later.
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
            if isinstance(cause, NOT_SENT):
                reason = endpoint.shown(cause)
                return Trouble(f"could not be reached ({reason})", unreachable=True)
        if isinstance(error, TimeoutError | APITimeoutError):
            return Trouble("did not answer in time", lost=True)
        return Trouble("broke the connection", lost=True)
    if isinstance(error, APIError):
        return Trouble("sent a broken answer", lost=True)
    raise error


def _status(error: APIStatusError, endpoint: Endpoint) -> Trouble:
    status, headers = error.status_code, error.response.headers
    said, codes = _words(error)
    what = f"answered {status}" + (f": {endpoint.shown(said).rstrip('.')}" if said else "")
    if (status not in TRY_AGAIN and status < 500) or (status == 429 and codes & {*OUT_OF_MONEY}):
        about_it = bool(codes & OWN_CODES or OWN_WORDS.search(said))
        # A limit that is named as too large for this prompt is no unknown word.
        reword = f"{said} {_named(error)}" if status in REWORD and not about_it else None
        return Trouble(
            what,
            final=_final(status, what, headers, endpoint),
            reword=reword,
            refused=status == 413 or (status in OWN_FAULT and about_it),
        )
    wait = retry_after(headers)
    final = None
    if wait is not None and wait > LONGEST_WAIT:
        final = ModelError(
            f"{endpoint.url} asks to wait {wait / 60:.0f} minutes ({what}).", f"Wait, {GO_ON}"
        )
    return Trouble(what, final=final, lost=status in CUT_OFF, busy=status in BUSY, wait=wait)


def _final(status: int, what: str, headers: Any, endpoint: Endpoint) -> ModelError:
    """Return the sentence for a status that no further attempt would change."""
    url, model = endpoint.url, endpoint.model
    if status == 401:
        # Its words are not repeated: they are about the key, and may hold parts of it.
        refused = "refused the key" if endpoint.key else "wants a key"
        return ModelError(f"{url} {refused} (401).", f"Check {endpoint.key_source}, {GO_ON}")
    if status in (402, 429):
        return ModelError(f"The quota at {url} is used up ({what}).", f"Add to it, {GO_ON}")
    if status == 404:
        return ModelError(
            f"{url} does not offer the model {model!r} ({what}).",
            "Check its name and the address; a chat model needs chat: true.",
        )
    if 300 <= status < 400:
        place = endpoint.shown(headers.get("location", "elsewhere"))
        return ModelError(f"{url} sends requests on to {place}.", "Name that address instead.")
    return ModelError(f"{url} {what}.", f"Mend the request or the server, {GO_ON}")


def _words(error: APIStatusError) -> tuple[str, set[str]]:
    """Return what a server says of an error, and its codes for it."""
    body = _body(error)
    said = next((body[k] for k in ("message", "error", "detail") if body.get(k)), "")
    codes = {value for k in ("code", "type") if isinstance(value := body.get(k), str)}
    return str(said or ("" if isinstance(error.body, dict) else error.body or "")), codes


def _named(error: APIStatusError) -> str:
    """Return the field that a server takes offence at, where it names it apart."""
    named = _body(error).get("param")
    return named if isinstance(named, str) else ""


def _body(error: APIStatusError) -> dict[str, Any]:
    body: Any = error.body
    inner = body.get("error") if isinstance(body, dict) else None
    if isinstance(inner, dict):
        return inner
    return body if isinstance(body, dict) else {}
