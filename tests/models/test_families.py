"""Families of models, told by their names, else by their architecture."""

from __future__ import annotations

from pathlib import Path

import pytest

from distilwhy.models.families import families, shared_family


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("hf:meta-llama/Llama-2-13b-chat-hf", {"Llama"}),
        ("hf:lmsys/vicuna-7b-v1.5", {"Llama"}),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", {"Qwen"}),
        ("http://localhost:8000/v1#Qwen3-0.6B", {"Qwen"}),
        ("hf:google/t5-v1_1-base", {"T5"}),
        ("hf:google/flan-t5-xl", {"T5"}),
        ("openai:gpt-5-mini", {"GPT"}),
        ("openai:o3", {"GPT"}),
        ("ollama:gemma3:4b", {"Gemma"}),
        ("ollama:mistral-small", {"Mistral"}),
        ("hf:mistralai/Mixtral-8x7B", {"Mistral"}),
        ("embedded", {"SmolLM"}),
        ("hf:deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", {"DeepSeek", "Qwen"}),
        ("hf:EleutherAI/gpt-neox-20b", {"Pythia"}),
        ("hf:nobody/model-of-mine", set()),
        ("scripted", set()),
    ],
)
def test_names_tell(model: str, family: set[str]) -> None:
    assert families(model) == family


def test_a_folder_tells_by_its_architecture(tiny_models: dict[str, Path], tmp_path: Path) -> None:
    own = tmp_path / "mine"
    own.symlink_to(tiny_models["gpt2"])
    assert families(f"hf:{own}") == {"GPT"}
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    assert families(f"hf:{tmp_path / 'broken'}") == set()


def test_a_gguf_file_tells_by_its_metadata(tmp_path: Path) -> None:
    from gguf import GGUFWriter

    path = tmp_path / "weights.gguf"
    writer = GGUFWriter(path, "qwen3")
    writer.add_name("My model")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    assert families(f"gguf:{path}") == {"Qwen"}
    path.write_bytes(b"no GGUF")
    assert families(f"gguf:{path}") == set()


@pytest.mark.parametrize(
    ("judge", "student", "shared"),
    [
        ("openai:gpt-5", "hf:google/t5-v1_1-base", None),
        ("hf:Qwen/Qwen3-30B-A3B", "Qwen/Qwen3-0.6B", "Qwen"),
        ("hf:deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "Qwen/Qwen3-0.6B", "Qwen"),
        ("hf:nobody/this", "hf:nobody/that", None),
        ("hf:nobody/this", "hf:somebody/this", "this"),
    ],
)
def test_shared_families(judge: str, student: str, shared: str | None) -> None:
    assert shared_family(judge, student) == shared
