"""Building the wheel of a local Python project, from a clean copy of its sources."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from packaging.utils import parse_wheel_filename

from builder.memo import Made, recall, remember
from builder.sources.pip import pip
from builder.targets import WheelTarget
from payload.digest import Digest, digest_bytes, digest_file
from payload.errors import ResolveError
from payload.store import Store

_NO_SOURCES = (
    ".*",
    "__pycache__",
    "*.pyc",
    "*.egg-info",
    "build",
    "dist",
    "venv",
    "node_modules",
    "*.lock",
    "*.bin",
    "*.partial",
    "*.qcow2",
)
"""What lies in a project's folder without being part of it: outputs, caches, and the lock that names its digest."""
_EPOCH = "315532800"
"""1980-01-01, the oldest time of a ZIP file: the same sources give the same wheel."""


@dataclass(frozen=True, slots=True)
class BuiltWheel:
    """A project's wheel in the store, and the digest of the sources it came from."""

    name: str
    version: str
    filename: str
    digest: Digest
    sources: Digest


def sources_digest(project: Path) -> Digest:
    """The digest of a project's sources: names, executable bits and contents."""
    rows = (
        f"{path.relative_to(project)}\0{bool(path.stat().st_mode & 0o100)}\0{digest_file(path)}\n"
        for path in _sources(project)
    )
    return digest_bytes("".join(rows).encode())


def build_wheel(project: Path, *, target: WheelTarget, store: Store) -> BuiltWheel:
    """The wheel of `project`, built unless the store has the one of the same sources.

    Raises:
        ResolveError: it cannot be built.
    """
    sources = sources_digest(project)
    inputs = f"wheel 1\n{sources}\n{target.python}\n{_EPOCH}\n".encode()
    made = recall(store, inputs)
    if made is None:
        made = _build(project, target.interpreter, store)
        remember(store, inputs, made)
    name, version, _, _ = parse_wheel_filename(made.filename)
    return BuiltWheel(name, str(version), made.filename, made.digest, sources)


def _build(project: Path, interpreter: Path | None, store: Store) -> Made:
    with tempfile.TemporaryDirectory(prefix="sealift-wheel-") as scratch:
        # Build backends leave files in the folder they build, which then get into the next wheel.
        copy, out = Path(scratch, "sources", project.resolve().name), Path(scratch, "out")
        for path in _sources(project):
            target = copy / path.relative_to(project)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            target.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        pip(
            ["wheel", "--no-deps", "--wheel-dir", out, copy],
            interpreter=interpreter,
            what=f"build the wheel of {project}",
            env={"SOURCE_DATE_EPOCH": _EPOCH},
        )
        wheels = list(out.glob("*.whl"))
        if len(wheels) != 1:
            raise ResolveError("wheel-missing", f"building {project} made {len(wheels)} wheels instead of one")
        return Made(filename=wheels[0].name, digest=store.add_file(wheels[0]))


def _sources(project: Path) -> Iterator[Path]:
    """The files of `project` in order; a folder with a pyproject.toml of its own is another project."""
    for path in sorted(project.iterdir()):
        if any(fnmatch(path.name, pattern) for pattern in _NO_SOURCES):
            continue
        if path.is_file():
            yield path
        elif path.is_dir() and not path.is_symlink() and not (path / "pyproject.toml").is_file():
            yield from _sources(path)
