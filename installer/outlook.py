"""What the step for packages will do, found out before anything is changed: the transaction itself, and from where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from installer.mirror_choice import probe_limits, this_system
from installer.served import served_bundle, write_repository_file
from payload.archive import VerifiedBundle
from payload.errors import CommandError, PreflightError, ResolveError, UsageError
from payload.events import Note, Sink, stage
from payload.manifest import Manifest
from repos.dialect import Source
from repos.dnf import PackageManager
from repos.mirrors import AUTO, System, mirror_repositories
from repos.nevra import Nevra
from repos.offline import RepositoryFile
from repos.preview import NO_CHANGE, Preview, irreversible
from repos.ranking import Ranking


@dataclass(frozen=True, slots=True)
class Outlook:
    """`mirrors` are to be tried in this order; none: packages come from the bundle."""

    preview: Preview = NO_CHANGE
    mirrors: tuple[RepositoryFile, ...] = ()
    ranking: Ranking | None = None
    irreversible: tuple[Nevra, ...] = ()
    """Packages of the host that change or go, and that nothing at hand could put back."""

    @property
    def harm(self) -> tuple[str, ...]:
        """Names of the packages that go, or go back to an older version."""
        return tuple(sorted({change.nevra.name for change in self.preview.harmful(())}))

    def lines(self) -> tuple[str, ...]:
        """What the transaction does, for people."""
        names = ", ".join(nevra.short for nevra in self.irreversible)
        return (*self.preview.lines(), *((f"cannot be put back, not even if the run fails: {names}",) if names else ()))


NOTHING_TO_DO = Outlook()


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of the package manager. `mirror` is a name, a URL or `auto`; None: packages come from the bundle.
    With `bundle_first` the mirror only has what the bundle lacks. `release` is where the release will lie, `own` are
    the packages that this product brought to the host earlier, `at_hand` those that an undo would find."""

    missing: tuple[str, ...]
    mirror: str | None
    release: Path
    own: tuple[str, ...] = ()
    bundle_first: bool = False
    allow_removals: bool = False
    at_hand: frozenset[Nevra] = frozenset()


@dataclass(frozen=True, slots=True)
class _Desk:
    """All that resolving needs."""

    manager: PackageManager
    manifest: Manifest
    wish: Wish
    bundle: Source
    system: System
    sink: Sink

    def sources(self, mirror: str | None) -> tuple[Source, ...]:
        """The bundle, the mirror, or both."""
        if mirror is None:
            return (self.bundle,)
        file = self.mirror_file(mirror, self.bundle.reposdir)
        source = write_repository_file(self.bundle.reposdir, "mirror.repo", file)
        return (self.bundle, source) if self.wish.bundle_first else (source,)

    def mirror_file(self, mirror: str, release: Path) -> RepositoryFile:
        """The repositories of a mirror, with the keys of `release`."""
        return mirror_repositories(self.manifest, mirror, release, self.system)


def look_ahead(bundle: VerifiedBundle, manifest: Manifest, wish: Wish, manager: PackageManager, sink: Sink) -> Outlook:
    """Resolve the transaction, out of the bundle or from the mirrors, in the order in which they will be tried.

    Changes nothing. `manifest` has the mirrors to choose from.

    Raises:
        PreflightError: it cannot be resolved, or would remove packages that are not the product's.
        ResolveError: no mirror can serve it.
        UsageError: there is no such mirror.
    """
    if wish.bundle_first and not manager.dialect.has_priorities:
        raise UsageError(
            "no-priorities",
            "yum 3 cannot take the bundle's packages before a mirror's",
            remedy="install with -o, or with -R alone",
        )
    system = this_system()
    if not wish.missing:
        names = () if wish.mirror in (None, AUTO) else (str(wish.mirror),)
        return Outlook(mirrors=tuple(mirror_repositories(manifest, name, wish.release, system) for name in names))
    with stage(sink, "packages-ahead", "resolve packages"), served_bundle(bundle) as source:
        desk = _Desk(manager, manifest, wish, source, system, sink)
        if wish.mirror is None:
            preview = _resolve(desk, None)
            return Outlook(preview, irreversible=_irreversible(desk, preview))
        ranking = None
        if wish.mirror == AUTO:
            from repos.probing import rank_mirrors  # noqa: PLC0415 - it takes long to load, and few runs need it

            ranking = rank_mirrors(manifest, system, source.reposdir, probe_limits(manager.dialect.kind))
            sink.emit(Note(ranking.table()))
        return _from_mirrors(desk, ranking.usable if ranking else (wish.mirror,), ranking)


def _from_mirrors(desk: _Desk, names: Sequence[str], ranking: Ranking | None) -> Outlook:
    """The first that can serve it, and those after it: they are asked only if it fails later."""
    faults: list[str] = []
    for number, name in enumerate(names):
        try:
            preview = _resolve(desk, name)
        except CommandError as error:
            faults.append(f"{name}: {error.details}")
            desk.sink.emit(Note(f"the mirror {name} cannot serve the packages", "warning"))
            continue
        mirrors = tuple(desk.mirror_file(each, desk.wish.release) for each in names[number:])
        return Outlook(preview, mirrors, ranking, _irreversible(desk, preview))
    raise ResolveError(
        "mirror-cannot-serve",
        f"{'No mirror' if len(names) > 1 else 'The mirror'} can serve the packages; nothing was changed",
        details="\n".join(faults),
        remedy="choose another mirror with -R, or install from the bundle with -o",
    )


def _resolve(desk: _Desk, mirror: str | None) -> Preview:
    """The transaction; with removals only if it does not go without."""
    sources, wish = desk.sources(mirror), desk.wish
    try:
        preview = desk.manager.preview(sources, wish.missing)
    except CommandError as error:
        with _explained(error, mirror):
            preview = desk.manager.preview(sources, wish.missing, removals=True)
    harmful = preview.harmful(wish.own)
    if harmful and not wish.allow_removals:
        raise PreflightError(
            "packages-removed",
            "installing the packages would remove or set back packages of this host; nothing was changed",
            details="\n".join(f"{change.action}: {change.nevra.short}" for change in harmful),
            remedy="see whether this host can do without them; if so, add --allow-removals",
        )
    return preview


def _irreversible(desk: _Desk, preview: Preview) -> tuple[Nevra, ...]:
    if all(change.action == "install" for change in preview.changes):
        return ()
    return irreversible(preview, desk.manager.installed(), desk.wish.at_hand)


@contextmanager
def _explained(first: CommandError, mirror: str | None) -> Iterator[None]:
    """Also with removals it does not go: what was said without them is the reason."""
    try:
        yield
    except CommandError:
        if mirror is not None:
            raise first from None
        raise PreflightError(
            "packages-conflict",
            "the packages cannot be installed on this host; nothing was changed",
            details=first.details,
            remedy="remove or update the packages of this host that are named here",
        ) from first
