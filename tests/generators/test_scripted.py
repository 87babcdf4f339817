"""The scripted generator keeps the generator protocol's promises."""

from __future__ import annotations

import pytest

from distilwhy.generators.base import Decoding, Generated, Generator, generate_all
from distilwhy.generators.scripted import ScriptedGenerator


def test_texts_come_in_any_order_with_their_index() -> None:
    generator: Generator = ScriptedGenerator(str.upper)
    assert [index for index, _ in generator.generate(["a", "b"], Decoding())] == [1, 0]
    assert [g.text for g in generate_all(generator, ["a", "b"], Decoding())] == ["A", "B"]


def test_text_is_cut_at_the_first_stop_string_and_at_the_limit() -> None:
    generator = ScriptedGenerator(lambda prompt: "one two. three\nfour")
    (stopped,) = generate_all(generator, ["p q"], Decoding(stop=("\n", " three")))
    assert stopped == Generated("one two.", "stop", prompt_tokens=2, completion_tokens=2)
    (cut,) = generate_all(generator, ["p"], Decoding(max_new_tokens=3))
    assert cut == Generated("one two. three", "length", prompt_tokens=1, completion_tokens=3)


def test_calls_are_logged_also_when_writing_fails() -> None:
    def fail(prompt: str) -> str:
        raise RuntimeError(prompt)

    generator = ScriptedGenerator(fail)
    with pytest.raises(RuntimeError, match="b"):
        generate_all(generator, ["a", "b"], Decoding())
    assert generator.calls == ["b"]


def test_score() -> None:
    generator = ScriptedGenerator(str, lambda prompt, text: -float(len(prompt + text)))
    assert generator.score(["a", "bb"], ["c", "d"]) == [-2.0, -3.0]
    with pytest.raises(NotImplementedError):
        ScriptedGenerator(str).score(["a"], ["b"])
