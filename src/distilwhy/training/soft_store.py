"""Soft labels stored once: the likeliest tokens of each target, in parts that a kill leaves whole.

A folder holds the labels of one teacher at one temperature, for any runs: a row is known by what
the teacher reads, so that seeds and conditions find each other's labels.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from distilwhy.errors import DataError
from distilwhy.files import sha256_json, write_json
from distilwhy.progress import progress_bar
from distilwhy.training.divergences import Shares, likeliest
from distilwhy.training.soft_teacher import SoftTeacher
from distilwhy.training.teacher_rows import TeacherRow

PASS_TARGETS = 512  # target tokens asked for together; each takes a few copies of the vocabulary
PART_TARGETS = 16384  # in one file: what a kill can lose
SHORT_IDS = 2**16
DTYPES = {"fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True)
class _Place:
    file: Path
    start: int
    count: int


class StoredLabels:
    """Soft labels by row, read from the parts as they are wanted.

    Args:
        folder: The folder of the parts.
        rows: The rows by number.
    """

    def __init__(self, folder: Path, rows: Mapping[int, TeacherRow]) -> None:
        self._rows = rows
        self._places = _places(folder)
        self._keys = {number: row_key(row) for number, row in rows.items()}
        self._open: dict[Path, Any] = {}
        self.device = torch.device("cpu")

    @property
    def missing(self) -> list[TeacherRow]:
        """Rows without labels, each once, the longest first."""
        lacking = {
            key: self._rows[number] for number, key in self._keys.items() if key not in self._places
        }
        return sorted(lacking.values(), key=lambda row: -row.row.tokens)

    def of(self, numbers: Sequence[int]) -> tuple[list[TeacherRow], Shares]:
        """Return rows and the teacher's shares; see :class:`SoftLabels`."""
        parts = [self._part(self._places[self._keys[number]]) for number in numbers]
        logprobs, tokens, rest = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
        shares = Shares(
            logprobs.float().to(self.device),
            tokens.long().to(self.device),
            rest.float().to(self.device),
        )
        return [self._rows[number] for number in numbers], shares

    def _part(self, place: _Place) -> list[torch.Tensor]:
        if place.file not in self._open:
            self._open[place.file] = safe_open(place.file, "pt")
        stored, end = self._open[place.file], place.start + place.count
        names = ("logprobs", "tokens", "rest")
        return [stored.get_slice(name)[place.start : end] for name in names]


def store_labels(
    folder: Path,
    identity: Mapping[str, Any],
    rows: Mapping[int, TeacherRow],
    open_teacher: Callable[[], SoftTeacher],
    *,
    top_k: int,
    dtype: str,
) -> StoredLabels:
    """Store the labels that are missing and return all.

    Args:
        folder: Folder of all stored labels; those of this teacher lie in one of their own.
        identity: What shapes the labels beside the rows: the teacher, the temperature ...
        rows: The rows by number.
        open_teacher: Loads the teacher; called only when labels are missing.
        top_k: Likeliest tokens stored for each target.
        dtype: ``fp16`` or ``fp32``, of their log-probabilities.

    Raises:
        DataError: When the disk is full; what was stored before is kept.
    """
    whole = {**identity, "top_k": top_k, "dtype": dtype}
    folder = folder / sha256_json(whole)[:16]
    labels = StoredLabels(folder, rows)
    missing = labels.missing
    if not missing:
        return labels
    write_json(folder / "settings.json", whole)
    teacher = open_teacher()
    done: list[tuple[TeacherRow, Shares]] = []
    with progress_bar("soft labels of rows", len(missing)) as advance:
        for number, batch in enumerate(passes := _passes(missing)):
            shares = likeliest(teacher.shares(batch).logprobs, top_k)
            done += zip(batch, _split(shares, batch), strict=True)
            stored = sum(len(row.theirs) for row, _ in done)
            if stored >= PART_TARGETS or number == len(passes) - 1:
                _write(folder, done, dtype)
                done = []
            advance(sum(map(len, passes[: number + 1])))
    return StoredLabels(folder, rows)


def row_key(row: TeacherRow) -> str:
    """Return what a row's labels are found by: all that the teacher reads and is asked for."""
    read = row.row
    return sha256_json([read.source, read.target, read.given, row.theirs])[:32]


def bytes_per_target(top_k: int, dtype: str, width: int) -> int:
    """Return how many bytes the labels of one target token take.

    Args:
        top_k: Likeliest tokens stored.
        dtype: ``fp16`` or ``fp32``.
        width: Tokens of the vocabulary.
    """
    share = DTYPES[dtype].itemsize
    return top_k * (share + (2 if width <= SHORT_IDS else 4)) + share


def _passes(rows: Sequence[TeacherRow]) -> list[list[TeacherRow]]:
    """Cut rows into forward passes of a limited number of targets."""
    passes: list[list[TeacherRow]] = []
    targets = 0
    for row in rows:
        count = len(row.row.target)
        if not passes or targets + count > PASS_TARGETS:
            passes.append([])
            targets = 0
        passes[-1].append(row)
        targets += count
    return passes


def _split(shares: Shares, rows: Sequence[TeacherRow]) -> list[Shares]:
    counts = [len(row.theirs) for row in rows]
    known = (shares.logprobs, shares.tokens, shares.rest)
    parts = [torch.split(tensor.cpu(), counts) for tensor in known if tensor is not None]
    return [Shares(*part) for part in zip(*parts, strict=True)]


def _write(folder: Path, done: Sequence[tuple[TeacherRow, Shares]], dtype: str) -> None:
    """Write one part, which appears under its name only when it is whole."""
    keys = [(row_key(row), len(row.theirs)) for row, _ in done]
    logprobs = torch.cat([shares.logprobs for _, shares in done])
    tokens = torch.cat([shares.tokens for _, shares in done if shares.tokens is not None])
    rest = torch.cat([shares.rest for _, shares in done if shares.rest is not None])
    short = int(tokens.max()) < SHORT_IDS
    tensors = {
        "logprobs": logprobs.to(DTYPES[dtype]),
        "tokens": tokens.to(torch.uint16 if short else torch.int32),
        "rest": rest.to(DTYPES[dtype]),
    }
    name = f"part-{sha256_json(keys)[:16]}.safetensors"
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".part-")
    os.close(handle)
    try:
        save_file(tensors, temporary, metadata={"rows": json.dumps(keys)})
        Path(temporary).replace(folder / name)
    except (OSError, SafetensorError) as error:
        Path(temporary).unlink(missing_ok=True)
        raise DataError(
            f"Soft labels could not be written to {folder}: {error}",
            "Free some space or lower soft.top_k; labels stored before are kept.",
        ) from error


def _places(folder: Path) -> dict[str, _Place]:
    """Return where each row's labels lie."""
    found: dict[str, _Place] = {}
    for file in sorted(folder.glob("part-*.safetensors")):
        with safe_open(file, "pt") as part:
            rows = json.loads(part.metadata()["rows"])
        start = 0
        for key, count in rows:
            found[key] = _Place(file, start, count)
            start += count
    return found
