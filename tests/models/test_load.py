"""Loading: safetensors and GGUF only, no foreign code, faults in one sentence."""

from __future__ import annotations

import builtins
import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gguf
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, LlamaConfig
from transformers.utils import logging as transformers_logging

from distilwhy.errors import ModelError
from distilwhy.models import load
from distilwhy.models.load import (
    cache_folder,
    check_model,
    converted_gguf,
    load_model,
    quiet,
    quiet_logs,
)


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
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


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


@pytest.fixture(scope="module")
def gguf_file(tiny_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama as a GGUF file, of the embedded model's types of weights and tokenizer."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(tiny_models["llama"])
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        rope_theta=100_000.0,
        tie_word_embeddings=True,
    )
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(512)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(100_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(config.vocab_size)
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))))
    writer.add_token_types([3, 3, 3] + [1] * (len(tokenizer) - 3))
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(0)
    writer.add_unk_token_id(2)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for key, value in AutoModelForCausalLM.from_config(config).state_dict().items():
        if key == "lm_head.weight":  # tied
            continue
        name = names.get_name(key, (".weight",))
        if value.dim() == 1:
            writer.add_tensor(name, torch.rand_like(value).numpy())
            continue
        kind = gguf.GGMLQuantizationType["Q8_0" if "embed" in key else "Q4_1"]
        weights = torch.empty_like(value).normal_(0, 0.4).numpy()
        writer.add_tensor(name, gguf.quantize(weights, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_converted_gguf_equals_a_direct_load(
    gguf_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILWHY_CACHE", str(tmp_path))
    loaded = load_model(f"gguf:{gguf_file}")
    with quiet():
        direct = AutoModelForCausalLM.from_pretrained(
            gguf_file.parent,
            gguf_file=gguf_file.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.float32,
        ).eval()
        tokenizer = AutoTokenizer.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name)
    text = "Water boils at 100 degrees.\nWhy? " * 4
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    assert loaded.tokenizer(text)["input_ids"] == ids[0].tolist()
    with torch.inference_mode():
        torch.testing.assert_close(loaded.model(ids).logits, direct(ids).logits)
    made = converted_gguf(gguf_file)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [made]
    loaded.model.save_pretrained(tmp_path / "again")


def test_processes_that_want_a_gguf_file_convert_it_once(
    gguf_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILWHY_CACHE", str(tmp_path))
    begun: list[Path] = []
    convert = load._convert_gguf

    def counted(file: Path, target: Path) -> None:
        begun.append(target)
        time.sleep(0.2)
        convert(file, target)

    monkeypatch.setattr(load, "_convert_gguf", counted)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(converted_gguf, [gguf_file, gguf_file])
    assert begun == [first] == [second]
