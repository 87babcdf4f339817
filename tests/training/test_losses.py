"""The loss against separate plain forward passes: one view, one row at a time, full logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    LlamaConfig,
    PreTrainedTokenizerBase,
    TrainingArguments,
)

from distilwhy.config import MethodSettings
from distilwhy.models.load import LoadedModel, load_model
from distilwhy.models.packing import can_pack
from distilwhy.records import Annotation
from distilwhy.students.encode import Encoder
from distilwhy.students.rows import EncodedRow
from distilwhy.students.views import Row, ViewOptions, make_rows
from distilwhy.training.batches import Bundle, StepSampler
from distilwhy.training.losses import token_losses, view_counts, weighted_view_loss
from distilwhy.training.methods import Method, resolve_method
from distilwhy.training.trainer import ViewTrainer, length_batches

MODELS = ("t5", "old_t5", "llama", "gpt2")
DECODER_ONLY = ("llama", "gpt2")

FORMULAS: dict[str, Callable[..., float]] = {
    "answer_only": lambda v, a, b, g: v["predict"],
    "rationale_then_answer": lambda v, a, b, g: v["factual"],
    "multitask": lambda v, a, b, g: a * v["predict"] + (1 - a) * v["explain"],
    "counterfactual": lambda v, a, b, g: v["factual"] + v["counterfactual"],
    "multitask+counterfactual": lambda v, a, b, g: (
        g * (a * v["predict"] + (1 - a) * v["explain"])
        + (1 - g) * (b * v["factual"] + (1 - b) * v["counterfactual"])
    ),
}
VIEWS = ("predict", "explain", "factual", "counterfactual")


class Bench:
    """One tiny model with a trainer around it."""

    def __init__(self, folder: Path, out: Path) -> None:
        self.loaded: LoadedModel = load_model(f"hf:{folder}")
        arguments = TrainingArguments(output_dir=str(out), use_cpu=True, report_to="none")
        self.trainer = ViewTrainer(
            self.loaded.model,
            arguments,
            method=Method("none", {"predict": 1.0}),
            encoder=self.encoder(pack=False),
            rows=[],
            sampler=StepSampler([[0]], lambda rows: [Bundle([0], 1)], batch_size=1),
            held_out=[],
        )

    def encoder(self, pack: bool) -> Encoder:
        return Encoder(
            self.loaded.tokenizer,
            is_encoder_decoder=self.loaded.is_encoder_decoder,
            decoder_start=0,
            pack=pack,
        )

    def encode(self, rows: Sequence[Row], method: Method, pack: bool) -> list[EncodedRow]:
        number = {view: place for place, view in enumerate(method.weights)}
        self.trainer.method = method
        self.trainer.encoder = self.encoder(pack)
        self.trainer.weights = torch.tensor(list(method.weights.values()))
        return [self.trainer.encoder.encode(row, number[row.view]) for row in rows]

    def loss(self, encoded: Sequence[EncodedRow], counts: torch.Tensor | None = None) -> Any:
        batch = self.trainer.encoder.collate(encoded)
        self.loaded.model.eval()
        return self.trainer.compute_loss(self.loaded.model, batch, num_items_in_batch=counts)

    @torch.inference_mode()
    def reference(self, row: Row) -> tuple[float, int]:
        """Return a row's summed target loss and its number of counted tokens, from the texts."""
        tokenizer, model = self.loaded.tokenizer, self.loaded.model
        source = tokenizer(row.source)["input_ids"]
        given = tokenizer(row.given)["input_ids"] if row.given else []
        target = [*given, *tokenizer(row.target)["input_ids"], tokenizer.eos_token_id]
        if self.loaded.is_encoder_decoder:
            labels = torch.tensor([target])
            inputs = torch.tensor([[*source, tokenizer.eos_token_id]])
            logits = model(input_ids=inputs, labels=labels).logits[0]
        else:
            logits = model(input_ids=torch.tensor([[*source, *target]])).logits[0]
            logits = logits[len(source) - 1 : -1]
        kept = slice(len(given), None)
        loss = torch.nn.functional.cross_entropy(
            logits[kept], torch.tensor(target)[kept], reduction="sum"
        )
        return float(loss), len(target) - len(given)

    def view_means(self, rows: Sequence[Row]) -> dict[str, float]:
        means = {}
        for view in {row.view for row in rows}:
            parts = [self.reference(row) for row in rows if row.view == view]
            means[view] = sum(loss for loss, _ in parts) / sum(count for _, count in parts)
        return means


@pytest.fixture(scope="module")
def benches(
    tiny_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Bench]:
    return {
        name: Bench(tiny_models[name], tmp_path_factory.mktemp("trainer") / name) for name in MODELS
    }


def rows_of(annotations: Sequence[Annotation], method: Method, **options: Any) -> list[Row]:
    grouped = make_rows(annotations, list(method.weights), ViewOptions(**options))
    return [row for rows in grouped for row in rows]


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_loss_of_every_method_equals_separate_passes(
    name: str, pack: bool, benches: dict[str, Bench], tiny_annotations: list[Annotation]
) -> None:
    bench = benches[name]
    every = Method("all", dict.fromkeys(VIEWS, 1.0))
    means = bench.view_means(rows_of(tiny_annotations[:4], every))
    for method_name, formula in FORMULAS.items():
        for a, b, g in ((0.5, 0.5, 0.5), (0.2, 0.5, 1.0), (1.0, 0.2, 0.0), (0.0, 1.0, 0.2)):
            settings = MethodSettings(method=method_name, alpha=a, beta=b, gamma=g)
            method = resolve_method(settings)
            encoded = bench.encode(rows_of(tiny_annotations[:4], method), method, pack)
            expected = formula(means, a, b, g)
            assert bench.loss(encoded).item() == pytest.approx(expected, rel=1e-5), (
                method_name,
                (a, b, g),
            )


@pytest.mark.parametrize("name", MODELS)
def test_a_method_of_ones_own_weighs_its_views(
    name: str, benches: dict[str, Bench], tiny_annotations: list[Annotation]
) -> None:
    bench = benches[name]
    settings = MethodSettings(method="mine", views={"explain": 3.0, "predict": 0.25})
    method = resolve_method(settings)
    rows = rows_of(tiny_annotations[:4], method, data="revised")
    means = bench.view_means(rows)
    expected = 3 * means["explain"] + 0.25 * means["predict"]
    loss = bench.loss(bench.encode(rows, method, pack=True))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_decoder_form_counts_only_the_answer(
    name: str, pack: bool, benches: dict[str, Bench], tiny_annotations: list[Annotation]
) -> None:
    bench = benches[name]
    method = Method("scott", {"counterfactual": 1.0})
    options = {"counterfactual_form": "decoder", "wrong_choices": "all"}
    rows = rows_of(tiny_annotations[:4], method, **options)
    encoded = bench.encode(rows, method, pack)
    for row, tokens in zip(rows, encoded, strict=True):
        counted = bench.loaded.tokenizer.decode(tokens.target[tokens.given :])
        assert counted == row.target + "</s>"
        assert "People like" in bench.loaded.tokenizer.decode(tokens.target[: tokens.given])
    expected = bench.view_means(rows)["counterfactual"]
    assert bench.loss(encoded).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_row_order_and_padding_do_not_matter(
    name: str, pack: bool, benches: dict[str, Bench], tiny_annotations: list[Annotation]
) -> None:
    bench = benches[name]
    method = resolve_method(MethodSettings(method="multitask+counterfactual"))
    rows = rows_of(tiny_annotations[:4], method)
    encoded = bench.encode(rows, method, pack)
    plain = bench.loss(encoded).item()
    assert bench.loss(encoded[::-1]).item() == pytest.approx(plain, rel=1e-5)
    # A row of another view pads all others; it counts in that view alone, whose weight is 0 here.
    longest = max(encoded, key=lambda row: row.tokens)
    long = EncodedRow(len(VIEWS), longest.source * 2, longest.target * 3, 0, False)
    bench.trainer.weights = torch.tensor([*method.weights.values(), 0.0])
    assert bench.loss([*encoded, long]).item() == pytest.approx(plain, rel=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_micro_batches_add_up_to_one_pass(
    name: str, benches: dict[str, Bench], tiny_annotations: list[Annotation]
) -> None:
    bench = benches[name]
    method = resolve_method(MethodSettings(method="multitask+counterfactual", alpha=0.2))
    encoded = bench.encode(rows_of(tiny_annotations[:5], method), method, pack=True)
    model = bench.loaded.model

    def gradients() -> dict[str, torch.Tensor]:
        found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        model.zero_grad(set_to_none=True)
        return found

    whole = bench.loss(encoded)
    whole.backward()
    one_pass = gradients()
    parts = [encoded[:3], encoded[3:10], encoded[10:]]
    batches = [bench.trainer.encoder.collate(part) for part in parts]
    counts = bench.trainer._get_num_items_in_batch(batches, torch.device("cpu"))
    assert isinstance(counts, torch.Tensor)
    losses = [bench.loss(part, counts) for part in parts]
    for loss in losses:
        loss.backward()
    assert sum(loss.item() for loss in losses) == pytest.approx(whole.item(), rel=1e-5)
    cut = gradients()
    assert cut.keys() == one_pass.keys()
    for parameter, gradient in one_pass.items():
        torch.testing.assert_close(cut[parameter], gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_evaluation_gives_each_view_its_own_mean(
    name: str, benches: dict[str, Bench], tiny_annotations: list[Annotation]
) -> None:
    bench = benches[name]
    method = resolve_method(MethodSettings(method="multitask+counterfactual", gamma=0.2))
    rows = rows_of(tiny_annotations[:6], method)
    bench.trainer.held_out = bench.encode(rows, method, pack=True)
    metrics = bench.trainer.evaluate()
    means = bench.view_means(rows)
    for view in VIEWS:
        assert metrics[f"eval_{view}"] == pytest.approx(means[view], rel=1e-5)
    total = FORMULAS["multitask+counterfactual"](means, 0.5, 0.5, 0.2)
    assert metrics["eval_loss"] == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_models_that_keep_rows_apart_are_packed(name: str, benches: dict[str, Bench]) -> None:
    assert can_pack(benches[name].loaded.model)


def test_a_model_that_ignores_positions_is_not_packed(benches: dict[str, Bench]) -> None:
    class Deaf(torch.nn.Module):
        device = torch.device("cpu")
        config = LlamaConfig()

        def forward(self, input_ids: torch.Tensor, **ignored: Any) -> Any:
            return benches["llama"].loaded.model(input_ids=input_ids)

    assert not can_pack(Deaf())


def test_an_encoder_decoder_that_counts_positions_is_not_packed() -> None:
    layers = {"encoder_layers": 1, "decoder_layers": 1, "d_model": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    sizes = {"encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "vocab_size": 50}
    torch.manual_seed(0)
    model = BartForConditionalGeneration(BartConfig(init_std=1.0, **layers, **heads, **sizes))
    assert not can_pack(model)


def test_losses_by_hand() -> None:
    # Two tokens of view 0, one of view 1, none of view 2; uniform logits over four words.
    labels = torch.tensor([0, 1, 3])
    losses = token_losses(torch.zeros(3, 4, dtype=torch.bfloat16), labels)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, torch.full((3,), 4.0).log())
    views = torch.tensor([0, 0, 1])
    counts = view_counts(views, 3)
    assert counts.tolist() == [2, 1, 0]
    weights = torch.tensor([2.0, 0.5, 7.0])
    loss = weighted_view_loss(torch.tensor([1.0, 3.0, 10.0]), views, weights, counts)
    assert loss.item() == 2 * 2 + 0.5 * 10


def test_length_batches_hold_each_row_once_within_the_limit() -> None:
    rows = [EncodedRow(0, (1,) * length, (1, 2), 0, False) for length in (30, 3, 12, 3, 9, 28)]
    encoder = Encoder(PreTrainedTokenizerBase(), is_encoder_decoder=False)
    batches = length_batches(rows, encoder, 40)
    assert sorted(len(row.source) for batch in batches for row in batch) == [3, 3, 9, 12, 28, 30]
    for batch in batches:
        assert len(batch) == 1 or max(row.tokens for row in batch) * len(batch) <= 40
