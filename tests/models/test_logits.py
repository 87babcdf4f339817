"""Logits only at chosen positions, and the packing probe's neighbours."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distilwhy.models.load import load_model
from distilwhy.models.logits import logits_only_at


@pytest.mark.parametrize("name", ["llama", "gpt2", "t5", "old_t5"])
def test_logits_equal_the_full_ones_there(name: str, tiny_models: dict[str, Path]) -> None:
    model = load_model(f"hf:{tiny_models[name]}").model
    inputs = {"input_ids": torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]])}
    if "t5" in name:
        inputs["decoder_input_ids"] = torch.tensor([[0, 3, 4, 9], [0, 8, 8, 7]])
    select = torch.tensor([[False, True, False, True], [True, False, False, False]])
    with torch.inference_mode():
        full = model(**inputs).logits
        with logits_only_at(model, select):
            chosen = model(**inputs).logits
        after = model(**inputs).logits
    assert chosen.shape == (3, full.shape[-1])
    torch.testing.assert_close(chosen, full[select])
    torch.testing.assert_close(after, full)


def test_an_error_within_leaves_the_model_as_it_was(tiny_models: dict[str, Path]) -> None:
    model = load_model(f"hf:{tiny_models['llama']}").model
    with pytest.raises(ZeroDivisionError), logits_only_at(model, torch.tensor([[True]])):
        raise ZeroDivisionError
    assert model(input_ids=torch.tensor([[5, 6]])).logits.shape[:2] == (1, 2)
