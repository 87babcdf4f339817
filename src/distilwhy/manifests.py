"""Manifests: what each output was made of, so that finished work is recognised and skipped."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from distilwhy import __version__
from distilwhy.environment import Machine, machine, peak_memory_mb, reset_peak_memory, versions
from distilwhy.errors import DataError
from distilwhy.files import read_json, sha256_file, write_json
from distilwhy.progress import say
from distilwhy.records import Record

SUFFIX = ".manifest.json"
SMALL_FILE = 1024 * 1024
SAMPLES = 16
SAMPLE_BYTES = 64 * 1024


class InputFile(Record):
    """One input of a stage.

    Args:
        path: The file or folder, as it was given.
        sha256: Its content hash, see :func:`content_hash`.
    """

    path: str
    sha256: str


class Manifest(Record):
    """What one stage output was made of; it lies beside the output.

    Args:
        stage: The stage's name, e.g. ``train``.
        output_sha256: Content hash of the output.
        inputs: The inputs by name.
        settings: The resolved settings, as JSON values.
        versions: Versions of distilwhy, Python, and of torch and transformers when installed.
        machine: Where it ran.
        seed: The stage's seed; ``None`` when nothing in it is random.
        started: When it began, UTC.
        seconds: Wall time.
        peak_memory_mb: Peak memory of the process while the stage ran, in MiB.
    """

    stage: str
    output_sha256: str
    inputs: dict[str, InputFile]
    settings: dict[str, Any]
    versions: dict[str, str]
    machine: Machine
    seed: int | None = None
    started: datetime
    seconds: float
    peak_memory_mb: float


@dataclass(frozen=True)
class StageRun:
    """A stage under way; made by :func:`begin_stage`, ended by :func:`write_manifest`."""

    stage: str
    inputs: Mapping[str, InputFile]
    settings: Mapping[str, Any]
    seed: int | None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.monotonic)


def manifest_path(output: Path) -> Path:
    """Return where an output's manifest lies: ``<output>.manifest.json``, beside it."""
    return output.with_name(output.name + SUFFIX)


def begin_stage(
    stage: str, inputs: Mapping[str, Path], settings: Mapping[str, Any], seed: int | None = None
) -> StageRun:
    """Note what a stage starts from, before it starts.

    Inputs are hashed now, not at the end: an input that changes while the stage runs must not
    pass for the one that was used.

    Args:
        stage: The stage's name.
        inputs: Files and folders that the stage reads, by name.
        settings: All that shapes the output, the seed included, as values that JSON can hold.
        seed: The stage's seed, shown in the manifest.

    Raises:
        DataError: When an input does not exist.
    """
    hashed = {
        name: InputFile(path=str(path), sha256=content_hash(path)) for name, path in inputs.items()
    }
    reset_peak_memory()
    return StageRun(stage, hashed, to_jsonable_python(dict(settings)), seed)


def write_manifest(output: Path, run: StageRun) -> Manifest:
    """Write the manifest of an output that is now whole.

    Args:
        output: The file or folder that the stage wrote.
        run: What :func:`begin_stage` returned.

    Raises:
        DataError: When the output does not exist or the manifest cannot be written.
    """
    manifest = Manifest(
        stage=run.stage,
        output_sha256=content_hash(output),
        inputs=dict(run.inputs),
        settings=dict(run.settings),
        versions=versions(),
        machine=machine(),
        seed=run.seed,
        started=run.started,
        seconds=round(time.monotonic() - run.clock, 3),
        peak_memory_mb=round(peak_memory_mb(), 1),
    )
    write_json(manifest_path(output), manifest.model_dump(mode="json"))
    return manifest


def read_manifest(output: Path) -> Manifest:
    """Read the manifest of an output; a DataError when there is none that this version reads."""
    path = manifest_path(output)
    try:
        return Manifest.model_validate(read_json(path))
    except ValidationError as error:
        raise DataError(
            f"{path} is not a manifest of this version.", "Remove it to run the stage again."
        ) from error


def stage_is_done(
    output: Path, stage: str, inputs: Mapping[str, Path], settings: Mapping[str, Any]
) -> bool:
    """Return whether an output is whole and is what the stage would make again.

    Where it was finished but would come out otherwise now, that is said.

    Args: as of :func:`why_not_done`.
    """
    why = why_not_done(output, stage, inputs, settings)
    if why is not None and output.exists() and manifest_path(output).exists():
        say(f"{output} is made anew: {why}.")
    return why is None


def why_not_done(
    output: Path, stage: str, inputs: Mapping[str, Path], settings: Mapping[str, Any]
) -> str | None:
    """Return why a stage must run, as a short clause for the log; ``None`` when it is done.

    Args:
        output: The file or folder that the stage writes.
        stage: The stage's name.
        inputs: Files and folders that it reads, by name.
        settings: The settings, as given to :func:`begin_stage`.
    """
    if not output.exists():
        return "no output yet"
    if not manifest_path(output).exists():
        return "the output has no manifest"
    try:
        manifest = read_manifest(output)
    except DataError:
        return "the manifest cannot be read"
    if manifest.stage != stage:
        return f"the output is of stage {manifest.stage!r}"
    if manifest.versions.get("distilwhy") != __version__:
        return f"the output is of distilwhy {manifest.versions.get('distilwhy', 'unknown')}"
    if manifest.settings != to_jsonable_python(dict(settings)):
        return "the settings changed"
    # Hashes last: they read whole files.
    changed = _changed_input(manifest, inputs)
    if changed is None and content_hash(output) != manifest.output_sha256:
        return "the output was changed"
    return changed


def _changed_input(manifest: Manifest, inputs: Mapping[str, Path]) -> str | None:
    if manifest.inputs.keys() != inputs.keys():
        return "the inputs are others"
    for name, path in inputs.items():
        if not path.exists():
            return f"input {name!r} is missing"
        if content_hash(path) != manifest.inputs[name].sha256:
            return f"input {name!r} changed"
    return None


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, or of a folder's content.

    A folder's hash covers, in order of name, each file's relative name, its size and its content:
    all of it up to 1 MiB, above that 16 evenly spaced blocks of 64 KiB, so that a model folder of
    gigabytes costs milliseconds. A change to a few bytes of a large file can therefore go
    unnoticed; retrained or converted weights differ everywhere and are noticed.

    Raises:
        DataError: When it does not exist or cannot be read.
    """
    try:
        if not path.is_dir():
            return sha256_file(path)
        digest = hashlib.sha256()
        names = sorted(item.relative_to(path).as_posix() for item in path.rglob("*"))
        for name in names:
            if (path / name).is_file():
                line = f"{name}\0{(path / name).stat().st_size}\0{_sampled_hash(path / name)}\n"
                digest.update(line.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the path."
        ) from error


def _sampled_hash(path: Path) -> str:
    size = path.stat().st_size
    if size <= SMALL_FILE:
        return sha256_file(path)
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for sample in range(SAMPLES):
            stream.seek(sample * (size - SAMPLE_BYTES) // (SAMPLES - 1))
            digest.update(stream.read(SAMPLE_BYTES))
    return digest.hexdigest()
