"""A SAML identity provider: pysaml2 makes the answers as it does in production; xmlsec signs them.

pysaml2's own back end calls a program that a machine may not have, so the signature is made by the same library through
its Python binding. ``evil`` makes an attacker's documents out of a genuine one.
"""

from __future__ import annotations

import base64
import copy
import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from lxml import etree
from saml2 import BINDING_HTTP_REDIRECT
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAMEID_FORMAT_PERSISTENT, NameID
from saml2.server import Server
from saml2.sigver import CryptoBackend

SAML, DS = "urn:oasis:names:tc:SAML:2.0:assertion", "http://www.w3.org/2000/09/xmldsig#"
SHA256 = ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256")
SHA1 = ("http://www.w3.org/2000/09/xmldsig#rsa-sha1", "http://www.w3.org/2000/09/xmldsig#sha1")


class _Xmlsec(CryptoBackend):
    """Signs where pysaml2 left the template of a signature."""

    def sign_statement(self, statement: Any, node_name: str, key_file: str, node_id: str) -> str:
        root = etree.fromstring(statement if isinstance(statement, bytes) else str(statement).encode())
        target = next(item for item in root.iter() if item.get("ID") == node_id)
        xmlsec.tree.add_ids(root, ["ID"])
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_file(key_file, xmlsec.KeyFormat.PEM)
        context.sign(target.find(f"{{{DS}}}Signature"))
        return etree.tostring(root).decode()


class Provider:
    """One identity provider with its own key. ``metadata`` is what an administrator uploads."""

    def __init__(self, directory: Path, entity_id: str = "https://idp.example.test/metadata") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.key_file, cert_file = directory / "idp.key", directory / "idp.crt"
        _key_and_certificate(self.key_file, cert_file)
        self._values: dict[str, Any] = {
            "entityid": entity_id,
            "key_file": str(self.key_file),
            "cert_file": str(cert_file),
            "crypto_backend": "XMLSecurity",
            "service": {
                "idp": {
                    "endpoints": {
                        "single_sign_on_service": [("https://idp.example.test/sso", BINDING_HTTP_REDIRECT)],
                    },
                    "policy": {"default": {"lifetime": {"minutes": 15}, "attribute_restrictions": None}},
                }
            },
        }
        self.metadata = str(entity_descriptor(IdPConfig().load(dict(self._values))))

    def answer(
        self,
        location: str,
        service_metadata: str,
        *,
        subject: str = "u-1",
        attributes: dict[str, Any] | None = None,
        signed: bool = True,
        algorithms: tuple[str, str] = SHA256,
        **wrong: Any,
    ) -> tuple[str, str]:
        """(XML of the response, RelayState) for the address that the console redirected to.

        ``wrong`` replaces ``in_response_to``, ``destination`` or ``sp_entity_id``.
        """
        server = Server(config=IdPConfig().load({**self._values, "metadata": {"inline": [service_metadata]}}))
        server.sec.crypto = _Xmlsec()
        query = {key: value[0] for key, value in parse_qs(urlsplit(location).query).items()}
        request = server.parse_authn_request(query["SAMLRequest"], BINDING_HTTP_REDIRECT).message
        values = {
            "in_response_to": request.id,
            "destination": request.assertion_consumer_service_url,
            "sp_entity_id": request.issuer.text,
        } | wrong
        made = server.create_authn_response(
            identity=attributes if attributes is not None else {"mail": ["frida@example.test"]},
            name_id=NameID(format=NAMEID_FORMAT_PERSISTENT, text=subject),
            authn={"class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:Password", "authn_auth": ""},
            sign_assertion=signed,
            sign_response=False,
            sign_alg=algorithms[0],
            digest_alg=algorithms[1],
            **values,
        )
        return str(made), query["RelayState"]


def _key_and_certificate(key_file: Path, cert_file: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp.example.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    key_file.write_bytes(
        key.private_bytes(form, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    )
    cert_file.write_bytes(certificate.public_bytes(form))


def encoded(xml: str | etree._Element) -> str:
    data = xml.encode() if isinstance(xml, str) else etree.tostring(xml)
    return base64.b64encode(data).decode()


def wrapped(xml: str, how: str) -> str:
    """Signature wrapping (XSW): the genuine, signed assertion is kept somewhere, and a forged one says another subject.

    The forms are those of Somorovsky et al., "On Breaking SAML: Be Whoever You Want to Be" (USENIX Security 2012).
    """
    root = etree.fromstring(xml.encode())
    genuine = root.find(f"{{{SAML}}}Assertion")
    forged = copy.deepcopy(genuine)
    forged.remove(forged.find(f"{{{DS}}}Signature"))
    forged.set("ID", "forged")
    for name in forged.iter(f"{{{SAML}}}NameID"):
        name.text = "administrator"
    place = root.index(genuine)
    if how == "sibling before":
        root.insert(place, forged)
    elif how == "sibling after":
        root.append(forged)
    elif how == "genuine inside the forged":
        root.remove(genuine)
        forged.append(genuine)
        root.insert(place, forged)
    elif how == "genuine in an object of the forged signature":
        signature = copy.deepcopy(genuine.find(f"{{{DS}}}Signature"))
        root.remove(genuine)
        etree.SubElement(signature, f"{{{DS}}}Object").append(genuine)
        forged.insert(1, signature)
        root.insert(place, forged)
    elif how == "genuine in the extensions":
        root.remove(genuine)
        holder = etree.Element("{urn:oasis:names:tc:SAML:2.0:protocol}Extensions")
        holder.append(genuine)
        root.insert(1, holder)
        root.append(forged)
    elif how == "same id twice":
        forged.set("ID", genuine.get("ID"))
        root.insert(place, forged)
    elif how == "comment in the name":
        for name in genuine.iter(f"{{{SAML}}}NameID"):
            name.text = "admin"
            comment = etree.Comment("x")
            comment.tail = "istrator"
            name.append(comment)
    elif how == "changed after signing":
        for name in genuine.iter(f"{{{SAML}}}NameID"):
            name.text = "administrator"
    return encoded(root)
