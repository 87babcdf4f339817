"""What tests have two processes do: train students, told by a JSON file, one after another.

Run by torchrun. Each run names its student, settings and folder; what the first process wrote is
looked at by the test. ``stop`` ends a run at the beginning of that step, in both processes.
"""

from __future__ import annotations

import faulthandler
import json
import sys
from pathlib import Path
from typing import Any

from distilwhy.config import Condition, StudentSettings, TrainingSettings
from distilwhy.errors import StageError
from distilwhy.files import read_records
from distilwhy.ranks import rank
from distilwhy.records import Annotation
from distilwhy.training import train as stage


class Stop(Exception):
    """The test's own interruption."""


class Interrupting(stage.Watch):
    """Ends a run at the beginning of a step."""

    last: int | None = None

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End it."""
        if state.global_step == self.last:
            raise Stop


def main(told: Path) -> None:
    """Do the runs."""
    stage.Watch = Interrupting  # type: ignore[misc]
    plan = json.loads(told.read_text())
    annotations = read_records(Path(plan["annotations"]), Annotation)
    for run in plan["runs"]:
        Interrupting.last = run.get("stop")
        out = Path(run["out"])
        settings = TrainingSettings.model_validate(run["settings"])
        student = StudentSettings(model=run["model"])
        condition = Condition.model_validate(run["condition"])
        try:
            stage.train(annotations, student, condition, settings, out)
        except Stop:
            continue
        except StageError as error:
            (out / f"error-{rank()}").write_text(str(error))


if __name__ == "__main__":
    faulthandler.dump_traceback_later(150, exit=True)  # both tell where they wait for each other
    main(Path(sys.argv[1]))
