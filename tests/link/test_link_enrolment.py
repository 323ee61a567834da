"""Who may come in: one-time tokens, proofs, assertions, scopes, revocation."""

from __future__ import annotations

import time
from types import SimpleNamespace

import httpx
import pytest

from agent.link.client import LinkClient, LinkError
from agent.link.identity import Identity
from agent.wire.enrolment import RotateAnswer, RotateRequest
from link import services
from link.services.sql import execute
from tests.link.linkrig import Rig, in_db
from tests.link.linktalk import load, poll, session

pytestmark = [pytest.mark.services, pytest.mark.django_db]


async def test_the_same_enrolment_gets_the_same_answer(rig: Rig) -> None:
    cluster_id = await rig.cluster()
    token, identity = await rig.token(cluster_id), Identity.new()
    async with LinkClient(rig.server.url) as link:
        first = await link.enrol(token, identity.enrol_request("kube", "t"))
        again = await link.enrol(token, identity.enrol_request("kube", "t"))
    assert first == again


async def test_a_used_token_is_refused_and_told_to_the_tenant(rig: Rig) -> None:
    cluster_id = await rig.cluster()
    token = await rig.token(cluster_id)
    async with LinkClient(rig.server.url) as link:
        await link.enrol(token, Identity.new().enrol_request("kube", "t"))
        with pytest.raises(LinkError) as refused:
            await link.enrol(token, Identity.new().enrol_request("kube", "t"))
    assert (refused.value.status, refused.value.code) == (409, "enrolment_used")
    events = [load(row.body)["event"] for row in await rig.inbox(cluster_id, "Security")]
    assert events == ["enrolled", "enrolment_refused"]


async def test_another_kubernetes_cannot_take_over_an_enrolled_cluster(rig: Rig) -> None:
    cluster_id = await rig.cluster()
    async with LinkClient(rig.server.url) as link:
        await link.enrol(await rig.token(cluster_id), Identity.new().enrol_request("kube-1", "t"))
        with pytest.raises(LinkError) as refused:
            await link.enrol(await rig.token(cluster_id), Identity.new().enrol_request("kube-2", "t"))
    assert refused.value.code == "other_cluster"


@pytest.mark.parametrize("change", ["secret", "id", "form", "expired"])
async def test_wrong_tokens_are_refused(rig: Rig, change: str) -> None:
    cluster_id = await rig.cluster()
    token = await rig.token(cluster_id)
    _, key, secret = token.split("_", 2)
    wrong = {"secret": f"rne_{key}_{'A' * 43}", "id": f"rne_{'B' * 12}_{secret}", "form": "nonsense", "expired": token}
    if change == "expired":
        await in_db(lambda: execute("UPDATE public.link_enrolment SET expires_at = now() - interval '1 second'"))
    async with LinkClient(rig.server.url) as link:
        with pytest.raises(LinkError) as refused:
            await link.enrol(wrong[change], Identity.new().enrol_request("kube", "t"))
    assert refused.value.status == 401


async def test_a_proof_by_another_key_is_refused(rig: Rig) -> None:
    cluster_id = await rig.cluster()
    mine, other = Identity.new(), Identity.new()
    request = mine.enrol_request("kube", "t")
    forged = type(request)(request.enrolment_id, other.public_pem, request.proof, "kube")
    async with LinkClient(rig.server.url) as link:
        with pytest.raises(LinkError) as refused:
            await link.enrol(await rig.token(cluster_id), forged)
    assert refused.value.code == "bad_proof"


async def test_an_assertion_is_good_once(rig: Rig) -> None:
    _, identity = await rig.enrolled()
    body = {"clientAssertion": identity.assertion(rig.server.url, time.time())}
    async with httpx.AsyncClient() as http:
        url = f"{rig.server.url}/agent/v1/token"
        first, second = await http.post(url, json=body), await http.post(url, json=body)
    assert (first.status_code, second.status_code, second.json()["code"]) == (200, 401, "replayed")


async def test_a_wrong_clock_is_corrected_by_the_servers_date(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    _, identity = await rig.enrolled()
    behind = SimpleNamespace(time=lambda: time.time() - 7200, monotonic=time.monotonic)
    monkeypatch.setattr("agent.link.client.time", behind)
    async with rig.client(identity) as link:
        assert (await session(link)).epoch == 1


async def test_a_metrics_token_can_do_nothing_else(rig: Rig) -> None:
    _, identity = await rig.enrolled()
    async with rig.client(identity) as link:
        token = await link.token("metrics")
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
        answer = await http.post(f"{rig.server.url}/agent/v1/session", json={"instanceId": "i"})
        assert (answer.status_code, answer.json()["code"]) == (403, "wrong_scope")
        taken = await http.post(f"{rig.server.url}/agent/v1/metrics", json={"samples": []})
        assert taken.json() == {"accepted": 0}


async def test_a_revoked_agent_is_refused_and_a_removed_cluster_is_gone(rig: Rig) -> None:
    cluster_id, identity = await rig.enrolled()
    async with rig.client(identity) as link:
        made = await session(link)
        await in_db(lambda: services.revoke_agent(cluster_id=cluster_id))
        with pytest.raises(LinkError) as refused:
            await poll(link, made.epoch, 1)
        assert refused.value.code == "revoked"
        await in_db(lambda: services.remove_cluster(cluster_id=cluster_id))
        with pytest.raises(LinkError) as gone:
            await poll(link, made.epoch, 2)
        assert gone.value.status == 410


async def test_a_new_key_takes_over_when_it_is_first_used(rig: Rig) -> None:
    cluster_id, old = await rig.enrolled()
    fresh = Identity.new().enrolled(str(cluster_id), old.server_generation)
    proof = fresh.enrol_request("", "").proof
    request = RotateRequest(fresh.enrolment_id, fresh.public_pem, proof)
    async with rig.client(old) as link:
        first = await link.post("credential/rotate", request, RotateAnswer)
        again = await link.post("credential/rotate", request, RotateAnswer)
        assert first == again == RotateAnswer(fresh.key_id)
    for identity in (old, fresh, old):  # the old one lives on for ten minutes
        async with rig.client(identity) as link:
            assert await link.token()
    await in_db(lambda: execute("UPDATE public.link_cluster SET key_used_at = now() - interval '11 minutes'"))
    async with rig.client(old) as link:
        with pytest.raises(LinkError) as refused:
            await link.token()
    assert refused.value.code == "revoked"
