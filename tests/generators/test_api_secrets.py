"""Keys of servers reach their own server and nothing else: no file, output, message or repr."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from distilwhy.config import BackendSettings
from distilwhy.errors import ModelError
from distilwhy.generators.api_endpoint import endpoint_of
from distilwhy.generators.base import Decoding, generate_all
from distilwhy.generators.openai_api import OpenAIGenerator

KEY = "sk-proj-4fE7qLw09ZxTz"
URL = "http://127.0.0.1:9/v1#m"


def distilwhy(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "distilwhy", *arguments]
    variables = {**os.environ, "OPENAI_LOG": "debug", **environment}
    return subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=60
    )


def generating(stub: Any, *more: str) -> tuple[str, ...]:
    task = ("--task", "mini", "--limit", "2", "--steps", "rationale", "--shots", "1")
    return ("generate", *task, "--teacher", stub.model, "--out", "out/a.jsonl", "--json", *more)


def assert_no_key(folder: Path, *outputs: str) -> None:
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for name, content in [*files.items(), *((f"output {o!r}", o.encode()) for o in outputs)]:
        for secret in (KEY, KEY[8:], base64.b64encode(KEY.encode()).decode()):
            assert secret.encode() not in content, name


@pytest.mark.parametrize("where", ["environment", "file"])
def test_a_run_leaves_no_trace_of_the_key(
    where: str, stub: Any, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("keys") / "key.txt"
    file.write_text(f"{KEY}\n")
    if where == "file":
        done = distilwhy(tmp_path, *generating(stub, "--api-key-file", str(file)))
    else:
        done = distilwhy(tmp_path, *generating(stub), DISTILWHY_API_KEY=KEY)
    assert done.returncode == 0, done.stderr
    assert {asked.headers["authorization"] for asked in stub.asked} == {f"Bearer {KEY}"}
    assert {path.name for path in (tmp_path / "out").iterdir()} > {"a.jsonl"}
    assert_no_key(tmp_path, done.stdout, done.stderr)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 307])
def test_a_server_that_repeats_the_key_does_not_leak_it(
    status: int, stub: Any, reply: Any, tmp_path: Path
) -> None:
    said = f"Key {KEY} (Bearer {KEY}; {KEY[4:]!r}, sk-proj-****{KEY[-6:]}) of x={KEY[::1]}&y is odd"
    stub.reply = lambda asked: reply(
        {"error": {"message": said}}, status, {"location": f"/?key={KEY}"}
    )
    done = distilwhy(tmp_path, *generating(stub), DISTILWHY_API_KEY=KEY)
    assert done.returncode == 2, done.stderr
    message = done.stderr[done.stderr.index("Error: ") :]
    assert "Traceback" not in done.stderr
    if status in (400, 403, 404):
        assert "is odd" in message
    assert_no_key(tmp_path, done.stdout, done.stderr)
    assert KEY[-6:] not in message


def test_openais_key_and_settings_go_to_openai_only(
    stub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-hunter2")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-hunter2")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Own: hunter2\nauthorization: Bearer {KEY}")
    monkeypatch.setenv("OPENAI_BASE_URL", stub.url)
    generate_all(OpenAIGenerator(stub.model, BackendSettings()), ["p"], Decoding())
    (asked,) = stub.asked
    assert "authorization" not in asked.headers
    assert not [value for value in asked.headers.values() if KEY in value or "hunter2" in value]
    assert endpoint_of(URL, None).key is None
    assert endpoint_of("ollama:m", None).key is None
    openai = endpoint_of("openai:m", None)
    assert (openai.key, openai.url) == (KEY, "https://api.openai.com/v1")
    assert KEY not in repr(openai)
    assert KEY not in repr(vars(OpenAIGenerator("openai:m", BackendSettings())))


def test_another_servers_key_does_not_go_to_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILWHY_API_KEY", KEY)
    assert endpoint_of(URL, None).key == KEY
    with pytest.raises(ModelError, match="needs a key"):
        endpoint_of("openai:m", None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (f"{KEY}\n{KEY}".encode(), "holds a blank or a character that no key has"),
        (f"OPENAI_API_KEY = {KEY}".encode(), "holds a blank"),
        (f"{KEY}\u00e9".encode(), "holds a blank or a character"),
        (b"\xff\xfe" + KEY.encode("utf-16-le"), "cannot be read: it is not text"),
        (None, "cannot be read: No such file"),
    ],
)
def test_faulty_key_files_are_told_without_their_content(
    content: bytes | None, said: str, tmp_path: Path
) -> None:
    file = tmp_path / KEY  # somebody may give the key in place of the file's name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ModelError, match=said) as caught:
        endpoint_of(URL, str(file))
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_byte_order_mark_before_a_key_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xef\xbb\xbf" + KEY.encode() + b"\r\n")
    assert endpoint_of(URL, str(tmp_path / "key")).key == KEY


def test_short_keys_and_long_messages() -> None:
    endpoint = endpoint_of(URL, None)
    assert endpoint.shown("a\n\x07b " * 99).startswith("a ?b a ?b")
    assert len(endpoint.shown("a" * 999)) == 200
    assert (
        endpoint.shown(f"no key was given, not even {KEY}") == "no key was given, not even [hidden]"
    )
