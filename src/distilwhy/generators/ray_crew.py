"""The workers of one generator: started, given prompts, listened to and replaced when they die."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from distilwhy import __version__
from distilwhy.config import BackendSettings
from distilwhy.errors import ConfigError, StageError
from distilwhy.generators.base import Decoding
from distilwhy.generators.ray_cluster import Cluster
from distilwhy.generators.ray_worker import Ended, Event, Failure, Opened, Sent, Text
from distilwhy.progress import say

DEATHS_IN_A_ROW = 3  # of one worker and those in its place, without a text in between
WAIT_SECONDS = 60.0


@dataclass(eq=False)
class Member:
    """A place in the crew, which one worker after another may hold.

    Args:
        settings: How its backend is run or reached.
        most: Prompts that it has at a time, at most, those that wait included.
    """

    settings: BackendSettings
    most: int
    worker: Any = None
    opened: Opened | None = None
    call: Any = None
    """The call that is listened to: the backend's opening, or the taking of events."""
    sent: dict[int, Sent] = field(default_factory=dict)
    """Prompts that it has, by their numbers."""
    last: Sent | None = None
    given: int = 0
    working: bool = False
    ending: bool = False
    halted: bool = False
    deaths: int = 0

    @property
    def room(self) -> int:
        """How many further prompts it may get now."""
        return 0 if self.opened is None or self.ending else self.most - len(self.sent)

    @property
    def has_died_out(self) -> bool:
        """Whether its workers died so often that no further one is started."""
        return self.deaths >= DEATHS_IN_A_ROW

    def give(self, block: Sequence[Sent], decoding: Decoding, *, guarded: bool) -> None:
        """Give it prompts.

        Args:
            block: The prompts.
            decoding: How to decode.
            guarded: Whether leave must be asked before a prompt is sent once more.
        """
        if not self.working:
            self.working = True
            self.worker.begin.remote(decoding, guarded)
            self.call = self.worker.take.remote()
        self.worker.give.remote(list(block))
        self.sent.update((sent.number, sent) for sent in block)
        self.given += len(block)
        self.last = block[-1]

    def end(self, *, halt: bool = False) -> None:
        """Say that no prompts follow.

        Args:
            halt: Whether those that its backend has not begun on are dropped.
        """
        if halt and not self.halted:
            self.worker.halt.remote()
        elif not self.ending:
            self.worker.end.remote(self.given)
        self.ending, self.halted = True, halt

    def note(self, event: Event) -> Sent | None:
        """Note what happened at the worker; return the prompt that is answered, if one is."""
        if isinstance(event, Ended):
            self.call, self.given = None, 0
            self.working = self.ending = self.halted = False
            self.sent.clear()
        if not isinstance(event, Text):
            return None
        self.deaths = 0
        return self.sent.pop(event.number)

    def vacate(self) -> dict[int, Sent]:
        """Forget the worker and return the prompts that it had."""
        had, self.sent = self.sent, {}
        self.worker = self.opened = self.call = self.last = None
        self.working = self.ending = self.halted = False
        self.given = 0
        return had


class Crew:
    """All workers of a generator.

    Args:
        cluster: Where they run.
        model: The model string that they open.
        members: Their places.
        keys: Environment variables that hold the server's key; they go in a call's arguments,
            which Ray, other than a runtime environment, neither shows nor logs.
    """

    def __init__(
        self,
        cluster: Cluster,
        model: str,
        members: Sequence[Member],
        keys: Mapping[str, str],
    ) -> None:
        self.members = members
        self._cluster = cluster
        self._model = model
        self._keys = keys
        self._first: Opened | None = None
        self._waiting: float | None = None

    @property
    def working(self) -> list[Member]:
        """Members that have prompts, or are about to end."""
        return [member for member in self.members if member.working]

    def start(self) -> None:
        """Start what workers there are not, without waiting for them.

        Raises:
            StageError: When all have died again and again.
        """
        for member in self.members:
            if member.worker is None and not member.has_died_out:
                member.worker = self._cluster.worker()
                threads = max(1, int(member.settings.ray.cpus))
                member.call = member.worker.open.remote(
                    self._model, member.settings, threads, dict(self._keys)
                )
        if all(member.has_died_out for member in self.members):
            raise StageError(
                f"All workers of {self._model} died, {DEATHS_IN_A_ROW} times in a row each; their "
                "machines may lack memory. See Ray's logs, then run the same command again."
            )

    def happened(self, seconds: float) -> list[tuple[Member, list[Event] | None]]:
        """Wait until something happens, and return what; ``None`` where a worker has died.

        Args:
            seconds: Wait no longer.
        """
        self._say_if_waiting()
        calls = {member.call: member for member in self.members if member.call is not None}
        news: list[tuple[Member, list[Event] | None]] = []
        for call in self._cluster.wait(list(calls), seconds) if calls else ():
            member, result = calls[call], self._cluster.result(call)
            if isinstance(result, Opened):
                member.call, member.opened = None, result
                if (fault := self._fault(result)) is not None:
                    news.append((member, [Failure.of(fault)]))
            elif isinstance(result, Failure):
                member.call = None
                news.append((member, [result]))
            else:
                # Nothing follows the end; a call that waits would take the next run's events.
                ended = result is None or isinstance(result[-1], Ended)
                member.call = None if ended else member.worker.take.remote()
                news.append((member, result))
        return news

    def _say_if_waiting(self) -> None:
        """Say so when no worker gets ready for long: there may be no room for one.

        Raises:
            StageError: When none can, as Ray itself has died.
        """
        if any(member.opened for member in self.members):
            self._waiting = None
            return
        self._cluster.check_alive()
        if self._waiting is None:
            self._waiting = time.monotonic()
        elif time.monotonic() - self._waiting > WAIT_SECONDS:
            self._waiting = math.inf
            ray = self.members[0].settings.ray
            say(
                f"No worker is ready yet; perhaps no machine has {ray.cpus:g} processors and "
                f"{ray.gpus:g} GPUs free for one ('ray status' tells)."
            )

    def first(self) -> Opened:
        """Wait until a worker has opened its backend, and return what it said.

        Raises:
            UserError: When it cannot open it.
        """
        self.start()
        while self._first is None:
            for member, events in self.happened(WAIT_SECONDS):
                if events is None:
                    self.replace(member)
                elif isinstance(events[0], Failure):
                    self.dismiss(member)
                    raise events[0].error()
        return self._first

    def replace(self, member: Member) -> dict[int, Sent]:
        """Start another worker in the place of one that died; return the prompts that it had.

        Raises:
            StageError: When all have died again and again.
        """
        had = self.dismiss(member)
        member.deaths += 1
        say(f"A worker died; the {len(had)} texts that it was asked for are asked of others.")
        self.start()
        return had

    def dismiss(self, member: Member) -> dict[int, Sent]:
        """End a worker at once; return the prompts that it had."""
        if member.worker is not None:
            self._cluster.kill(member.worker)
        return member.vacate()

    def close(self) -> None:
        """End all workers, and the cluster if it was started for them."""
        for member in self.members:
            self.dismiss(member)
        self._cluster.close()

    def _fault(self, opened: Opened) -> ConfigError | None:
        """Return why a worker would not give the same texts as the others, if so."""
        if opened.version != __version__:
            return ConfigError(
                f"A worker has distilwhy {opened.version}, this process {__version__}.",
                "Install the same version on all machines of the cluster.",
            )
        self._first = self._first or opened
        if opened.precision != self._first.precision:
            return ConfigError(
                f"Machines of the cluster chose {opened.precision} and {self._first.precision}.",
                "Set precision: fp32 or bf16.",
            )
        return None
