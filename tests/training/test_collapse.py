"""A student that learnt no more than how often each token occurs is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from scipy.stats import entropy
from transformers import AutoTokenizer

from distilwhy.config import Condition
from distilwhy.records import Annotation, CurvePoint, TrainingSummary
from distilwhy.training.collapse import not_below_unigram

Train = Callable[..., TrainingSummary]


def test_the_entropy_is_that_of_the_targets_trained_on(
    fit: Train, tmp_path: Path, tiny_models: dict[str, Path], tiny_annotations: list[Annotation]
) -> None:
    summary = fit(
        tmp_path / "s", condition=Condition(method="multitask"), held_out=0.0, max_steps=1
    )
    tokenizer = AutoTokenizer.from_pretrained(tiny_models["llama"])
    texts = {
        "predict": [f"[answer] The answer is {a.example.answer}" for a in tiny_annotations],
        "explain": [a.rationale.text for a in tiny_annotations if a.rationale],
    }
    assert summary.unigram_entropy.keys() == texts.keys()
    for view, targets in texts.items():
        tokens = Counter(t for text in targets for t in [*tokenizer(text)["input_ids"], 1])
        expected = entropy(list(tokens.values()))
        assert summary.unigram_entropy[view] == pytest.approx(expected)


@pytest.mark.parametrize("held_out", [0.0, 0.2])
def test_a_run_that_learnt_nothing_is_told(
    held_out: float, fit: Train, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lost = fit(tmp_path / "lost", learning_rate=1e-7, held_out=held_out)
    assert lost.collapsed
    assert "not below the" in lost.collapsed[0]
    assert f"{tmp_path / 'lost'}: the run collapsed: its" in capfd.readouterr().err
    sound = fit(tmp_path / "sound", learning_rate=1e-2, epochs=12, held_out=held_out)
    assert sound.collapsed == ()
    assert "collapsed" not in capfd.readouterr().err


def test_views_are_compared_each_with_its_own_entropy() -> None:
    held_out = {"predict": 0.5, "explain": 5.0}
    curve = [CurvePoint(step=4, held_out_loss=2.75, held_out_views=held_out)]
    entropies, weights = {"predict": 1.0, "explain": 4.0}, {"predict": 0.5, "explain": 0.5}
    (told,) = not_below_unigram(curve, 4, entropies, weights)
    assert told.startswith("its held-out loss of explain is 5 nats a token, not below the 4 ")
