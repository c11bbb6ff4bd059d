"""Repository metadata for a folder of RPMs: the same bytes for the same packages, readable by yum 3 and every dnf.

The bytes do not depend on how many processes read the packages.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import createrepo_c  # type: ignore[import-untyped]

from payload.digest import digest_bytes
from payload.effects import atomic_write, fsync_dir, run
from payload.errors import CommandError, IntegrityError
from repos.package_xml import BAD_RPM, CHANGELOGS, PROGRAM, BadRpmError, part_file, request, write_part
from repos.repomd import REPOMD

_SHARE = 256 << 20
"""Work that is worth a process of its own: it takes three times as long as the start of one."""
_HEADER = 90_000
"""Reading a header takes as long as digesting so many bytes."""
_BLOCK = 1 << 20
_NAMES = {"updateinfo": "updateinfo.xml.gz", "group": "comps.xml", "modules": "modules.yaml.gz"}
"""The files of other documents. comps is left plain, since yum 3 reads no packed one of that name."""


def create_repository(
    folder: Path,
    *,
    revision: int,
    documents: Mapping[str, bytes] | None = None,
    fingerprint: str = "",
    without: frozenset[str] = frozenset(),
    sign: Callable[[Path], object] | None = None,
) -> int:
    """Write `folder/repodata` for all RPMs below `folder` and say how many there are.

    `revision` is the revision of the repository and the time of everything in it, in seconds since the epoch: part of
    the input, so that two runs give equal bytes. Metadata is gzip (yum 3 reads nothing newer), without databases.
    `documents` are plain texts by kind: `updateinfo`, `group`, `modules`. `fingerprint` is noted for `is_current`.
    Files whose names are in `without` are passed over. `sign` gets the path of repomd.xml, to put a signature beside
    it. An older `repodata` is replaced when the new one is complete.

    Raises:
        IntegrityError: a file named *.rpm is none.
    """
    packages = [path for path in find_packages(folder) if path.name not in without]
    with TemporaryDirectory(dir=folder, prefix=".repodata-") as name:
        staging = Path(name)
        writer = createrepo_c.RepositoryWriter(
            staging, num_packages=len(packages), changelog_limit=CHANGELOGS, compression=createrepo_c.GZ
        )
        try:
            parts = _write_parts(folder, staging, packages, revision)
        except BadRpmError as error:
            raise IntegrityError("bad-rpm", str(error)) from error
        for kind, document in writer.working_metadata_files.items():
            _join([part_file(part, kind) for part in parts], document.writer)
        writer.finish()
        others = [_record(staging / "repodata", kind, text) for kind, text in sorted((documents or {}).items())]
        repomd = _repomd([*writer.repomd.records, *others], revision, fingerprint)
        atomic_write(staging / REPOMD, repomd.encode())
        if sign is not None:
            sign(staging / REPOMD)
        if (folder / "repodata").exists():
            (folder / "repodata").rename(staging / "older")
        (staging / "repodata").rename(folder / "repodata")
    fsync_dir(folder)
    return len(packages)


def find_packages(folder: Path) -> list[Path]:
    """All files named *.rpm below `folder`, in the order of their paths."""
    return sorted(folder.rglob("*.rpm"), key=str)


def is_current(folder: Path, fingerprint: str) -> bool:
    """Whether `folder/repodata` was made with that fingerprint."""
    try:
        repomd = (folder / REPOMD).read_text(encoding="utf-8")
    except OSError:
        return False
    return f"<content>{fingerprint}</content>" in repomd


def folder_fingerprint(folder: Path) -> str:
    """What tells folders apart whose files have other paths, sizes or times: cheap, for folders that only we write."""
    rows = [
        f"{path.relative_to(folder)}\t{found.st_size}\t{found.st_mtime_ns}"
        for path in find_packages(folder)
        for found in [path.stat()]
    ]
    return digest_bytes("\n".join(rows).encode())


def _write_parts(folder: Path, staging: Path, packages: Sequence[Path], revision: int) -> list[Path]:
    """The XML of `packages` in one part for each process, in their order."""
    work = sum(_HEADER + path.stat().st_size for path in packages)
    count = max(1, min(os.cpu_count() or 1, work // _SHARE))
    size = -(-len(packages) // count) or 1
    shares = [packages[start : start + size] for start in range(0, len(packages), size)]
    parts = [staging / str(number) for number in range(len(shares))]
    if count == 1:
        for share, part in zip(shares, parts, strict=True):
            write_part(folder, share, revision, part)
        return parts
    requests = [request(folder, share, revision, part) for share, part in zip(shares, parts, strict=True)]
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(_write_elsewhere, requests))
    return parts


def _write_elsewhere(text: str) -> None:
    done = run(PROGRAM, stdin=text, check=False)
    if done.returncode == BAD_RPM:
        raise BadRpmError(done.errors)
    if done.returncode != 0:
        raise CommandError(done.argv, done.returncode, done.errors)


def _join(parts: Sequence[Path], document: createrepo_c.XmlFile) -> None:
    for part in parts:
        with part.open(encoding="utf-8", newline="") as text:
            for block in iter(partial(text.read, _BLOCK), ""):
                document.add_chunk(block)
        part.unlink()


def _record(repodata: Path, kind: str, text: bytes) -> createrepo_c.RepomdRecord:
    path = repodata / _NAMES[kind]
    path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)
    record = createrepo_c.RepomdRecord(kind, str(path))
    record.fill(createrepo_c.SHA256)
    record.rename_file()
    return record


def _repomd(records: Sequence[createrepo_c.RepomdRecord], revision: int, fingerprint: str) -> str:
    """repomd.xml with `revision` instead of the times of this run."""
    repomd = createrepo_c.Repomd()
    repomd.set_revision(str(revision))
    if fingerprint:
        repomd.add_content_tag(fingerprint)
    for record in records:
        record.timestamp = revision
        repomd.set_record(record)
    repomd.sort_records()
    return str(repomd.xml_dump())
