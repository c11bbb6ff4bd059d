"""The host's package manager, dnf or yum, with our repositories only.

Every call names a private reposdir, disables all repositories and enables ours, runs without plugins (some of them
reach for the network, or rewrite repository files) and fails when a repository of ours does not answer.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from payload import effects
from payload.errors import CommandError, NeedsOperatorError, UsageError
from repos.nevra import Evr, Nevra, Requirement

OnLine = Callable[[str], None]

_PACKAGES = "%{NAME}\\t%|EPOCH?{%{EPOCH}}:{0}|\\t%{VERSION}\\t%{RELEASE}\\t%|ARCH?{%{ARCH}}:{(none)}|\\n"
_PROVIDES = "[%{PROVIDENAME}\\t%{PROVIDEFLAGS:depflags}\\t%{PROVIDEVERSION}\\n]"
_KEY = "gpg-pubkey"


@dataclass(frozen=True, slots=True)
class Source:
    """Where packages come from: a private reposdir, and the ids of the repositories in it."""

    reposdir: Path
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Undo:
    """What brings a host back: these go, those come back (or change back)."""

    erase: tuple[Nevra, ...]
    restore: tuple[Nevra, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.erase or self.restore)


def undo_plan(before: frozenset[Nevra], now: frozenset[Nevra]) -> Undo:
    """What differs. A package that only changed its version is restored, which also removes the new version."""
    gone = before - now
    changed = {(nevra.name, nevra.arch) for nevra in gone}
    added = (nevra for nevra in now - before if (nevra.name, nevra.arch) not in changed)
    return Undo(_sorted(added), _sorted(gone))


@dataclass(frozen=True, slots=True)
class PackageManager:
    """dnf or yum of this host. `root`: another root folder than `/` (`--installroot`)."""

    program: str
    kind: Literal["dnf", "yum"]
    root: Path | None = None

    def base_argv(self, sources: Sequence[Source]) -> tuple[str, ...]:
        """The words that every call begins with."""
        reposdir = ",".join(str(source.reposdir) for source in sources)
        # yum 3 knows neither; it asks again by itself, as metadata_expire=0 in our files says.
        own = ("--refresh", "--setopt=install_weak_deps=0") if self.kind == "dnf" else ()
        root = (f"--installroot={self.root}",) if self.root else ()
        return (
            self.program,
            "-y",
            "--noplugins",
            *root,
            f"--setopt=reposdir={reposdir}",
            "--setopt=skip_if_unavailable=0",
            "--setopt=gpgcheck=1",
            "--setopt=clean_requirements_on_remove=0",
            *own,
            "--disablerepo=*",
            *(f"--enablerepo={id_}" for source in sources for id_ in source.ids),
        )

    def install_argv(self, source: Source, packages: Sequence[str]) -> tuple[str, ...]:
        """Install requirement strings or exact packages, with all they need."""
        return (*self.base_argv((source,)), "install", *packages)

    def preview_argv(self, source: Source, packages: Sequence[str]) -> tuple[str, ...]:
        """The same transaction, resolved and shown, and then refused."""
        return (*(word for word in self.install_argv(source, packages) if word != "-y"), "--assumeno")

    def restore_argvs(
        self, sources: Sequence[Source], plan: Undo, now: frozenset[Nevra]
    ) -> tuple[tuple[str, ...], ...]:
        """The calls that bring `plan.restore` back. dnf's install also goes back to an older version; yum's does not,
        and asks for two calls."""
        base = self.base_argv(sources)
        if self.kind == "dnf":
            return ((*base, "--allowerasing", "install", *(nevra.short for nevra in plan.restore)),)
        newer = {(nevra.name, nevra.arch): nevra.evr for nevra in now}
        older = [one for one in plan.restore if newer.get((one.name, one.arch), one.evr) > one.evr]
        others = [one for one in plan.restore if one not in older]
        calls = (("downgrade", older), ("install", others))
        return tuple((*base, word, *(_yum_name(nevra) for nevra in group)) for word, group in calls if group)

    def erase_argv(self, packages: Iterable[Nevra]) -> tuple[str, ...]:
        """Erase exactly these in one transaction. rpm itself, not dnf: it refuses when something else needs one of
        them, where dnf would erase that too."""
        words = (f"{nevra.name}-{nevra.version}-{nevra.release}" for nevra in packages if nevra.name == _KEY)
        exact = (nevra.short for nevra in packages if nevra.name != _KEY)
        return ("rpm", *self._rpm_root, "--erase", *exact, *words)

    def installed(self) -> frozenset[Nevra]:
        """Every package of the host, and the keys in its rpm database (as `gpg-pubkey`).

        Raises:
            CommandError: rpm fails.
        """
        answer = effects.run(["rpm", *self._rpm_root, "-qa", "--qf", _PACKAGES])
        return frozenset(_installed(line) for line in answer.output.splitlines() if line)

    def missing(self, requirements: Iterable[str]) -> tuple[str, ...]:
        """Those of `requirements` that no installed package satisfies.

        Raises:
            CommandError: rpm fails.
            InputError: a requirement is malformed.
        """
        wanted = [Requirement.parse(text) for text in requirements]
        if not wanted:
            return ()
        provided = self._provided()
        return tuple(str(one) for one in wanted if not self._satisfied(one, provided))

    def preview(self, source: Source, packages: Sequence[str]) -> str:
        """What the package manager says that installing would do.

        Raises:
            CommandError: the transaction cannot be resolved.
        """
        with _listable((source,)) as sources:
            answer = effects.run(self.preview_argv(sources[0], packages), check=False)
        if answer.returncode != 0 and "Operation aborted" not in answer.output + answer.errors:
            raise CommandError(answer.argv, answer.returncode, answer.output + answer.errors)
        return answer.output

    def install(self, source: Source, packages: Sequence[str], *, on_line: OnLine | None = None) -> None:
        """Install in one transaction. Nothing asked for: nothing done.

        Raises:
            CommandError: the transaction was refused or failed; the host may hold part of it.
        """
        if packages:
            with _listable((source,)) as sources:
                effects.run(self.install_argv(sources[0], packages), on_line=on_line)

    def erase(self, packages: Iterable[Nevra], *, on_line: OnLine | None = None) -> None:
        """Erase exactly these, in one transaction.

        Raises:
            CommandError: something else on the host needs one of them; nothing was erased.
        """
        if chosen := _sorted(packages):
            effects.run(self.erase_argv(chosen), on_line=on_line)

    def undo(
        self, before: frozenset[Nevra], sources: Sequence[Source], *, on_line: OnLine | None = None
    ) -> frozenset[Nevra]:
        """Bring the host back to `before` and say what is installed then. Can be called again, and on a host that
        needs nothing.

        Raises:
            NeedsOperatorError: the host differs from `before` still; the details name each package.
        """
        faults: list[str] = []
        now = self.installed()
        plan = undo_plan(before, now)
        # Restoring comes first: what was added may be needed by a newer version, but by no older one.
        if plan.restore:
            with _listable(sources) as plain:
                for argv in self.restore_argvs(plain, plan, now):
                    faults += _attempt(argv, on_line)
        left = undo_plan(before, self.installed()).erase
        if left:
            faults += _attempt(self.erase_argv(left), on_line)
        now = self.installed()
        _compare(undo_plan(before, now), faults)
        return now

    @property
    def _rpm_root(self) -> tuple[str, ...]:
        return (f"--root={self.root}",) if self.root else ()

    def _provided(self) -> dict[str, list[Requirement]]:
        answer = effects.run(["rpm", *self._rpm_root, "-qa", "--qf", _PROVIDES])
        provided: dict[str, list[Requirement]] = {}
        for line in answer.output.splitlines():
            name, operator, version = (field.strip() for field in line.split("\t"))
            evr = Evr.parse(version) if operator and version else None
            provided.setdefault(name, []).append(Requirement(name, operator if evr else "", evr))
        return provided

    def _satisfied(self, wanted: Requirement, provided: dict[str, list[Requirement]]) -> bool:
        if any(wanted.satisfied_by(one) for one in provided.get(wanted.name, ())):
            return True
        if not wanted.name.startswith("/"):
            return False
        argv = ["rpm", *self._rpm_root, "-q", "--whatprovides", wanted.name]
        return effects.run(argv, check=False).returncode == 0


def detect(search: str | None = None) -> PackageManager:
    """The package manager of this host: dnf, else yum. `search` is a PATH.

    Raises:
        UsageError: there is neither.
    """
    if program := shutil.which("dnf", path=search):
        return PackageManager(program, "dnf")
    if program := shutil.which("yum", path=search):
        return PackageManager(program, "yum")
    raise UsageError("no-package-manager", "This host has neither dnf nor yum", remedy="Install on an RPM based host.")


@contextmanager
def _listable(sources: Sequence[Source]) -> Iterator[tuple[Source, ...]]:
    """`sources` by paths that can stand in the list that `reposdir` is: blanks and commas part its members."""
    with tempfile.TemporaryDirectory(prefix="sealift-repos-") as folder:
        plain: list[Source] = []
        for number, source in enumerate(sources):
            link = Path(folder) / str(number)
            if set(str(source.reposdir)) & set(" ,\t"):
                link.symlink_to(source.reposdir)
                plain.append(Source(link, source.ids))
            else:
                plain.append(source)
        yield tuple(plain)


def _installed(line: str) -> Nevra:
    name, epoch, version, release, arch = line.split("\t")
    return Nevra(name, int(epoch), version, release, arch)


def _sorted(packages: Iterable[Nevra]) -> tuple[Nevra, ...]:
    return tuple(sorted(packages, key=lambda nevra: nevra.key))


def _yum_name(nevra: Nevra) -> str:
    """As yum 3 takes it: the epoch stands in front."""
    epoch = f"{nevra.epoch}:" if nevra.epoch else ""
    return f"{epoch}{nevra.name}-{nevra.version}-{nevra.release}.{nevra.arch}"


def _attempt(argv: tuple[str, ...], on_line: OnLine | None) -> list[str]:
    """Run it; a failure is kept for the report, since only the comparison at the end decides."""
    try:
        effects.run(argv, on_line=on_line)
    except CommandError as error:
        return [str(error)]
    return []


def _compare(left: Undo, faults: Sequence[str]) -> None:
    if left.empty:
        return
    lines = [f"{nevra.short} is there and was not before" for nevra in left.erase]
    lines += [f"{nevra.short} was there before and is not now" for nevra in left.restore]
    raise NeedsOperatorError(
        "packages-differ",
        "The packages of this host could not be brought back to what they were",
        details="\n".join([*lines, *faults]),
        remedy="Install and remove what is listed by hand, then run the same command again.",
    )
