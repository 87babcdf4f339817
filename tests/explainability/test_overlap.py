"""Overlap with the teacher's texts."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from distilwhy.errors import MissingExtraError, ModelError
from distilwhy.explainability.measures import measure
from distilwhy.explainability.subject import Subject
from distilwhy.records import Annotation, Prediction


def predictions(annotations: list[Annotation], texts: list[str | None]) -> list[Prediction]:
    return [
        Prediction(example=annotation.example, rationale=text)
        for annotation, text in zip(annotations, texts, strict=False)
    ]


def by_id(annotations: list[Annotation]) -> dict[str, Annotation]:
    return {annotation.example.id: annotation for annotation in annotations}


def plain_chrf(text: str, reference: str) -> float:
    """chrF as Popović 2015 defines it: F2 of the mean precision and recall of 1- to 6-grams."""
    said, wanted = text.replace(" ", ""), reference.replace(" ", "")
    precisions, recalls = [], []
    for n in range(1, 7):
        ours = Counter(said[i : i + n] for i in range(len(said) - n + 1))
        theirs = Counter(wanted[i : i + n] for i in range(len(wanted) - n + 1))
        if ours and theirs:
            common = sum((ours & theirs).values())
            precisions.append(common / sum(ours.values()))
            recalls.append(common / sum(theirs.values()))
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    return 100 * 5 * precision * recall / (4 * precision + recall) if precision + recall else 0.0


def test_chrf_is_that_of_the_definition(tiny_annotations: list[Annotation]) -> None:
    texts: list[str | None] = ["A stove is hot.", "Thing 1 stands in the garden.", "xyz"]
    result = measure(
        "overlap", Subject(predictions(tiny_annotations, texts), references=by_id(tiny_annotations))
    )
    wanted = [
        plain_chrf(text or "", annotation.rationale.text)
        for text, annotation in zip(texts, tiny_annotations, strict=False)
        if annotation.rationale
    ]
    assert [item.scores["chrf"] for item in result.items] == pytest.approx(wanted)
    assert wanted[1] == 100
    assert wanted[2] < 1
    assert result.figures["chrf"].value == pytest.approx(sum(wanted) / 3)


@pytest.mark.parametrize("data", ["unrevised", "revised"])
def test_the_explanation_that_was_learnt_is_the_reference(
    tiny_annotations: list[Annotation], data: str
) -> None:
    said = [a.rationale.text if data == "unrevised" else a.revision.text for a in tiny_annotations]
    answers, references = predictions(tiny_annotations, said), by_id(tiny_annotations)
    for kind in ("unrevised", "revised"):
        result = measure("overlap", Subject(answers, references=references, data=kind))
        assert (result.figures["chrf"].value == pytest.approx(100)) is (kind == data)
        assert result.details["data"] == kind


def test_what_has_no_reference_is_counted(tiny_annotations: list[Annotation]) -> None:
    without = tiny_annotations[1].model_copy(update={"rationale": None})
    answers = predictions(tiny_annotations, ["It is hot."] * 3 + [None])
    subject = Subject(answers, references=by_id([tiny_annotations[0], without]))
    result = measure("overlap", subject)
    assert result.figures["chrf"].n == 1
    assert result.details["without_reference"] == 2


def test_reasons_where_nothing_can_be_compared(tiny_annotations: list[Annotation]) -> None:
    references = by_id(tiny_annotations[:1])
    none = measure("overlap", Subject(predictions(tiny_annotations, [None]), references=references))
    assert none.reason == "it gives no explanation"
    other = predictions(tiny_annotations[1:], ["It is so."])
    result = measure("overlap", Subject(other, references=references, data="revised"))
    assert result.reason == "the references hold no revision of any question it explains"


def test_the_semantic_extra_is_named(
    tiny_annotations: list[Annotation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    answers = predictions(tiny_annotations, ["It is so."])
    with pytest.raises(MissingExtraError, match=r"pip install 'distilwhy\[semantic\]'"):
        measure("semantic", Subject(answers, references=by_id(tiny_annotations)))


@pytest.fixture(scope="session")
def embedder(tiny_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sentence-transformers: a tiny BERT with random weights, mean pooling."""
    models = pytest.importorskip("sentence_transformers.models")
    import sentence_transformers
    import torch
    import transformers as tf

    root = tmp_path_factory.mktemp("embedder")
    torch.manual_seed(0)
    tokenizer = tf.AutoTokenizer.from_pretrained(tiny_models["llama"])
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = tf.BertConfig(vocab_size=len(tokenizer), intermediate_size=16, **size)
    tf.BertModel(config).save_pretrained(root / "bert")
    tokenizer.save_pretrained(root / "bert")
    words = models.Transformer(str(root / "bert"), max_seq_length=64)
    pooled = models.Pooling(words.get_embedding_dimension())
    sentence_transformers.SentenceTransformer(modules=[words, pooled]).save(str(root / "whole"))
    return root / "whole"


def test_semantic_similarity_is_the_cosine_of_mean_embeddings(
    tiny_annotations: list[Annotation], embedder: Path
) -> None:
    import torch
    import transformers as tf

    texts = ["A kettle.", "Thing 1 stands in the garden.", "Water boils where heat is."]
    subject = Subject(
        predictions(tiny_annotations, [*texts]),
        references=by_id(tiny_annotations),
        embedder=str(embedder),
    )
    found = [item.scores["semantic"] for item in measure("semantic", subject).items]
    tokenizer = tf.AutoTokenizer.from_pretrained(embedder)
    model = tf.AutoModel.from_pretrained(embedder).eval()

    def embedded(text: str) -> torch.Tensor:
        with torch.inference_mode():
            return model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)

    wanted = [
        float(torch.cosine_similarity(embedded(text), embedded(a.rationale.text), dim=0))
        for text, a in zip(texts, tiny_annotations, strict=False)
    ]
    assert found == pytest.approx(wanted, abs=1e-5)
    assert found[1] == pytest.approx(1)


def test_an_embedder_that_is_none(tiny_annotations: list[Annotation], tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    subject = Subject(
        predictions(tiny_annotations, ["It is so."]),
        references=by_id(tiny_annotations),
        embedder=str(tmp_path),
    )
    with pytest.raises(ModelError, match="cannot be loaded"):
        measure("semantic", subject)
