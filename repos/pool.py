"""A libsolv pool of the upstreams and of the host that the packages are to go onto."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import solv  # type: ignore[import-untyped]

from payload.errors import ResolveError
from repos.baseline import Installed
from repos.considered import Policy, hidden_packages
from repos.metadata import Metadata
from repos.nevra import Nevra, Requirement
from repos.repomd import bad_metadata
from repos.solvcache import load_files, load_packages, remember_files

_RELATIONS = {"<": solv.REL_LT, "=": solv.REL_EQ, ">": solv.REL_GT}
_EXTEND = solv.Repo.REPO_EXTEND_SOLVABLES | solv.Repo.REPO_LOCALPOOL | solv.Repo.REPO_REUSE_REPODATA
_INSTALL_ONLY = (
    "kernel",
    "kernel-PAE",
    "installonlypkg(kernel)",
    "installonlypkg(kernel-module)",
    "installonlypkg(vm)",
    "multiversion(kernel)",
)
_COPIED = (
    solv.SOLVABLE_PROVIDES,
    solv.SOLVABLE_REQUIRES,
    solv.SOLVABLE_CONFLICTS,
    solv.SOLVABLE_OBSOLETES,
    # Among several providers, one that an installed package recommends is preferred.
    solv.SOLVABLE_RECOMMENDS,
    solv.SOLVABLE_SUGGESTS,
    solv.SOLVABLE_SUPPLEMENTS,
    solv.SOLVABLE_ENHANCES,
)
_CAPTURED = {
    "provides": solv.SOLVABLE_PROVIDES,
    "requires": solv.SOLVABLE_REQUIRES,
    "conflicts": solv.SOLVABLE_CONFLICTS,
    "obsoletes": solv.SOLVABLE_OBSOLETES,
}
_MET_BY_RPM = "rpmlib("


@dataclass(frozen=True, slots=True)
class WantedJob:
    """libsolv's `native` job for the requirement `text`: one of the solvables `candidates` is to be there."""

    text: str
    candidates: list[int]
    native: Any


class Pool:
    """Made once, for one question. `native` is libsolv's own pool; `unknown` are the packages of the baseline of which
    nothing but the name is known: no upstream has them, and they were not captured.

    Raises:
        IntegrityError: an upstream's metadata cannot be read.
        ResolveError: no upstream has one of the policy's module streams, or they do not go together.
    """

    def __init__(
        self,
        upstreams: Sequence[Metadata],
        wanted: Sequence[Requirement],
        baseline: Iterable[Installed],
        arch: str,
        policy: Policy,
    ) -> None:
        self.native = solv.Pool()
        self.native.setdisttype(solv.Pool.DISTTYPE_RPM)
        # dnf's: packages of one name and two architectures get along, if neither is "noarch".
        self.native.set_flag(solv.Pool.POOL_FLAG_IMPLICITOBSOLETEUSESCOLORS, 1)
        self.native.setarch(arch)
        # The host comes first, as with dnf: among equals libsolv prefers by number.
        host = self._reserve(baseline)
        repos = [(metadata, self._load(metadata)) for metadata in upstreams]
        self._intern(wanted)
        files = self._file_provides()
        if any(not in_primary(path) for path in files):
            for metadata, repo in repos:
                self._extend(metadata, repo)
            files = self._file_provides()
        for metadata, repo in repos:
            if (primary := metadata.find("primary")) is not None:
                remember_files(repo, metadata.cache, primary[0].digest, [self.native.str2id(path) for path in files])
        self.native.createwhatprovides()
        self.unknown = self._fill(host, files)
        self.native.createwhatprovides()
        self._repos, self._hidden = repos, hidden_packages(self.native, repos, policy)
        if self._hidden:
            self._hide(self._hidden)

    def shown(self) -> Iterator[Any]:
        """The upstreams' packages that count."""
        for _, repo in self._repos:
            yield from (one for one in repo.solvables if one.id not in self._hidden)

    def _hide(self, solvables: set[int]) -> None:
        """These are as if they were not there."""
        self.native.set_considered_list([one.id for one in self.native.solvables_iter() if one.id not in solvables])
        self.native.createwhatprovides()

    def dep(self, requirement: Requirement) -> Any:
        """libsolv's form of a requirement."""
        name = self.native.Dep(requirement.name)
        if requirement.evr is None:
            return name
        relation = sum(_RELATIONS[sign] for sign in requirement.operator)
        return name.Rel(relation, self.native.Dep(str(requirement.evr)))

    def install_jobs(self, wanted: Sequence[Requirement]) -> list[WantedJob]:
        """A job for each requirement, choosing among what dnf would choose among.

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

    def _install_job(self, requirement: Requirement, dep: Any) -> WantedJob:
        candidates = self._candidates(requirement, dep)
        flags = solv.Job.SOLVER_INSTALL | solv.Job.SOLVER_SOLVABLE_ONE_OF
        flags |= solv.Job.SOLVER_SETEVR | solv.Job.SOLVER_SETARCH
        return WantedJob(str(requirement), candidates, self.native.Job(flags, self.native.towhatprovides(candidates)))

    def multiversion_jobs(self) -> list[Any]:
        """Jobs by which versions of a kernel are installed beside each other, as dnf does."""
        flags = solv.Job.SOLVER_MULTIVERSION | solv.Job.SOLVER_SOLVABLE_PROVIDES
        return [self.native.Job(flags, self.native.Dep(name).id) for name in _INSTALL_ONLY]

    def _candidates(self, requirement: Requirement, dep: Any) -> list[int]:
        """What dnf takes for such a word: packages of that name, else what provides it; a bare name also stands for the
        packages that obsolete it."""
        providers = list(self.native.whatprovides(dep))
        named = [solvable for solvable in providers if solvable.name == requirement.name]
        chosen = {solvable.id for solvable in named or providers}
        if named and requirement.evr is None:
            for package in named:
                others = self.native.whatmatchessolvable(solv.SOLVABLE_OBSOLETES, package)
                chosen |= {other.id for other in others if other.installable()}
        return sorted(chosen)

    def _load(self, metadata: Metadata) -> Any:
        repo = self.native.add_repo(metadata.upstream.id)

        def parse() -> None:
            with metadata.unpack("primary") as primary:
                if primary is None or not repo.add_rpmmd(solv.xfopen_fd("", primary.fileno()), None):
                    raise bad_metadata(metadata.where, f"its primary metadata cannot be read: {self.native.errstr}")

        if (primary := metadata.find("primary")) is not None:
            load_packages(repo, metadata.cache, primary[0].digest, parse)
        return repo

    def _extend(self, metadata: Metadata, repo: Any) -> None:
        def parse() -> None:
            with metadata.unpack("filelists") as filelists:
                if filelists is None or not repo.add_rpmmd(solv.xfopen_fd("", filelists.fileno()), "FL", _EXTEND):
                    raise bad_metadata(metadata.where, f"its file lists cannot be read: {self.native.errstr}")

        if (filelists := metadata.find("filelists")) is not None:
            load_files(repo, metadata.cache, filelists[0].digest, parse)

    def _intern(self, wanted: Sequence[Requirement]) -> None:
        """Let libsolv look for wanted files too: it does so only for those that some package requires."""
        asker = self.native.add_repo("@wanted").add_solvable()
        asker.name, asker.evr, asker.arch = "@wanted", "0-0", "noarch"
        for requirement in wanted:
            asker.add_requires(self.dep(requirement))

    def _file_provides(self) -> tuple[str, ...]:
        """All files that some package requires; which packages have them is known to libsolv from now on."""
        return tuple(self.native.id2str(number) for number in self.native.addfileprovides_queue())

    def _reserve(self, baseline: Iterable[Installed]) -> list[tuple[Installed, Any]]:
        """The host's packages by name only: they provide nothing yet, so that no look-up finds them."""
        self._host = self.native.add_repo("@System")
        packages = [(package, self._host.add_solvable()) for package in baseline]
        for package, solvable in packages:
            nevra = package.nevra
            solvable.name, solvable.evr, solvable.arch = nevra.name, str(nevra.evr), nevra.arch
        return packages

    def _fill(self, host: Sequence[tuple[Installed, Any]], files: Sequence[str]) -> tuple[Nevra, ...]:
        """Make the host that has the baseline. What packages there provide is copied from the upstreams; of one that no
        upstream has, it is as captured."""
        # Every look-up comes before the first change: libsolv's index of providers does not survive it.
        originals = [(package, solvable, self._find(package.nevra)) for package, solvable in host]
        owned = self._files_by_owner(files) if host else {}
        for package, solvable, original in originals:
            if original is None:
                self._fill_captured(package, solvable, files)
                continue
            for key in _COPIED:
                for dep in original.lookup_deparray(key):
                    solvable.add_deparray(key, dep)
            for path in owned.get(original.id, ()):
                solvable.add_provides(self.native.Dep(path))
        self.native.installed = self._host
        return tuple(one.nevra for one, _, original in originals if original is None and not one.dependencies)

    def _fill_captured(self, package: Installed, solvable: Any, files: Sequence[str]) -> None:
        solvable.add_provides(self.dep(Requirement(package.nevra.name, "=", package.nevra.evr)))
        for kind, texts in package.dependencies.items():
            for text in texts:
                if not text.startswith(_MET_BY_RPM):
                    solvable.add_deparray(_CAPTURED[kind], self._parsed(text))
        for path in package.files.intersection(files):
            solvable.add_provides(self.native.Dep(path))

    def _parsed(self, text: str) -> Any:
        if text.startswith("("):
            return self.native.parserpmrichdep(text)
        return self.dep(Requirement.parse(text))

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
