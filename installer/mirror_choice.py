"""What `-R` needs to know of this host: its system, its proxy, and the mirrors that its operator added."""

from __future__ import annotations

import configparser
import platform
import tomllib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from installer.facts.host import os_release
from payload.errors import InputError
from payload.manifest import Manifest, MirrorFile, Mirrors
from repos.dialect import Kind
from repos.mirrors import System
from repos.ranking import Limits

_MAIN_FILES: dict[Kind, Path] = {
    "dnf": Path("/etc/dnf/dnf.conf"),
    "dnf5": Path("/etc/dnf/dnf.conf"),
    "yum": Path("/etc/yum.conf"),
}


def this_system(root: Path = Path("/")) -> System:
    """The system that runs here, with the variables that dnf fills in."""
    release = os_release(root / "etc/os-release")
    version = release.get("VERSION_ID", "")
    names = tuple(filter(None, (release.get("ID"), *release.get("ID_LIKE", "").split())))
    own = {
        path.name: path.read_text(encoding="utf-8").strip()
        for folder in ("etc/yum/vars", "etc/dnf/vars")
        for path in sorted((root / folder).glob("*"))
    }
    # as dnf has it on a distribution whose release package does not say otherwise: the major version
    major = version.partition(".")[0] if "rhel" in names else version
    defaults = {"basearch": platform.machine(), "arch": platform.machine(), "releasever": major}
    return System(names, version, defaults | own)


def probe_limits(kind: Kind, root: Path = Path("/")) -> Limits:
    """Measure through the proxy that the package manager is configured with, since it will go through it."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read(root / _MAIN_FILES[kind].relative_to("/"), encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return Limits()  # the package manager will say what is wrong with its own file
    proxy = parser.get("main", "proxy", fallback="").strip()
    return Limits(proxy=proxy if proxy and proxy != "_none_" else None)


def with_own_mirrors(manifest: Manifest, folder: Path, given: Path | None) -> Manifest:
    """`manifest` with the mirrors of the files `folder`/*.toml and of the file `given`; a later one wins by its name.

    Raises:
        InputError: files cannot be read or have mistakes; lists all of them.
    """
    files = [*sorted(folder.glob("*.toml")), *([] if given is None else [given])]
    mirrors, problems = dict(manifest.mirrors), list[str]()
    upstreams = {upstream.id for upstream in manifest.repository.upstreams}
    for path in files:
        try:
            found = MirrorFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).mirrors
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            problems.append(f"{path}: {error}")
        except ValidationError as error:
            problems += _mistakes(path, error)
        else:
            problems += _strangers(path, found, upstreams)
            mirrors |= found
    if problems:
        raise InputError(
            "mirrors-invalid",
            "files with mirrors have mistakes",
            details="\n".join(problems),
            remedy='write them like this: [mirrors.NAME] and below it UPSTREAM = "URL"; see --info for the upstreams',
        )
    return manifest.model_copy(update={"mirrors": mirrors})


def _mistakes(path: Path, error: ValidationError) -> Iterator[str]:
    for each in error.errors():
        yield f"{path}: {'.'.join(map(str, each['loc']))}: {each['msg']}"


def _strangers(path: Path, mirrors: Mirrors, upstreams: set[str]) -> Iterator[str]:
    for name, places in mirrors.items():
        for upstream in sorted(places.keys() - upstreams):
            yield f"{path}: mirrors.{name}.{upstream}: the bundle has no upstream {upstream!r}"
