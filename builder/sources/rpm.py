"""RPMs: the closure of the wanted packages for every target, and bringing it into the store, signatures checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builder.memo import mark_checked, was_checked
from payload.digest import digest_file
from payload.errors import ResolveError, TrustError, UsageError
from payload.events import Note, Sink, stage
from payload.lock import LockedRpm
from payload.manifest import Repository, Target, Upstream
from payload.store import Store
from repos.baseline import Installed, read_baseline
from repos.closure import Closure, ResolvedPackage, Solution, closure_of, resolve_closure, solve
from repos.considered import Policy
from repos.metadata import Metadata, load_metadata
from repos.nevra import Nevra
from repos.origin import find_origin
from repos.package_signatures import verify_packages
from repos.reasons import why
from repos.sync import Access, Download, Fetcher, join_url


@dataclass(frozen=True, slots=True)
class Source:
    """The repositories of a manifest, and what is needed to read them. `folder`: what its paths are relative to."""

    repository: Repository
    folder: Path
    store: Store
    sink: Sink
    arch: str = "x86_64"

    def fetcher(self, upstream: Upstream) -> Fetcher:
        """What fetches from `upstream`."""
        ca, certificate, key = (
            None if name is None else self.folder / name
            for name in (upstream.ca_file, upstream.client_cert, upstream.client_key)
        )
        return Fetcher(self.store, self.sink, access=Access(upstream.proxy, ca, certificate, key))

    @property
    def variables(self) -> dict[str, str]:
        """What stands for the variables of URLs."""
        return {"basearch": self.arch, "arch": self.arch} | self.repository.variables

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """The upstreams, paths made URLs."""
        return tuple(self._located(upstream) for upstream in self.repository.upstreams)

    @property
    def policy(self) -> Policy:
        """What the manifest says about the choice."""
        repository = self.repository
        return Policy(repository.exclude, repository.modules, repository.weak_dependencies)

    def keys(self, upstream: Upstream) -> list[Path]:
        """The key files of an upstream."""
        return [self.folder / name for name in upstream.gpg_keys]

    def metadata(self, *kinds: str) -> list[Metadata]:
        """The metadata of every upstream: what the closure needs, and documents of the `kinds` besides.

        Raises:
            ResolveError: an upstream cannot be read.
            TrustError: its metadata is not signed as the manifest says.
            IntegrityError: it is damaged.
        """
        return [
            load_metadata(upstream, self.keys(upstream), self.fetcher(upstream), variables=self.variables, also=kinds)
            for upstream in self.upstreams
        ]

    def _located(self, upstream: Upstream) -> Upstream:
        if upstream.url is None or not upstream.url.startswith("."):
            return upstream
        return upstream.model_copy(update={"url": (self.folder / upstream.url).resolve().as_uri()})


def resolve_rpms(
    source: Source, upstreams: Sequence[Metadata], targets: Sequence[Target], previous: Sequence[LockedRpm] = ()
) -> tuple[LockedRpm, ...]:
    """What the targets need beyond their baselines, sorted by name and version.

    What an install, and an upgrade from the set `previous`, change on each target is told to the sink.

    Raises:
        ResolveError: a requirement cannot be met; names who requires what.
        InputError: a requirement or a baseline is malformed.
        IntegrityError: an upstream's metadata is damaged.
    """
    locked: dict[str, LockedRpm] = {}
    for name, arch in _kinds_of_host(targets):
        baseline = read_baseline(source.folder / name) if name else ()
        closure = closure_of(_solve(source, upstreams, baseline, arch))
        _tell(source.sink, f"install on {name or 'an empty host'}", closure)
        if previous and {nevra_of(rpm) for rpm in previous} != {one.nevra for one in closure.packages}:
            _try_upgrade(source, upstreams, closure, _with(baseline, previous), arch)
        locked |= {str(package.nevra): locked_rpm(package) for package in closure.packages}
    return tuple(locked[nevra] for nevra in sorted(locked))


def explain_rpm(source: Source, targets: Sequence[Target], package: str) -> tuple[str, ...]:
    """Why `package` is in the closure, a line for each step.

    Raises:
        UsageError: it is not in it for any target.
        ResolveError, TrustError: see `Source.metadata` and `resolve_rpms`.
    """
    upstreams = source.metadata()
    for name, arch in _kinds_of_host(targets):
        baseline = read_baseline(source.folder / name) if name else ()
        if lines := why(_solve(source, upstreams, baseline, arch), package):
            return lines
    raise UsageError("not-included", f"no package {package} comes along", remedy="see the lock for those that do")


def fetch_rpms(source: Source, rpms: Sequence[LockedRpm]) -> None:
    """Have `rpms` in the store, every signature checked against the keys of its upstream. With a warm store, nobody is
    asked. A package has no name there before its signature holds; if it does not, the bytes are held, so that they need
    not come again when the keys of the manifest were corrected.

    Raises:
        ResolveError, IntegrityError: one cannot be had as it was locked.
        TrustError: one is not signed by a key of its upstream.
    """
    for upstream in source.upstreams:
        own = [rpm for rpm in rpms if rpm.upstream == upstream.id]
        missing = [rpm for rpm in own if not source.store.has(rpm.digest)]
        if missing:
            fetcher = source.fetcher(upstream)
            urls = find_origin(upstream, source.variables, fetcher).urls
            fetcher.fetch(_downloads(missing, urls), stage=f"rpms {upstream.id}", text=f"packages of {upstream.id}")
        _check_signatures(source, upstream, own)
        for rpm in missing:
            source.store.admit(rpm.digest)


def _downloads(rpms: Sequence[LockedRpm], urls: Sequence[str]) -> Iterator[Download]:
    """Each from another mirror first, so that the work is spread."""
    for number, rpm in enumerate(rpms):
        turned = (*urls[number % len(urls) :], *urls[: number % len(urls)])
        yield Download(tuple(join_url(url, rpm.location) for url in turned), rpm.digest, rpm.size, hold=True)


def _check_signatures(source: Source, upstream: Upstream, rpms: Sequence[LockedRpm]) -> None:
    keys = source.keys(upstream)
    inputs = "\n".join(["signatures 1", *map(digest_file, keys), "", *sorted(rpm.digest for rpm in rpms)]).encode()
    if not rpms or was_checked(source.store, inputs):
        return
    with stage(source.sink, "signatures", f"check the signatures of {len(rpms)} packages of {upstream.id}"):
        _verify(source.store, rpms, keys)
    mark_checked(source.store, inputs)


def _verify(store: Store, rpms: Sequence[LockedRpm], keys: Sequence[Path]) -> None:
    paths = [_place(store, rpm) for rpm in rpms]
    try:
        verify_packages(paths, keys)
    except TrustError:
        if all(path.exists() for path in paths):
            raise
        _verify(store, rpms, keys)  # another process admitted one meanwhile


def _place(store: Store, rpm: LockedRpm) -> Path:
    return store.path(rpm.digest) if store.has(rpm.digest) else store.held(rpm.digest)


def _kinds_of_host(targets: Sequence[Target]) -> list[tuple[str, str]]:
    return sorted({(target.baseline or "", target.arch) for target in targets})


def _solve(source: Source, upstreams: Sequence[Metadata], baseline: Iterable[Installed], arch: str) -> Solution:
    wanted = source.repository.packages
    with stage(source.sink, "closure", f"resolve {len(wanted)} packages"):
        return solve(wanted, upstreams, baseline=baseline, arch=arch, policy=source.policy)


def _try_upgrade(
    source: Source, upstreams: Sequence[Metadata], new: Closure, host: Sequence[Installed], arch: str
) -> None:
    """Solve for what the installer will do on a host that has the previous set: install exactly the new one."""
    wanted = [f"{one.nevra.name} = {one.nevra.evr}" for one in new.packages if one.requested]
    policy = replace(source.policy, only=frozenset(one.nevra for one in new.packages))
    try:
        closure = resolve_closure(wanted, upstreams, baseline=host, arch=arch, policy=policy)
    except ResolveError as error:
        raise ResolveError(
            "upgrade-unresolvable",
            "The packages of the lock before cannot be upgraded to the new ones",
            details=error.details,
            remedy="Want other versions; or, if no host has the set before, remove the old lock and lock again.",
        ) from error
    _tell(source.sink, "upgrade from the lock before", closure)


def _tell(sink: Sink, what: str, closure: Closure) -> None:
    if closure.unknown:
        few = ", ".join(str(nevra) for nevra in closure.unknown[:5])
        sink.emit(Note(f"{what}: no upstream has {len(closure.unknown)} of its packages, such as {few}", "warning"))
    changes = (("upgrades", closure.upgraded), ("removes", closure.removed))
    texts = [f"{verb} {', '.join(one.short for one in nevras)}" for verb, nevras in changes if nevras]
    sink.emit(Note(f"{what}: {'; '.join([f'{len(closure.packages)} packages', *texts])}"))


def _with(baseline: Iterable[Installed], previous: Iterable[LockedRpm]) -> tuple[Installed, ...]:
    """The host after an install of `previous`."""
    newer = [Installed(nevra_of(rpm)) for rpm in previous]
    replaced = {(one.nevra.name, one.nevra.arch) for one in newer}
    return (*(one for one in baseline if (one.nevra.name, one.nevra.arch) not in replaced), *newer)


def nevra_of(rpm: LockedRpm) -> Nevra:
    """The name of a locked package."""
    return Nevra(rpm.name, rpm.epoch, rpm.version, rpm.release, rpm.arch)


def locked_rpm(package: ResolvedPackage) -> LockedRpm:
    """The lock's row of a package."""
    return LockedRpm(
        name=package.nevra.name,
        epoch=package.nevra.epoch,
        version=package.nevra.version,
        release=package.nevra.release,
        arch=package.nevra.arch,
        upstream=package.upstream,
        location=package.location,
        digest=package.digest,
        size=package.size,
        requested=package.requested,
    )
