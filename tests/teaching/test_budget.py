"""No budget is passed: not with prompts in flight, lost attempts, kills, or runs after runs."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from distilwhy.config import Budget, Prices
from distilwhy.errors import ModelError, StoppedError
from distilwhy.generators.base import ContrastedPrompt, Decoding, Generated
from distilwhy.generators.recorded import text_key
from distilwhy.teaching.admission import MARKS, most_tokens
from distilwhy.teaching.asking import Request, stored_teacher
from distilwhy.teaching.ledger import Tokens, read_ledger
from distilwhy.teaching.spending import Terms, amount
from distilwhy.teaching.store import TextStore

LIMIT = 40
PRICES = Prices(prompt=3.0, completion=11.0, cached_prompt=1.0)


class Meter:
    """A server that charges odd amounts and loses attempts; what it charged is counted here.

    Args:
        seed: Seed of its amounts.
        at_once: Prompts that it takes at a time.
        losing: Share of attempts that are charged for and bring nothing.
        gives_up: After so many texts it fails; ``None`` never.
    """

    name = "meter"

    def __init__(
        self, seed: int, at_once: int, losing: float = 0.0, gives_up: int | None = None
    ) -> None:
        self.charged: list[tuple[int, int, int]] = []
        self.asked: list[str] = []
        self._draw = random.Random(seed)
        self._at_once = at_once
        self._losing = losing
        self._left = gives_up

    def generate(
        self, prompts: Iterable[str], decoding: Decoding
    ) -> Iterator[tuple[int, Generated]]:
        again = getattr(prompts, "again")  # noqa: B009 - prompts are only said to be iterable
        numbered = iter(enumerate(prompts))
        while taken := list(islice(numbered, self._at_once)):
            self._draw.shuffle(taken)
            for number, prompt in taken:
                lost = 0
                self.asked.append(prompt)
                while self._draw.random() < self._losing:
                    lost += 1
                    self._charge(prompt, LIMIT)
                    if not again(number):
                        break
                else:
                    if self._left == 0:
                        raise ModelError("The server is down.")
                    self._left = None if self._left is None else self._left - 1
                    tokens = self._charge(prompt, self._draw.randint(0, LIMIT))
                    yield number, Generated("text", "stop", tokens[0], tokens[1], None, lost)

    def _charge(self, prompt: str, completion: int) -> tuple[int, int]:
        # The same prompt has the same tokens whenever it is sent.
        tokens = random.Random(prompt).randint(1, most_tokens(prompt, Decoding()))
        self.charged.append((tokens, completion, 0))
        return tokens, completion

    @property
    def tokens(self) -> int:
        return sum(prompt + completion for prompt, completion, _ in self.charged)

    @property
    def usd(self) -> float:
        """The bill, added up charge by charge."""
        return math.fsum(3.0 * p + 11.0 * c for p, c, _ in self.charged) / 1_000_000


def requests(count: int) -> dict[str, Request]:
    prompts = [f"Prompt {n}: " + "é" * (n % 7) + "word " * (n * 7 % 23) for n in range(count)]
    decoding = Decoding(max_new_tokens=LIMIT)
    return {
        text_key(prompt, "meter", decoding): Request(prompt, decoding, "rationale", str(number))
        for number, prompt in enumerate(prompts)
    }


def ask(meter: Meter, path: Path, budget: Budget, count: int = 60) -> StoppedError | None:
    """Ask for what is missing; return what ended it."""
    try:
        with stored_teacher(meter, path, Terms(budget, PRICES)) as source:
            missing = {k: r for k, r in requests(count).items() if source.get(k) is None}
            try:
                list(source.ask(missing))
            except StoppedError as stop:
                stop.missing = {"rationale": count - len(source.store)}
                raise
    except StoppedError as stop:
        return stop
    return None


costs = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10**6),
        "at_once": st.integers(1, 64),
        "losing": st.sampled_from([0.0, 0.1, 0.4]),
    }
)


@settings(max_examples=60, deadline=None)
@given(costs, st.integers(1, 9000), st.booleans(), st.sampled_from([None, 0, 3, 11]))
@example({"seed": 70581, "at_once": 3, "losing": 0.4}, 285, False, 0)
def test_no_budget_is_passed_in_several_runs(
    tmp_path_factory: pytest.TempPathFactory,
    cost: dict[str, float],
    tokens: int,
    money: bool,
    gives_up: int | None,
) -> None:
    path = tmp_path_factory.mktemp("store") / "t.jsonl"
    meters: list[Meter] = []
    for factor in (1, 1, 2):  # the same budget again, then a raised one
        limit = tokens * factor
        usd = limit * 5 / 1_000_000
        budget = Budget(usd=usd) if money else Budget(tokens=limit)
        meters.append(Meter(**cost, gives_up=gives_up))  # type: ignore[arg-type]
        try:
            ask(meters[-1], path, budget)
        except ModelError:
            assert gives_up is not None
        assert sum(meter.tokens for meter in meters) <= limit or money
        assert math.fsum(meter.usd for meter in meters) <= usd + 1e-12 or not money


@pytest.mark.parametrize("losing", [0.0, 0.3])
@pytest.mark.parametrize("at_once", [1, 8])
def test_the_budget_is_used_until_nothing_fits(tmp_path: Path, at_once: int, losing: float) -> None:
    meter = Meter(5, at_once, losing)
    stop = ask(meter, tmp_path / "t.jsonl", Budget(tokens=4000), count=200)
    assert stop is not None
    assert (stop.code, stop.setting) == (1, "tokens")
    longest = max(most_tokens(r.prompt, r.decoding) for r in requests(200).values())
    # A prompt whose answer is denied another attempt may leave more than one prompt's worth.
    assert losing or 4000 - longest - LIMIT < meter.tokens
    assert 2500 < meter.tokens <= 4000
    assert len(meter.asked) > 4000 // (longest + LIMIT)  # more than reservations alone allow


def test_enough_is_asked_with_enough(tmp_path: Path) -> None:
    meter = Meter(5, 8, 0.2)
    assert ask(meter, tmp_path / "t.jsonl", Budget(tokens=10**6, usd=10, hours=1)) is None
    assert sorted(meter.asked) == sorted(r.prompt for r in requests(60).values())
    again = Meter(5, 8)
    assert ask(again, tmp_path / "t.jsonl", Budget(tokens=1)) is None  # all is there already
    assert again.asked == []


def test_what_an_earlier_run_spent_counts(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    first = Meter(1, 8, 0.2)
    assert ask(first, path, Budget(), count=10) is None
    second = Meter(2, 8)
    stop = ask(second, path, Budget(tokens=first.tokens + 50))
    assert stop is not None
    assert second.tokens <= 50
    assert f"{amount('tokens', first.tokens + second.tokens)} are spent" in str(stop)


def test_other_stores_of_the_budget_count(tmp_path: Path) -> None:
    first = Meter(1, 8, 0.2)
    ask(first, tmp_path / "a.jsonl", Budget(), count=10)
    with (tmp_path / "a.jsonl").open("ab") as stream:
        stream.write(b'{"torn')
    second = Meter(2, 8)
    terms = Terms(Budget(tokens=first.tokens + 500), None, (tmp_path / "a.jsonl", tmp_path / "no"))
    with (
        pytest.raises(StoppedError),
        stored_teacher(second, tmp_path / "b.jsonl", terms) as source,
    ):
        list(source.ask(requests(60)))
    assert 300 < second.tokens <= 500


def test_what_was_in_flight_at_a_failure_counts(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with pytest.raises(ModelError):
        ask(Meter(1, 8, gives_up=3), path, Budget())
    ledger = read_ledger(path)
    assert ledger.lost.completion == 5 * LIMIT  # eight were taken, three were answered
    assert ledger.in_flight == Tokens()


def test_a_server_that_refuses_all_has_charged_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with pytest.raises(ModelError):
        ask(Meter(1, 8, gives_up=0), path, Budget())
    assert read_ledger(path).lost == Tokens()


def test_a_surplus_over_the_bound_is_noticed(tmp_path: Path) -> None:
    class Wordy(Meter):
        def _charge(self, prompt: str, completion: int) -> tuple[int, int]:
            tokens = most_tokens(prompt, Decoding()) + 70  # a system prompt of its own
            self.charged.append((tokens, LIMIT, 0))
            return tokens, LIMIT

    meter = Wordy(1, 1)
    stop = ask(meter, tmp_path / "t.jsonl", Budget(tokens=3000))
    assert stop is not None
    assert 2500 < meter.tokens <= 3000


def test_cached_tokens_cost_less(tmp_path: Path) -> None:
    class Caching(Meter):
        def generate(
            self, prompts: Iterable[str], decoding: Decoding
        ) -> Iterator[tuple[int, Generated]]:
            for number, _ in enumerate(prompts):
                yield number, Generated("text", "stop", 8, 4, cached_tokens=6)

    path = tmp_path / "t.jsonl"
    with stored_teacher(Caching(1, 1), path, Terms(prices=PRICES)) as source:
        list(source.ask(requests(10)))
        assert source.usd == pytest.approx(10 * (2 * 3.0 + 6 * 1.0 + 4 * 11.0) / 1e6)
    with TextStore(path) as store:
        assert store.spent == {"rationale": Tokens(80, 40, 60)}
    assert Prices(prompt=3.0, completion=11.0).usd(80, 40, 60) == pytest.approx(680 / 1e6)


def test_the_bound_holds_for_real_tokenizers() -> None:
    from transformers import AutoTokenizer

    from distilwhy.models.load import converted_gguf
    from distilwhy.models.names import parse_model

    folder = converted_gguf(Path(parse_model("embedded").target))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text in ("plain words", "é̂ \u2028 𝄞𝄞", "日本語の文", "\x00\x01", "<|im_start|>", "ﷺﷺ", ""):
        assert len(tokenizer(text)["input_ids"]) <= most_tokens(text, Decoding())
        ids = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=False
        )
        assert len(ids) <= most_tokens(text, Decoding(chat=True))
    assert most_tokens("", Decoding()) == MARKS
    both = ContrastedPrompt("abc", "defgh")
    assert most_tokens(both, Decoding(contrast=0.5)) == 3 + 5 + 2 * MARKS


def test_hours_stop_before_a_text_that_might_take_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("distilwhy.teaching.spending.time.monotonic", lambda: now[0])

    class Slow(Meter):
        def generate(
            self, prompts: Iterable[str], decoding: Decoding
        ) -> Iterator[tuple[int, Generated]]:
            for number, prompt in enumerate(prompts):
                self.asked.append(prompt)
                now[0] += 60.0 + 10.0 * (len(self.asked) == 3)
                yield number, Generated("text", "stop", 1, 1)
                now[0] += 500.0  # nothing is in flight, so this counts as nobody's time

    budget = Budget(hours=400 / 3600)
    slow = Slow(1, 1)
    stop = ask(slow, tmp_path / "t.jsonl", budget)
    assert stop is not None
    assert (stop.code, stop.setting) == (1, "hours")
    # 60 + 60 + 70 + 60 + 60 = 310; the next might take 70, one more after it might not fit.
    assert len(slow.asked) == 6
    ledger = read_ledger(tmp_path / "t.jsonl")
    assert ledger.seconds == pytest.approx(370)
    assert ledger.longest == pytest.approx(70)
    assert ledger.steps["rationale"].texts == 6
    again = Slow(1, 1)
    ask(again, tmp_path / "t.jsonl", budget)
    assert again.asked == []


def test_enough_tells_what_the_rest_needs(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    meter = Meter(3, 8)
    stop = ask(meter, path, Budget(usd=0.01))
    assert stop is not None
    assert stop.enough is not None
    assert stop.enough > 0.01
    assert ask(meter, path, Budget(usd=stop.enough)) is None
    assert meter.usd <= stop.enough < 2 * meter.usd


def test_a_budget_too_small_for_one_prompt_tells_one_that_is_enough(tmp_path: Path) -> None:
    path, meter = tmp_path / "t.jsonl", Meter(3, 8)
    stop = ask(meter, path, Budget(usd=1e-9))
    assert meter.asked == []
    assert stop is not None
    assert stop.enough is not None
    assert ask(meter, path, Budget(usd=stop.enough)) is None


def test_a_lost_attempt_before_a_refusal_counts(tmp_path: Path) -> None:
    class Refusing(Meter):
        def generate(
            self, prompts: Iterable[str], decoding: Decoding
        ) -> Iterator[tuple[int, Generated]]:
            next(iter(prompts))
            assert getattr(prompts, "again")(0)  # noqa: B009
            raise ModelError("The key was taken back.")
            yield

    with pytest.raises(ModelError):
        ask(Refusing(1, 1), tmp_path / "t.jsonl", Budget())
    first = next(iter(requests(1).values()))
    bound = Tokens(most_tokens(first.prompt, first.decoding), LIMIT)
    assert read_ledger(tmp_path / "t.jsonl").lost == bound
