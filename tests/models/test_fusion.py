"""Fused activations and compiled layers compute what the plain ones do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distilwhy.errors import ConfigError
from distilwhy.models import fusion
from distilwhy.models.fusion import compile_layers, fuse_activations
from distilwhy.models.load import load_model, quiet_logs

INPUTS = {"input_ids": torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]])}


def gradients(model: torch.nn.Module, **inputs: torch.Tensor) -> list[torch.Tensor]:
    """Return the loss and every gradient."""
    model.zero_grad()
    loss = model(**inputs, labels=INPUTS["input_ids"]).loss
    loss.backward()
    return [loss.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


def test_fused_gelu_equals_the_written_out_one(tiny_models: dict[str, Path]) -> None:
    model = load_model(f"hf:{tiny_models['t5']}", torch.float64).model
    before, names = gradients(model, **INPUTS), list(model.state_dict())
    fuse_activations(model)
    assert any(isinstance(module, torch.nn.GELU) for module in model.modules())
    torch.testing.assert_close(gradients(model, **INPUTS), before)
    assert list(model.state_dict()) == names


@pytest.mark.slow
def test_compiled_layers_equal_plain_ones(tiny_models: dict[str, Path]) -> None:
    if not fusion._compiler():
        pytest.skip("no C++ compiler")
    model = load_model(f"hf:{tiny_models['llama']}", torch.float64).model
    before, names = gradients(model, **INPUTS), list(model.state_dict())
    compile_layers(model)
    with quiet_logs():
        after = gradients(model, **INPUTS)
    # The norms compute in fp32, whatever the precision.
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)
    assert list(model.state_dict()) == names
    assert all(layer._compiled_call_impl for layer in model.model.layers)


def test_without_a_compiler_it_says_what_to_install(
    tiny_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(f"hf:{tiny_models['llama']}").model
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ConfigError, match=r"C\+\+ compiler") as caught:
        compile_layers(model)
    assert "g++" in caught.value.remedy
