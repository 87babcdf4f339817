"""From settings to the soft term of a run: the teacher, what it reads, and where labels lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distilwhy.config import Condition, SoftSettings
from distilwhy.errors import ConfigError
from distilwhy.models.load import LoadedModel, load_model
from distilwhy.models.packing import can_pack
from distilwhy.models.precision import default_device, resolve_precision
from distilwhy.progress import say
from distilwhy.records import Annotation
from distilwhy.students.encode import Encoder
from distilwhy.students.load import CARD
from distilwhy.training.data import TrainingData
from distilwhy.training.methods import Method
from distilwhy.training.soft_labels import SoftTerm
from distilwhy.training.soft_live import LiveLabels
from distilwhy.training.soft_teacher import SoftTeacher
from distilwhy.training.teacher_context import TeacherContext
from distilwhy.training.teacher_rows import TeacherRows
from distilwhy.training.vocabularies import check_vocabularies

NO_LIMIT = 10**6


def soft_term(
    student: LoadedModel,
    encoder: Encoder,
    condition: Condition,
    method: Method,
    data: TrainingData,
    annotations: Sequence[Annotation],
    store: Path | None = None,
) -> SoftTerm | None:
    """Return the soft term of a run; ``None`` where its condition has no soft labels.

    Args:
        student: The student.
        encoder: The student's encoder.
        condition: Method, data kind and soft labels.
        method: The views.
        data: The run's rows.
        annotations: Their examples.
        store: Folder of stored labels, needed with ``top_k``.

    Raises:
        ConfigError: When the settings do not fit the teacher or the method.
        ModelError: When the teacher cannot be loaded or cannot read the rows.
    """
    settings = condition.soft
    if settings is None:
        return None
    teacher = _load(settings)
    if settings.loss != "uld":
        check_vocabularies(teacher, student)
    reader = _encoder(teacher, encoder, settings)
    examples = {annotation.example.id: annotation.example for annotation in annotations}
    context = TeacherContext(settings, condition, reader, examples)
    views = soft_views(settings, method, context, annotations)
    maker = TeacherRows(
        context,
        reader,
        encoder.tokenizer,
        settings.alignment if settings.loss == "uld" else None,
        _room(teacher.model),
        teacher.name,
    )
    same = settings.loss != "uld"
    asked = SoftTeacher(
        teacher,
        reader,
        settings.temperature,
        min(_width(teacher.model), _width(student.model)) if same else None,
        (context.end, int(encoder.tokenizer.eos_token_id)) if same else None,
    )
    labels = LiveLabels(asked, maker, data.texts, data.rows)
    return SoftTerm(settings, labels, [list(method.weights).index(view) for view in views])


def soft_views(
    settings: SoftSettings,
    method: Method,
    context: TeacherContext,
    annotations: Sequence[Annotation],
) -> list[str]:
    """Return the views of a method that have soft labels.

    Raises:
        ConfigError: When one that is asked for is not the method's, or cannot be shown to the
            teacher.
    """
    families = {annotation.example.family for annotation in annotations}
    shown = [v for v in method.weights if all(context.can_show(v, family) for family in families)]
    wanted = shown if settings.views is None else list(settings.views)
    faults = [f"the method has no view {view!r}" for view in wanted if view not in method.weights]
    faults += [
        f"the worked examples of context few_shot hold nothing for the view {view!r}"
        for view in wanted
        if view in method.weights and view not in shown
    ]
    if faults or not wanted:
        raise ConfigError(
            f"soft.views: {'; '.join(faults) or 'no view can be shown to the teacher'}.",
            f"The method's views are {', '.join(method.weights)}.",
        )
    return wanted


def _load(settings: SoftSettings) -> LoadedModel:
    if settings.teacher is None:
        raise ConfigError("soft.teacher names no model.", "Name one whose weights are here.")
    say(f"Loading the teacher of soft labels {settings.teacher}.")
    loaded = load_model(settings.teacher, resolve_precision(settings.precision))
    folder = Path(settings.teacher.removeprefix("hf:"))
    if settings.context == "source" and not (folder / CARD).is_file():
        say(
            f"{settings.teacher} was not trained by distilwhy, so it may not know what the inputs "
            "ask for; soft.context few_shot shows it."
        )
    model: Any = loaded.model
    return LoadedModel(loaded.name, model.to(default_device()), loaded.tokenizer)


def _encoder(teacher: LoadedModel, student: Encoder, settings: SoftSettings) -> Encoder:
    start = getattr(teacher.model.config, "decoder_start_token_id", None)
    return Encoder(
        teacher.tokenizer,
        is_encoder_decoder=teacher.is_encoder_decoder,
        decoder_start=start if start is not None else teacher.tokenizer.pad_token_id,
        max_source_tokens=NO_LIMIT if settings.context == "few_shot" else student.max_source_tokens,
        max_target_tokens=student.max_target_tokens,
        pack=can_pack(teacher.model),
    )


def _width(model: Any) -> int:
    return int(model.config.get_text_config().vocab_size)


def _room(model: Any) -> int | None:
    """Return how many tokens a model can read, where its positions are numbered absolutely."""
    if model.config.is_encoder_decoder:
        return None
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)
