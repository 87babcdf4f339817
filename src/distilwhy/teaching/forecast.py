"""A forecast of what a teacher will be asked, and of what that costs, from a sample."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from distilwhy.config import TeacherSettings
from distilwhy.generators.base import Count
from distilwhy.generators.recorded import StoredText
from distilwhy.prompts.library import load_prompts
from distilwhy.records import Example, Record
from distilwhy.tasks.rows import draw
from distilwhy.teaching.annotate import annotate_from, check_answers
from distilwhy.teaching.asking import Request, TextSource
from distilwhy.teaching.cost import TeachingCost
from distilwhy.teaching.ledger import StepTime, read_ledger
from distilwhy.teaching.spending import read_spent
from distilwhy.teaching.stand_in import Noted, StandIn
from distilwhy.teaching.store import stored_texts

SAMPLE = 200  # examples
SHOWN = 3  # prompts
TIMED = 64  # texts, at most
STEPS = ("answer", "rationale", "counterfactual", "critique", "revision")
BYTES_A_TOKEN = 4.0  # the shipped prompts: 3.99 with a vocabulary of 49,152, more with larger ones

Ask = Callable[[TextSource, Sequence[Example]], TeachingCost]
"""Asks a source all that there is to ask about examples, and tells what that cost."""

Measure = Callable[[Sequence[Request]], StepTime]
"""Asks for some texts and tells how long they took; for teachers that cost no money."""


class StepForecast(Record):
    """What one step still asks for.

    Args:
        texts: Texts still to be asked for.
        stored: Texts that the store has already.
        prompt_tokens: Tokens of the prompts.
        text_tokens: Tokens expected of the texts.
        most_text_tokens: Most tokens that the texts can have, by their limit.
        usd: Money expected; ``None`` without prices.
        most_usd: Most money.
        seconds: Time expected; ``None`` where nothing tells.
    """

    texts: int = 0
    stored: int = 0
    prompt_tokens: int = 0
    text_tokens: int = 0
    most_text_tokens: int = 0
    usd: float | None = None
    most_usd: float | None = None
    seconds: float | None = None


class ShownPrompt(Record):
    """A prompt as it will be sent."""

    step: str
    prompt: str


class Forecast(Record):
    """What a run will ask for.

    Args:
        examples: Examples to annotate.
        sampled: Of these, examples whose prompts were made.
        steps: Forecast by step.
        prompts: Some prompts, of as many steps as can be.
        spent_tokens: Tokens that the store has cost so far.
        spent_usd: Money that it has cost so far; ``None`` without prices.
        spent_hours: Hours in which the teacher was asked so far.
        notes: How the figures came about, a sentence each.
    """

    examples: int
    sampled: int
    steps: dict[str, StepForecast]
    prompts: tuple[ShownPrompt, ...]
    spent_tokens: int
    spent_usd: float | None
    spent_hours: float
    notes: tuple[str, ...]

    @property
    def total(self) -> StepForecast:
        """The sum over all steps; ``None`` where a part is not known."""
        steps = list(self.steps.values())
        sums = {
            name: None if None in (parts := [getattr(s, name) for s in steps]) else sum(parts)
            for name in StepForecast.model_fields
        }
        return StepForecast.model_validate(sums)


@dataclass
class _Told:
    """What the store tells of texts that were asked before, by step."""

    texts: dict[str, StoredText] = field(default_factory=dict)
    count: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    times: Mapping[str, StepTime] = field(default_factory=dict)


def forecast(
    examples: Sequence[Example],
    teacher: TeacherSettings,
    *,
    seed: int,
    store_path: Path,
    count: Count | None = None,
    measure: Measure | None = None,
    sample: int = SAMPLE,
    ask: Ask | None = None,
    who: str = "teacher",
    stand_ins: str = "those of worked examples",
) -> Forecast:
    """Say what annotating examples will ask for, without asking for it and without writing.

    Args:
        examples: The examples to annotate.
        teacher: The teacher, how it is asked, and its prices.
        seed: The experiment's seed.
        store_path: The store of texts, which need not be there.
        count: Counts the tokens of a prompt; estimated from bytes when unset.
        measure: Times some texts, where the store tells no time.
        sample: Make the prompts of so many examples at most, drawn by seed.
        ask: What is asked instead of annotations.
        who: Who is asked, for the notes.
        stand_ins: What text tokens are where no text is stored, for the notes.

    Raises:
        UserError: As of :func:`annotate`.
    """
    check_answers(examples, teacher)
    sampled = draw(examples, sample, seed)
    told = _told(store_path)
    worked = {
        family: load_prompts(family, teacher.prompts).worked_examples
        for family in {example.family for example in sampled}
    }
    source = StandIn(teacher.model, told.texts, sampled, worked, count)
    if ask is None:
        cost = annotate_from(source, sampled, teacher, seed=seed).cost
    else:
        cost = ask(source, sampled)
    figures = _Figures(teacher, source, told, cost, len(examples) / len(sampled))
    timed = None
    if measure is not None and not told.times and source.steps:
        timed = _timed(measure, source, min(teacher.batch_size, TIMED))
    spent = read_spent([store_path])
    prices = teacher.prices
    used = spent.tokens
    return Forecast(
        examples=len(examples),
        sampled=len(sampled),
        steps={step: figures.step(step, timed) for step in sorted(cost.steps, key=_place)},
        prompts=_shown(source),
        spent_tokens=used.total,
        spent_usd=prices and prices.usd(used.prompt, used.completion, used.cached),
        spent_hours=spent.seconds / 3600,
        notes=tuple(_notes(figures, count, timed, who, stand_ins)),
    )


@dataclass(frozen=True)
class _Timed:
    """How long some texts of one step took."""

    step: str
    time: StepTime


@dataclass(frozen=True)
class _Figures:
    """What the figures of a step are made from; ``factor`` leads from the sample to all."""

    teacher: TeacherSettings
    source: StandIn
    told: _Told
    cost: TeachingCost
    factor: float

    def step(self, step: str, timed: _Timed | None) -> StepForecast:
        """Return the forecast of a step."""
        noted, cost = self.source.steps.get(step, Noted()), self.cost.steps[step]
        counted = noted.prompt_tokens or math.ceil(noted.prompt_bytes / self.bytes_a_token(step))
        texts, prompt_tokens = (round(n * self.factor) for n in (cost.asked, counted))
        text_tokens = round(texts * self.mean_tokens(step))
        most = texts * self.teacher.max_new_tokens
        prices = self.teacher.prices
        return StepForecast(
            texts=texts,
            stored=round(cost.from_store * self.factor),
            prompt_tokens=prompt_tokens,
            text_tokens=text_tokens,
            most_text_tokens=most,
            usd=prices and prices.usd(prompt_tokens, text_tokens),
            most_usd=prices and prices.usd(prompt_tokens, most),
            seconds=self.seconds(step, texts, timed),
        )

    def bytes_a_token(self, step: str | None = None) -> float:
        """Return the bytes of a prompt's token, by what the teacher has counted, if anything."""
        known = list(self.source.known.values())
        own = [prompt for prompt in known if prompt.step == step] or known
        tokens = sum(prompt.tokens for prompt in own)
        return sum(prompt.bytes for prompt in own) / tokens if tokens else BYTES_A_TOKEN

    def mean_tokens(self, step: str) -> float:
        """Return a text's mean tokens: of the store's texts, else of worked examples' texts."""
        if self.told.count[step]:
            return self.told.tokens[step] / self.told.count[step]
        noted = self.source.steps.get(step)
        if noted is None:
            return 0.0
        tokens = noted.text_tokens or noted.text_bytes / self.bytes_a_token(step)
        return min(tokens / len(noted.requests), float(self.teacher.max_new_tokens))

    def seconds(self, step: str, texts: int, timed: _Timed | None) -> float | None:
        """Return the time of a step: as measured, else by the length of texts of another step."""
        if not texts:
            return 0.0
        times = self.told.times or ({timed.step: timed.time} if timed else {})
        if step in times:
            return texts * times[step].seconds / times[step].texts
        tokens = sum(self.mean_tokens(known) * time.texts for known, time in times.items())
        if not tokens:
            return None
        seconds = sum(time.seconds for time in times.values())
        return texts * self.mean_tokens(step) * seconds / tokens


def _told(store_path: Path) -> _Told:
    told = _Told(times=read_ledger(store_path).steps)
    for row in stored_texts(store_path):
        told.texts.setdefault(row.key, row)
        told.count[row.step] += 1
        told.tokens[row.step] += row.completion_tokens
    return told


def _timed(measure: Measure, source: StandIn, texts: int) -> _Timed:
    step, noted = next(iter(source.steps.items()))
    requests = noted.requests[:texts]
    return _Timed(step, measure([r for r in requests if r.decoding == requests[0].decoding]))


def _shown(source: StandIn) -> tuple[ShownPrompt, ...]:
    """Return some prompts: the first of each step, then more of the first steps."""
    noted = sorted(source.steps.items(), key=lambda pair: _place(pair[0]))
    deepest = max((len(found.requests) for _, found in noted), default=0)
    shown = [
        ShownPrompt(step=step, prompt=found.requests[place].prompt)
        for place in range(min(deepest, SHOWN))
        for step, found in noted
        if place < len(found.requests)
    ]
    return tuple(shown[:SHOWN])


def _place(step: str) -> int:
    """Return where a step stands among the others; a user's own steps come last."""
    return STEPS.index(step) if step in STEPS else len(STEPS)


def _notes(
    figures: _Figures, count: Count | None, timed: _Timed | None, who: str, stand_ins: str
) -> list[str]:
    """Say how the figures came about."""
    source, told = figures.source, figures.told
    if count is not None:
        prompts = f"Prompt tokens are counted by the {who}'s own tokenizer."
    elif source.known:
        prompts = (
            f"Prompt tokens are estimated at {figures.bytes_a_token():.2f} bytes a token, as the "
            f"{who} counted {len(source.known)} of these prompts."
        )
    else:
        prompts = f"Prompt tokens are estimated at {BYTES_A_TOKEN:g} bytes a token."
    notes = [prompts]
    if {"critique", "revision"} & source.steps.keys():
        notes.append("Where prompts build on texts to come, others stand for them.")
    steps = sorted(source.steps, key=_place)
    unknown = [step for step in steps if not told.count[step]]
    known = [step for step in steps if told.count[step]]
    if known:
        notes.append(f"Text tokens are those of stored texts: {', '.join(known)}.")
    if unknown:
        notes.append(f"Text tokens are {stand_ins}: {', '.join(unknown)}.")
    if told.times:
        notes.append("Time is as texts of this store took so far.")
    elif timed is not None:
        notes.append(f"Time is as {timed.time.texts} texts took just now, which are not kept.")
    else:
        notes.append("Time is not known before texts were asked for.")
    return notes
