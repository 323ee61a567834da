"""Secrets of the local stack: private, stable, and the forms the control plane expects."""

import base64
import stat
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from local.keys import ensure_keys


def test_secrets_are_private(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path / "secrets")
    private = (keys.secret_key, keys.signing_key, keys.data_key, keys.ca_key, keys.link_key)
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}


def test_keys_have_the_forms_the_settings_read(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path)
    assert len(base64.b64decode(keys.data_key.read_bytes(), validate=True)) == 32
    signing = serialization.load_pem_private_key(keys.signing_key.read_bytes(), None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    assert signing.curve.name == "secp256r1"


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    ensure_keys(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    ensure_keys(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_link_certificate_is_of_our_ca_and_holds_every_host(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path, ("127.0.0.1", "localhost", "10.213.1.1"))
    certificate = x509.load_pem_x509_certificate(keys.link_certificate.read_bytes())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(keys.ca.read_bytes()))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(name.value) for name in names} == {"127.0.0.1", "localhost", "10.213.1.1"}


def test_a_new_host_renews_the_certificate_and_keeps_the_ca(tmp_path: Path) -> None:
    first = ensure_keys(tmp_path)
    ca, certificate = first.ca.read_bytes(), first.link_certificate.read_bytes()
    second = ensure_keys(tmp_path, ("127.0.0.1", "10.213.7.1"))
    assert second.ca.read_bytes() == ca
    assert second.link_certificate.read_bytes() != certificate
