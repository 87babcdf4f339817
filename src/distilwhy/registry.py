"""Tasks, methods, generators and metrics by name; third parties add theirs through entry points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from distilwhy.errors import ConfigError

T = TypeVar("T")


class Registry(Generic[T]):
    """Things of one kind by name.

    Args:
        kind: The kind in the singular, used in messages, e.g. ``task``. Entry points of the group
            ``distilwhy.<kind>s`` are added on first use.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, T] = {}
        self._entry_points_loaded = False

    def add(self, name: str, item: T) -> T:
        """Register an item under a name and return it."""
        self._items[name] = item
        return item

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers what it decorates under a name."""
        return lambda item: self.add(name, item)

    def get(self, name: str) -> T:
        """Return the item of that name.

        Raises:
            ConfigError: When there is none; the message names the nearest and all known names. Also
                when an installed package offers one that cannot be loaded.
        """
        self._load_entry_points()
        if name not in self._items:
            near = get_close_matches(name, self._items, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise ConfigError(
                f"There is no {self.kind} named {name!r}.", f"{hint}Known: {', '.join(self)}."
            )
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        self._load_entry_points()
        return iter(sorted(self._items))

    def __contains__(self, name: object) -> bool:
        self._load_entry_points()
        return name in self._items

    def _load_entry_points(self) -> None:
        if self._entry_points_loaded:
            return
        for point in entry_points(group=f"distilwhy.{self.kind}s"):
            if point.name in self._items:
                continue
            try:
                self._items[point.name] = point.load()
            except Exception as error:  # A foreign package fails in its own ways.
                raise ConfigError(
                    f"The {self.kind} {point.name!r} of an installed package ({point.value}) "
                    f"could not be loaded: {error}.",
                    "Mend or uninstall that package.",
                ) from error
        self._entry_points_loaded = True
