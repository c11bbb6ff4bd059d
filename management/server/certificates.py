"""The certificates of this install: an authority of its own, and what it has signed for this node.

The authority's key lets its holder be this server for everybody who trusts it: it never leaves the folder. Its
certificate `ca.pem` is for everybody.
"""

import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from management.server.commanderror import CommandError

AUTHORITY_LASTS = timedelta(days=20 * 365)
NODE_LASTS = timedelta(days=397)
RENEWED_BEFORE = timedelta(days=60)
# Clocks of clients may be behind, and this host's own may have been ahead. An authority is not made anew for that.
NODE_BACKDATED = timedelta(days=1)
AUTHORITY_BACKDATED = timedelta(days=20 * 365)


class CertificateError(CommandError):
    """The certificates cannot be used; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files in `folder`. Several nodes that share `ca.pem` and `ca.key` are trusted as one."""

    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def authority_key(self) -> Path:
        return self.folder / "ca.key"

    @property
    def node(self) -> Path:
        """The node's certificate and its key, in one file: they are replaced together."""
        return self.folder / "node.pem"

    def ensure(self, names: Iterable[str], moment: datetime | None = None) -> tuple[str, ...]:
        """Make what is missing, is not valid yet, is about to expire, or does not name all of `names`. Returns what was
        made.

        Raises:
            CertificateError: there is a part of an authority only, or its time is over.
        """
        moment, wanted, made = moment or datetime.now(UTC), _general_names(names), []
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.folder.chmod(0o755)
        if self.authority.exists() != self.authority_key.exists():
            text = f"{self.folder} has only one of ca.pem and ca.key; restore the other, or use rotate-certificates"
            raise CertificateError(text)
        if not self.authority.exists():
            self._make_authority(moment)
            made.append("authority")
        if made or not self._serves(wanted, moment):
            self._make_node(wanted, moment)
            made.append("node")
        return tuple(made)

    def rotate(self, names: Iterable[str], *, authority: bool) -> tuple[str, ...]:
        """Make a new node certificate; with `authority` a new authority first: clients must be given its `ca.pem`.

        Raises:
            CertificateError: as `ensure`.
        """
        self.node.unlink(missing_ok=True)
        if authority:
            self.authority_key.unlink(missing_ok=True)
            self.authority.unlink(missing_ok=True)
        return self.ensure(names)

    def context(self) -> ssl.SSLContext:
        """What a listener needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.node)
        return context

    def _serves(self, wanted: tuple[x509.GeneralName, ...], moment: datetime) -> bool:
        try:
            current = x509.load_pem_x509_certificate(self.node.read_bytes())
            authority = x509.load_pem_x509_certificate(self.authority.read_bytes())
            current.verify_directly_issued_by(authority)
            named = current.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (FileNotFoundError, ValueError, InvalidSignature, x509.ExtensionNotFound):
            return False
        begun = current.not_valid_before_utc <= moment  # else it was made when the clock was ahead
        return begun and set(wanted) <= set(named) and current.not_valid_after_utc - moment > RENEWED_BEFORE

    def _make_authority(self, moment: datetime) -> None:
        key, name = generate_private_key(SECP256R1()), _name(f"Sealift authority {os.urandom(4).hex()}")
        certificate = (
            _builder(name, name, key, moment - AUTHORITY_BACKDATED, moment + AUTHORITY_LASTS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write(self.authority_key, _pem(key), 0o600)
        _write(self.authority, certificate.public_bytes(Encoding.PEM), 0o644)

    def _make_node(self, names: tuple[x509.GeneralName, ...], moment: datetime) -> None:
        authority = x509.load_pem_x509_certificate(self.authority.read_bytes())
        signer = load_pem_private_key(self.authority_key.read_bytes(), password=None)
        if not isinstance(signer, EllipticCurvePrivateKey):
            raise CertificateError(f"{self.authority_key} is not a key on an elliptic curve")
        key = generate_private_key(SECP256R1())
        if (last := authority.not_valid_after_utc) <= moment:
            text = f"{self.authority} was valid until {last:%Y-%m-%d}; by this host's clock it is {moment:%Y-%m-%d}"
            raise CertificateError(f"{text}: set the clock, or use rotate-certificates --authority")
        ends = min(moment + NODE_LASTS, last)
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        certificate = (
            _builder(_name("Sealift management node"), authority.subject, key, moment - NODE_BACKDATED, ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(issuer_key, critical=False)
            .sign(signer, hashes.SHA256())
        )
        _write(self.node, certificate.public_bytes(Encoding.PEM) + _pem(key), 0o600)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_names(names: Iterable[str]) -> tuple[x509.GeneralName, ...]:
    def general(name: str) -> x509.GeneralName:
        try:
            return x509.IPAddress(ip_address(name))
        except ValueError:
            return x509.DNSName(name)

    return tuple(general(name) for name in dict.fromkeys(names))


def _pem(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(file: Path, content: bytes, mode: int) -> None:
    """Replace `file` as a whole; nobody sees it with another mode."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fchmod(stream.fileno(), mode)
        os.fsync(stream.fileno())
    temporary.replace(file)
