"""Workers on a real Ray cluster: killed, under a budget, interrupted, with faulty backends."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from distilwhy.config import BackendSettings, Budget, TeachingSettings
from distilwhy.errors import MissingExtraError, ModelError, StageError, StoppedError
from distilwhy.generators.base import Decoding, Generator, generate_all
from distilwhy.generators.open import open_generator
from distilwhy.generators.ray_pool import RayGenerator
from distilwhy.generators.recorded import StoredText
from distilwhy.records import Example
from distilwhy.teaching.annotate import annotate
from distilwhy.teaching.ledger import read_ledger
from distilwhy.teaching.spending import Terms
from distilwhy.teaching.store import stored_texts

pytestmark = pytest.mark.slow

PLAIN = Decoding(max_new_tokens=8)
BACKEND = Path(__file__).with_name("ray_backend.py")
SETTINGS = TeachingSettings(shots=1, adjective_pairs=2)
EXAMPLES = [
    Example(
        id=f"q{number}",
        question=f"What is thing {number}?",
        choices=("stone", "water", "air"),
        answer=("stone", "water", "air")[number % 3],
    )
    for number in range(24)
]
WORKERS, CONCURRENCY = 2, 6
HELD = 2 * CONCURRENCY // WORKERS  # prompts that a worker has at most


def install(folder: Path) -> None:
    """Install the tests' backend in a folder, as an installer would leave it."""
    info = folder / "logged-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: logged\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[distilwhy.backends]\nlogged = ray_backend:Logged\n")
    shutil.copy(BACKEND, folder)


def python_path(site: Path) -> str:
    return os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture(scope="module")
def site(ray_site: Path) -> Path:
    install(ray_site)
    return ray_site


@pytest.fixture(scope="module")
def backend(site: Path) -> ModuleType:
    """The module of the tests' backend."""
    spec = importlib.util.spec_from_file_location("ray_backend", site / "ray_backend.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


OnRay = Callable[..., RayGenerator]


@pytest.fixture
def on_ray(cluster: Any, site: Path) -> Iterator[OnRay]:
    """Makes generators, whose workers end with the test."""
    made: list[RayGenerator] = []

    def make(model: str, **more: Any) -> RayGenerator:
        values = {"engine": "ray", "concurrency": CONCURRENCY, "ray": {"workers": WORKERS}, **more}
        made.append(RayGenerator(model, BackendSettings.model_validate(values)))
        return made[-1]

    yield make
    for generator in made:
        generator.close()


def logged(folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    return f"logged:{folder}"


def asked(folder: Path) -> list[tuple[int, str]]:
    """Return the process and the prompt of each line of the backend's log."""
    lines = (folder / "asked").read_text().splitlines() if (folder / "asked").exists() else []
    return [(int(pid), prompt) for pid, prompt in (line.split() for line in lines)]


def run(generator: Generator, store: Path, **more: Any) -> dict[str, StoredText]:
    annotate(EXAMPLES, generator, SETTINGS, seed=0, store_path=store, **more)
    return texts(store)


def texts(store: Path) -> dict[str, StoredText]:
    """Return a store's texts by their keys, none of which may stand there twice."""
    rows = list(stored_texts(store))
    found = {row.key: row for row in rows}
    assert len(found) == len(rows)
    return found


class Killer(threading.Thread):
    """Kills the first worker that is seen at work, once so many prompts were begun on."""

    def __init__(self, folder: Path, after: int) -> None:
        super().__init__(daemon=True)
        self.folder, self.after, self.killed = folder, after, 0
        self.start()

    def run(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            lines = asked(self.folder)
            if len(lines) >= self.after:
                self.killed = lines[-1][0]
                os.kill(self.killed, signal.SIGKILL)
                return
            time.sleep(0.002)


@pytest.fixture
def plain(tmp_path: Path, backend: ModuleType) -> tuple[dict[str, StoredText], set[str]]:
    """The texts of a run without Ray, and its prompts."""
    folder = tmp_path / "log"
    found = run(backend.Logged(logged(folder), BackendSettings()), tmp_path / "plain.jsonl")
    prompts = {prompt for _, prompt in asked(folder)}
    (folder / "asked").unlink()
    return found, prompts


Plain = tuple[dict[str, StoredText], set[str]]


def test_a_killed_worker_costs_only_what_it_had(
    on_ray: OnRay, tmp_path: Path, plain: Plain
) -> None:
    generator = on_ray(logged(tmp_path / "log"))
    killer = Killer(tmp_path / "log", after=50)
    found = run(generator, tmp_path / "ray.jsonl")
    killer.join()

    assert found == plain[0]
    lines = asked(tmp_path / "log")
    assert killer.killed in {pid for pid, _ in lines}
    times = Counter(prompt for _, prompt in lines)
    assert set(times) == plain[1]
    assert len(lines) - len(times) <= HELD
    assert read_ledger(tmp_path / "ray.jsonl").lost.total > 0  # it may have been charged for

    deadline = time.monotonic() + 60
    workers = {pid for pid, _ in lines}
    while len(workers) <= WORKERS and time.monotonic() < deadline:  # another takes its place
        generate_all(generator, [f"prompt {place}" for place in range(WORKERS * HELD)], PLAIN)
        workers |= {pid for pid, _ in asked(tmp_path / "log")}
    assert len(workers) == WORKERS + 1


def test_the_budget_holds_for_all_workers_and_what_died_with_one(
    on_ray: OnRay, tmp_path: Path, plain: Plain
) -> None:
    cost = {row.key: row.prompt_tokens + row.completion_tokens for row in plain[0].values()}
    budget = sum(cost.values()) // 2
    store, generator = tmp_path / "ray.jsonl", on_ray(logged(tmp_path / "log"))
    killer = Killer(tmp_path / "log", after=20)
    with pytest.raises(StoppedError) as stopped:
        run(generator, store, terms=Terms(Budget(tokens=budget)))
    killer.join()
    assert killer.killed
    assert stopped.value.setting == "tokens"
    # A text of each prompt asked, those asked twice included, at the least that it can cost.
    spent = sum(cost[key] for key in texts(store))
    twice = len(asked(tmp_path / "log")) - len(texts(store))
    assert spent + twice * min(cost.values()) <= budget
    assert spent > budget / 4

    assert run(generator, store) == plain[0]


def test_prompts_are_taken_as_workers_have_room_and_may_end(on_ray: OnRay, tmp_path: Path) -> None:
    taken: list[str] = []

    def prompts(number: int) -> Iterator[str]:
        for place in range(number):
            taken.append(f"{place // 10} begins many a prompt, this is {place}")
            yield taken[-1]

    generator = on_ray(logged(tmp_path / "log"))
    for number in (37, 0, 3):  # the same workers, run after run
        taken.clear()
        done: dict[int, str] = {}
        for place, generated in generator.generate(prompts(number), PLAIN):
            done[place] = generated.text
            assert len(taken) - len(done) < WORKERS * HELD
        assert sorted(done) == list(range(number))
    assert len({pid for pid, _ in asked(tmp_path / "log")}) == WORKERS


def test_texts_that_nobody_waits_for_are_given_up(on_ray: OnRay, tmp_path: Path) -> None:
    generator = on_ray(logged(tmp_path / "log"))
    texts = generator.generate((f"prompt {place}" for place in range(10_000)), PLAIN)
    next(texts)
    texts.close()
    begun = len(asked(tmp_path / "log"))
    assert begun <= WORKERS * HELD
    assert len(generate_all(generator, ["another", "and one"], PLAIN)) == 2
    assert len(asked(tmp_path / "log")) - begun <= WORKERS * HELD + 2


class Granting(Iterator[str]):
    """Prompts that may be sent again as long as leave is left."""

    def __init__(self, prompts: list[str], leave: int) -> None:
        self._prompts = iter(prompts)
        self.leave = leave
        self.wanted: list[int] = []

    def __next__(self) -> str:
        return next(self._prompts)

    def again(self, number: int) -> bool:
        self.wanted.append(number)
        self.leave -= 1
        return self.leave >= 0


def test_a_backend_asks_here_before_it_sends_again(on_ray: OnRay, tmp_path: Path) -> None:
    prompts = Granting([f"{'<again>' if n % 4 == 1 else 'once'} {n}" for n in range(16)], leave=3)
    done = dict(on_ray(logged(tmp_path / "log")).generate(prompts, PLAIN))
    assert sorted(prompts.wanted) == [1, 5, 9, 13]
    refused = prompts.wanted[3]
    assert set(range(16)) - set(done) == {refused}


def test_lost_attempts_are_told_and_need_leave(
    on_ray: OnRay, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = Granting([f"prompt {n}" for n in range(60)], leave=10_000)
    killer = Killer(tmp_path / "log", after=10)
    done = dict(on_ray(logged(tmp_path / "log")).generate(prompts, PLAIN))
    killer.join()
    assert sorted(done) == list(range(60))
    lost = {number for number, generated in done.items() if generated.lost_attempts}
    assert lost == set(prompts.wanted)
    assert 0 < len(lost) <= HELD
    assert "A worker died; the " in capsys.readouterr().err


def test_a_prompt_that_kills_its_workers_ends_the_run(on_ray: OnRay, tmp_path: Path) -> None:
    prompts = [f"prompt {n}" for n in range(8)] + ["<kills>"]
    with pytest.raises(StageError, match="died"):
        generate_all(on_ray(logged(tmp_path / "log")), prompts, PLAIN)


def test_a_fault_of_the_backend_comes_as_it_was_with_what_was_in_flight(
    on_ray: OnRay, tmp_path: Path
) -> None:
    generator = on_ray(logged(tmp_path / "log"))
    done: list[int] = []
    texts = generator.generate(["fine", "<fails>", "good", "well"], PLAIN)
    with pytest.raises(ModelError) as failed:
        done.extend(number for number, _ in texts)
    assert (failed.value.message, failed.value.remedy) == (
        "The prompt is too long.",
        "Shorten it.",
    )
    assert 1 not in done
    with pytest.raises(StageError, match=r"A worker failed: ZeroDivisionError: a bug") as broken:
        generate_all(generator, ["<breaks>"], PLAIN)
    assert "ray_backend.py" in str(broken.value.__cause__)
    assert len(generate_all(generator, ["fine again? no"], PLAIN)) == 1


def test_a_model_that_is_missing_is_told_in_one_sentence(on_ray: OnRay, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as failed:
        generate_all(on_ray(f"logged:{tmp_path / 'nowhere'}"), ["a prompt"], PLAIN)
    assert failed.value.message == "The model is not there."


def test_workers_share_the_requests_at_once_and_get_the_key(
    on_ray: OnRay, stub: Any, reply: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILWHY_API_KEY", "secret-of-the-test")
    stub.reply = lambda asked: reply(asked.text(f"to {asked.prompt}"), seconds=0.02)
    generator = on_ray(stub.model, concurrency=5)
    prompts = [f"prompt {n}" for n in range(80)]
    found = generate_all(generator, prompts, PLAIN)
    assert [generated.text for generated in found] == [f"to {prompt}" for prompt in prompts]
    assert Counter(asked.prompt for asked in stub.asked) == Counter(prompts)
    assert {asked.headers["authorization"] for asked in stub.asked} == {"Bearer secret-of-the-test"}
    assert 2 <= stub.most_in_flight <= 5


def test_without_ray_the_command_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    settings = BackendSettings.model_validate({"engine": "ray"})
    generator = open_generator("embedded", settings)
    with pytest.raises(MissingExtraError) as missing:
        generate_all(generator, ["a prompt"], PLAIN)
    assert missing.value.remedy == "Run: pip install 'distilwhy[ray]'"


def command(site: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start ``distilwhy generate`` on a cluster of its own, in a group of processes of its own."""
    task = ("--task", "mini", "--limit", "40", "--shots", "1", "--engine", "ray")
    return subprocess.Popen(
        [sys.executable, "-m", "distilwhy", "generate", *task, *arguments],
        env={**os.environ, "PYTHONPATH": python_path(site)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_the_command_stops_at_an_interrupt_and_leaves_no_process(
    site: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "log", tmp_path / "a.jsonl"
    with command(site, "--teacher", logged(folder), "--out", str(out)) as process:
        deadline = time.monotonic() + 90
        while len(asked(folder)) < 30 and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert "Stopped: The run was asked to stop." in told
    assert len(texts(out.with_name("a.texts.jsonl"))) == len(asked(folder)) >= 30
    assert read_ledger(out.with_name("a.texts.jsonl")).lost.total == 0
    for pid in {pid for pid, _ in asked(folder)}:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_the_command_tells_what_is_wrong_without_a_traceback(site: Path, tmp_path: Path) -> None:
    teacher = f"logged:{tmp_path / 'nowhere'}"
    with command(site, "--teacher", teacher, "--out", str(tmp_path / "a.jsonl")) as process:
        out, told = process.communicate(timeout=120)
    assert process.returncode == 2, told
    assert (out, told) == ("", "Error: The model is not there.\nFetch it.\n")


def test_two_models_write_what_one_does(on_ray: OnRay, tiny_models: dict[str, Path]) -> None:
    model = f"hf:{tiny_models['llama']}"
    settings = {"precision": "fp32", "batch_size": 2}
    prompts = [
        f"The capital of {country} is"
        for country in ("France", "Spain", "Italy", "Peru", "Chile", "Japan", "China", "Egypt")
    ]
    decoding = Decoding(max_new_tokens=12, stop=("\n",), logprobs=True)
    plain = generate_all(open_generator(model, BackendSettings(**settings)), prompts, decoding)
    generator = on_ray(model, **settings)
    found = generate_all(generator, prompts, decoding)
    assert [generated.text for generated in found] == [generated.text for generated in plain]
    assert [g.completion_tokens for g in found] == [g.completion_tokens for g in plain]
    assert generator.precision == "fp32"
