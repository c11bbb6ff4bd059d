"""Which mirror is best from here: all are asked at once, and ranked by what they deliver."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests
import urllib3

from payload.errors import IntegrityError, ResolveError, UsageError
from payload.model import Manifest
from repos.repomd import REPOMD, parse_repomd
from repos.sync import join_url

_SAMPLE = 1 << 20
_REPOMD_LIMIT = 1 << 20
_SECONDS = 10.0
_STEP = 1 << 14
_FAULTS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, IntegrityError, ResolveError)


@dataclass(frozen=True, slots=True)
class _Question:
    wanted: tuple[str, ...]
    variables: Mapping[str, str]
    sample: int
    timeout: float


@dataclass(frozen=True, slots=True)
class Probe:
    """What was seen of a mirror. `bandwidth` is in bytes a second; a mirror with a `fault` is out."""

    name: str
    seconds: float
    bandwidth: float
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Ranking:
    """All mirrors, best first, those that are out last."""

    probes: tuple[Probe, ...]

    @property
    def usable(self) -> tuple[str, ...]:
        """Names to try, in this order."""
        return tuple(probe.name for probe in self.probes if not probe.fault)

    def table(self) -> str:
        """What was seen, a line for each mirror."""
        width = max((len(probe.name) for probe in self.probes), default=0)
        return "\n".join(f"{probe.name:<{width}}  {_seen(probe)}" for probe in self.probes)


def rank_mirrors(
    manifest: Manifest, variables: Mapping[str, str], *, sample: int = _SAMPLE, timeout: float = _SECONDS
) -> Ranking:
    """Ask all mirrors of the catalogue: repomd.xml of each upstream, then up to `sample` bytes of what it names.

    `variables` are what the package manager puts for `$basearch`, `$releasever` and the like. The slowest upstream of a
    mirror counts. No mirror takes longer than about `timeout` seconds an upstream.

    Raises:
        UsageError: the catalogue is empty.
        ResolveError: no mirror can be used; the details say what was seen of each.
    """
    if not manifest.mirrors:
        raise UsageError("no-mirrors", "This bundle has no mirrors to choose from", remedy="Call with -R and a URL.")
    wanted = tuple(sorted(upstream.id for upstream in manifest.repository.upstreams))
    question = _Question(wanted, variables, sample, timeout)
    with ThreadPoolExecutor(len(manifest.mirrors)) as pool:
        tasks = [pool.submit(_probe, name, urls, question) for name, urls in sorted(manifest.mirrors.items())]
        probes = [task.result() for task in tasks]
    ranking = Ranking(tuple(sorted(probes, key=lambda probe: (bool(probe.fault), -probe.bandwidth, probe.name))))
    if not ranking.usable:
        raise ResolveError(
            "no-mirror-answers",
            "No mirror of this bundle can be used from here",
            details=ranking.table(),
            remedy="Check the network and the proxy settings, or install offline with -o.",
        )
    return ranking


def expand(url: str, variables: Mapping[str, str]) -> str:
    """`url` with the package manager's variables put in."""
    for name, value in variables.items():
        url = url.replace(f"${{{name}}}", value).replace(f"${name}", value)
    return url


def _probe(name: str, urls: Mapping[str, str], question: _Question) -> Probe:
    if missing := [upstream for upstream in question.wanted if upstream not in urls]:
        return Probe(name, 0, 0, f"does not have {', '.join(missing)}")
    begun = time.monotonic()
    try:
        with requests.Session() as session:
            bases = [expand(urls[upstream], question.variables) for upstream in question.wanted]
            rates = [_measure(session, base, question) for base in bases]
    except _FAULTS as error:
        return Probe(name, time.monotonic() - begun, 0, _fault(error))
    return Probe(name, time.monotonic() - begun, min(rates, default=0.0))


def _measure(session: requests.Session, base: str, question: _Question) -> float:
    deadline = time.monotonic() + question.timeout
    url = join_url(base, REPOMD)
    repomd = parse_repomd(_take(session, url, _REPOMD_LIMIT, deadline), where=url)
    primary = repomd.find("primary")
    if primary is None:
        raise ResolveError("no-primary", f"{url} names no primary metadata")
    begun = time.monotonic()
    size = len(_take(session, join_url(base, primary.location), question.sample, deadline))
    if size == 0:
        raise ResolveError("empty-metadata", f"{base} sent nothing in {question.timeout:g} s")
    return size / max(time.monotonic() - begun, 1e-6)


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


def _seen(probe: Probe) -> str:
    if probe.fault:
        return f"out: {probe.fault}"
    return f"{probe.bandwidth / 1e6:8.2f} MB/s  {probe.seconds:6.2f} s"


def _fault(error: Exception) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answers {error.response.status_code} to {error.response.url}"
    if isinstance(error, IntegrityError | ResolveError):
        return f"{error.brief}: {error.details}" if error.details else error.brief
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
