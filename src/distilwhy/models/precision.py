"""Which precision this machine computes well: a short matrix product tells."""

from __future__ import annotations

import functools
import time

import torch

from distilwhy.config import Precision
from distilwhy.environment import peak_memory_mb

# bf16 must be clearly faster: with mere emulation its rounding buys nothing.
BF16_MIN_SPEEDUP = 1.3
PROBE_SHAPE = (512, 576, 1536)
PROBE_SECONDS = 0.15  # of processor time, for each precision
PROBE_PRODUCTS = 3  # at least, however slow they are


def default_device() -> torch.device:
    """Return the device that models run on: the first GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def peak_model_memory_mb() -> float:
    """Return the peak memory of the device that models run on, in MiB."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return peak_memory_mb()


def resolve_precision(precision: Precision) -> torch.dtype:
    """Return the dtype that a precision setting means on this machine.

    Args:
        precision: ``fp32``, ``bf16``, or ``auto``: bf16 where :func:`bf16_speedup` is 1.3 or more.
    """
    if precision == "auto":
        return torch.bfloat16 if bf16_speedup() >= BF16_MIN_SPEEDUP else torch.float32
    return torch.bfloat16 if precision == "bf16" else torch.float32


def precision_name(dtype: torch.dtype) -> str:
    """Return ``bf16`` or ``fp32`` for a dtype."""
    return "bf16" if dtype == torch.bfloat16 else "fp32"


@functools.cache
def bf16_speedup() -> float:
    """Measure how much faster a bf16 matrix product is than the fp32 one, once a process."""
    device = default_device()
    if device.type == "cuda":
        return 8.0 if torch.cuda.is_bf16_supported(including_emulation=False) else 0.0
    return _products_per_second(torch.bfloat16) / _products_per_second(torch.float32)


def _products_per_second(dtype: torch.dtype) -> float:
    """Return products a second of one thread's own time, so that other work counts little.

    By the clock on the wall a busy machine would choose now one precision and now the other, and
    the same experiment would give other texts.
    """
    rows, inner, columns = PROBE_SHAPE
    left = torch.ones(rows, inner, dtype=dtype)
    right = torch.ones(columns, inner, dtype=dtype)
    threads, done = torch.get_num_threads(), 0
    torch.set_num_threads(1)
    try:
        torch.nn.functional.linear(left, right)
        start = time.thread_time()
        while done < PROBE_PRODUCTS or time.thread_time() - start < PROBE_SECONDS:
            torch.nn.functional.linear(left, right)
            done += 1
        return done / max(time.thread_time() - start, 1e-9)
    finally:
        torch.set_num_threads(threads)
