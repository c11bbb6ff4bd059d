"""Real RPMs from a few words, by rpmbuild; and rpm-md repositories of packages that exist only in their metadata."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from payload import effects
from repos.nevra import Requirement

_FLAGS = {"<": "LT", "<=": "LE", "=": "EQ", ">=": "GE", ">": "GT"}


@dataclass(frozen=True, slots=True)
class Spec:
    """A package to make. Its own `name = EVR` is provided without saying."""

    name: str
    version: str
    release: str = "1"
    epoch: int = 0
    arch: str = "noarch"
    requires: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    obsoletes: tuple[str, ...] = ()
    recommends: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def nevra(self) -> str:
        return f"{self.name}-{self.epoch}:{self.version}-{self.release}.{self.arch}"

    @property
    def filename(self) -> str:
        return f"{self.name}-{self.version}-{self.release}.{self.arch}.rpm"


def build_rpm(spec: Spec, folder: Path, *, scripts: str = "") -> Path:
    """Build the package with rpmbuild and say where it is. `scripts` is more text for the spec file."""
    top = folder / f".build-{spec.filename}"
    top.mkdir(parents=True)
    tags = [f"Epoch: {spec.epoch}"] if spec.epoch else []
    for tag in ("requires", "provides", "conflicts", "obsoletes", "recommends"):
        tags += [f"{tag.capitalize()}: {value}" for value in getattr(spec, tag)]
    makes = [f"install -D /dev/null '%{{buildroot}}{path}'" for path in spec.files]
    text = "\n".join(
        [
            f"Name: {spec.name}",
            f"Version: {spec.version}",
            f"Release: {spec.release}",
            *tags,
            "Summary: For tests",
            "License: none",
            *(["BuildArch: noarch"] if spec.arch == "noarch" else []),
            "%description",
            "For tests.",
            "%install",
            *makes,
            scripts,
            "%files",
            *spec.files,
            "",
        ]
    )
    (top / "package.spec").write_text(text)
    defines = [
        f"_topdir {top}",
        f"_rpmdir {folder}",
        "_buildshell /bin/bash",
        "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
    ]
    argv = ["rpmbuild", "-bb", "--quiet", "--nodeps", "--target", f"{spec.arch}-linux"]
    effects.run([*argv, *(word for define in defines for word in ("--define", define)), top / "package.spec"])
    return folder / spec.filename


def write_repository(folder: Path, specs: Sequence[Spec], *, filelists: bool = True, modules: str = "") -> Path:
    """Write `folder/repodata` for packages that nobody built: their digests are made up, everything else is read."""
    repodata = folder / "repodata"
    repodata.mkdir(parents=True)
    documents = {"primary": _primary(specs)} | ({"filelists": _filelists(specs)} if filelists else {})
    documents |= {"modules": modules} if modules else {}
    records = [_record(repodata, kind, text.encode()) for kind, text in documents.items()]
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo">'
    (repodata / "repomd.xml").write_text("\n".join([head, "<revision>1</revision>", *records, "</repomd>", ""]))
    return folder


def _record(repodata: Path, kind: str, content: bytes) -> str:
    packed = gzip.compress(content, mtime=0)
    name = f"{kind}.{'yaml' if kind == 'modules' else 'xml'}.gz"
    (repodata / name).write_bytes(packed)
    return (
        f'<data type="{kind}"><checksum type="sha256">{_sha256(packed)}</checksum>'
        f'<open-checksum type="sha256">{_sha256(content)}</open-checksum><location href="repodata/{name}"/>'
        f"<timestamp>1</timestamp><size>{len(packed)}</size><open-size>{len(content)}</open-size></data>"
    )


def fake_digest(spec: Spec) -> str:
    """The digest that the metadata gives the package."""
    return _sha256(spec.nevra.encode())


def _primary(specs: Sequence[Spec]) -> str:
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<metadata xmlns="http://linux.duke.edu/metadata/common" '
    head += f'xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="{len(specs)}">'
    return "\n".join([head, *(_package(spec) for spec in specs), "</metadata>", ""])


def _package(spec: Spec) -> str:
    own = f"{spec.name} = {spec.epoch}:{spec.version}-{spec.release}"
    shown = [path for path in spec.files if path.startswith("/etc/") or "bin/" in path]
    return "\n".join(
        [
            f'<package type="rpm"><name>{spec.name}</name><arch>{spec.arch}</arch>',
            f'<version epoch="{spec.epoch}" ver="{spec.version}" rel="{spec.release}"/>',
            f'<checksum type="sha256" pkgid="YES">{fake_digest(spec)}</checksum>',
            "<summary>For tests</summary><description/><packager/><url/>",
            '<time file="1" build="1"/><size package="1000" installed="1000" archive="1000"/>',
            f"<location href={quoteattr('Packages/' + spec.filename)}/><format>",
            "<rpm:license>none</rpm:license><rpm:vendor/><rpm:group>none</rpm:group><rpm:buildhost>here</rpm:buildhost>",
            '<rpm:sourcerpm>x.src.rpm</rpm:sourcerpm><rpm:header-range start="1" end="2"/>',
            _entries("provides", (own, *spec.provides)),
            *(_entries(kind, getattr(spec, kind)) for kind in ("requires", "conflicts", "obsoletes", "recommends")),
            *(f"<file>{escape(path)}</file>" for path in shown),
            "</format></package>",
        ]
    )


def _entries(kind: str, dependencies: tuple[str, ...]) -> str:
    if not dependencies:
        return ""
    return f"<rpm:{kind}>{''.join(_entry(_dependency(text)) for text in dependencies)}</rpm:{kind}>"


def _dependency(text: str) -> Requirement:
    """A rich dependency stands in one attribute, as createrepo writes it."""
    return Requirement(text) if text.startswith("(") else Requirement.parse(text)


def _entry(dependency: Requirement) -> str:
    if dependency.evr is None:
        return f"<rpm:entry name={quoteattr(dependency.name)}/>"
    release = f' rel="{dependency.evr.release}"' if dependency.evr.release else ""
    return (
        f'<rpm:entry name={quoteattr(dependency.name)} flags="{_FLAGS[dependency.operator]}" '
        f'epoch="{dependency.evr.epoch}" ver="{dependency.evr.version}"{release}/>'
    )


def _filelists(specs: Sequence[Spec]) -> str:
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<filelists xmlns="http://linux.duke.edu/metadata/filelists" '
    return "\n".join([f'{head}packages="{len(specs)}">', *(_files(spec) for spec in specs), "</filelists>", ""])


def _files(spec: Spec) -> str:
    files = "".join(f"<file>{escape(path)}</file>" for path in spec.files)
    version = f'<version epoch="{spec.epoch}" ver="{spec.version}" rel="{spec.release}"/>'
    return f'<package pkgid="{fake_digest(spec)}" name="{spec.name}" arch="{spec.arch}">{version}{files}</package>'


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
