"""What wheels and archives say about the files that were made of them."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from installer.drift.compare import compare
from installer.drift.environment import environment_files, python_files
from installer.drift.model import Wanted
from payload.digest import digest_bytes
from payload.errors import IntegrityError
from payload.events import NullSink
from payload.tarball import unpack

NOTES = "tool-1.0.dist-info"


def record_of(files: dict[str, bytes]) -> bytes:
    rows = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        rows.append(f'"{name}",sha256={digest},{len(content)}\n')
    return "".join((*rows, f"{NOTES}/RECORD,,\n")).encode()


def wheel(folder: Path, tag: str, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    files = files | {f"{NOTES}/WHEEL": f"Wheel-Version: 1.0\nTag: {tag}\n".encode()}
    with zipfile.ZipFile(folder / f"tool-1.0-{tag}.whl", "w") as archive:
        for name, content in (files | {f"{NOTES}/RECORD": record_of(files)}).items():
            archive.writestr(name, content)


def installed(venv: Path, files: dict[str, bytes]) -> Path:
    packages = venv / "lib/python3.11/site-packages"
    (venv / "pyvenv.cfg").parent.mkdir(parents=True, exist_ok=True)
    (venv / "pyvenv.cfg").touch()
    for name, content in files.items():
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_bytes(content)
    return packages


def differing(wanted: list[Wanted], top: Path) -> dict[str, str]:
    return {str(Path(each.subject).relative_to(top)): each.kind for each in compare(wanted, NullSink(), "files")}


def test_files_of_every_scheme_and_start_scripts_are_compared(tmp_path: Path) -> None:
    files = {
        "tool/a, b.py": b"x = 1",
        "tool/__pycache__/a.cpython-311.pyc": b"later another",
        "tool-1.0.data/purelib/pure.py": b"pure",
        "tool-1.0.data/platlib/plat.so": b"plat",
        "tool-1.0.data/scripts/run": b"#!python\n",
        "tool-1.0.data/data/share/man": b"elsewhere",
        "../outside.py": b"not ours",
    }
    wheel(tmp_path / "wheels", "py3-none-any", files)
    script = b"#!/venv/bin/python\n"
    packages = installed(tmp_path / "venv", {"tool/a, b.py": b"x = 1", "pure.py": b"pure", "plat.so": b"plat"})
    (packages / NOTES).mkdir()
    (packages / NOTES / "WHEEL").write_bytes(b"Wheel-Version: 1.0\nTag: py3-none-any\n")
    (packages / NOTES / "RECORD").write_bytes(record_of({"../../../bin/run": script, "tool/a, b.py": b"x = 1"}))
    (tmp_path / "venv/bin").mkdir()
    (tmp_path / "venv/bin/run").write_bytes(script)
    wanted = list(environment_files(tmp_path / "venv", tmp_path / "wheels"))
    assert {str(each.path.relative_to(tmp_path / "venv")) for each in wanted} == {
        "pyvenv.cfg", "bin/run",
        *(f"lib/python3.11/site-packages/{name}"
          for name in ("tool/a, b.py", "pure.py", "plat.so", f"{NOTES}/WHEEL", f"{NOTES}/RECORD")),
    }  # fmt: skip
    assert differing(wanted, tmp_path) == {}
    (packages / "pure.py").write_bytes(b"evil")
    (packages / "plat.so").chmod(0o646)
    (tmp_path / "venv/bin/run").unlink()
    site = "venv/lib/python3.11/site-packages"
    assert differing(wanted, tmp_path) == {
        f"{site}/pure.py": "changed", f"{site}/plat.so": "mode", "venv/bin/run": "missing",
    }  # fmt: skip


def test_of_wheels_for_several_pythons_the_installed_one_counts(tmp_path: Path) -> None:
    for tag in ("cp310-cp310-linux_x86_64", "cp311-cp311-linux_x86_64"):
        wheel(tmp_path / "wheels", tag, {"tool.py": tag.encode()})
    here = "cp311-cp311-linux_x86_64"
    notes = {f"{NOTES}/WHEEL": f"Wheel-Version: 1.0\nTag: {here}\n".encode(), f"{NOTES}/RECORD": b""}
    installed(tmp_path / "venv", {"tool.py": here.encode(), **notes})
    assert differing(list(environment_files(tmp_path / "venv", tmp_path / "wheels")), tmp_path) == {}


def test_notes_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "py3-none-any", {"tool.py": b""})
    packages = installed(tmp_path / "venv", {"tool.py": b"", f"{NOTES}/WHEEL": b"", f"{NOTES}/RECORD": b"one,two\n"})
    with pytest.raises(IntegrityError, match="RECORD"):
        list(environment_files(tmp_path / "venv", tmp_path / "wheels"))
    (packages / NOTES / "RECORD").write_bytes(b"")
    (tmp_path / "wheels/bad-1.0-py3-none-any.whl").write_bytes(b"no wheel")
    with pytest.raises(IntegrityError, match="bad"):
        list(environment_files(tmp_path / "venv", tmp_path / "wheels"))


def test_the_portable_python_is_compared_with_its_archive(tmp_path: Path) -> None:
    archive = tmp_path / "python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, mode in (("bin/python3.13", 0o775), ("lib/os.py", 0o444), ("lib/__pycache__/os.pyc", 0o644)):
            member = tarfile.TarInfo(f"python/{name}")
            member.size, member.mode = len(name), mode
            tar.addfile(member, io.BytesIO(name.encode()))
        link = tarfile.TarInfo("python/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, "python3.13"
        tar.addfile(link)
    with tarfile.open(archive) as tar:
        unpack(tar, tmp_path)
    wanted = list(python_files(archive, tmp_path / "python"))
    assert [each.digest for each in wanted][:1] == [digest_bytes(b"bin/python3.13")]
    assert differing(wanted, tmp_path) == {}
    (tmp_path / "python/lib/__pycache__/os.pyc").write_bytes(b"compiled anew")
    (tmp_path / "python/lib/os.py").write_bytes(b"evil")
    (tmp_path / "python/bin/python3").unlink()
    (tmp_path / "python/bin/python3").symlink_to("/bin/sh")
    assert differing(wanted, tmp_path) == {"python/lib/os.py": "changed", "python/bin/python3": "changed"}
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(IntegrityError):
        list(python_files(archive, tmp_path / "python"))
