"""The repository over HTTP, asked the way that package managers ask."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from repos.addresses import listening_address
from repos.serving import FolderFiles, parse_range, serving

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "repository" / "Packages").mkdir(parents=True)
    (tmp_path / "repository" / "Packages" / "a+b 1.rpm").write_bytes(CONTENT)
    (tmp_path / "repository" / "empty").touch()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "repository" / "out").symlink_to(tmp_path / "secret")
    return tmp_path / "repository"


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    with serving(FolderFiles(folder)) as url:
        yield url


def test_files_ranges_and_heads(url: str) -> None:
    with requests.Session() as session:
        whole = session.get(f"{url}/Packages/a%2Bb%201.rpm")
        assert (whole.status_code, whole.content) == (200, CONTENT)
        for asked, first, last in (("0-0", 0, 0), ("1048570-1048600", 1048570, 1048600), ("-5", 1279995, 1279999)):
            part = session.get(f"{url}/Packages/a+b 1.rpm", headers={"Range": f"bytes={asked}"})
            assert (part.status_code, part.content) == (206, CONTENT[first : last + 1])
            assert part.headers["Content-Range"] == f"bytes {first}-{last}/{len(CONTENT)}"
        beyond = session.get(f"{url}/Packages/a+b 1.rpm", headers={"Range": f"bytes={len(CONTENT)}-"})
        assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")
        head = session.head(f"{url}/Packages/a+b 1.rpm")
        assert (head.status_code, head.headers["Content-Length"], head.content) == (200, str(len(CONTENT)), b"")
        assert session.get(f"{url}/empty").content == b""


def test_a_connection_serves_many_files(url: str) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    connection.connect()
    first = connection.sock
    for path, status in (("/empty", 200), ("/none", 404), ("/Packages/a+b%201.rpm", 200)):
        connection.request("GET", f"{parts.path}{path}")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
        assert connection.sock is first
    connection.close()


@pytest.mark.parametrize("path", ["/../secret", "/%2e%2e/secret", "/out", "/Packages", "/", "", "//empty", "/empty%00"])
def test_nothing_but_its_files(url: str, path: str) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    connection.request("GET", f"{parts.path}{path}")
    assert connection.getresponse().status == 404
    connection.close()


def test_nobody_guesses_the_path(url: str) -> None:
    parts = urlsplit(url)
    for path in ("/empty", "/", f"{parts.path[:-1]}/empty"):
        assert requests.get(f"http://{parts.netloc}{path}", timeout=5).status_code == 404
    assert parts.hostname == "127.0.0.1"
    assert len(parts.path) > 30


def test_a_file_that_goes_away_is_no_whole_answer(folder: Path) -> None:
    class Vanishing(FolderFiles):
        def read(self, path: str, offset: int, size: int) -> bytes:
            if offset:
                raise OSError("gone")
            return super().read(path, offset, size)

    with serving(Vanishing(folder)) as url, pytest.raises(requests.RequestException):
        requests.get(f"{url}/Packages/a+b 1.rpm", timeout=5)


def test_rubbish_is_answered_or_hung_up_on(url: str) -> None:
    parts = urlsplit(url)
    for rubbish in (b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n", b"GET " + b"x" * 70000):
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5) as connection:
            connection.sendall(rubbish)
            with suppress(OSError):  # it may have hung up already
                connection.shutdown(socket.SHUT_WR)
            assert b"200" not in connection.recv(1000)
    assert requests.get(f"{url}/empty", timeout=5).status_code == 200


def test_it_ends_with_the_block(folder: Path) -> None:
    with serving(FolderFiles(folder)) as url:
        pass
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/empty", timeout=5)


@given(st.text(alphabet="bytes=0123456789-, \x00é", max_size=30), st.integers(0, 10**12))
def test_a_range_is_inside_or_refused(header: str, size: int) -> None:
    part = parse_range(header, size)
    if part is not None:
        assert 0 <= part[0] <= part[1] + 1 <= size


@pytest.mark.parametrize(("header", "size", "wanted"), [("", 9, (0, 8)), ("bytes=2-1", 9, None), ("bytes=0-", 0, None)])
def test_ranges(header: str, size: int, wanted: object) -> None:
    assert parse_range(header, size) == wanted


@pytest.mark.parametrize("text", ["8079", ":8079", "host", "0.0.0.0:0", "0.0.0.0:65536", "0.0.0.0:x"])
def test_what_is_no_address(text: str) -> None:
    assert listening_address("0.0.0.0:8079") == ("0.0.0.0", 8079)
    assert listening_address("[::1]:8079") == listening_address("::1:8079") == ("::1", 8079)
    with pytest.raises(ValueError, match="HOST:PORT"):
        listening_address(text)
