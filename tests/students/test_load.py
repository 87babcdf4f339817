"""Students' folders and adapters."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from distilwhy.config import Condition, LayerSettings, LoraSettings, StudentSettings
from distilwhy.errors import DataError, MissingExtraError, ModelError
from distilwhy.models.skeleton import load_skeleton
from distilwhy.students.load import (
    CARD,
    StudentCard,
    check_base,
    load_base,
    load_student,
    read_card,
    save_student,
)
from distilwhy.students.quantise import quantisation

CARD_OF_ONE = StudentCard(
    base="hf:tiny",
    condition=Condition(method="multitask", data="revised"),
    weights={"predict": 0.5, "explain": 0.5},
    answer_view="predict",
    rationale_view="explain",
    seed=3,
    max_source_tokens=64,
)


@pytest.mark.parametrize("name", ["llama", "old_t5"])
def test_a_saved_student_comes_back(
    name: str, tiny_models: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    base = load_base(StudentSettings(model=f"hf:{tiny_models[name]}"))
    save_student(tmp_path / "s", base.model, base.tokenizer, CARD_OF_ONE)
    loaded, card = load_student(tmp_path / "s", torch.bfloat16)
    assert card == CARD_OF_ONE
    assert loaded.model.dtype == torch.bfloat16
    assert loaded.tokenizer("water")["input_ids"] == base.tokenizer("water")["input_ids"]
    for parameter, weight in base.model.state_dict().items():
        torch.testing.assert_close(loaded.model.state_dict()[parameter], weight.bfloat16())
    assert capfd.readouterr().err == ""


def test_folders_that_are_no_students(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"is not a trained student: it has no {CARD}") as caught:
        load_student(tmp_path, torch.float32)
    assert "distilwhy train" in caught.value.remedy
    (tmp_path / CARD).write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        read_card(tmp_path)
    card = {**CARD_OF_ONE.model_dump(), "seed": "three", "colour": "red"}
    (tmp_path / CARD).write_text(json.dumps(card))
    with pytest.raises(ModelError, match="has 2 faults") as caught:
        read_card(tmp_path)
    assert "seed: " in caught.value.message
    assert "colour: " in caught.value.message


@pytest.mark.parametrize("name", ["llama", "gpt2", "t5"])
def test_only_adapters_are_trained(name: str, tiny_models: dict[str, Path]) -> None:
    base = load_base(StudentSettings(model=f"hf:{tiny_models[name]}"))
    assert all(p.requires_grad for p in base.model.parameters())
    adapted = load_base(StudentSettings(model=f"hf:{tiny_models[name]}", lora=LoraSettings(rank=2)))
    trained = [n for n, p in adapted.model.named_parameters() if p.requires_grad]
    assert trained
    assert all("lora_" in parameter for parameter in trained)


def test_chosen_layers_get_adapters(tiny_models: dict[str, Path]) -> None:
    lora = LoraSettings(rank=3, targets=("q_proj", "v_proj"))
    model = load_base(StudentSettings(model=f"hf:{tiny_models['llama']}", lora=lora)).model
    shapes = {n: tuple(p.shape) for n, p in model.named_parameters() if p.requires_grad}
    # Two layers of two projections with two matrices each, from 32 to 32 or 16 numbers.
    assert len(shapes) == 8
    assert all("q_proj" in parameter or "v_proj" in parameter for parameter in shapes)
    assert set(shapes.values()) == {(3, 32), (32, 3), (16, 3)}


def test_layers_that_do_not_exist(tiny_models: dict[str, Path]) -> None:
    for targets in ("nothing_like_it", ("wq", "wv")):
        student = StudentSettings(
            model=f"hf:{tiny_models['llama']}", lora=LoraSettings(targets=targets)
        )
        with pytest.raises(ModelError, match="No adapter could be put on hf:") as caught:
            load_base(student)
        assert "lora.targets" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "layers", "smallest"), [("llama", None, 16), ("gpt2", None, 32), ("t5", (0,), 32)]
)
def test_a_rank_above_that_of_a_matrix_adapted(
    name: str, layers: tuple[int, ...] | None, smallest: int, tiny_models: dict[str, Path]
) -> None:
    base = {"model": f"hf:{tiny_models[name]}", "layers": layers}
    check_base(StudentSettings.model_validate({**base, "lora": {"rank": smallest}}))
    with pytest.raises(ModelError, match=f"has the rank {smallest} at most"):
        check_base(StudentSettings.model_validate({**base, "lora": {"rank": smallest + 1}}))


@pytest.mark.parametrize("name", ["llama", "gpt2", "t5", "old_t5"])
def test_a_skeleton_has_the_sizes_of_the_model(name: str, tiny_models: dict[str, Path]) -> None:
    model = f"hf:{tiny_models[name]}"
    for layers in (None, LayerSettings()):
        skeleton = load_skeleton(model, layers).model
        whole = load_base(StudentSettings(model=model, layers=layers)).model
        shapes = [{n: p.shape for n, p in m.named_parameters()} for m in (skeleton, whole)]
        assert shapes[0] == shapes[1]
        assert {p.device.type for p in skeleton.parameters()} == {"meta"}


def test_quantised_weights_need_an_extra(
    tiny_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    student = StudentSettings(model=f"hf:{tiny_models['llama']}", lora=LoraSettings(bits=4))
    for call in (check_base, load_base):
        with pytest.raises(MissingExtraError, match=r"lora\.bits \(QLoRA\)") as caught:
            call(student)
        assert caught.value.remedy == "Run: pip install 'distilwhy[qlora]'"


def test_how_weights_are_quantised() -> None:
    told = quantisation().to_dict()
    assert told["load_in_4bit"]
    assert told["bnb_4bit_quant_type"] == "nf4"
    assert told["bnb_4bit_use_double_quant"]


def test_a_quantised_student_is_saved_as_it_was_trained(
    tiny_models: dict[str, Path], tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes")
    settings = StudentSettings(
        model=f"hf:{tiny_models['llama']}", layers=LayerSettings(), lora=LoraSettings(bits=4)
    )
    base = load_base(settings)
    trained = [p for n, p in base.model.named_parameters() if p.requires_grad]
    ids = torch.tensor([[5, 9, 31, 7, 12, 40, 3]])
    before = base.model(input_ids=ids, labels=ids).loss
    before.backward()
    with torch.no_grad():
        for parameter in trained:
            parameter -= 0.1 * parameter.grad.sign()
        expected = base.model.eval()(input_ids=ids).logits
    save_student(tmp_path / "s", base.model, base.tokenizer, CARD_OF_ONE)
    loaded, _ = load_student(tmp_path / "s", torch.float32)
    assert loaded.model.config.num_hidden_layers == 1
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(input_ids=ids).logits, expected, atol=1e-3, rtol=0)
