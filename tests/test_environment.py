"""What a stage runs on: versions, the machine, peak memory of each stage."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from distilwhy.environment import machine, peak_memory_mb, reset_peak_memory, versions


def test_versions_are_those_of_the_installed_packages():
    text = Path(str(find_spec("torch").origin)).with_name("version.py").read_text()
    # A build may add a local part, e.g. 2.13.0+cpu, that the metadata leave out.
    assert f"__version__ = '{versions()['torch'].partition('+')[0]}" in text


def test_versions_of_absent_packages_are_left_out(monkeypatch):
    monkeypatch.setattr("distilwhy.environment.PACKAGES", ("no-such-package",))
    assert set(versions()) == {"distilwhy", "python"}


def test_machine():
    this = machine()
    assert this.processor
    assert 1 <= this.cores <= os.cpu_count()
    assert this.memory_mb is None or this.memory_mb > 100


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_peak_memory_is_measured_anew_for_each_stage():
    size = 256
    block = bytearray(size * 2**20)
    held = peak_memory_mb()
    del block
    assert peak_memory_mb() == pytest.approx(held, abs=16)
    reset_peak_memory()
    after = peak_memory_mb()
    assert held - after > 0.9 * size
