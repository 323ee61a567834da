"""The webhook's certificate over time: kept, renewed, taken from another process; a renewal trusts both sides."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from agent.admission import registration
from agent.admission.certificates import LIFE, RENEW_BEFORE
from agent.config import Settings
from agent.kube.resources import MUTATING_WEBHOOK, SECRET, VALIDATING_WEBHOOK
from agent.kube.watch import Informers
from agent.loops.context import Context, RoleState
from agent.loops.webhook import SECRET_NAME, Webhook
from agent.wire import labels
from tests.agent.fake_kube import FakeKube

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Door:
    """A webhook with a clock of its own that does not listen."""

    def __init__(self, kube: FakeKube) -> None:
        self.kube, self.now = kube, START
        self.informers = Informers(kube)
        settings = Settings(webhook_host="127.0.0.1")
        context = Context("webhook", kube, self.informers, settings, RoleState("webhook"))
        self.webhook = Webhook(context, now=lambda: self.now)

    async def look(self, at: datetime) -> bytes:
        """What the regular look does; the certificate that is served then."""
        self.now = at
        await self.webhook._ensure_certificate()
        await self.webhook._register()
        assert self.webhook._pair is not None
        return self.webhook._pair.certificate

    def trusted(self, resource: Any = MUTATING_WEBHOOK) -> list[x509.Certificate]:
        hook = self.kube.all(resource)[0]["webhooks"][0]
        return x509.load_pem_x509_certificates(base64.b64decode(hook["clientConfig"]["caBundle"]))


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    one = Door(FakeKube())
    yield one
    await one.informers.close()


async def test_a_good_certificate_is_kept(door):
    first = await door.look(START)
    assert await door.look(START + LIFE - RENEW_BEFORE - DAY) == first


@pytest.mark.parametrize("after", [LIFE - RENEW_BEFORE + DAY, LIFE + DAY, 10 * LIFE])
async def test_an_old_or_expired_one_is_renewed_and_both_are_trusted(door, after):
    first = x509.load_pem_x509_certificate(await door.look(START))
    second = x509.load_pem_x509_certificate(await door.look(START + after))
    assert second.not_valid_after_utc > START + after
    for resource in (MUTATING_WEBHOOK, VALIDATING_WEBHOOK):
        trusted = door.trusted(resource)
        assert len(trusted) == 2
        for leaf, ca in zip((second, first), trusted, strict=True):
            leaf.verify_directly_issued_by(ca)


async def test_two_processes_end_with_one_certificate(door):
    other = Door(door.kube)
    try:
        mine = await door.look(START)
        assert await other.look(START) == mine
        fresh = await other.look(START + LIFE)
        assert await door.look(START + LIFE) == fresh
    finally:
        await other.informers.close()


@pytest.mark.parametrize("broken", [{}, {"tls.crt": "AAAA", "tls.key": "AAAA", "ca.crt": "AAAA"}])
async def test_a_broken_secret_is_mended(door, broken):
    await door.look(START)
    secret = door.kube.all(SECRET)[0]
    await door.kube.replace(secret | {"data": broken})
    await door.look(START + DAY)
    assert len(door.kube.all(SECRET)[0]["data"]) == 3


async def test_a_deleted_secret_and_registration_come_back(door):
    await door.look(START)
    await door.kube.delete(SECRET, SECRET_NAME, labels.NAMESPACE)
    await door.kube.delete(MUTATING_WEBHOOK, registration.NAME)
    await door.look(START + DAY)
    assert len(door.trusted()) == 2
