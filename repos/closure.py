"""What must come along: the wanted packages and everything they need that a minimal host does not have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import solv  # type: ignore[import-untyped]

from payload.digest import Digest
from payload.errors import ResolveError
from repos.chain import explain
from repos.metadata import Metadata
from repos.nevra import Nevra, Requirement
from repos.pool import Pool
from repos.repomd import safe_location

_KEEP_EXPLICIT_OBSOLETES = 11  # libsolv's SOLVER_FLAG_KEEP_EXPLICIT_OBSOLETES, which its Python module does not name
_FLAGS = (
    # What dnf sets (it writes its question down as a libsolv test case), so that both choose the same among several
    # answers.
    solv.Solver.SOLVER_FLAG_ALLOW_DOWNGRADE,
    solv.Solver.SOLVER_FLAG_ALLOW_VENDORCHANGE,
    solv.Solver.SOLVER_FLAG_KEEP_ORPHANS,
    solv.Solver.SOLVER_FLAG_BEST_OBEY_POLICY,
    solv.Solver.SOLVER_FLAG_YUM_OBSOLETES,
    solv.Solver.SOLVER_FLAG_IGNORE_RECOMMENDED,
    _KEEP_EXPLICIT_OBSOLETES,
)


@dataclass(frozen=True, slots=True)
class ResolvedPackage:
    """A package of the closure. `requested`: it is there because the manifest names it."""

    nevra: Nevra
    upstream: str
    location: str
    digest: Digest
    size: int
    requested: bool


@dataclass(frozen=True, slots=True)
class Closure:
    """The answer, sorted. `unknown`: packages of the baseline that no upstream has in that version; what they provide
    is not known, so the closure may carry another version of them."""

    packages: tuple[ResolvedPackage, ...]
    unknown: tuple[Nevra, ...] = ()


def resolve_closure(
    wanted: Sequence[str], upstreams: Sequence[Metadata], *, baseline: Iterable[Nevra] = (), arch: str = "x86_64"
) -> Closure:
    """Solve for `wanted` (requirement strings) on a host that has the `baseline`. Weak dependencies stay out.

    Raises:
        ResolveError: something cannot be had; the details name the chain of packages that asks for it.
        InputError: a requirement is malformed.
        IntegrityError: an upstream's metadata is damaged.
    """
    requirements = tuple(Requirement.parse(text) for text in wanted)
    pool = Pool(upstreams, requirements, tuple(sorted(set(baseline), key=lambda nevra: nevra.key)), arch)
    jobs = pool.install_jobs(requirements)
    solver = pool.native.Solver()
    for flag in _FLAGS:
        solver.set_flag(flag, True)
    if problems := solver.solve([job.native for job in jobs]):
        asked_by = {job.native.what: (job.text, job.candidates) for job in jobs}
        raise ResolveError(
            "unresolvable",
            "The packages that the manifest wants cannot be installed with all that they need",
            details="\n".join(explain(problem, pool.native, asked_by) for problem in problems),
            remedy="Add an upstream that has what is missing, or change what is wanted.",
        )
    asked = {candidate for job in jobs for candidate in job.candidates}
    packages = (_resolved(solvable, solvable.id in asked) for solvable in solver.transaction().newsolvables())
    return Closure(tuple(sorted(packages, key=lambda package: package.nevra.key)), pool.unknown)


def _resolved(solvable: Any, requested: bool) -> ResolvedPackage:
    nevra = Nevra.parse(str(solvable))
    checksum = solvable.lookup_checksum(solv.SOLVABLE_CHECKSUM)
    if checksum is None or checksum.typestr() != "sha256":
        raise ResolveError(
            "weak-metadata",
            f"{solvable.repo.name} has no SHA-256 digest of {nevra.short}",
            remedy="Use an upstream that has SHA-256 digests, or make one of its packages with createrepo_c.",
        )
    location = safe_location(solvable.lookup_location()[0], where=solvable.repo.name)
    size = solvable.lookup_num(solv.SOLVABLE_DOWNLOADSIZE)
    return ResolvedPackage(nevra, solvable.repo.name, location, f"sha256:{checksum.hex()}", size, requested)
