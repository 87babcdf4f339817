"""What a stage runs on: the machine, the versions of packages, the memory in use."""

from __future__ import annotations

import ctypes
import gc
import importlib.metadata
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path

from distilwhy import __version__
from distilwhy.records import Record

PACKAGES = ("torch", "transformers", "accelerate", "peft", "tokenizers", "datasets")


class Machine(Record):
    """The machine that a stage ran on.

    Args:
        processor: The processor's name.
        cores: Logical cores that this process may use.
        memory_mb: Physical memory, in MiB; ``None`` when the system does not tell.
    """

    processor: str
    cores: int
    memory_mb: int | None = None


def versions() -> dict[str, str]:
    """Return versions of distilwhy, Python, and of torch and transformers when installed."""
    found = {"distilwhy": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> Machine:
    """Describe this machine: processor, cores, memory."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    except (AttributeError, OSError, ValueError):
        memory = None
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return Machine(processor=_processor(), cores=cores, memory_mb=memory)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown"


def reset_peak_memory() -> None:
    """Hand freed memory back and measure the peak anew, where the system allows it (Linux).

    A model of the last stage, held by a reference cycle or by the allocator, would otherwise count
    in every stage after it.
    """
    gc.collect()
    return_freed_memory()
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def return_freed_memory() -> None:
    """Hand memory that the allocator keeps for later back to the system (Linux with glibc)."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def peak_memory_mb() -> float:
    """Return this process's peak resident memory in MiB; 0 where the system does not tell.

    On Linux the peak since :func:`reset_peak_memory`, elsewhere since the process began.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.split("VmHWM:")[1].split()[0]) / 2**10
    except (OSError, IndexError, ValueError):
        return _peak_since_start_mb()


def _peak_since_start_mb() -> float:
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
