"""Which portable CPython the manifest means, what it is, and having it in the store."""

from __future__ import annotations

import json
from pathlib import Path

from builder.libc import folder_floor
from builder.manifest import LoadedManifest
from builder.portable.build import build_portable
from builder.tarball import unpacked
from payload.digest import Digest, digest_file
from payload.effects import run
from payload.errors import CommandError, InputError, ResolveError
from payload.events import Sink, stage
from payload.lock import LockedPython
from payload.manifest import Runtime
from payload.model import PYTHON_FOLDER
from payload.store import Store
from payload.version import parse_version
from repos.sync import Download, Fetcher

_ASK = """\
import ctypes, json, platform, sqlite3, ssl, sys, venv, zlib
print(json.dumps([sys.implementation.name, platform.python_version(), platform.machine()]))
"""


def lock_python(loaded: LoadedManifest, store: Store, sink: Sink) -> LockedPython | None:
    """The portable Python that the manifest asks for, in the store; None if the host's is wanted.

    Raises:
        InputError: a given archive is not what the manifest says, or holds no usable Python.
        ResolveError: it cannot be downloaded or built.
    """
    wanted = loaded.manifest.runtime
    if wanted.python == "host":
        return None
    digest = _obtain(wanted, loaded.folder, store, sink)
    version, libc = examine(store.path(digest))
    return LockedPython(version=parse_version(version), libc=libc, digest=digest)


def fetch_python(loaded: LoadedManifest, locked: LockedPython | None, store: Store, sink: Sink) -> None:
    """Have the locked Python in the store.

    Raises:
        InputError, ResolveError: as `lock_python`; or what came is another one.
    """
    if locked is not None and not store.has(locked.digest):
        found = _obtain(loaded.manifest.runtime, loaded.folder, store, sink)
        if found != locked.digest:
            raise ResolveError(
                "python-differs",
                "the portable Python is not the one that was locked",
                details=f"locked {locked.digest}\nfound  {found}",
                remedy=f"run: sealift lock {loaded.path}",
            )


def examine(archive: Path) -> tuple[str, str]:
    """The version of the CPython in `archive`, and the oldest glibc that it starts on.

    Raises:
        InputError: there is no usable CPython at `python/bin/python3`.
        ResolveError: one of its programs is malformed.
    """
    with unpacked(archive) as folder:
        python = folder / PYTHON_FOLDER / "bin/python3"
        try:
            name, version, machine = json.loads(run([python, "-I", "-B", "-c", _ASK], timeout=60).output)
        except CommandError as error:
            raise _unusable(archive, error.details) from error
        if (name, machine) != ("cpython", "x86_64"):
            raise _unusable(archive, f"{python.name} is {name} for {machine}")
        return str(version), folder_floor(folder)


def _unusable(archive: Path, why: str) -> InputError:
    return InputError(
        "python-unusable",
        f"{archive.name} holds no usable Python",
        details=why,
        remedy="it must be a .tar.gz with a CPython for x86_64 at python/bin/python3, as the install_only archives of "
        "python-build-standalone are",
    )


def _obtain(wanted: Runtime, folder: Path, store: Store, sink: Sink) -> Digest:
    if wanted.path is None and wanted.url is None:
        return build_portable(store, sink)
    digest = f"sha256:{wanted.sha256}"
    if wanted.path is not None:
        return _take(folder / wanted.path, digest, store)
    if wanted.url is not None and not store.has(digest):
        with stage(sink, "python", f"fetch {wanted.url}"):
            Fetcher(store, sink).fetch([Download((wanted.url,), digest)], stage="python", text="fetch Python")
    return digest


def _take(file: Path, digest: Digest, store: Store) -> Digest:
    if (found := digest_file(file)) != digest:
        raise InputError(
            "python-differs",
            f"{file.name} is not what the manifest says",
            details=f"manifest {digest}\nfile     {found}",
            remedy="correct runtime.sha256, or bring the right file",
        )
    return store.add_file(file)
