"""The webhook's own CA and certificate: made, judged and renewed as values; ``agent.loops.webhook`` keeps them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFE = timedelta(days=3650)
LIFE = timedelta(days=90)
RENEW_BEFORE = timedelta(days=30)
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Pair:
    """PEM texts: the CA that the API server trusts, and the server's certificate and key. The CA's key is not kept:
    a renewal makes a new CA, and the API server is told both until the old one is gone."""

    ca: bytes
    certificate: bytes
    key: bytes


def make(hosts: tuple[str, ...], now: datetime, life: timedelta = LIFE) -> Pair:
    """A fresh CA and a certificate for these names and addresses."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"runai-webhook-ca {now:%Y-%m-%d %H:%M:%S}")])
    ca = (
        _builder(ca_name, ca_name, ca_key, now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "runai-webhook")])
    leaf = (
        _builder(name, ca_name, key, now, life)
        .add_extension(x509.SubjectAlternativeName([_alternative(host) for host in hosts]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair(_pem(ca), _pem(leaf), private)


def is_good(pair: Pair, hosts: tuple[str, ...], now: datetime, margin: timedelta = RENEW_BEFORE) -> bool:
    """Whether the certificate names all hosts and lasts for ``margin`` more. Nonsense is not good."""
    try:
        leaf = x509.load_pem_x509_certificate(pair.certificate)
        ca = x509.load_pem_x509_certificate(pair.ca)
        serialization.load_pem_private_key(pair.key, None)
        leaf.verify_directly_issued_by(ca)
        named = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except Exception:  # whatever is wrong with it, it is replaced
        return False
    wanted = {_alternative(host) for host in hosts}
    return wanted <= set(named) and leaf.not_valid_before_utc <= now and leaf.not_valid_after_utc - now > margin


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + life)
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
