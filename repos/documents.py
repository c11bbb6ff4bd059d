"""Updates, groups and modules of upstreams, kept for the packages that a repository has."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO

import yaml

from repos.metadata import Metadata
from repos.modules import parse_modules
from repos.nevra import Nevra
from repos.repomd import bad_metadata

KEPT_KINDS = ("updateinfo", "group", "group_gz")
"""The documents of an upstream that `kept_documents` reads, besides those that a closure is solved from."""
_DOCUMENT = re.compile(rb"^---[ \t]*$", re.MULTILINE)
_XML = b'<?xml version="1.0" encoding="UTF-8"?>\n'


def kept_documents(upstreams: Sequence[Metadata], packages: Iterable[Nevra]) -> dict[str, bytes]:
    """For `repos.createrepo`: the updates, groups and modules of `upstreams` that name some of `packages`; one document
    of each kind, none for a kind of which nothing is left.

    Raises:
        IntegrityError: a document is malformed.
    """
    kept = frozenset(packages)
    made = {
        "updateinfo": _updates(upstreams, kept),
        "group": _groups(upstreams, frozenset(nevra.name for nevra in kept)),
        "modules": _modules(upstreams, kept),
    }
    return {kind: text for kind, text in made.items() if text is not None}


def _updates(upstreams: Sequence[Metadata], kept: frozenset[Nevra]) -> bytes | None:
    root = ET.Element("updates")
    for update in _children(upstreams, ("updateinfo",), "update"):
        for collection in update.iter("collection"):
            for package in list(collection.iterfind("package")):
                if _nevra(package.attrib) not in kept:
                    collection.remove(package)
        if next(update.iter("package"), None) is not None:
            root.append(update)
    return _text(root)


def _nevra(package: Mapping[str, str]) -> Nevra:
    values = (package.get(key, "") for key in ("name", "epoch", "version", "release", "arch"))
    name, epoch, version, release, arch = values
    return Nevra(name, int(epoch) if epoch.isdecimal() else 0, version, release, arch)


def _groups(upstreams: Sequence[Metadata], names: frozenset[str]) -> bytes | None:
    root = ET.Element("comps")
    groups: set[str] = set()
    for group in _children(upstreams, ("group_gz", "group"), "group"):
        identity = group.findtext("id", "")
        if identity not in groups and any(one.text in names for one in group.iter("packagereq")):
            groups.add(identity)
            root.append(group)
    for kind in ("category", "environment"):
        for element in _children(upstreams, ("group_gz", "group"), kind):
            if any(one.text in groups for one in element.iter("groupid")):
                root.append(element)
    return _text(root)


def _text(root: ET.Element) -> bytes | None:
    return _XML + ET.tostring(root) + b"\n" if len(root) else None


def _children(upstreams: Sequence[Metadata], kinds: Sequence[str], tag: str) -> Iterator[ET.Element]:
    for upstream in upstreams:
        kind = next((kind for kind in kinds if upstream.find(kind) is not None), None)
        if kind is not None:
            with upstream.unpack(kind) as text:
                if text is not None:
                    yield from _parse(text, upstream.where).iterfind(tag)


def _parse(text: IO[bytes], where: str) -> ET.Element:
    try:
        return ET.parse(text).getroot()  # noqa: S314 - screened: without a document type nothing is expanded
    except ET.ParseError as error:
        raise bad_metadata(where, str(error)) from error


def _modules(upstreams: Sequence[Metadata], kept: frozenset[Nevra]) -> bytes | None:
    texts: list[bytes] = []
    names: set[str] = set()
    others: list[tuple[str, bytes]] = []
    for upstream in upstreams:
        with upstream.unpack("modules") as document:
            parts = _DOCUMENT.split(document.read()) if document is not None else []
        for part in filter(bytes.strip, parts):
            module, wanted = _module(part, upstream.where, kept)
            if wanted:
                names.add(module)
                texts.append(part)
            elif wanted is None:
                others.append((module, part))
    texts += [part for module, part in others if module in names]
    return b"".join(b"---" + text.rstrip() + b"\n" for text in texts) or None


def _module(part: bytes, where: str, kept: frozenset[Nevra]) -> tuple[str, bool | None]:
    """The module that a document is about, and whether it has a kept package; None if it is no stream."""
    parsed = parse_modules(part, where=where)
    if parsed.streams:
        return parsed.streams[0].name, any(stream.artifacts & kept for stream in parsed.streams)
    data = yaml.load(part, Loader=yaml.CSafeLoader)["data"]
    return str(data.get("module", "")), None
