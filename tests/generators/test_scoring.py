"""Scores of texts that begin alike: equal to one forward pass a text, and cheaper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from distilwhy.generators.scoring import PASS_TOKENS, ScoredRow, score_lines, score_pairs
from distilwhy.models.load import load_model
from distilwhy.models.packing import can_share_sources

PROMPTS = [(5, 6, 7, 8, 9), (5, 6), (10, 11, 12)]
ENDINGS = [
    [(20, 21, 22, 30), (20, 21, 22, 31, 32), (20, 21, 22)],
    [(20, 21), (25, 26, 27), (20, 22)],
    [(40,), (40,), (41, 42)],
]
ROWS = [
    ScoredRow(prompt, text)
    for prompt, texts in zip(PROMPTS, ENDINGS, strict=True)
    for text in texts
]
ROWS.append(ScoredRow(PROMPTS[0], (20, 21, 22, 33)))


@pytest.fixture(scope="module")
def model(tiny_models: dict[str, Path]) -> Callable[[str], Any]:
    def load(name: str) -> Any:
        return load_model(f"hf:{tiny_models[name]}", torch.float32).model

    return load


def plain(model: Any, row: ScoredRow) -> float:
    """Return a text's log-likelihood by torch's own cross-entropy, one text at a time."""
    if model.config.is_encoder_decoder:
        logits = model(
            input_ids=torch.tensor([row.prompt]), labels=torch.tensor([row.text])
        ).logits[0]
    else:
        logits = model(torch.tensor([row.prompt + row.text])).logits[0, len(row.prompt) - 1 : -1]
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(row.text), reduction="sum")
    return -float(loss)


def counted(model: Any) -> list[int]:
    """Return a list that gets the number of positions of each forward pass."""
    seen: list[int] = []
    body = model.get_encoder() if model.config.is_encoder_decoder else model

    def count(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if "input_ids" in kwargs:  # not so in the passes by which tests compare
            seen.append(kwargs["input_ids"].numel())

    body.register_forward_pre_hook(count, with_kwargs=True)
    return seen


@pytest.mark.parametrize("share", [True, False])
@torch.inference_mode()
def test_lines_equal_plain_passes(share: bool, model: Callable[[str], Any]) -> None:
    llama = model("llama")
    assert can_share_sources(llama)
    found = score_lines(llama, ROWS, 0, share)
    assert found == pytest.approx([plain(llama, row) for row in ROWS], abs=1e-4)


@torch.inference_mode()
def test_pairs_equal_plain_passes(model: Callable[[str], Any]) -> None:
    t5 = model("t5")
    assert score_pairs(t5, ROWS, 0) == pytest.approx([plain(t5, row) for row in ROWS], abs=1e-4)


@torch.inference_mode()
def test_a_beginning_is_read_once(model: Callable[[str], Any]) -> None:
    llama, t5 = model("llama"), model("t5")
    rows = [ScoredRow(tuple(range(5, 45)), (50, 51, 60 + end)) for end in range(5)]
    seen = counted(llama)
    score_lines(llama, rows, 0, True)
    # 42 tokens that all begin with; the last of each is predicted, not read.
    assert seen == [42]
    score_lines(llama, rows, 0, False)
    assert sum(seen[1:]) == 5 * 42
    seen = counted(t5)
    score_pairs(t5, rows, 0)
    assert seen == [40]


@torch.inference_mode()
def test_texts_apart_are_not_read_together(model: Callable[[str], Any]) -> None:
    llama = model("llama")
    seen = counted(llama)
    rows = [ScoredRow((5, 6), tuple(range(10 * end, 10 * end + 9))) for end in range(1, 4)]
    found = score_lines(llama, rows, 0, True)
    assert seen == [3 * 10], "what they have apart would be attended to for nothing"
    assert found == pytest.approx([plain(llama, row) for row in rows], abs=1e-4)


@torch.inference_mode()
def test_passes_are_bounded(model: Callable[[str], Any]) -> None:
    llama = model("llama")
    seen = counted(llama)
    rows = [ScoredRow((5 + n % 40, *range(6, 40)), (50, 51 + n % 9)) for n in range(300)]
    score_lines(llama, rows, 0, True)
    assert len(seen) > 1
    assert max(seen) <= PASS_TOKENS
