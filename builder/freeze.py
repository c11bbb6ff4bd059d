"""The frozen runtime: the installer with its Python and libraries, made by PyInstaller, packed as `runtime.tar.gz`.

It is the same for every product, so it is made once and kept in the store, found by the digest of what goes in.
"""

from __future__ import annotations

import gzip
import importlib.metadata
import io
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from builder.libc import libc_floor
from builder.memo import Made, recall, remember
from payload.digest import digest_file
from payload.effects import run
from payload.errors import CommandError, ResolveError
from payload.events import Sink, stage
from payload.store import Store
from payload.texts import PROGRAM

_ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("installer", "payload", "repos", "templates")
_NAME = "sealift-runtime"
_HELP = "help.txt"
_EPOCH = 315532800
"""1980-01-01: the runtime's own bytes depend on its inputs only, not on the product or the day."""

_BLOCK = 4096

_BUILDER_ONLY = ("createrepo_c", "solv", "PyInstaller", "pip", "setuptools", "tree_sitter", "tree_sitter_toml", "numpy")
_NEVER_USED = (
    # typer's and rich's ways to show Markdown, code and tracebacks: large, and slow to import
    *("pygments", "markdown_it", "mdurl", "rich.markdown", "rich.syntax", "rich.traceback", "typer.rich_utils"),
    # second implementations, and plugins of development tools
    *("zstandard._cffi", "zstandard.backend_cffi", "pycparser", "cffi", "pydantic.v1", "pydantic.mypy"),
    *("mypy", "mypyc", "hypothesis", "_pytest", "pytest", "IPython", "ast_serialize", "librt", "wheel"),
    # parts of the standard library that only a desktop or a developer needs
    *("tkinter", "unittest", "pydoc", "doctest", "lib2to3", "distutils", "pdb", "xmlrpc", "curses", "readline"),
    *("multiprocessing", "_codecs_cn", "_codecs_hk", "_codecs_jp", "_codecs_kr", "_codecs_tw", "_codecs_iso2022"),
)
_HOOK = """\
import os
os.environ.setdefault("TYPER_USE_RICH", "0")  # plain help: the rich one needs what is left out
"""


def freeze(store: Store, sink: Sink) -> Path:
    """The runtime of this version of Sealift, from the store or newly made.

    Raises:
        ResolveError: PyInstaller or what it needs is missing, or the result does not start.
    """
    inputs = runtime_inputs()
    made = recall(store, inputs)
    if made is None:
        with (
            stage(sink, "runtime", "freeze the installer's runtime"),
            tempfile.TemporaryDirectory(prefix="sealift-freeze-") as scratch,
        ):
            folder = _pyinstaller(Path(scratch))
            (folder / _HELP).write_text(_try(folder), encoding="utf-8")
            packed = Path(scratch, "runtime.tar.gz")
            pack_runtime(folder, packed)
            made = Made(filename=packed.name, digest=store.add_file(packed))
            remember(store, inputs, made)
    return store.path(made.digest)


def pack_runtime(folder: Path, target: Path) -> None:
    """Pack a folder so that the same contents give the same bytes: sorted, no times, no owners, no extra modes."""
    with (
        target.open("wb") as out,
        gzip.GzipFile(filename="", mode="wb", fileobj=out, compresslevel=9, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in sorted(folder.rglob("*")):
            member = archive.gettarinfo(path, arcname=str(path.relative_to(folder)))
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = _EPOCH
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            if member.isreg():
                with path.open("rb") as content:
                    archive.addfile(member, content)
            else:
                archive.addfile(member)


@dataclass(frozen=True, slots=True)
class RuntimeNeeds:
    """What a runtime needs of a host: bytes on disk, and the oldest glibc that it starts on."""

    space: int
    libc: str


def measure(runtime: Path) -> RuntimeNeeds:
    """What the packed runtime needs.

    Raises:
        ResolveError: one of its programs is malformed.
    """
    space = 0

    def files(archive: tarfile.TarFile) -> Iterator[tuple[str, BinaryIO]]:
        nonlocal space
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            space += -(-member.size // _BLOCK) * _BLOCK if content else _BLOCK
            if content:
                yield member.name, io.BytesIO(content.read())

    with tarfile.open(runtime, "r:gz") as archive:
        libc = libc_floor(files(archive))
    return RuntimeNeeds(space, libc)


def runtime_help(runtime: Path) -> str:
    """What the packed runtime prints for `--help`; `payload.texts.PROGRAM` stands for the bundle's name."""
    with tarfile.open(runtime, "r|gz") as archive:
        for member in archive:
            if member.name == _HELP and (content := archive.extractfile(member)) is not None:
                return content.read().decode()
    raise ResolveError("runtime-broken", "the frozen runtime has no help", remedy="remove it from the store")


def runtime_inputs() -> bytes:
    """All that the runtime is made from: our sources, the libraries, the interpreter, and how it is called."""
    libraries = sorted(f"{found.name}=={found.version}" for found in importlib.metadata.distributions())
    sources = (f"{path.relative_to(_ROOT)} {digest_file(path)}" for path in _sources())
    arguments = [str(word) for word in _arguments(Path("scratch"))]
    return "\n".join(["runtime 2", sys.version, *libraries, *sources, *arguments, _HOOK]).encode()


def _sources() -> Iterator[Path]:
    for package in _PACKAGES:
        for path in sorted((_ROOT / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _arguments(scratch: Path) -> list[str | Path]:
    excluded = [word for module in (*_BUILDER_ONLY, *_NEVER_USED) for word in ("--exclude-module", module)]
    folders: list[str | Path] = ["--distpath", scratch / "dist", "--workpath", scratch / "work", "--specpath", scratch]
    return [
        *("--noconfirm", "--onedir", "--strip", "--log-level", "WARN", "--name", _NAME),
        *folders,
        *("--paths", _ROOT, "--collect-data", "templates", "--collect-submodules", "installer"),
        *("--runtime-hook", scratch / "hook.py"),
        *excluded,
        _ROOT / "installer" / "__main__.py",
    ]


def _pyinstaller(scratch: Path) -> Path:
    (scratch / "hook.py").write_text(_HOOK, encoding="utf-8")
    environment = {
        "PYTHONPATH": str(_ROOT),
        "PYTHONHASHSEED": "1",
        "SOURCE_DATE_EPOCH": str(_EPOCH),
        "PYINSTALLER_CONFIG_DIR": str(scratch / "cache"),
    }
    try:
        run([sys.executable, "-m", "PyInstaller", *_arguments(scratch)], env=environment)
    except CommandError as error:
        raise ResolveError(
            "freeze-failed",
            "PyInstaller could not freeze the installer's runtime",
            details=error.details,
            remedy="it needs binutils and Python's shared library: apt-get install binutils libpython3.11",
        ) from error
    return scratch / "dist" / _NAME


def _try(folder: Path) -> str:
    """A runtime that does not start must not get into a bundle. Returns its help, which the stub prints without it."""
    try:
        shown = run([folder / _NAME, "--help"], env={"SEALIFT_BUNDLE": f"/{PROGRAM}"}, timeout=60)
        run([folder / _NAME, "--product", "try", "--help"], timeout=60)
    except CommandError as error:
        raise ResolveError("runtime-broken", "the frozen runtime does not start", details=error.details) from error
    return shown.output
