"""repomd.xml: what a repository's metadata consists of. XML from outside is read here, and only without entities."""

from __future__ import annotations

import posixpath
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO
from xml.parsers import expat

from payload.digest import CHUNK, Digest
from payload.errors import IntegrityError, ResolveError

REPOMD = "repodata/repomd.xml"
CLOSURE_KINDS = ("primary", "filelists", "modules")
"""The documents that the closure is solved from."""
KINDS = (*CLOSURE_KINDS, "updateinfo", "group", "group_gz")
"""The documents that are read at all."""

_NAMESPACE = "{http://linux.duke.edu/metadata/repo}"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class MetadataFile:
    """A document that repomd.xml names. `open_digest` is of what it unpacks to, where that is said."""

    kind: str
    location: str
    digest: Digest
    size: int | None
    open_digest: Digest | None


@dataclass(frozen=True, slots=True)
class Repomd:
    """What repomd.xml says."""

    revision: str
    files: tuple[MetadataFile, ...]

    def find(self, kind: str) -> MetadataFile | None:
        """The document of that kind."""
        return next((file for file in self.files if file.kind == kind), None)


def parse_repomd(content: bytes, *, where: str) -> Repomd:
    """Read a repomd.xml.

    Raises:
        IntegrityError: it is malformed, has a document type, or names a file by an unsafe path.
        ResolveError: it names a file by another digest than SHA-256.
    """
    root = parse_xml(content, where=where)
    files = tuple(
        _file(element, where) for element in root.iterfind(f"{_NAMESPACE}data") if element.get("type") in KINDS
    )
    return Repomd(root.findtext(f"{_NAMESPACE}revision", ""), files)


def parse_xml(content: bytes, *, where: str) -> ET.Element:
    """The root of an XML document from outside.

    Raises:
        IntegrityError: it is malformed or has a document type.
    """
    screen(content, where=where)
    try:
        return ET.fromstring(content)  # noqa: S314 - screened: without a document type there are no entities to expand
    except ET.ParseError as error:
        raise bad_metadata(where, str(error)) from error


def screen(content: bytes | IO[bytes], *, where: str) -> None:
    """Refuse XML with a document type: it is what entities are declared in, and rpm-md has none.

    Raises:
        IntegrityError: it has one, or no root element.
    """
    parser = expat.ParserCreate()
    seen: list[str] = []
    parser.StartDoctypeDeclHandler = lambda *_: seen.append("doctype")
    parser.StartElementHandler = lambda *_: seen.append("element")
    chunks = (content,) if isinstance(content, bytes) else iter(lambda: content.read(CHUNK), b"")
    try:
        for chunk in chunks:
            parser.Parse(chunk)
            if seen:
                break
    except expat.ExpatError as error:
        if not seen:
            raise bad_metadata(where, str(error)) from error
    if not seen or seen[0] != "element":
        raise bad_metadata(where, "it has a document type" if seen else "it has no root element")


def next_revision(before: int, upstreams: Iterable[str]) -> int:
    """The revision of a repository that changed: the newest of its upstreams' (those that are numbers), and always more
    than the one `before`: yum 3 refuses metadata that is older than what it has."""
    return max([before + 1, *(int(text) for text in upstreams if text.isdecimal())])


def safe_location(location: str, *, where: str) -> str:
    """`location` without empty and `.` parts.

    Raises:
        IntegrityError: it leads out of the repository.
    """
    path = posixpath.normpath(location)
    if path.startswith(("/", "..")) or "://" in location or "\\" in path or "\0" in path:
        raise bad_metadata(where, f"it names {location!r}, which is outside of the repository")
    return path


def _file(element: ET.Element, where: str) -> MetadataFile:
    kind = element.get("type", "")
    location = element.find(f"{_NAMESPACE}location")
    href = location.get("href") if location is not None else None
    digest = _digest(element, "checksum", where)
    size = element.findtext(f"{_NAMESPACE}size", "")
    if not href or digest is None or (size and not size.isdecimal()):
        raise bad_metadata(where, f"its record of {kind} lacks a location, a checksum or a size in digits")
    return MetadataFile(
        kind,
        safe_location(href, where=where),
        digest,
        int(size) if size else None,
        _digest(element, "open-checksum", where),
    )


def _digest(element: ET.Element, name: str, where: str) -> Digest | None:
    checksum = element.find(f"{_NAMESPACE}{name}")
    if checksum is None:
        return None
    value = (checksum.text or "").strip()
    if checksum.get("type") != "sha256":
        raise ResolveError(
            "weak-metadata",
            f"{where} names its files by {checksum.get('type')} digests",
            remedy="Use an upstream that has SHA-256 digests, or make one of its packages with createrepo_c.",
        )
    if not _SHA256.fullmatch(value):
        raise bad_metadata(where, f"{value!r} is not a SHA-256 digest")
    return f"sha256:{value}"


def bad_metadata(where: str, why: str) -> IntegrityError:
    """The error for metadata that is not what it should be."""
    return IntegrityError("bad-metadata", f"{where} is damaged or hostile", details=why)
