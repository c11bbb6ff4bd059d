"""The product's own SSH key: made once, kept for ever, and let in where the manifest says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typing_extensions import override

from installer.steps.base import Host, Step, register
from installer.steps.saved import SavedFiles, missing_parents, owner_ids, remove_empty, save
from installer.writing import write_file
from payload.effects import remove_leftovers
from payload.errors import StepError


@dataclass(frozen=True, slots=True)
class Admission:
    """Whose authorized_keys gets the public key. `marker` is the key's comment: it says whose line it is."""

    user: str
    authorized_keys: Path
    marker: str


@dataclass(frozen=True, slots=True)
class KeyBefore:
    """Undo data."""

    existed: bool
    had_line: bool = False
    folders: tuple[Path, ...] = ()
    """Folders that were not there, deepest first."""
    had_file: bool = True
    had_public: bool = True
    """Of a key that existed: its public half lay beside it."""


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class MakeSshKey(Step[KeyBefore]):
    """Make an Ed25519 pair at `key` (0600) unless there is one; add its public half to an authorized_keys."""

    kind: ClassVar[str] = "ssh-key"
    undo_type: ClassVar[type[Any]] = KeyBefore
    key: Path
    user: str
    comment: str
    admission: Admission | None = None

    @override
    def describe(self) -> str:
        where = f", let in by {self.admission.authorized_keys}" if self.admission else ""
        return f"SSH key {self.key}{where}"

    @override
    def undone(self) -> str:
        line = f", and its line in {self.admission.authorized_keys}" if self.admission else ""
        return f"remove what is new: the key{line}"

    @override
    def prepare(self, host: Host) -> KeyBefore:
        file = self.admission.authorized_keys if self.admission else None
        folders = missing_parents(self.key.parent) + (missing_parents(file.parent) if file else ())
        had_line = bool(self.admission and marked_lines(self.admission))
        had_file = file is None or file.exists()
        return KeyBefore(self.key.exists(), had_line, folders, had_file, _public(self.key).exists())

    @override
    def apply(self, host: Host, undo: KeyBefore) -> None:
        owner = owner_ids(self.user)
        for folder in reversed(missing_parents(self.key.parent)):
            folder.mkdir(mode=0o700)
            os.chown(folder, *owner)
        if not self.key.exists():
            write_file(self.key, _new_private_key(), mode=0o600, owner=owner)
        line = _public_line(self.key, self.comment)
        write_file(_public(self.key), f"{line}\n".encode(), mode=0o644, owner=owner)
        if self.admission:
            admit(self.admission, _public_line(self.key, self.admission.marker))

    @override
    def undo(self, undo: KeyBefore, host: Host) -> None:
        for path in (self.key, _public(self.key), *([self.admission.authorized_keys] if self.admission else [])):
            remove_leftovers(path)
        if self.admission and not undo.had_line:
            revoke(self.admission)
            if not undo.had_file and not _lines(self.admission.authorized_keys):
                self.admission.authorized_keys.unlink(missing_ok=True)
        if not undo.existed:
            self.key.unlink(missing_ok=True)
        if not (undo.existed and undo.had_public):
            _public(self.key).unlink(missing_ok=True)
        remove_empty(undo.folders)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeSshKey(Step[SavedFiles]):
    """Take the product's line out of an authorized_keys; other lines stay as they are."""

    kind: ClassVar[str] = "ssh-revoke"
    undo_type: ClassVar[type[Any]] = SavedFiles
    admission: Admission

    @override
    def describe(self) -> str:
        return f"remove the product's key from {self.admission.authorized_keys}"

    @override
    def undone(self) -> str:
        return "add its line again"

    @override
    def prepare(self, host: Host) -> SavedFiles:
        lines = marked_lines(self.admission)
        (host.scratch / "line").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return save([], host.scratch)

    @override
    def apply(self, host: Host, undo: SavedFiles) -> None:
        revoke(self.admission)

    @override
    def undo(self, undo: SavedFiles, host: Host) -> None:
        remove_leftovers(self.admission.authorized_keys)
        for line in (host.scratch / "line").read_text(encoding="utf-8").splitlines():
            admit(self.admission, line)


def marked_lines(admission: Admission) -> tuple[str, ...]:
    """The product's lines."""
    return tuple(line for line in _lines(admission.authorized_keys) if line.endswith(f" {admission.marker}"))


def admit(admission: Admission, line: str) -> None:
    """Make `line` the one line of the product, at its end; the file stays its owner's, 0600."""
    if marked_lines(admission) == (line,):
        return
    file = admission.authorized_keys
    uid, gid = owner_ids(admission.user)
    if not file.parent.exists():
        file.parent.mkdir(mode=0o700, parents=True)
        os.chown(file.parent, uid, gid)
    others = [each for each in _lines(file) if not each.endswith(f" {admission.marker}")]
    write_file(file, "".join(f"{each}\n" for each in (*others, line)).encode(), mode=_mode(file), owner=(uid, gid))


def revoke(admission: Admission) -> None:
    """Remove the product's lines, and a file that had nothing else; nothing there is fine."""
    file = admission.authorized_keys
    if not marked_lines(admission):
        return
    others = [each for each in _lines(file) if not each.endswith(f" {admission.marker}")]
    if not others:
        file.unlink()
        return
    owner = (file.stat().st_uid, file.stat().st_gid)
    write_file(file, "".join(f"{each}\n" for each in others).encode(), mode=_mode(file), owner=owner)


def _mode(file: Path) -> int:
    return file.stat().st_mode & 0o777 if file.exists() else 0o600


def _lines(file: Path) -> tuple[str, ...]:
    return tuple(file.read_text(encoding="utf-8").splitlines()) if file.exists() else ()


def _public(key: Path) -> Path:
    return key.with_name(f"{key.name}.pub")


def _new_private_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )


def _public_line(key: Path, comment: str) -> str:
    try:
        private = serialization.load_ssh_private_key(key.read_bytes(), password=None)
    except ValueError as error:
        raise StepError(
            "ssh-key-unreadable",
            f"{key} is there, but is no SSH private key without passphrase",
            details=str(error),
            remedy="move it away: a new one is made then",
        ) from error
    public = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return f"{public.decode()} {comment}"
