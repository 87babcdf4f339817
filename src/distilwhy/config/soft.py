"""Soft labels: learning from the teacher's distributions, beside its texts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from distilwhy.config.base import Precision, Settings

SoftLoss = Literal["forward_kl", "reverse_kl", "jensen_shannon", "uld"]
"""Divergences between teacher and student; ``uld`` is the one for two vocabularies."""


class SoftSettings(Settings):
    """Soft labels: the student also learns how likely each next token is to a local teacher."""

    teacher: str | None = Field(
        None,
        description="Model string of a teacher with weights here; the experiment's when unset.",
    )
    loss: SoftLoss = Field(
        "forward_kl",
        description="Divergence from the teacher. All but uld need the student's vocabulary.",
    )
    beta: float = Field(
        0.5, gt=0, lt=1, description="Weight of the teacher in jensen_shannon (GKD)."
    )
    temperature: float = Field(
        1.0, gt=0, le=100, description="Divides the logits of teacher and student."
    )
    weight: float = Field(
        0.5, gt=0, le=1, description="Weight of the soft loss; the hard loss has the rest of 1."
    )
    views: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Views with soft labels; when unset, all that the teacher can be shown.",
    )
    context: Literal["source", "few_shot"] = Field(
        "source",
        description="What the teacher reads before the target: the student's input alone, for a "
        "teacher trained on such, or behind worked examples of the same view, for any other.",
    )
    shots: int = Field(4, ge=1, le=7, description="Worked examples of context few_shot.")
    gold_answer: bool = Field(
        False, description="With few_shot, tell the teacher the right answer too."
    )
    top_k: int | None = Field(
        None,
        ge=1,
        description="Store the labels of so many likeliest tokens once, instead of running the "
        "teacher at every step.",
    )
    dtype: Literal["fp16", "fp32"] = Field(
        "fp16", description="Of the log-probabilities that top_k stores."
    )
    alignment: Literal["text", "index"] = Field(
        "text",
        description="Which tokens uld compares: those that begin at the same letter, or those of "
        "the same number (the paper).",
    )
    on_policy: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of rows whose target the student writes itself, for the teacher to "
        "score (lambda of GKD).",
    )
    precision: Precision = Field(
        "auto", description="Of the teacher's weights: bf16 where the machine does it well."
    )

    @model_validator(mode="after")
    def _check_whole(self) -> SoftSettings:
        def changed(name: str) -> bool:
            return bool(getattr(self, name) != type(self).model_fields[name].default)

        few_shot, uld = self.context == "few_shot", self.loss == "uld"
        faults = {
            "beta is of loss jensen_shannon": changed("beta") and self.loss != "jensen_shannon",
            "alignment is of loss uld": changed("alignment") and not uld,
            "shots needs context few_shot": changed("shots") and not few_shot,
            "gold_answer needs context few_shot": self.gold_answer and not few_shot,
            "dtype needs top_k": changed("dtype") and self.top_k is None,
            "top_k cannot be used with on_policy, whose texts are new at every step": self.top_k
            is not None
            and self.on_policy > 0,
            "views: one stands twice": len(set(self.views or ())) < len(self.views or ()),
        }
        if found := [fault for fault, there in faults.items() if there]:
            raise ValueError("; ".join(found))
        return self
