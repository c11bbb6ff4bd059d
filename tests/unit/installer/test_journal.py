from __future__ import annotations

import resource
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from installer.journal import (
    Applied,
    Begun,
    Closed,
    Committed,
    History,
    Intended,
    Journal,
    Record,
    Resumed,
    RolledBack,
    RollingBack,
    Undone,
    parse_journal,
    read_journal,
)
from payload.errors import IntegrityError

BEGUN = Begun(run="r", plan_digest="d", plan={"steps": []})
COMMITTED: tuple[Record, ...] = (
    BEGUN, Intended(n=0, undo={"a": 1}), Applied(n=0), Intended(n=1, undo={}), Applied(n=1), Committed(), Closed(),
)  # fmt: skip
UNDONE: tuple[Record, ...] = (
    BEGUN, Intended(n=0, undo={}), Applied(n=0), Intended(n=1, undo={}), RollingBack(why="x"), Undone(n=1), Undone(n=0),
    RolledBack(),
)  # fmt: skip
RESUMED: tuple[Record, ...] = (
    BEGUN, Intended(n=0, undo={}), Applied(n=0), Intended(n=1, undo={}), Resumed(at=0), Undone(n=1), Resumed(at=0),
    Undone(n=0), Intended(n=0, undo={"b": 2}), Applied(n=0), Intended(n=1, undo={}), Applied(n=1), Committed(),
    Closed(),
)  # fmt: skip
HERE = Path("journal")


def text_of(records: tuple[Record, ...]) -> bytes:
    return b"".join(record.model_dump_json().encode() + b"\n" for record in records)


@pytest.mark.parametrize("records", [COMMITTED, UNDONE, RESUMED])
def test_every_beginning_reads_back(records: tuple[Record, ...], tmp_path: Path) -> None:
    for count in range(len(records) + 1):
        path = tmp_path / f"{count}.jsonl"
        journal = Journal(path)
        for record in records[:count]:
            journal.append(record)
        journal.close()
        history = read_journal(path)
        assert history.records == records[:count]
        assert history.finished == (count in {0, len(records)})


def test_what_is_left_to_undo() -> None:
    assert parse_journal(text_of(COMMITTED[:4]), HERE).to_undo == (1, 0)
    assert parse_journal(text_of(UNDONE[:6]), HERE).to_undo == (0,)


def test_where_a_resumed_run_goes_on() -> None:
    points = [parse_journal(text_of(RESUMED[:count]), HERE).point for count in range(1, len(RESUMED) - 1)]
    assert points == [0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1, 2]
    halfway = parse_journal(text_of(RESUMED[:6]), HERE)
    assert (halfway.point, halfway.to_undo) == (0, (0,))
    again = parse_journal(text_of(RESUMED[:9]), HERE)
    assert (again.to_undo, again.intended[0]) == ((0,), {"b": 2})


@pytest.mark.parametrize(
    "records",
    [
        (*RESUMED[:5], Intended(n=0, undo={})),  # what stands is not undone yet
        (*RESUMED[:5], Applied(n=1)),
        (*RESUMED[:4], Resumed(at=2)),  # behind the step that was cut off
        (*RESUMED[:8], Undone(n=0)),
        (*RESUMED[:5], Committed()),
        (*UNDONE[:6], Resumed(at=0)),  # what is being undone does not go on
        (*COMMITTED[:6], Resumed(at=0)),
        (BEGUN, Intended(n=0, undo={}), Undone(n=0)),
    ],
)
def test_impossible_ways_on_are_refused(records: tuple[Record, ...]) -> None:
    with pytest.raises(IntegrityError):
        parse_journal(text_of(records), HERE)


def test_a_full_disk_leaves_no_half_record(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.append(BEGUN)
    size = journal.path.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, hard))  # a write stops in the middle, as on a full disk
    try:
        with pytest.raises(OSError):
            journal.append(Intended(n=0, undo={"much": "x" * 100}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert journal.path.stat().st_size == size
    journal.append(RollingBack(why="no room"))
    journal.append(RolledBack())
    journal.close()
    assert read_journal(journal.path).finished


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(cut=st.integers(min_value=0), which=st.sampled_from([COMMITTED, UNDONE, RESUMED]))
def test_torn_anywhere_reads_the_whole_lines_and_appends_after_them(
    tmp_path: Path, cut: int, which: tuple[Record, ...]
) -> None:
    content = text_of(which)
    torn = content[: cut % (len(content) + 1)]
    whole = torn.count(b"\n")
    path = tmp_path / "journal.jsonl"
    path.write_bytes(torn)
    assert read_journal(path).records == which[:whole]
    journal = Journal(path)
    for record in which[whole:]:
        journal.append(record)
    journal.close()
    assert path.read_bytes() == text_of(which)


@given(st.binary(max_size=300))
def test_garbage_is_refused_or_has_no_whole_line(garbage: bytes) -> None:
    try:
        history = parse_journal(garbage, HERE)
    except IntegrityError as error:
        assert error.code in {"journal-damaged", "journal-newer"}
    else:
        assert history == History()


@given(place=st.integers(min_value=0), value=st.integers(min_value=0, max_value=255))
def test_one_changed_byte_never_invents_a_step(place: int, value: int) -> None:
    content = bytearray(text_of(COMMITTED))
    content[place % len(content)] = value
    try:
        history = parse_journal(bytes(content), HERE)
    except IntegrityError:
        return
    assert set(history.intended) <= {0, 1}


@given(st.lists(st.sampled_from([*COMMITTED, *UNDONE, *RESUMED]), max_size=8))
def test_impossible_orders_are_refused(records: list[Record]) -> None:
    try:
        history = parse_journal(text_of(tuple(records)), HERE)
    except IntegrityError:
        return
    assert not history.records or isinstance(history.records[0], Begun)
    assert not (history.has(Committed) and history.has(RollingBack))


def test_newer_format_is_refused_with_advice() -> None:
    line = text_of((BEGUN,)).replace(b'"format":1', b'"format":2')
    with pytest.raises(IntegrityError) as caught:
        parse_journal(line, HERE)
    assert caught.value.code == "journal-newer"
    assert "newer bundle" in caught.value.remedy


def test_unknown_field_is_refused() -> None:
    with pytest.raises(IntegrityError, match="line 1"):
        parse_journal(b'{"record":"committed","more":1}\n', HERE)
