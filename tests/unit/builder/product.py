"""A small product that is whole, and the makers of what it needs."""

from __future__ import annotations

import hashlib
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

from builder.freeze import runtime_inputs
from builder.memo import Made, remember
from builder.tarball import pack_folder
from payload.store import Store

MANIFEST = """\
[product]
name = "demo"
version = "1.1.0"
title = "Demo"
upgrades-from = ">=1.0,<1.1"

[[targets]]
os = ["el", "debian"]
python = ">=3.11"

[server]
requirements = ["./app", "base-lib>=1"]
commands = ["demo"]
units = ["units/demo.service.j2"]
config = [{ template = "config/demo.toml.j2", path = "demo.toml" }]
migrate = ["{{ venv }}/bin/demo", "migrate"]

[[agents]]
name = "console"
requirement = "base-lib"
on = "hosts"

[[images]]
name = "trial"
path = "trial.qcow2"
embed = true

[[images]]
name = "far"
url = "http://images.invalid/far.qcow2"
sha256 = "%s"
size = 1000
virtual-size = 2000

[[answers]]
name = "port"
prompt = "Port"
default = 8080
""" % ("ab" * 32)

PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "demo-app"
version = "1.1.0"
dependencies = ["other-lib"]
"""

BACKEND = '''\
"""A build backend that needs nothing: the tests build without an index."""
import pathlib, zipfile

def _metadata():
    return "Metadata-Version: 2.1\\nName: demo-app\\nVersion: 1.1.0\\nRequires-Dist: other-lib\\n"

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "demo_app-1.1.0-py3-none-any.whl"
    pathlib.Path("left-behind").write_text("as real backends do")
    with zipfile.ZipFile(pathlib.Path(wheel_directory, name), "w") as out:
        for file, text in (
            ("demo_app.py", pathlib.Path("demo_app.py").read_text()),
            ("demo_app-1.1.0.dist-info/METADATA", _metadata()),
            ("demo_app-1.1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"),
            ("demo_app-1.1.0.dist-info/RECORD", ""),
        ):
            out.writestr(zipfile.ZipInfo(file, (1980, 1, 1, 0, 0, 0)), text)
    return name
'''


@dataclass(frozen=True)
class Site:
    """Where the product is, and the store of the test."""

    folder: Path
    store: Store

    @property
    def manifest(self) -> Path:
        return self.folder / "bundle.toml"

    def rewrite(self, old: str, new: str) -> None:
        """Change the manifest's text."""
        text = self.manifest.read_text()
        assert old in text
        self.manifest.write_text(text.replace(old, new))


def write_wheel(folder: Path, name: str, version: str, *requires: str, tag: str = "py3-none-any") -> Path:
    """A wheel with no code in it."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-{tag}.whl"
    needs = "".join(f"Requires-Dist: {item}\n" for item in requires)
    with zipfile.ZipFile(path, "w") as out:
        out.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
        out.writestr(f"{stem}.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        out.writestr(f"{stem}.dist-info/RECORD", "")
    return path


def qcow2(virtual: int = 4096, *, version: int = 3, backing: int = 0, bits: int = 16, features: int = 0) -> bytes:
    """The first bytes of a qcow2 image, and some more."""
    fixed = struct.pack(">4sIQIIQ", b"QFI\xfb", version, backing, 8 if backing else 0, bits, virtual)
    return fixed.ljust(72, b"\0") + struct.pack(">Q", features) + bytes(1000)


def sha256(path: Path) -> str:
    """A file's digest in the project's form."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def stand_in_runtime(site: Site, folder: Path) -> Path:
    """Have a shell script in the store as the frozen runtime, so that a build need not freeze one."""
    (folder / "runtime").mkdir()
    program = folder / "runtime/sealift-runtime"
    program.write_text('#!/bin/sh\necho "runtime of $SEALIFT_BUNDLE called with $#: $*"\n')
    program.chmod(0o755)
    (folder / "runtime/help.txt").write_text("Usage: bash @program@\n")
    packed = folder / "runtime.tar.gz"
    pack_folder(folder / "runtime", packed)
    remember(site.store, runtime_inputs(None), Made(filename=packed.name, digest=site.store.add_file(packed)))
    return packed


def write_index(folder: Path) -> None:
    """The wheels that the product can have."""
    write_wheel(folder, "base-lib", "1.0")
    write_wheel(folder, "base-lib", "1.2", "other-lib>=2")
    write_wheel(folder, "other-lib", "2.0", "only-on-windows; sys_platform == 'win32'")
    write_wheel(folder, "other-lib", "3.0", tag="cp311-cp311-manylinux_2_39_x86_64")
    write_wheel(folder, "pip", "25.3")


def write_product(folder: Path) -> None:
    """The product's manifest and all that it names."""
    for name in ("app", "units", "config"):
        (folder / name).mkdir(parents=True)
    (folder / "bundle.toml").write_text(MANIFEST)
    (folder / "app/pyproject.toml").write_text(PROJECT)
    (folder / "app/backend.py").write_text(BACKEND)
    (folder / "app/demo_app.py").write_text("print('demo')\n")
    (folder / "units/demo.service.j2").write_text("[Service]\nExecStart={{ venv }}/bin/demo\nUser={{ user }}\n")
    (folder / "config/demo.toml.j2").write_text("port = {{ answers.port }}\n")
    (folder / "trial.qcow2").write_bytes(qcow2())
