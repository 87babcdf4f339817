"""Prompts' tokens: start and end tokens as the model was trained with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from distilwhy.models.tokens import prompt_ids

START, END = 2, 1


@pytest.fixture
def tokenizer(tiny_models: dict[str, Path], request: pytest.FixtureRequest) -> Any:
    """A tokenizer that wraps texts by a template such as ``"<unk> $A </s>"``."""
    loaded = AutoTokenizer.from_pretrained(tiny_models["llama"])
    loaded._tokenizer.post_processor = TemplateProcessing(
        single=request.param, special_tokens=[("<unk>", START), ("</s>", END)]
    )
    return loaded


@pytest.mark.parametrize(
    ("tokenizer", "before"),
    [("$A", []), ("<unk> $A", [START]), ("$A </s>", []), ("<unk> $A </s>", [START])],
    indirect=["tokenizer"],
)
def test_only_encoder_inputs_end(tokenizer: Any, before: list[int]) -> None:
    plain = tokenizer("stove heats water", add_special_tokens=False)["input_ids"]
    for limit in (None, 50):
        decoder = prompt_ids(tokenizer, "stove heats water", is_encoder_decoder=False, limit=limit)
        assert decoder == [*before, *plain]
        encoder = prompt_ids(tokenizer, "stove heats water", is_encoder_decoder=True, limit=limit)
        assert encoder == [*before, *plain, END]
    for encodes in (False, True):
        cut = prompt_ids(tokenizer, "stove heats water", is_encoder_decoder=encodes, limit=4)
        kept = [*before, *plain][: 3 if encodes else 4]
        assert cut == ([*kept, END] if encodes else kept)


@pytest.mark.parametrize("tokenizer", ["$A"], indirect=True)
def test_an_empty_prompt_is_one_token(tokenizer: Any) -> None:
    for encodes in (False, True):
        assert prompt_ids(tokenizer, "", is_encoder_decoder=encodes) == [END]
