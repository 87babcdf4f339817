"""Training a tiny student: it learns, resumes exactly, and fails with a sentence."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from distilwhy.config import Condition, LoraSettings
from distilwhy.errors import ConfigError, DataError
from distilwhy.models.load import load_model
from distilwhy.records import Annotation, TrainingSummary
from distilwhy.students.load import load_student, read_card
from distilwhy.training import train as stage
from distilwhy.training.data import split_held_out
from distilwhy.training.trainer import ViewTrainer

METHOD = Condition(method="multitask+counterfactual")
CURRICULUM = Condition.model_validate(
    {
        "method": "multitask",
        "control": "shuffled",
        "curriculum": {
            "change": "linear",
            "points": [{"at": 0, "views": {"explain": 1}}, {"at": 0.7}],
        },
    }
)

Train = Callable[..., TrainingSummary]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(folder / "model.safetensors")
    return found


def assert_equal(first: Path, second: Path) -> None:
    one, two = weights(first), weights(second)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=0, msg=name)


class Stop(Exception):
    """The test's own interruption."""


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    class Interrupting(stage.Watch):
        last = -1

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == self.last:
                raise Stop

    monkeypatch.setattr(stage, "Watch", Interrupting)

    def choose(step: int) -> None:
        Interrupting.last = step

    return choose


def test_it_learns_and_says_what_it_did(
    fit: Train, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    summary = fit(tmp_path / "s", epochs=8, learning_rate=1e-2, held_out=0.0)
    losses = [point.loss for point in summary.curve if point.loss is not None]
    assert losses[-1] < losses[0] / 2
    assert summary.examples == 16
    assert summary.held_out == 0
    assert summary.rows == 64
    assert summary.steps == summary.best_step == 32
    assert 0 <= summary.padding_share < 0.5
    assert summary.parameters == summary.trainable_parameters
    written = json.loads((tmp_path / "s" / "training.json").read_text())
    assert TrainingSummary.model_validate(written) == summary
    card = read_card(tmp_path / "s")
    assert (card.answer_view, card.rationale_view) == ("predict", "explain")
    assert not (tmp_path / "s" / "checkpoints").exists()
    output = capfd.readouterr()
    assert output.out == ""
    assert "Writing model shards" not in output.err
    assert "Warning" not in output.err


@pytest.mark.parametrize(
    ("model", "micro_batches", "condition"),
    [("llama", 3, METHOD), ("t5", 1, METHOD), ("gpt2", 1, METHOD), ("llama", 2, CURRICULUM)],
)
def test_a_resumed_run_equals_an_unbroken_one(
    model: str,
    micro_batches: int,
    condition: Condition,
    fit: Train,
    tmp_path: Path,
    stop_after: Callable[[int], None],
) -> None:
    changes = {"model": model, "micro_batches": micro_batches, "condition": condition}
    unbroken = fit(tmp_path / "unbroken", **changes)
    assert unbroken.steps == 9
    # Checkpoints are written after steps 3 and 6; the second epoch is half done at 5.
    stop_after(5)
    with pytest.raises(Stop):
        fit(tmp_path / "broken", **changes)
    assert [p.name for p in (tmp_path / "broken/checkpoints").glob("c*")] == ["checkpoint-3"]
    stop_after(8)
    with pytest.raises(Stop):
        fit(tmp_path / "broken", **changes)
    stop_after(-1)
    resumed = fit(tmp_path / "broken", **changes)
    assert_equal(tmp_path / "unbroken", tmp_path / "broken")
    assert resumed.curve == unbroken.curve
    assert resumed.tokens == unbroken.tokens
    assert resumed.padding_share == unbroken.padding_share
    assert resumed.best_step == unbroken.best_step


def test_one_seed_fixes_everything(
    fit: Train, tmp_path: Path, tiny_annotations: list[Annotation]
) -> None:
    # T5, for it has dropout; predictions follow from equal weights, and are compared all the same.
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        fit(tmp_path / name, model="t5", seed=seed, max_steps=4, evaluations=2)
    assert_equal(tmp_path / "one", tmp_path / "same")
    first, other = weights(tmp_path / "one"), weights(tmp_path / "other")
    assert any(not torch.equal(first[name], other[name]) for name in first)
    texts = []
    for name in ("one", "same"):
        loaded, _ = load_student(tmp_path / name, torch.float32)
        ids = loaded.tokenizer("[predict] Where?", return_tensors="pt")["input_ids"]
        texts.append(loaded.model.generate(input_ids=ids, max_new_tokens=12).tolist())
    assert texts[0] == texts[1]


def test_held_out_rows_are_never_trained_on(
    fit: Train,
    tmp_path: Path,
    tiny_annotations: list[Annotation],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: dict[bool, list[str]] = {True: [], False: []}
    original = ViewTrainer._token_losses

    def spy(self: ViewTrainer, model: Any, batch: Any) -> Any:
        lines = [self.encoder.tokenizer.decode(line) for line in batch["input_ids"]]
        seen[model.training] += lines
        return original(self, model, batch)

    monkeypatch.setattr(ViewTrainer, "_token_losses", spy)
    summary = fit(tmp_path / "s")
    kept, held_out = split_held_out(tiny_annotations, 0.2, 0)
    assert (len(kept), len(held_out)) == (summary.examples, summary.held_out) == (12, 4)
    trained, evaluated = "\n".join(seen[True]), "\n".join(seen[False])
    for annotation in held_out:
        assert annotation.example.question not in trained
        assert annotation.example.question in evaluated
    for annotation in kept:
        assert annotation.example.question in trained
        assert annotation.example.question not in evaluated


def test_split_is_seeded_and_keeps_file_order(tiny_annotations: list[Annotation]) -> None:
    kept, held_out = split_held_out(tiny_annotations, 0.25, 3)
    assert (kept, held_out) == split_held_out(tiny_annotations, 0.25, 3)
    assert split_held_out(tiny_annotations, 0.25, 4) != (kept, held_out)
    place = {a.example.id: n for n, a in enumerate(tiny_annotations)}
    for part in (kept, held_out):
        numbers = [place[a.example.id] for a in part]
        assert numbers == sorted(numbers)
    assert len(kept) + len(held_out) == len({a.example.id for a in (*kept, *held_out)}) == 16
    with pytest.raises(ConfigError, match="leave none to train on"):
        split_held_out(tiny_annotations[:1], 0.1, 0)


def test_the_best_checkpoint_is_kept(
    fit: Train, tmp_path: Path, tiny_annotations: list[Annotation]
) -> None:
    changes = {"epochs": 8, "learning_rate": 3e-2, "evaluations": 8, "schedule": "constant"}
    summary = fit(tmp_path / "s", condition=Condition(method="answer_only"), **changes)
    curve = {p.step: p.held_out_loss for p in summary.curve if p.held_out_loss is not None}
    best = min(curve, key=lambda step: (curve[step], step))
    assert best < summary.steps, "the held-out loss should rise again in this test"
    assert summary.best_step == best
    loaded, _ = load_student(tmp_path / "s", torch.float32)
    _, held_out = split_held_out(tiny_annotations, 0.2, 0)
    losses = []
    for annotation in held_out:
        example = annotation.example
        shown = " ".join(f"({c}) {t}" for c, t in zip("abcde", example.choices, strict=False))
        source = f"[predict] Question: {example.question}\nChoices: {shown}\n"
        ids = loaded.tokenizer(source)["input_ids"]
        target = loaded.tokenizer(f"[answer] The answer is {example.answer}")["input_ids"] + [1]
        with torch.inference_mode():
            logits = loaded.model(input_ids=torch.tensor([ids + target])).logits[0]
        log_shares = logits[len(ids) - 1 : -1].log_softmax(-1)
        losses += [-float(row[token]) for row, token in zip(log_shares, target, strict=True)]
    assert sum(losses) / len(losses) == pytest.approx(curve[best], rel=1e-4)


@pytest.mark.parametrize("model", ["llama", "t5"])
def test_adapters_are_trained_merged_and_reloaded(
    model: str,
    fit: Train,
    tmp_path: Path,
    tiny_models: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    stop_after: Callable[[int], None],
) -> None:
    probe = {"input_ids": torch.tensor([[7, 8, 9, 20, 30]])}
    if model == "t5":
        probe["decoder_input_ids"] = torch.tensor([[0, 5, 6]])
    logits: list[torch.Tensor] = []
    save = stage.save_student

    def spy(folder: Path, trained: Any, *rest: Any) -> None:
        with torch.inference_mode():
            logits.append(trained.eval()(**probe).logits)
        save(folder, trained, *rest)

    monkeypatch.setattr(stage, "save_student", spy)
    lora = LoraSettings(rank=4)
    stop_after(5)
    with pytest.raises(Stop):
        fit(tmp_path / "s", model=model, lora=lora, max_steps=6, evaluations=2)
    saved = {path.name for path in (tmp_path / "s/checkpoints/checkpoint-3").iterdir()}
    assert "adapter_model.safetensors" in saved
    assert "model.safetensors" not in saved
    stop_after(-1)
    summary = fit(tmp_path / "s", model=model, lora=lora, max_steps=6, evaluations=2)
    if model == "llama":
        fit(tmp_path / "unbroken", model=model, lora=lora, max_steps=6, evaluations=2)
        assert_equal(tmp_path / "unbroken", tmp_path / "s")
    assert 0 < summary.trainable_parameters < summary.parameters
    with torch.inference_mode():
        reloaded = load_student(tmp_path / "s", torch.float32)[0].model(**probe).logits
        base = load_model(f"hf:{tiny_models[model]}").model(**probe).logits
    # The large random weights magnify what fused activations round otherwise.
    torch.testing.assert_close(reloaded, logits[0], rtol=1e-3, atol=1e-3)
    assert (reloaded - base).abs().max() > 1e-2
    assert not list((tmp_path / "s").glob("adapter*"))


@pytest.mark.parametrize("lora", [None, LoraSettings(rank=4)])
def test_recomputing_activations_changes_nothing(
    lora: LoraSettings | None, fit: Train, tmp_path: Path
) -> None:
    # Warnings are errors here, so a deprecated name of the argument would fail too.
    fit(tmp_path / "plain", max_steps=3, lora=lora)
    fit(tmp_path / "recomputed", max_steps=3, lora=lora, gradient_checkpointing=True)
    one, two = weights(tmp_path / "plain"), weights(tmp_path / "recomputed")
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=1e-5)


def test_bf16_trains_fp32_weights(fit: Train, tmp_path: Path) -> None:
    summary = fit(tmp_path / "s", precision="bf16", max_steps=4)
    assert summary.precision == "bf16"
    assert {tensor.dtype for tensor in weights(tmp_path / "s").values()} == {torch.float32}


def test_checkpoints_of_another_run_are_refused(
    fit: Train,
    tmp_path: Path,
    tiny_annotations: list[Annotation],
    stop_after: Callable[[int], None],
) -> None:
    # Before the first checkpoint nothing is lost by other settings.
    stop_after(1)
    with pytest.raises(Stop):
        fit(tmp_path / "s", learning_rate=1.0)
    stop_after(5)
    with pytest.raises(Stop):
        fit(tmp_path / "s")
    changed = [
        tiny_annotations[0].model_copy(update={"teacher": "another"}),
        *tiny_annotations[1:],
    ]
    others: list[dict[str, Any]] = [
        {"learning_rate": 1e-3},
        {"condition": Condition(method="multitask")},
        {"annotations": changed},
    ]
    for other in others:
        with pytest.raises(ConfigError, match="run with other settings or data") as caught:
            fit(tmp_path / "s", **other)
        assert "Delete that folder" in caught.value.remedy
    stop_after(-1)
    assert fit(tmp_path / "s").steps == 9


def test_a_disk_too_small_is_told_before_training(
    fit: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    with pytest.raises(DataError, match=r"0\.0 GiB free, but checkpoints need"):
        fit(tmp_path / "s")


@pytest.mark.parametrize("truncated_state", [False, True])
def test_a_disk_that_fills_up_loses_nothing(
    truncated_state: bool, fit: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(tmp_path / "unbroken")
    original = ViewTrainer._save_optimizer_and_scheduler

    def fills_up(self: ViewTrainer, output_dir: str) -> None:
        if self.state.global_step == 6:
            if truncated_state:
                (Path(output_dir) / "trainer_state.json").write_text('{"epoch": 1.')
            raise OSError(errno.ENOSPC, "No space left on device")
        original(self, output_dir)

    with monkeypatch.context() as patch:
        patch.setattr(ViewTrainer, "_save_optimizer_and_scheduler", fills_up)
        with pytest.raises(DataError, match="the disk is full") as caught:
            fit(tmp_path / "s")
    assert "goes on from the last checkpoint" in caught.value.remedy
    assert (tmp_path / "s/checkpoints/checkpoint-3/model.safetensors").is_file()
    seen: list[str] = []
    monkeypatch.setattr("distilwhy.training.checkpoints.say", seen.append)
    fit(tmp_path / "s")
    assert len(seen) == 1
    assert seen[0].endswith("checkpoint-3.")
    assert_equal(tmp_path / "unbroken", tmp_path / "s")


def test_annotations_without_answers_are_refused(
    fit: Train, tmp_path: Path, tiny_annotations: list[Annotation]
) -> None:
    unlabelled = [
        a.model_copy(update={"example": a.example.model_copy(update={"answer": None})})
        for a in tiny_annotations[:2]
    ]
    with pytest.raises(DataError, match="2 examples have no right answer"):
        fit(tmp_path / "s", annotations=[*unlabelled, *tiny_annotations[2:]])


def test_a_method_without_its_texts_is_refused(
    fit: Train, tmp_path: Path, tiny_annotations: list[Annotation]
) -> None:
    bare = [a.model_copy(update={"revision": None}) for a in tiny_annotations]
    with pytest.raises(ConfigError, match=r"view 'explain' learns from \(revised data\)"):
        fit(
            tmp_path / "s",
            annotations=bare,
            condition=Condition(method="multitask", data="revised"),
        )


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"schedule": "zigzag"}, "training.schedule")],
)
def test_settings_that_transformers_does_not_know(
    changes: dict[str, Any], field: str, fit: Train, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=field):
        fit(tmp_path / "s", **changes)


def test_fewer_examples_than_micro_batches(
    fit: Train, tmp_path: Path, tiny_annotations: list[Annotation]
) -> None:
    summary = fit(
        tmp_path / "s",
        annotations=tiny_annotations[:2],
        condition=Condition(method="answer_only"),
        micro_batches=4,
        held_out=0.0,
        epochs=2,
    )
    assert summary.steps == 2


def test_cut_rows_are_counted(
    fit: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(tmp_path / "s", max_steps=1, max_source_tokens=20)
    assert "were cut" in capsys.readouterr().err
    assert read_card(tmp_path / "s").max_source_tokens == 20
