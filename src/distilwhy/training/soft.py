"""From settings to the soft term of a run: the teacher, what it reads, and where labels lie."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distilwhy.config import Condition, SoftSettings, TrainingSettings
from distilwhy.errors import ConfigError
from distilwhy.manifests import content_hash
from distilwhy.models.load import (
    LoadedModel,
    LoadedTokenizer,
    load_model,
    load_tokenizer,
)
from distilwhy.models.names import EMBEDDED, EMBEDDED_SHA256, parse_model
from distilwhy.models.precision import default_device, precision_name, resolve_precision
from distilwhy.progress import say
from distilwhy.records import Annotation, Family, TagPlace
from distilwhy.students.encode import Encoder
from distilwhy.students.load import CARD
from distilwhy.training.data import TrainingData
from distilwhy.training.methods import Method
from distilwhy.training.on_policy import OnPolicy
from distilwhy.training.soft_labels import SoftTerm
from distilwhy.training.soft_live import LiveLabels
from distilwhy.training.soft_store import StoredLabels, bytes_per_target, store_labels
from distilwhy.training.soft_teacher import SoftTeacher
from distilwhy.training.teacher_context import TeacherContext, can_show
from distilwhy.training.teacher_rows import TeacherRow, TeacherRows

NO_LIMIT = 10**6  # tokens; worked examples are never cut


@dataclass(frozen=True)
class SoftRun:
    """What soft labels add to a run.

    Args:
        term: What tokens cost; ``None`` where there are no soft labels.
        on_policy: What has the student write; ``None`` where it does not.
    """

    term: SoftTerm | None = None
    on_policy: OnPolicy | None = None


@dataclass(frozen=True)
class _Teacher:
    """What is known of a teacher before its weights are loaded.

    Args:
        settings: The soft labels.
        model: Its tokenizer and configuration.
        encoder: Makes its rows.
        context: What it reads before a target.
        width: Tokens of the vocabulary that it has in common with the student; ``None`` where the
            vocabularies are compared by rank.
        ends: The tokens that end its texts and the student's; ``None`` as above.
    """

    settings: SoftSettings
    model: LoadedTokenizer
    encoder: Encoder
    context: TeacherContext
    width: int | None
    ends: tuple[int, int] | None

    @property
    def identity(self) -> dict[str, Any]:
        """What shapes its labels beside the rows."""
        return {
            "teacher": _content(self.model.name),
            "precision": precision_name(resolve_precision(self.settings.precision)),
            "temperature": self.settings.temperature,
            "width": self.width,
            "ends": self.ends,
        }

    def open(self) -> SoftTeacher:
        """Load its weights."""
        say(f"Loading the teacher of soft labels {self.model.name}.")
        loaded = load_model(self.model.name, resolve_precision(self.settings.precision))
        model: Any = loaded.model.to(default_device())  # type: ignore[arg-type]
        self.encoder.tokenizer = loaded.tokenizer
        self.encoder.pack_for(model)
        return SoftTeacher(
            LoadedModel(loaded.name, model, loaded.tokenizer),
            self.encoder,
            self.settings.temperature,
            self.width,
            self.ends,
        )


def prepare_soft(
    student: LoadedModel,
    encoder: Encoder,
    condition: Condition,
    method: Method,
    data: TrainingData,
    annotations: Sequence[Annotation],
    store: Path | None = None,
    training: TrainingSettings | None = None,
) -> SoftRun:
    """Return the soft labels of a run; none where its condition has none.

    Args:
        student: The student.
        encoder: The student's encoder.
        condition: Method, data kind and soft labels.
        method: The views.
        data: The run's rows.
        annotations: Their examples.
        store: Folder of stored labels, needed with ``top_k``.
        training: Seed, and where tags stand.

    Raises:
        ConfigError: When the settings do not fit the teacher or the method.
        ModelError: When the teacher cannot be loaded or cannot read the rows.
        DataError: When the disk is full of labels.
    """
    settings = condition.soft
    if settings is None:
        return SoftRun()
    training = training or TrainingSettings()
    teacher = _teacher(student, encoder, condition, annotations, training.tag)
    views = soft_views(condition, method, {annotation.example.family for annotation in annotations})
    numbers = [list(method.weights).index(view) for view in views]
    maker = TeacherRows(
        teacher.context,
        teacher.encoder,
        encoder.tokenizer,
        settings.alignment if settings.loss == "uld" else None,
        _room(teacher.model.config),
        teacher.model.name,
    )
    if settings.top_k is not None:
        pairs = zip(data.texts, data.rows, strict=True)
        asked = {row.number: maker.make(text, row) for text, row in pairs if row.view in numbers}
        stored = _stored(teacher, asked, settings.top_k, store)
        return SoftRun(SoftTerm(settings, stored, numbers))
    labels = LiveLabels(teacher.open(), maker, data.texts, data.rows)
    writer = None
    if settings.on_policy:
        writer = OnPolicy(
            student,
            encoder,
            labels,
            data.texts,
            data.rows,
            numbers,
            share=settings.on_policy,
            seed=training.seed,
            retokenise=settings.loss == "uld",
        )
    return SoftRun(SoftTerm(settings, labels, numbers), writer)


def _stored(
    teacher: _Teacher, rows: dict[int, TeacherRow], top_k: int, store: Path | None
) -> StoredLabels:
    """Return the labels of rows, those that are missing made first."""
    settings = teacher.settings
    if store is None:
        raise ConfigError("soft.top_k needs a folder for the labels.", "Give one.")
    if settings.loss == "reverse_kl":
        say(
            "Caution: reverse_kl lives on tokens that are unlikely to the teacher, of which stored "
            "labels tell little (docs/training.md); leave soft.top_k out."
        )
    width = teacher.width or _width(teacher.model.config)
    if top_k > width:
        say(f"soft.top_k {top_k} is more than the {width} tokens that there are: all are stored.")
        top_k = width
    size = bytes_per_target(top_k, settings.dtype, width)
    targets = sum(len(row.theirs) for row in rows.values())
    say(f"Soft labels: {targets} tokens of {size} bytes, {targets * size / 2**20:.1f} MiB.")
    stored = store_labels(
        store, teacher.identity, rows, teacher.open, top_k=top_k, dtype=settings.dtype
    )
    stored.device = default_device()
    return stored


def soft_views(condition: Condition, method: Method, families: Collection[Family]) -> list[str]:
    """Return the views of a method that have soft labels.

    Args:
        condition: What the teacher is shown, with soft labels.
        method: Its views.
        families: How the questions are asked.

    Raises:
        ConfigError: When one that is asked for is not the method's, or cannot be shown to the
            teacher.
    """
    settings = condition.soft
    assert settings is not None
    shown = [
        view
        for view in method.weights
        if all(can_show(settings, condition, view, family) for family in families)
    ]
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


def _teacher(
    student: LoadedModel,
    encoder: Encoder,
    condition: Condition,
    annotations: Sequence[Annotation],
    tag: TagPlace,
) -> _Teacher:
    settings = condition.soft
    assert settings is not None
    assert settings.teacher is not None
    model = load_tokenizer(settings.teacher)
    folder = Path(settings.teacher.removeprefix("hf:"))
    if settings.context == "source" and not (folder / CARD).is_file():
        say(
            f"{settings.teacher} was not trained by distilwhy, so it may not know what the inputs "
            "ask for; soft.context few_shot shows it."
        )
    few_shot = settings.context == "few_shot"
    start = getattr(model.config, "decoder_start_token_id", None)
    reader = Encoder(
        model.tokenizer,
        is_encoder_decoder=model.is_encoder_decoder,
        decoder_start=start if start is not None else model.tokenizer.pad_token_id,
        max_source_tokens=NO_LIMIT if few_shot else encoder.max_source_tokens,
        max_target_tokens=encoder.max_target_tokens,
    )
    examples = {annotation.example.id: annotation.example for annotation in annotations}
    context = TeacherContext(settings, condition, reader, examples, tag)
    if settings.loss == "uld":
        return _Teacher(settings, model, reader, context, None, None)
    width = min(_width(model.config), _width(student.model.config))
    ends = (context.end, int(encoder.tokenizer.eos_token_id))
    return _Teacher(settings, model, reader, context, width, ends)


def _content(name: str) -> str:
    """Return what a model is, as far as that can be told: its content where it lies here."""
    if name == EMBEDDED:
        return EMBEDDED_SHA256
    path = Path(parse_model(name).target)
    return content_hash(path) if path.exists() else name


def _width(config: Any) -> int:
    return int(config.get_text_config().vocab_size)


def _room(config: Any) -> int | None:
    """Return how many tokens a decoder-only model can read, where that is limited."""
    if config.is_encoder_decoder:
        return None
    return getattr(config.get_text_config(), "max_position_embeddings", None)
