"""Models with fewer layers, against models put together by hand."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as tf
from pydantic import ValidationError

from distilwhy.config import LayerSettings, StudentSettings
from distilwhy.errors import ModelError
from distilwhy.models.layers import check_layers, keep_layers
from distilwhy.models.load import LoadedModel, load_model

IDS = torch.tensor([[5, 9, 31, 7, 12, 40, 3], [8, 8, 17, 60, 2, 5, 21]])
SIZES = {"vocab_size": 64, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": None}
DECODER = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    **SIZES,
}
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_heads": 4, "decoder_start_token_id": 0, **SIZES}


def config_of(kind: str) -> Any:
    if kind == "llama":
        return tf.LlamaConfig(num_hidden_layers=4, **DECODER)
    if kind == "gemma3":
        # Five layers look at a window of 4 tokens each, the sixth at all.
        return tf.Gemma3TextConfig(num_hidden_layers=6, head_dim=8, sliding_window=4, **DECODER)
    if kind == "smollm3":
        # Every fourth layer turns no positions.
        return tf.SmolLM3Config(num_hidden_layers=4, **DECODER)
    return tf.T5Config(
        num_layers=4, num_decoder_layers=3, tie_word_embeddings=kind == "old_t5", **T5
    )


def make(kind: str) -> LoadedModel:
    config = config_of(kind)
    auto = tf.AutoModelForSeq2SeqLM if config.is_encoder_decoder else tf.AutoModelForCausalLM
    torch.manual_seed(7)
    model = auto.from_config(config)
    with torch.no_grad():
        for matrix in (weights for weights in model.parameters() if weights.dim() == 2):
            matrix.normal_(0, 0.3)
    return LoadedModel(kind, model.eval(), None)  # type: ignore[arg-type]


@torch.inference_mode()
def logits(model: Any) -> torch.Tensor:
    inputs = {"input_ids": IDS}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = IDS[:, :4]
    found: torch.Tensor = model(**inputs, use_cache=False).logits
    return found


def kept_by_hand(model: Any, keep: list[int], encoder: list[int]) -> Any:
    """Put a smaller model together of the larger one's own modules."""
    small = copy.deepcopy(model)
    if not small.config.is_encoder_decoder:
        small.model.layers = torch.nn.ModuleList(small.model.layers[place] for place in keep)
        small.config.num_hidden_layers = len(keep)
        if getattr(small.config, "layer_types", None):
            small.config.layer_types = [small.config.layer_types[place] for place in keep]
        return small
    for stack, places in ((small.encoder, encoder), (small.decoder, keep)):
        bias = stack.block[0].layer[0].SelfAttention.relative_attention_bias
        stack.block = torch.nn.ModuleList(stack.block[place] for place in places)
        first = stack.block[0].layer[0].SelfAttention
        first.relative_attention_bias, first.has_relative_attention_bias = bias, True
    return small


@pytest.mark.parametrize("kind", ["llama", "gemma3", "smollm3", "t5", "old_t5"])
def test_all_layers_are_the_same_model(kind: str) -> None:
    teacher = make(kind)
    student = keep_layers(teacher, LayerSettings(keep="all"))
    torch.testing.assert_close(logits(student.model), logits(teacher.model), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("kind", "keep", "encoder"),
    [
        ("llama", [0, 2], None),
        ("llama", [1, 3], None),
        ("gemma3", [4, 5], None),
        ("smollm3", [0, 3], None),
        ("t5", [0, 2], None),
        ("t5", [1], [1, 2, 3]),
        ("old_t5", [0, 2], [0, 1, 2, 3]),
    ],
)
def test_some_layers_are_those_put_together_by_hand(
    kind: str, keep: list[int], encoder: list[int] | None
) -> None:
    teacher = make(kind)
    student = keep_layers(teacher, LayerSettings(keep=tuple(keep), encoder=encoder)).model
    expected = logits(kept_by_hand(teacher.model, keep, encoder or keep))
    assert not torch.allclose(expected, logits(teacher.model), atol=0.1)
    torch.testing.assert_close(logits(student), expected)


def test_every_second_layer_is_kept() -> None:
    student = keep_layers(make("t5"), LayerSettings()).model
    assert (student.config.num_layers, student.config.num_decoder_layers) == (2, 2)
    student = keep_layers(make("smollm3"), LayerSettings(keep=(0, 3))).model
    assert student.config.num_hidden_layers == 2
    assert student.config.no_rope_layers == [1, 0]
    assert len(student.config.layer_types) == 2
    untouched = make("t5").model
    assert (untouched.config.num_layers, untouched.config.num_decoder_layers) == (4, 3)


@pytest.mark.parametrize("name", ["llama", "t5", "gpt2"])
def test_it_writes_and_can_be_saved(
    name: str, tiny_models: dict[str, Path], tmp_path: Path
) -> None:
    teacher = load_model(f"hf:{tiny_models[name]}")
    student = keep_layers(teacher, LayerSettings(keep=(1,)))
    asked = {"max_new_tokens": 6, "do_sample": False}
    written = student.model.generate(IDS, **asked)
    torch.testing.assert_close(student.model.generate(IDS, use_cache=False, **asked), written)
    student.model.save_pretrained(tmp_path)
    student.tokenizer.save_pretrained(tmp_path)
    again = load_model(f"hf:{tmp_path}").model
    torch.testing.assert_close(logits(again), logits(student.model), rtol=0, atol=0)


def test_layers_that_are_not_there(tiny_models: dict[str, Path]) -> None:
    name = f"hf:{tiny_models['t5']}"
    settings = LayerSettings(keep=(0, 1), encoder=(0, 2))
    for call in (
        lambda: check_layers(name, settings),
        lambda: keep_layers(load_model(name), settings),
    ):
        with pytest.raises(ModelError, match="no layer 2 to keep: its encoder has 2 layers"):
            call()
    check_layers(name, LayerSettings())
    with pytest.raises(ModelError, match=r"has no encoder, so layers\.encoder has no effect"):
        check_layers(f"hf:{tiny_models['llama']}", LayerSettings(encoder="all"))
    for wrong in ((), (1, 0), (0, 0), (-1,), "every_third"):
        with pytest.raises(ValidationError):
            LayerSettings(keep=wrong)  # type: ignore[arg-type]


def test_a_model_of_unlike_layers_is_refused() -> None:
    odd = make("llama")
    odd.model.model.layers[0].mlp.more = torch.nn.Linear(2, 2)
    with pytest.raises(ModelError, match="not a plain stack of layers"):
        keep_layers(odd, LayerSettings(keep=(1, 2)))
    odd.model.model.layers.append(torch.nn.Identity())
    with pytest.raises(ModelError, match="not a plain stack of layers"):
        keep_layers(odd, LayerSettings())


def test_the_short_form_and_the_name() -> None:
    students = [
        StudentSettings.model_validate({"model": "hf:some/base", "layers": layers})
        for layers in ("every_second", [0, 2], {"keep": [0], "encoder": "all"}, None)
    ]
    assert [student.label for student in students] == [
        "base, layers every second",
        "base, layers 0+2",
        "base, layers all/0",
        "base",
    ]
