"""The OIDC issuer of each tenant, as an API server asks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from link import services
from tests.link.linkrig import Rig, in_db

pytestmark = [pytest.mark.services, pytest.mark.django_db]
KEY = {"kty": "EC", "crv": "P-256", "kid": "one", "use": "sig", "alg": "ES256", "x": "x", "y": "y"}
OTHER = "t_aaaaaaaaaaaaa"


@pytest.fixture
async def asked(rig: Rig) -> AsyncIterator[Any]:
    """``asked(path)`` below the tenant's issuer; its keys are published, and withdrawn at the end."""
    await in_db(lambda: services.publish_issuer(schema_name=rig.schema_name, keys=[KEY]))
    async with httpx.AsyncClient(base_url=rig.server.url) as client:

        async def ask(path: str, schema: str = rig.schema_name, **more: Any) -> httpx.Response:
            return await client.request(more.pop("method", "GET"), f"/oidc/{schema}/{path}", **more)

        yield ask
    await in_db(lambda: services.forget_issuer(schema_name=rig.schema_name))


async def test_keys_are_where_the_cluster_asked(asked: Any, rig: Rig) -> None:
    """Its name for us is not ours: the issuer stays, the address of the keys follows."""
    answer = await asked(".well-known/openid-configuration", headers={"Host": "10.213.1.1:8443"})
    told = answer.json()
    assert told["issuer"] == services.issuer_of(rig.schema_name)
    assert told["jwks_uri"] == f"https://10.213.1.1:8443/oidc/{rig.schema_name}/keys"
    assert "max-age=60" in answer.headers["cache-control"]


async def test_the_keys_are_the_published_ones(asked: Any) -> None:
    assert (await asked("keys")).json() == {"keys": [KEY]}


@pytest.mark.parametrize("host", ["a b", "evil.example/x?", "a@b", "x" * 300])
async def test_a_host_that_is_none_is_refused(asked: Any, host: str) -> None:
    assert (await asked(".well-known/openid-configuration", headers={"Host": host})).status_code == 400


@pytest.mark.parametrize(("path", "schema"), [("keys", OTHER), ("keys", "public"), ("other", None), ("keys/", None)])
async def test_there_is_nothing_else(asked: Any, rig: Rig, path: str, schema: str | None) -> None:
    assert (await asked(path, schema or rig.schema_name)).status_code == 404


async def test_it_is_for_reading_alone(asked: Any) -> None:
    assert (await asked("keys", method="POST")).status_code == 405
