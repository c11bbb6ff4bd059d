"""A libsolv pool of the upstreams and of the host that the packages are to go onto."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import solv  # type: ignore[import-untyped]

from payload.errors import ResolveError
from repos.metadata import Metadata
from repos.nevra import Nevra, Requirement
from repos.repomd import bad_metadata

_RELATIONS = {"<": solv.REL_LT, "=": solv.REL_EQ, ">": solv.REL_GT}
_COPIED = (solv.SOLVABLE_PROVIDES, solv.SOLVABLE_REQUIRES, solv.SOLVABLE_CONFLICTS, solv.SOLVABLE_OBSOLETES)


class Pool:
    """Made once, for one question. `native` is libsolv's own pool; `unknown` are the packages of the baseline that no
    upstream has.

    Raises:
        IntegrityError: an upstream's metadata cannot be read.
    """

    def __init__(
        self, upstreams: Sequence[Metadata], wanted: Sequence[Requirement], baseline: Iterable[Nevra], arch: str
    ) -> None:
        self.native = solv.Pool()
        self.native.setdisttype(solv.Pool.DISTTYPE_RPM)
        self.native.setarch(arch)
        repos = [(metadata, self._load(metadata)) for metadata in upstreams]
        self._intern(wanted)
        files = self._file_provides()
        if any(not in_primary(path) for path in files):
            for metadata, repo in repos:
                self._extend(metadata, repo)
            files = self._file_provides()
        self.native.createwhatprovides()
        self.unknown = self._install(baseline, files)
        self.native.addfileprovides()
        self.native.createwhatprovides()

    def dep(self, requirement: Requirement) -> Any:
        """libsolv's form of a requirement."""
        name = self.native.Dep(requirement.name)
        if requirement.evr is None:
            return name
        relation = sum(_RELATIONS[sign] for sign in requirement.operator)
        return name.Rel(relation, self.native.Dep(str(requirement.evr)))

    def install_jobs(self, wanted: Sequence[Requirement]) -> list[Any]:
        """A job for each requirement. A package of that name comes before others that provide it, as with dnf.

        Raises:
            ResolveError: nothing provides some of them.
        """
        deps = [(requirement, self.dep(requirement)) for requirement in wanted]
        if missing := [str(requirement) for requirement, dep in deps if not self.native.whatprovides(dep)]:
            raise ResolveError(
                "nothing-provides",
                f"No upstream provides {', '.join(missing)}",
                details="\n".join(f"{name} is wanted by the manifest; nothing provides it" for name in missing),
                remedy="Check the spelling and the version, or add the upstream that has it.",
            )
        return [self._install_job(requirement, dep) for requirement, dep in deps]

    def _install_job(self, requirement: Requirement, dep: Any) -> Any:
        named = any(solvable.name == requirement.name for solvable in self.native.whatprovides(dep))
        select = solv.Job.SOLVER_SOLVABLE_NAME if named else solv.Job.SOLVER_SOLVABLE_PROVIDES
        return self.native.Job(solv.Job.SOLVER_INSTALL | select, dep.id)

    def _load(self, metadata: Metadata) -> Any:
        repo = self.native.add_repo(metadata.upstream.id)
        with metadata.unpack("primary") as primary:
            if primary is None or not repo.add_rpmmd(solv.xfopen_fd("", primary.fileno()), None):
                raise bad_metadata(metadata.upstream.url, f"its primary metadata cannot be read: {self.native.errstr}")
        return repo

    def _extend(self, metadata: Metadata, repo: Any) -> None:
        with metadata.unpack("filelists") as filelists:
            if filelists is None:
                return
            stream = solv.xfopen_fd("", filelists.fileno())
            if not repo.add_rpmmd(stream, "FL", solv.Repo.REPO_EXTEND_SOLVABLES | solv.Repo.REPO_LOCALPOOL):
                raise bad_metadata(metadata.upstream.url, f"its file lists cannot be read: {self.native.errstr}")

    def _intern(self, wanted: Sequence[Requirement]) -> None:
        """Let libsolv look for wanted files too: it does so only for those that some package requires."""
        asker = self.native.add_repo("@wanted").add_solvable()
        asker.name, asker.evr, asker.arch = "@wanted", "0-0", "noarch"
        for requirement in wanted:
            asker.add_requires(self.dep(requirement))

    def _file_provides(self) -> tuple[str, ...]:
        """All files that some package requires; which packages have them is known to libsolv from now on."""
        return tuple(self.native.id2str(number) for number in self.native.addfileprovides_queue())

    def _install(self, baseline: Iterable[Nevra], files: Sequence[str]) -> tuple[Nevra, ...]:
        """Make the host that has the baseline. What packages there provide is copied from the upstreams."""
        # Every look-up comes before the first change: libsolv's index of providers does not survive new packages.
        originals = [(nevra, self._find(nevra)) for nevra in baseline]
        owned = self._files_by_owner(files)
        system = self.native.add_repo("@System")
        for nevra, original in originals:
            installed = system.add_solvable()
            installed.name, installed.evr, installed.arch = nevra.name, str(nevra.evr), nevra.arch
            if original is None:
                installed.add_provides(self.dep(Requirement(nevra.name, "=", nevra.evr)))
                continue
            for key in _COPIED:
                for dep in original.lookup_deparray(key):
                    installed.add_deparray(key, dep)
            for path in owned.get(original.id, ()):
                installed.add_provides(self.native.Dep(path))
        self.native.installed = system
        return tuple(nevra for nevra, original in originals if original is None)

    def _files_by_owner(self, files: Sequence[str]) -> dict[int, list[str]]:
        owned: dict[int, list[str]] = {}
        for path in files:
            for provider in self.native.whatprovides(self.native.Dep(path)):
                owned.setdefault(provider.id, []).append(path)
        return owned

    def _find(self, nevra: Nevra) -> Any | None:
        exact = (nevra.name, str(nevra.evr), nevra.arch)
        candidates: Iterator[Any] = iter(self.native.whatprovides(self.native.Dep(nevra.name)))
        return next((one for one in candidates if (one.name, one.evr, one.arch) == exact), None)


def in_primary(path: str) -> bool:
    """Whether createrepo lists such a file in the primary metadata already."""
    return path.startswith("/etc/") or "bin/" in path or path == "/usr/lib/sendmail"
