"""One .deb in, one RPM out: the same files below a merged /usr, the same relations, %config and accounts."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.lab.debs import Deb
from tests.lab.process import run
from tests.lab.scriptlets import POST, PROVIDES, post_requires

# Nobody reads these on a lab host, and they are a third of the files.
_UNWANTED = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian")
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
# base-files ships these; in the lab they belong to the package `filesystem`.
_BASE_LAYOUT = frozenset(
    ["/boot", "/dev", "/home", "/lib", "/proc", "/root", "/run", "/sys", "/tmp", "/var/lock", "/var/run", "/var/tmp"]
)
_FIXED_TIME = "1700000000"


def convert(deb: Deb, requires: Sequence[str], provides: Sequence[str], work: Path) -> Path:
    """Build the RPM of `deb` in the empty folder `work` and return where it is.

    Raises:
        LabError: dpkg-deb or rpmbuild failed.
    """
    unpacked = work / "root"
    run(["dpkg-deb", "-R", deb.path, unpacked])
    control = work / "control"
    (unpacked / "DEBIAN").rename(control)
    for folder in _UNWANTED:
        shutil.rmtree(unpacked / folder, ignore_errors=True)
    merge_usr(unpacked)
    listed = file_list(unpacked, conffiles(control), deb.name)
    spec = spec_text(deb, requires, provides, listed)
    return build(spec, work, deb.architecture, buildroot=unpacked)


def build(spec: str, work: Path, architecture: str, buildroot: Path | None = None) -> Path:
    """Run rpmbuild on the text of a spec in `work`; with `buildroot`, its files are already there.

    Returns the RPM, or the folder of RPMs' first when the spec makes several (all lie beside it).
    """
    spec_file = work / "package.spec"
    spec_file.write_text(spec)
    defines = {
        "_topdir": str(work),
        "_rpmdir": str(work / "out"),
        # doubled: to be expanded for each package, not now
        "_build_name_fmt": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
        "_binary_payload": "w3.zstdio",
        "_build_id_links": "none",
        "_buildhost": "lab",
        "use_source_date_epoch_as_buildtime": "1",
        "__os_install_post": "%{nil}",
        "debug_package": "%{nil}",
    }
    argv: list[str | Path] = ["rpmbuild", "--quiet", "-bb", "--noclean", "--nodebuginfo", "--target", architecture]
    if buildroot is not None:
        argv += ["--noprep", "--buildroot", buildroot]
    argv += [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
    run([*argv, spec_file], env={**os.environ, "SOURCE_DATE_EPOCH": _FIXED_TIME, "LC_ALL": "C.UTF-8"})
    return min((work / "out").glob("*.rpm"))


def merge_usr(root: Path) -> None:
    """Move what lies in /bin, /lib, … below /usr: the links belong to another package."""
    for name in _MERGED:
        folder = root / name
        if folder.is_symlink():
            folder.unlink()
        elif folder.is_dir():
            target = root / "usr" / name
            target.mkdir(parents=True, exist_ok=True)
            run(["cp", "-a", f"{folder}/.", target])
            shutil.rmtree(folder)


def conffiles(control: Path) -> frozenset[str]:
    """The paths that an operator may edit, below a merged /usr."""
    listing = control / "conffiles"
    if not listing.exists():
        return frozenset()
    lines = (line.strip() for line in listing.read_text().splitlines())
    return frozenset(re.sub(r"^/(s?bin|lib\w*)/", r"/usr/\1/", line) for line in lines if line.startswith("/"))


def file_list(root: Path, config: frozenset[str], package: str) -> list[str]:
    """The lines of %files: every file, and every folder that is empty or not plain root:root 0755."""
    skipped = _BASE_LAYOUT if package == "base-files" else frozenset[str]()
    lines = []
    for path, is_folder in _walk(root):
        name = "/" + str(path.relative_to(root))
        if name in skipped:
            continue
        quoted = '"' + name.replace("%", "%%") + '"'
        if not is_folder:
            lines.append(("%config(noreplace) " if name in config else "") + quoted)
        elif _is_special(path):
            lines.append("%dir " + quoted)
    return lines


def _walk(root: Path) -> Iterator[tuple[Path, bool]]:
    for parent, folders, files in os.walk(root):
        for name in sorted(folders + files):
            path = Path(parent, name)
            yield path, path.is_dir() and not path.is_symlink()


def _is_special(folder: Path) -> bool:
    status = folder.stat()
    plain = stat.S_IMODE(status.st_mode) == 0o755 and not status.st_uid and not status.st_gid
    return not plain or not any(folder.iterdir())


def spec_text(deb: Deb, requires: Sequence[str], provides: Sequence[str], files: Sequence[str]) -> str:
    """The spec of the converted package."""
    summary = deb.fields.get("Description", deb.name).splitlines()[0].replace("%", "%%")
    lines = [
        f"Name: {deb.name}",
        f"Version: {deb.evr.version}",
        f"Release: {deb.evr.release or '1'}",
        *([f"Epoch: {deb.evr.epoch}"] if deb.evr.epoch else []),
        f"Summary: {summary}",
        "License: see-copyright",
        "AutoReqProv: no",
        f"BuildArch: {deb.architecture}",
        "Requires(pre): filesystem",
        *(f"Requires: {name}" for name in requires),
        *(f"Requires(post): {name}" for name in post_requires(deb.name) if name != deb.name),
        *(f"Provides: {name}" for name in dict.fromkeys([*provides, *PROVIDES.get(deb.name, [])])),
        "%description",
        f"Converted from {deb.path.name}.",
    ]
    if script := POST.get(deb.name):
        lines += ["%post", script.rstrip("\n")]
    return "\n".join([*lines, "%files", *files]) + "\n"
