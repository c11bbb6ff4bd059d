"""What an install made from files of the release: the Python environment out of wheels, the portable Python out of its
archive, the runtime. What is wanted of them is read out of those files, which were found good before.

pip writes three things itself: its notes in `*.dist-info`, which count as they are; the start scripts, for which pip's
own record of them stands; and byte code, which does not count at all.
"""

from __future__ import annotations

import base64
import csv
import io
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath

from installer.drift.model import Wanted
from payload.digest import CHUNK, Digest, digest_file
from payload.errors import IntegrityError

_BY_PIP = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
_LIBRARIES = {"purelib", "platlib"}


@dataclass(frozen=True, slots=True)
class _Wheel:
    """A wheel's own list: content by path below site-packages, and its notes' folder."""

    notes: str
    files: dict[str, Digest | None]


def environment_files(venv: Path, wheels: Path) -> Iterator[Wanted]:
    """What the wheels in the folder `wheels` put into `venv`.

    Raises:
        IntegrityError: a wheel, or what pip noted of it, cannot be read.
    """
    yield Wanted(venv / "pyvenv.cfg", "environment")
    packages = next(iter(sorted(venv.glob("lib/python3*/site-packages"))), venv / "lib/site-packages")
    choices: dict[str, list[_Wheel]] = defaultdict(list)
    for path in sorted(wheels.glob("*.whl")):
        wheel = _read_wheel(path)
        choices[wheel.notes].append(wheel)
    for notes in sorted(choices):
        wheel = _installed_one(choices[notes], packages)
        for name, digest in wheel.files.items():
            yield Wanted(packages / name, "environment", digest=digest)
        yield Wanted(packages / notes / "RECORD", "environment")
        yield from _scripts(packages, notes)


def python_files(archive: Path, python: Path) -> Iterator[Wanted]:
    """What the portable Python's `archive` puts into `python`.

    Raises:
        IntegrityError: the archive cannot be read.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                path = python.parent / member.name
                if member.issym():
                    yield Wanted(path, "python", "link", target=member.linkname)
                elif member.isfile() and not is_byte_code(path) and (stream := tar.extractfile(member)) is not None:
                    digest = sha256()
                    while block := stream.read(CHUNK):
                        digest.update(block)
                    wanted = f"sha256:{digest.hexdigest()}"
                    yield Wanted(path, "python", digest=wanted, mode=member.mode & 0o755)
    except (OSError, EOFError, tarfile.TarError) as error:
        raise IntegrityError("archive-damaged", f"{archive} cannot be read", details=str(error)) from error


def runtime_files(runtime: Path, program: Path) -> Iterator[Wanted]:
    """The control program. The release has it as one archive, which does not stay, so only rights are compared."""
    yield Wanted(program, "runtime")
    for path in sorted(runtime.rglob("*")):
        if path != program and path.is_file() and not path.is_symlink():
            yield Wanted(path, "runtime")


def is_byte_code(path: Path | PurePosixPath) -> bool:
    """Python writes it by itself."""
    return path.suffix == ".pyc" or "__pycache__" in path.parts


def _read_wheel(path: Path) -> _Wheel:
    try:
        with zipfile.ZipFile(path) as wheel:
            record = next(name for name in wheel.namelist() if name.endswith(".dist-info/RECORD") and "/" in name)
            rows = list(_rows(wheel.read(record).decode()))
    except (OSError, zipfile.BadZipFile, StopIteration, ValueError) as error:
        raise IntegrityError("wheel-damaged", f"{path} cannot be read", details=str(error)) from error
    notes = PurePosixPath(record).parts[0]
    files = {_place(name): digest for name, digest in rows if _counts(name, notes)}
    return _Wheel(notes, {name: digest for name, digest in files.items() if name})


def _installed_one(wheels: list[_Wheel], packages: Path) -> _Wheel:
    """Of several wheels of one package, for several Pythons, that whose tags are in the environment."""
    name = f"{wheels[0].notes}/WHEEL"
    here = digest_file(packages / name) if len(wheels) > 1 and (packages / name).is_file() else None
    return next((wheel for wheel in wheels if wheel.files.get(name) == here), wheels[0])


def _scripts(packages: Path, notes: str) -> Iterator[Wanted]:
    """Start scripts, as pip noted them: they name the environment, so no wheel has them."""
    record = packages / notes / "RECORD"
    if not record.is_file():
        return
    try:
        rows = list(_rows(record.read_text(encoding="utf-8")))
    except ValueError as error:
        raise IntegrityError("record-damaged", f"{record} cannot be read", details=str(error)) from error
    for name, digest in rows:
        if name.startswith("../../../bin/") and ".." not in (script := PurePosixPath(name).name):
            yield Wanted(packages.parents[2] / "bin" / script, "environment", digest=digest)


def _counts(name: str, notes: str) -> bool:
    path = PurePosixPath(name)
    by_pip = path.parts[0] == notes and path.name in _BY_PIP
    return not (by_pip or path.is_absolute() or ".." in path.parts or is_byte_code(path))


def _place(name: str) -> str:
    """Where below site-packages a wheel's file goes; "" for one that goes elsewhere."""
    top, _, rest = name.partition("/")
    if not top.endswith(".data"):
        return name
    scheme, _, inside = rest.partition("/")
    return inside if scheme in _LIBRARIES else ""


def _rows(text: str) -> Iterator[tuple[str, Digest | None]]:
    """The rows of a RECORD: a path, and the digest that it gives.

    Raises:
        ValueError: it is no RECORD.
    """
    for row in csv.reader(io.StringIO(text)):
        if len(row) != 3:
            raise ValueError(f"a row of {len(row)} fields")
        kind, _, digest = row[1].partition("=")
        known = kind == "sha256"
        yield row[0], f"sha256:{base64.urlsafe_b64decode(digest + '==').hex()}" if known else None
