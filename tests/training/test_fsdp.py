"""What can be told of FSDP without GPUs: its configuration, what is refused, what is saved."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import FullyShardedDataParallelPlugin
from accelerate.utils.launch import prepare_multi_gpu_env
from safetensors.torch import load_file
from torch.distributed.fsdp import StateDictType
from transformers import AutoModelForCausalLM, AutoTokenizer

from distilwhy.config import Condition, TrainingSettings
from distilwhy.errors import ConfigError
from distilwhy.models.load import load_model
from distilwhy.records import Annotation
from distilwhy.students.load import StudentCard, save_student
from distilwhy.training.data import encode_data
from distilwhy.training.memory import GIB, fit_to_budget
from distilwhy.training.methods import resolve_method
from distilwhy.training.processes import join
from distilwhy.training.train import make_encoder

CONFIG = Path(__file__).parents[2] / "configs" / "accelerate" / "fsdp.yaml"


def test_accelerate_makes_of_the_configuration_what_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = launch_command_parser().parse_args(["--config_file", str(CONFIG), "train.py"])
    arguments, _, _ = _validate_launch_command(given)
    assert arguments.use_fsdp
    assert arguments.num_processes == 2
    for name, value in prepare_multi_gpu_env(arguments).items():
        if name.startswith(("FSDP_", "ACCELERATE_")):
            monkeypatch.setenv(name, value)
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2
    assert plugin.reshard_after_forward is True
    assert plugin.state_dict_type == StateDictType.FULL_STATE_DICT
    assert plugin.auto_wrap_policy.__name__ == "transformer_auto_wrap_policy"


def test_adapters_are_refused_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ConfigError, match="Adapters cannot be merged"):
        join(soft=False, adapter=True)


def test_a_budget_that_chooses_adapters_is_refused_with_it(
    tiny_models: dict[str, Path],
    tiny_annotations: list[Annotation],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = load_model(f"hf:{tiny_models['llama']}")
    # What adapters fit in, but all weights do not; see test_memory.py.
    budget = 1.75 * 2**20 / GIB
    settings = TrainingSettings(precision="fp32", batch_size=2, memory_budget=budget)
    encoder = make_encoder(loaded, settings)
    condition = Condition()
    data = encode_data(
        tiny_annotations, [], resolve_method(condition), condition, settings, encoder
    )
    monkeypatch.setattr("distilwhy.training.memory.PROCESS", 0)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ConfigError, match="Adapters cannot be merged") as caught:
        fit_to_budget(loaded, encoder, data, settings)
    assert "Raise training.memory_budget" in caught.value.remedy


def test_soft_labels_are_refused_in_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(ConfigError, match="Soft labels are learnt by one process only"):
        join(soft=True)


def test_given_weights_are_saved_in_place_of_the_models(
    tiny_models: dict[str, Path], tmp_path: Path
) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_models["llama"])
    tokenizer = AutoTokenizer.from_pretrained(tiny_models["llama"])
    whole = {name: torch.full_like(value, 0.5) for name, value in model.state_dict().items()}
    card = StudentCard(
        base="hf:tiny",
        condition=Condition(method="answer_only"),
        weights={"predict": 1.0},
        answer_view="predict",
        rationale_view=None,
        seed=0,
        max_source_tokens=300,
    )
    save_student(tmp_path, model, tokenizer, card, whole)
    saved = load_file(tmp_path / "model.safetensors")
    assert saved
    assert all(bool((value == 0.5).all()) for value in saved.values())
