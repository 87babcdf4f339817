"""Views of a question that is read once, against plain passes over each row by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from distilwhy.config import (
    Condition,
    LoraSettings,
    PredictionSettings,
    SoftSettings,
    TrainingSettings,
)
from distilwhy.errors import ConfigError
from distilwhy.inference.predict import predict
from distilwhy.models.load import LoadedModel, load_model
from distilwhy.models.packing import can_share_sources
from distilwhy.records import Annotation, TrainingSummary
from distilwhy.students.encode import Encoder
from distilwhy.students.forward import target_logits
from distilwhy.students.load import read_card
from distilwhy.students.rows import EncodedRow
from distilwhy.students.views import Row
from distilwhy.tasks.base import question_text
from distilwhy.training.data import TrainingData, encode_data, step_sampler
from distilwhy.training.methods import Method, resolve_method
from distilwhy.training.train import make_encoder

Train = Callable[..., TrainingSummary]

END = TrainingSettings(tag="end", held_out=0.0)
METHODS = ("multitask", "multitask+counterfactual")
MODELS = ("llama", "t5")


class Run:
    """A tiny model and the rows of a method, tags at the end."""

    def __init__(
        self, folder: Path, annotations: Sequence[Annotation], settings: Any, **fields: Any
    ) -> None:
        condition = Condition.model_validate(fields)
        self.loaded: LoadedModel = load_model(f"hf:{folder}")
        self.model: Any = self.loaded.model
        self.method: Method = resolve_method(condition)
        self.encoder: Encoder = make_encoder(self.loaded, settings)
        assert self.encoder.share
        self.data: TrainingData = encode_data(
            annotations, [], self.method, condition, settings, self.encoder
        )

    def gradients(self) -> dict[str, torch.Tensor]:
        found = {n: p.grad.clone() for n, p in self.model.named_parameters() if p.grad is not None}
        self.model.zero_grad(set_to_none=True)
        return found

    def plain_loss(self, row: Row) -> tuple[torch.Tensor, int]:
        """Return a row's summed loss and counted tokens, from its texts and a pass of its own."""
        tokenizer = self.loaded.tokenizer
        source, tag, given, target = (
            tokenizer(text)["input_ids"] if text else []
            for text in (row.source, row.tag, row.given, row.target)
        )
        end = tokenizer.eos_token_id
        read, counted = [*tag, *given], [*target, end]
        if self.loaded.is_encoder_decoder:
            logits = self.model(
                input_ids=torch.tensor([[*source, end]]),
                decoder_input_ids=torch.tensor([[0, *read, *counted[:-1]]]),
            ).logits[0, len(read) :]
        else:
            line = torch.tensor([[*source, *read, *counted[:-1]]])
            logits = self.model(input_ids=line).logits[0, len(source) + len(read) - 1 :]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(counted), reduction="sum")
        return loss, len(counted)

    def plain_method_loss(self) -> torch.Tensor:
        total = torch.zeros(())
        for view, weight in self.method.weights.items():
            parts = [self.plain_loss(row) for row in self.data.texts if row.view == view]
            mean = sum(loss for loss, _ in parts) / sum(count for _, count in parts)
            total = total + weight * mean
        return total

    def shared_method_loss(self) -> torch.Tensor:
        batch = self.encoder.collate(self.data.rows)
        losses = torch.nn.functional.cross_entropy(
            target_logits(self.model, batch), batch["labels"], reduction="none"
        )
        means = [losses[batch["label_views"] == view].mean() for view in range(len(self.weights))]
        return (torch.stack(means) * torch.tensor(self.weights)).sum()

    def recompute(self) -> None:
        """Have activations computed again in the backward pass."""
        for module in self.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
            elif isinstance(getattr(module, "dropout", None), float):
                module.dropout = 0.0
        self.model.train()
        self.model.activation_checkpointing_enable()

    @property
    def weights(self) -> list[float]:
        return list(self.method.weights.values())


@pytest.mark.parametrize("form", ["input", "decoder"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", MODELS)
def test_loss_and_gradients_equal_those_of_rows_by_themselves(
    name: str,
    method: str,
    form: str,
    tiny_models: dict[str, Path],
    tiny_annotations: list[Annotation],
) -> None:
    fields = {"method": method, "counterfactual_form": form, "wrong_choices": "all"}
    run = Run(tiny_models[name], tiny_annotations[:5], END, **fields)
    wanted = run.plain_method_loss()
    wanted.backward()
    gradients = run.gradients()
    # In training other kernels are at work, which round otherwise.
    for recomputes, tolerance in ((False, 1e-5), (True, 1e-4)):
        if recomputes:
            run.recompute()
        loss = run.shared_method_loss()
        assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
        loss.backward()
        found = run.gradients()
        assert found.keys() == gradients.keys()
        for parameter, gradient in gradients.items():
            difference = (found[parameter] - gradient).norm()
            assert difference <= tolerance * gradient.norm().clamp(min=1e-3), parameter


@pytest.mark.parametrize("name", MODELS)
def test_the_question_is_read_once(
    name: str, tiny_models: dict[str, Path], tiny_annotations: list[Annotation]
) -> None:
    run = Run(tiny_models[name], tiny_annotations[:5], END, method="multitask+counterfactual")
    rows = run.data.rows
    questions = {row.source for row in rows}
    assert len(questions) == 5
    assert len(rows) == 20
    batch = run.encoder.collate(rows)
    targets = sum(len(row.target) for row in rows)
    if run.loaded.is_encoder_decoder:
        read = int((batch["input_ids"] != 0).sum())
        assert read == sum(map(len, questions))
        assert int(batch["tokens"]) == read + targets
    else:
        # The last token of each target foretells nothing.
        assert int(batch["tokens"]) == sum(map(len, questions)) + targets - len(rows)
        unshared = Encoder(run.loaded.tokenizer, is_encoder_decoder=False, pack=True)
        more = int(unshared.collate(rows)["tokens"]) - int(batch["tokens"])
        assert more == 3 * sum(map(len, questions))


def test_lines_by_hand(tiny_models: dict[str, Path]) -> None:
    tokenizer = load_model(f"hf:{tiny_models['llama']}").tokenizer
    encoder = Encoder(tokenizer, is_encoder_decoder=False, pack=True, share=True)
    rows = [
        EncodedRow(0, (10, 11), (20, 21, 1), 1, False, 0),
        EncodedRow(1, (12,), (30, 1), 0, False, 1),
        EncodedRow(2, (10, 11), (40, 41, 42, 1), 2, False, 2),
        # Of the same source as the second, but neither has a token given.
        EncodedRow(3, (12,), (50, 1), 0, False, 3),
    ]
    assert encoder.bundles(rows) == [[0, 2], [1], [3]]
    assert encoder.tokens(rows) == 9 + 3 + 3
    batch = encoder.collate(rows)
    lines = dict(zip(map(tuple, batch["input_ids"].tolist()), range(9), strict=False))
    place = next(number for line, number in lines.items() if line[:2] == (10, 11))
    assert batch["input_ids"][place].tolist()[:7] == [10, 11, 20, 21, 40, 41, 42]
    assert batch["position_ids"][place].tolist()[:7] == [0, 1, 2, 3, 2, 3, 4]
    assert batch["select"][place].int().tolist()[:7] == [0, 0, 1, 1, 0, 1, 1]
    assert batch["attention_mask"][place, 0].int().tolist()[:7] == [
        [1, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0],
        [1, 1, 0, 0, 1, 0, 0],
        [1, 1, 0, 0, 1, 1, 0],
        [1, 1, 0, 0, 1, 1, 1],
    ]
    labels = list(zip(batch["labels"].tolist(), batch["label_rows"].tolist(), strict=True))
    assert sorted(labels) == [(1, 0), (1, 1), (1, 2), (1, 3), (21, 0), (30, 1), (42, 2), (50, 3)]


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("lora", [None, LoraSettings(rank=2)])
@pytest.mark.parametrize("name", MODELS)
def test_a_student_is_asked_as_it_was_trained(
    name: str,
    lora: LoraSettings | None,
    swapped: bool,
    fit: Train,
    tmp_path: Path,
    tiny_annotations: list[Annotation],
) -> None:
    multitask, folder = Condition(method="multitask"), tmp_path / "s"
    fit(folder, name, multitask, lora=lora, tag="end", max_steps=2, max_source_tokens=40)
    assert read_card(folder).tag == "end"
    settings = PredictionSettings(
        batch_size=3,
        max_new_tokens=12,
        precision="fp32",
        tags="swapped" if swapped else "learnt",
    )
    examples = [annotation.example for annotation in tiny_annotations[:4]]
    predicted = predict(folder, examples, settings).predictions
    loaded = load_model(f"hf:{folder}", torch.float32)
    tokenizer, model = loaded.tokenizer, loaded.model
    tags = ["[explain]", "[predict]"] if swapped else ["[predict]", "[explain]"]
    for example, prediction in zip(examples, predicted, strict=True):
        texts = []
        for tag in tags:
            question = tokenizer(question_text(example) + "\n")["input_ids"]
            begun = tokenizer(tag)["input_ids"]
            if loaded.is_encoder_decoder:
                line = [*question[:39], tokenizer.eos_token_id]
                given: dict[str, Any] = {"decoder_input_ids": torch.tensor([[0, *begun]])}
                skipped = 1 + len(begun)
            else:
                line, given = [*question[:40], *begun], {}
                skipped = len(line)
            written = model.generate(
                input_ids=torch.tensor([line]),
                attention_mask=torch.ones(1, len(line), dtype=torch.long),
                max_new_tokens=12,
                do_sample=False,
                **given,
            )[0, skipped:]
            texts.append(tokenizer.decode(written, skip_special_tokens=True).strip())
        assert [prediction.answer_text, prediction.rationale or ""] == texts
    assert len({prediction.answer_text for prediction in predicted}) > 1


def test_a_run_in_parts_equals_one_in_a_piece(fit: Train, tmp_path: Path) -> None:
    """Passes, recomputed activations and cut targets change no loss but by rounding."""
    shared: dict[str, Any] = {"tag": "end", "max_steps": 3, "max_target_tokens": 16}
    whole = fit(tmp_path / "a", **shared, micro_batches=1)
    parts = fit(tmp_path / "b", **shared, micro_batches=3, gradient_checkpointing=True)
    for one, other in zip(whole.curve, parts.curve, strict=True):
        for kind in ("loss", "held_out_loss"):
            expected = getattr(one, kind)
            if expected is not None:
                assert getattr(other, kind) == pytest.approx(expected, rel=1e-4)
    assert whole.tokens == parts.tokens


def test_cut_targets_keep_their_tag(
    tiny_models: dict[str, Path], tiny_annotations: list[Annotation]
) -> None:
    settings = END.model_copy(update={"max_target_tokens": 3})
    run = Run(tiny_models["llama"], tiny_annotations, settings, method="multitask+counterfactual")
    for text, row in zip(run.data.texts, run.data.rows, strict=True):
        tag = tuple(run.loaded.tokenizer(text.tag)["input_ids"])
        assert row.target[: len(tag)] == tag
        assert len(row.target) == len(tag) + 3
        assert len(tag) <= row.given <= len(tag) + 1


def test_a_step_keeps_rows_of_a_question_in_one_pass_and_counts_it_once(
    tiny_models: dict[str, Path], tiny_annotations: list[Annotation]
) -> None:
    run = Run(tiny_models["llama"], tiny_annotations, END, method="multitask")
    settings = END.model_copy(update={"batch_size": 4, "micro_batches": 2})
    for members in step_sampler(run.data, settings, run.encoder):
        assert {n // 2 for n in members} == {n // 2 for n in members if n % 2}
        assert len(members) % 2 == 0
    front = END.model_copy(update={"tag": "front"})
    apart = Run(tiny_models["llama"], tiny_annotations, front, method="multitask")
    largest = [
        max(r.encoder.tokens([r.data.rows[n] for n in p]) for p in passes)
        for r in (run, apart)
        for passes in [list(step_sampler(r.data, settings, r.encoder))]
    ]
    assert largest[0] < largest[1]


def test_a_model_with_a_window_reads_each_row_by_itself(
    tmp_path: Path, tiny_models: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 320}
    torch.manual_seed(0)
    model = MistralForCausalLM(MistralConfig(sliding_window=8, **sizes, **heads))
    assert not can_share_sources(model)
    loaded = LoadedModel("small", model, load_model(f"hf:{tiny_models['llama']}").tokenizer)
    encoder = make_encoder(loaded, END)
    assert not encoder.share
    assert "training.tag: end makes nothing faster" in capfd.readouterr().err
    rows = [EncodedRow(0, (10, 11), (20, 1), 1, False), EncodedRow(1, (10, 11), (21, 1), 1, False)]
    assert encoder.bundles(rows) == [[0], [1]]


def test_a_teacher_that_learnt_its_tags_elsewhere_is_refused(fit: Train, tmp_path: Path) -> None:
    fit(tmp_path / "teacher", "llama", Condition(method="multitask"), max_steps=1)
    soft = SoftSettings(teacher=f"hf:{tmp_path / 'teacher'}", context="source", precision="fp32")
    condition = Condition(method="multitask", soft=soft)
    with pytest.raises(ConfigError, match=r"trained with training\.tag: front"):
        fit(tmp_path / "s", "llama", condition, tag="end", max_steps=1)
    fit(tmp_path / "s", "llama", condition, max_steps=1)
