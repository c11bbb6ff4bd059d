"""The support archive of an install: one gzipped tar, for root's eyes, with the secrets taken out of every text."""

from __future__ import annotations

import io
import json
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

from installer.layout import Layout
from installer.newfile import created
from installer.steps import Runner
from installer.support.redaction import Redactor
from installer.support.sources import gather, known_secrets
from payload.events import Sink, stage

LARGEST = 64 << 20
"""Bytes of all texts together; what comes later is left out, and the contents say so."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What was written: the archive, how many texts it has, in how many places something was removed."""

    archive: Path
    texts: int
    removed: int
    missing: tuple[str, ...]
    """What could not be had, and why."""


def collect(layout: Layout, archive: Path, sink: Sink, run: Runner) -> Collected:
    """Write `archive`, which must not be there yet. Works whatever state the product is in, and changes nothing of it.

    Raises:
        UsageError: the file is there already, or cannot be made.
    """
    remedy = "name another file with --output, in a folder that has room"
    with (
        created(archive, code="archive-unwritable", remedy=remedy) as file,
        stage(sink, "collect", "collect what support needs"),
        tarfile.open(fileobj=file, mode="w:gz") as tar,
    ):
        return _write(layout, tar, archive, run)


def _write(layout: Layout, tar: tarfile.TarFile, archive: Path, run: Runner) -> Collected:
    redactor = Redactor(known_secrets(layout))
    top = archive.name.removesuffix(".tar.gz")
    contents: list[dict[str, object]] = []
    missing: list[str] = []
    left = LARGEST
    for item in gather(layout, run):
        text = redactor(item.text)
        why = item.missing or ("" if len(text) <= left else "the archive is full")
        if why:
            missing.append(f"{item.path}: {why}")
            contents.append({"path": item.path, "missing": why})
        else:
            left -= len(text)
            contents.append({"path": item.path, "cut": item.cut})
            _add(tar, f"{top}/{item.path}", text)
    body = {"product": layout.product, "removed": redactor.removed, "contents": contents}
    _add(tar, f"{top}/contents.json", json.dumps(body, indent=2) + "\n")
    return Collected(archive, len(contents) - len(missing), redactor.removed, tuple(missing))


def archive_name(product: str) -> str:
    """The name of an archive that is made now."""
    return f"{product}-support-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.tar.gz"


def _add(tar: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(content), 0o600, int(time.time())
    tar.addfile(info, io.BytesIO(content))
