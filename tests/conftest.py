"""Fixtures that tests of several packages share."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from distilwhy.records import Annotation, Example, TeacherText

if "PYTEST_XDIST_WORKER" in os.environ:
    # Other tests run at the same time; with more threads they would wait for each other.
    # Read when torch is first imported, here and in processes that tests start.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run files with slow tests first, so that no core waits for one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Run all files on Ray in one process: starting Ray and its workers takes longest of all."""
    from xdist.scheduler import LoadFileScheduling

    class OneRay(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return "ray" if "ray" in Path(file).stem.split("_") else file

    return OneRay(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def ray_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages that Ray's workers see besides the installed ones."""
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="session")
def cluster(ray_site: Path) -> Iterator[Any]:
    """A cluster of two processors on this machine, there before and after what uses it; Ray."""
    ray = pytest.importorskip("ray")
    from distilwhy.config import RaySettings
    from distilwhy.generators.ray_cluster import Cluster

    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.getsignal(number) for number in numbers]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("RAY_OVERRIDE_RESOURCES", '{"CPU": 2}')
        seen = [str(ray_site), *filter(None, [os.environ.get("PYTHONPATH")])]
        patch.setenv("PYTHONPATH", os.pathsep.join(seen))
        mine = Cluster(RaySettings())
    assert [signal.getsignal(number) for number in numbers] == handlers
    yield ray
    mine.close()
    assert not ray.is_initialized()
    assert [signal.getsignal(number) for number in numbers] == handlers


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> None:
    """Ctrl-C works, here and in processes that tests start, also where a shell put it aside."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def published_data() -> Path:
    """The folder of published teacher outputs; the test is skipped where it is absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("DISTILWHY_PUBLISHED_DATA", default))
    if not folder.is_dir():
        pytest.skip("the published teacher outputs are absent; set DISTILWHY_PUBLISHED_DATA")
    return folder


TINY_TEXTS = (
    "[predict] Question: Where do you put a kettle to boil water?\nChoices: (a) stove (b) garden",
    "[explain] Premise: A man walks a dog. Hypothesis: He is outside. Choices: (a) yes (b) no",
    "[factual] Answer: A stove gives heat, and heat boils water. So the answer is stove.",
    "[counterfactual] So the answer is garden. [answer] The answer is yes.",
)


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of tiny models with random weights, by name: llama, gpt2, t5 (v1.1), old_t5 (tied).

    Their weights are large enough for the next token to depend on the context, and a good share of
    the vocabulary ends a text, so that texts end at many lengths.
    """
    import gc

    import torch
    import transformers as tf
    from tokenizers import ByteLevelBPETokenizer

    torch.set_num_threads(1)
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        TINY_TEXTS, vocab_size=320, special_tokens=["<pad>", "</s>", "<unk>"], show_progress=False
    )
    tokenizer = tf.PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer, eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )
    ids = {"vocab_size": len(tokenizer), "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": None}
    t5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, **ids}
    t5 |= {"decoder_start_token_id": 0}
    models = {
        "llama": lambda: tf.LlamaForCausalLM(
            tf.LlamaConfig(
                hidden_size=32,
                intermediate_size=48,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=4096,
                **ids,
            )
        ),
        "gpt2": lambda: tf.GPT2LMHeadModel(
            tf.GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=512, **ids)
        ),
        "t5": lambda: tf.T5ForConditionalGeneration(
            tf.T5Config(feed_forward_proj="gated-gelu", tie_word_embeddings=False, **t5)
        ),
        "old_t5": lambda: tf.T5ForConditionalGeneration(
            tf.T5Config(feed_forward_proj="relu", tie_word_embeddings=True, **t5)
        ),
    }
    root = tmp_path_factory.mktemp("tiny")
    for seed, (name, make) in enumerate(models.items()):
        torch.manual_seed(seed)
        model = make()
        with torch.no_grad():
            for matrix in (weights for weights in model.parameters() if weights.dim() == 2):
                matrix.normal_(0, 0.4)
        model.generation_config.eos_token_id = [1, *range(290, 310)]
        model.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    # The Trainer collects garbage often, which is slow with all these modules among the suspects.
    gc.freeze()
    return {name: root / name for name in models}


@pytest.fixture(scope="session")
def tiny_annotations() -> list[Annotation]:
    """Sixteen annotated examples of three and more choices, with texts of all four kinds."""
    places = ("stove", "garden", "cellar", "attic room", "lake")
    rows = []
    for number in range(16):
        choices = places[: 3 + number % 3]
        answer = choices[number % len(choices)]
        example = Example(
            id=f"q{number}",
            question=f"Where do you look for thing {number}?" + " Think." * (number % 4),
            choices=choices,
            answer=answer,
        )
        rows.append(
            Annotation(
                example=example,
                teacher="tiny",
                rationale=TeacherText(text=f"Thing {number} stands in the {answer}."),
                critique=TeacherText(text="It does not say why."),
                revision=TeacherText(text=f"Thing {number} needs heat, so it is in the {answer}."),
                counterfactuals={
                    wrong: TeacherText(text=f"People like to keep {number} in the {wrong}.")
                    for wrong in example.wrong_choices
                },
            )
        )
    return rows


@pytest.fixture(scope="session")
def make_student(
    tiny_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Makes a student's folder: a tiny model of random weights, and a card as training writes."""

    def make(model: str, answer_view: str, rationale_view: str | None, **card: Any) -> Path:
        from distilwhy.config import Condition
        from distilwhy.files import write_json
        from distilwhy.students.load import CARD, StudentCard

        folder = tmp_path_factory.mktemp("student") / model
        shutil.copytree(tiny_models[model], folder)
        fields = {
            "base": model,
            "condition": Condition(method="multitask"),
            "weights": {view: 1.0 for view in (answer_view, rationale_view) if view},
            "answer_view": answer_view,
            "rationale_view": rationale_view,
            "seed": 0,
            "max_source_tokens": 60,
        }
        write_json(folder / CARD, StudentCard(**{**fields, **card}).model_dump())
        return folder

    return make
