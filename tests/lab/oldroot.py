"""A root with a real glibc 2.17 and busybox, without any Python: what an EL7 is for a program that starts there.

Its C library is the one that the compiler of the portable Python brings: gcc's sysroot in the wheel ppbt.
"""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from builder.portable.sources import LIST, fetch_sources, sources
from payload.store import Store
from tests.lab.cache import Cache, code_digest, digest_of
from tests.lab.process import run

_TOOLCHAIN = "ppbt/_toolchain/x86_64-linux-gnu.tar.xz"
_SYSROOT = "x86_64-linux-gnu/x86_64-linux-gnu/sysroot"
_LEFT_OUT = ("libstdc++", "libitm", "libatomic", "libgcc_s")
"""Not of glibc; a minimal host may lack them."""
_FILES = {
    "etc/os-release": 'ID=old\nID_LIKE="rhel"\nPRETTY_NAME="glibc 2.17"\n',
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


def old_root(cache: Cache) -> Path:
    """The folder with the root, made once."""
    listed = LIST.read_text(encoding="utf-8")
    return cache.item("oldroot", digest_of(listed, code_digest("oldroot.py")), _make)


@contextmanager
def entered(root: Path, scratch: Path) -> Iterator[Path]:
    """A writable copy of `root` at `scratch`: a mount of its own with /proc and devices, as a host's is."""
    shutil.copytree(root, scratch, symlinks=True)
    with ExitStack() as mounts:
        for source, place, *options in _mounts(scratch):
            run(["mount", *options, source, scratch / place])
            mounts.callback(run, ["umount", scratch / place])
        yield scratch


def _mounts(scratch: Path) -> tuple[tuple[str, ...], ...]:
    return (str(scratch), ".", "--bind"), ("proc", "proc", "-t", "proc"), ("/dev", "dev", "--bind")


def _make(folder: Path) -> None:
    for name in ("bin", "dev", "proc", "root", "run", "usr/bin", "usr/local/bin", "usr/lib64", "etc", "var/tmp"):
        (folder / name).mkdir(parents=True)
    (folder / "tmp").mkdir()
    for name in ("tmp", "var/tmp"):
        (folder / name).chmod(0o1777)
    (folder / "lib64").symlink_to("usr/lib64")
    (folder / "sbin").symlink_to("bin")
    for name, text in _FILES.items():
        (folder / name).write_text(text)
    scratch = folder / "scratch"
    _take_libraries(_sysroot(scratch), folder)
    run(["rm", "-rf", scratch])
    shutil.copy("/usr/bin/busybox", folder / "bin/busybox")
    run(["chroot", folder, "/bin/busybox", "--install", "-s", "/bin"])


def _sysroot(scratch: Path) -> Path:
    compiler = next(source for source in sources(LIST.read_text(encoding="utf-8")) if source.name.startswith("ppbt-"))
    store = Store()
    fetch_sources((compiler,), store)
    with zipfile.ZipFile(store.path(compiler.digest)) as wheel:
        wheel.extract(_TOOLCHAIN, scratch)
    with tarfile.open(scratch / _TOOLCHAIN) as toolchain:
        wanted = (f"{_SYSROOT}/lib/", f"{_SYSROOT}/usr/bin/getent")
        toolchain.extractall(scratch, members=(each for each in toolchain if each.name.startswith(wanted)))
    return scratch / _SYSROOT


def _take_libraries(sysroot: Path, folder: Path) -> None:
    for path in (sysroot / "lib").glob("*.so*"):
        if not path.name.startswith(_LEFT_OUT):
            shutil.copy2(path, folder / "usr/lib64" / path.name, follow_symlinks=False)
    shutil.copy2(sysroot / "usr/bin/getent", folder / "usr/bin/getent")
    # rpm is linked with it, so each such host has it; PyInstaller's start-up program is as well. Needs glibc 2.14.
    shutil.copy("/lib/x86_64-linux-gnu/libz.so.1", folder / "usr/lib64/libz.so.1")
