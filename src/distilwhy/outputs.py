"""Where outputs go: refused before any work is put into what could not be written."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from distilwhy.errors import DataError


def check_output_file(path: Path, *inputs: Path) -> None:
    """Refuse a file that could not be written, before work goes into its content.

    Args:
        path: The file to write; its folder is made when missing.
        inputs: Files and folders that its content comes from; it must be none of these, nor lie
            in one.

    Raises:
        DataError: When it is a folder or an input, or its folder cannot be written.
    """
    if path.is_dir() or path.name in ("", ".."):
        raise DataError(f"{path} is a folder, not a file to write.", "Give the name of a file.")
    _check_not_among(path, inputs)
    for given in inputs:
        # A new file in an input folder also makes it another input, so that work is done again.
        if path.resolve().is_relative_to(given.resolve()):
            raise DataError(
                f"{path} lies in {given}, from which the output is made.", "Choose another folder."
            )
    make_folder(path.parent)


def check_output_folder(path: Path, *inputs: Path) -> None:
    """Refuse a folder that could not be written, before work goes into its content.

    Args:
        path: The folder to write; it is made when missing, and its manifest lies beside it.
        inputs: Files and folders that its content comes from; it must not be one of these.

    Raises:
        DataError: When it is a file, an input or without a name, or cannot be written.
    """
    if path.name in ("", ".."):
        raise DataError(f"{str(path)!r} is no name for a new folder.", "Give one of its own.")
    _check_not_among(path, inputs)
    make_folder(path)


def make_folder(path: Path) -> None:
    """Make a folder where it is missing, and check that files can be written to it.

    Raises:
        DataError: When that is not so.
    """
    if path.exists() and not path.is_dir():
        raise DataError(f"{path} is a file, not a folder to write to.", "Choose another folder.")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise DataError(
            f"{path} cannot be written to: {error.strerror or error}.", "Choose another folder."
        ) from error


def _check_not_among(path: Path, inputs: Sequence[Path]) -> None:
    if any(path.resolve() == given.resolve() for given in inputs):
        raise DataError(
            f"{path} is what the output is made from; it would be overwritten.",
            "Choose another name.",
        )
