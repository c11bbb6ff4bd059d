from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from payload.errors import IntegrityError
from payload.tarball import unpack


def packed(*members: tuple[str, bytes, str]) -> tarfile.TarFile:
    """An archive of (name, kind, link's target or content)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, kind, text in members:
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.uid = kind, 0o6777, 1234
            if kind == tarfile.REGTYPE:
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
            else:
                member.linkname = text
                archive.addfile(member)
    return tarfile.open(fileobj=io.BytesIO(stream.getvalue()))


def test_files_and_inner_links_come_out_without_owners_and_special_modes(tmp_path: Path) -> None:
    unpack(
        packed(
            ("python/bin/python3.13", tarfile.REGTYPE, "program"),
            ("python/bin/python3", tarfile.SYMTYPE, "python3.13"),
            ("python/lib/up", tarfile.SYMTYPE, "../bin/python3"),
        ),
        tmp_path,
    )
    program = tmp_path / "python/lib/up"
    assert program.read_text() == "program"
    assert (program.stat().st_mode & 0o7777, program.stat().st_uid) == (0o755, 0)


@pytest.mark.parametrize(
    "members",
    [
        [("/etc/x", tarfile.REGTYPE, "x")],
        [("../x", tarfile.REGTYPE, "x")],
        [("a/../../x", tarfile.REGTYPE, "x")],
        [("out", tarfile.SYMTYPE, "/etc"), ("out/x", tarfile.REGTYPE, "x")],
        [("a/out", tarfile.SYMTYPE, "../../etc"), ("a/out/x", tarfile.REGTYPE, "x")],
        [("hard", tarfile.LNKTYPE, "/etc/passwd")],
        [("pipe", tarfile.FIFOTYPE, "")],
        [("device", tarfile.CHRTYPE, "")],
    ],
)
def test_what_would_leave_the_folder_is_refused(members: list[tuple[str, bytes, str]], tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    with pytest.raises(IntegrityError, match="archive holds something else"):
        unpack(packed(*members), folder)
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
