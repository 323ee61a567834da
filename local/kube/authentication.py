"""Whom the API server believes beside certificates and service accounts: the control plane's issuer of ID tokens.

The file is there from the first start, since the server takes the flag only then; it reads a changed file by itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local.files import write_private

VERSION = "apiserver.config.k8s.io/v1"


def write(path: Path, jwt: Sequence[dict[str, Any]] = ()) -> None:
    """``jwt``: ``JWTAuthenticator``\\ s. JSON is YAML too. Safe to repeat."""
    document = {"apiVersion": VERSION, "kind": "AuthenticationConfiguration", "jwt": list(jwt)}
    text = json.dumps(document, indent=2)
    if not path.exists() or path.read_text() != text:
        write_private(path, text)


def reached_at(authenticator: dict[str, Any], base: str, certificate_authority: str) -> dict[str, Any]:
    """The same issuer, asked for its keys at ``base``: a cluster reaches the host under another address than people do.

    The issuer's name stays: it is what tokens say.
    """
    issuer = authenticator["issuer"]
    path = issuer["url"].split("/", 3)[3]
    found = {
        **issuer,
        "discoveryURL": f"{base}/{path}/.well-known/openid-configuration",
        "certificateAuthority": certificate_authority,
    }
    if found["discoveryURL"] == f"{issuer['url']}/.well-known/openid-configuration":
        del found["discoveryURL"]  # the API server refuses one that says nothing new
    return {**authenticator, "issuer": found}
