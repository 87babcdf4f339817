"""Progress off and on a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from distilwhy import progress
from distilwhy.progress import progress_bar, say


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_log_lines_are_rare_and_end_with_the_last(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_bar("train", 40) as advance:
        for done in range(1, 41):
            clock.now += 1.0
            advance(done, note=f"loss {done}")
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == [
        "train: 15/40, 1.00/s, 25 s left loss 15",
        "train: 30/40, 1.00/s, 10 s left loss 30",
        "train: 40/40, 1.00/s, 0 s left loss 40",
    ]


def test_work_of_an_earlier_run_is_not_this_runs_speed(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_bar("train", 100, 80) as advance:
        clock.now += 20.0
        advance(90)
    assert capsys.readouterr().err == "train: 90/100, 0.50/s, 20 s left\n"


def test_the_total_may_come_late(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("ask", 0) as advance:
        clock.now += 20.0
        advance(10, 40)
    assert capsys.readouterr().err == "ask: 10/40, 0.50/s, 60 s left\n"


def test_the_end_is_told_once(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("ask", 4) as advance:
        for done in (3, 4, 4, 4):
            clock.now += 2.0
            advance(done)
    assert capsys.readouterr().err == "ask: 4/4, 1.00/s, 0 s left\n"


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress_bar("train [bold]x", 3) as advance:
        advance(1, note="loss [/x]")
        advance(3)
    shown = terminal.getvalue()
    assert "train [bold]x" in shown
    assert "3/3" in shown


def test_say_keeps_standard_output_for_results(capsys: pytest.CaptureFixture[str]) -> None:
    say("Going on.")
    assert capsys.readouterr() == ("", "Going on.\n")


def test_what_was_there_before_may_come_late_too(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_bar("ask", 0) as advance:
        clock.now += 20.0
        advance(90, 100, "12 tokens/s", 80)
    assert capsys.readouterr().err == "ask: 90/100, 0.50/s, 20 s left 12 tokens/s\n"
