"""A small product, bundled for real: a wheel with a command, configuration, a database, a unit, a key, an image."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import random
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.delta import OneHost, open_bases, reduce
from builder.pack import add_tree
from builder.stage import Staged
from payload import effects
from payload.errors import CommandError
from payload.events import NullSink
from payload.lock import Lock, LockedImage, LockedWheel
from payload.manifest import Manifest
from payload.signing import PrivateKey
from payload.trust import Keyring
from payload.writer import BundleWriter

IMAGE = b"QFI\xfb" + bytes(3000)
MODULE = """
import pathlib, sqlite3, sys

VERSION = "{version}"

def main():
    word, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    if word == "rehearse":
        sqlite3.connect(folder).execute("insert into log values ('rehearsed')").connection.commit()
        sys.exit("the rehearsal was made to fail" if (folder.parents[1] / "fail-rehearse").exists() else 0)
    elsewhere = folder / "elsewhere"
    database = sqlite3.connect((elsewhere if elsewhere.is_dir() else folder) / "app.sqlite")
    if word == "migrate":
        database.execute("create table if not exists log (what text)")
        database.execute("insert into log values (?)", ("migrated to " + VERSION,))
        database.commit()
        if (folder / "fail-migrate").exists():
            sys.exit("the migration was made to fail")
    elif word == "downgrade":
        database.execute("insert into log values (?)", (VERSION + " goes back to " + sys.argv[3],))
        database.commit()
    elif word == "setup":
        secret = sys.stdin.readline().strip()
        if (folder / "fail-setup").exists():
            sys.exit("setup was made to fail with " + secret)
        database.execute("insert into log values (?)", ("set up with %d characters" % len(secret),))
        database.commit()
"""
UNIT = """[Unit]
Description={{ title }}
[Service]
ExecStart={{ current }}/venv/bin/app-admin serve {{ data_dir }}
User={{ user }}
[Install]
WantedBy=multi-user.target
"""
CONFIG = """# {{ product }}
port = {{ answers.port }}
new_in = "%s"
"""


def wheel(version: str) -> tuple[str, bytes]:
    """A wheel with the console script `app-admin`."""
    info = f"app-{version}.dist-info"
    files = {
        "app_tool.py": MODULE.format(version=version),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: app\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\napp-admin = app_tool:main\n",
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        record += f"{name},sha256={digest},{len(text.encode())}\n"
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text)
    return f"app-{version}-py3-none-any.whl", out.getvalue()


def pip_wheel() -> Path:
    """The pip that Debian's python3-venv brings."""
    return next(Path("/usr/share/python-wheels").glob("pip-*.whl"))


def manifest(version: str, system: str) -> Manifest:
    """The product's manifest."""
    document: dict[str, Any] = {
        "product": {"name": "app", "version": version, "title": "App", "upgrades_from": ">=1.0,<2"},
        "targets": [{"os": [system], "python": ">=3.9"}],
        "server": {
            "requirements": ["app"],
            "user": "root",
            "commands": ["app-admin"],
            "units": ["units/app.service.j2"],
            "config": [{"template": "config/app.toml.j2", "path": "app.toml"}],
            "database": {"path": "app.sqlite"},
            "migrate": ["app-admin", "migrate", "{{ data_dir }}"],
            "rehearse": ["app-admin", "rehearse", "{{ database }}"],
            "downgrade": ["app-admin", "downgrade", "{{ data_dir }}", "{{ downgrade_to }}"],
            "setup": [{"command": ["app-admin", "setup", "{{ data_dir }}"], "stdin": "admin_password"}],
        },
        "images": [
            {"name": "small", "path": "small.qcow2", "embed": True},
            {"name": "big", "url": "https://images.example/big", "sha256": "1" * 64, "size": 9, "virtual_size": 99},
        ],
        "answers": [
            {"name": "port", "prompt": "Port", "default": 8080},
            {"name": "admin_password", "prompt": "Password", "secret": True, "generate": 20},
        ],
        "ssh_keys": [{"path": "ssh/id_ed25519"}],
    }
    return Manifest.model_validate(document)


def large_file(version: str) -> bytes:
    """Half a megabyte that nothing compresses, of which each version changes a little."""
    content = random.Random(1).randbytes(500_000)
    return content[:250_000] + version.encode() + content[250_000:]


def build(
    folder: Path,
    key: PrivateKey,
    version: str,
    system: str,
    *,
    config: str = "1.0",
    bases: Sequence[Path] = (),
    host: OneHost | None = None,
) -> Path:
    """Bundle the product; with `bases` or for one `host` as an upgrade bundle."""
    path = folder / f"app-{'upgrade' if bases or host else 'installer'}-{version}.bin"
    name, content = wheel(version)
    pip = pip_wheel()
    zero = "sha256:" + "0" * 64
    image_digest = "sha256:" + hashlib.sha256(IMAGE).hexdigest()
    lock = Lock(
        manifest=zero,
        rpms=(),
        wheels=(),
        pip=LockedWheel(environment="tools", name="pip", version="23", filename=pip.name, digest=zero, source="index"),
        images=(
            LockedImage(name="small", digest=image_digest, size=len(IMAGE), virtual_size=1 << 20),
            LockedImage(name="big", digest="sha256:" + "1" * 64, size=9, virtual_size=99),
        ),
    )
    pinned = f"app=={version} --hash=sha256:{hashlib.sha256(content).hexdigest()}\n"
    tree = (
        Staged(content, f"wheels/server/{name}", "server"),
        Staged(pinned.encode(), "wheels/server/requirements.txt", "server"),
        Staged(pip, f"tools/{pip.name}", "tools"),
        Staged(UNIT.encode(), "templates/units/app.service.j2", "templates"),
        Staged((CONFIG % config).encode(), "templates/config/app.toml.j2", "templates"),
        Staged(IMAGE, "images/small.qcow2", "images/small"),
        Staged(large_file(version), "tools/large.data", "tools"),
    )
    scratch = folder / f"scratch-{path.name}"
    scratch.mkdir()
    older = open_bases(bases, manifest(version, system))
    reduced = reduce(tree, older, host=host, scratch=scratch, sink=NullSink())
    with BundleWriter(path, stub=lambda section: b"#!/bin/sh\nexit 0\n", runtime=_runtime(folder)) as writer:
        add_tree(writer, tree, reduced, NullSink())
        writer.finish(
            manifest=manifest(version, system),
            lock=lock,
            created=0,
            keyring=Keyring(keys=(key.public,)),
            signers=[key],
            help="help",
            bases=reduced.bases,
        )
    return path


def _runtime(folder: Path) -> Path:
    path = folder / "runtime.tar.gz"
    with gzip.GzipFile(path, "wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("sealift-runtime")
        member.mode = 0o755
        archive.addfile(member, io.BytesIO(b""))
    return path


@dataclass
class FakeSystemd:
    """Stands for systemctl and journalctl; everything else is run for real."""

    active: set[str] = field(default_factory=set)
    enabled: set[str] = field(default_factory=set)
    refuses: bool = False
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def __call__(
        self,
        argv: tuple[str, ...],
        *,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float | None = None,
        check: bool = True,
        user: str | None = None,
    ) -> effects.Completed:
        self.calls.append(argv)
        if argv[0] == "journalctl":
            return effects.Completed(argv, 0, "app: the last line of the unit\n", "")
        if argv[0] != "systemctl":
            return effects.run(argv, stdin=stdin, env=env, cwd=cwd, timeout=timeout, check=check, user=user)
        return self._systemctl(argv)

    def _systemctl(self, argv: tuple[str, ...]) -> effects.Completed:
        word, units = argv[1], set(argv[2:])
        output = ""
        match word:
            case "start":
                if self.refuses:
                    self.refuses = False
                    raise CommandError(argv, 1, "made to fail")
                self.active |= units
            case "stop":
                self.active -= units
            case "enable":
                self.enabled |= units
            case "disable":
                self.enabled -= units
            case "is-active":
                output = "\n".join("active" if unit in self.active else "inactive" for unit in argv[2:])
            case "is-enabled":
                output = "\n".join("enabled" if unit in self.enabled else "disabled" for unit in argv[2:])
            case "show":
                output = "loaded"
        return effects.Completed(argv, 0, output + "\n", "")
