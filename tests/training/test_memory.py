"""Fitting a run into a memory budget: what is measured, and what is chosen from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from distilwhy.config import Condition, StudentSettings, TrainingSettings
from distilwhy.errors import ConfigError
from distilwhy.files import read_json
from distilwhy.records import Annotation, TrainingSummary
from distilwhy.training.memory import GIB, MARGIN, PROCESS, Sizes, activation_bytes, choose
from distilwhy.training.train import train

SIZES = Sizes(
    weights=0.5 * GIB,
    largest=0.1 * GIB,
    adapters=0.01 * GIB,
    working=0,
    kept=2**21,
    kept_recomputing=2**17,
    logits=2**17,
)
PASSES = {1: (4096, 1024), 2: (2048, 512), 4: (1024, 256)}


def need(budget: float) -> tuple[int, bool, bool]:
    choice = choose(budget * GIB, SIZES, PASSES, has_adapters=False)
    assert choice.expected <= budget * GIB
    return choice.micro_batches, choice.recompute, choice.adapters


def test_the_cheapest_means_that_fits_is_chosen() -> None:
    # Weights, gradients and two moments: 2 GiB; 8 GiB of activations in one pass, 2 in four.
    assert need(20) == (1, False, False)
    assert need(9) == (2, False, False)
    assert need(7) == (4, False, False)
    assert need(5) == (1, True, False)
    assert need(4.2) == (2, True, False)
    assert need(2.6) == (1, True, True)


def test_expected_memory_by_hand() -> None:
    choice = choose(100 * GIB, SIZES, PASSES, has_adapters=False)
    state = 4 * 0.5 + 2 * 0.1
    activations, logits = 4096 * 2**21 / GIB, 3 * 1024 * 2**17 / GIB
    assert choice.expected / GIB == pytest.approx(
        PROCESS / GIB + MARGIN * (state + activations + logits)
    )


def test_a_budget_below_all_is_refused_with_what_is_needed() -> None:
    with pytest.raises(ConfigError, match=r"needs at least 1\.6 GiB, with adapters"):
        choose(1 * GIB, SIZES, PASSES, has_adapters=False)


def test_activations_are_those_that_autograd_keeps() -> None:
    class Model(torch.nn.Module):
        """Two products: the second's input is kept, the first's is the batch itself."""

        device = torch.device("cpu")

        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Linear(8, 16, bias=False)
            self.head = torch.nn.Linear(16, 4, bias=False)

        def get_output_embeddings(self) -> torch.nn.Linear:
            return self.head

        def forward(self, inputs: torch.Tensor, **ignored: object) -> object:
            return type("Output", (), {"logits": self.head(torch.relu(self.first(inputs)))})

    batch = {"inputs": torch.zeros(1, 5, 8), "select": torch.ones(1, 5, dtype=torch.bool)}
    kept = activation_bytes(Model(), batch, torch.float32)
    # Input 5 x 8; output of relu 5 x 16; its selected copy before the head 5 x 16. The place of
    # the selected positions, int64 indices, is kept too.
    floats = 4 * (5 * 8 + 5 * 16 + 5 * 16)
    assert floats <= kept <= floats + 8 * 2 * 5


@pytest.mark.parametrize("name", ["llama", "t5"])
def test_a_run_within_a_budget(
    name: str,
    tiny_models: dict[str, Path],
    tiny_annotations: list[Annotation],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = TrainingSettings(max_steps=2, batch_size=4, memory_budget=0.8, evaluations=1)
    summary = train(
        tiny_annotations,
        StudentSettings(model=f"hf:{tiny_models[name]}"),
        Condition(),
        settings,
        tmp_path / "student",
    )
    assert summary.memory == "Memory budget 0.8 GiB: one pass a step; 0.7 GiB expected."
    assert summary.memory in capsys.readouterr().err
    assert read_json(tmp_path / "student" / "training.json")["memory"] == summary.memory


@pytest.fixture
def within(
    tiny_models: dict[str, Path],
    tiny_annotations: list[Annotation],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., tuple[TrainingSummary, dict[str, torch.Tensor]]]:
    """Trains a tiny student within bytes, of which the process takes none."""
    monkeypatch.setattr("distilwhy.training.memory.PROCESS", 0)

    def run(name: str, **changes: Any) -> tuple[TrainingSummary, dict[str, torch.Tensor]]:
        student = StudentSettings(model=f"hf:{tiny_models['llama']}")
        settings = TrainingSettings(
            max_steps=4, batch_size=2, evaluations=2, precision="fp32", **changes
        )
        summary = train(tiny_annotations, student, Condition(), settings, tmp_path / name)
        return summary, load_file(tmp_path / name / "model.safetensors")

    return run


def losses(summary: TrainingSummary) -> list[float]:
    values = [value for point in summary.curve for value in (point.loss, point.held_out_loss)]
    return [value for value in values if value is not None]


def test_a_budget_that_has_activations_computed_again_changes_no_loss(within: Any) -> None:
    plain, expected = within("plain")
    # By hand: 4.6 MiB in one pass, 2.8 in two, 2.0 when computed again; 1.6 with adapters.
    summary, weights = within("small", memory_budget=2.25 * 2**20 / GIB)
    assert "2 forward passes a step, activations computed again;" in str(summary.memory)
    assert losses(summary) == pytest.approx(losses(plain), rel=1e-5)
    assert weights.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, rtol=0, atol=1e-5)


def test_a_budget_that_only_adapters_fit_trains_them_alone(
    within: Any, tiny_models: dict[str, Path]
) -> None:
    plain, _ = within("plain")
    summary, weights = within("small", memory_budget=1.75 * 2**20 / GIB)
    assert "computed again, adapters instead of all weights;" in str(summary.memory)
    # Adapters begin as no change at all, so that the first step's loss is that of all weights.
    assert losses(summary)[0] == pytest.approx(losses(plain)[0], rel=1e-5)
    assert losses(summary)[-1] != pytest.approx(losses(plain)[-1], rel=1e-5)
    assert summary.trainable_parameters < summary.parameters / 2
    base = load_file(tiny_models["llama"] / "model.safetensors")
    changed = {name for name, tensor in base.items() if not torch.equal(weights[name], tensor)}
    adapted = {name for name in base if ".layers." in name and name.endswith("proj.weight")}
    assert changed == adapted


def test_a_budget_that_cannot_be_met_ends_before_training(
    tiny_models: dict[str, Path], tiny_annotations: list[Annotation], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"memory_budget 0\.1 GiB is too small"):
        train(
            tiny_annotations,
            StudentSettings(model=f"hf:{tiny_models['llama']}"),
            Condition(),
            TrainingSettings(max_steps=2, memory_budget=0.1),
            tmp_path / "student",
        )
