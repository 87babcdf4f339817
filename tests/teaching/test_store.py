"""The store: what was stored stays, whatever moment the process was killed at."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest

from distilwhy.errors import DataError
from distilwhy.files import read_records
from distilwhy.generators.base import Decoding
from distilwhy.generators.recorded import StoredText, text_key
from distilwhy.teaching.store import TextStore


def stored(number: int, text: str = "Because.") -> StoredText:
    return StoredText(
        key=text_key(f"prompt {number}", "teacher", Decoding()),
        teacher="teacher",
        step="rationale",
        example=str(number),
        text=text,
        finish="stop",
        prompt_tokens=2,
        completion_tokens=1,
    )


def fill(path: Path, count: int) -> bytes:
    with TextStore(path) as store:
        for number in range(count):
            store.append(stored(number, f"Text {number}: café\n\u2028 end"))
    return path.read_bytes()


def test_what_was_appended_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "texts.jsonl"
    fill(path, 3)
    with TextStore(path) as store:
        assert len(store) == 3
        found = store.get(stored(1).key)
        assert found is not None
        assert found.text == "Text 1: café\n\u2028 end"
        assert store.get(stored(7).key) is None
    assert [row.example for row in read_records(path, StoredText)] == ["0", "1", "2"]


def test_key_holds_all_that_a_text_depends_on() -> None:
    decodings = [
        Decoding(),
        Decoding(max_new_tokens=5),
        Decoding(stop=("\n",)),
        Decoding(temperature=1.0),
        Decoding(seed=1),
        Decoding(chat=True),
    ]
    keys = {text_key(p, t, d) for p in ("a", "b") for t in ("x", "y") for d in decodings}
    assert len(keys) == 2 * 2 * len(decodings)


def test_a_line_torn_at_any_byte_is_cut_off_and_the_rest_kept(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    whole = fill(path, 3)
    kept = whole[: whole[:-1].rfind(b"\n") + 1]
    for end in range(len(kept), len(whole)):
        path.write_bytes(whole[:end])
        with TextStore(path) as store:
            assert len(store) == 2
            assert path.read_bytes() == kept
            store.append(stored(2, "Text 2: café\n\u2028 end"))
        assert path.read_bytes() == whole


def test_each_line_is_on_disk_before_the_next_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    with TextStore(path) as store:
        for number in range(3):
            store.append(stored(number))
            assert path.read_bytes().count(b"\n") == number + 1


def test_first_text_of_a_key_stays(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    with TextStore(path) as store:
        store.append(stored(0, "First."))
        store.append(stored(0, "Second."))
    assert [row.text for row in read_records(path, StoredText)] == ["First."]
    path.write_bytes(path.read_bytes() + stored(0, "Third.").model_dump_json().encode() + b"\n")
    with TextStore(path) as store:
        found = store.get(stored(0).key)
    assert found is not None
    assert found.text == "First."


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, bytes(data)[:7]))
    fill(tmp_path / "texts.jsonl", 2)
    assert len(read_records(tmp_path / "texts.jsonl", StoredText)) == 2


def test_full_disk_is_a_clear_error_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "texts.jsonl"
    fill(path, 2)

    def full(handle: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with TextStore(path) as store, monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(DataError, match="could not be written: No space left"):
            store.append(stored(2))
        assert store.get(stored(2).key) is None
    with TextStore(path) as store:
        assert len(store) == 2


def test_damaged_lines_are_named_and_nothing_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    lines = fill(path, 4).split(b"\n")
    lines[1] = b'{"key": "x"}'
    lines[2] = b"\xff\xfe"
    path.write_bytes(b"\n".join(lines))
    before = path.read_bytes()
    with pytest.raises(DataError) as caught:
        TextStore(path)
    assert "texts.jsonl:2: teacher: field required" in str(caught.value)
    assert "texts.jsonl:3: " in str(caught.value)
    assert path.read_bytes() == before


def test_folder_in_the_way_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="could not be opened"):
        TextStore(tmp_path)


def test_lines_are_synced_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, synced = [50.0], []
    real = os.fsync
    monkeypatch.setattr("distilwhy.teaching.store.time.monotonic", lambda: now[0])
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(now[0]), real(handle)))
    with TextStore(tmp_path / "t.jsonl") as store:
        for number in range(100):
            now[0] += 0.02
            store.append(stored(number))
        assert len(synced) == 4  # 2 s at two a second
        waits = [after - before for before, after in pairwise([50.0, *synced])]
        assert min(waits) >= 0.5
    assert len(synced) == 6  # and once on closing, as for the ledger


def test_half_a_line_is_taken_back_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "texts.jsonl"
    real, room = os.write, [60]

    def nearly_full(handle: int, data: bytes) -> int:
        if room[0] == 0:
            raise OSError(28, "No space left on device")
        written = real(handle, bytes(data)[: room[0]])
        room[0] -= written
        return written

    with TextStore(path) as store:
        store.append(stored(0))
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", nearly_full)
            with pytest.raises(DataError, match="No space left"):
                store.append(stored(1))
        store.append(stored(2))
        found = store.get(stored(2).key)
        assert found is not None
        assert found.example == "2"
    assert [row.example for row in read_records(path, StoredText)] == ["0", "2"]


def test_older_stores_are_read(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text(stored(0).model_dump_json(exclude={"cached_tokens", "logprob"}) + "\n")
    with TextStore(path) as store:
        assert store.get(stored(0).key) == stored(0)
        assert store.spent["rationale"].total == 3
