"""Ending a run early: by Ctrl-C, by a signal, by a budget; and the command that goes on."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from distilwhy.cli.stopping import going_on
from distilwhy.errors import StoppedError
from distilwhy.files import read_records, write_records
from distilwhy.generators.recorded import StoredText
from distilwhy.generators.scripted import IN_FLIGHT
from distilwhy.pipeline import stages
from distilwhy.records import Annotation

PROGRAM = Path(__file__).with_name("slow_teacher.py")
GENERATE = ("generate", "--task", "task.yaml", "--out", "a.jsonl", "--shots", "1")
TEXTS = 6 * 5


class Run:
    """A command in a process of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.log = folder / "slow.log"
        self._before = self.begun
        environment = {**os.environ, "SLOW_LOG": str(self.log), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def begun(self) -> int:
        """How many prompts the teacher has begun on, in all runs."""
        return self.log.read_text().count("\n") if self.log.exists() else 0

    def wait_until_busy(self) -> None:
        """Wait until the teacher has begun on a prompt."""
        while self.begun == self._before:
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.005)

    def end(self) -> tuple[int, str]:
        """Return exit code and what was said."""
        _, said = self.process.communicate(timeout=120)
        assert "Traceback" not in said
        return self.process.returncode, said


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["int", "term"]
)
def test_one_signal_answers_what_is_in_flight(
    folder: Path, number: signal.Signals, code: int
) -> None:
    arguments = [*GENERATE, "--teacher", "slow:0.02"]
    run = Run(folder, *arguments)
    run.wait_until_busy()
    run.process.send_signal(number)
    if number == signal.SIGTERM:
        run.process.send_signal(number)  # as tools do that end a whole group of processes
    ended, said = run.end()
    assert ended == code
    assert "Stopping after the texts in flight; Ctrl-C again stops now.\n" in said
    first, last = said.splitlines()[-2:]
    stored = len(read_records(folder / "a.texts.jsonl", StoredText))
    assert stored == run.begun == IN_FLIGHT
    # One wave holds rationales and counterfactual rationales; the shortest prompts come first.
    assert first.startswith("Stopped: The run was asked to stop. Texts still missing: ")
    missing = [part.split() for part in first.partition("missing: ")[2].rstrip(".").split(", ")]
    assert sum(int(count) for count, _ in missing) == TEXTS - IN_FLIGHT
    assert last == f"Go on with: distilwhy {shlex.join(arguments)}"
    assert not (folder / "a.jsonl").exists()

    code, _ = Run(folder, *arguments).end()
    assert code == 0
    assert run.begun == TEXTS
    assert len(set(run.log.read_text().split())) == TEXTS  # nothing was asked twice


def test_two_signals_stop_now(folder: Path) -> None:
    arguments = [*GENERATE, "--teacher", "slow:60"]
    run = Run(folder, *arguments)
    run.wait_until_busy()
    run.process.send_signal(signal.SIGINT)
    # The second must come after the first was noticed.
    assert run.process.stderr
    while "Stopping after" not in run.process.stderr.readline():
        pass
    run.process.send_signal(signal.SIGINT)
    code, said = run.end()
    assert code == 130
    assert said.endswith("Error: Stopped.\nRun the same command again to go on.\n")
    assert (folder / "a.texts.jsonl").read_bytes() == b""
    code, _ = Run(folder, *GENERATE, "--teacher", "slow:0").end()
    assert code == 0
    assert len(read_records(folder / "a.texts.jsonl", StoredText)) == TEXTS


def test_a_second_process_is_refused_in_one_sentence(folder: Path) -> None:
    arguments = [*GENERATE, "--teacher", "slow:60"]
    first = Run(folder, *arguments)
    first.wait_until_busy()
    code, said = Run(folder, *arguments).end()
    assert code == 2
    sentence, remedy = said.splitlines()[-2:]
    owner = f"a.texts.jsonl is in use by process {first.process.pid} on "
    assert sentence.startswith(f"Error: {owner}")
    assert remedy.startswith("Wait for it or stop it")
    first.process.kill()
    first.process.communicate()
    code, said = Run(folder, *GENERATE, "--teacher", "slow:0").end()
    assert code == 0
    assert f"The store was left open by process {first.process.pid} on " in said


@pytest.fixture
def recorded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Texts to replay, of 10 prompt tokens and 5 more each."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SLOW_LOG", str(folder / "log"))
    code, said = Run(folder, *GENERATE, "--teacher", "slow:0").end()
    assert code == 0, said
    path = folder / "recorded.jsonl"
    texts = read_records(folder / "a.texts.jsonl", StoredText)
    counts = {"prompt_tokens": 10, "completion_tokens": 5}
    write_records(path, [text.model_copy(update=counts) for text in texts])
    for made in folder.glob("a.*"):
        made.unlink()
    return path


def test_a_budget_ends_the_run_and_the_command_told_goes_on(
    recorded: Path, call: Callable[..., object]
) -> None:
    arguments = [*GENERATE, "--teacher", f"recorded:{recorded.name}"]
    budget = ["--budget-usd", "0.0018", "--price-prompt", "1.5", "--price-completion=4"]
    called = call(*arguments, *budget, "--json")
    assert (called.code, called.out) == (1, "")
    spent = json.loads(Path("a.texts.ledger.json").read_text())
    assert spent["in_flight"] == {"prompt": 0, "completion": 0, "cached": 0}
    lines = len(read_records(Path("a.texts.jsonl"), StoredText))
    usd = lines * (10 * 1.5 + 5 * 4) / 1e6
    told, on = called.err.splitlines()[-2:]
    assert told.startswith(f"Stopped: The budget of $0.0018 is reached: ${usd:.4g} are spent, and ")
    assert " Texts still missing: " in told
    opening = f"With a higher budget, go on with: distilwhy {shlex.join(arguments)} --budget-usd "
    assert on.startswith(opening)
    assert on.endswith(" --price-prompt 1.5 --price-completion=4 --json")
    while called.code:  # what was missing is a guess, so it may take more than one step
        command = shlex.split(called.err.splitlines()[-1].partition("distilwhy ")[2])
        assert float(command[command.index("--budget-usd") + 1]) > 0.0018
        called = call(*command)
    cost = json.loads(called.out)["cost"]
    assert cost["usd"] == pytest.approx(TEXTS * (10 * 1.5 + 5 * 4) / 1e6)
    assert len(read_records(Path("a.jsonl"), Annotation)) == 6


def test_a_budget_in_an_experiment_file_is_told_with_its_field() -> None:
    stop = StoppedError("The budget of 2,000 tokens is reached.", 1, "tokens")
    assert going_on(stop, ["run", "x.yaml"]) == (
        "Raise teacher.budget.tokens, then go on with: distilwhy run x.yaml"
    )
    stop.enough = 12345.6
    assert going_on(stop, ["run", "a file.yaml"]) == (
        "Raise teacher.budget.tokens to about 13000, then go on with: distilwhy run 'a file.yaml'"
    )


@pytest.mark.parametrize(
    ("given", "enough", "told"),
    [
        (["--budget-usd", "2"], 3.21, ["--budget-usd", "3.3"]),
        (["--budget-usd=2", "-x"], None, ["--budget-usd=4", "-x"]),
        (["--budget-usd", "0.001"], 0.00123, ["--budget-usd", "0.0013"]),
        (["--budget-usd", "90"], 99.5, ["--budget-usd", "100"]),
        (["--budget-usd", "90"], 12_345.0, ["--budget-usd", "13000"]),
    ],
)
def test_the_higher_budget_is_rounded_up(
    given: list[str], enough: float | None, told: list[str]
) -> None:
    stop = StoppedError("The budget is reached.", 1, "usd")
    stop.enough = enough
    command = shlex.join(["generate", *told])
    assert going_on(stop, ["generate", *given]).endswith(f"go on with: distilwhy {command}")


def test_money_needs_prices(folder: Path, refused: Callable[..., str]) -> None:
    said = refused(*GENERATE, "--teacher", "embedded", "--budget-usd", "1", "--budget-tokens", "0")
    assert "budget.tokens: input should be greater than or equal to 1" in said
    said = refused(*GENERATE, "--teacher", "embedded", "--budget-usd", "1")
    assert "budget.usd needs prices, e.g. prices: {prompt: 0.15, completion: 0.6}" in said


def test_a_raised_budget_asks_nothing_again(recorded: Path) -> None:
    teacher = {"model": f"recorded:{recorded}", "shots": 1}
    first = stages.generate("task.yaml", settings(teacher), "a.jsonl")
    when = Path("a.jsonl").stat().st_mtime_ns
    more = {"budget": {"usd": 1.0}, "prices": {"prompt": 1.0, "completion": 1.0}}
    assert stages.generate("task.yaml", settings({**teacher, **more}), "a.jsonl") == first
    assert Path("a.jsonl").stat().st_mtime_ns == when


def settings(values: dict[str, object]) -> stages.TeacherSettings:
    return stages.TeacherSettings.model_validate(values)
