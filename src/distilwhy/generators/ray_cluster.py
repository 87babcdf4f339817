"""The Ray cluster that workers run on: one that is running, or one of this machine alone."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from distilwhy.config import RaySettings
from distilwhy.errors import ConfigError, MissingExtraError, StageError
from distilwhy.generators.ray_worker import Worker

ADDRESS_VARIABLE = "RAY_ADDRESS"
STORE_BYTES = (
    128 * 2**20
)  # prompts and texts go in messages, so that Ray's object store is not used
CALLS_AT_ONCE = 8  # a worker's calls are short but for the one that waits for texts


class Cluster:
    """A connection to Ray; what was running before stays when it is closed.

    Args:
        settings: The address and what a worker needs.

    Raises:
        MissingExtraError: When Ray is not installed.
        ConfigError: When no cluster answers, or a new one has no room for a worker.
    """

    def __init__(self, settings: RaySettings) -> None:
        self.ray = import_ray()
        self._settings = settings
        self._mine = not self.ray.is_initialized()
        self._here = False
        if self._mine:
            address = settings.address or os.environ.get(ADDRESS_VARIABLE) or "local"
            with signals_kept():
                self._connect(address)
            self._here = address == "local"
            if self._here:
                self._check_room()

    def worker(self) -> Any:
        """Start a worker and return its handle; it waits where there is no room yet."""
        settings = self._settings
        actor = self.ray.remote(
            num_cpus=settings.cpus,
            num_gpus=settings.gpus,
            max_concurrency=CALLS_AT_ONCE,
            max_restarts=0,
        )(Worker)
        return actor.remote()

    def kill(self, worker: Any) -> None:
        """End a worker at once."""
        if self.ray.is_initialized():
            self.ray.kill(worker, no_restart=True)

    def wait(self, calls: list[Any], seconds: float) -> list[Any]:
        """Return the calls that are done, after so many seconds at most."""
        done, _ = self.ray.wait(calls, num_returns=len(calls), timeout=0)
        if not done:
            done, _ = self.ray.wait(calls, num_returns=1, timeout=seconds)
        return list(done)

    def result(self, call: Any) -> Any:
        """Return the result of a call that is done; ``None`` when its worker has died."""
        errors = self.ray.exceptions
        try:
            return self.ray.get(call)
        except errors.RayTaskError:
            raise
        except errors.RayError:
            return None

    def check_alive(self) -> None:
        """Refuse to wait for a Ray that was started here and has died: nobody starts it again.

        Raises:
            StageError: When it has.
        """
        if self._here and not any(node["Alive"] for node in self.ray.nodes()):
            raise StageError(
                "Ray, started on this machine for the run, has died; the same command goes on."
            )

    @property
    def gpus(self) -> float:
        """GPUs that the cluster has."""
        return float(self.ray.cluster_resources().get("GPU", 0))

    def close(self) -> None:
        """Leave the cluster, and end it if it was started here."""
        if self._mine and self.ray.is_initialized():
            with signals_kept():
                self.ray.shutdown()

    def _connect(self, address: str) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        here: dict[str, Any] = {"include_dashboard": False, "object_store_memory": STORE_BYTES}
        try:
            self.ray.init(
                address=address,
                logging_level=logging.ERROR,
                log_to_driver=False,
                **(here if address == "local" else {}),
            )
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(
                f"No Ray cluster can be reached at {address}: {reason}",
                f"Check ray.address and {ADDRESS_VARIABLE}; without both, workers run on this "
                "machine.",
            ) from error

    def _check_room(self) -> None:
        there, wanted = self.ray.cluster_resources(), self._settings
        if wanted.cpus > there.get("CPU", 0) or wanted.gpus > there.get("GPU", 0):
            self.close()
            raise ConfigError(
                f"A worker is to have {wanted.cpus:g} processors and {wanted.gpus:g} GPUs, but "
                f"this machine has {there.get('CPU', 0):g} and {there.get('GPU', 0):g}.",
                "Lower ray.cpus or ray.gpus, or name a cluster with ray.address.",
            )


def import_ray() -> Any:
    """Return the package Ray.

    Raises:
        MissingExtraError: When it is not installed.
    """
    try:
        with signals_kept():
            return importlib.import_module("ray")
    except ImportError as error:
        raise MissingExtraError("The engine ray", "ray") from error


@contextmanager
def signals_kept() -> Iterator[None]:
    """Keep this process's own handlers of signals, of which Ray replaces some."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
