"""A generator that is loaded when it is first asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from distilwhy.generators.base import Count, Decoding, Generated, Generator, can_contrast


class LazyGenerator:
    """Stands for a generator that may not be needed, e.g. as a store holds all its texts.

    Args:
        name: Its model string.
        load: Returns it; called whenever it is needed.
    """

    def __init__(self, name: str, load: Callable[[], Generator]) -> None:
        self.name = name
        self._load = load

    def generate(
        self, prompts: Iterable[str], decoding: Decoding
    ) -> Iterator[tuple[int, Generated]]:
        """Yield texts; see :class:`Generator`."""
        return self._load().generate(prompts, decoding)

    @property
    def count_tokens(self) -> Count | None:
        """How it counts a prompt's tokens, where it does."""
        return getattr(self._load(), "count_tokens", None)

    @property
    def contrasts(self) -> bool:
        """Whether it decodes contrastively."""
        return can_contrast(self._load())

    @property
    def precision(self) -> str:
        """Precision that it runs in."""
        return str(getattr(self._load(), "precision", "unknown"))
