"""The API backend against a server of the tests': requests, retries, limits, stops, secrets."""

from __future__ import annotations

import _thread
import asyncio
import email.utils
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from distilwhy.config import BackendSettings
from distilwhy.errors import ModelError, StageError
from distilwhy.generators import api_endpoint
from distilwhy.generators.api_asker import Patience
from distilwhy.generators.base import Decoding, Generated, generate_all
from distilwhy.generators.open import open_generator
from distilwhy.generators.openai_api import OpenAIGenerator

QUICK = Patience(first_wait=0.01, longest_wait=0.05)
PLAIN = Decoding(max_new_tokens=7, stop=("\n",))


def asking(stub: Any, patience: Patience = QUICK, **settings: Any) -> OpenAIGenerator:
    return OpenAIGenerator(stub.model, BackendSettings(**settings), patience)


def prompts(number: int) -> list[str]:
    return [f"prompt {n}" for n in range(number)]


def first_then(reply: Any, *first: Any) -> Callable[[Any], Any]:
    """Answer the first attempts at each prompt as given, later ones with a text."""
    seen: Counter[str] = Counter()

    def answer(asked: Any) -> Any:
        seen[asked.prompt] += 1
        place = seen[asked.prompt] - 1
        return first[place] if place < len(first) else reply(asked.text("fine"))

    return answer


def test_a_completion_is_sent_and_read_whole(stub: Any) -> None:
    (text,) = generate_all(asking(stub), ["Why is it so?"], PLAIN)
    assert text == Generated("echo of Why is it so?", "stop", 4, 6)
    (asked,) = stub.asked
    assert asked.path == "/v1/completions"
    assert asked.body == {
        "model": "m",
        "prompt": "Why is it so?",
        "max_tokens": 7,
        "temperature": 0,
        "stop": ["\n"],
    }
    assert set(asked.headers) == {
        *("host", "accept", "accept-encoding", "connection", "user-agent"),
        *("content-type", "content-length"),
    }


def test_a_chat_is_sent_and_read_whole(stub: Any) -> None:
    stops = tuple("abcdef")
    decoding = Decoding(max_new_tokens=7, stop=stops, temperature=0.5, seed=3, chat=True)
    (text,) = generate_all(asking(stub), ["Why?"], decoding)
    # The servers take four stop strings; the text is cut at the others too.
    assert text.text == ""
    (asked,) = stub.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Why?"}],
        "max_tokens": 7,
        "temperature": 0.5,
        "stop": ["a", "b", "c", "d"],
        "seed": 3,
    }


@pytest.mark.parametrize(
    ("text", "finish", "expected"),
    [
        (" one\ntwo\nthree", "length", (" one", "stop")),
        (" one two", "length", (" one two", "length")),
        (" one two", "content_filter", (" one two", "length")),
        (" one two", "eos_token", (" one two", "stop")),
        ("lone \ud800", None, ("lone \ud800", "stop")),
    ],
)
def test_ends_of_texts(
    text: str, finish: str, expected: tuple[str, str], stub: Any, reply: Any
) -> None:
    stub.reply = lambda asked: reply(asked.text(text, finish))
    (got,) = generate_all(asking(stub), ["p"], PLAIN)
    assert (got.text, got.finish) == expected


def test_a_prompt_that_cannot_be_sent_as_it_is(stub: Any) -> None:
    (text,) = generate_all(asking(stub), ["caf\u00e9 \ud800?"], PLAIN)
    assert text.text == "echo of caf\u00e9 ??"


def test_odd_chat_contents(stub: Any, reply: Any) -> None:
    contents = {"null": None, "parts": [{"type": "text", "text": "a"}, {"text": "b"}, {}, 3]}
    stub.reply = lambda asked: reply(
        {"choices": [{"message": {"content": contents[asked.prompt]}, "finish_reason": "length"}]}
    )
    texts = generate_all(asking(stub), ["null", "parts"], Decoding(chat=True))
    assert [text.text for text in texts] == ["", "ab"]


@pytest.mark.parametrize("usage", [None, [], {}, {"prompt_tokens": -1, "completion_tokens": True}])
def test_tokens_are_estimated_where_the_server_counts_none(
    usage: object, stub: Any, reply: Any
) -> None:
    stub.reply = lambda asked: reply({**asked.text("é" * 5), "usage": usage})
    (got,) = generate_all(asking(stub), ["x" * 81], Decoding())
    assert (got.prompt_tokens, got.completion_tokens) == (21, 3)


def test_tokens_that_the_server_had_cached_are_told(stub: Any, reply: Any) -> None:
    usage = {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 8}}
    stub.reply = lambda asked: reply({**asked.text("a"), "usage": usage})
    (got,) = generate_all(asking(stub), ["p"], Decoding())
    assert (got.prompt_tokens, got.cached_tokens, got.completion_tokens) == (9, 8, 1)


@pytest.mark.parametrize("chat", [False, True])
def test_likelihoods_are_summed(chat: bool, stub: Any, reply: Any) -> None:
    values = {"whole": [-0.5, -1.25, 0], "holed": [-0.5, None], "wild": [float("nan")], "no": []}

    def answer(asked: Any) -> Any:
        found = values[asked.prompt]
        chats = {"content": [{"token": "t", "logprob": value} for value in found]}
        return reply(asked.text("a", logprobs=chats if chat else {"token_logprobs": found}))

    stub.reply = answer
    decoding = Decoding(chat=chat, logprobs=True)
    texts = generate_all(asking(stub), list(values), decoding)
    assert [text.logprob for text in texts] == [-1.75, None, None, None]
    assert stub.asked[0].body["logprobs"] == (True if chat else 1)
    assert generate_all(asking(stub), ["whole"], Decoding(chat=chat))[0].logprob is None


BROKEN = (b"", b"<html>", b"[]", b'{"choices": []}', b'{"choices": [{"text": 3}]}', b"[" * 99999)


@pytest.mark.parametrize(
    ("fields", "lost"),
    [
        *(({"body": body}, 1) for body in BROKEN),
        ({"body": b'{"choices": [{', "missing": 40}, 1),
        ({"seconds": 60}, 1),
        ({"status": 504}, 1),
        ({"status": 500}, 0),
        ({"status": 503, "body": {"detail": "loading"}}, 0),
        ({"status": 429, "headers": {"retry-after": "0"}}, 0),
        ({"status": 429, "body": b"not JSON"}, 0),
    ],
)
def test_what_fails_in_passing_is_asked_again(
    fields: dict[str, Any], lost: int, stub: Any, reply: Any
) -> None:
    stub.reply = first_then(reply, reply(**fields))
    texts = generate_all(asking(stub, timeout=0.5), prompts(3), PLAIN)
    assert [text.text for text in texts] == ["fine"] * 3
    assert [text.lost_attempts for text in texts] == [lost] * 3
    assert len(stub.asked) == 6


def test_again_is_asked_before_a_second_charge_only(stub: Any, reply: Any) -> None:
    class Prompts:
        def __init__(self) -> None:
            self.questions: list[tuple[int, str]] = []

        def __iter__(self) -> Iterator[str]:
            return iter(("refused", "broken", "broken, and given up"))

        def again(self, number: int) -> bool:
            self.questions.append((number, threading.current_thread().name))
            return number != 2

    def answer(asked: Any) -> Any:
        if len([a for a in stub.asked if a.prompt == asked.prompt]) > 1:
            return reply(asked.text("fine"))
        return reply(status=500) if asked.prompt == "refused" else reply(b"")

    stub.reply = answer
    given = Prompts()
    texts = dict(asking(stub).generate(given, PLAIN))
    assert {number: text.lost_attempts for number, text in texts.items()} == {0: 0, 1: 1}
    assert sorted(given.questions) == [(1, "distilwhy-api"), (2, "distilwhy-api")]
    assert Counter(a.prompt for a in stub.asked)["broken, and given up"] == 1


@pytest.mark.parametrize("form", ["seconds", "milliseconds", "date"])
def test_nothing_starts_while_the_server_asks_to_wait(form: str, stub: Any, reply: Any) -> None:
    wait = 2.0 if form == "date" else 0.6
    refused = threading.Event()

    def answer(asked: Any) -> Any:
        if asked.prompt == "prompt 3" and not refused.is_set():
            refused.set()
            date = email.utils.formatdate(time.time() + wait + 1, usegmt=True)
            forms = {"seconds": wait, "date": date}
            header = {"retry-after": str(forms.get(form, 9999))}
            if form == "milliseconds":
                header["retry-after-ms"] = str(1000 * wait)
            return reply(status=429, headers=header)
        return reply(asked.text("fine"))

    stub.reply = answer
    texts = generate_all(asking(stub, concurrency=2), prompts(8), PLAIN)
    assert len(texts) == 8
    times = [asked.time for asked in stub.asked]
    # What was on its way when the refusal came may still arrive; then nothing does for the wait.
    assert max(after - before for before, after in pairwise(times)) >= 0.95 * wait
    assert len(times) == 9


def test_refusals_halve_the_concurrency_once_a_round_and_it_grows_back(
    stub: Any, reply: Any
) -> None:
    counts: list[int] = []

    def answer(asked: Any) -> Any:
        counts.append(stub.in_flight)
        if len(counts) <= 16:
            return reply(status=429, seconds=0.8)
        return reply(asked.text("fine"), seconds=0.03)

    stub.reply = answer
    generate_all(asking(stub, concurrency=16), prompts(400), PLAIN)
    assert max(counts[:16]) == 16
    after = counts[16:]
    assert 7 <= max(after[:20]) <= 11, "halved, and once"
    assert max(after) == 16, "grown back"
    assert len(counts) == 416


def test_prompts_are_taken_as_the_server_has_room(stub: Any) -> None:
    taken: list[int] = []

    def given() -> Iterator[str]:
        for number in range(30):
            taken.append(number)
            yield f"prompt {number}"
            if number == 20:
                return  # whoever gives them may end them early

    arrived = 0
    for _ in asking(stub, concurrency=4).generate(given(), PLAIN):
        arrived += 1
        time.sleep(0.01)  # a caller slower than the server
        assert len(taken) - arrived <= 2 * 4
    assert arrived == len(taken) == 21
    assert stub.most_in_flight <= 4


QUOTA = {"error": {"message": "You exceeded it.", "code": "insufficient_quota"}}
STOPS = [
    (401, None, ModelError, "wants a key (401). Check DISTILWHY_API_KEY"),
    (403, {"error": "Not in your region."}, ModelError, "answered 403: Not in your region. Mend"),
    (
        404,
        {"error": {"message": "The model `m` does not exist"}},
        ModelError,
        "does not offer the model 'm' (answered 404: The model `m` does not exist). Check its name",
    ),
    (429, QUOTA, ModelError, "is used up (answered 429: You exceeded it). Add to it"),
    (402, None, ModelError, "is used up (answered 402)"),
    (400, {"error": {"message": "too\nlong\x1b[2J"}}, ModelError, "answered 400: too long?[2J."),
    (405, b"<html>", ModelError, "answered 405: <html>."),
    (500, {"detail": "no luck"}, StageError, "answered 500: no luck, in 8 attempts at one prompt"),
]


@pytest.mark.parametrize(("status", "body", "kind", "said"), STOPS)
def test_what_will_not_pass_stops_and_what_arrived_comes_first(
    status: int, body: Any, kind: type[Exception], said: str, stub: Any, reply: Any
) -> None:
    def answer(asked: Any) -> Any:
        number = int(asked.prompt.split()[1])
        return reply(body, status) if number >= 9 else reply(asked.text("fine"), seconds=0.02)

    stub.reply = answer
    got: list[int] = []
    texts = asking(stub, concurrency=3).generate(prompts(1000), PLAIN)
    with pytest.raises(kind) as caught:
        got.extend(number for number, _ in texts)
    assert said in str(caught.value)
    assert sorted(got) == list(range(9))
    assert len(stub.asked) < 40


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"message": "No.", "code": "context_length_exceeded"}),  # OpenAI
        (400, {"message": "No.", "type": "exceed_context_size_error"}),  # llama.cpp
        (400, {"message": "This model's maximum context length is 512 tokens.", "code": 400}),
        (400, {"message": "'max_tokens' is too large: 96. It may be 40 at most.", "code": 400}),
        (400, {"message": "The decoder prompt (length 9) is longer than the maximum", "code": 400}),
        (400, {"message": "No.", "code": "content_filter"}),  # Azure
        (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096."),  # TGI
        (413, "Too much."),
    ],
)
def test_a_prompt_that_is_refused_for_itself_is_left_and_others_go_on(
    status: int, error: Any, stub: Any, reply: Any
) -> None:
    def answer(asked: Any) -> Any:
        fits = asked.prompt not in ("prompt 0", "prompt 7")
        return reply(asked.text("fine")) if fits else reply({"error": error}, status)

    stub.reply = answer
    texts = generate_all(asking(stub, concurrency=3), prompts(12), PLAIN)
    refused = [number for number, text in enumerate(texts) if text.refused]
    assert refused == [0, 7]
    assert all(texts[number].text == "" and not texts[number].prompt_tokens for number in refused)
    assert [text.text for text in texts].count("fine") == 10
    assert f"answered {status}" in str(texts[0].refused)
    assert len(stub.asked) == 12, "it is not asked again in vain"


def test_redirects_are_not_followed(stub: Any, reply: Any) -> None:
    place = "http://elsewhere.example/v1/completions"
    stub.reply = lambda asked: reply(status=307, headers={"location": place})
    with pytest.raises(ModelError, match=r"on to http://elsewhere\.example") as caught:
        generate_all(asking(stub), ["p"], PLAIN)
    assert caught.value.remedy == "Name that address instead."


def test_a_very_long_wait_is_told(stub: Any, reply: Any) -> None:
    stub.reply = lambda asked: reply(status=429, headers={"retry-after": "7200"})
    with pytest.raises(ModelError, match="asks to wait 120 minutes"):
        generate_all(asking(stub), ["p"], PLAIN)


def test_a_server_that_refuses_for_long_is_told(stub: Any, reply: Any) -> None:
    stub.reply = lambda asked: reply(status=429)
    patience = Patience(attempts=2, first_wait=0.01, longest_wait=0.01, busy_seconds=3)
    with pytest.raises(StageError, match="answered 429"):
        generate_all(asking(stub, patience), ["p"], PLAIN)
    assert len(stub.asked) > patience.attempts, "refusals are no failed attempts"


def test_what_keeps_texts_from_coming_is_told_once_for_all_that_fail(
    stub: Any, reply: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.reply = first_then(reply, reply({"error": "no luck"}, 500))
    assert len(generate_all(asking(stub), prompts(9), PLAIN)) == 9
    said = f"{stub.url} answered 500: no luck; its prompt is sent again.\n"
    assert capsys.readouterr().err == said


def test_a_server_that_is_not_there_is_told_soon() -> None:
    generator = OpenAIGenerator("http://127.0.0.1:9/v1#m", BackendSettings(), QUICK)
    with pytest.raises(StageError, match=r"could not be reached .* in 3 attempts"):
        generate_all(generator, ["p"], PLAIN)


@pytest.mark.parametrize(
    ("refused", "said", "sent"),
    [
        (
            "max_tokens",
            "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
            {"max_completion_tokens": 7, "temperature": 0, "logprobs": True, "stop": ["\n"]},
        ),
        (
            "temperature",
            "Unsupported value: 'temperature' does not support 0 with this model.",
            {"max_tokens": 7, "logprobs": True, "stop": ["\n"]},
        ),
        ("logprobs", "unknown field", {"max_tokens": 7, "temperature": 0, "stop": ["\n"]}),
    ],
)
def test_fields_that_a_server_refuses_are_sent_otherwise(
    refused: str, said: str, sent: dict[str, Any], stub: Any, reply: Any
) -> None:
    def answer(asked: Any) -> Any:
        if refused in asked.body:
            return reply({"error": {"message": said, "param": refused}}, 400, seconds=0.05)
        return reply(asked.text("fine"))

    stub.reply = answer
    decoding = Decoding(max_new_tokens=7, stop=("\n",), chat=True, logprobs=True)
    generator = asking(stub, concurrency=4)
    assert [text.text for text in generate_all(generator, prompts(9), decoding)] == ["fine"] * 9
    body = stub.asked[-1].body
    assert {name: body[name] for name in body if name not in ("model", "messages")} == sent
    assert 10 <= len(stub.asked) <= 13, "only those in flight are sent once more"


def test_openai_itself_is_asked_as_it_likes(
    stub: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(api_endpoint, "OPENAI_URL", stub.url)
    monkeypatch.setenv("OPENAI_API_KEY", "from-the-environment")
    file = tmp_path / "key"
    file.write_text("from-a-file\n")
    generator = open_generator("openai:gpt-4o-mini", BackendSettings(api_key_file=str(file)))
    generate_all(generator, ["p"], Decoding(max_new_tokens=7, chat=True))
    generate_all(open_generator("openai:gpt-4o-mini"), ["p"], Decoding(max_new_tokens=7))
    chat, completion = stub.asked
    assert chat.headers["authorization"] == "Bearer from-a-file"
    assert chat.body == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "p"}],
        "max_completion_tokens": 7,
        "temperature": 0,
    }
    assert completion.headers["authorization"] == "Bearer from-the-environment"
    assert completion.body["max_tokens"] == 7


def no_thread_left() -> bool:
    return not any(thread.name == "distilwhy-api" for thread in threading.enumerate())


def test_closing_early_cancels_what_is_in_flight(stub: Any, reply: Any) -> None:
    stub.reply = lambda asked: reply(
        asked.text("fine"), seconds=0 if asked.prompt == "prompt 0" else 60
    )
    texts = asking(stub, concurrency=5).generate(prompts(100), PLAIN)
    assert next(texts)[0] == 0
    deadline = time.monotonic() + 10
    while len(stub.asked) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    start = time.monotonic()
    texts.close()
    assert time.monotonic() - start < 30
    assert no_thread_left()
    while stub.in_flight and time.monotonic() < deadline:
        time.sleep(0.01)
    assert stub.hung_up == len(stub.asked) - 1 >= 4


def test_an_interrupt_ends_the_wait(stub: Any, reply: Any) -> None:
    stub.reply = lambda asked: reply(seconds=60)
    timer = threading.Timer(0.5, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        generate_all(asking(stub), prompts(5), PLAIN)
    assert no_thread_left()
    timer.join()


def test_it_works_inside_a_running_event_loop(stub: Any) -> None:
    async def notebook_cell() -> list[Generated]:
        return generate_all(asking(stub), prompts(3), PLAIN)

    assert len(asyncio.run(notebook_cell())) == 3


def test_no_prompts_ask_nothing(stub: Any) -> None:
    assert generate_all(asking(stub), [], PLAIN) == []
    assert stub.asked == []


def test_model_strings_open_it(stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for model in (stub.model, "ollama:qwen3:4b", "https://host.example/v1#m"):
        generator = open_generator(model, BackendSettings())
        assert isinstance(generator, OpenAIGenerator)
        assert generator.name == model
    with pytest.raises(ModelError, match="openai:gpt-4o needs a key") as caught:
        open_generator("openai:gpt-4o")
    assert caught.value.remedy.startswith("Set OPENAI_API_KEY, or name a file")
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    assert open_generator("openai:gpt-4o").name == "openai:gpt-4o"
