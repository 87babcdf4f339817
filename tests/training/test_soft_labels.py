"""Soft labels in a step's loss, against plain forward passes of teacher and student, row by row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as tf
from safetensors.torch import load_file
from tokenizers import ByteLevelBPETokenizer
from torch.nn.functional import cross_entropy, kl_div
from transformers import TrainingArguments

from distilwhy.config import Condition, SoftSettings, StudentSettings, TrainingSettings
from distilwhy.errors import ConfigError
from distilwhy.models.load import LoadedModel, load_model
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Annotation, TagPlace
from distilwhy.students.encode import Encoder
from distilwhy.students.views import Row, ViewOptions, make_rows
from distilwhy.training import soft as soft_module
from distilwhy.training import soft_store
from distilwhy.training.batches import Bundle, StepSampler
from distilwhy.training.data import TrainingData, encode_data
from distilwhy.training.losses import view_counts
from distilwhy.training.methods import resolve_method
from distilwhy.training.soft import prepare_soft
from distilwhy.training.soft_teacher import SoftTeacher
from distilwhy.training.train import train
from distilwhy.training.trainer import ViewTrainer

PAIRS = (("llama", "gpt2"), ("t5", "old_t5"), ("llama", "t5"))


class Run:
    """A student and its soft term."""

    def __init__(
        self,
        student: Path,
        annotations: Sequence[Annotation],
        condition: Condition,
        out: Path,
        pack: bool = True,
        store: Path | None = None,
        tag: TagPlace = "front",
    ) -> None:
        settings = TrainingSettings(tag=tag)
        self.loaded: LoadedModel = load_model(f"hf:{student}")
        self.condition = condition
        self.method = resolve_method(condition)
        self.encoder = Encoder(
            self.loaded.tokenizer,
            is_encoder_decoder=self.loaded.is_encoder_decoder,
        )
        if pack:
            self.encoder.pack_for(self.loaded.model)
        self.data: TrainingData = encode_data(
            annotations, [], self.method, condition, settings, self.encoder
        )
        self.soft = prepare_soft(
            self.loaded,
            self.encoder,
            condition,
            self.method,
            self.data,
            annotations,
            store,
            settings,
        )
        self.trainer = ViewTrainer(
            self.loaded.model,
            TrainingArguments(output_dir=str(out), use_cpu=True, report_to="none"),
            method=self.method,
            encoder=self.encoder,
            rows=self.data.rows,
            sampler=StepSampler([[0]], lambda rows: [Bundle([0], 1)], batch_size=1),
            held_out=[],
            soft=self.soft.term,
            on_policy=self.soft.on_policy,
        )

    def loss(self, parts: int = 1) -> torch.Tensor:
        """Return a step's loss over all rows, cut into so many forward passes."""
        rows = self.data.rows
        cut = [rows[number::parts] for number in range(parts)]
        batches = [self.encoder.collate(part) for part in cut]
        views = len(self.method.weights)
        counts = torch.stack([view_counts(b["label_views"], views) for b in batches]).sum(0)
        losses = [
            self.trainer.compute_loss(self.loaded.model, batch, num_items_in_batch=counts)
            for batch in batches
        ]
        return torch.stack(losses).sum()

    def gradient(self) -> torch.Tensor:
        found = [p.grad.flatten() for p in self.loaded.model.parameters() if p.grad is not None]
        self.loaded.model.zero_grad()
        return torch.cat(found)


def plain_logits(loaded: LoadedModel, row: Row, ahead: str = "") -> tuple[Any, torch.Tensor]:
    """Return logits at a row's target tokens, and these, from the texts."""
    tokenizer, model = loaded.tokenizer, loaded.model
    source = tokenizer(ahead + row.source)["input_ids"]
    tag = tokenizer(row.tag)["input_ids"] if row.tag else []
    target = [*tag, *tokenizer(row.target)["input_ids"], tokenizer.eos_token_id]
    if loaded.is_encoder_decoder:
        inputs = torch.tensor([[*source, tokenizer.eos_token_id]])
        logits = model(input_ids=inputs, labels=torch.tensor([target])).logits[0]
    else:
        logits = model(input_ids=torch.tensor([[*source, *target]])).logits[0]
        logits = logits[len(source) - 1 : -1]
    return logits[len(tag) :], torch.tensor(target[len(tag) :])


def plain_divergence(settings: SoftSettings, theirs: torch.Tensor, ours: torch.Tensor) -> Any:
    shares = [(logits / settings.temperature).softmax(-1) for logits in (theirs, ours)]
    teacher, student = shares

    def kl(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return kl_div(second.log(), first, reduction="none").sum(-1)

    if settings.loss == "forward_kl":
        found = kl(teacher, student)
    elif settings.loss == "reverse_kl":
        found = kl(student, teacher)
    else:
        mix = settings.beta * teacher + (1 - settings.beta) * student
        found = settings.beta * kl(teacher, mix) + (1 - settings.beta) * kl(student, mix)
    return found * settings.temperature**2


def plain_loss(
    run: Run,
    teacher: LoadedModel,
    annotations: Sequence[Annotation],
    soft_views: Sequence[str],
    tag: TagPlace = "front",
) -> torch.Tensor:
    settings = run.condition.soft
    assert settings is not None
    total = torch.zeros(())
    for view, view_weight in run.method.weights.items():
        tokens = []
        for (row,) in make_rows(annotations, [view], ViewOptions(tag=tag)):
            ours, labels = plain_logits(run.loaded, row)
            with torch.no_grad():
                theirs, _ = plain_logits(teacher, row)
            hard = cross_entropy(ours, labels, reduction="none")
            weight = settings.weight if view in soft_views else 0.0
            soft = plain_divergence(settings, theirs, ours)
            tokens.append((1 - weight) * hard + weight * soft)
        total = total + view_weight * torch.cat(tokens).mean()
    return total


@pytest.mark.parametrize(("student", "teacher"), PAIRS)
@pytest.mark.parametrize(
    ("loss", "tag"),
    [
        ("forward_kl", "front"),
        ("forward_kl", "end"),
        ("reverse_kl", "front"),
        ("jensen_shannon", "front"),
    ],
)
def test_loss_and_gradient_equal_plain_passes(
    loss: Any,
    tag: TagPlace,
    student: str,
    teacher: str,
    tiny_models: dict[str, Path],
    tiny_annotations: list[Annotation],
    tmp_path: Path,
) -> None:
    annotations = tiny_annotations[:3]
    soft = SoftSettings(
        teacher=f"hf:{tiny_models[teacher]}",
        loss=loss,
        beta=0.3 if loss == "jensen_shannon" else 0.5,
        temperature=1.5,
        weight=0.7,
        views=("explain",),
        precision="fp32",
    )
    condition = Condition(method="multitask", alpha=0.4, soft=soft)
    run = Run(tiny_models[student], annotations, condition, tmp_path, tag=tag)
    assert (len(run.encoder.bundles(run.data.rows)) < len(run.data.rows)) == (tag == "end")
    found = run.loss(parts=2 if tag == "front" else 1)
    found.backward()  # type: ignore[no-untyped-call]
    gradient = run.gradient()
    loaded = load_model(f"hf:{tiny_models[teacher]}")
    wanted = plain_loss(run, loaded, annotations, ["explain"], tag)
    wanted.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradient, run.gradient(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("pack", [True, False])
@pytest.mark.parametrize("student", ["llama", "t5"])
def test_parts_and_packing_change_nothing(
    student: str,
    pack: bool,
    tiny_models: dict[str, Path],
    tiny_annotations: list[Annotation],
    tmp_path: Path,
) -> None:
    """SCOTT's form is among the views: tokens that are read but not counted have no soft label."""
    soft = SoftSettings(teacher=f"hf:{tiny_models['gpt2']}", precision="fp32")
    method = Condition(method="multitask+counterfactual", counterfactual_form="decoder", soft=soft)
    run = Run(tiny_models[student], tiny_annotations[:5], method, tmp_path, pack=pack)
    whole, parts = run.loss(), run.loss(parts=4)
    torch.testing.assert_close(whole, parts, rtol=1e-5, atol=1e-6)
    hard = Run(
        tiny_models[student],
        tiny_annotations[:5],
        method.model_copy(update={"soft": None}),
        tmp_path,
    )
    assert hard.soft.term is None
    assert abs(hard.loss().item() - whole.item()) > 0.01


def test_a_student_that_is_its_own_teacher_has_half_the_loss(
    tiny_models: dict[str, Path], tiny_annotations: list[Annotation], tmp_path: Path
) -> None:
    folder = tiny_models["llama"]
    soft = SoftSettings(teacher=f"hf:{folder}", precision="fp32")
    run = Run(folder, tiny_annotations[:4], Condition(soft=soft), tmp_path)
    hard = Run(folder, tiny_annotations[:4], Condition(), tmp_path)
    torch.testing.assert_close(run.loss(), hard.loss() / 2, rtol=1e-5, atol=1e-6)


def worked_pieces(view: str, shots: int, gold: bool) -> list[str]:
    """Return inputs, targets and what parts them, from the shipped worked examples."""
    pieces = []
    for worked in load_prompts("multiple_choice").worked_examples[:shots]:
        letters = zip("abcde", worked.choices, strict=True)
        shown = " ".join(f"({letter}) {choice}" for letter, choice in letters)
        told = f"The right answer is {worked.answer}.\n" if gold else ""
        pieces.append(f"[{view}] Question: {worked.question}\nChoices: {shown}\n{told}")
        pieces += [worked.rationale, "\n\n"]
    return pieces


@pytest.mark.parametrize("gold", [True, False])
@pytest.mark.parametrize("teacher", ["llama", "gpt2", "t5"])
def test_a_few_shot_teacher_reads_worked_examples_of_the_view(
    teacher: str,
    gold: bool,
    tiny_models: dict[str, Path],
    tiny_annotations: list[Annotation],
    tmp_path: Path,
) -> None:
    """What parts worked examples ends a text, so its share counts as the end token's."""
    shots, annotations = 1 if teacher == "gpt2" else 2, tiny_annotations[:4]
    soft = SoftSettings(
        teacher=f"hf:{tiny_models[teacher]}",
        weight=1.0,
        context="few_shot",
        shots=shots,
        gold_answer=gold,
        precision="fp32",
    )
    condition = Condition(method="mine", views={"explain": 1.0}, soft=soft)
    run = Run(tiny_models["llama"], annotations, condition, tmp_path)
    loaded = load_model(f"hf:{tiny_models[teacher]}")
    tokenizer, losses = loaded.tokenizer, []
    for annotation in annotations:
        (row,) = make_rows([annotation], ["explain"], ViewOptions())[0]
        ours, target = plain_logits(run.loaded, row)
        told = f"The right answer is {annotation.example.answer}.\n" if gold else ""
        pieces = [*worked_pieces("explain", shots, gold), row.source + told]
        with torch.no_grad():
            if loaded.is_encoder_decoder:
                read = tokenizer("".join(pieces))["input_ids"] + [tokenizer.eos_token_id]
                output = loaded.model(input_ids=torch.tensor([read]), labels=target[None])
                theirs = output.logits[0]
            else:
                read = [token for piece in pieces for token in tokenizer(piece)["input_ids"]]
                line = torch.tensor([[*read, *target.tolist()]])
                theirs = loaded.model(input_ids=line).logits[0, len(read) - 1 : -1]
                parting, end = tokenizer("\n\n")["input_ids"][0], tokenizer.eos_token_id
                theirs[:, [parting, end]] = theirs[:, [end, parting]]
        losses.append(plain_divergence(soft, theirs, ours))
    torch.testing.assert_close(run.loss(), torch.cat(losses).mean(), rtol=1e-4, atol=1e-5)


def test_views_that_worked_examples_lack_have_no_soft_labels(
    tiny_models: dict[str, Path], tiny_annotations: list[Annotation], tmp_path: Path
) -> None:
    teacher = f"hf:{tiny_models['gpt2']}"
    soft = SoftSettings(teacher=teacher, context="few_shot", shots=1, precision="fp32")
    condition = Condition(method="counterfactual", soft=soft)
    run = Run(tiny_models["llama"], tiny_annotations[:2], condition, tmp_path)
    assert run.soft.term is not None
    assert run.soft.term._views == {0}  # factual
    for views, fault in (
        (("counterfactual",), "hold nothing for the view 'counterfactual'"),
        (("explain", "factual"), "the method has no view 'explain'"),
    ):
        asked = condition.model_copy(update={"soft": soft.model_copy(update={"views": views})})
        with pytest.raises(ConfigError, match=fault):
            Run(tiny_models["llama"], tiny_annotations[:2], asked, tmp_path)


@pytest.mark.parametrize("context", ["source", "few_shot"])
@pytest.mark.parametrize(("loss", "top_k"), [("forward_kl", 320), ("uld", 320), ("uld", 7)])
def test_stored_labels_equal_live_ones(
    loss: Any,
    top_k: int,
    context: Any,
    tiny_models: dict[str, Path],
    tiny_annotations: list[Annotation],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(soft_store, "PASS_TARGETS", 60)
    monkeypatch.setattr(soft_store, "PART_TARGETS", 100)
    teacher = f"hf:{tiny_models['gpt2']}"
    live = SoftSettings(teacher=teacher, loss=loss, precision="fp32")
    if context == "few_shot":
        live = live.model_copy(update={"context": context, "shots": 1})
    stored = live.model_copy(update={"top_k": top_k, "dtype": "fp32"})
    runs = [
        Run(
            tiny_models["llama"],
            tiny_annotations[:6],
            Condition(soft=soft),
            tmp_path,
            store=tmp_path / "labels",
        )
        for soft in (live, stored)
    ]
    losses = [run.loss(parts=2) for run in runs]
    # Of few tokens it can only be less.
    if top_k < 320:
        assert losses[1].item() < losses[0].item()
    else:
        torch.testing.assert_close(losses[1], losses[0], rtol=1e-4, atol=1e-5)
    assert len(list((tmp_path / "labels").glob("*/part-*.safetensors"))) > 1


def test_storing_goes_on_where_it_stopped(
    tiny_models: dict[str, Path],
    tiny_annotations: list[Annotation],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(soft_store, "PASS_TARGETS", 60)
    monkeypatch.setattr(soft_store, "PART_TARGETS", 60)
    asked: list[int] = []
    shares = SoftTeacher.shares

    def counting(self: SoftTeacher, rows: Any) -> Any:
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(len(rows))
        return shares(self, rows)

    soft = SoftSettings(
        teacher=f"hf:{tiny_models['gpt2']}", top_k=5, loss="reverse_kl", precision="fp32"
    )

    def run(folder: str, examples: int = 8) -> Run:
        return Run(
            tiny_models["llama"],
            tiny_annotations[:examples],
            Condition(soft=soft),
            tmp_path,
            store=tmp_path / folder,
        )

    unbroken = run("unbroken").loss()
    monkeypatch.setattr(SoftTeacher, "shares", counting)
    with pytest.raises(KeyboardInterrupt):
        run("broken")
    # A file that was being written when the process was killed is no part.
    (folder,) = (tmp_path / "broken").iterdir()
    (folder / ".part-torn").write_bytes(b"\0" * 9)
    before = sum(asked)
    asked.clear()
    monkeypatch.setattr(
        SoftTeacher, "shares", lambda self, rows: asked.append(len(rows)) or shares(self, rows)
    )
    torch.testing.assert_close(run("broken").loss(), unbroken)
    assert before + sum(asked) == 16
    asked.clear()
    # Fewer examples, as another seed may hold out, find their labels; no teacher is loaded.
    monkeypatch.setattr(soft_module, "load_model", None)
    run("broken", examples=5).loss()
    assert asked == []


def test_text_aligned_and_index_aligned_tokens(
    tiny_models: dict[str, Path],
    other_tokenizer: Path,
    tiny_annotations: list[Annotation],
    tmp_path: Path,
) -> None:
    teacher = load_model(f"hf:{other_tokenizer}")
    annotations = tiny_annotations[:3]
    for alignment in ("text", "index"):
        soft = SoftSettings(
            teacher=f"hf:{other_tokenizer}",
            loss="uld",
            alignment=alignment,  # type: ignore[arg-type]
            weight=0.4,
            precision="fp32",
        )
        condition = Condition(method="mine", views={"explain": 1.0}, soft=soft)
        run = Run(tiny_models["llama"], annotations, condition, tmp_path)
        losses = []
        for annotation in annotations:
            (row,) = make_rows([annotation], ["explain"], ViewOptions())[0]
            ours, labels = plain_logits(run.loaded, row)
            with torch.no_grad():
                theirs, other = plain_logits(teacher, row)
            hard = cross_entropy(ours, labels, reduction="none")
            if alignment == "index":
                pairs = [(n, n) for n in range(min(len(labels), len(other)))]
            else:
                read = [
                    [m.tokenizer.decode(tokens[:n]).rstrip() for n in range(len(tokens))]
                    for m, tokens in ((run.loaded, labels), (teacher, other))
                ]
                pairs = [
                    (n, read[1].index(t))
                    for n, t in enumerate(read[0])
                    if t in read[1] and t not in read[0][:n]
                ]
                assert 2 < len(pairs) < len(labels)
            for here, there in pairs:
                shares = [x.softmax(-1).sort(descending=True).values for x in (ours, theirs)]
                width = max(x.shape[-1] for x in shares)
                one, two = (
                    torch.nn.functional.pad(x[place], (0, width - x.shape[-1]))
                    for x, place in zip(shares, (here, there), strict=True)
                )
                hard[here] = 0.6 * hard[here] + 0.4 * (one - two).abs().sum()
            losses.append(hard)
        torch.testing.assert_close(run.loss(), torch.cat(losses).mean(), rtol=1e-4, atol=1e-5)


def test_the_size_told_is_that_written_where_top_k_exceeds_the_vocabulary(
    tiny_models: dict[str, Path],
    tiny_annotations: list[Annotation],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    soft = SoftSettings(teacher=f"hf:{tiny_models['gpt2']}", precision="fp32", top_k=100_000)
    run = Run(
        tiny_models["llama"], tiny_annotations, Condition(soft=soft), tmp_path, store=tmp_path / "l"
    )
    width = len(run.loaded.tokenizer)
    told = capsys.readouterr().err
    assert f"soft.top_k 100000 is more than the {width} tokens that there are" in told
    found = re.search(r"Soft labels: (\d+) tokens of (\d+) bytes", told)
    assert found is not None
    (part,) = (tmp_path / "l").glob("*/part-*.safetensors")
    written = sum(tensor.nbytes for tensor in load_file(part).values())
    assert int(found[1]) * int(found[2]) == written


def test_another_vocabulary_is_refused_with_a_remedy(
    tiny_models: dict[str, Path],
    other_tokenizer: Path,
    tiny_annotations: list[Annotation],
    tmp_path: Path,
) -> None:
    soft = SoftSettings(teacher=f"hf:{other_tokenizer}", precision="fp32")
    student = StudentSettings(model=f"hf:{tiny_models['llama']}")
    with pytest.raises(ConfigError, match=r"different vocabularies \(token \d+ is") as caught:
        train(tiny_annotations, student, Condition(soft=soft), TrainingSettings(), tmp_path / "s")
    assert not (tmp_path / "s").exists()
    assert "soft.loss: uld" in caught.value.remedy


def test_embeddings_padded_to_another_size_are_no_other_vocabulary(
    tiny_models: dict[str, Path], tiny_annotations: list[Annotation], tmp_path: Path
) -> None:
    losses = []
    for pad_to in (None, 64 * 6):
        folder = tmp_path / f"padded-{pad_to}"
        loaded = load_model(f"hf:{tiny_models['gpt2']}")
        if pad_to:
            loaded.model.resize_token_embeddings(pad_to)
        loaded.model.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
        soft = SoftSettings(teacher=f"hf:{folder}", precision="fp32")
        run = Run(tiny_models["llama"], tiny_annotations[:3], Condition(soft=soft), tmp_path)
        losses.append(run.loss())
    torch.testing.assert_close(losses[0], losses[1])


@pytest.fixture(scope="session")
def other_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model whose tokenizer is of the same kind but learnt other tokens."""
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        ["Thing stands in the stove. Thing needs heat, so it is in the garden, it is in the lake."],
        vocab_size=290,
        special_tokens=["<pad>", "</s>", "<unk>"],
        show_progress=False,
    )
    tokenizer = tf.PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer, eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )
    torch.manual_seed(7)
    model = tf.LlamaForCausalLM(
        tf.LlamaConfig(
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            vocab_size=len(tokenizer),
            pad_token_id=0,
            eos_token_id=1,
            bos_token_id=None,
        )
    )
    with torch.no_grad():
        for matrix in (weights for weights in model.parameters() if weights.dim() == 2):
            matrix.normal_(0, 0.4)
    folder = tmp_path_factory.mktemp("other") / "model"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
