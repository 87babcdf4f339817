"""What all settings share: immutable, unknown keys refused, all faults reported at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from distilwhy.errors import ConfigError, Fault, raise_faults
from distilwhy.files import describe, read_text

SettingsT = TypeVar("SettingsT", bound="Settings")

Precision = Literal["auto", "fp32", "bf16"]
KEY_FIELD = re.compile(r"(^|_)(key|token|secret|password)s?$", re.IGNORECASE)
KEY_REMEDY = "keys come from the environment or from a file (docs/teachers.md)"


class Settings(BaseModel):
    """Base of all settings: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def to_yaml(settings: Settings) -> str:
    """Return settings as YAML, with every default filled in."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML would keep the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """Read a YAML file with safe types only.

    Raises:
        ConfigError: When it is not YAML.
    """
    try:
        return yaml.load(read_text(path), _UniqueKeys)  # noqa: S506 - it is a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "cannot be parsed"
        raise ConfigError(f"{path}{line}: not valid YAML ({problem}).", "Mend the file.") from error


def validate(
    model: type[SettingsT],
    values: Any,
    source: str,
    remedy: str = "Every field is described in docs/config.md.",
    context: Mapping[str, Any] | None = None,
) -> SettingsT:
    """Turn plain values into settings; all faults are reported together.

    Args:
        model: The settings class.
        values: A mapping, as read from YAML.
        source: Where the values come from, for messages.
        remedy: What the user should do about a fault.
        context: What the class's own checks need to know beside the values.

    Raises:
        ConfigError: When any field is unknown, missing or out of range.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{source} does not hold fields.", "Write 'field: value' lines.")
    try:
        return model.model_validate(values, context=context)
    except ValidationError as error:
        faults = [Fault(source, _with_known(what, model)) for what in describe(error)]
        raise_faults(ConfigError, source, faults, remedy)
        raise


def _with_known(clause: str, model: type[BaseModel]) -> str:
    """Name the known fields where an unknown top-level one was given."""
    place, _, message = clause.partition(": ")
    if "extra inputs" not in message:
        return clause
    front, _, last = place.rpartition(".")
    if KEY_FIELD.search(last) and not front.endswith("budget"):  # a budget has tokens
        return f"unknown field {place!r}: no key belongs in the file; {KEY_REMEDY}"
    known = f" (known: {', '.join(model.model_fields)})" if "." not in place else ""
    return f"unknown field {place!r}{known}"
