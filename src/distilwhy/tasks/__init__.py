"""Tasks: data sets, how their questions are asked, and how answers are read."""

from __future__ import annotations

from distilwhy.tasks import commonsense_qa, custom, esnli, mini, strategyqa
from distilwhy.tasks.base import SPLITS, TASKS, Split, Task, question_text
from distilwhy.tasks.load import load_task

__all__ = [
    "SPLITS",
    "TASKS",
    "Split",
    "Task",
    "commonsense_qa",
    "custom",
    "esnli",
    "load_task",
    "mini",
    "question_text",
    "strategyqa",
]
