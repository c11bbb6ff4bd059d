"""Signing keys and real packages, made once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from payload import effects
from tests.unit.repos.packages import Spec, build_rpm


@dataclass(frozen=True, slots=True)
class Signer:
    """A GPG key of a scratch home: `public` is its armored public half."""

    home: Path
    name: str
    public: Path

    def sign_rpm(self, *packages: Path) -> None:
        """Add this key's signature to RPM files."""
        defines = ["--define", f"_gpg_name {self.name}", "--define", "__gpg /usr/bin/gpg"]
        effects.run(["rpmsign", *defines, "--addsign", *packages], env={"GNUPGHOME": str(self.home)})

    def sign_file(self, path: Path) -> Path:
        """Make PATH.asc."""
        argv: list[str | Path] = [
            "gpg",
            "--batch",
            "--yes",
            "--local-user",
            self.name,
            "--armor",
            "--detach-sign",
            path,
        ]
        effects.run(argv, env={"GNUPGHOME": str(self.home)})
        return path.with_name(path.name + ".asc")


def _signer(folder: Path, name: str) -> Signer:
    home = folder / name
    home.mkdir(mode=0o700)
    env = {"GNUPGHOME": str(home)}
    argv = ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", f"{name} <{name}@example.org>", "rsa2048"]
    effects.run([*argv, "sign", "never"], env=env)
    public = folder / f"{name}.asc"
    public.write_text(effects.run(["gpg", "--armor", "--export", name], env=env).output)
    return Signer(home, name, public)


@pytest.fixture(scope="session")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Signer, Signer]]:
    """The upstream's key, and a stranger's."""
    folder = tmp_path_factory.mktemp("gpg")
    made = (_signer(folder, "upstream"), _signer(folder, "stranger"))
    yield made
    for signer in made:
        effects.run(["gpgconf", "--kill", "all"], env={"GNUPGHOME": str(signer.home)})


@pytest.fixture(scope="session")
def rpms(tmp_path_factory: pytest.TempPathFactory, signers: tuple[Signer, Signer]) -> dict[str, Path]:
    """Real packages by name: `tool` and the `library` it needs are signed by the upstream, `unsigned` is not, `foreign`
    is signed by the stranger."""
    folder = tmp_path_factory.mktemp("rpms")
    specs = (
        Spec("library", "1.2", release="3", epoch=1, provides=("library(api) = 2",)),
        Spec("tool", "2.0~rc1", requires=("library >= 1:1.0", "library(api)", "/bin/sh"), files=("/usr/bin/tool",)),
        Spec("unsigned", "1"),
        Spec("foreign", "1"),
    )
    built = {spec.name: build_rpm(spec, folder) for spec in specs}
    signers[0].sign_rpm(built["library"], built["tool"])
    signers[1].sign_rpm(built["foreign"])
    return built
