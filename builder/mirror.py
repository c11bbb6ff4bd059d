"""`sealift mirror`: a repository of exactly what is wanted, of its own, without a bundle."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from builder.manifest import load_document
from builder.sources.rpm import Source, fetch_rpms, locked_rpm, nevra_of, resolve_rpms
from payload.digest import CHUNK, digest_bytes, digest_file
from payload.document import Document
from payload.effects import atomic_write
from payload.errors import InputError
from payload.events import Sink, stage
from payload.lock import LockedRpm
from payload.manifest import Repository, Target
from payload.store import Store
from repos.closure import ResolvedPackage, every_package
from repos.createrepo import create_repository, find_packages, is_current
from repos.documents import KEPT_KINDS, kept_documents
from repos.metadata import Metadata
from repos.nevra import Nevra
from repos.repomd import REPOMD, next_revision, parse_repomd
from repos.signing import RpmKey, open_rpm_key

KEY_PREFIX = "RPM-GPG-KEY-"
PACKAGES = "Packages"


class MirrorManifest(Document):
    """`mirror.toml`: upstreams, and which of their packages; without `packages`, all of them."""

    repository: Repository
    baselines: tuple[str, ...] = ()
    """Files with the packages that hosts have already; each is solved for."""


@dataclass(frozen=True, slots=True)
class Synced:
    """A mirror that is up to date. `added` and `removed` are file names; `changed`: whether anything was written."""

    folder: Path
    packages: int
    size: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    revision: int
    changed: bool


def sync(manifest: Path, folder: Path, *, rpm_key: Path | None, store: Store, sink: Sink) -> Synced:
    """Make `folder` the mirror that `manifest` describes: packages, metadata, and the keys to hold both against.

    Clients that read meanwhile see the old metadata or the new one, and every package of either: what is no longer
    wanted goes last. `rpm_key` signs the metadata; without one it is not signed.

    Raises:
        InputError: the manifest has mistakes, or `folder` holds something else.
        ResolveError, TrustError, IntegrityError: see `resolve` and `fetch`; the mirror is as it was.
    """
    loaded = load_document(manifest, MirrorManifest)
    source = Source(loaded.repository, manifest.absolute().parent, store, sink)
    upstreams = source.metadata(*KEPT_KINDS)
    rpms = _wanted(source, upstreams, loaded.baselines)
    fetch_rpms(source, rpms)
    _check_folder(folder)
    with nullcontext() if rpm_key is None else open_rpm_key(rpm_key) as signer:
        return _write(_Mirror(folder, upstreams, rpms, dict(_keys(source, signer)), signer), store, sink)


def _wanted(source: Source, upstreams: Sequence[Metadata], baselines: Sequence[str]) -> tuple[LockedRpm, ...]:
    if not source.repository.packages:
        rpms = tuple(locked_rpm(package) for package in every_package(upstreams, policy=source.policy))
    else:
        targets = [_target(name) for name in baselines] or [_target(None)]
        rpms = resolve_rpms(source, upstreams, targets)
    names: dict[str, LockedRpm] = {}
    for rpm in rpms:
        other = names.setdefault(rpm.filename, rpm)
        if other.digest != rpm.digest:
            raise InputError(
                "two-of-one-name",
                f"{rpm.filename} of {rpm.upstream} is another file than that of {other.upstream}",
                remedy="exclude it from one of the two upstreams",
            )
    return tuple(names.values())


def _target(baseline: str | None) -> Target:
    return Target.model_validate({"os": ["any"], "python": ">=3", "baseline": baseline})


def _check_folder(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / REPOMD).is_file():
        raise InputError(
            "not-a-mirror",
            f"{folder} holds something else than a repository",
            remedy="name an empty folder, one that does not exist, or a mirror",
        )


@dataclass(frozen=True, slots=True)
class _Mirror:
    """What `folder` is to be."""

    folder: Path
    upstreams: Sequence[Metadata]
    rpms: Sequence[LockedRpm]
    keys: Mapping[str, str]
    """Public keys by file name."""
    signer: RpmKey | None

    @property
    def packages(self) -> Path:
        return self.folder / PACKAGES

    @property
    def fingerprint(self) -> str:
        """A digest of all that the mirror is made of."""
        rows = [f"{rpm.filename} {rpm.digest}" for rpm in self.rpms]
        rows += [f"{name} {digest_bytes(text.encode())}" for name, text in self.keys.items()]
        rows += sorted(one.digest for upstream in self.upstreams for one, _ in upstream.documents)
        return digest_bytes("\n".join([*rows, self.signer.fingerprint if self.signer else "unsigned"]).encode())


def _write(mirror: _Mirror, store: Store, sink: Sink) -> Synced:
    wanted = {rpm.filename: rpm for rpm in mirror.rpms}
    before = {path.name: path for path in find_packages(mirror.packages)} if mirror.packages.is_dir() else {}
    fingerprint = mirror.fingerprint
    current = is_current(mirror.folder, fingerprint)
    missing = [rpm for name, rpm in wanted.items() if not _there(before.get(name), rpm, believed=current)]
    stale = sorted(before.keys() - wanted.keys())
    changed = bool(missing or stale) or not current
    revision = _revision(mirror.folder, mirror.upstreams, changed)
    if changed:
        with stage(sink, "mirror", f"write {len(missing)} packages and the metadata"):
            _put(mirror.packages, missing, store)
            _publish(mirror, frozenset(stale), revision, fingerprint)
    added = tuple(sorted(rpm.filename for rpm in missing if rpm.filename not in before))
    size = sum(rpm.size for rpm in mirror.rpms)
    return Synced(mirror.folder, len(mirror.rpms), size, added, tuple(stale), revision, changed)


def _there(path: Path | None, rpm: LockedRpm, *, believed: bool) -> bool:
    """Whether the file is there already. Those of an unchanged mirror were checked when they came; others are read."""
    return path is not None and path.stat().st_size == rpm.size and (believed or digest_file(path) == rpm.digest)


def _put(packages: Path, rpms: Iterable[LockedRpm], store: Store) -> None:
    packages.mkdir(parents=True, exist_ok=True)
    for rpm in rpms:
        part = packages / f".{rpm.filename}.part"
        _copy(store.path(rpm.digest), part)
        part.rename(packages / rpm.filename)


def _copy(source: Path, target: Path) -> None:
    """The kernel copies, and shares the blocks where the file system can."""
    with source.open("rb") as content, target.open("wb") as out:
        while os.copy_file_range(content.fileno(), out.fileno(), CHUNK << 6):
            pass


def _publish(mirror: _Mirror, stale: frozenset[str], revision: int, fingerprint: str) -> None:
    """New metadata over the wanted packages only; the others go after it."""
    for name, text in mirror.keys.items():
        atomic_write(mirror.folder / name, text.encode())
    create_repository(
        mirror.folder,
        revision=revision,
        documents=kept_documents(mirror.upstreams, map(nevra_of, mirror.rpms)),
        fingerprint=fingerprint,
        without=stale,
        sign=None if mirror.signer is None else mirror.signer.sign,
    )
    for name in stale:
        (mirror.packages / name).unlink()
    for path in mirror.folder.glob(f"{KEY_PREFIX}*"):
        if path.name not in mirror.keys:
            path.unlink()


def _keys(source: Source, key: RpmKey | None) -> Iterator[tuple[str, str]]:
    for upstream in source.upstreams:
        for number, path in enumerate(source.keys(upstream)):
            yield f"{KEY_PREFIX}{upstream.id}-{number}", path.read_text(encoding="ascii", errors="replace")
    if key is not None:
        yield f"{KEY_PREFIX}mirror", key.public


def _revision(folder: Path, upstreams: Sequence[Metadata], changed: bool) -> int:
    text = ""
    if (folder / REPOMD).is_file():
        text = parse_repomd((folder / REPOMD).read_bytes(), where=str(folder)).revision
    before = int(text) if text.isdecimal() else 0
    return next_revision(before, (one.repomd.revision for one in upstreams)) if changed else before


def mirror_keys(folder: Path) -> list[Path]:
    """The public keys that a mirror brings."""
    return sorted(folder.glob(f"{KEY_PREFIX}*"))


@dataclass(frozen=True, slots=True)
class Difference:
    """What two sets of packages do not share. `changed`: one version of a name and architecture by another; `replaced`:
    the same version with other bytes."""

    added: tuple[Nevra, ...]
    removed: tuple[Nevra, ...]
    changed: tuple[tuple[Nevra, Nevra], ...]
    replaced: tuple[Nevra, ...]


def compare(older: Sequence[ResolvedPackage], newer: Sequence[ResolvedPackage]) -> Difference:
    """What became of the packages `older`."""
    before, after = ({one.nevra: one.digest for one in packages} for packages in (older, newer))
    removed, added = _gone(before, after), _gone(after, before)
    pairs = [(old, new) for old in removed for new in added if (old.name, old.arch) == (new.name, new.arch)]
    single = [pair for pair in pairs if all(sum(one in other for other in pairs) == 1 for one in pair)]
    replaced = tuple(nevra for nevra, digest in before.items() if after.get(nevra, digest) != digest)
    paired = {nevra for pair in single for nevra in pair}
    return Difference(
        tuple(nevra for nevra in added if nevra not in paired),
        tuple(nevra for nevra in removed if nevra not in paired),
        tuple(single),
        replaced,
    )


def _gone(these: Mapping[Nevra, str], those: Mapping[Nevra, str]) -> list[Nevra]:
    return sorted(these.keys() - those.keys(), key=lambda nevra: nevra.key)
