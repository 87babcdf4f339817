"""Models behind an OpenAI-compatible server: OpenAI, vLLM, Ollama, llama.cpp, LM Studio, TGI."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from distilwhy.config import BackendSettings
from distilwhy.generators.api_asker import Asker, Patience
from distilwhy.generators.api_endpoint import endpoint_of
from distilwhy.generators.base import Decoding, Generated

POLL_SECONDS = 0.25
GRACE_SECONDS = 30.0  # for what is in flight when the server refuses further work


class OpenAIGenerator:
    """Asks a server, many prompts at once, and again what fails in passing.

    Prompts go as they are to ``/completions``, with ``Decoding.chat`` as a user's message to
    ``/chat/completions``.

    Args:
        model: A model string: ``openai:MODEL``, ``ollama:MODEL``, ``http://HOST/v1#MODEL``.
        settings: Requests at once, time-out and key file.
        patience: How often, and after which waits, a request is sent again.

    Raises:
        ModelError: When the key is missing.
    """

    def __init__(
        self, model: str, settings: BackendSettings, patience: Patience | None = None
    ) -> None:
        self.name = model
        self._endpoint = endpoint_of(model, settings.api_key_file)
        self._settings = settings
        self._patience = patience or Patience()

    def generate(
        self, prompts: Iterable[str], decoding: Decoding
    ) -> Iterator[tuple[int, Generated]]:
        """Yield the texts as they arrive; see :class:`Generator`.

        Prompts are taken in the caller's thread. Before one is sent again whose first attempt may
        have been charged for, ``prompts.again(number)`` is asked from another thread, where the
        prompts have such a method; where it says no, the prompt is given up.

        Raises:
            ModelError: When the server refuses the key, the model or the request, or the quota is
                used up; what arrived before is yielded first.
            StageError: When a prompt fails too often; likewise.
        """
        numbered = enumerate(prompts)
        again = getattr(prompts, "again", None)
        settings, most = self._settings, self._settings.concurrency
        ended, taken = False, 0
        with Asker(self._endpoint, decoding, settings, self._patience, again) as asker:
            while True:
                # What waits to be yielded is bounded too, for callers slower than the server.
                while not ended and asker.has_room() and asker.begun - taken < 2 * most:
                    pair = next(numbered, None)
                    if pair is None:
                        ended = True
                    else:
                        asker.begin(*pair)
                if ended and asker.begun == taken:
                    return
                done = asker.next_done(POLL_SECONDS)
                if done is None:
                    continue
                taken += 1
                if done.failure is not None:
                    yield from _last_texts(asker, taken)
                    raise done.failure
                if done.generated is not None:
                    yield done.number, done.generated


def _last_texts(asker: Asker, taken: int) -> Iterator[tuple[int, Generated]]:
    """Yield what arrived before a failure, and what was in flight then and arrives soon."""
    deadline = time.monotonic() + GRACE_SECONDS
    while taken < asker.begun and time.monotonic() < deadline:
        done = asker.next_done(POLL_SECONDS)
        if done is None:
            continue
        taken += 1
        if done.generated is not None:
            yield done.number, done.generated
