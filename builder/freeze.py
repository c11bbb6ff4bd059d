"""The frozen runtime: the installer with its Python and libraries, made by PyInstaller, packed as `runtime.tar.gz`.

It is the same for every product, so it is made once and kept in the store, found by the digest of what goes in.
"""

from __future__ import annotations

import importlib.metadata
import io
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from builder.libc import files_above, libc_floor
from builder.memo import Made, recall, remember
from builder.sources.pip import pip
from builder.tarball import pack_folder, unpacked
from builder.targets import portable_target
from payload.digest import digest_file
from payload.effects import run
from payload.errors import CommandError, ResolveError
from payload.events import Sink, stage
from payload.lock import LockedPython
from payload.model import PYTHON_FOLDER
from payload.store import Store
from payload.texts import PROGRAM

_ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = Path(__file__).with_name("portable") / "requirements.txt"
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
import gc, os
gc.set_threshold(100_000)  # loading modules makes no garbage: looking for it takes a tenth of the start
os.environ.setdefault("TYPER_USE_RICH", "0")  # plain help: the rich one needs what is left out
"""


def freeze(store: Store, sink: Sink, python: LockedPython | None) -> Path:
    """The runtime of this version of Sealift, from the store or newly made: by the Python that runs this, or by the
    portable one `python`, which must be in the store.

    Raises:
        ResolveError: PyInstaller or what it needs is missing, or the result does not start.
    """
    inputs = runtime_inputs(python)
    made = recall(store, inputs)
    if made is None:
        with (
            stage(sink, "runtime", "freeze the installer's runtime"),
            tempfile.TemporaryDirectory(prefix="sealift-freeze-") as scratch,
        ):
            with _interpreter(store, python) as interpreter:
                folder = _pyinstaller(interpreter, Path(scratch))
            (folder / _HELP).write_text(_try(folder), encoding="utf-8")
            if python is not None:
                _check_floor(folder, python)
            packed = Path(scratch, "runtime.tar.gz")
            pack_folder(folder, packed)
            made = Made(filename=packed.name, digest=store.add_file(packed))
            remember(store, inputs, made)
    return store.path(made.digest)


@dataclass(frozen=True, slots=True)
class RuntimeNeeds:
    """What a runtime needs of a host: bytes on disk, and the oldest glibc that it starts on.

    `help` is what it prints for `--help`; `payload.texts.PROGRAM` in it stands for the bundle's name.
    """

    space: int
    libc: str
    help: str


def measure(runtime: Path) -> RuntimeNeeds:
    """What the packed runtime needs and says, in one pass.

    Raises:
        ResolveError: one of its programs is malformed, or it has no help.
    """
    space, said = 0, None

    def files(archive: tarfile.TarFile) -> Iterator[tuple[str, BinaryIO]]:
        nonlocal space, said
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            space += -(-member.size // _BLOCK) * _BLOCK if content else _BLOCK
            if content:
                plain = content.read()
                said = plain.decode() if member.name == _HELP else said
                yield member.name, io.BytesIO(plain)

    with tarfile.open(runtime, "r:gz") as archive:
        libc = libc_floor(files(archive))
    if said is None:
        raise ResolveError("runtime-broken", "the frozen runtime has no help", remedy="remove it from the store")
    return RuntimeNeeds(space, libc, said)


def runtime_inputs(python: LockedPython | None) -> bytes:
    """All that the runtime is made from: our sources, the libraries, the interpreter, and how it is called."""
    if python is None:
        found = importlib.metadata.distributions()
        made_by = [sys.version, *sorted(f"{each.name}=={each.version}" for each in found)]
    else:
        made_by = [python.digest, REQUIREMENTS.read_text(encoding="utf-8")]
    sources = (f"{path.relative_to(_ROOT)} {digest_file(path)}" for path in _sources())
    arguments = [str(word) for word in _arguments(Path("scratch"))]
    return "\n".join(["runtime 3", *made_by, *sources, *arguments, _HOOK]).encode()


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


@dataclass(frozen=True, slots=True)
class _Interpreter:
    """A Python that has PyInstaller and the libraries. `libraries`: where it has shared ones of its own."""

    program: Path
    libraries: Path | None


@contextmanager
def _interpreter(store: Store, python: LockedPython | None) -> Iterator[_Interpreter]:
    if python is None:
        yield _Interpreter(Path(sys.executable), None)
        return
    with unpacked(store.path(python.digest)) as folder:
        home = folder / PYTHON_FOLDER
        program = home / "bin/python3"
        target = portable_target(python, program)
        packages = home / "lib" / f"python{target.python}" / "site-packages"
        options = ["--no-deps", "--require-hashes", "--no-compile", "--upgrade", "--target", str(packages)]
        options += ["--requirement", str(REQUIREMENTS), *target.options]
        pip(["install", *options], interpreter=program, what="install what the runtime is made of")
        yield _Interpreter(program, home / "lib")


def _pyinstaller(interpreter: _Interpreter, scratch: Path) -> Path:
    (scratch / "hook.py").write_text(_HOOK, encoding="utf-8")
    environment = {
        "PYTHONPATH": str(_ROOT),
        "PYTHONHASHSEED": "1",
        "SOURCE_DATE_EPOCH": str(_EPOCH),
        "PYINSTALLER_CONFIG_DIR": str(scratch / "cache"),
    }
    if interpreter.libraries is not None:
        environment["LD_LIBRARY_PATH"] = str(interpreter.libraries)  # else it takes this machine's libgcc_s
    try:
        run([interpreter.program, "-m", "PyInstaller", *_arguments(scratch)], env=environment)
    except CommandError as error:
        raise ResolveError(
            "freeze-failed",
            "PyInstaller could not freeze the installer's runtime",
            details=error.details,
            remedy="it needs binutils and Python's shared library: apt-get install binutils libpython3.11",
        ) from error
    return scratch / "dist" / _NAME


def _check_floor(folder: Path, python: LockedPython) -> None:
    """Libraries of the machine that builds must not come along: they need its glibc."""
    if newer := files_above(folder, python.libc):
        raise ResolveError(
            "runtime-floor",
            f"the runtime would need a newer glibc than {python.libc}, which its Python needs",
            details="\n".join(f"{name}: glibc {floor}" for name, floor in newer),
            remedy="if they are libraries of this machine: use the Python that `sealift runtime build` makes",
        )


def _try(folder: Path) -> str:
    """A runtime that does not start must not get into a bundle. Returns its help, which the stub prints without it."""
    try:
        shown = run([folder / _NAME, "--help"], env={"SEALIFT_BUNDLE": f"/{PROGRAM}"}, timeout=60)
        run([folder / _NAME, "--product", "try", "--help"], timeout=60)
    except CommandError as error:
        raise ResolveError("runtime-broken", "the frozen runtime does not start", details=error.details) from error
    return shown.output
