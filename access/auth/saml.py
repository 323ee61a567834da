"""SAML 2.0 as a service provider: the request, and the checks of the answer. Knows no model.

``python3-saml`` verifies signature, audience, recipient, times and InResponseTo. It is told to insist on: assertions
are signed, no SHA-1, exactly one assertion. Signature wrapping is met by reading claims only from the element that the
verified signature covers.
"""

from dataclasses import dataclass
from typing import Any

import httpx
from django.conf import settings
from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.errors import OneLogin_Saml2_Error, OneLogin_Saml2_ValidationError
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser
from onelogin.saml2.settings import OneLogin_Saml2_Settings

from access.auth.claims import SsoFailed
from runai_cp.lib import egress
from runai_cp.lib.errors import DomainError

MOST_BYTES = 1024 * 1024
LONGEST_ANSWER = 256 * 1024
"""Characters of a response, in base64."""
_REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
_POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
_UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"


@dataclass(frozen=True, slots=True)
class Service:
    """Us, as one provider knows us: ``callback`` is where answers are posted to, absolute."""

    entity_id: str
    callback: str
    metadata_xml: str


def fetch_metadata(url: str) -> str:
    """Raises ``SsoFailed``."""
    try:
        answer = egress.ask("GET", url, private=settings.SSO_PRIVATE_ADDRESSES, most=MOST_BYTES)
    except (httpx.HTTPError, httpx.InvalidURL, DomainError) as error:
        raise SsoFailed(f"The provider's metadata cannot be read: {egress.reason(error)}") from error
    if answer.status_code != 200:
        raise SsoFailed(f"The provider's metadata cannot be read: the answer was {answer.status_code}.")
    return answer.body.decode(errors="replace")


def configuration(service: Service) -> dict[str, Any]:
    """Settings of the library. Raises ``SsoFailed`` for metadata that names no provider."""
    try:
        found = OneLogin_Saml2_IdPMetadataParser.parse(service.metadata_xml, required_sso_binding=_REDIRECT)
    except Exception as error:  # the parser lets lxml's and its own errors through
        raise SsoFailed("The provider's metadata is no SAML metadata.") from error
    provider = found.get("idp", {})
    missing = [
        name
        for name, there in {
            "entity ID": provider.get("entityId"),
            "sign-on address by redirect": provider.get("singleSignOnService", {}).get("url"),
            "signing certificate": provider.get("x509cert") or provider.get("x509certMulti"),
        }.items()
        if not there
    ]
    if missing:
        raise SsoFailed(f"The provider's metadata has no {' and no '.join(missing)}.")
    return {
        "strict": True,
        "debug": False,
        "idp": provider,
        "sp": {
            "entityId": service.entity_id,
            "assertionConsumerService": {"url": service.callback, "binding": _POST},
            "NameIDFormat": _UNSPECIFIED,
        },
        "security": {
            "wantAssertionsSigned": True,
            "wantMessagesSigned": False,
            "wantNameId": True,
            "rejectDeprecatedAlgorithm": True,
            "rejectUnsolicitedResponsesWithInResponseTo": True,
            "requestedAuthnContext": False,
            "allowRepeatAttributeName": True,
        },
    }


def begin(service: Service, *, state: str) -> tuple[str, str]:
    """The address to send the browser to, and the id of the request that the answer must name."""
    auth = OneLogin_Saml2_Auth(_request(service, {}), configuration(service))
    address = auth.login(return_to=state)
    return address, auth.get_last_request_id()


def check(service: Service, *, response: str, request_id: str) -> dict[str, Any]:
    """The claims of a response: ``sub`` is the NameID, attributes are lists. Raises ``SsoFailed`` with the reason."""
    if not response or len(response) > LONGEST_ANSWER:
        raise SsoFailed("The identity provider sent no answer that can be read.")
    auth = OneLogin_Saml2_Auth(_request(service, {"SAMLResponse": response}), configuration(service))
    try:
        auth.process_response(request_id=request_id)
        if auth.get_errors() or not auth.is_authenticated():
            raise SsoFailed(f"The answer is not valid: {_plain(auth.get_last_error_reason() or auth.get_errors())}")
        attributes = {**auth.get_friendlyname_attributes(), **auth.get_attributes()}
        subject = auth.get_nameid()
    except (OneLogin_Saml2_Error, OneLogin_Saml2_ValidationError) as error:
        raise SsoFailed(f"The answer is not valid: {_plain(error)}") from error
    except SsoFailed:
        raise
    except Exception as error:  # lxml and xmlsec have many errors; none may become a page that says 500
        raise SsoFailed("The answer cannot be read.") from error
    return {**attributes, "sub": subject}


def metadata(service: Service) -> bytes:
    known = OneLogin_Saml2_Settings(configuration(service), sp_validation_only=True)
    text = known.get_sp_metadata()
    return text if isinstance(text, bytes) else text.encode()


def _request(service: Service, form: dict[str, str]) -> dict[str, Any]:
    """The request as the library wants it: from the address that we told the provider, not from headers."""
    scheme, _, rest = service.callback.partition("://")
    host, _, path = rest.partition("/")
    return {
        "https": "on" if scheme == "https" else "off",
        "http_host": host,
        "script_name": f"/{path}",
        "get_data": {},
        "post_data": form,
    }


def _plain(value: object) -> str:
    return "".join(letter for letter in str(value)[:300] if letter.isprintable())
