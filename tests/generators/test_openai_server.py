"""The API backend against ``transformers serve`` with the embedded model, also behind faults."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from distilwhy.config import BackendSettings, TeachingSettings
from distilwhy.files import read_records
from distilwhy.generators.api_asker import Patience
from distilwhy.generators.base import Decoding, generate_all
from distilwhy.generators.open import open_generator
from distilwhy.generators.openai_api import OpenAIGenerator
from distilwhy.generators.recorded import StoredText
from distilwhy.tasks import load_task
from distilwhy.teaching.annotate import annotate

pytestmark = pytest.mark.slow

PROMPTS = [
    "Question: What do bees make?\nAnswer: Bees make",
    "Question: Where does a fish live?\nAnswer: A fish lives in",
    "The capital of France is",
]


@pytest.fixture(scope="session")
def embedded() -> Path:
    """The folder of the embedded model."""
    from distilwhy.models.load import converted_gguf
    from distilwhy.models.names import embedded_gguf

    return converted_gguf(embedded_gguf())


@pytest.fixture(scope="session")
def server(embedded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of the embedded model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "from transformers.cli.transformers import main; main()"
    command = [sys.executable, "-c", code, "serve", str(embedded), "--dtype", "float32"]
    log = tmp_path_factory.mktemp("serve") / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        while True:
            assert process.poll() is None, log.read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "decoding",
    [Decoding(max_new_tokens=8, stop=("\n",)), Decoding(max_new_tokens=8, chat=True)],
    ids=["completions", "chat"],
)
def test_texts_are_those_of_the_same_model_here(
    decoding: Decoding, server: str, embedded: Path
) -> None:
    local = open_generator(f"hf:{embedded}", BackendSettings(precision="fp32"))
    remote = open_generator(f"{server}#{embedded}", BackendSettings(concurrency=2))
    expected = generate_all(local, PROMPTS, decoding)
    got = generate_all(remote, PROMPTS, decoding)
    assert [text.text for text in got] == [text.text for text in expected]
    assert all(text.text.strip() for text in got)
    assert [text.prompt_tokens for text in got] == [text.prompt_tokens for text in expected]


class FaultyProxy:
    """Stands before a server and, at a share of all requests, answers wrongly or not at all.

    Answers of the server are kept by request, so that the server writes each text once and a short
    time-out, which makes hanging requests cheap, never hits one that is merely slow.

    Args:
        server: The server's address.
    """

    def __init__(self, server: str) -> None:
        self.server = server
        self.share = 0.0
        self.injected: Counter[str] = Counter()
        self.random = random.Random(3)
        self.kept: dict[bytes, bytes] = {}

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        content = b""
        while True:
            message = await receive()
            content += message.get("body", b"")
            if not message.get("more_body"):
                break
        faults = ("429", "500", "hang", "cut", "malformed")
        fault = self.random.choice(faults) if self.random.random() < self.share else "none"
        self.injected[fault] += 1
        if fault == "hang":
            await receive()
            return
        status, body = 200, b"{}"
        headers = {"content-type": "application/json"}
        if fault in ("429", "500"):
            status = int(fault)
            headers |= {"retry-after": "0.1"} if status == 429 else {}
        else:
            body = await self._answer(scope["path"], content)
        if fault == "malformed":
            body = body.replace(b'"choices"', b'"choices', 1)
        length = len(body)
        if fault == "cut":
            body = body[: length // 2]
        headers["content-length"] = str(length)
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, path: str, content: bytes) -> bytes:
        if content not in self.kept:
            async with httpx2.AsyncClient(timeout=120) as client:
                url = self.server.removesuffix("/v1") + path
                headers = {"content-type": "application/json"}
                response = await client.post(url, content=content, headers=headers)
            assert response.status_code == 200, response.text
            self.kept[content] = response.content
        return self.kept[content]


def test_every_annotation_arrives_once_behind_faults(
    server: str, embedded: Path, serve: Callable[..., Any], tmp_path: Path
) -> None:
    examples = load_task("mini").load("train", 2, 0)
    settings = TeachingSettings(shots=1, adjective_pairs=1, max_new_tokens=4)
    proxy = FaultyProxy(server)
    patience = Patience(attempts=20, first_wait=0.01, longest_wait=0.1)
    made = []
    with serve(proxy) as url:
        for run, (share, timeout) in enumerate([(0.0, 120.0), *[(0.3, 1.0)] * 3]):
            proxy.share = share
            backend = BackendSettings(concurrency=4, timeout=timeout)
            teacher = OpenAIGenerator(f"{url}#{embedded}", backend, patience)
            store = tmp_path / f"{run}.jsonl"
            made.append(annotate(examples, teacher, settings, seed=0, store_path=store).annotations)
            texts = read_records(store, StoredText)
            assert len({text.key for text in texts}) == len(texts) >= 12
    assert made[1:] == [made[0]] * 3
    assert proxy.injected.total() - proxy.injected["none"] >= 8
    assert len(proxy.injected) >= 5, "all kinds of faults came up, or all but one"
