"""A disk that is really full at a checkpoint: one sentence, and no earlier checkpoint lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from distilwhy.files import write_records
from distilwhy.records import Annotation

SCRIPT = Path(__file__).with_name("full_disk.py")
NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")


def may_mount() -> bool:
    """Return whether this user may mount a disk that only a process of its own sees."""
    if shutil.which("unshare") is None:
        return False
    trial = [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(trial, capture_output=True).returncode == 0


@pytest.mark.skipif(not may_mount(), reason="the system lets this user mount nothing")
def test_a_full_disk_loses_no_earlier_checkpoint(
    tiny_models: dict[str, Path], tiny_annotations: list[Annotation], tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    annotations = tmp_path / "annotations.jsonl"
    write_records(annotations, tiny_annotations)
    arguments = [f"hf:{tiny_models['llama']}", annotations, disk, tmp_path / "unbroken"]
    done = subprocess.run(
        [*NAMESPACE, sys.executable, SCRIPT, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *attempts, end = map(json.loads, done.stdout.splitlines())
    for attempt in attempts:
        assert "the disk is full. Free some space and run the command again" in attempt["said"]
        assert attempt["whole"] == ["checkpoint-3"]
    assert end == {"same": True}
    # The disk was full at the weights as well as at the optimiser's state after them.
    assert any("optimizer.pt" in attempt["six"] for attempt in attempts)
    assert any("optimizer.pt" not in attempt["six"] for attempt in attempts)
