"""Where rows come from: a Hub data set, a local file, or a folder that holds splits.

Code that comes with a data set is never run.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from distilwhy.config import Settings
from distilwhy.errors import ConfigError, DataError, MissingExtraError
from distilwhy.files import TABLE_SUFFIXES, read_table
from distilwhy.tasks.base import SPLITS, Split
from distilwhy.tasks.rows import PlacedRow


class SourceSettings(Settings):
    """Where the rows of a task come from, and how they are split."""

    source: str | dict[Split, str] = Field(
        description="A Hub name, a file or a folder; or one of these for each split."
    )
    config: str | None = Field(None, description="Configuration of the Hub data set.")
    revision: str | None = Field(None, description="Branch, tag or commit of the Hub data set.")
    fractions: dict[Split, float] | None = Field(
        None, description="Shares of train, validation and test in a source without splits."
    )
    split_seed: int = Field(0, ge=0, description="Seed by which rows are drawn into splits.")

    @field_validator("fractions")
    @classmethod
    def _check_fractions(cls, value: dict[Split, float] | None) -> dict[Split, float] | None:
        if value is None:
            return None
        if any(not 0 < share <= 1 for share in value.values()):
            raise ValueError("each share must be over 0 and at most 1")
        if sum(value.values()) > 1 + 1e-9:
            raise ValueError("the shares add up to more than 1")
        return value

    @model_validator(mode="after")
    def _check_source(self) -> SourceSettings:
        if not self.source:
            raise ValueError("source is empty")
        if self.fractions is not None and not isinstance(self.source, str):
            raise ValueError("give either a source for each split, or fractions of one source")
        return self


def read_split(
    settings: SourceSettings, names: Sequence[str], split: Split, base: Path | None = None
) -> list[PlacedRow]:
    """Read the rows of one split.

    Args:
        settings: Where they are.
        names: What the source may call this split, best first, e.g. ``("validation", "test")``.
        split: The split as this project calls it.
        base: Folder that relative paths start from; ``None`` is the working folder.

    Returns:
        Pairs of a place to name in messages and the row, in the source's order.

    Raises:
        ConfigError: When the source has no such split.
        DataError: When the source is missing, empty or malformed, or the Hub cannot be reached.
        MissingExtraError: When it needs a package that is not installed.
    """
    source = settings.source
    if not isinstance(source, str):
        if split not in source:
            raise _no_split(split, "the task", source)
        path = local_path(source[split], base)
        if path is not None and path.is_file():
            return read_table(path)
        source = source[split]
    if settings.fractions is not None:
        return _drawn_split(settings, split, base)
    path = local_path(source, base)
    if not names:
        raise ConfigError(
            f"{source} gives no {split} split to this task.",
            "Training holds out rows of train by itself; or name a file for each split.",
        )
    if path is None:
        return _hub_split(source, names, settings)
    if path.is_file():
        raise ConfigError(
            f"{path} is one file, which does not say what is train and what is test.",
            "Give a file for each split, or fractions, e.g. {train: 0.8, test: 0.2}.",
        )
    return _folder_split(path, names, split, settings)


def local_path(source: str, base: Path | None) -> Path | None:
    """Return the file or folder that a source names, or ``None`` when it is a Hub name.

    Args:
        source: The source as given.
        base: Folder that relative paths start from; the working folder is tried next.

    Raises:
        DataError: When it can only be a path, and nothing is there.
    """
    path = Path(source).expanduser()
    candidates = [path] if path.is_absolute() else [(base or Path()) / path, path]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    looks_local = path.is_absolute() or source.startswith((".", "~")) or source.count("/") > 1
    if looks_local or path.suffix.lower() in TABLE_SUFFIXES:
        raise DataError(f"{candidates[0]} does not exist.", "Check the path.")
    return None


def read_saved(folder: Path) -> list[PlacedRow] | dict[str, list[PlacedRow]]:
    """Read a folder written by ``datasets.save_to_disk``: rows, or rows by split.

    Raises:
        DataError: When it is no such folder, or is damaged.
        MissingExtraError: When ``datasets`` is not installed.
    """
    datasets = _datasets()
    try:
        saved = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{folder} is not a folder written by datasets.save_to_disk.",
            "Give a table file, or a folder with train, validation and test files.",
        ) from error
    if isinstance(saved, Mapping):
        return {str(name): _placed(rows, f"{folder}/{name}") for name, rows in saved.items()}
    return _placed(saved, str(folder))


def _drawn_split(settings: SourceSettings, split: Split, base: Path | None) -> list[PlacedRow]:
    """Draw the rows of a source without splits into splits, and return one of these."""
    fractions = settings.fractions or {}
    if split not in fractions:
        raise _no_split(split, "fractions", fractions)
    rows = all_rows(settings, base)
    order = list(range(len(rows)))
    random.Random(settings.split_seed).shuffle(order)  # noqa: S311
    start, share = 0, 0.0
    for name in SPLITS:
        share += fractions.get(name, 0.0)
        end = round(share * len(rows))
        if name == split:
            return [rows[index] for index in sorted(order[start:end])]
        start = end
    raise AssertionError(split)


def all_rows(settings: SourceSettings, base: Path | None) -> list[PlacedRow]:
    """Return the rows of a source without splits.

    Args:
        settings: Where they are.
        base: Folder that relative paths start from; ``None`` is the working folder.

    Raises:
        ConfigError: When the source has splits of its own.
        DataError: When the source is missing, empty or malformed, or the Hub cannot be reached.
    """
    source = str(settings.source)
    path = local_path(source, base)
    if path is None:
        return _hub_split(source, ("train",), settings)
    if path.is_file():
        return read_table(path)
    saved = read_saved(path)
    if isinstance(saved, dict):
        raise ConfigError(f"{path} has splits of its own.", "Remove fractions.")
    return saved


def _folder_split(
    folder: Path, names: Sequence[str], split: Split, settings: SourceSettings
) -> list[PlacedRow]:
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        saved = read_saved(folder)
        if not isinstance(saved, dict):
            raise ConfigError(
                f"{folder} holds one data set without splits.",
                "Give fractions, e.g. {train: 0.8, test: 0.2}.",
            )
        for name in names:
            if name in saved:
                return saved[name]
        raise _no_split(split, str(folder), saved)
    for name in names:
        files = [folder / f"{name}{suffix}" for suffix in TABLE_SUFFIXES]
        found = [path for path in files if path.is_file()]
        if len(found) > 1:
            raise ConfigError(
                f"{folder} holds {' and '.join(path.name for path in found)}.", "Keep one of them."
            )
        if found:
            return read_table(found[0])
    tables = sorted(path for path in folder.iterdir() if path.suffix.lower() in TABLE_SUFFIXES)
    if tables:
        raise _no_split(split, str(folder), (path.name for path in tables))
    return _hub_split(str(folder), names, settings)


def _hub_split(name: str, splits: Sequence[str], settings: SourceSettings) -> list[PlacedRow]:
    """Read a split of a Hub data set, or of a folder laid out like one."""
    datasets = _datasets()
    # Its retries are told one by one; the error below says it all.
    hub = logging.getLogger("huggingface_hub")
    level = hub.level
    hub.setLevel(logging.ERROR)
    try:
        available = datasets.get_dataset_split_names(
            name, settings.config, revision=settings.revision
        )
        wanted = next((split for split in splits if split in available), None)
        if wanted is not None:
            rows = datasets.load_dataset(
                name, settings.config, split=wanted, revision=settings.revision
            )
            return _placed(rows, f"{name} {wanted}")
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise DataError(
            f"The data set {name!r} could not be loaded from the Hugging Face Hub: "
            f"{first_line.rstrip('.')}.",
            "Check its name, config, revision and your network, or give a local file or folder "
            "as source.",
        ) from error
    finally:
        hub.setLevel(level)
    raise _no_split(splits[0], name, available)


def _placed(rows: Iterable[Mapping[str, Any]], place: str) -> list[PlacedRow]:
    return [(f"{place} row {number}", dict(row)) for number, row in enumerate(rows, 1)]


def _no_split(split: str, where: str, known: Iterable[str]) -> ConfigError:
    has = f"It has: {', '.join(known) or 'none'}."
    remedy = (
        "Name a file for it in the task's source, e.g. source: {train: ..., test: test.jsonl}."
        if split == "test"
        else "Training holds out rows of train by itself."
    )
    return ConfigError(f"There is no {split} split in {where}.", f"{has} {remedy}")


def _datasets() -> Any:
    try:
        import datasets
        import datasets.exceptions
    except ImportError as error:
        raise MissingExtraError("Reading a Hub data set", "data") from error
    return datasets
