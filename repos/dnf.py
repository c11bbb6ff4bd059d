"""The host's package manager, dnf or yum, with our repositories only. Its words are in `repos.dialect`."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from payload import effects
from payload.errors import CommandError, NeedsOperatorError, UsageError
from repos.dialect import Dialect, Kind, Source
from repos.history import Package, altered_by
from repos.nevra import Evr, Nevra, Requirement
from repos.preview import Preview, parse_preview

OnLine = Callable[[str], None]

_PACKAGES = "%{NAME}\\t%|EPOCH?{%{EPOCH}}:{0}|\\t%{VERSION}\\t%{RELEASE}\\t%|ARCH?{%{ARCH}}:{(none)}|\\n"
_PROVIDES = "[%{PROVIDENAME}\\t%{PROVIDEFLAGS:depflags}\\t%{PROVIDEVERSION}\\n]"
_HEADER_TAG, _HEADER = "SHA256HEADER", re.compile("[0-9a-f]{64}")
_KEY = "gpg-pubkey"
_DECLINED = ("Operation aborted", "Exiting on user command")
"""How dnf, and yum 3, end when the answer to their question was no."""


@dataclass(frozen=True, slots=True)
class Undo:
    """What brings a host back: these go, those come back (or change back)."""

    erase: tuple[Nevra, ...]
    restore: tuple[Nevra, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.erase or self.restore)

    def only(self, altered: frozenset[tuple[str, str]] | None) -> Undo:
        """The part that concerns `altered` packages (name, architecture) and keys; all of it when that is None."""
        if altered is None:
            return self

        def ours(nevra: Nevra) -> bool:
            return nevra.name == _KEY or (nevra.name, nevra.arch) in altered

        return Undo(tuple(filter(ours, self.erase)), tuple(filter(ours, self.restore)))


def undo_plan(before: frozenset[Nevra], now: frozenset[Nevra]) -> Undo:
    """What differs. A package that only changed its version is restored, which also removes the new version."""
    gone = before - now
    changed = {(nevra.name, nevra.arch) for nevra in gone}
    added = (nevra for nevra in now - before if (nevra.name, nevra.arch) not in changed)
    return Undo(_sorted(added), _sorted(gone))


@dataclass(frozen=True, slots=True)
class PackageManager:
    """dnf or yum of this host."""

    dialect: Dialect

    def erase_argv(self, packages: Iterable[Nevra]) -> tuple[str, ...]:
        """Erase exactly these in one transaction. rpm itself, not dnf: it refuses when something else needs one of
        them, where dnf would erase that too."""
        words = (_key_name(nevra) for nevra in packages if nevra.name == _KEY)
        exact = (nevra.short for nevra in packages if nevra.name != _KEY)
        return ("rpm", *self._rpm_root, "--erase", *exact, *words)

    def installed(self) -> frozenset[Nevra]:
        """Every package of the host, and the keys in its rpm database (as `gpg-pubkey`).

        Raises:
            CommandError: rpm fails.
        """
        answer = effects.run(["rpm", *self._rpm_root, "-qa", "--qf", _PACKAGES])
        return frozenset(_installed(line) for line in answer.output.splitlines() if line)

    def headers(self) -> dict[Nevra, str]:
        """The SHA-256 of each installed package's header, which covers its content; empty where rpm knows none.

        Raises:
            CommandError: rpm fails.
        """
        if _HEADER_TAG not in effects.run(["rpm", "--querytags"]).output.split():
            return {}
        answer = effects.run(["rpm", *self._rpm_root, "-qa", "--qf", f"%{{{_HEADER_TAG}}}\\t{_PACKAGES}"])
        rows = (line.partition("\t") for line in answer.output.splitlines() if line)
        return {_installed(rest): header for header, _, rest in rows if _HEADER.fullmatch(header)}

    def keys(self, packages: Iterable[Nevra]) -> tuple[str, ...]:
        """The public keys, in ASCII armour, that the `gpg-pubkey` among `packages` stand for.

        Raises:
            CommandError: one of them is not there.
        """
        names = [_key_name(nevra) for nevra in _sorted(packages) if nevra.name == _KEY]
        argv = ("rpm", *self._rpm_root, "-q", "--qf", "%{DESCRIPTION}")
        return tuple(effects.run([*argv, name]).output for name in names)

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

    def preview(self, sources: Sequence[Source], packages: Sequence[str], *, removals: bool = False) -> Preview:
        """What installing would do. `removals`: others may have to go for that.

        Raises:
            CommandError: the transaction cannot be resolved, or a repository cannot be read.
        """
        if not packages:
            return Preview()
        with _listable(sources) as plain, _cache(None) as cache:
            if learn := self.dialect.learn_keys(plain, cache):
                effects.run(learn, env=_beside_proxy())
            words = self.dialect.preview(plain, cache, packages, removals=removals)
            answer = effects.run(words, env=_beside_proxy(), check=False)
        text = f"{answer.output}\n{answer.errors}"
        if answer.returncode != 0 and not any(word in text for word in _DECLINED):
            raise CommandError(answer.argv, answer.returncode, answer.output + answer.errors)
        return parse_preview(text)

    def install(
        self,
        sources: Sequence[Source],
        packages: Sequence[str],
        *,
        removals: bool = False,
        comment: str = "",
        scratch: Path | None = None,
        on_line: OnLine | None = None,
    ) -> None:
        """Install in one transaction, which the history keeps with `comment`. Nothing asked for: nothing done. What is
        downloaded lies in a folder of its own below `scratch` meanwhile.

        Raises:
            CommandError: the transaction was refused or failed; the host may hold part of it.
        """
        if packages:
            with _listable(sources) as plain, _cache(scratch) as cache:
                words = self.dialect.install(plain, cache, packages, removals=removals, comment=comment)
                effects.run(words, env=_beside_proxy(), on_line=on_line)

    def altered_by(self, comment: str) -> frozenset[Package] | None:
        """What the transactions with `comment` changed; None when this package manager cannot say."""
        return altered_by(self.dialect, comment)

    def erase(self, packages: Iterable[Nevra], *, on_line: OnLine | None = None) -> None:
        """Erase exactly these, in one transaction.

        Raises:
            CommandError: something else on the host needs one of them; nothing was erased.
        """
        if chosen := _sorted(packages):
            effects.run(self.erase_argv(chosen), on_line=on_line)

    def undo(
        self,
        before: frozenset[Nevra],
        sources: Sequence[Source],
        *,
        altered: frozenset[Package] | None = None,
        keys: Sequence[str] = (),
        scratch: Path | None = None,
        on_line: OnLine | None = None,
    ) -> frozenset[Nevra]:
        """Bring `altered` packages (all, if that is None) back to what they were in `before`, and say what is
        installed then. Can be called again, and on a host that needs nothing. A `gpg-pubkey` that was removed comes
        back only from `keys`: no repository has it.

        Raises:
            NeedsOperatorError: they differ from `before` still; the details name each package.
        """
        faults: list[str] = []
        now = self.installed()
        plan = undo_plan(before, now).only(altered)
        # Restoring comes first: what was added may be needed by a newer version, but by no older one.
        packages = tuple(nevra for nevra in plan.restore if nevra.name != _KEY)
        if packages:
            with _listable(sources) as plain, _cache(scratch) as cache:
                for argv in self.dialect.restore(plain, cache, packages, now):
                    faults += _attempt(argv, on_line)
        if len(packages) < len(plan.restore):
            faults += self._take_in(keys, on_line)
        left = undo_plan(before, self.installed()).only(altered).erase
        if left:
            faults += _attempt(self.erase_argv(left), on_line)
        now = self.installed()
        _compare(undo_plan(before, now).only(altered), faults)
        return now

    def _take_in(self, keys: Sequence[str], on_line: OnLine | None) -> list[str]:
        faults: list[str] = []
        for key in keys:
            with tempfile.NamedTemporaryFile("w", prefix="sealift-key-", suffix=".asc") as file:
                file.write(key)
                file.flush()
                faults += _attempt(("rpm", *self._rpm_root, "--import", file.name), on_line)
        return faults

    @property
    def _rpm_root(self) -> tuple[str, ...]:
        return (f"--root={self.dialect.root}",) if self.dialect.root else ()

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
    """The package manager of this host: dnf (4 or 5), else yum. `search` is a PATH.

    Raises:
        UsageError: there is neither.
    """
    for name in ("dnf", "dnf5", "yum"):
        if program := shutil.which(name, path=search):
            return PackageManager(Dialect(program, _kind(Path(program))))
    raise UsageError("no-package-manager", "This host has neither dnf nor yum", remedy="Install on an RPM based host.")


def _kind(program: Path) -> Kind:
    """What a program really is: newer hosts have dnf 5 by the name of dnf, and dnf by the name of yum."""
    name = program.resolve().name
    if name == "dnf5":
        return "dnf5"
    return "dnf" if name.startswith("dnf") else "yum"


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


@contextmanager
def _cache(parent: Path | None) -> Iterator[Path]:
    """A cache for one call: nothing of ours stays in the host's, and nothing that is there is believed."""
    with tempfile.TemporaryDirectory(prefix="sealift-cache-", dir=parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _beside_proxy() -> dict[str, str]:
    """A proxy of the environment is for mirrors: what this host serves to itself goes beside it. (One of the host's
    configuration is switched off in our repository files.)"""
    known = os.environ.get("no_proxy", "")
    return {"no_proxy": ",".join(filter(None, (known, "127.0.0.1")))}


def _installed(line: str) -> Nevra:
    name, epoch, version, release, arch = line.split("\t")
    return Nevra(name, int(epoch), version, release, arch)


def _key_name(nevra: Nevra) -> str:
    """A key has no architecture that rpm would take."""
    return f"{nevra.name}-{nevra.version}-{nevra.release}"


def _sorted(packages: Iterable[Nevra]) -> tuple[Nevra, ...]:
    return tuple(sorted(packages, key=lambda nevra: nevra.key))


def _attempt(argv: tuple[str, ...], on_line: OnLine | None) -> list[str]:
    """Run it; a failure is kept for the report, since only the comparison at the end decides."""
    try:
        effects.run(argv, env=_beside_proxy(), on_line=on_line)
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
