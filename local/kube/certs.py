"""The certificates and kubeconfigs of one local cluster: one CA, made once; leaf certificates renewed at each start.

Leaf certificates are cheap (elliptic curves), so they always match the addresses of this start. The CA and the key that
signs service account tokens are kept, so that kubeconfigs and tokens survive a restart.
"""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local.files import write_private

SERVICE_IP = "10.43.0.1"
"""First address of the service range: ``kubernetes.default.svc``."""

API_SERVER_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


@dataclass(frozen=True)
class Leaf:
    """One certificate of the cluster's CA. ``hosts`` are names and addresses of a server, empty for a client."""

    file: str
    common_name: str
    organization: str = ""
    hosts: tuple[str, ...] = ()


def leaves(address: str, node_name: str) -> tuple[Leaf, ...]:
    """Every certificate that a cluster reachable at ``address`` needs."""
    return (
        Leaf("apiserver", "kube-apiserver", hosts=(*API_SERVER_NAMES, "127.0.0.1", SERVICE_IP, address)),
        Leaf("kubelet-server", f"system:node:{node_name}", "system:nodes", hosts=(node_name, "127.0.0.1", address)),
        Leaf("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
        Leaf("admin", "local-admin", "system:masters"),
        Leaf("controller-manager", "system:kube-controller-manager"),
        Leaf("kwok", "system:kwok", "system:masters"),
        Leaf("kubelet", f"system:node:{node_name}", "system:nodes"),
        Leaf("kube-proxy", "system:kube-proxy"),
        Leaf("coredns", "system:coredns", "system:masters"),
    )


@dataclass(frozen=True)
class Authority:
    """The CA of a cluster, kept in ``directory`` as ``ca.crt`` and ``ca.key``."""

    directory: Path

    def file(self, name: str) -> Path:
        return self.directory / name

    def ensure(self) -> None:
        """Make the CA and the service account key where they are missing. Safe to repeat."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        if not (self.file("ca.crt").exists() and self.file("ca.key").exists()):
            key = ec.generate_private_key(ec.SECP256R1())
            name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
            certificate = (
                _builder(name, name, key.public_key(), days=3650)
                .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                .add_extension(_usage(signs=True), critical=True)
                .sign(key, hashes.SHA256())
            )
            write_private(self.file("ca.key"), _pem(key))
            write_private(self.file("ca.crt"), certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
        if not self.file("sa.key").exists():
            write_private(self.file("sa.key"), _pem(ec.generate_private_key(ec.SECP256R1())))

    def issue(self, wanted: tuple[Leaf, ...]) -> None:
        """Write ``NAME.crt`` and ``NAME.key`` for each leaf, replacing older ones."""
        ca = x509.load_pem_x509_certificate(self.file("ca.crt").read_bytes())
        ca_key = serialization.load_pem_private_key(self.file("ca.key").read_bytes(), password=None)
        if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{self.file('ca.key')}: expected an elliptic-curve private key")
        for leaf in wanted:
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = _leaf_builder(leaf, ca, key.public_key()).sign(ca_key, hashes.SHA256())
            write_private(self.file(f"{leaf.file}.key"), _pem(key))
            write_private(self.file(f"{leaf.file}.crt"), certificate.public_bytes(serialization.Encoding.PEM), 0o644)

    def kubeconfig(self, path: Path, server: str, *, leaf: str = "", token: str = "", namespace: str = "") -> Path:
        """Write a kubeconfig, everything inline and mode 0600, that logs in by certificate ``leaf`` or by ``token``."""
        if leaf:
            user = {
                "client-certificate-data": _base64(self.file(f"{leaf}.crt").read_bytes()),
                "client-key-data": _base64(self.file(f"{leaf}.key").read_bytes()),
            }
        else:
            user = {"token": token}
        context = {"cluster": "local", "user": "local"} | ({"namespace": namespace} if namespace else {})
        authority = _base64(self.file("ca.crt").read_bytes())
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "local", "cluster": {"server": server, "certificate-authority-data": authority}}],
            "users": [{"name": "local", "user": user}],
            "contexts": [{"name": "local", "context": context}],
            "current-context": "local",
        }
        write_private(path, yaml.safe_dump(document, sort_keys=False))
        return path


def subject_alternatives(hosts: tuple[str, ...]) -> list[x509.GeneralName]:
    """Addresses as IP entries, everything else as DNS names, without repetition."""
    names: list[x509.GeneralName] = []
    for host in dict.fromkeys(hosts):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return names


def _leaf_builder(leaf: Leaf, ca: x509.Certificate, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, leaf.common_name)]
    if leaf.organization:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, leaf.organization))
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if leaf.hosts else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _builder(x509.Name(attributes), ca.subject, public, days=397)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    )
    if leaf.hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(subject_alternatives(leaf.hosts)), critical=False)
    return builder


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, *, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=signs, crl_sign=signs, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """SEC 1, the only form of an elliptic-curve key that the API server accepts for service account tokens."""
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
