"""The local engine: contrast, likelihoods, prefixes once, rows that join, want of memory."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from distilwhy.errors import ModelError
from distilwhy.generators import row_budget, transformers_local
from distilwhy.generators.base import ContrastedPrompt, Decoding, Generated, generate_all
from distilwhy.generators.prefixes import MIN_PREFIX
from distilwhy.generators.transformers_local import LocalGenerator
from distilwhy.models.load import LoadedModel, load_model

SHOTS = "Question: Where do you put a kettle to boil water?\nChoices: (a) stove (b) garden\n" * 3
QUESTIONS = [
    f"Question: Where does the {thing} go?\nChoices: (a) stove (b) lake (c) a man\nThe answer is "
    for thing in ("kettle that boils", "dog of a man who walks", "water", "yes and no", "garden")
]
PROMPTS = [SHOTS + question + choice for question in QUESTIONS for choice in ("stove", "lake", "a")]


@pytest.fixture(scope="module", params=["llama", "t5", "gpt2"])
def loaded(request: pytest.FixtureRequest, tiny_models: dict[str, Path]) -> LoadedModel:
    return load_model(f"hf:{tiny_models[request.param]}")


@pytest.fixture
def llama(tiny_models: dict[str, Path]) -> LoadedModel:
    return load_model(f"hf:{tiny_models['llama']}")


def next_logprobs(loaded: LoadedModel, prompt: str, written: Sequence[int]) -> torch.Tensor:
    """Return log-probabilities of the next token by one plain forward pass."""
    ids = loaded.tokenizer(prompt)["input_ids"]
    if loaded.is_encoder_decoder:
        start = loaded.model.config.decoder_start_token_id
        inputs = {
            "input_ids": torch.tensor([[*ids, loaded.tokenizer.eos_token_id]]),
            "decoder_input_ids": torch.tensor([[start, *written]]),
        }
    else:
        inputs = {"input_ids": torch.tensor([[*ids, *written]])}
    with torch.inference_mode():
        logits: torch.Tensor = loaded.model(**inputs, use_cache=False).logits[0, -1]
    return logits.log_softmax(-1)


def two_passes(
    loaded: LoadedModel, prompt: str, against: str, weight: float, limit: int
) -> list[int]:
    ends = loaded.model.generation_config.eos_token_id
    written: list[int] = []
    while len(written) < limit and not (written and written[-1] in ends):
        own = next_logprobs(loaded, prompt, written)
        other = next_logprobs(loaded, against, written)
        written.append(int((own - weight * other).argmax()))
    return written


@pytest.mark.parametrize("batch_size", [1, 4, 32])
@pytest.mark.parametrize("weight", [0.5, 1.0])
def test_contrast_equals_two_plain_passes(
    loaded: LoadedModel, weight: float, batch_size: int
) -> None:
    prompts = [
        ContrastedPrompt(prompt, other)
        for prompt, other in zip(PROMPTS, [*PROMPTS[1:], "water"], strict=True)
    ]
    decoding = Decoding(max_new_tokens=10, contrast=weight)
    texts = generate_all(LocalGenerator(loaded, batch_size), prompts, decoding)
    plain = generate_all(LocalGenerator(loaded, batch_size), PROMPTS, Decoding(max_new_tokens=10))
    for prompt, text in zip(prompts, texts, strict=True):
        tokens = two_passes(loaded, prompt, prompt.against, weight, 10)
        assert text.text == loaded.tokenizer.decode(tokens, skip_special_tokens=True)
        assert text.completion_tokens == len(tokens)
    assert [t.text for t in texts] != [t.text for t in plain]


def test_contrast_of_a_plain_prompt_is_refused(llama: LoadedModel) -> None:
    with pytest.raises(TypeError, match="ContrastedPrompt"):
        list(LocalGenerator(llama).generate(["water"], Decoding(contrast=0.5)))


def test_a_contrasted_prompt_is_its_text_also_in_other_processes() -> None:
    prompt = pickle.loads(pickle.dumps(ContrastedPrompt("why", "why not")))
    assert (prompt, prompt.against) == ("why", "why not")


def test_likelihoods_are_those_of_a_plain_pass(loaded: LoadedModel) -> None:
    decoding = Decoding(max_new_tokens=8, logprobs=True)
    generator = LocalGenerator(loaded, 5)
    written = {}
    for number, text in generator.generate(PROMPTS, decoding):
        written[number] = text
    for number, prompt in enumerate(PROMPTS):
        tokens = two_passes(loaded, prompt, prompt, 0.0, 8)
        expected = sum(
            float(next_logprobs(loaded, prompt, tokens[:place])[token])
            for place, token in enumerate(tokens)
        )
        assert written[number].logprob == pytest.approx(expected, abs=1e-3)


class Passes:
    """Notes how many tokens each forward pass of a model takes."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.tokens: list[int] = []
        model.register_forward_pre_hook(self._note, with_kwargs=True)

    def _note(self, model: object, args: object, kwargs: dict[str, torch.Tensor]) -> None:
        self.tokens.append(kwargs["input_ids"].numel())


def test_each_beginning_is_computed_once(llama: LoadedModel) -> None:
    generator = LocalGenerator(llama, 32)
    assert generator.prefixes is not None
    passes = Passes(llama.model)
    ids = [llama.tokenizer(prompt)["input_ids"] for prompt in PROMPTS]
    different = len({tuple(line[:place]) for line in ids for place in range(1, len(line) + 1)})
    texts = generate_all(generator, PROMPTS, Decoding(max_new_tokens=1))
    assert all(text.prompt_tokens == len(line) for text, line in zip(texts, ids, strict=True))
    # Two prefixes, one the beginning of the other, then all rows together.
    assert len(passes.tokens) == 3
    # Each row computes its last token itself, and few-token beginnings are not worth their place.
    assert different <= sum(passes.tokens) <= different + 10 * len(PROMPTS)
    assert sum(passes.tokens) < sum(map(len, ids)) / 3
    first = sum(passes.tokens)
    generate_all(generator, [prompt + "?" for prompt in PROMPTS], Decoding(max_new_tokens=1))
    assert sum(passes.tokens) - first <= first - MIN_PREFIX


def test_rows_that_are_measured_change_no_text(
    llama: LoadedModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(row_budget, "STEPS", 2)
    monkeypatch.setattr(row_budget, "GAIN", 0.0)  # whatever this machine's other work is
    prompts = [f"{number} {prompt}" for number in range(10) for prompt in PROMPTS]
    decoding = Decoding(max_new_tokens=8)
    expected = generate_all(LocalGenerator(llama, 16), prompts, decoding)
    generator = LocalGenerator(llama, 64)
    assert generate_all(generator, prompts, decoding) == expected
    assert list(generator.budget.rates) == [32, 64]
    assert f"{llama.name} writes 64 texts at a time" in capsys.readouterr().err


def taken_and_given(
    generator: LocalGenerator, prompts: Sequence[str], decoding: Decoding
) -> Iterator[tuple[int, int]]:
    """Yield how many prompts were taken and how many texts were given, at each text."""
    taken = 0

    def supply() -> Iterator[str]:
        nonlocal taken
        for prompt in prompts:
            taken += 1
            yield prompt

    for given, _ in enumerate(generator.generate(supply(), decoding), 1):
        yield taken, given


def test_prompts_are_taken_as_there_is_room(llama: LoadedModel) -> None:
    prompts = [f"{SHOTS}{number} {PROMPTS[number % 15]}" for number in range(60)]
    flow = list(taken_and_given(LocalGenerator(llama, 8), prompts, Decoding(max_new_tokens=12)))
    assert flow[-1] == (60, 60)
    # A batch, the rest of its last question, and one prompt looked at.
    assert max(taken - given for taken, given in flow) <= 8 + 2 + 1
    assert flow[0][0] <= 11
    ahead = [taken - given for taken, given in flow[10:-20]]
    assert min(ahead) > 0, "rows join before the batch is empty"


class Scarce:
    """A model's forward pass that finds memory for few tokens at a time only."""

    def __init__(self, model: torch.nn.Module, most: int, error: Exception) -> None:
        self.most, self.error, self.refused = most, error, 0
        model.register_forward_pre_hook(self._check, with_kwargs=True)

    def _check(self, model: object, args: object, kwargs: dict[str, torch.Tensor]) -> None:
        ids = kwargs.get("input_ids", kwargs.get("decoder_input_ids"))
        if ids is not None and ids.shape[-1] * ids.shape[0] > self.most:
            self.refused += 1
            raise type(self.error)(*self.error.args)


LAST_LAYERS = {
    "llama": "layers.1.self_attn",
    "padded": "layers.1.self_attn",
    "gpt2": "h.1.attn",
    "t5": "decoder.block.1.layer.0.SelfAttention",
}
CPU_ERROR = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 1 bytes")


@pytest.mark.parametrize("name", ["llama", "t5"])
@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), CPU_ERROR])
def test_want_of_memory_halves_the_batch(
    name: str, error: Exception, tiny_models: dict[str, Path]
) -> None:
    loaded = load_model(f"hf:{tiny_models[name]}")
    prompts = [f"{shout} {prompt}" for shout in ("Yes.", "No.", "Lake.") for prompt in PROMPTS]
    decoding = Decoding(max_new_tokens=8)
    expected = generate_all(LocalGenerator(loaded, 45), prompts, decoding)
    generator = LocalGenerator(loaded, 45)
    # Encoder-decoder passes have a token a row; decoder-only ones also take whole beginnings.
    longest = max(len(loaded.tokenizer(prompt)["input_ids"]) for prompt in prompts)
    scarce = Scarce(loaded.model, 5 if name == "t5" else longest, error)
    assert generate_all(generator, prompts, decoding) == expected
    assert scarce.refused >= 1


def test_memory_that_runs_out_in_the_middle_begins_rows_anew(llama: LoadedModel) -> None:
    prompts = PROMPTS * 2
    decoding = Decoding(max_new_tokens=8, temperature=1.0, seed=3)
    expected = generate_all(LocalGenerator(llama, 30), prompts, decoding)
    generator = LocalGenerator(llama, 30)
    steps = 0

    def fail(model: object, args: object, kwargs: dict[str, torch.Tensor]) -> None:
        nonlocal steps
        # With a token a row it is a step in the middle of texts.
        steps += kwargs["input_ids"].numel() <= len(prompts)
        if steps == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")

    llama.model.register_forward_pre_hook(fail, with_kwargs=True)
    found: dict[int, list[Generated]] = {}
    for number, text in generator.generate(prompts, decoding):
        found.setdefault(number, []).append(text)
    assert steps > 3
    assert [found[number] for number in range(30)] == [[text] for text in expected]


@pytest.mark.parametrize("name", ["llama", "gpt2", "t5", "padded"])
def test_memory_that_runs_out_between_layers_spoils_no_text(
    name: str, tiny_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_model(f"hf:{tiny_models['llama' if name == 'padded' else name]}")
    if name == "padded":
        monkeypatch.setattr(transformers_local, "can_use_slots", lambda model: False)
    decoding = Decoding(max_new_tokens=8)
    expected = generate_all(LocalGenerator(loaded, 15), PROMPTS, decoding)
    attentions = [m for n, m in loaded.model.named_modules() if n.endswith(LAST_LAYERS[name])]
    steps = 0

    def fail(module: object, args: tuple[torch.Tensor, ...], kwargs: dict[str, Any]) -> None:
        nonlocal steps
        hidden = args[0] if args else kwargs["hidden_states"]
        # With a token a row it is a step; the layer before has kept its keys already.
        is_step = hidden.shape[0] * hidden.shape[1] <= len(PROMPTS)
        steps += is_step
        if is_step and steps == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")

    assert len(attentions) == 1
    attentions[0].register_forward_pre_hook(fail, with_kwargs=True)
    assert generate_all(LocalGenerator(loaded, 15), PROMPTS, decoding) == expected
    assert steps > 3


def test_no_memory_for_a_single_text(llama: LoadedModel) -> None:
    Scarce(llama.model, 0, CPU_ERROR)
    with pytest.raises(ModelError, match="ran out of memory with a single text"):
        list(LocalGenerator(llama, 4).generate(["water", "heat"], Decoding()))


def test_other_errors_are_not_taken_for_want_of_memory(llama: LoadedModel) -> None:
    Scarce(llama.model, 0, RuntimeError("shape mismatch"))
    with pytest.raises(RuntimeError, match="shape mismatch"):
        list(LocalGenerator(llama, 4).generate(["water", "heat"], Decoding()))


def test_a_stopped_reader_leaves_a_usable_model(llama: LoadedModel) -> None:
    generator = LocalGenerator(llama, 4)
    expected = generate_all(generator, PROMPTS, Decoding(max_new_tokens=6))
    texts = generator.generate(PROMPTS, Decoding(max_new_tokens=6))
    next(texts)
    texts.close()
    assert generate_all(generator, PROMPTS, Decoding(max_new_tokens=6)) == expected
    scores = generator.score(PROMPTS[:3], ["stove", "lake", "water"])
    plain = LocalGenerator(load_model(llama.name), 4).score(PROMPTS[:3], ["stove", "lake", "water"])
    assert scores == pytest.approx(plain, abs=1e-4)
