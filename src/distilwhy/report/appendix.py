"""A methods section for a paper: what an experiment did, in words, with its sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from distilwhy.config import Condition, Experiment, JudgeSettings, TeacherSettings
from distilwhy.records import Record

SOURCES = {
    "distilwhy": "Hendriks, Spitzer, Kühl, Satzger: Honey, I Shrunk the Language Model: Impact of "
    "Knowledge Distillation Methods on Performance and Explainability. 2025, arXiv 2504.16056.",
    "multitask": "Hsieh et al.: Distilling step-by-step! Outperforming larger language models with "
    "less training data and smaller model sizes. 2023, arXiv 2305.02301.",
    "counterfactual": "Wang et al.: SCOTT: Self-consistent chain-of-thought distillation. 2023, "
    "arXiv 2305.01879.",
    "critique": "Bai et al.: Constitutional AI: Harmlessness from AI feedback. 2022, arXiv "
    "2212.08073.",
    "soft": "Agarwal et al.: On-policy distillation of language models: Learning from "
    "self-generated mistakes. 2024, arXiv 2306.13649.",
    "uld": "Boizard et al.: Towards cross-tokenizer distillation: the universal logit distillation "
    "loss for LLMs. 2024, arXiv 2402.12030.",
    "lora": "Hu et al.: LoRA: Low-rank adaptation of large language models. 2021, arXiv "
    "2106.09685.",
    "mcnemar": "McNemar: Note on the sampling error of the difference between correlated "
    "proportions or percentages. Psychometrika 12, 1947.",
    "bootstrap": "Efron, Tibshirani: An introduction to the bootstrap. 1993.",
    "holm": "Holm: A simple sequentially rejective multiple test procedure. Scandinavian Journal "
    "of Statistics 6, 1979.",
    "simulatability": "Hase, Zhang, Xie, Bansal: Leakage-adjusted simulatability. 2020, arXiv "
    "2010.04119.",
    "perturbation": "Lanham et al.: Measuring faithfulness in chain-of-thought reasoning. 2023, "
    "arXiv 2307.13702.",
    "edits": "Atanasova et al.: Faithfulness tests for natural language explanations. 2023, arXiv "
    "2305.18029.",
    "hint": "Turpin, Michael, Perez, Bowman: Language models don't always say what they think. "
    "2023, arXiv 2305.04388.",
    "judge": "Zheng et al.: Judging LLM-as-a-judge with MT-Bench and Chatbot Arena. 2023, arXiv "
    "2306.05685.",
    "bradley_terry": "Bradley, Terry: Rank analysis of incomplete block designs. Biometrika 39, "
    "1952.",
    "calibration": "Guo, Pleiss, Sun, Weinberger: On calibration of modern neural networks. 2017, "
    "arXiv 1706.04599.",
}

METHODS = {
    "answer_only": "the answer alone",
    "rationale_then_answer": "the explanation and then the answer, as one text",
    "multitask": "the answer and the explanation as two tasks, told apart by a tag before the "
    "question",
    "counterfactual": "the explanation and then the answer as one text, and, behind an explanation "
    "of a wrong choice, that wrong choice",
    "multitask+counterfactual": "all of the multitask and the counterfactual method",
}


class Appendix(Record):
    """A methods section.

    Args:
        paragraphs: What was done.
        sources: What it goes back to, in the order of their numbers in the text.
    """

    paragraphs: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass
class _Cited:
    """Sources by the order in which the text names them."""

    names: list[str]

    def cite(self, *names: str) -> str:
        """Return the numbers of sources in brackets; unknown names bring none."""
        known = [name for name in names if name in SOURCES]
        for name in known:
            if name not in self.names:
                self.names.append(name)
        numbers = ", ".join(str(self.names.index(name) + 1) for name in known)
        return f" [{numbers}]" if numbers else ""


def appendix(experiment: Experiment, task: str, n_train: int, n_test: int) -> Appendix:
    """Return the methods section of an experiment.

    Args:
        experiment: The experiment, defaults included.
        task: The task's name.
        n_train: Training examples used.
        n_test: Test examples used.
    """
    cited = _Cited([])
    paragraphs = [
        f"Students were distilled from a teacher's explanations{cited.cite('distilwhy')} on the "
        f"task {task}: {n_train:,} training and {n_test:,} test questions. Test questions were "
        "used for the figures only; training questions that were also test questions were left "
        "out.",
        _teacher(experiment, cited),
        _methods(experiment, cited),
        _training(experiment, cited),
        _evaluation(experiment, cited),
    ]
    return Appendix(
        paragraphs=tuple(filter(None, paragraphs)),
        sources=tuple(SOURCES[name] for name in cited.names),
    )


def _teacher(experiment: Experiment, cited: _Cited) -> str:
    settings = experiment.teacher
    if settings is None:
        return "The teacher's texts were taken from a file of annotations made before."
    return " ".join(_asked(settings, cited))


def _asked(settings: TeacherSettings, cited: _Cited) -> Iterator[str]:
    whose = "the right answer" if settings.labels == "gold" else "its own answer"
    yield (
        f"The teacher {settings.model} was shown {settings.shots} worked "
        f"example{'' if settings.shots == 1 else 's'} and wrote an explanation of {whose} to each "
        "training question."
    )
    if "critique" in settings.steps:
        yield (
            "It then criticised its explanation and, where the step is run, revised it "
            f"(critique-revision prompting{cited.cite('critique', 'distilwhy')})."
        )
    if "counterfactual" in settings.steps:
        which = "every wrong choice" if settings.counterfactuals == "all" else "one wrong choice"
        yield (
            f"For {which} it also wrote an explanation as if that choice were right"
            f"{cited.cite('counterfactual')}."
        )


def _methods(experiment: Experiment, cited: _Cited) -> str:
    return " ".join(_condition(condition, cited) for condition in experiment.conditions)


def _condition(condition: Condition, cited: _Cited) -> str:
    learnt = METHODS.get(condition.method, "the views that the configuration names")
    names = [name for name in ("multitask", "counterfactual") if name in condition.method]
    parts = [
        f"{condition.label}: students learnt {learnt}{cited.cite(*names)}, from "
        f"{'explanations as first written' if condition.data == 'unrevised' else 'revised ones'}"
    ]
    if condition.control:
        parts.append(f"as a control, explanations were spoiled ({condition.control})")
    if condition.soft:
        name = "uld" if condition.soft.loss == "uld" else "soft"
        parts.append(
            f"beside the texts, from the teacher's distributions ({condition.soft.loss}"
            f"{cited.cite(name)})"
        )
    return ", ".join(parts) + "."


def _training(experiment: Experiment, cited: _Cited) -> str:
    training = experiment.training
    length = (
        f"{training.max_steps:,} steps"
        if training.max_steps is not None
        else f"{training.epochs:g} epoch{'' if training.epochs == 1 else 's'}"
    )
    seeds = len(experiment.seeds)
    students = ", ".join(student.label for student in experiment.students)
    adapters = (
        f" Adapters{cited.cite('lora')} were trained where the configuration asks for them."
        if any(student.lora for student in experiment.students)
        else ""
    )
    return (
        f"Students ({students}) were trained for {length} with batches of {training.batch_size} "
        f"examples, AdamW at a peak learning rate of {training.learning_rate:g}, with "
        f"{seeds} seed{'' if seeds == 1 else 's'} each. The loss is the weighted sum of the mean "
        "token losses of the views; padding never counts. The checkpoint kept is the best on "
        f"held-out training questions, never on test questions.{adapters}"
    )


def _evaluation(experiment: Experiment, cited: _Cited) -> str:
    text = (
        "Accuracy is the share of questions whose decoded answer is exactly the right choice; "
        "answers that name none count as wrong. Intervals are 95 % percentile bootstrap intervals "
        f"over questions{cited.cite('bootstrap')}; pairs of students were compared by McNemar's "
        f"exact test{cited.cite('mcnemar')} with Holm's correction{cited.cite('holm')}."
    )
    names = experiment.explanations.measures
    if names:
        listed = ", ".join(f"{name}{cited.cite(name)}" for name in names)
        text += f" Explanations were judged by these measures: {listed}."
    if experiment.explanations.judge is not None and "judge" in names:
        text += f" {_ratings(experiment.explanations.judge)}"
    if experiment.explanations.pairs:
        text += (
            " A judge compared the conditions' explanations in pairs, in both orders; what was not "
            f"preferred in both{cited.cite('judge')} is a tie, and strengths are Bradley-Terry's"
            f"{cited.cite('bradley_terry')}."
        )
    return text


def _ratings(judge: JudgeSettings) -> str:
    constructs = ", ".join(judge.constructs)
    return (
        f"The judge {judge.model} rated {constructs} from 1 to 5, one call each, {judge.samples} "
        f"times, half of them with the scale shown the other way round, at temperature "
        f"{judge.temperature:g}."
    )
