"""Archives that were damaged or made to do harm: refused before anything of them is used."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from installer.backup.contents import CONTENTS_NAME, SIGNATURE_NAME, Contents, Item
from installer.backup.keys import sign
from installer.backup.reader import check_files, opened
from installer.backup.walk import Tree
from installer.backup.writer import write
from installer.steps import Host, UnpackBackup
from installer.steps.unpack_backup import Place
from payload.digest import digest_bytes
from payload.errors import IntegrityError, UsageError
from payload.events import NullSink
from payload.signing import PrivateKey

KEY = PrivateKey.generate()
CONTENT = b"content of a file"
Row = dict[str, Any]


def row(path: str, **more: object) -> Row:
    return {"top": "data", "path": path, "mode": 0o644, "user": "root", "group": "root"} | more


def file_row(path: str, content: bytes = CONTENT) -> Row:
    return row(path, size=len(content), digest=digest_bytes(content))


def about(rows: list[Row]) -> dict[str, Any]:
    return {
        "format": 1, "product": "app", "version": "1.0", "release": digest_bytes(b""), "prefix": "/opt/app",
        "host": "one", "created": 1, "answers": {}, "config": {}, "items": rows,
    }  # fmt: skip


def member(name: str, content: bytes = CONTENT, **more: Any) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in more.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def forged(path: Path, members: bytes, rows: list[Row], *, key: PrivateKey = KEY, end: bytes = bytes(1024)) -> Path:
    text = json.dumps(about(rows)).encode()
    signed = member(CONTENTS_NAME, text) + member(SIGNATURE_NAME, sign(text, key))
    path.write_bytes(members + signed + end)
    return path


def check(path: Path) -> None:
    with opened(path) as backup:
        check_files(backup, NullSink())


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A small archive as it is really written."""
    (tmp_path / "tree/folder").mkdir(parents=True)
    (tmp_path / "tree/folder/file").write_bytes(CONTENT)
    (tmp_path / "tree" / ("long-" * 30)).write_bytes(bytes(600))
    (tmp_path / "tree/link").symlink_to("/etc/passwd")
    (tmp_path / "tree/empty").touch()
    os.mkfifo(tmp_path / "tree/pipe")
    empty = Contents.model_validate(about([]))
    trees = (Tree("data", tmp_path / "tree", frozenset({"empty"})), Tree("config", tmp_path / "not-there"))
    write(tmp_path / "archive", empty, trees, KEY, NullSink(), scratch=tmp_path)
    return tmp_path / "archive"


def test_what_is_written_is_read_and_other_programs_read_it_too(written: Path) -> None:
    with opened(written) as backup:
        check_files(backup, NullSink())
        names = [item.path for item in backup.contents.items]
        assert names == ["folder", "link", "long-" * 30, "folder/file"]
        assert b"".join(backup.blocks(1)) == CONTENT
        assert backup.key.raw == KEY.public.raw and backup.contents.version == Version("1.0")
    with tarfile.open(written) as tar:
        extracted = tar.extractfile("data/folder/file")
        assert extracted is not None and extracted.read() == CONTENT


def test_what_has_no_place_stays_in_the_archive(tmp_path: Path) -> None:
    """A database that other nodes may use is not put back: see ADR 65."""
    for name, content in (("database", b"a copy"), ("data", CONTENT)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(content)
    empty, archive = Contents.model_validate(about([])), tmp_path / "archive"
    trees = (Tree("database", tmp_path / "database"), Tree("data", tmp_path / "data"))
    write(archive, empty, trees, KEY, NullSink(), scratch=tmp_path)
    check(archive)
    with opened(archive) as backup:
        digest = backup.digest
    place = Place("data", tmp_path / "new")
    step = UnpackBackup(archive=archive, contents=digest, places=(place,), reason="a test")
    host = Host(scratch=tmp_path)
    step.apply(host, step.prepare(host))
    assert [path.read_bytes() for path in place.folder.iterdir()] == [CONTENT]


def test_any_changed_byte_and_any_cut_is_noticed(written: Path, tmp_path: Path) -> None:
    good = written.read_bytes()
    copy = tmp_path / "copy"
    for place in range(0, len(good), 7):
        changed = bytearray(good)
        changed[place] ^= 1
        copy.write_bytes(changed)
        with pytest.raises(IntegrityError):
            check(copy)
    for length in range(0, len(good) - 1024, 101):
        copy.write_bytes(good[:length])
        with pytest.raises(IntegrityError):
            check(copy)
    for more in (b"x", bytes(20000), good):
        copy.write_bytes(good + more)
        with pytest.raises(IntegrityError):
            check(copy)


@pytest.mark.parametrize(
    "path", ["../up", "a/../../up", "/etc/passwd", "a//b", "./a", "a/", ".", "..", "", "n" * 256, "a/" * 2500 + "a"]
)
def test_a_path_that_leads_out_or_nowhere_is_refused(tmp_path: Path, path: str) -> None:
    archive = forged(tmp_path / "archive", member(f"data/{path}"), [row("a"), file_row(path)])
    with pytest.raises(IntegrityError, match="damaged"):
        check(archive)


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE,
     tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE,
     tarfile.SOLARIS_XHDTYPE, b"?"],
)  # fmt: skip
def test_anything_but_a_plain_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    archive = forged(
        tmp_path / "archive", member("data/a", b"", type=kind, linkname="/etc/passwd"), [file_row("a", b"")]
    )
    with pytest.raises(IntegrityError) as caught:
        check(archive)
    assert "no plain file" in caught.value.details


@pytest.mark.parametrize(
    ("members", "rows", "why"),
    [
        (member("data/a/b"), [row("a", target="/etc"), file_row("a/b")], "below something that is no folder"),
        (member("data/a") + member("data/a/b"), [file_row("a"), file_row("a/b")], "below something that is no folder"),
        (member("data/a/b"), [file_row("a/b"), row("a")], "below something that is no folder"),
        (member("data/a") * 2, [file_row("a"), file_row("a")], "listed twice"),
        (member("data/a"), [file_row("a"), file_row("b")], "not those of its list"),
        (member("data/a") + member("data/b"), [file_row("a")], "not those of its list"),
        (member("data/b"), [file_row("a")], "not those of its list"),
        (member("data/a"), [file_row("a", CONTENT + b"x")], "not those of its list"),
        (member("data/a"), [file_row("a") | {"digest": digest_bytes(b"other")}], "not what was signed"),
        (member("data/a"), [file_row("a") | {"target": "/etc"}], "a file and a link"),
        (b"", [row("a", size=1 << 60)], "no content"),
        (b"", [row("a", user="root:x")], "pattern"),
        (b"", [row("a", mode=0o10000)], "less than"),
        (b"", [row("a", more=1)], "not permitted"),
    ],
)
def test_a_list_that_says_something_else_is_refused(tmp_path: Path, members: bytes, rows: list[Row], why: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        check(forged(tmp_path / "archive", members, rows))
    assert why in caught.value.details


def test_sizes_that_no_backup_has_cost_nothing(tmp_path: Path) -> None:
    huge = tarfile.TarInfo("data/a")
    huge.size = 1 << 62
    path = forged(tmp_path / "archive", huge.tobuf(tarfile.GNU_FORMAT), [])
    with pytest.raises(IntegrityError, match="damaged"):
        check(path)
    name = tarfile.TarInfo("././@LongLink")
    name.size, name.type = 1 << 20, tarfile.GNUTYPE_LONGNAME
    path = forged(path, name.tobuf(tarfile.GNU_FORMAT) + b"n" * (1 << 20) + member("data/a"), [])
    with pytest.raises(IntegrityError, match="damaged"):
        check(path)
    with path.open("wb") as file:
        file.write(member("data/a"))
        file.truncate(1 << 40)
    with pytest.raises(IntegrityError, match="damaged"):
        check(path)


def test_a_list_that_somebody_else_signed_is_not_the_hosts(tmp_path: Path) -> None:
    text = json.dumps(about([])).encode()
    body = json.loads(sign(text, PrivateKey.generate()))
    body["key"] = KEY.public.to_text().strip()
    for signature in (json.dumps(body).encode(), b"{}", b"", sign(text + b" ", KEY)):
        archive = tmp_path / "archive"
        archive.write_bytes(member(CONTENTS_NAME, text) + member(SIGNATURE_NAME, signature) + bytes(1024))
        with pytest.raises(IntegrityError, match="damaged"):
            check(archive)


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_is_no_backup(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "archive")
    with pytest.raises(UsageError, match="no file"):
        check(tmp_path / "archive")


def test_an_archive_that_was_replaced_after_the_check_is_not_unpacked(written: Path, tmp_path: Path) -> None:
    with opened(written) as backup:
        digest = backup.digest
    step = UnpackBackup(archive=written, contents=digest, places=(Place("data", tmp_path / "new"),), reason="a test")
    host = Host(scratch=tmp_path / "scratch")
    step.apply(host, step.prepare(host))
    assert (tmp_path / "new/folder/file").read_bytes() == CONTENT
    assert (tmp_path / "new/link").is_symlink() and not (tmp_path / "new/pipe").exists()
    for _ in range(2):
        step.undo(step.prepare(host), host)
        assert not (tmp_path / "new").exists()
    forged(written, member("data/a"), [file_row("a")])
    with pytest.raises(IntegrityError, match="replaced"):
        step.apply(host, step.prepare(host))


def test_a_link_in_the_data_is_never_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/way").symlink_to(tmp_path / "outside")
    contents = write(
        tmp_path / "archive", Contents.model_validate(about([])), (Tree("data", tmp_path / "tree"),), KEY, NullSink(),
        scratch=tmp_path,
    )  # fmt: skip
    assert [(item.path, item.target) for item in contents.items] == [("way", str(tmp_path / "outside"))]


def test_a_name_that_no_text_can_hold_is_refused_and_no_file_left(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / os.fsdecode(b"bad-\xff")).touch()
    trees = (Tree("data", tmp_path / "tree"),)
    with pytest.raises(UsageError) as caught:
        write(tmp_path / "archive", Contents.model_validate(about([])), trees, KEY, NullSink(), scratch=tmp_path)
    assert caught.value.code == "name-not-storable"
    assert not (tmp_path / "archive").exists()


def test_items_say_what_they_are() -> None:
    items = [Item.model_validate(each) for each in (row("a"), file_row("a"), row("a", target="b"))]
    assert [item.is_folder for item in items] == [True, False, False]
