"""Publish the public keys with which a tenant signs who its people are; API servers fetch them from the link."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings

from link.protocol.issuer import issuer_url
from link.services.sql import execute


def issuer_of(schema_name: str) -> str:
    """The issuer (``iss``) of a tenant's ID tokens: an ``https`` address, the same for ever."""
    return issuer_url(settings.ISSUER_URL, schema_name)


def publish_issuer(*, schema_name: str, keys: list[dict[str, Any]]) -> None:
    """``keys`` are public JWKs (RFC 7517). Part of the caller's transaction; putting the same again changes nothing."""
    execute(
        "INSERT INTO public.link_issuer (schema_name, keys, updated_at) VALUES (%s, %s::jsonb, now()) "
        "ON CONFLICT (schema_name) DO UPDATE SET keys = EXCLUDED.keys, updated_at = now()",
        [schema_name, json.dumps(keys)],
    )


def forget_issuer(*, schema_name: str) -> None:
    """Nobody can check a token of this tenant any more."""
    execute("DELETE FROM public.link_issuer WHERE schema_name = %s", [schema_name])
