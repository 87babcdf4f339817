"""Trains in a small disk of its own that is filled under way; run within a mount namespace.

``python full_disk.py MODEL ANNOTATIONS DISK UNBROKEN`` writes one line of JSON an attempt: what the
run said, and which whole checkpoints it left.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from distilwhy.config import Condition, StudentSettings, TrainingSettings
from distilwhy.errors import DataError
from distilwhy.files import read_records
from distilwhy.records import Annotation
from distilwhy.training import train as stage

SETTINGS = TrainingSettings(
    epochs=3, learning_rate=3e-3, batch_size=4, evaluations=4, held_out=0.2, precision="fp32"
)


class Filling(stage.Watch):
    """Fills the disk after the fifth step, but for so many bytes."""

    left: int | None = None
    disk = Path()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Fill it before the checkpoint of step 6."""
        super().on_step_end(args, state, control, **kwargs)
        if state.global_step == 5 and self.left is not None:
            fill(self.disk, self.left)


def fill(disk: Path, left: int) -> None:
    """Fill a disk but for so many bytes."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with (disk / "filler").open("wb") as stream:
        stream.write(b"x" * max(0, free - left))


def tell(what: dict[str, Any]) -> None:
    """Write a line of JSON."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(model: str, annotations: str, disk: Path, unbroken: Path) -> None:
    """Run out of disk at several places of a checkpoint, then go on with room again."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=True)
    torch.set_num_threads(1)
    records = read_records(Path(annotations), Annotation)
    student, condition = StudentSettings(model=model), Condition(method="multitask")
    stage.train(records, student, condition, SETTINGS, unbroken)
    stage.Watch = Filling  # type: ignore[misc]
    Filling.disk = disk
    for left in (0, 200_000, 330_000):
        Filling.left = left
        said = "nothing"
        try:
            stage.train(records, student, condition, SETTINGS, disk / "student")
        except DataError as error:
            said = str(error)
        whole = sorted(p.parent.name for p in disk.glob("student/checkpoints/*/trainer_state.json"))
        used = {p.name: p.stat().st_size for p in disk.glob("student/checkpoints/checkpoint-6/*")}
        tell({"left": left, "said": said, "whole": whole, "six": used})
        (disk / "filler").unlink()
    Filling.left = None
    stage.train(records, student, condition, SETTINGS, disk / "student")
    one, two = (folder / "model.safetensors" for folder in (unbroken, disk / "student"))
    tell({"same": one.read_bytes() == two.read_bytes()})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
