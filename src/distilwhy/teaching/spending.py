"""What a teacher has cost and may still cost: no prompt is begun that might pass the budget."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from distilwhy.config import Budget, Prices
from distilwhy.generators.base import Generated
from distilwhy.teaching.ledger import StepTime, Tokens, read_ledger
from distilwhy.teaching.store import TextStore, stored_texts, tokens_of

HOUR = 3600.0
MARGIN = 1.1  # texts to come may be longer than those so far


@dataclass(frozen=True)
class Terms:
    """On what terms a teacher is asked.

    Args:
        budget: What its texts may cost, over all runs.
        prices: What its tokens cost; ``None`` where no money is counted.
        elsewhere: Other stores whose cost counts against the same budget.
        content: Content hash of a teacher on this machine, whose name may come to name another.
        precision: Precision that a teacher on this machine was told to write in; ``None`` where
            it chooses.
    """

    budget: Budget = field(default_factory=Budget)
    prices: Prices | None = None
    elsewhere: tuple[Path, ...] = ()
    content: str | None = None
    precision: str | None = None


@dataclass(eq=False)
class Ticket:
    """Leave to answer one prompt, which reserves the most that it can cost.

    Args:
        bound: Most tokens of one attempt.
        begun: When the prompt was taken, on the monotonic clock.
        attempts: Attempts that may be charged for.
        given_up: Whether a further attempt was refused: then the last one failed on its way.
    """

    bound: Tokens
    begun: float
    attempts: int = 1
    given_up: bool = False


@dataclass(frozen=True)
class Refusal:
    """Why a prompt was not begun.

    Args:
        setting: The setting of the budget that is reached.
        limit: Its value.
        spent: What is spent of it.
        next: Most that the next prompt needs of it.
    """

    setting: str
    limit: float
    spent: float
    next: float

    def __str__(self) -> str:
        shown = [amount(self.setting, value) for value in (self.limit, self.spent, self.next)]
        return (
            f"The budget of {shown[0]} is reached: {shown[1]} are spent, and the next prompt may "
            f"need {shown[2]}."
        )


@dataclass(frozen=True)
class Spent:
    """Tokens and seconds spent."""

    tokens: Tokens = field(default_factory=Tokens)
    seconds: float = 0.0


class Spending:
    """Counts what is spent and in flight against a budget; safe to use from several threads.

    A prompt in flight counts with the most that it can cost, then with what it did cost. What an
    earlier run spent counts too, and so does what a killed one had in flight.

    Args:
        store: The store that the texts go to; its ledger keeps what texts do not tell.
        terms: Budget and prices.
    """

    def __init__(self, store: TextStore, terms: Terms) -> None:
        self.refusal: Refusal | None = None
        """Why a prompt was refused last."""
        self.surplus = Tokens()
        """Most by which tokens passed their bound: some servers add a system prompt of theirs."""
        self._store = store
        self._terms = terms
        self._guard = threading.RLock()
        self._open: dict[int, Ticket] = {}
        self._mark = 0.0
        self._written = 0
        self._texts = Tokens()
        for tokens in store.spent.values():
            self._texts += tokens
        self._before = read_spent(terms.elsewhere)
        self._seconds_before = store.ledger.seconds

    def take(self, bound: Tokens) -> Ticket | None:
        """Reserve the most that a prompt can cost; ``None`` where that does not fit.

        Args:
            bound: Most tokens of the prompt and of its text.
        """
        with self._guard:
            if not self._fits(bound):
                return None
            now = time.monotonic()
            if not self._open:
                self._mark = now
            ticket = Ticket(bound, now)
            self._open[id(ticket)] = ticket
            self._reserve(bound)
            return ticket

    def again(self, ticket: Ticket) -> bool:
        """Reserve one more attempt at a prompt; false where that does not fit."""
        with self._guard:
            if not self._fits(ticket.bound):
                ticket.given_up = True
                return False
            ticket.attempts += 1
            self._reserve(ticket.bound)
            return True

    def settle(self, ticket: Ticket, step: str, generated: Generated) -> None:
        """Count a text that came, with the attempts before it that may have been charged for.

        Args:
            ticket: The prompt's ticket.
            step: The step that asked.
            generated: The text, which is stored already.
        """
        used = Tokens(generated.prompt_tokens, generated.completion_tokens, generated.cached_tokens)
        with self._guard:
            self._texts += used
            self._written += used.completion
            self.surplus = Tokens(
                max(self.surplus.prompt, used.prompt - ticket.bound.prompt),
                max(self.surplus.completion, used.completion - ticket.bound.completion),
            )
            attempts = max(generated.lost_attempts, ticket.attempts - 1)
            lost = Tokens(used.prompt, ticket.bound.completion) * attempts
            self._close(ticket, lost, step)

    def lose(self, tickets: Iterable[Ticket], *, charged: bool) -> None:
        """Give up prompts that were begun and brought no text.

        Args:
            tickets: Their tickets.
            charged: Whether their last attempts may have been charged for; those of prompts that
                were given up may have been in any case.
        """
        with self._guard:
            for ticket in tickets:
                free = not charged and not ticket.given_up
                self._close(ticket, ticket.bound * (ticket.attempts - free))

    @property
    def usd(self) -> float | None:
        """Money spent so far; ``None`` without prices."""
        with self._guard:
            return None if self._terms.prices is None else self._usd(self._spent())

    @property
    def rate(self) -> float:
        """Tokens of texts a second, in this run."""
        with self._guard:
            return self._written / max(self._seconds() - self._seconds_before, 1e-9)

    def enough(self, more: Tokens, seconds: float) -> float | None:
        """Return the value of the setting last refused that so much more would need, and a margin.

        Args:
            more: Tokens.
            seconds: Time.
        """
        if self.refusal is None:
            return None
        needed = {"usd": self._usd(more), "tokens": more.total, "hours": seconds / HOUR}
        return self.refusal.spent + MARGIN * needed[self.refusal.setting] + self.refusal.next

    def at_most(self, texts: int) -> float | None:
        """Return the value of the setting last refused that so many texts can need at most.

        Args:
            texts: Texts, each reckoned as the prompt that was refused; nothing tells their time.
        """
        if self.refusal is None or self.refusal.setting == "hours":
            return None
        return self.refusal.spent + texts * self.refusal.next

    def _fits(self, bound: Tokens) -> bool:
        """Return whether so much more stays within the budget; else note why not."""
        budget, ledger = self._terms.budget, self._store.ledger
        now = self._spent() + ledger.in_flight
        then = now + bound
        refusal = None
        if budget.usd is not None and self._usd(then) > budget.usd:
            refusal = Refusal("usd", budget.usd, self._usd(now), self._usd(then) - self._usd(now))
        if budget.tokens is not None and then.total > budget.tokens:
            refusal = Refusal("tokens", budget.tokens, now.total, bound.total)
        if budget.hours is not None:
            spent, longest = self._before.seconds + self._seconds(), self._longest()
            if spent >= budget.hours * HOUR or spent + longest > budget.hours * HOUR:
                refusal = Refusal("hours", budget.hours, spent / HOUR, longest / HOUR)
        self.refusal = refusal or self.refusal
        return refusal is None

    def _reserve(self, bound: Tokens) -> None:
        self._store.ledger.in_flight += bound
        self._store.write_ledger()

    def _close(self, ticket: Ticket, lost: Tokens, step: str | None = None) -> None:
        now, ledger = time.monotonic(), self._store.ledger
        passed, self._mark = now - self._mark, now
        del self._open[id(ticket)]
        ledger.seconds += passed
        ledger.longest = max(ledger.longest, now - ticket.begun)
        if step is not None:
            timed = ledger.steps.setdefault(step, StepTime())
            timed.texts += 1
            timed.seconds += passed
        ledger.lost += lost
        ledger.in_flight -= ticket.bound * ticket.attempts
        self._store.write_ledger()

    def _spent(self) -> Tokens:
        return self._texts + self._store.ledger.lost + self._before.tokens

    def _usd(self, tokens: Tokens) -> float:
        prices = self._terms.prices
        return (
            0.0 if prices is None else prices.usd(tokens.prompt, tokens.completion, tokens.cached)
        )

    def _seconds(self) -> float:
        running = time.monotonic() - self._mark if self._open else 0.0
        return self._store.ledger.seconds + running

    def _longest(self) -> float:
        """Return the longest time of a text so far, those in flight included."""
        oldest = next(iter(self._open.values()), None)
        running = 0.0 if oldest is None else time.monotonic() - oldest.begun
        return max(self._store.ledger.longest, running)


def amount(setting: str, value: float) -> str:
    """Return an amount of a budget in words.

    Args:
        setting: ``usd``, ``tokens`` or ``hours``.
        value: The amount.
    """
    if setting == "usd":
        return f"${value:.2f}" if value >= 1 else f"${value:.4g}"
    return f"{value:,.0f} tokens" if setting == "tokens" else f"{value:.3g} hours"


def read_spent(stores: Iterable[Path]) -> Spent:
    """Return what is spent on stores, as far as they are there.

    Raises:
        DataError: When one cannot be read.
    """
    tokens, seconds = Tokens(), 0.0
    for store in stores:
        ledger = read_ledger(store)
        tokens += ledger.lost + ledger.in_flight
        seconds += ledger.seconds
        for text in stored_texts(store):
            tokens += tokens_of(text)
    return Spent(tokens, seconds)
