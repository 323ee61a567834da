"""OpenID Connect, the code flow with PKCE, as a relying party: what is asked of a provider and how answers are checked.

Knows no model. Checked are state (by the caller, against the browser's session), the issuer (of discovery, of the
callback as RFC 9207 has it, of the token), audience, authorized party, nonce, expiry and signature; symmetric and
unsigned tokens are refused.
"""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
import jwt
from django.conf import settings

from access.auth.claims import SsoFailed
from runai_cp.lib import egress
from runai_cp.lib.errors import DomainError

WELL_KNOWN = "/.well-known/openid-configuration"
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LEEWAY_S = 60
MOST_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class Discovery:
    """What the provider says of itself; addresses are absolute."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    basic: bool
    """Whether the client shows its secret by HTTP Basic; else in the form."""
    names_itself: bool
    """Whether callbacks carry ``iss``."""


@dataclass(frozen=True, slots=True)
class Client:
    client_id: str
    secret: str
    redirect_uri: str


def discover(url: str) -> Discovery:
    """Raises ``SsoFailed`` with what is wrong with the document."""
    found = _json("GET", url, what="The discovery document")
    texts = {}
    for key in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"):
        if not isinstance(found.get(key), str) or not urlsplit(found[key]).hostname:
            raise SsoFailed(f"The discovery document has no address under {key!r}.")
        texts[key] = found[key]
    expected = url.removesuffix(WELL_KNOWN)
    if texts["issuer"].rstrip("/") != expected.rstrip("/"):
        raise SsoFailed(f"The discovery document is that of {texts['issuer'][:200]!r}, not of {expected[:200]!r}.")
    userinfo = found.get("userinfo_endpoint")
    ways = found.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    return Discovery(
        **texts,
        userinfo_endpoint=userinfo if isinstance(userinfo, str) else "",
        basic="client_secret_basic" in ways,
        names_itself=found.get("authorization_response_iss_parameter_supported") is True,
    )


def new_secret() -> str:
    """A nonce, or a PKCE verifier: 43 characters of 256 random bits."""
    return secrets.token_urlsafe(32)


def authorization_url(
    found: Discovery, client: Client, *, scopes: list[str], state: str, nonce: str, verifier: str
) -> str:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    values = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": client.redirect_uri,
        "scope": " ".join(dict.fromkeys(["openid", *(scopes or ["email", "profile"])])),
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    joint = "&" if urlsplit(found.authorization_endpoint).query else "?"
    return found.authorization_endpoint + joint + urlencode(values)


def check_callback(found: Discovery, params: dict[str, str]) -> str:
    """The code. Raises ``SsoFailed`` for an error of the provider, or a callback of another issuer (RFC 9207)."""
    if params.get("error"):
        detail = params.get("error_description") or params["error"]
        raise SsoFailed(f"The identity provider refused: {_plain(detail)}")
    said = params.get("iss")
    if (said is not None or found.names_itself) and said != found.issuer:
        raise SsoFailed("The answer came from another identity provider than the one that was asked.")
    if not params.get("code"):
        raise SsoFailed("The identity provider sent no code.")
    return params["code"]


def exchange(found: Discovery, client: Client, *, code: str, verifier: str) -> dict[str, Any]:
    """The tokens for a code. Raises ``SsoFailed``."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": client.redirect_uri,
        "code_verifier": verifier,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    if found.basic:
        pair = f"{quote(client.client_id, safe='')}:{quote(client.secret, safe='')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    else:
        form |= {"client_id": client.client_id, "client_secret": client.secret}
    answer = _json("POST", found.token_endpoint, what="The token endpoint", content=form, headers=headers)
    if not isinstance(answer.get("id_token"), str):
        raise SsoFailed("The token endpoint sent no ID token; is the scope openid allowed?")
    return answer


def verify(found: Discovery, client: Client, *, id_token: str, nonce: str) -> dict[str, Any]:
    """The claims of an ID token. Raises ``SsoFailed`` naming the check that failed."""
    key = _key(found, id_token)
    try:
        claims: dict[str, Any] = jwt.decode(
            id_token,
            key,
            algorithms=list(ALGORITHMS),
            audience=client.client_id,
            issuer=found.issuer,
            leeway=LEEWAY_S,
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise SsoFailed(f"The ID token is not valid: {_plain(str(error))}") from error
    audience, party = claims["aud"], claims.get("azp")
    if (isinstance(audience, list) and len(audience) > 1 and party is None) or party not in (None, client.client_id):
        raise SsoFailed("The ID token is not valid: it was made for another party (azp)")
    if not isinstance(claims.get("nonce"), str) or not secrets.compare_digest(claims["nonce"], nonce):
        raise SsoFailed("The ID token is not valid: its nonce is not the one of this sign-in")
    return claims


def userinfo(found: Discovery, *, access_token: object, subject: str) -> dict[str, Any]:
    """More claims of the same person; none without an endpoint. Raises ``SsoFailed`` when they are somebody else's."""
    if not found.userinfo_endpoint or not isinstance(access_token, str):
        return {}
    headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
    answer = _json("GET", found.userinfo_endpoint, what="The user info endpoint", headers=headers)
    if answer.get("sub") != subject:
        raise SsoFailed("The user info is that of somebody else.")
    return answer


def keys(found: Discovery) -> list[dict[str, Any]]:
    """The provider's public keys. Raises ``SsoFailed``."""
    answer = _json("GET", found.jwks_uri, what="The key set")
    rows = answer.get("keys")
    if not isinstance(rows, list) or not rows:
        raise SsoFailed("The key set holds no keys.")
    return [row for row in rows if isinstance(row, dict)]


def _key(found: Discovery, id_token: str) -> Any:
    """The key that the token's head names; keys for encryption and symmetric keys are no choice."""
    try:
        head = jwt.get_unverified_header(id_token)
    except jwt.PyJWTError as error:
        raise SsoFailed("The ID token is not valid: it cannot be read") from error
    fitting = [
        row
        for row in keys(found)
        if row.get("kty") in ("RSA", "EC", "OKP") and row.get("use", "sig") == "sig"
        and (head.get("kid") is None or row.get("kid") == head["kid"])
    ]  # fmt: skip
    if len(fitting) != 1:
        raise SsoFailed("The ID token is not valid: no key of the provider fits")
    try:
        return jwt.PyJWK(fitting[0], algorithm=head.get("alg") if head.get("alg") in ALGORITHMS else None).key
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise SsoFailed("The ID token is not valid: its key cannot be used") from error


def _json(
    method: str,
    url: str,
    *,
    what: str,
    content: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    try:
        answer = egress.ask(
            method,
            url,
            content=urlencode(content).encode() if content else b"",
            headers=headers or {"Accept": "application/json"},
            private=settings.SSO_PRIVATE_ADDRESSES,
            most=MOST_BYTES,
        )
    except (httpx.HTTPError, httpx.InvalidURL, DomainError) as error:
        raise SsoFailed(f"{what} cannot be read: {_plain(egress.reason(error))}") from error
    try:
        found = json.loads(answer.body)
    except ValueError:
        found = None
    if answer.status_code != 200 or not isinstance(found, dict):
        said = f" ({_plain(str(found['error']))})" if isinstance(found, dict) and found.get("error") else ""
        raise SsoFailed(f"{what} cannot be read: the answer was {answer.status_code}{said}.")
    return found


def _plain(text: str) -> str:
    return "".join(letter for letter in text[:200] if letter.isprintable())
