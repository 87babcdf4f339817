"""Workers on Ray behind one generator: each holds a backend of its own and gets prompts in blocks.

Prompts are taken here, one by one, as workers have room, and texts come back here: whoever gives
the prompts keeps the one budget, the wish to stop and the store, however many machines work.
"""

from __future__ import annotations

import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from distilwhy.config import BackendSettings, RaySettings
from distilwhy.errors import StageError
from distilwhy.generators.api_endpoint import OPENAI_VARIABLE, OTHER_VARIABLE, endpoint_of
from distilwhy.generators.base import Decoding, Generated
from distilwhy.generators.ray_cluster import Cluster
from distilwhy.generators.ray_crew import Crew, Member
from distilwhy.generators.ray_worker import Event, Failure, Left, MayAgain, Sent, Text
from distilwhy.models.names import EMBEDDED, URL_KINDS, parse_model
from distilwhy.progress import say

LOCAL_KINDS = ("gguf", "hf", "recorded")
SERVER_KINDS = (*URL_KINDS, "ollama", "openai")
BLOCKS = 4  # a worker's room is refilled in as many parts
ALIKE = 0.5  # prompts that share so much of their beginning go to the same worker
MOST_DEATHS = 3  # of workers with the same prompt
GRACE_SECONDS = 30.0  # for what is in flight when a worker's backend fails
POLL_SECONDS = 0.5


class RayGenerator:
    """Asks workers on one or many machines.

    Workers are started when the first prompt is asked for, and end with this object. A worker that
    dies is replaced, and the prompts that it had are given to others.

    Args:
        model: A model string.
        settings: How the backend is run or reached, and how many workers there are. They share
            ``concurrency`` among themselves.

    Raises:
        ModelError: When the server's key is missing.
    """

    def __init__(self, model: str, settings: BackendSettings) -> None:
        self.name = model
        self._settings = settings
        self._keys = _keys(model, settings)
        self._ending: Callable[[], object] | None = None

    def generate(
        self, prompts: Iterable[str], decoding: Decoding
    ) -> Iterator[tuple[int, Generated]]:
        """Yield the texts as they arrive; see :class:`Generator`.

        Raises:
            UserError: What a worker's backend raises; what was in flight is waited for and yielded
                before.
            StageError: Likewise, or when workers keep dying.
            MissingExtraError: When Ray is not installed.
            ConfigError: When no cluster can be reached.
        """
        run = _Run(self._crew, prompts, decoding)
        try:
            yield from run.texts()
        finally:
            run.close()

    def close(self) -> None:
        """End the workers, and the cluster if it was started for them; others start when needed."""
        if self._ending is not None:
            self._ending()
            del self._crew
            self._ending = None

    @property
    def precision(self) -> str:
        """Precision that the workers run in."""
        return self._crew.first().precision or "unknown"

    @property
    def contrasts(self) -> bool:
        """Whether the workers decode contrastively."""
        return self._crew.first().contrasts

    @cached_property
    def _crew(self) -> Crew:
        settings, kind = self._settings, parse_model(self.name).kind
        wanted, most = settings.ray.workers, settings.concurrency
        if kind in SERVER_KINDS:
            wanted = min(wanted, most)
        shares = [most // wanted + (number < most % wanted) for number in range(wanted)]
        at_once = [settings.batch_size if kind in LOCAL_KINDS else max(1, n) for n in shares]
        cluster = Cluster(settings.ray)
        if kind in LOCAL_KINDS and cluster.gpus and not settings.ray.gpus:
            say(
                f"The cluster has {cluster.gpus:g} GPUs, which workers with ray.gpus: 0 do not use."
            )
        local = settings.model_copy(
            update={"engine": "local", "ray": RaySettings(), "api_key_file": None}
        )
        members = [
            # As many prompts again wait at the worker, so that it need not wait for them.
            Member(local.model_copy(update={"concurrency": max(1, share)}), 2 * n)
            for share, n in zip(shares, at_once, strict=True)
        ]
        crew = Crew(cluster, _everywhere(self.name), members, self._keys)
        self._ending = weakref.finalize(self, crew.close)
        return crew


class _Run:
    """One call of the generator.

    Args:
        crew: The workers.
        prompts: The prompts.
        decoding: How to decode.
    """

    def __init__(self, crew: Crew, prompts: Iterable[str], decoding: Decoding) -> None:
        self._crew = crew
        self._decoding = decoding
        self._prompts = enumerate(prompts)
        self._again = getattr(prompts, "again", None)
        self._ended = False
        self._ahead: deque[Sent] = deque()
        self._lost = Counter[int]()
        self._failure: Exception | None = None
        self._deadline = 0.0

    def texts(self) -> Iterator[tuple[int, Generated]]:
        """Yield texts until all prompts are dealt with."""
        crew = self._crew
        crew.start()
        while True:
            self._feed()
            late = self._failure is not None and time.monotonic() > self._deadline
            if late or (self._is_over and not crew.working):
                break
            for member, events in crew.happened(POLL_SECONDS):
                if events is None:
                    self._died(member)
                for event in events or ():
                    sent = member.note(event)
                    if sent is not None and isinstance(event, Text):
                        yield sent.number, self._whole(event)
                    else:
                        self._note(member, event)
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """End the workers that are at work still, whose texts nobody waits for any more."""
        for member in self._crew.members if self._failure is not None else self._crew.working:
            self._crew.dismiss(member)

    def _feed(self) -> None:
        """Give prompts to the workers that have room for a block of them."""
        while self._failure is None:
            able = [m for m in self._crew.members if m.room >= _block_size(m)]
            first = self._next() if able else None
            if first is None:
                break
            likely = [m for m in able if m.last is not None and _alike(first, m.last)]
            member = max(likely or able, key=lambda m: m.room)
            block = self._block(first, _block_size(member))
            member.give(block, self._decoding, guarded=self._again is not None)
        if self._is_over:
            for member in self._crew.working:
                member.end(halt=self._failure is not None)

    def _block(self, first: Sent, most: int) -> list[Sent]:
        """Return up to so many prompts that begin alike."""
        block = [first]
        while len(block) < most and (sent := self._next()) is not None:
            if not _alike(block[-1], sent):
                self._ahead.appendleft(sent)
                break
            block.append(sent)
        return block

    def _next(self) -> Sent | None:
        """Take a prompt: one that a dead worker had, or the next one."""
        if self._ahead:
            return self._ahead.popleft()
        pair = None if self._ended else next(self._prompts, None)
        self._ended = pair is None
        return None if pair is None else Sent(*pair)

    @property
    def _is_over(self) -> bool:
        """Whether no worker will get a further prompt."""
        return self._failure is not None or (self._ended and not self._ahead)

    def _whole(self, event: Text) -> Generated:
        """Return a text with the attempts at it that died with their workers."""
        generated, lost = event.generated, self._lost[event.number]
        return replace(generated, lost_attempts=generated.lost_attempts + lost)

    def _note(self, member: Member, event: Event) -> None:
        if isinstance(event, MayAgain):
            granted = self._again is not None and bool(self._again(event.number))
            member.worker.answer.remote(event.number, granted)
        elif isinstance(event, Left):
            for number in event.numbers:
                member.sent.pop(number)
        elif isinstance(event, Failure):
            self._fail(event.error())

    def _fail(self, error: Exception) -> None:
        if self._failure is None:
            self._failure, self._deadline = error, time.monotonic() + GRACE_SECONDS

    def _died(self, member: Member) -> None:
        """Take back what a dead worker had; it may have been charged for."""
        try:
            had = self._crew.replace(member)
        except StageError as error:
            self._fail(error)
            return
        for number, sent in had.items():
            self._lost[number] += 1
            if self._lost[number] >= MOST_DEATHS:
                self._fail(
                    StageError(
                        f"{MOST_DEATHS} workers died with the same prompt. See Ray's logs, then "
                        "run the same command again to go on."
                    )
                )
            if self._again is None or self._again(number):
                self._ahead.append(sent)


def _block_size(member: Member) -> int:
    return max(1, member.most // BLOCKS)


def _alike(first: Sent, second: Sent) -> bool:
    """Return whether two prompts share so much that a model computes the beginning once."""
    share = int(ALIKE * min(len(first.prompt), len(second.prompt)))
    return first.prompt[:share] == second.prompt[:share]


def _keys(model: str, settings: BackendSettings) -> dict[str, str]:
    """Return the environment variable with a server's key, which is looked for on this machine."""
    kind = parse_model(model).kind
    if kind not in SERVER_KINDS:
        return {}
    key = endpoint_of(model, settings.api_key_file).key
    return {OPENAI_VARIABLE if kind == "openai" else OTHER_VARIABLE: key} if key else {}


def _everywhere(model: str) -> str:
    """Return a model string that means the same in a worker, whose folder is another."""
    if model == EMBEDDED:
        return model
    name = parse_model(model)
    if name.kind in LOCAL_KINDS and Path(name.target).exists():
        return f"{name.kind}:{Path(name.target).absolute()}"
    return model
