"""The local generator against plain ``model.generate``, one prompt at a time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from transformers import (
    FalconH1Config,
    FalconH1ForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from distilwhy.errors import ModelError
from distilwhy.generators.base import Decoding, Generated, generate_all
from distilwhy.generators.continuations import keeps_its_state
from distilwhy.generators.slots import can_use_slots
from distilwhy.generators.transformers_local import LocalGenerator
from distilwhy.models.load import LoadedModel, load_model

MODELS = ("llama", "gpt2", "t5", "old_t5", "sliding", "recurrent")

FEW_SHOT = "Question: Where do you put a kettle to boil water?\nChoices: (a) stove (b) garden\n" * 3
WORDS = ("heat", "boils", "water.", "stove", "A man", "Premise:", "lake", "yes")


@pytest.fixture(scope="module")
def models(tiny_models: dict[str, Path]) -> dict[str, LoadedModel]:
    loaded = {name: load_model(f"hf:{folder}") for name, folder in tiny_models.items()}
    torch.manual_seed(9)
    sliding = MistralForCausalLM(
        MistralConfig(
            vocab_size=loaded["llama"].model.config.vocab_size,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            sliding_window=24,
            initializer_range=0.4,
            pad_token_id=0,
            eos_token_id=1,
        )
    ).eval()
    # Attention and recurrent states in every layer.
    recurrent = FalconH1ForCausalLM(
        FalconH1Config(
            vocab_size=loaded["llama"].model.config.vocab_size,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            mamba_d_ssm=32,
            mamba_n_heads=4,
            mamba_d_head=8,
            mamba_n_groups=1,
            mamba_d_state=8,
            mamba_chunk_size=16,
            initializer_range=0.4,
            pad_token_id=0,
            eos_token_id=1,
        )
    ).eval()
    for name, model in (("sliding", sliding), ("recurrent", recurrent)):
        model.generation_config.eos_token_id = [1, *range(290, 310)]
        loaded[name] = LoadedModel(name, model, loaded["llama"].tokenizer)
    return loaded


@pytest.fixture(scope="module")
def prompts() -> list[str]:
    draw = random.Random(5)
    endings = [" ".join(draw.choices(WORDS, k=draw.randint(1, 12))) for _ in range(11)]
    shared = [FEW_SHOT + ending for ending in endings]
    other = ["Other " + FEW_SHOT + ending for ending in endings[:3]]
    return [*shared[:6], "water", *other, "A man walks a dog.", *shared[6:], "", shared[0]]


def plain(loaded: LoadedModel, prompt: str, limit: int) -> Generated:
    """Generate with transformers alone, one prompt, no padding, no reused cache."""
    ids = loaded.tokenizer(prompt)["input_ids"]
    if loaded.is_encoder_decoder or not ids:
        ids = [*ids, loaded.tokenizer.eos_token_id]
    inputs = torch.tensor([ids])
    mask = torch.ones_like(inputs)
    with torch.inference_mode():
        output = loaded.model.generate(
            input_ids=inputs, attention_mask=mask, max_new_tokens=limit, do_sample=False
        )[0].tolist()
    written = output[1:] if loaded.is_encoder_decoder else output[len(ids) :]
    ends = loaded.model.generation_config.eos_token_id
    text = loaded.tokenizer.decode(written, skip_special_tokens=True)
    return Generated(text, "stop" if written[-1] in ends else "length", len(ids), len(written))


@pytest.fixture(scope="module")
def expected(models: dict[str, LoadedModel], prompts: list[str]) -> dict[str, list[Generated]]:
    return {name: [plain(models[name], prompt, 16) for prompt in prompts] for name in MODELS}


@pytest.mark.parametrize("batch_size", [1, 3, 16])
@pytest.mark.parametrize("name", MODELS)
def test_greedy_texts_equal_plain_generation(
    name: str,
    batch_size: int,
    models: dict[str, LoadedModel],
    prompts: list[str],
    expected: dict[str, list[Generated]],
) -> None:
    generator = LocalGenerator(models[name], batch_size)
    decoding = Decoding(max_new_tokens=16)
    assert generate_all(generator, prompts, decoding) == expected[name]
    backwards = generate_all(generator, prompts[::-1], decoding)
    assert backwards[::-1] == expected[name]


def test_the_prompts_try_what_matters(
    models: dict[str, LoadedModel], prompts: list[str], expected: dict[str, list[Generated]]
) -> None:
    for name in ("sliding", "recurrent"):
        assert not can_use_slots(models[name].model)
    for name in ("llama", "gpt2"):
        assert can_use_slots(models[name].model)
    assert {text.finish for name in MODELS for text in expected[name]} == {"stop", "length"}
    for name in MODELS:
        assert len({text.text for text in expected[name]}) >= 10
        assert len({text.completion_tokens for text in expected[name]}) >= 3


@pytest.mark.parametrize("name", MODELS)
def test_stop_strings_cut_the_text(
    name: str, models: dict[str, LoadedModel], prompts: list[str]
) -> None:
    full = [plain(models[name], prompt, 16) for prompt in prompts]
    # Stop at what some texts really hold: a pair of characters, whatever their tokens, and one.
    held = "\n".join(text.text for text in full)
    pairs = Counter(a + b for a, b in pairwise(held) if f"{a}{b}".isascii() and "\n" not in (a, b))
    single = next(c for c in reversed(held) if c.isascii() and c.isalpha())
    stops = (pairs.most_common(3)[-1][0], single)
    texts = generate_all(
        LocalGenerator(models[name], 4), prompts, Decoding(max_new_tokens=16, stop=stops)
    )
    stopped = 0
    for text, whole in zip(texts, full, strict=True):
        cuts = [whole.text.find(stop) for stop in stops if stop in whole.text]
        if cuts:
            stopped += 1
            assert text.finish == "stop"
            assert text.completion_tokens <= whole.completion_tokens
        assert text.text == (whole.text[: min(cuts)] if cuts else whole.text)
    assert stopped


@pytest.mark.parametrize("name", MODELS)
def test_max_new_tokens_of_one(
    name: str, models: dict[str, LoadedModel], prompts: list[str]
) -> None:
    texts = generate_all(LocalGenerator(models[name], 4), prompts, Decoding(max_new_tokens=1))
    assert texts == [plain(models[name], prompt, 1) for prompt in prompts]
    assert {text.completion_tokens for text in texts} == {1}


def sample(loaded: LoadedModel, prompts: Sequence[str], seed: int, batch_size: int) -> list[str]:
    decoding = Decoding(max_new_tokens=8, temperature=0.7, seed=seed)
    return [
        text.text for text in generate_all(LocalGenerator(loaded, batch_size), prompts, decoding)
    ]


@pytest.mark.parametrize("name", MODELS)
def test_samples_depend_on_seed_and_prompt_only(
    name: str, models: dict[str, LoadedModel], prompts: list[str]
) -> None:
    texts = sample(models[name], prompts, 1, 16)
    assert sample(models[name], prompts, 1, 3) == texts
    assert sample(models[name], prompts[::-1], 1, 16)[::-1] == texts
    assert sample(models[name], prompts[4:7], 1, 1) == texts[4:7]
    assert sample(models[name], prompts, 2, 16) != texts


def test_samples_follow_the_models_shares(models: dict[str, LoadedModel]) -> None:
    loaded = models["llama"]
    ids = torch.tensor([loaded.tokenizer("water")["input_ids"]])
    with torch.inference_mode():
        shares = (loaded.model(ids).logits[0, -1] / 0.5).softmax(-1)
    generator = LocalGenerator(loaded, 64)
    counts = torch.zeros_like(shares)
    for seed in range(200):
        decoding = Decoding(max_new_tokens=1, temperature=0.5, seed=seed)
        (text,) = generate_all(generator, ["water"], decoding)
        places = [i for i in range(len(shares)) if loaded.tokenizer.decode([i]) == text.text]
        counts[places] += 1 / len(places)
    top = int(shares.argmax())
    spread = (float(shares[top]) * (1 - float(shares[top])) / 200) ** 0.5
    assert abs(float(counts[top]) / 200 - float(shares[top])) < 4 * spread


@pytest.mark.parametrize("batch_size", [1, 3, 16])
@pytest.mark.parametrize("name", MODELS)
def test_scores_equal_a_plain_forward_pass(
    name: str, batch_size: int, models: dict[str, LoadedModel], prompts: list[str]
) -> None:
    loaded = models[name]
    continuations = [" stove heat", " yes", "The answer is lake.", ""] * 5
    scores = LocalGenerator(loaded, batch_size).score(prompts, continuations[: len(prompts)])
    for prompt, text, score in zip(prompts, continuations, scores, strict=False):
        ids = loaded.tokenizer(prompt)["input_ids"]
        target = loaded.tokenizer(text)["input_ids"]
        if not target:
            assert score == 0
            continue
        with torch.inference_mode():
            if loaded.is_encoder_decoder:
                logits = loaded.model(
                    input_ids=torch.tensor([[*ids, 1]]), labels=torch.tensor([target])
                ).logits[0]
            else:
                ids = ids or [1]
                logits = loaded.model(torch.tensor([ids + target])).logits[0, len(ids) - 1 : -1]
        expected = logits.log_softmax(-1)[range(len(target)), target].sum()
        assert score == pytest.approx(float(expected), rel=1e-4, abs=1e-4)


def test_only_empty_continuations_score_nothing(models: dict[str, LoadedModel]) -> None:
    for name in MODELS:
        assert LocalGenerator(models[name]).score(["water", "heat"], ["", ""]) == [0, 0]


def test_texts_longer_than_the_model_reads_are_refused(models: dict[str, LoadedModel]) -> None:
    room = models["gpt2"].model.config.max_position_embeddings
    with pytest.raises(ModelError, match=f"reads {room} tokens"):
        LocalGenerator(models["gpt2"]).score(["water " * room], [" heat"])


@pytest.mark.parametrize("name", ["llama", "t5"])
def test_prompts_are_cut_as_in_training(name: str, models: dict[str, LoadedModel]) -> None:
    loaded = models[name]
    ids = loaded.tokenizer(FEW_SHOT)["input_ids"]
    kept = loaded.tokenizer.decode(ids[:9] if name == "t5" else ids[:10])
    generator = LocalGenerator(loaded, max_prompt_tokens=10)
    texts = generate_all(generator, [FEW_SHOT, kept], Decoding(max_new_tokens=8))
    assert texts[0] == texts[1]
    assert texts[0].prompt_tokens == 10


def test_chat_prompts(models: dict[str, LoadedModel], tiny_models: dict[str, Path]) -> None:
    with pytest.raises(ModelError, match="has no chat template"):
        list(LocalGenerator(models["llama"]).generate(["Hello"], Decoding(chat=True)))
    loaded = load_model(f"hf:{tiny_models['llama']}")
    loaded.tokenizer.chat_template = (
        "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    decoding = Decoding(max_new_tokens=8, chat=True)
    (text,) = generate_all(LocalGenerator(loaded), ["Hello"], decoding)
    assert text == plain(loaded, "<user> Hello\n<assistant>", 8)


def test_a_model_whose_state_a_batch_would_lose_is_refused(
    models: dict[str, LoadedModel],
) -> None:
    size = models["llama"].model.config.vocab_size
    config = MambaConfig(vocab_size=size, hidden_size=32, num_hidden_layers=2, state_size=8)
    mamba = LoadedModel("mamba", MambaForCausalLM(config).eval(), models["llama"].tokenizer)
    generator = LocalGenerator(mamba)
    if keeps_its_state(mamba.model, 0):
        pytest.skip("this version of transformers reads Mamba's masks as those of other models")
    with pytest.raises(ModelError, match="keeps its state"):
        generate_all(generator, ["A man"], Decoding(max_new_tokens=4))


def test_no_prompts(models: dict[str, LoadedModel]) -> None:
    for name in MODELS:
        assert generate_all(LocalGenerator(models[name]), [], Decoding()) == []
        assert LocalGenerator(models[name]).score([], []) == []


def test_a_prompt_longer_than_the_model_reads_is_refused(tiny_models: dict[str, Path]) -> None:
    loaded = load_model(f"hf:{tiny_models['gpt2']}")
    room = loaded.model.config.max_position_embeddings
    generator = LocalGenerator(loaded)
    with pytest.raises(ModelError, match=f"reads {room} tokens"):
        list(generator.generate(["why " * room], Decoding(max_new_tokens=1)))
