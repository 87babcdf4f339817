"""Targets that the student writes itself, against transformers' own generation and plain passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import kl_div

from distilwhy.config import (
    Condition,
    LoraSettings,
    SoftSettings,
    StudentSettings,
    TrainingSettings,
)
from distilwhy.models.load import load_model
from distilwhy.records import Annotation, TagPlace
from distilwhy.students.encode import Encoder
from distilwhy.students.views import ViewOptions, make_rows
from distilwhy.training import train as stage
from distilwhy.training.data import encode_data
from distilwhy.training.methods import resolve_method
from distilwhy.training.soft import prepare_soft
from distilwhy.training.train import train

LIMIT = 24


@pytest.fixture
def sure(tiny_models: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """Students so sure of each token that sampling at temperature 1 is choosing the likeliest."""
    folders = {}
    for name in ("llama", "t5"):
        loaded = load_model(f"hf:{tiny_models[name]}")
        head: Any = loaded.model.get_output_embeddings()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            head.weight = torch.nn.Parameter(head.weight * 1e4)
        loaded.model.config.tie_word_embeddings = False
        folders[name] = tmp_path / f"sure-{name}"
        loaded.model.save_pretrained(folders[name])
        loaded.tokenizer.save_pretrained(folders[name])
    return folders


@pytest.mark.parametrize(("share", "tag"), [(1.0, "front"), (0.5, "front"), (0.5, "end")])
@pytest.mark.parametrize("name", ["llama", "t5"])
def test_the_teacher_scores_what_the_student_writes(
    name: str,
    share: float,
    tag: TagPlace,
    sure: dict[str, Path],
    tiny_models: dict[str, Path],
    tiny_annotations: list[Annotation],
) -> None:
    soft = SoftSettings(
        teacher=f"hf:{tiny_models['gpt2']}",
        loss="reverse_kl",
        weight=0.3,
        temperature=4.0,
        on_policy=share,
        precision="fp32",
    )
    condition = Condition(method="mine", views={"explain": 1.0}, soft=soft)
    loaded, method = load_model(f"hf:{sure[name]}"), resolve_method(condition)
    encoder = Encoder(
        loaded.tokenizer,
        is_encoder_decoder=loaded.is_encoder_decoder,
        max_target_tokens=LIMIT,
    )
    encoder.pack_for(loaded.model)
    settings = TrainingSettings(tag=tag)
    data = encode_data(tiny_annotations, [], method, condition, settings, encoder)
    run = prepare_soft(
        loaded, encoder, condition, method, data, tiny_annotations, training=settings
    )
    assert run.on_policy is not None
    assert run.term is not None
    (batch,) = run.on_policy.rewrite([encoder.collate(data.rows)], step=3)
    written = batch["label_rows"] < -1
    count = int(torch.unique(batch["label_rows"][written]).numel())
    assert count == 16 if share == 1 else 3 < count < 13
    again = run.on_policy.rewrite([encoder.collate(data.rows)], step=4)[0]
    assert (len(again["labels"]) == len(batch["labels"])) == (share == 1)

    teacher: Any = load_model(f"hf:{tiny_models['gpt2']}").model
    model, end = loaded.model, loaded.tokenizer.eos_token_id
    logits = torch.randn(len(batch["labels"]), len(loaded.tokenizer))
    found = run.term.token_losses(logits, batch)
    for row in (row for (row,) in make_rows(tiny_annotations, ["explain"], ViewOptions(tag=tag))):
        number = next(n for n, text in enumerate(data.texts) if text == row)
        places = batch["label_rows"] == -2 - number
        if not places.any():
            continue
        prompt = loaded.tokenizer(row.source)["input_ids"]
        begun = loaded.tokenizer(row.tag)["input_ids"] if row.tag else []
        source = [*prompt, end] if loaded.is_encoder_decoder else [*prompt, *begun]
        read = {"input_ids": torch.tensor([source]), "attention_mask": torch.ones(1, len(source))}
        if loaded.is_encoder_decoder:
            read["decoder_input_ids"] = torch.tensor([[0, *begun]])
        text = model.generate(**read, do_sample=False, max_new_tokens=LIMIT)[0].tolist()
        text = text[1 + len(begun) :] if loaded.is_encoder_decoder else text[len(source) :]
        prompt = [*prompt, *begun]
        ends = loaded.model.generation_config.eos_token_id
        if text[-1] in ends:
            text[-1] = end
        assert batch["labels"][places].tolist() == text
        with torch.no_grad():
            theirs = teacher(input_ids=torch.tensor([[*prompt, *text]])).logits[0]
        theirs = theirs[len(prompt) - 1 : -1] / 4
        ours = (logits[places] / 4).softmax(-1)
        wanted = 16 * kl_div(theirs.log_softmax(-1), ours, reduction="none").sum(-1)
        torch.testing.assert_close(found[places], wanted, rtol=1e-4, atol=1e-4)


class Stop(Exception):
    """The test's own interruption."""


@pytest.mark.parametrize(
    ("name", "loss", "lora"),
    [
        ("llama", "reverse_kl", None),
        ("t5", "jensen_shannon", None),
        ("llama", "uld", LoraSettings(rank=4)),
    ],
)
def test_a_resumed_run_equals_an_unbroken_one(
    name: str,
    loss: Any,
    lora: LoraSettings | None,
    tiny_models: dict[str, Path],
    tiny_annotations: list[Annotation],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    soft = SoftSettings(
        teacher=f"hf:{tiny_models['gpt2']}", loss=loss, on_policy=0.5, precision="fp32"
    )
    settings = TrainingSettings(
        max_steps=6,
        learning_rate=3e-3,
        batch_size=4,
        micro_batches=2,
        held_out=0.2,
        evaluations=3,
        precision="fp32",
        max_target_tokens=40,
        gradient_checkpointing=name == "t5",
        tag="front" if lora is None else "end",
    )

    class Interrupting(stage.Watch):
        last = -1

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == self.last:
                raise Stop

    monkeypatch.setattr(stage, "Watch", Interrupting)

    def run(folder: str) -> Any:
        student = StudentSettings(model=f"hf:{tiny_models[name]}", lora=lora)
        condition = Condition(soft=soft)
        return train(tiny_annotations, student, condition, settings, tmp_path / folder)

    unbroken = run("unbroken")
    Interrupting.last = 3
    with pytest.raises(Stop):
        run("broken")
    Interrupting.last = -1
    resumed = run("broken")
    assert resumed.curve == unbroken.curve
    one, two = (load_file(tmp_path / f / "model.safetensors") for f in ("unbroken", "broken"))
    for weights in one:
        torch.testing.assert_close(two[weights], one[weights], rtol=0, atol=0, msg=weights)
