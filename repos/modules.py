"""Modules: which streams of an upstream are active, and which packages that hides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import yaml

from payload.errors import InputError, ResolveError
from repos.nevra import Nevra
from repos.repomd import bad_metadata

_PLATFORM = "platform"


@dataclass(frozen=True, slots=True)
class Stream:
    """One build of a module's stream. Each of `requires` is an alternative: module → streams that will do, or any."""

    name: str
    stream: str
    artifacts: frozenset[Nevra]
    requires: tuple[Mapping[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class ModuleDocument:
    """What a modules.yaml says."""

    streams: tuple[Stream, ...]
    defaults: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ModuleFilter:
    """What the active streams mean for packages. One of `shown` is there; one of `hidden`, or one that has or provides
    a name of a shown package without being one, is as if it were not."""

    shown: frozenset[Nevra] = frozenset()
    hidden: frozenset[Nevra] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """The names that only shown packages may have."""
        return frozenset(nevra.name for nevra in self.shown)


def parse_modules(text: IO[bytes] | bytes, *, where: str) -> ModuleDocument:
    """Read a modules.yaml.

    Raises:
        IntegrityError: it is malformed.
    """
    streams: list[Stream] = []
    defaults: dict[str, str] = {}
    try:
        for document in yaml.load_all(text, Loader=yaml.CSafeLoader):
            data = document["data"]
            if document["document"] in ("modulemd", "modulemd-stream"):
                streams.append(_stream(data))
            elif document["document"] == "modulemd-defaults" and "stream" in data:
                defaults[str(data["module"])] = str(data["stream"])
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError, RecursionError, InputError) as error:
        raise bad_metadata(where, f"its modules cannot be read: {error}") from error
    return ModuleDocument(tuple(streams), defaults)


def _stream(data: Any) -> Stream:
    artifacts = (Nevra.parse(text) for text in data.get("artifacts", {}).get("rpms", ()))
    requires = tuple(
        {str(name): tuple(map(str, streams or ())) for name, streams in (one.get("requires") or {}).items()}
        for one in data.get("dependencies", ())
    )
    built = frozenset(nevra for nevra in artifacts if nevra.arch not in ("src", "nosrc"))
    return Stream(str(data["name"]), str(data["stream"]), built, requires)


def module_filter(documents: Sequence[ModuleDocument], enabled: Iterable[str]) -> ModuleFilter:
    """Default streams and those `enabled` (`NAME:STREAM`) are active, and what these require; all others are hidden.

    Raises:
        ResolveError: an enabled stream is not there, or needs another one than is enabled.
    """
    streams = [stream for document in documents for stream in document.streams]
    defaults = {name: stream for document in documents for name, stream in document.defaults.items()}
    chosen = dict(one.split(":", 1) for one in enabled)
    known = {(stream.name, stream.stream) for stream in streams}
    if missing := sorted(f"{name}:{stream}" for name, stream in chosen.items() if (name, stream) not in known):
        raise ResolveError("no-such-module", f"No upstream has the module stream {', '.join(missing)}")
    active = _with_required(defaults | chosen, streams)
    shown: set[Nevra] = set()
    for name, stream in active.items():
        builds = [one for one in streams if (one.name, one.stream) == (name, stream)]
        usable = [one for one in builds if _satisfied(one, active)]
        if not usable and name in chosen:
            raise ResolveError(
                "module-conflict",
                f"The module stream {name}:{stream} needs other streams than those that are active",
                details="\n".join(sorted({str(dict(one)) for build in builds for one in build.requires})),
            )
        shown.update(nevra for one in usable for nevra in one.artifacts)
    every = frozenset(nevra for stream in streams for nevra in stream.artifacts)
    return ModuleFilter(frozenset(shown), every - shown)


def _with_required(active: dict[str, str], streams: Sequence[Stream]) -> dict[str, str]:
    """`active`, and streams that those need of modules which have no active one."""
    queue = list(active.items())
    while queue:
        name, stream = queue.pop()
        for one in streams:
            if (one.name, one.stream) == (name, stream):
                for module, wanted in _unmet(one, active):
                    active[module] = wanted
                    queue.append((module, wanted))
    return active


def _unmet(stream: Stream, active: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for alternative in stream.requires[:1]:
        for module, streams in alternative.items():
            positive = [one for one in streams if not one.startswith("-")]
            if module != _PLATFORM and module not in active and positive:
                yield module, positive[0]


def _satisfied(stream: Stream, active: Mapping[str, str]) -> bool:
    return not stream.requires or any(
        all(_fits(active.get(module), streams) for module, streams in alternative.items() if module != _PLATFORM)
        for alternative in stream.requires
    )


def _fits(active: str | None, streams: Sequence[str]) -> bool:
    """Streams may be named, or, with a `-` in front, ruled out."""
    if active is None:
        return False
    positive = [one for one in streams if not one.startswith("-")]
    return f"-{active}" not in streams and (not positive or active in positive)
