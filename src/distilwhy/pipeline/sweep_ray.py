"""The trials of a sweep on a Ray cluster, by Ray Tune."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distilwhy.config import RaySettings
from distilwhy.errors import MissingExtraError, StageError, UserError
from distilwhy.generators.ray_cluster import Cluster, signals_kept

if TYPE_CHECKING:
    from distilwhy.pipeline.trial import TrialRun

NOTES = "ray"
"""Folder of Tune's own notes, in the sweep's."""

FAILURES = 2
"""How often a trial is begun anew when its process or machine dies."""


def run_on_ray(runs: Sequence[TrialRun], out: Path, settings: RaySettings) -> None:
    """Run trials on a cluster, several at once.

    Each writes its own result, so the working folder and ``out`` must be there on all machines. A
    trial whose process or machine dies goes on from its last checkpoint. What a trial refuses, such
    as a wrong setting, is not told here: its result is missing, and it will be refused again by
    whoever wants it.

    Args:
        runs: The trials; those that are done end at once.
        out: The sweep's folder.
        settings: The cluster, how many trials run at once, and the processors and GPUs of each.

    Raises:
        MissingExtraError: When Ray Tune is not installed.
        StageError: When a trial died more often than it is begun anew.
    """
    cluster = Cluster(settings)
    try:
        try:
            from ray import tune
        except ImportError as error:
            raise MissingExtraError("A sweep on Ray", "tune") from error
        # Tune works in a folder of its own, but names of files are meant from here.
        here = str(Path.cwd())

        def trial(config: dict[str, Any]) -> None:
            os.chdir(here)
            with suppress(UserError):
                runs[config["trial"]].run()

        tuner = tune.Tuner(
            tune.with_resources(trial, {"cpu": settings.cpus, "gpu": settings.gpus}),
            param_space={"trial": tune.grid_search(list(range(len(runs))))},
            # A process starts slowly, so that it runs one trial after another.
            tune_config=tune.TuneConfig(max_concurrent_trials=settings.workers, reuse_actors=True),
            run_config=tune.RunConfig(
                name=NOTES,
                storage_path=str(out.resolve()),
                failure_config=tune.FailureConfig(max_failures=FAILURES),
                verbose=0,
            ),
        )
        # Standard output is for results. Tune's own handler of Ctrl-C would stay after its end.
        with signals_kept(), redirect_stdout(sys.stderr):
            results = tuner.fit()
        failed = [str(error).strip().splitlines()[-1] for error in results.errors]
    finally:
        cluster.close()
    if failed:
        raise StageError(
            f"{len(failed)} of {len(runs)} trials failed on Ray, e.g.: {failed[0]} "
            "Run the same command again to go on with them."
        )
    shutil.rmtree(out / NOTES, ignore_errors=True)
