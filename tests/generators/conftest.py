"""Real servers on loopback: one that answers as a test tells it, run by uvicorn in a thread."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

App = Callable[..., Any]


@contextmanager
def serving(app: App) -> Iterator[str]:
    """Run an ASGI app on a free port and give its address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)


@pytest.fixture(scope="session")
def serve() -> Callable[[App], Any]:
    """Runs ASGI apps."""
    return serving


@dataclass(frozen=True)
class Reply:
    """An answer of the stub.

    Args:
        body: The body: bytes as they are, anything else as JSON.
        status: The status.
        headers: Headers besides the content's.
        seconds: How long it takes.
        missing: Bytes that the body lacks of the length that it is said to have.
    """

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    missing: int = 0


@dataclass(frozen=True)
class Asked:
    """A request that the stub got."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    time: float

    @property
    def prompt(self) -> str:
        """The prompt, of a completion or a chat."""
        return str(self.body.get("prompt") or self.body["messages"][0]["content"])

    def text(self, text: str, finish: str = "stop", **more: Any) -> dict[str, Any]:
        """Return the body of a completion or a chat answer."""
        part = {"message": {"content": text}} if "messages" in self.body else {"text": text}
        choice = {"index": 0, "finish_reason": finish, **part, **more}
        usage = {"prompt_tokens": len(self.prompt.split()), "completion_tokens": len(text.split())}
        return {"id": "x", "object": "x", "choices": [choice], "usage": usage}


class Stub:
    """An OpenAI-compatible server that answers as ``reply`` says; it notes what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self.most_in_flight = 0
        self.in_flight = 0
        self.hung_up = 0
        self.reply: Callable[[Asked], Reply] = lambda asked: Reply(asked.text(echo(asked.prompt)))

    @property
    def model(self) -> str:
        """The stub's model string."""
        return f"{self.url}#m"

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        content = b""
        while (message := await receive())["type"] == "http.request":
            content += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        asked = Asked(scope["path"], headers, json.loads(content), time.monotonic())
        self.asked.append(asked)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self._answer(self.reply(asked), receive, send)
        finally:
            self.in_flight -= 1

    async def _answer(self, reply: Reply, receive: Any, send: Any) -> None:
        if reply.seconds:
            try:
                await asyncio.wait_for(receive(), reply.seconds)
                self.hung_up += 1
                return
            except TimeoutError:
                pass
        body = reply.body
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": "application/json", **reply.headers}
        headers["content-length"] = str(len(body) + reply.missing)
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
        await send({"type": "http.response.body", "body": body})


def echo(prompt: str) -> str:
    """Return the text that the stub gives to a prompt."""
    return f"echo of {prompt}"


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A server that answers as a test tells it."""
    app = Stub()
    with serving(app) as app.url:
        yield app


@pytest.fixture(scope="session")
def reply() -> type[Reply]:
    """The class of the stub's answers."""
    return Reply


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "DISTILWHY_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
