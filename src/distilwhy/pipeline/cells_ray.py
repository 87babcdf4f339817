"""The cells of an experiment on a Ray cluster: several at once, one that is lost is run again."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distilwhy import __version__
from distilwhy.config import RaySettings
from distilwhy.errors import ConfigError
from distilwhy.generators.ray_cluster import Cluster
from distilwhy.generators.ray_worker import Failure
from distilwhy.pipeline.cell_runs import CellRun, of_cells
from distilwhy.progress import progress_bar, say

MOST_DEATHS = 3  # of workers with the same cell
WAIT_SECONDS = 5.0


def run_on_ray(runs: Sequence[CellRun], settings: RaySettings) -> None:
    """Run cells on a cluster, several at once.

    A cell whose worker or machine dies goes on from its last checkpoint in another worker. Where a
    cell fails, the others are still run; then its error is raised.

    Args:
        runs: The cells; those that are done end at once. Their folders must be there on all
            machines.
        settings: The cluster, how many cells run at once, and the processors and GPUs of each.

    Raises:
        MissingExtraError: When Ray is not installed.
        ConfigError: When no cluster can be reached or has room.
        UserError: What a cell's stages raise.
        StageError: Likewise, or when a cell's workers keep dying.
    """
    cluster = Cluster(settings)
    failures: dict[str, Failure] = {}
    deaths: Counter[str] = Counter()
    waiting, done = list(reversed(runs)), 0
    under_way: dict[Any, CellRun] = {}
    try:
        with progress_bar("cells", len(runs)) as advance:
            while waiting or under_way:
                while waiting and len(under_way) < settings.workers:
                    run = waiting.pop()
                    under_way[_send(cluster, run, settings)] = run
                cluster.check_alive()
                for call in cluster.wait(list(under_way), WAIT_SECONDS):
                    run, result = under_way.pop(call), _result(cluster, call)
                    if result is None:
                        deaths[run.name] += 1
                        if deaths[run.name] < MOST_DEATHS:
                            say(f"A worker died; its cell is run again: {run.name}.")
                            waiting.append(run)
                            continue
                        failures[run.name] = Failure("StageError", _died_out())
                    elif isinstance(result, Failure):
                        failures[run.name] = result
                    else:
                        run.tell(result)
                    done += 1
                    end = "failed" if run.name in failures else "is done"
                    say(f"Cell {done} of {len(runs)} {end}: {run.name}.")
                    advance(done)
    finally:
        cluster.close()
    if failures:
        raise of_cells({name: f.error() for name, f in failures.items()}, len(runs))


def _send(cluster: Cluster, run: CellRun, settings: RaySettings) -> Any:
    """Have a worker run a cell, and return the call."""
    task = cluster.ray.remote(num_cpus=settings.cpus, num_gpus=settings.gpus, max_retries=0)
    threads = max(1, int(settings.cpus))
    return task(run_cell).remote(run, str(Path.cwd()), threads, __version__)


def _result(cluster: Cluster, call: Any) -> Failure | tuple[str, ...] | None:
    """Return what a worker returned; ``None`` when it died."""
    try:
        result: Failure | tuple[str, ...] | None = cluster.result(call)
    except cluster.ray.exceptions.RayTaskError as error:  # before the cell began
        return Failure("", str(error).strip().splitlines()[-1], str(error))
    return result


def run_cell(run: CellRun, folder: str, threads: int, version: str) -> Failure | tuple[str, ...]:
    """Run a cell in a worker; return what that returns, or what went wrong in a form for sending.

    Args:
        run: The cell.
        folder: The working folder that names of files are meant from.
        threads: How many threads it may use.
        version: The version of this package that the experiment was begun with.
    """
    try:
        if version != __version__:
            raise ConfigError(
                f"A worker has distilwhy {__version__}, the experiment was begun with {version}.",
                "Install the same version on all machines of the cluster.",
            )
        os.chdir(folder)
        import torch

        torch.set_num_threads(threads)
        return run.run()
    except FileNotFoundError as error:
        return Failure.of(
            ConfigError(
                f"{error.filename} is not there on a machine of the cluster.",
                "Put the experiment into a folder that all machines share.",
            )
        )
    except Exception as error:
        return Failure.of(error)


def _died_out() -> str:
    return (
        f"{MOST_DEATHS} workers died with it; their machines may lack memory. See Ray's logs, then "
        "run the same command again."
    )
