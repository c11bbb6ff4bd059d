"""Which mirror is best from here: all are asked at once, and ranked by what they deliver."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

import requests
import urllib3

from payload.errors import IntegrityError, ResolveError, SealiftError, TrustError, UsageError
from payload.manifest import Manifest, MirrorPlace, Upstream
from repos.mirrors import System, places_for
from repos.offline import key_path
from repos.ranking import USUAL_LIMITS, Limits, Probe, Ranking, rank
from repos.repomd import REPOMD, parse_repomd
from repos.signatures import verify_metadata
from repos.sync import join_url

_REPOMD_LIMIT = 1 << 20
_STEP = 1 << 14
_FAULTS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, SealiftError)
_TIMESTAMP = re.compile(rb"<(?:\w+:)?timestamp>\s*(\d{1,12})(?:\.\d+)?\s*</")


@dataclass(frozen=True, slots=True)
class _Question:
    upstreams: tuple[Upstream, ...]
    system: System
    keys: Path
    limits: Limits


def rank_mirrors(manifest: Manifest, system: System, keys: Path, limits: Limits = USUAL_LIMITS) -> Ranking:
    """Ask all mirrors of the catalogue: repomd.xml of each upstream and its signature, by the keys of the release
    folder `keys`, then a part of what it names.

    The slowest upstream of a mirror counts. Of several places of one upstream, the first that answers counts.

    Raises:
        UsageError: the catalogue is empty.
        ResolveError: no mirror can be used; the details say what was seen of each.
    """
    if not manifest.mirrors:
        raise UsageError("no-mirrors", "This bundle has no mirrors to choose from", remedy="Call with -R and a URL.")
    question = _Question(manifest.repository.upstreams, system, keys, limits)
    with ThreadPoolExecutor(len(manifest.mirrors)) as pool:
        tasks = [pool.submit(_probe, name, places, question) for name, places in sorted(manifest.mirrors.items())]
        ranking = rank([task.result() for task in tasks])
    if not ranking.usable:
        raise ResolveError(
            "no-mirror-answers",
            "No mirror of this bundle can be used from here",
            details=ranking.table(),
            remedy="Check the network and the proxy settings, or install offline with -o.",
        )
    return ranking


def _probe(name: str, places: Mapping[str, tuple[MirrorPlace, ...]], question: _Question) -> Probe:
    urls = {one.id: places_for(question.system, places.get(one.id, ())) for one in question.upstreams}
    if missing := sorted(upstream for upstream, found in urls.items() if not found):
        return Probe(name, 0, 0, fault=f"does not have {', '.join(missing)}")
    begun = time.monotonic()
    updated: dict[str, int] = {}
    rates: list[float] = []
    try:
        with requests.Session() as session:
            if question.limits.proxy and not getproxies():
                session.proxies = {"http": question.limits.proxy, "https": question.limits.proxy}
            for upstream in question.upstreams:
                rate, updated[upstream.id] = _first(session, upstream, urls[upstream.id], question)
                rates.append(rate)
    except _FAULTS as error:
        return Probe(name, time.monotonic() - begun, 0, fault=_fault(error))
    return Probe(name, time.monotonic() - begun, min(rates, default=0.0), updated)


def _first(
    session: requests.Session, upstream: Upstream, urls: tuple[str, ...], question: _Question
) -> tuple[float, int]:
    """Bandwidth and time of the first place that answers, as the package manager would take it. A place whose signature
    is wrong is no place to go on from.

    Raises:
        ResolveError: none does; says why of each.
        TrustError: a signature does not hold.
    """
    faults: list[str] = []
    for url in urls:
        try:
            return _measure(session, upstream, question.system.expand(url), question)
        except TrustError:
            raise
        except _FAULTS as error:
            faults.append(_fault(error))
    raise ResolveError("no-place", "; ".join(faults))


def _measure(session: requests.Session, upstream: Upstream, base: str, question: _Question) -> tuple[float, int]:
    limits = question.limits
    deadline = time.monotonic() + limits.timeout
    url = join_url(base, REPOMD)
    content = _take(session, url, _REPOMD_LIMIT, deadline)
    if upstream.signed_metadata:
        signature = _take(session, f"{url}.asc", _REPOMD_LIMIT, deadline)
        paths = [question.keys / key_path(upstream, number) for number in range(len(upstream.gpg_keys))]
        verify_metadata(content, signature, paths, where=url)
    repomd = parse_repomd(content, where=url)
    primary = repomd.find("primary")
    if primary is None:
        raise ResolveError("no-primary", f"{url} names no primary metadata")
    begun = time.monotonic()
    size = len(_take(session, join_url(base, primary.location), limits.sample, deadline))
    if size == 0:
        raise ResolveError("empty-metadata", f"{base} sent nothing in {limits.timeout:g} s")
    return size / max(time.monotonic() - begun, 1e-6), _made(content, repomd.revision)


def _made(content: bytes, revision: str) -> int:
    """When the metadata was made: the latest time that it names, or its revision if that is a number."""
    times = [int(found) for found in _TIMESTAMP.findall(content)]
    return max(times, default=int(revision) if revision.isdecimal() else 0)


def _take(session: requests.Session, url: str, most: int, deadline: float) -> bytes:
    """The first bytes of `url`: at most `most`, and no more once the deadline is over."""
    content = bytearray()
    with _open(session, url, most, max(deadline - time.monotonic(), 0.1)) as chunks:
        for chunk in chunks:
            content += chunk[: most - len(content)]
            if len(content) >= most or time.monotonic() > deadline:
                break
    return bytes(content)


@contextmanager
def _open(session: requests.Session, url: str, most: int, timeout: float) -> Iterator[Iterator[bytes]]:
    parts = urlsplit(url)
    if parts.scheme == "file":
        with Path(unquote(parts.path)).open("rb") as source:
            yield iter(lambda: source.read(_STEP), b"")
        return
    headers = {"Accept-Encoding": "identity", "Range": f"bytes=0-{most - 1}"}
    with session.get(url, headers=headers, stream=True, timeout=timeout) as answer:
        answer.raise_for_status()
        yield answer.raw.stream(_STEP, decode_content=False)


def _fault(error: Exception) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answers {error.response.status_code} to {error.response.url}"
    if isinstance(error, IntegrityError | ResolveError | TrustError):
        return f"{error.brief}: {error.details}" if error.details else error.brief
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
