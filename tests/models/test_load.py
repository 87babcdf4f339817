"""Loading: safetensors and GGUF only, no foreign code, faults in one sentence."""

from __future__ import annotations

import builtins
import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
from transformers.utils import logging as transformers_logging

from distilwhy.errors import ModelError
from distilwhy.models.load import (
    cache_folder,
    check_model,
    converted_gguf,
    load_model,
    quiet,
    quiet_logs,
)
from distilwhy.models.names import EMBEDDED_PACKAGE, embedded_gguf


@pytest.fixture
def folder(tiny_models: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_models["llama"], tmp_path / "model"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["llama", "gpt2", "t5", "old_t5"])
def test_loads_in_evaluation_mode(
    name: str, dtype: torch.dtype, tiny_models: dict[str, Path]
) -> None:
    loaded = load_model(f"hf:{tiny_models[name]}", dtype)
    assert loaded.is_encoder_decoder == ("t5" in name)
    assert not loaded.model.training
    assert loaded.model.dtype == dtype
    assert loaded.tokenizer.pad_token_id == 0


def test_a_tokenizer_without_pad_token_pads_with_the_end_token(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    assert AutoTokenizer.from_pretrained(folder).pad_token_id is None
    assert load_model(str(folder)).tokenizer.pad_token_id == 1


def test_a_tokenizer_without_end_token_is_refused(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.eos_token = None
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match="has no end token"):
        load_model(str(folder))


def test_pickled_weights_are_refused(folder: Path) -> None:
    model = load_model(str(folder)).model
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="could not be loaded as a language model") as caught:
        load_model(str(folder))
    assert "safetensors" in caught.value.remedy


@pytest.mark.parametrize("model_type", ["llama", "never_heard_of"])
def test_code_in_a_folder_is_never_run(
    model_type: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "was_run"
    source = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n"
    for name in ("Config", "Model", "Tokenizer"):
        source += f"class {name}:\n    pass\n"
    (folder / "evil.py").write_text(source)
    for file, entries in (
        (
            "config.json",
            {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"},
        ),
        ("tokenizer_config.json", {"AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"]}),
    ):
        settings = json.loads((folder / file).read_text())
        settings["auto_map"] = entries
        if file == "config.json":
            settings["model_type"] = model_type
        (folder / file).write_text(json.dumps(settings))
    # transformers would ask; the answer must not even be asked for.
    monkeypatch.setattr(builtins, "input", lambda *_: "y")
    if model_type == "llama":
        assert type(load_model(str(folder)).model).__name__ == "LlamaForCausalLM"
    else:
        with pytest.raises(ModelError, match="could not be loaded as a language model"):
            load_model(str(folder))
    assert not mark.exists()


def test_faulty_folders(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="empty could not be loaded as a language model"):
        load_model(f"hf:{tmp_path / 'empty'}")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="could not be loaded as a language model"):
        load_model(str(folder))


def test_missing_weights_are_not_filled_with_random_numbers(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ModelError, match=r"lacks weights .* 1 in all, e\.g\. model\.layers\.1\.mlp\.up_proj"
    ):
        load_model(str(folder))


def test_unknown_names_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="neither as a folder nor on the model hub"):
        load_model("hf:./no/such/folder")
    with pytest.raises(ModelError, match="recorded text, not a model"):
        load_model(f"recorded:{__file__}")
    with pytest.raises(ModelError, match="openai:gpt-4o is not a model whose weights can be"):
        load_model("openai:gpt-4o")


@pytest.mark.parametrize("lost", ["config.json", "tokenizer.json", "model.safetensors"])
def test_what_a_folder_lacks_shows_before_it_is_loaded(lost: str, folder: Path) -> None:
    check_model(f"hf:{folder}")
    (folder / lost).unlink()
    with pytest.raises(ModelError, match="could not be loaded as a language model"):
        check_model(f"hf:{folder}")


def test_models_that_are_none_show_before_they_are_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="neither as a folder nor on the model hub"):
        check_model("hf:no/such-model")
    with pytest.raises(ModelError, match="recorded text, not a model"):
        check_model(f"recorded:{__file__}")
    with pytest.raises(ModelError, match="ollama:q is not a model whose weights can be"):
        check_model("ollama:q")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["eos_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match="has no end token"):
        check_model(f"hf:{folder}")


def test_a_file_that_is_no_gguf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILWHY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "m.gguf").write_bytes(b"GGUF nothing")
    with pytest.raises(ModelError, match=r"m\.gguf could not be loaded as a language model"):
        load_model(f"gguf:{tmp_path / 'm.gguf'}")
    assert list((tmp_path / "cache").iterdir()) == []


def test_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISTILWHY_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "distilwhy"
    monkeypatch.setenv("DISTILWHY_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


@pytest.mark.parametrize("context", [quiet, quiet_logs])
def test_silence_ends_with_the_block(context: object) -> None:
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    with context():  # type: ignore[operator]
        assert not transformers_logging.is_progress_bar_enabled()
        assert transformers_logging.get_verbosity() > verbosity
    with pytest.raises(ZeroDivisionError), context():  # type: ignore[operator]
        _ = 1 / 0
    assert transformers_logging.get_verbosity() == verbosity
    assert transformers_logging.is_progress_bar_enabled() == bars


@pytest.mark.slow
def test_a_converted_gguf_equals_a_direct_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        file = embedded_gguf()
    except ModelError:
        pytest.skip(f"{EMBEDDED_PACKAGE} is not installed")
    monkeypatch.setenv("DISTILWHY_CACHE", str(tmp_path))
    loaded = load_model("embedded")
    with quiet():
        direct = AutoModelForCausalLM.from_pretrained(
            file.parent,
            gguf_file=file.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.float32,
        ).eval()
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    text = "Water boils at 100 degrees.\nWhy? " * 4
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    assert loaded.tokenizer(text)["input_ids"] == ids[0].tolist()
    with torch.inference_mode():
        torch.testing.assert_close(loaded.model(ids).logits, direct(ids).logits)
    assert converted_gguf(file).parent == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == [converted_gguf(file).name]
    loaded.model.save_pretrained(tmp_path / "again")
