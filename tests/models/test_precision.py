"""Which precision is chosen."""

from __future__ import annotations

import time

import pytest
import torch

from distilwhy.models import precision
from distilwhy.models.precision import bf16_speedup, precision_name, resolve_precision


@pytest.mark.parametrize(
    ("speedup", "chosen"),
    [(0.3, torch.float32), (1.29, torch.float32), (1.3, torch.bfloat16), (4.0, torch.bfloat16)],
)
def test_auto_takes_bf16_only_where_it_is_clearly_faster(
    speedup: float, chosen: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "bf16_speedup", lambda: speedup)
    assert resolve_precision("auto") == chosen
    assert resolve_precision("fp32") == torch.float32
    assert resolve_precision("bf16") == torch.bfloat16


def test_the_speedup_is_the_ratio_of_the_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "default_device", lambda: torch.device("cpu"))
    rates = {torch.bfloat16: 30.0, torch.float32: 12.0}
    monkeypatch.setattr(precision, "_products_per_second", rates.__getitem__)
    assert bf16_speedup.__wrapped__() == 2.5


def test_the_probe_measures_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "PROBE_SHAPE", (8, 8, 8))
    monkeypatch.setattr(precision, "PROBE_SECONDS", 0.005)
    small = precision._products_per_second(torch.float32)
    monkeypatch.setattr(precision, "PROBE_SHAPE", (256, 256, 256))
    monkeypatch.setattr(precision, "PROBE_SECONDS", 0.02)
    assert small > 3 * precision._products_per_second(torch.float32)


def test_names() -> None:
    assert precision_name(torch.bfloat16) == "bf16"
    assert precision_name(torch.float32) == "fp32"


def test_time_that_other_work_takes_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A product during which the thread sleeps, as when another process has the core."""
    product = torch.nn.functional.linear

    def interrupted(*arguments: torch.Tensor) -> torch.Tensor:
        time.sleep(0.05)
        return product(*arguments)

    monkeypatch.setattr(precision, "PROBE_SHAPE", (8, 8, 8))
    monkeypatch.setattr(precision, "PROBE_SECONDS", 0.0)
    monkeypatch.setattr(torch.nn.functional, "linear", interrupted)
    before = torch.get_num_threads()
    assert precision._products_per_second(torch.float32) > 100, "20 a second by the clock"
    assert torch.get_num_threads() == before
