"""Public keys of each tenant's OIDC issuer, for API servers that check who a kubectl user is.

The issuer lives on the link's address because that is the one address of ours that a customer's cluster reaches anyway,
and it is always HTTPS. Nothing here is secret: keys are public, and names of schemas say nothing about a customer.
"""

from __future__ import annotations

import json
import re
from typing import Any

from django.conf import settings

from link.agent_api.desk import Desk
from link.agent_api.http import Request, Response
from link.protocol.issuer import ALGORITHM, issuer_url
from link.refusal import Refused

_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(?::\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?")
CACHE_S = 60
"""Short: a key that was withdrawn must go out of use soon. API servers ask again for a key id they do not know."""


async def discovery(desk: Desk, request: Request, schema_name: str) -> Response:
    """``GET …/.well-known/openid-configuration``: who the issuer is and where its keys are.

    The keys are said to be at the address that was asked: a cluster may reach us under another name than people do.
    Only who sent the ``Host`` header reads the answer, and the keys are trusted by TLS, not by that name.
    """
    await _keys_of(desk, schema_name)
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        raise Refused(400, "bad_host", "the Host header is no host name", permanent=True)
    return _public(
        {
            "issuer": issuer_url(settings.ISSUER_URL, schema_name),
            # Tokens are given out by REST alone; the words are those of Kubernetes' own issuer, which has no such page.
            "authorization_endpoint": "urn:kubernetes:programmatic_authorization",
            "jwks_uri": f"{issuer_url(f'https://{host}', schema_name)}/keys",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "claims_supported": ["iss", "sub", "aud", "exp", "iat", "preferred_username", "name", "groups"],
        }
    )


async def keys(desk: Desk, request: Request, schema_name: str) -> Response:
    """``GET …/keys``: the JWKS of RFC 7517, with the next key before it is used and the last until its tokens ended."""
    return _public({"keys": await _keys_of(desk, schema_name)})


async def _keys_of(desk: Desk, schema_name: str) -> list[dict[str, Any]]:
    desk.check_load()
    async with desk.pool.connection() as conn:
        found = await conn.execute("SELECT keys FROM public.link_issuer WHERE schema_name = %s", [schema_name])
        row = await found.fetchone()
    if row is None:
        raise Refused(404, "not_found", "there is no such issuer", permanent=True)
    return list(row.keys)


def _public(document: dict[str, Any]) -> Response:
    headers = ((b"cache-control", f"public, max-age={CACHE_S}".encode()), (b"vary", b"Host"))
    return Response(200, json.dumps(document).encode(), "application/json", headers)
