"""Families of models: which were trained from the same weights or by the same makers."""

from __future__ import annotations

import re
from pathlib import Path

from distilwhy.errors import UserError
from distilwhy.files import read_json
from distilwhy.models.names import EMBEDDED, label, parse_model

NAMES: dict[str, str] = {
    "Llama": r"llama|vicuna|alpaca|wizardlm|hermes",
    "Qwen": r"qwen|qwq|qvq",
    "T5": r"(?<!gp)t5|\bul2",
    "SmolLM": r"smollm",
    "Gemma": r"gemma|gemini|palm",
    "Mistral": r"mi[sx]tral|ministral|codestral|magistral|devstral|zephyr",
    "GPT": r"gpt-?\d|gpt-?oss|chatgpt|davinci|\bo[134]\b|distilgpt",
    "Claude": r"claude",
    "DeepSeek": r"deepseek",
    "Phi": r"\bphi-?\d",
    "OLMo": r"olmo|tulu",
    "Falcon": r"falcon",
    "Pythia": r"pythia|gpt-?neo",
    "BLOOM": r"bloom",
    "OPT": r"\bopt-",
    "Command": r"command|\baya\b",
    "Granite": r"granite",
    "Yi": r"\byi-",
    "GLM": r"glm",
    "InternLM": r"internlm",
    "Kimi": r"kimi|moonlight",
    "Nemotron": r"nemotron",
}
"""Patterns of names by family, looked for anywhere in a model's name, in lower case."""

ARCHITECTURES: dict[str, str] = {
    "llama": "Llama",
    "t5": "T5",
    "mt5": "T5",
    "umt5": "T5",
    "gpt2": "GPT",
    "gpt_neox": "Pythia",
    "gpt_neo": "Pythia",
    "opt": "OPT",
    "smollm3": "SmolLM",
    "cohere": "Command",
    "chatglm": "GLM",
}
"""Families by architecture, where its name is not that of the family."""


def families(model: str) -> frozenset[str]:
    """Return the families that a model belongs to; none where neither name nor files tell.

    Its name tells first. Where it does not, the architecture does, in the folder or file of a model
    on this machine; as other makers build on an architecture too, that errs on the side of naming
    one. A name may tell several, e.g. of a model distilled from one into another.

    Args:
        model: A model string; nothing is loaded or downloaded.
    """
    found = _named(label(model))
    return found or _named(_architecture(model))


def shared_family(judge: str, student: str) -> str | None:
    """Return the family that two models share, for a sentence; ``None`` where none is known.

    Args:
        judge: Model string of one.
        student: Model string of the other; of a trained student, of what it was trained from.
    """
    if label(judge) == label(student):
        return label(judge)
    both = families(judge) & families(student)
    return " and ".join(sorted(both)) or None


def _named(text: str) -> frozenset[str]:
    lowered = text.casefold()
    known = {name for name, pattern in NAMES.items() if re.search(pattern, lowered)}
    if "Pythia" in known:
        known.discard("GPT")
    architecture = ARCHITECTURES.get(lowered)
    return frozenset(known | ({architecture} if architecture else set()))


def _architecture(model: str) -> str:
    """Return the architecture that a model's folder or file names, if it is on this machine."""
    if model == EMBEDDED:
        return ""
    try:
        name = parse_model(model)
        path = Path(name.target)
        if name.kind == "gguf":
            return _of_gguf(path)
        config = read_json(path / "config.json") if path.is_dir() else {}
    except UserError:
        return ""
    return str(config.get("model_type", "")) if isinstance(config, dict) else ""


def _of_gguf(path: Path) -> str:
    from gguf import GGUFReader

    try:
        fields = GGUFReader(path).fields
    except (OSError, ValueError, IndexError):
        return ""
    told = [
        fields[key].contents() for key in ("general.name", "general.architecture") if key in fields
    ]
    return next((str(text) for text in told if _named(str(text))), "")
