"""Where an upstream is: its base URLs, from itself, from a mirror list or from a metalink."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from payload.digest import Digest
from payload.errors import InputError, ResolveError
from payload.manifest import Upstream
from repos.repomd import REPOMD, bad_metadata, parse_xml
from repos.sync import Fetcher
from repos.variables import expand

_METALINK = "{http://www.metalinker.org/}"
_ALTERNATES = "{http://fedorahosted.org/mirrormanager}"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SCHEMES = ("http", "https", "file")
_MOST_MIRRORS = 8
"""More mirrors than this are not tried."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Base URLs, best first. `repomd`: the digests of which repomd.xml must have one; empty where nothing is said."""

    urls: tuple[str, ...]
    repomd: frozenset[Digest] = frozenset()


def find_origin(upstream: Upstream, variables: Mapping[str, str], fetcher: Fetcher) -> Origin:
    """Where `upstream` is, `$releasever`, `$basearch` and other variables put in.

    Raises:
        InputError: its URL has a variable that is not in `variables`.
        ResolveError: its mirror list or metalink cannot be read, or names no mirror.
        IntegrityError: its metalink is malformed or hostile.
    """
    if upstream.url is not None:
        return Origin((_expanded(upstream.url, upstream.id, variables),))
    if upstream.mirrorlist is not None:
        url = _expanded(upstream.mirrorlist, upstream.id, variables)
        found = Origin(tuple(_listed(fetcher.read(url).decode(errors="replace"), upstream.id, variables)))
    else:
        url = _expanded(upstream.metalink or "", upstream.id, variables)
        found = parse_metalink(fetcher.read(url), where=url)
    if not found.urls:
        raise ResolveError("no-mirrors", f"{url} names no mirror that can be used (http, https or file)")
    return Origin(found.urls[:_MOST_MIRRORS], found.repomd)


def parse_metalink(content: bytes, *, where: str) -> Origin:
    """Read a metalink of repomd.xml: the mirrors by preference; its SHA-256 digest and those of its alternates, which
    mirrors that lag behind still have.

    Raises:
        IntegrityError: it is malformed or hostile.
        ResolveError: it has no SHA-256 digest of repomd.xml.
    """
    root = parse_xml(content, where=where)
    file = next((one for one in root.iter(f"{_METALINK}file") if one.get("name") == "repomd.xml"), None)
    if file is None:
        raise bad_metadata(where, "it is no metalink of a repomd.xml")
    digests = frozenset(_digests(file, where))
    if not digests:
        raise ResolveError("weak-metadata", f"{where} has no SHA-256 digest of repomd.xml")
    urls = sorted(_mirrors(file), key=lambda pair: -pair[0])
    return Origin(tuple(dict.fromkeys(url for _, url in urls)), digests)


def _digests(file: ET.Element, where: str) -> Iterator[Digest]:
    for one in (file, *file.iter(f"{_ALTERNATES}alternate")):
        for digest in one.iterfind(f"{_METALINK}verification/{_METALINK}hash"):
            if digest.get("type") == "sha256":
                value = (digest.text or "").strip().lower()
                if not _SHA256.fullmatch(value):
                    raise bad_metadata(where, f"{value!r} is not a SHA-256 digest")
                yield f"sha256:{value}"


def _mirrors(file: ET.Element) -> Iterator[tuple[int, str]]:
    for element in file.iterfind(f"{_METALINK}resources/{_METALINK}url"):
        url, preference = (element.text or "").strip(), element.get("preference", "")
        if _usable(url) and url.endswith(f"/{REPOMD}"):
            yield int(preference) if preference.isdecimal() else 0, url.removesuffix(f"/{REPOMD}")


def _listed(text: str, name: str, variables: Mapping[str, str]) -> Iterator[str]:
    for line in text.splitlines():
        if _usable(line.strip()):
            yield _expanded(line.strip(), name, variables)


def _usable(url: str) -> bool:
    return url.partition("://")[0] in _SCHEMES and url.isprintable() and " " not in url


def _expanded(url: str, name: str, variables: Mapping[str, str]) -> str:
    text = expand(url, variables)
    if "$" in text:
        raise InputError(
            "unknown-variable",
            f"the upstream {name} has a variable without a value: {text}",
            remedy='give it in the manifest, such as: [repository.variables] releasever = "9"',
        )
    return text.rstrip("/")
