"""Things by name, and those of installed packages."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from distilwhy import registry
from distilwhy.errors import ConfigError
from distilwhy.registry import Registry


@pytest.fixture
def offers(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """Entry points that the tests' packages offer; all are of the group ``distilwhy.fruits``."""
    offered: list[EntryPoint] = []

    def entry_points(group: str) -> list[EntryPoint]:
        return [point for point in offered if point.group == group]

    monkeypatch.setattr(registry, "entry_points", entry_points)
    return offered


def test_by_name(offers: list[EntryPoint]) -> None:
    fruits: Registry[object] = Registry("fruit")
    pear = object()
    assert fruits.add("pear", pear) is pear

    @fruits.register("apple")
    def apple() -> None: ...

    assert fruits.get("pear") is pear
    assert fruits.get("apple") is apple
    assert list(fruits) == ["apple", "pear"]
    assert "pear" in fruits
    assert "plum" not in fruits


def test_unknown_names_get_a_hint(offers: list[EntryPoint]) -> None:
    fruits: Registry[int] = Registry("fruit")
    fruits.add("pear", 1)
    fruits.add("apple", 2)
    with pytest.raises(ConfigError) as caught:
        fruits.get("aple")
    assert caught.value.message == "There is no fruit named 'aple'."
    assert caught.value.remedy == "Did you mean 'apple'? Known: apple, pear."
    with pytest.raises(ConfigError) as caught:
        fruits.get("zzz")
    assert caught.value.remedy == "Known: apple, pear."


def test_installed_packages_add_theirs(offers: list[EntryPoint]) -> None:
    offers += [
        EntryPoint("root", "math:sqrt", "distilwhy.fruits"),
        EntryPoint("pear", "math:cos", "distilwhy.fruits"),
        EntryPoint("chair", "math:sin", "distilwhy.seats"),
    ]
    fruits: Registry[object] = Registry("fruit")
    fruits.add("pear", "ours")
    assert fruits.get("root")(9) == 3  # type: ignore[operator]
    assert fruits.get("pear") == "ours", "a package must not replace what is built in"
    assert list(fruits) == ["pear", "root"]


@pytest.mark.parametrize("value", ["no_such_module_at_all:x", "math:no_such_function"])
def test_a_broken_package_is_named_each_time(value: str, offers: list[EntryPoint]) -> None:
    offers.append(EntryPoint("kiwi", value, "distilwhy.fruits"))
    fruits: Registry[int] = Registry("fruit")
    fruits.add("pear", 1)
    for _ in range(2):
        with pytest.raises(ConfigError, match="The fruit 'kiwi' of an installed package") as caught:
            fruits.get("pear")
        assert value in caught.value.message
        assert caught.value.remedy == "Mend or uninstall that package."
