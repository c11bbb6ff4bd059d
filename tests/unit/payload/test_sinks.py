"""Where events go, and in what form."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from payload.events import Advanced, Note, stage
from payload.sinks import JsonSink, LinesSink, LogSink


def test_plain_lines_say_what_began_and_ended() -> None:
    out = io.StringIO()
    sink = LinesSink(out)
    with stage(sink, "fetch", "fetching 3 files", done="fetched 3 files"):
        sink.emit(Advanced("fetch", 10))
    sink.emit(Note("mind this", "warning"))
    first, second, third = out.getvalue().splitlines()
    assert first == ".. fetching 3 files"
    assert second.startswith("ok fetched 3 files (")
    assert third == "warning: mind this"


def test_a_failed_stage_says_so() -> None:
    out = io.StringIO()
    with pytest.raises(ValueError, match="x"), stage(LinesSink(out), "s", "trying"):
        raise ValueError("x")
    assert out.getvalue().splitlines()[-1] == "!! trying"


def test_json_lines_are_json() -> None:
    out = io.StringIO()
    with stage(JsonSink(out), "s", "work", total=5):
        pass
    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [row["event"] for row in rows] == ["started", "finished"]
    assert rows[0]["total"] == 5


def test_lines_of_several_threads_do_not_mix(tmp_path: Path) -> None:
    with (tmp_path / "events").open("w") as out, ThreadPoolExecutor(8) as pool:
        sink = JsonSink(out)
        list(pool.map(lambda n: sink.emit(Advanced("s", n)), range(5000)))
    rows = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert sorted(row["amount"] for row in rows) == list(range(5000))


def test_a_log_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "run.log"
    sink = LogSink(path)
    sink.emit(Note("only here", "detail"))
    sink.close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert "only here" in path.read_text()
    with pytest.raises(FileExistsError):
        LogSink(path)
