"""A hub that does not answer is told at once; with one that does, loading goes on."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from distilwhy.models.hub import is_out_of_reach


def at(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    address = f"http://127.0.0.1:{port}"
    template = "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + template)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.timeout(10)  # without its check, loading asks for 23 seconds
def test_a_hub_that_refuses_to_connect(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, 1)
    assert is_out_of_reach("nosuch/model")
    assert not is_out_of_reach("no model's name")
    stored = cache / "models--some--model"
    (stored / "refs").mkdir(parents=True)
    (stored / "refs" / "main").write_text("a" * 40)
    (stored / "snapshots" / ("a" * 40)).mkdir(parents=True)
    (stored / "snapshots" / ("a" * 40) / "config.json").write_text("{}")
    assert not is_out_of_reach("some/model")


def test_a_hub_that_has_no_such_model(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    asked: list[str] = []
    with HTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        at(monkeypatch, server.server_port)
        assert not is_out_of_reach("nosuch/model")
        server.shutdown()
    assert asked == ["/nosuch/model/resolve/main/config.json"]
