"""Loading students: base models to train, with adapters on request, and trained folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from distilwhy.config import Condition, LoraSettings, StudentSettings
from distilwhy.errors import Fault, ModelError, raise_faults
from distilwhy.files import describe, read_json, write_json
from distilwhy.models.layers import check_layers, keep_layers
from distilwhy.models.load import LoadedModel, check_model, load_model, quiet
from distilwhy.models.skeleton import load_skeleton
from distilwhy.records import STUDENT_CARD, Record, TagPlace
from distilwhy.students.quantise import check_bits, merged, quantise

CARD = STUDENT_CARD


class StudentCard(Record):
    """What a trained student's folder says of itself.

    Args:
        base: Model string that training started from.
        condition: Method and data kind.
        weights: Weight of each view.
        answer_view: View whose tag asks for the answer.
        rationale_view: View whose tag asks for the rationale; ``None`` when none was learnt.
        seed: Training seed.
        max_source_tokens: Inputs are cut at so many tokens, as in training.
        tag: Where it reads a view's tag: before the question, or behind it.
    """

    base: str
    condition: Condition
    weights: dict[str, float]
    answer_view: str
    rationale_view: str | None
    seed: int
    max_source_tokens: int
    tag: TagPlace = "front"

    def with_tags_swapped(self) -> StudentCard:
        """Return a card by which the answer is asked for by another view's tag.

        By that of the rationale, which is asked for by the answer's tag; where one text gives
        both, by the tag of the first other view that was learnt.

        Raises:
            ModelError: When the student learnt one view only.
        """
        other = self.rationale_view
        if other in (None, self.answer_view):
            other = next((view for view in self.weights if view != self.answer_view), None)
            rationale = other
        else:
            rationale = self.answer_view
        if other is None:
            raise ModelError(
                f"The student learnt the tag [{self.answer_view}] only, so none can be swapped.",
                "Ask it by the tag that it learnt.",
            )
        return self.model_copy(update={"answer_view": other, "rationale_view": rationale})


def load_base(settings: StudentSettings) -> LoadedModel:
    """Load a base model to train, in fp32, as the settings ask for it.

    With fewer layers, with fresh adapters, with the weights below these in fewer bits.

    Raises:
        ModelError: When the model, its layers or the adapters' layers cannot be found.
        MissingExtraError: When it is to be quantised and bitsandbytes is not installed.
    """
    loaded = load_model(settings.model, torch.float32)
    if settings.layers is not None:
        loaded = keep_layers(loaded, settings.layers)
    if settings.lora is None:
        return loaded
    if settings.lora.bits is not None:
        loaded = quantise(loaded)
    return LoadedModel(loaded.name, with_lora(loaded, settings.lora), loaded.tokenizer)


def check_base(settings: StudentSettings) -> None:
    """Refuse a student that cannot be loaded, as far as that shows without its weights.

    Raises:
        ModelError: When the base model, one of the layers kept or of those adapted is not there,
            or an adapter's rank is too high.
        MissingExtraError: When it is to be quantised and bitsandbytes is not installed.
    """
    check_model(settings.model)
    if settings.layers is not None:
        check_layers(settings.model, settings.layers)
    if settings.lora is not None:
        if settings.lora.bits is not None:
            check_bits()
        _check_rank(with_lora(load_skeleton(settings.model, settings.layers), settings.lora))


def _check_rank(model: Any) -> None:
    """Refuse adapters whose rank is above that of a matrix adapted, which they then exceed.

    Args:
        model: A model wrapped by peft, on any device.
    """
    rank = model.peft_config["default"].r
    sizes = {
        name.removeprefix("base_model.model."): min(module.base_layer.weight.shape)
        for name, module in model.named_modules()
        if hasattr(module, "lora_A") and hasattr(module, "base_layer")
    }
    name, smallest = min(sizes.items(), key=lambda item: item[1])
    if rank > smallest:
        raise ModelError(
            f"lora.rank is {rank}, but {name}, one of the matrices adapted, has the rank "
            f"{smallest} at most.",
            f"Give {smallest} or less, or leave that layer out of lora.targets.",
        )


def with_lora(loaded: LoadedModel, settings: LoraSettings) -> Any:
    """Return the model wrapped by peft, with only its adapters trainable.

    Raises:
        ModelError: When no layer of the model matches ``targets``.
    """
    from peft import LoraConfig, TaskType, get_peft_model

    targets = settings.targets if isinstance(settings.targets, str) else list(settings.targets)
    config = LoraConfig(
        task_type=TaskType.SEQ_2_SEQ_LM if loaded.is_encoder_decoder else TaskType.CAUSAL_LM,
        r=settings.rank,
        lora_alpha=settings.scale,
        lora_dropout=settings.dropout,
        target_modules=targets,
    )
    try:
        with quiet():
            return get_peft_model(loaded.model, config)
    except ValueError as error:
        raise ModelError(
            f"No adapter could be put on {loaded.name}: {str(error).splitlines()[0]}",
            "Mend lora.targets; 'all-linear' fits every model.",
        ) from error


def save_student(
    folder: Path,
    model: Any,
    tokenizer: Any,
    card: StudentCard,
    weights: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write a student as dense safetensors with its tokenizer and card; adapters are merged in.

    Args:
        folder: Where to.
        model: The student.
        tokenizer: Its tokenizer.
        card: What it was trained on and how.
        weights: Its weights by name, where the model itself holds only a part of them.
    """
    if hasattr(model, "merge_and_unload"):
        model = merged(model)
    with quiet():
        model.save_pretrained(folder, state_dict=weights)
        tokenizer.save_pretrained(folder)
    write_json(folder / CARD, card.model_dump())


def load_student(folder: Path, dtype: torch.dtype) -> tuple[LoadedModel, StudentCard]:
    """Load a trained student and its card.

    Args:
        folder: The folder that training wrote.
        dtype: Precision of the weights.

    Raises:
        ModelError: When the folder is not a trained student.
    """
    card = read_card(folder)
    return load_model(f"hf:{folder}", dtype), card


def read_card(folder: Path) -> StudentCard:
    """Read the card of a trained student.

    Raises:
        ModelError: When the folder is not a trained student.
    """
    if not (folder / CARD).is_file():
        raise ModelError(
            f"{folder} is not a trained student: it has no {CARD}.",
            "Give the folder that 'distilwhy train --out' wrote.",
        )
    try:
        return StudentCard.model_validate(read_json(folder / CARD))
    except ValidationError as error:
        faults = [Fault(str(folder / CARD), what) for what in describe(error)]
        raise_faults(ModelError, str(folder / CARD), faults, "Train the student again.")
        raise
