"""Errors that a user can mend."""

from __future__ import annotations

import pytest

from distilwhy.errors import (
    ConfigError,
    DataError,
    Fault,
    MissingExtraError,
    ModelError,
    StageError,
    UserError,
    raise_faults,
)


def test_an_error_is_a_sentence_and_a_remedy() -> None:
    error = DataError("a.jsonl:3: no answer.", "Add it.")
    assert str(error) == "a.jsonl:3: no answer. Add it."
    assert (error.message, error.remedy) == ("a.jsonl:3: no answer.", "Add it.")
    assert str(ConfigError("Only this.")) == "Only this."


def test_kinds() -> None:
    for kind in (DataError, ConfigError, ModelError, MissingExtraError):
        assert issubclass(kind, UserError)
    assert not issubclass(StageError, UserError)
    assert str(MissingExtraError("The report", "report")) == (
        "The report needs packages that are not installed. Run: pip install 'distilwhy[report]'"
    )


def test_no_fault_no_error() -> None:
    raise_faults(DataError, "a.csv", [], "Mend it.")


def test_one_fault_is_one_sentence() -> None:
    with pytest.raises(DataError) as caught:
        raise_faults(DataError, "a.csv", [Fault("a.csv:7", "no answer")], "Mend it.")
    assert str(caught.value) == "a.csv:7: no answer. Mend it."


@pytest.mark.parametrize(("count", "shown", "rest"), [(2, 2, None), (20, 20, None), (23, 20, 3)])
def test_all_faults_are_told_together(count: int, shown: int, rest: int | None) -> None:
    faults = [Fault(f"a.csv:{number}", "no answer") for number in range(count)]
    with pytest.raises(ConfigError) as caught:
        raise_faults(ConfigError, "a.csv", faults, "Mend it.")
    lines = caught.value.message.split("\n")
    assert lines[0] == f"a.csv has {count} faults:"
    assert lines[1 : shown + 1] == [f"  a.csv:{number}: no answer" for number in range(shown)]
    assert lines[shown + 1 :] == ([f"  ... and {rest} more"] if rest else [])
