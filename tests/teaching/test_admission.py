"""Prompts are handed out while there is room and nobody wants to stop; signals are given back."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from distilwhy.config import Budget
from distilwhy.errors import StoppedError
from distilwhy.generators.base import Decoding, Generated
from distilwhy.generators.scripted import IN_FLIGHT, ScriptedGenerator
from distilwhy.teaching.admission import Admission, Interrupt
from distilwhy.teaching.asking import Request, stored_teacher
from distilwhy.teaching.spending import Spending, Terms
from distilwhy.teaching.store import TextStore

DECODING = Decoding(max_new_tokens=10)


@pytest.fixture
def spending(tmp_path: Path) -> Iterator[Spending]:
    with TextStore(tmp_path / "t.jsonl") as store:
        yield Spending(store, Terms(Budget(tokens=60)))


def test_an_ended_round_stays_ended(spending: Spending) -> None:
    prompts = ["one", "two", "three"]
    admission = Admission(prompts, DECODING, spending, Interrupt(), lambda *_: 20)
    assert list(admission) == ["one", "two"]
    admission.settle(0, "step", Generated("text", "stop", 5, 5))
    assert next(admission, None) is None  # although there is room again
    assert (admission.taken, admission.denied) == (2, True)
    again = Admission(prompts[2:], DECODING, spending, Interrupt(), lambda *_: 10)
    assert list(again) == ["three"]
    assert not again.denied


def test_further_attempts_need_room_too(spending: Spending) -> None:
    admission = Admission(["one"], DECODING, spending, Interrupt(), lambda *_: 20)
    assert list(admission) == ["one"]
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.extend(admission.again(0) for _ in range(3)))
    thread.start()
    thread.join()
    assert answers == [True, False, False]
    assert admission.denied


def test_signals_are_as_before_afterwards() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    with Interrupt() as interrupt:
        assert [signal.getsignal(number) for number in numbers] != before
        assert interrupt.signal is None
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None])
def test_signals_that_others_handle_are_left_alone(handler: object) -> None:
    before = signal.signal(signal.SIGTERM, handler)  # type: ignore[arg-type]
    try:
        with Interrupt() as interrupt:
            os.kill(os.getpid(), signal.SIGTERM)
            assert interrupt.signal is None
        assert signal.getsignal(signal.SIGTERM) == handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_only_the_main_thread_handles_signals() -> None:
    failures: list[BaseException] = []

    def enter() -> None:
        try:
            with Interrupt():
                pass
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert failures == []


def test_a_signal_ends_the_run_between_prompts(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def write(prompt: str) -> str:
        if prompt == "prompt 7":  # of a batch, the last prompt is answered first
            os.kill(os.getpid(), signal.SIGINT)
        return "text"

    teacher = ScriptedGenerator(write)
    requests = {str(n): Request(f"prompt {n}", DECODING, "step", str(n)) for n in range(20)}
    with (
        pytest.raises(StoppedError, match="was asked to stop") as caught,
        stored_teacher(teacher, tmp_path / "t.jsonl") as source,
    ):
        list(source.ask(requests))
    assert caught.value.code == 130
    assert caught.value.setting is None
    assert len(teacher.calls) == IN_FLIGHT
    assert "Stopping after the texts in flight" in capfd.readouterr().err
    with TextStore(tmp_path / "t.jsonl") as store:
        assert len(store) == IN_FLIGHT


def test_no_signal_and_enough_room_end_nothing(tmp_path: Path) -> None:
    requests = {str(n): Request(f"prompt {n}", DECODING, "step", str(n)) for n in range(20)}
    teacher = ScriptedGenerator(lambda prompt: "text")
    with stored_teacher(teacher, tmp_path / "t.jsonl", Terms(Budget(tokens=1000))) as source:
        assert len(list(source.ask(requests))) == 20
        assert list(source.ask({})) == []
