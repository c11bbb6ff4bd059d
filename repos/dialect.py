"""The words of dnf 4, dnf 5 and yum 3 for the same calls, and what each of them cannot do.

Every call names a private reposdir and a private cache, disables all repositories and enables ours, runs without
plugins (some of them reach for the network, or rewrite repository files) and fails when a repository of ours does not
answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from repos.nevra import Nevra

Kind = Literal["dnf", "dnf5", "yum"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where packages come from: a private reposdir, and the ids of the repositories in it."""

    reposdir: Path
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dialect:
    """The words of `program`. `root`: another root folder than `/` (`--installroot`)."""

    program: str
    kind: Kind
    root: Path | None = None

    @property
    def keeps_comments(self) -> bool:
        """Its history can be asked for the transaction with our comment. yum 3 takes none."""
        return self.kind != "yum"

    @property
    def has_priorities(self) -> bool:
        """It prefers a repository by its `priority`. yum 3 does so by a plugin only, and plugins are off."""
        return self.kind != "yum"

    def base(self, sources: Sequence[Source], cache: Path) -> tuple[str, ...]:
        """The words that every call begins with."""
        reposdir = ",".join(str(source.reposdir) for source in sources)
        # yum 3 knows neither; it asks again by itself, as metadata_expire=0 in our files says.
        own = () if self.kind == "yum" else ("--refresh", "--setopt=install_weak_deps=0")
        disable, enable = ("--disable-repo", "--enable-repo") if self._is_new else ("--disablerepo", "--enablerepo")
        return (
            self.program,
            "-y",
            self._no_plugins,
            *self._root,
            f"--setopt=reposdir={reposdir}",
            f"--setopt=cachedir={cache}",
            "--setopt=skip_if_unavailable=0",
            "--setopt=gpgcheck=1",
            "--setopt=clean_requirements_on_remove=0",
            *own,
            f"{disable}=*",
            *(f"{enable}={id_}" for source in sources for id_ in source.ids),
        )

    def install(
        self,
        sources: Sequence[Source],
        cache: Path,
        packages: Sequence[str],
        *,
        removals: bool = False,
        comment: str = "",
    ) -> tuple[str, ...]:
        """Install requirement strings or exact packages, with all they need. `removals`: others may have to go for
        that; yum 3 never does it."""
        comments = (f"--comment={comment}",) if comment and self.keeps_comments else ()
        erasing = ("--allowerasing",) if removals and self.kind != "yum" else ()
        return (*self.base(sources, cache), *comments, "install", *erasing, *packages)

    def learn_keys(self, sources: Sequence[Source], cache: Path) -> tuple[str, ...]:
        """What has to be called before `preview`, so that the keys of the metadata are in the cache: a no to the
        transaction is a no to keys as well. Empty for dnf 4, which knows the two apart."""
        return () if self.kind == "dnf" else (*self.base(sources, cache), "makecache")

    def preview(
        self, sources: Sequence[Source], cache: Path, packages: Sequence[str], *, removals: bool = False
    ) -> tuple[str, ...]:
        """The same transaction, resolved and shown, and then refused. Its logs go into the cache: nothing happened."""
        program, yes, *others = self.install(sources, cache, packages, removals=removals)
        logs = () if self.kind == "yum" else (f"--setopt=logdir={cache}",)
        # dnf 4 takes keys by the yes, and refuses the transaction by the no
        return (program, *((yes,) if self.kind == "dnf" else ()), "--assumeno", *logs, *others)

    def restore(
        self, sources: Sequence[Source], cache: Path, wanted: Sequence[Nevra], now: frozenset[Nevra]
    ) -> tuple[tuple[str, ...], ...]:
        """The calls that bring exactly `wanted` back. dnf's install also goes back to an older version; yum's does
        not, and asks for two calls."""
        base = self.base(sources, cache)
        if self.kind != "yum":
            return ((*base, "install", "--allowerasing", *(nevra.short for nevra in wanted)),)
        newer = {(nevra.name, nevra.arch): nevra.evr for nevra in now}
        older = [one for one in wanted if newer.get((one.name, one.arch), one.evr) > one.evr]
        others = [one for one in wanted if one not in older]
        calls = (("downgrade", older), ("install", others))
        return tuple((*base, word, *(_yum_name(nevra) for nevra in group)) for word, group in calls if group)

    def history_list(self) -> tuple[str, ...]:
        """All transactions that it remembers."""
        return (self.program, *self._root, self._no_plugins, "history", "list")

    def history_info(self, number: int) -> tuple[str, ...]:
        """One of them."""
        return (self.program, *self._root, self._no_plugins, "history", "info", str(number))

    @property
    def _is_new(self) -> bool:
        """dnf 5 knows older spellings only as aliases of a configuration file, which a host need not have."""
        return self.kind == "dnf5"

    @property
    def _no_plugins(self) -> str:
        return "--no-plugins" if self._is_new else "--noplugins"

    @property
    def _root(self) -> tuple[str, ...]:
        return (f"--installroot={self.root}",) if self.root else ()


def _yum_name(nevra: Nevra) -> str:
    """As yum 3 takes it: the epoch stands in front."""
    epoch = f"{nevra.epoch}:" if nevra.epoch else ""
    return f"{epoch}{nevra.name}-{nevra.version}-{nevra.release}.{nevra.arch}"
