"""Reading and writing: JSON Lines records, tables, atomic writes, content hashes."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from distilwhy.errors import DataError, Fault, MissingExtraError, raise_faults

ModelT = TypeVar("ModelT", bound=BaseModel)

LONGEST_SLUG = 60  # letters; folder names are limited to 255 bytes
TABLE_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")


def slug(text: str) -> str:
    """Return a name fit for a folder, e.g. ``multitask+counterfactual-revised``."""
    return re.sub(r"[^\w+.]+", "-", text).strip("-.")[:LONGEST_SLUG] or "unnamed"


@contextmanager
def atomic_text(path: Path) -> Iterator[TextIO]:
    """Open a text file that appears under its name only when it was written whole.

    Args:
        path: The file to write; its folder is made when missing.

    Raises:
        DataError: When the disk is full or the folder cannot be written.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        # A file's name need not be text; JSON knows it by the escape that then stands for it.
        with os.fdopen(
            handle, "w", encoding="utf-8", errors="backslashreplace", newline=""
        ) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        temporary = None
    except OSError as error:
        raise DataError(
            f"{path} could not be written: {error.strerror or error}.",
            "Free some space or choose another folder; what was finished before is kept.",
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, keys in the order given, with two-space indent."""
    with atomic_text(path) as stream:
        json.dump(value, stream, ensure_ascii=False, indent=2)
        stream.write("\n")


def read_json(path: Path) -> Any:
    """Read one JSON file.

    Raises:
        DataError: When the file is missing or is not JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        line = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise DataError(
            f"{path}{line}: not valid JSON ({_json_problem(error)}).", "Mend or remove the file."
        ) from error


def _json_problem(error: Exception) -> str:
    """Return what is wrong with a JSON text; numbers and nesting have limits of their own."""
    return str(getattr(error, "msg", None) or error)


def write_records(path: Path, records: Iterable[BaseModel]) -> None:
    """Write records as JSON Lines, atomically; ``None`` fields are left out."""
    with atomic_text(path) as stream:
        for record in records:
            stream.write(record.model_dump_json(exclude_none=True))
            stream.write("\n")


def read_text(path: Path) -> str:
    """Read a UTF-8 text file.

    Raises:
        DataError: When it is missing, is a folder, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path} does not exist.", "Check the path.") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text (byte {error.start}).", "Save it as UTF-8."
        ) from error
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the path."
        ) from error


def read_records(path: Path, model: type[ModelT]) -> list[ModelT]:
    """Read a JSON Lines file of one kind of record; all faults are reported together.

    Args:
        path: The file.
        model: The record's class.

    Raises:
        DataError: When the file is missing or empty, or any line is not such a record.
    """
    records: list[ModelT] = []
    faults: list[Fault] = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            records.append(model.model_validate_json(line))
        except ValidationError as error:
            faults += [Fault(f"{path}:{number}", what) for what in describe(error)]
    if not records and len({fault.where for fault in faults}) > 1:
        raise DataError(
            f"{path} holds no {model.__name__} records; the first line's fault: {faults[0].what}.",
            "Give another file.",
        )
    raise_faults(DataError, str(path), faults, f"Mend the file; it holds {model.__name__} records.")
    if not records:
        raise DataError(f"{path} is empty.", f"It should hold {model.__name__} records.")
    return records


def describe(error: ValidationError) -> list[str]:
    """Turn a pydantic error into short clauses, one a fault, without pydantic's own links."""
    clauses = []
    items = error.errors(include_url=False, include_input=False)
    places = [item["loc"] for item in items]
    for item in items:
        loc = item["loc"]
        if item["type"] == "too_short" and any(loc == p[: len(loc)] != p for p in places):
            continue  # pydantic counts only the sound ones of a list's entries
        place = ".".join(str(part) for part in item["loc"])
        message = _counted(item) or item["msg"].removeprefix("Value error, ")
        # A record is one line of its file, whose number is named already.
        message = message[:1].lower() + message[1:].replace(" at line 1 column ", " at column ")
        clauses.append(f"{place}: {message}" if place else message)
    return clauses


def _counted(item: ErrorDetails) -> str | None:
    """Say how many entries a list has and may have, in words that need no Python."""
    if item["type"] not in ("too_long", "too_short"):
        return None
    told = item["ctx"]
    bounds = {
        "too_long": "at most {max_length} allowed",
        "too_short": "at least {min_length} needed",
    }
    return f"{told['actual_length']} given, {bounds[item['type']].format(**told)}"


def read_table(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Read a table of rows from JSONL, JSON, CSV, TSV or Parquet.

    Args:
        path: The file; its ending names the format.

    Returns:
        Pairs of a place to name in messages (``file:line`` or ``file row N``) and the row.

    Raises:
        DataError: When the file is missing, empty, malformed or of another format.
        MissingExtraError: When Parquet is read without pyarrow.
    """
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise DataError(
            f"{path} has an unknown format {suffix!r}.", f"Use one of: {', '.join(TABLE_SUFFIXES)}."
        )
    if not path.is_file():
        raise DataError(f"{path} does not exist.", "Check the path.")
    if suffix == ".parquet":
        rows = _parquet_rows(path)
    elif suffix in (".csv", ".tsv"):
        rows = _csv_rows(path, "\t" if suffix == ".tsv" else None)
    elif suffix == ".json":
        rows = _json_rows(path)
    else:
        rows = _jsonl_rows(path)
    if not rows:
        raise DataError(f"{path} is empty.", "Give a file with at least one row.")
    return rows


def _parquet_rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    try:
        import pyarrow.parquet as parquet
        from pyarrow import ArrowException
    except ImportError as error:
        raise MissingExtraError("Reading Parquet", "data") from error
    try:
        table = parquet.read_table(path)
    except (ArrowException, OSError) as error:
        raise DataError(f"{path} is not a Parquet file: {error}.", "Check the file.") from error
    return [(f"{path} row {number}", row) for number, row in enumerate(table.to_pylist(), 1)]


def _csv_rows(path: Path, delimiter: str | None) -> list[tuple[str, dict[str, Any]]]:
    content = read_text(path)
    if delimiter is None:
        # Spreadsheets of many languages separate by semicolons and call it CSV all the same.
        header = content.partition("\n")[0]
        delimiter = ";" if header.count(";") > header.count(",") else ","
    # Not str.splitlines, which also splits at characters that stand within texts, e.g. U+2028.
    text = io.StringIO(content, newline="")
    # Strict, since a quote that is never closed would swallow all rows after it without a word.
    reader = csv.DictReader(text, delimiter=delimiter, strict=True)
    rows, faults = [], []
    try:
        names = reader.fieldnames or ()
        for name in dict.fromkeys(name for name in names if names.count(name) > 1):
            faults.append(Fault(f"{path}:1", f"two columns are named {name!r}"))
        for row in reader:
            place = f"{path}:{reader.line_num}"
            if None in row or None in row.values():
                faults.append(Fault(place, f"not {len(names)} columns"))
            rows.append((place, dict(row)))
    except csv.Error as error:
        faults.append(Fault(f"{path}:{reader.line_num}", f"{error}, a quote may not be closed"))
    raise_faults(
        DataError,
        str(path),
        faults,
        "Name each column once; quote cells that hold the delimiter; double quotes inside quotes.",
    )
    return rows


def _jsonl_rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    rows, faults = [], []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            faults.append(Fault(place, f"not valid JSON ({_json_problem(error)})"))
            continue
        if isinstance(row, dict):
            rows.append((place, row))
        else:
            faults.append(Fault(place, "not a JSON object"))
    raise_faults(DataError, str(path), faults, "Each line must be one JSON object.")
    return rows


def _json_rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    value = read_json(path)
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise DataError(f"{path} is not a JSON list of objects.", "Use JSONL or a list of objects.")
    return [(f"{path} row {number}", row) for number, row in enumerate(value, 1)]


def sha256_file(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_json(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """Return the hexadecimal SHA-256 of a JSON value, independent of key order."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
