"""One process at a time has a store; a killed one leaves it free."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from distilwhy.errors import DataError
from distilwhy.teaching.ledger import Tokens, ledger_path, read_ledger
from distilwhy.teaching.store import TextStore

HOLD = """
import sys, time
from pathlib import Path
from distilwhy.teaching.ledger import Tokens
from distilwhy.teaching.store import TextStore
with TextStore(Path(sys.argv[1])) as store:
    store.ledger.in_flight = Tokens(30, 4)
    store.write_ledger()
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(store: Path) -> Iterator[subprocess.Popen[str]]:
    """Have another process hold a store."""
    command = [sys.executable, "-c", HOLD, str(store)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process


def test_a_second_process_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    with holder(path) as process:
        for _ in range(2):  # the refusal itself takes nothing from the owner
            with pytest.raises(DataError) as caught:
                TextStore(path)
            assert re.fullmatch(
                rf"{re.escape(str(path))} is in use by process {process.pid} on "
                rf"{re.escape(socket.gethostname())}, since \d{{4}}-\d\d-\d\dT[\d:]{{8}}\+00:00\.",
                caught.value.message,
            )
        process.communicate()
        assert process.returncode == 0
    with TextStore(path) as store:
        assert store.ledger.lost == Tokens(30, 4)  # it was closed with these still in flight


def test_a_second_store_in_one_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    with TextStore(path), pytest.raises(DataError, match=f"in use by process {os.getpid()} on"):
        TextStore(path)
    with TextStore(path):
        pass


def test_the_lock_of_a_killed_process_is_taken_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "texts.jsonl"
    with holder(path) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        owner = read_ledger(path).owner
        assert owner is not None
        assert owner.pid == process.pid
        with TextStore(path) as store:
            said = capsys.readouterr().err
            assert (
                said == f"The store was left open by {owner}, which is gone; going on after it.\n"
            )
            assert store.ledger.owner is not None
            assert store.ledger.owner.pid == os.getpid()
            assert store.ledger.lost == Tokens(30, 4)
            assert store.ledger.in_flight == Tokens()
    assert read_ledger(path).owner is None
    with TextStore(path):
        assert capsys.readouterr().err == ""


def test_other_stores_of_a_folder_are_free(tmp_path: Path) -> None:
    with TextStore(tmp_path / "a.jsonl"), TextStore(tmp_path / "b.jsonl"):
        assert (tmp_path / "a.ledger.json").is_file()


def test_a_failed_opening_leaves_the_store_free(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_bytes(b"{}\n")
    for _ in range(2):
        with pytest.raises(DataError, match="key: field required"):
            TextStore(path)
    path.unlink()
    ledger_path(path).write_text("[]")
    for _ in range(2):
        with pytest.raises(DataError, match=r"texts\.ledger\.json is not the ledger of a store"):
            TextStore(path)
    ledger_path(path).unlink()
    with TextStore(path) as store:
        assert len(store) == 0


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="could not be opened"):
        TextStore(tmp_path / "file" / "texts.jsonl")
