"""Killed at any moment, a run goes on to what an unbroken one gives, and asks nothing twice."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from distilwhy.generators.scripted import IN_FLIGHT
from distilwhy.teaching.ledger import read_ledger

DRIVER = Path(__file__).with_name("killed.py")
KILLS = 50

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")


@pytest.fixture(scope="module")
def killed() -> ModuleType:
    spec = importlib.util.spec_from_file_location("killed", DRIVER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Runs:
    """Starts runs and tells how they ended."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(DRIVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, store: Path, log: Path) -> int:
        """Start a run and return its process."""
        assert self.process.stdin
        self.process.stdin.write(f"{store} {log}\n")
        self.process.stdin.flush()
        return self._number()

    def status(self) -> int:
        """Wait for the run's end and return its exit code, negative for a signal."""
        return os.waitstatus_to_exitcode(self._number())

    def _number(self) -> int:
        assert self.process.stdout
        return int(self.process.stdout.readline())


@pytest.fixture
def runs() -> Iterator[Runs]:
    runs = Runs()
    yield runs
    assert runs.process.stdin
    assert runs.process.stdout
    runs.process.stdin.close()
    assert runs.process.wait(timeout=60) == 0
    runs.process.stdout.close()


def lines(path: Path) -> list[bytes]:
    """Return the whole lines of a file."""
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def test_fifty_kills_change_nothing(tmp_path: Path, killed: ModuleType, runs: Runs) -> None:
    whole = tmp_path / "whole.jsonl"
    killed.run(whole, tmp_path / "whole.log", seconds=0.0)
    wanted = sorted(lines(whole))
    assert len(wanted) == len(set(lines(tmp_path / "whole.log"))) == 24 * 5

    moments = random.Random(7)
    kills = stores = 0
    while kills < KILLS:
        store, log = tmp_path / f"{stores}.jsonl", tmp_path / f"{stores}.log"
        stores += 1
        code = -signal.SIGKILL
        while code == -signal.SIGKILL:
            before, begun = lines(store), len(lines(log))
            kills += one_run(runs, store, log, moments)
            code = runs.status()
            assert code in (0, -signal.SIGKILL)
            # Nothing is asked that was stored; what was in flight is asked again, and only that.
            stored = {json.loads(line)["text"].split()[0] for line in before}
            asked = [line.decode() for line in lines(log)[begun:]]
            assert not stored & set(asked)
            assert len(asked) == len(set(asked))
            new = [json.loads(line)["text"].split()[0] for line in lines(store)[len(before) :]]
            assert lines(store)[: len(before)] == before
            assert set(new) <= set(asked)
            assert len(asked) - len(new) <= IN_FLIGHT
        assert sorted(lines(store)) == wanted
        counted_as_lost(store, log)
    assert kills >= KILLS


def one_run(runs: Runs, store: Path, log: Path, moments: random.Random) -> int:
    """Start a run and kill it at some moment after its first prompt; return 1 if it was alive."""
    begun = len(lines(log))
    process = runs.start(store, log)
    deadline = time.monotonic() + 60
    while len(lines(log)) == begun and alive(process) and time.monotonic() < deadline:
        time.sleep(0.0005)
    time.sleep(moments.uniform(0, 0.03))
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1


def alive(process: int) -> bool:
    """Return whether a process is there."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def counted_as_lost(store: Path, log: Path) -> None:
    """Check that texts which were paid for and lost count against a budget."""
    ledger = read_ledger(store)
    lost = len(lines(log)) - len(lines(store))
    # Each was reserved with at most 96 tokens; more were if taken and not begun yet.
    assert ledger.lost.completion >= 96 * lost
    assert ledger.in_flight.total == 0
    assert ledger.owner is None
    assert ledger.seconds > 0
