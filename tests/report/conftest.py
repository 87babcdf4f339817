"""A report's data, made by hand: five conditions, a teacher and a baseline on 80 questions."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from distilwhy.evaluation.metrics import ClassMetrics, ExplanationMetrics, Metrics
from distilwhy.records import (
    Annotation,
    CurvePoint,
    Example,
    Prediction,
    PredictionSummary,
    TeacherText,
    TrainingSummary,
)
from distilwhy.report import Comparison, Entry, GateCounts, ReportData, TokenCounts

SUBJECTS = ("a violin", "spare blankets", "a ferry ticket", "wet umbrellas", "an old atlas")
PLACES = ("concert hall", "cupboard", "harbour office", "hallway", "library", "bakery", "stable")


def make_example(index: int) -> Example:
    draw = random.Random(index)
    choices = tuple(draw.sample(PLACES, 5))
    return Example(
        id=f"q{index}",
        question=f"Where would you most likely look for {SUBJECTS[index % 5]}, case {index}?",
        choices=choices,
        answer=choices[index % 5],
        context="It is late in the evening." if index % 7 == 0 else None,
    )


def make_predictions(accuracy: float, seed: int, reasons: bool = True) -> tuple[Prediction, ...]:
    draw = random.Random(seed)
    made = []
    for index in range(80):
        example = make_example(index)
        answer = example.answer if draw.random() < accuracy else draw.choice(example.wrong_choices)
        if draw.random() < 0.03:
            answer = None
        rationale = (
            f"{SUBJECTS[index % 5].capitalize()} is usually kept where people need it, and of "
            f"these places the {answer} is the one made for it. The others serve other purposes."
        )
        text = f"The answer is {answer}." if answer else "It depends on the person, I would say"
        made.append(
            Prediction(
                example=example,
                answer=answer,
                answer_text=text,
                rationale=rationale if reasons else None,
                generated_tokens=40,
            )
        )
    return tuple(made)


def make_training(views: tuple[str, ...]) -> TrainingSummary:
    curve = []
    for step in range(20, 401, 20):
        held_out = {view: 0.6 + place * 0.8 + 60 / (step + 20) for place, view in enumerate(views)}
        evaluated = step % 80 == 0
        curve.append(
            CurvePoint(
                step=step,
                loss=1.0 + 80 / (step + 10),
                held_out_loss=sum(held_out.values()) / 2 if evaluated else None,
                held_out_views=held_out if evaluated else {},
            )
        )
    return TrainingSummary(
        examples=900,
        held_out=100,
        rows=1800,
        steps=400,
        best_step=320,
        seconds=754.2,
        tokens=310_000,
        tokens_per_second=411.0,
        padding_share=0.08,
        peak_memory_mb=3412.0,
        precision="bf16",
        parameters=134_515_008,
        trainable_parameters=134_515_008,
        curve=tuple(curve),
    )


def make_metrics(
    predictions: tuple[Prediction, ...], training: TrainingSummary | None, reasons: bool
) -> Metrics:
    right = sum(prediction.correct for prediction in predictions) / len(predictions)
    classes = {
        letter: ClassMetrics(n=16, accuracy=right, predicted=14 + place)
        for place, letter in enumerate("abcde")
    }
    explanations = ExplanationMetrics(
        n=80,
        words_mean=31.4,
        words_sd=6.2,
        distractor_mentions=0.4125,
        states_answer=0.95,
        states_other_answer=0.0375,
    )
    cost = PredictionSummary(
        examples=80,
        seconds=25.0,
        generated_tokens=3200,
        tokens_per_second=128.0,
        peak_memory_mb=812.0,
        precision="bf16",
        parameters=134_515_008,
    )
    return Metrics(
        n=80,
        accuracy=right,
        ci_low=max(0.0, right - 0.105),
        ci_high=min(1.0, right + 0.105),
        unparsed=sum(prediction.answer is None for prediction in predictions),
        classes=classes,
        explanations=explanations if reasons else None,
        prediction=cost if reasons else None,
        training=training,
    )


def make_entry(name: str, kind: str, accuracy: float, seed: int, views: tuple[str, ...]) -> Entry:
    reasons = kind != "baseline"
    predictions = make_predictions(accuracy, seed, reasons)
    training = make_training(views) if views else None
    student = kind == "student"
    return Entry(
        name=name,
        kind=kind,
        student="t5-v1_1-base" if student else None,
        seed=0 if student else None,
        condition=name if student else None,
        metrics=make_metrics(predictions, training, reasons),
        predictions=predictions,
    )


CONDITIONS = {
    "multitask : unrevised": (0.66, ("predict", "explain")),
    "multitask : revised": (0.6, ("predict", "explain")),
    "counterfactual : unrevised": (0.5, ("factual", "counterfactual")),
    "multitask+counterfactual : revised": (
        0.62,
        ("predict", "explain", "factual", "counterfactual"),
    ),
    "answer_only : unrevised": (0.58, ("predict",)),
}


def make_comparison(a: Entry, b: Entry, p: float) -> Comparison:
    pairs = list(zip(a.predictions, b.predictions, strict=True))
    only_a = sum(x.correct and not y.correct for x, y in pairs)
    only_b = sum(y.correct and not x.correct for x, y in pairs)
    difference = (only_a - only_b) / len(pairs)
    half = 0.1
    return Comparison(
        a=a.name,
        b=b.name,
        difference=difference,
        ci_low=difference - half,
        ci_high=difference + half,
        p=p,
        n=len(pairs),
        only_a_right=only_a,
        only_b_right=only_b,
    )


def make_sample(index: int) -> Annotation:
    example = make_example(index)
    return Annotation(
        example=example,
        teacher="hf:teacher-7b",
        rationale=TeacherText(text=f"It is kept in the {example.answer}, where it is used."),
        critique=TeacherText(text="The rationale does not say why the others are wrong."),
        revision=TeacherText(
            text=f"It is kept in the {example.answer}; the other places have no use for it, and",
            finish="length",
            flags=("truncated",),
        ),
        counterfactuals={
            choice: TeacherText(text=f"People would look in the {choice} first.")
            for choice in example.wrong_choices
        },
    )


@pytest.fixture(scope="session")
def report_data() -> ReportData:
    """Return realistic data."""
    students = [
        make_entry(name, "student", accuracy, seed, views)
        for seed, (name, (accuracy, views)) in enumerate(CONDITIONS.items())
    ]
    teacher = make_entry("hf:teacher-7b", "teacher", 0.82, 11, ())
    baseline = make_entry("majority", "baseline", 0.2, 12, ())
    best = students[0]
    comparisons = [make_comparison(best, student, 0.2) for student in students[1:]]
    comparisons += [make_comparison(best, baseline, 1e-9), make_comparison(best, teacher, 0.03)]
    return ReportData(
        title="Where things are kept",
        generated=datetime(2026, 3, 4, 9, 5, tzinfo=UTC),
        task="mini",
        n_train=1000,
        n_validation=0,
        n_test=80,
        config_yaml="task: mini\nteacher:\n  model: hf:teacher-7b\nstudents:\n- model: hf:t5\n" * 6,
        versions={"distilwhy": "0.1.0", "torch": "2.9.0", "transformers": "5.16.1"},
        machine={"processor": "2 cores with AVX512-BF16", "memory (GiB)": 16, "GPU": None},
        seconds=5025.0,
        stage_seconds={"generate": 2101.0, "train": 2870.5, "predict": 48.2},
        gates={
            "rationale": GateCounts(n=1000, flags={"looping": 3, "truncated": 41}),
            "revision": GateCounts(n=1000, flags={"truncated": 88, "wrong letter": 12}),
        },
        tokens={
            "rationale": TokenCounts(prompt=912_345, completion=61_200),
            "revision": TokenCounts(prompt=1_312_345, completion=71_200),
        },
        entries=[*students, teacher, baseline],
        comparisons=comparisons,
        samples=[make_sample(index) for index in range(3)],
    )


@pytest.fixture(scope="session")
def bare_data(report_data: ReportData) -> ReportData:
    """Only what a report cannot do without."""
    return ReportData(
        title="Bare",
        generated=report_data.generated,
        task="mini",
        n_train=0,
        n_validation=0,
        n_test=80,
        entries=(report_data.entries[-1].model_copy(update={"predictions": ()}),),
    )
