"""The command line as a whole: help, version, exit codes, interruptions."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distilwhy import __version__
from distilwhy.cli.main import app
from distilwhy.errors import StageError

COMMANDS = (
    "compare",
    "demo",
    "evaluate",
    "generate",
    "grow",
    "import",
    "judge",
    "predict",
    "report",
    "run",
    "sweep",
    "train",
)
GROUPS = ("study",)


def test_help_names_every_command(call: Any) -> None:
    called = call("--help")
    assert called.code == 0
    assert called.err == ""
    listed = re.findall(r"^  ([a-z]+) {2,}[A-Z]", called.out, re.M)
    assert sorted(listed) == sorted((*COMMANDS, *GROUPS))
    assert {command.name for command in app.registered_commands} == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str, call: Any) -> None:
    called = call(command, "--help")
    assert called.code == 0
    assert called.err == ""
    assert f"distilwhy {command}" in called.out
    assert "--json" in called.out
    # Every option says what it is for.
    blocks = re.split(r"^  (?=--)", called.out.partition("Options:")[2], flags=re.M)[1:]
    assert len(blocks) >= 2
    bare = [block for block in blocks if not re.search(r"  +[A-Z]|\n +[A-Za-z]", block)]
    assert not bare


def test_version(call: Any) -> None:
    called = call("--version")
    assert (called.code, called.out, called.err) == (0, f"distilwhy {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Usage:"),
        (("nosuch",), "No such command 'nosuch'"),
        (("run",), "Missing argument"),
        (("evaluate",), "Missing option '--predictions'"),
        (("evaluate", "--predictions", "x", "--sed", "1"), "No such option: --sed"),
        (("evaluate", "--predictions", "x", "--seed", "-1"), "greater than or equal to 0"),
        (("predict", "--student", "x", "--task", "mini", "--out", "y", "--limit", "0"), "--limit"),
    ],
)
def test_misuse_is_told_with_exit_code_2(
    arguments: tuple[str, ...], said: str, refused: Callable[..., str]
) -> None:
    assert said in refused(*arguments)


def test_failures_that_are_nobody_s_mistake_exit_with_1(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StageError("The teacher left a prompt unanswered.")

    monkeypatch.setattr("distilwhy.pipeline.experiment.run", fail)
    called = call("run", "x.yaml")
    assert called.code == 1
    assert called.out == ""
    assert called.err == "Error: The teacher left a prompt unanswered.\n"


def test_bugs_keep_their_traceback(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("distilwhy.pipeline.experiment.run", fail)
    with pytest.raises(KeyError, match="a bug"):
        call("run", "x.yaml")


@pytest.mark.parametrize("hidden", [False, True])
def test_ctrl_c_says_how_to_go_on(hidden: bool, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            if hidden:  # as libraries do that import lazily
                raise ModuleNotFoundError("Could not import a module.") from error
            raise

    monkeypatch.setattr("distilwhy.pipeline.experiment.run", interrupted)
    called = call("run", "x.yaml")
    assert called.code == 130
    assert called.out == ""
    assert called.err == "Error: Stopped.\nRun the same command again to go on.\n"


def test_ctrl_c_in_a_process(annotations: Path, tiny_models: dict[str, Path]) -> None:
    out = annotations.parent / "stopped"
    command = [sys.executable, "-m", "distilwhy", "train", "--annotations", str(annotations)]
    command += ["--student", str(tiny_models["llama"]), "--out", str(out), "--max-steps", "100000"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    while not (out / "checkpoints" / "run.json").is_file():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert output == ""
    assert said.endswith("Error: Stopped.\nRun the same command again to go on.\n")
    assert "Traceback" not in said
