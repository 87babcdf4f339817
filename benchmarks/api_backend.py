"""Speed and memory of the API backend against a local stub that answers after a set time.

``python benchmarks/api_backend.py`` writes benchmarks/results/api_backend.json. The stub runs in a
process of its own. On a machine that others use, put ``chrt -r 1`` before it. Measured are

- throughput with 64 requests in flight and answers after 200 ms, as a share of the ideal, which is
  64 / 0.2 s = 320 a second;
- processor time of this process for each request, and how busy the machine was before;
- resident memory over 100,000 prompts that are made one by one, answers coming at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from distilwhy.config import BackendSettings
from distilwhy.environment import machine, versions
from distilwhy.files import read_json, write_json
from distilwhy.generators.base import Decoding
from distilwhy.generators.openai_api import OpenAIGenerator

IN_FLIGHT = 64
SECONDS = 0.2
PREFIX = "Question: What is kept in a cellar?\nExplanation: Wine is kept there.\n\n" * 40
DECODING = Decoding(stop=("\n",))
RESULTS = Path(__file__).parent / "results" / "api_backend.json"


def serve(seconds: float, port: Any) -> None:
    """Answer every completion after some seconds; put the port into a queue when ready."""
    text = " A cellar is cool and dark, so wine keeps well there, and it takes no space upstairs."
    choice = {"index": 0, "text": text, "finish_reason": "stop", "logprobs": None}
    usage = {"prompt_tokens": 800, "completion_tokens": 20, "total_tokens": 820}
    answer = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "stub"}
    body = json.dumps({**answer, "choices": [choice], "usage": usage}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        if seconds:
            await asyncio.sleep(seconds)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def main() -> None:
        config = uvicorn.Config(app, port=0, lifespan="off", log_level="critical", access_log=False)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port.put(server.servers[0].sockets[0].getsockname()[1])
        await task

    asyncio.run(main())


@contextmanager
def stub(seconds: float) -> Iterator[OpenAIGenerator]:
    """Run the stub in a process of its own and give a generator that asks it."""
    context = multiprocessing.get_context("spawn")
    port = context.Queue()
    process = context.Process(target=serve, args=(seconds, port), daemon=True)
    process.start()
    try:
        model = f"http://127.0.0.1:{port.get(timeout=60)}/v1#stub"
        yield OpenAIGenerator(model, BackendSettings(concurrency=IN_FLIGHT))
    finally:
        process.terminate()
        process.join()


def prompts(number: int) -> Iterator[str]:
    """Make prompts of some 3,000 characters one by one."""
    return (f"{PREFIX}Question: What is thing {i} for?\nExplanation:" for i in range(number))


def throughput(number: int) -> dict[str, Any]:
    """Measure answers a second, and processor time, against the slow stub."""
    load = os.getloadavg()[0]
    with stub(SECONDS) as generator:
        sum(1 for _ in generator.generate(prompts(IN_FLIGHT), DECODING))
        start, cpu = time.perf_counter(), time.process_time()
        done = sum(1 for _ in generator.generate(prompts(number), DECODING))
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    assert done == number
    ideal = IN_FLIGHT / SECONDS
    return {
        "prompts": number,
        "in_flight": IN_FLIGHT,
        "answer_seconds": SECONDS,
        "seconds": round(seconds, 2),
        "per_second": round(number / seconds, 1),
        "ideal_per_second": ideal,
        "share_of_ideal": round(number / seconds / ideal, 4),
        "processor_ms_per_request": round(1000 * cpu / number, 3),
        "others_load": round(load, 2),
    }


def memory(number: int) -> dict[str, Any]:
    """Measure resident memory over many prompts against a stub that answers at once."""
    samples: dict[int, float] = {}
    start = time.perf_counter()
    with stub(0) as generator:
        for done, _ in enumerate(generator.generate(prompts(number), DECODING), 1):
            if done % max(1, number // 20) == 0:
                samples[done] = round(resident_mb(), 1)
    seconds = time.perf_counter() - start
    middle = [value for place, value in samples.items() if place >= number // 10]
    return {
        "prompts": number,
        "per_second": round(number / seconds, 1),
        "resident_mb": samples,
        "growth_mb_after_a_tenth": round(middle[-1] - middle[0], 1),
    }


def resident_mb() -> float:
    """Return this process's resident memory in MiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Measure and write the result; a part that is not measured stays as it was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=6400, help="prompts of the speed part")
    parser.add_argument("--memory-prompts", type=int, default=100_000)
    parser.add_argument("--only", choices=("throughput", "memory"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    result = read_json(options.out) if options.only and options.out.is_file() else {}
    result |= {"machine": machine().model_dump(mode="json"), "versions": versions()}
    if options.only != "memory":
        result["throughput"] = throughput(options.prompts)
    if options.only != "throughput":
        result["memory"] = memory(options.memory_prompts)
    print(json.dumps(result, indent=2))
    write_json(options.out, result)


if __name__ == "__main__":
    main()
