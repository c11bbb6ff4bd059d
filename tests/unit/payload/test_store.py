"""The store: only whole and checked files, whoever writes and however they end."""

from __future__ import annotations

import errno
import multiprocessing
import threading
from pathlib import Path

import pytest

from payload.digest import digest_bytes, digest_file
from payload.errors import IntegrityError, ResolveError
from payload.store import Store, default_root

CONTENT = b"the quick brown fox" * 1000
DIGEST = digest_bytes(CONTENT)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def files(store: Store) -> list[str]:
    return sorted(path.name for path in store.root.rglob("*") if path.is_file())


def test_default_root_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert default_root() == Path("/elsewhere/sealift/store")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_root() == Path.home() / ".cache/sealift/store"


def test_incoming_gives_the_final_name_only_at_the_end(store: Store) -> None:
    with store.incoming(DIGEST) as out:
        out.write(CONTENT)
        assert not store.has(DIGEST)
    digits = DIGEST.removeprefix("sha256:")
    assert store.path(DIGEST) == store.root / "sha256" / digits[:2] / digits
    assert store.path(DIGEST).read_bytes() == CONTENT
    assert store.path(DIGEST).stat().st_mode & 0o777 == 0o644
    assert files(store) == [digits]


def test_wrong_content_is_dropped(store: Store) -> None:
    with pytest.raises(IntegrityError) as caught, store.incoming(DIGEST) as out:
        out.write(CONTENT[:-1])
    assert caught.value.code == "digest-mismatch"
    assert files(store) == []


def test_an_interrupted_block_leaves_nothing(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt), store.incoming(DIGEST) as out:
        out.write(CONTENT)
        raise KeyboardInterrupt
    assert files(store) == []


def test_resume_goes_on_where_it_stopped(store: Store) -> None:
    with pytest.raises(ConnectionError), store.incoming(DIGEST, resume=True) as out:
        out.write(CONTENT[:500])
        raise ConnectionError
    with store.incoming(DIGEST, resume=True) as out:
        assert out.tell() == 500
        out.write(CONTENT[500:])
    assert digest_file(store.path(DIGEST)) == DIGEST


def test_without_resume_an_old_part_is_forgotten(store: Store) -> None:
    with pytest.raises(ConnectionError), store.incoming(DIGEST, resume=True) as out:
        out.write(b"rubbish")
        raise ConnectionError
    with store.incoming(DIGEST) as out:
        out.write(CONTENT)
    assert store.has(DIGEST)


def test_the_same_content_twice(store: Store) -> None:
    for _ in range(2):
        with store.incoming(DIGEST) as out:
            out.write(CONTENT)
    assert store.path(DIGEST).read_bytes() == CONTENT


def test_empty_content_is_content(store: Store) -> None:
    with store.incoming(digest_bytes(b"")):
        pass
    assert store.path(digest_bytes(b"")).read_bytes() == b""


def test_who_waited_finds_it_done_and_writes_nothing(store: Store) -> None:
    order: list[str] = []
    inside = threading.Event()

    def second() -> None:
        inside.wait(10)
        with store.incoming(DIGEST, resume=True) as out:
            order.append("second")
            assert store.has(DIGEST)
            assert out.tell() == 0

    thread = threading.Thread(target=second)
    thread.start()
    with store.incoming(DIGEST) as out:
        inside.set()
        out.write(CONTENT)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert files(store) == [DIGEST.removeprefix("sha256:")]
    assert store.path(DIGEST).read_bytes() == CONTENT


def _write(root: Path) -> None:
    with Store(root).incoming(DIGEST) as out:
        for start in range(0, len(CONTENT), 100):
            out.write(CONTENT[start : start + 100])
            out.flush()


def test_processes_take_turns(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(store.root,)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert store.path(DIGEST).read_bytes() == CONTENT


def test_a_held_file_has_no_name_before_it_is_admitted(store: Store) -> None:
    with store.incoming(DIGEST, hold=True) as out:
        out.write(CONTENT)
    assert (store.has(DIGEST), store.held(DIGEST).read_bytes()) == (False, CONTENT)
    with store.incoming(DIGEST, resume=True, hold=True) as out:
        assert out.tell() == len(CONTENT)
    store.admit(DIGEST)
    store.admit(DIGEST)  # as another process would
    assert (files(store), store.path(DIGEST).read_bytes()) == ([DIGEST[7:]], CONTENT)


def test_a_held_file_is_checked_too(store: Store) -> None:
    with pytest.raises(IntegrityError), store.incoming(DIGEST, hold=True) as out:
        out.write(CONTENT[1:])
    with pytest.raises(FileNotFoundError):
        store.admit(DIGEST)
    assert files(store) == []


def test_add_file(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    source.chmod(0o600)
    assert store.add_file(source) == DIGEST
    assert store.add_file(source) == DIGEST
    assert files(store) == [DIGEST.removeprefix("sha256:")]
    assert store.path(DIGEST).stat().st_mode & 0o777 == 0o644


def test_add_file_that_is_not_there_leaves_nothing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.add_file(tmp_path / "nothing")
    assert files(store) == []


def test_a_full_disk_is_told_as_such(store: Store) -> None:
    with pytest.raises(ResolveError) as caught, store.incoming(DIGEST):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.code == "disk-full"
    assert files(store) == []


@pytest.mark.parametrize(
    "digest", ["", "sha256:abc", "md5:" + "0" * 64, "sha256:../../" + "0" * 58, "sha256:" + "A" * 64]
)
def test_a_path_is_made_of_digests_only(store: Store, digest: str) -> None:
    with pytest.raises(ValueError, match="not a sha256 digest"):
        store.path(digest)
