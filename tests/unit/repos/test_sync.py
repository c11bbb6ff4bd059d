"""Downloads over real connections, good and bad."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from payload import effects
from payload.digest import digest_bytes
from payload.errors import IntegrityError, ResolveError
from payload.events import Advanced, Event, Failed, Finished, Started
from payload.store import Store
from repos.sync import Access, Download, Fetcher, join_url
from tests.unit.repos.server import Behaviour, serve

CONTENT = random.Random(1).randbytes(300_000)
DIGEST = digest_bytes(CONTENT)


class Recorder:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "file").write_bytes(CONTENT)
    return folder


@pytest.fixture
def sink() -> Recorder:
    return Recorder()


@pytest.fixture
def fetcher(tmp_path: Path, sink: Recorder) -> Fetcher:
    return Fetcher(Store(tmp_path / "store"), sink, pause=0.01, timeout=5)


def fetch(fetcher: Fetcher, *downloads: Download) -> None:
    fetcher.fetch(downloads, stage="s", text="fetch")


def one(*urls: str, size: int | None = len(CONTENT)) -> Download:
    return Download(urls, DIGEST, size)


def kept(fetcher: Fetcher) -> Sequence[str]:
    """Names in the store under which somebody could take a file for whole."""
    return [path.name for path in fetcher.store.root.rglob("*") if path.is_file() and path.name[0] != "."]


def test_a_file_comes_and_comes_once(folder: Path, fetcher: Fetcher, sink: Recorder) -> None:
    behaviour = Behaviour()
    with serve(folder, behaviour) as url:
        fetch(fetcher, one(f"{url}/file"))
        fetch(fetcher, one(f"{url}/file"))
    assert fetcher.store.path(DIGEST).read_bytes() == CONTENT
    assert behaviour.requests == [("/file", "")]
    assert sink.events[0] == Started("s", "fetch", len(CONTENT))
    assert sum(event.amount for event in sink.events if isinstance(event, Advanced)) == len(CONTENT)
    assert isinstance(sink.events[-1], Finished)


def test_a_cut_connection_is_resumed(folder: Path, fetcher: Fetcher) -> None:
    behaviour = Behaviour(cut=2)
    with serve(folder, behaviour) as url:
        fetch(fetcher, one(f"{url}/file"))
    half = len(CONTENT) // 2
    assert behaviour.requests == [
        ("/file", ""),
        ("/file", f"bytes={half}-"),
        ("/file", f"bytes={half + half // 2}-"),
    ]
    assert fetcher.store.has(DIGEST)


def test_a_server_without_ranges_starts_again(folder: Path, fetcher: Fetcher) -> None:
    with serve(folder, Behaviour(cut=1, ranges=False)) as url:
        fetch(fetcher, one(f"{url}/file"))
    assert fetcher.store.has(DIGEST)


def test_a_busy_server_is_asked_again(folder: Path, fetcher: Fetcher) -> None:
    behaviour = Behaviour(fail=3)
    with serve(folder, behaviour) as url:
        fetch(fetcher, one(f"{url}/file"))
    assert len(behaviour.requests) == 4


def test_what_never_comes(folder: Path, fetcher: Fetcher, sink: Recorder) -> None:
    with serve(folder, Behaviour(fail=100)) as url, pytest.raises(ResolveError) as caught:
        fetch(fetcher, one(f"{url}/file"))
    assert caught.value.code == "fetch-failed"
    assert "503" in caught.value.details
    assert isinstance(sink.events[-1], Failed)
    assert kept(fetcher) == []


def test_what_is_not_there_is_asked_for_once(folder: Path, fetcher: Fetcher) -> None:
    behaviour = Behaviour()
    with serve(folder, behaviour) as url, pytest.raises(ResolveError) as caught:
        fetch(fetcher, one(f"{url}/other"))
    assert len(behaviour.requests) == 1
    assert "is not there (404)" in caught.value.details


def test_the_next_url_is_tried(folder: Path, fetcher: Fetcher) -> None:
    with serve(folder, Behaviour()) as url:
        fetch(fetcher, one("http://127.0.0.1:1/file", f"{url}/other", f"{url}/file"))
    assert fetcher.store.has(DIGEST)


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_another_content_is_refused(folder: Path, fetcher: Fetcher, size: int | None) -> None:
    (folder / "file").write_bytes(CONTENT[:-1] + b"x")
    with serve(folder, Behaviour()) as url, pytest.raises(IntegrityError) as caught:
        fetch(fetcher, one(f"{url}/file", size=size))
    assert caught.value.code == "download-differs"
    assert kept(fetcher) == []


def test_more_than_promised_is_refused(folder: Path, fetcher: Fetcher) -> None:
    with serve(folder, Behaviour(extra=b"x" * 100_000)) as url, pytest.raises(ResolveError) as caught:
        fetch(fetcher, one(f"{url}/file"))
    assert f"more than the {len(CONTENT)} bytes" in caught.value.details
    assert kept(fetcher) == []


def test_a_spoilt_part_does_not_stay(folder: Path, fetcher: Fetcher) -> None:
    with pytest.raises(ConnectionError), fetcher.store.incoming(DIGEST, resume=True) as out:
        out.write(b"something else")
        raise ConnectionError
    with serve(folder, Behaviour()) as url:
        fetch(fetcher, one(f"{url}/file"))
    assert fetcher.store.path(DIGEST).read_bytes() == CONTENT


def test_many_files_over_a_bad_line(folder: Path, fetcher: Fetcher) -> None:
    contents = [bytes([number]) * 20_000 for number in range(60)]
    for number, content in enumerate(contents):
        (folder / str(number)).write_bytes(content)
    behaviour = Behaviour(cut=12, fail=6)
    with serve(folder, behaviour) as url:
        downloads = [Download((f"{url}/{n}",), digest_bytes(c), len(c)) for n, c in enumerate(contents)]
        fetch(fetcher, *downloads)
    assert len(kept(fetcher)) == 60
    assert len(behaviour.requests) <= 60 + 12 + 6


def test_files_of_this_machine(folder: Path, fetcher: Fetcher) -> None:
    strange = folder / "a b+c~1^2.rpm"
    strange.write_bytes(CONTENT)
    fetch(fetcher, one(join_url(f"file://{folder}/", "a b+c~1^2.rpm")))
    assert fetcher.store.has(DIGEST)
    with pytest.raises(ResolveError):
        fetch(fetcher, Download((f"file://{folder}/none",), digest_bytes(b"none"), 4))


def test_small_documents(folder: Path, fetcher: Fetcher) -> None:
    with serve(folder, Behaviour(fail=1)) as url:
        assert fetcher.read(f"{url}/file") == CONTENT
        with pytest.raises(ResolveError) as caught:
            fetcher.read(f"{url}/file", limit=1000)
        assert "larger than 1000 bytes" in caught.value.details
        with pytest.raises(ResolveError):
            fetcher.read(f"{url}/none")
    assert fetcher.read(f"file://{folder}/file") == CONTENT


def test_join_url() -> None:
    assert join_url("https://x/y/", "Packages/a b+c~1.rpm") == "https://x/y/Packages/a%20b+c~1.rpm"


def test_a_password_from_a_netrc(
    folder: Path, fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(folder, Behaviour(credentials="builder:hidden")) as url:
        with pytest.raises(ResolveError, match="cannot be read"):
            fetcher.read(f"{url}/file")
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login builder password hidden\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        assert fetcher.read(f"{url}/file") == CONTENT


def test_a_proxy_of_its_own(folder: Path, tmp_path: Path, sink: Recorder) -> None:
    behaviour = Behaviour()
    (folder / "http:").mkdir()
    (folder / "http:/nowhere.invalid").mkdir()
    (folder / "http:/nowhere.invalid/file").write_bytes(b"by proxy")
    with serve(folder, behaviour) as url:
        fetcher = Fetcher(Store(tmp_path / "store"), sink, access=Access(proxy=url))
        assert fetcher.read("http://nowhere.invalid/file") == b"by proxy"


def test_three_of_ten_answers_are_cut(folder: Path, fetcher: Fetcher) -> None:
    """Complete, and no byte is asked for twice."""
    contents = [bytes([number]) * 20_000 for number in range(40)]
    for number, content in enumerate(contents):
        (folder / f"f{number}").write_bytes(content)
    behaviour = Behaviour(drop=0.3)
    with serve(folder, behaviour) as url:
        wanted = [
            Download((f"{url}/f{number}",), digest_bytes(content), len(content))
            for number, content in enumerate(contents)
        ]
        fetch(fetcher, *wanted)
    assert all(fetcher.store.has(item.digest) for item in wanted)
    starts = [(path, int(ranged.removeprefix("bytes=").rstrip("-") or 0)) for path, ranged in behaviour.requests]
    assert len(starts) == len(set(starts)) > len(wanted)


def test_a_full_disk_is_said_and_leaves_nothing_that_looks_whole(folder: Path, sink: Recorder) -> None:
    # /dev/full has no folders: the smallest real full disk is a tmpfs of one page, mounted for this test.
    with tempfile.TemporaryDirectory() as mount:
        effects.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", mount])
        try:
            fetcher = Fetcher(Store(Path(mount)), sink, attempts=2, pause=0.01)
            with serve(folder, Behaviour()) as url, pytest.raises(ResolveError) as caught:
                fetch(fetcher, one(f"{url}/file"))
            assert caught.value.code == "disk-full"
            assert not [path for path in Path(mount).rglob("*") if path.is_file() and path.name[0] != "."]
        finally:
            effects.run(["umount", mount])
