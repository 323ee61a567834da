"""The secrets of a local stack, made once with mode 0600: secret, signing and data key, a CA, the link's certificate.

Safe to repeat: what exists is kept, so that tokens, sessions and stored ciphertext survive a restart. The server
certificate is renewed when an address is missing from it or it ends within a month.
"""

from __future__ import annotations

import base64
import ipaddress
import secrets
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local.files import write_private

DAY = timedelta(days=1)


@dataclass(frozen=True)
class KeyFiles:
    """Paths of the secrets, and the settings that name them."""

    secret_key: Path
    signing_key: Path
    data_key: Path
    ca: Path
    ca_key: Path
    link_certificate: Path
    link_key: Path

    def environment(self) -> dict[str, str]:
        return {
            "RUNAI_SECRET_KEY_FILE": str(self.secret_key),
            "RUNAI_SIGNING_KEY_FILE": str(self.signing_key),
            "RUNAI_DATA_KEY_FILE": str(self.data_key),
            "RUNAI_LINK_CA_FILE": str(self.ca),
        }


def ensure_keys(directory: Path, hosts: Iterable[str] = ("127.0.0.1", "localhost")) -> KeyFiles:
    """Make what is missing in ``directory`` (mode 0700). ``hosts``: names and addresses the link answers on."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    files = KeyFiles(
        secret_key=directory / "secret_key",
        signing_key=directory / "signing_key.pem",
        data_key=directory / "data_key",
        ca=directory / "ca.crt",
        ca_key=directory / "ca.key",
        link_certificate=directory / "link.crt",
        link_key=directory / "link.key",
    )
    if not files.secret_key.exists():
        write_private(files.secret_key, secrets.token_urlsafe(48))
    if not files.signing_key.exists():
        write_private(files.signing_key, _private_pem(ec.generate_private_key(ec.SECP256R1())))
    if not files.data_key.exists():
        write_private(files.data_key, base64.b64encode(secrets.token_bytes(32)))
    if not (files.ca.exists() and files.ca_key.exists()):
        _make_ca(files)
    if not _still_good(files, set(hosts)):
        _make_link_certificate(files, sorted(set(hosts)))
    return files


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(subject: str, issuer: str, public: ec.EllipticCurvePublicKey, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + days * DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


_CA_NAME = "runai local CA"


def _make_ca(files: KeyFiles) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        _builder(_CA_NAME, _CA_NAME, key.public_key(), 3650)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    files.link_certificate.unlink(missing_ok=True)
    write_private(files.ca_key, _private_pem(key))
    write_private(files.ca, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _make_link_certificate(files: KeyFiles, hosts: list[str]) -> None:
    ca_key = serialization.load_pem_private_key(files.ca_key.read_bytes(), password=None)
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{files.ca_key}: expected an elliptic-curve private key")
    key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    certificate = (
        _builder("runai link", _CA_NAME, key.public_key(), 397)
        .add_extension(x509.SubjectAlternativeName([_alternative(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(authority, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    write_private(files.link_key, _private_pem(key))
    write_private(files.link_certificate, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _still_good(files: KeyFiles, hosts: set[str]) -> bool:
    if not (files.link_certificate.exists() and files.link_key.exists()):
        return False
    certificate = x509.load_pem_x509_certificate(files.link_certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    present = {str(item.value) for item in names}
    return hosts <= present and certificate.not_valid_after_utc > datetime.now(UTC) + 30 * DAY


def main(arguments: list[str]) -> int:
    """``python -m local.keys DIRECTORY [HOST …]``: make what is missing there."""
    if not arguments:
        print("usage: python -m local.keys DIRECTORY [HOST ...]", file=sys.stderr)
        return 2
    ensure_keys(Path(arguments[0]), {"127.0.0.1", "localhost", *arguments[1:]})
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
