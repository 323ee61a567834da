"""A real agent against a real server: enrol, documents down, state up, commands, logs, restarts."""

from __future__ import annotations

import asyncio
import json
import uuid
from functools import partial

import pytest
from django.core.management import call_command

from agent.kube.resources import CONFIG_MAP, POD, PROJECT, SECRET, WORKLOAD
from agent.wire import labels
from link import services
from link.services.sql import execute, query
from tests.link.linkrig import Rig, agent, eventually, in_db, kube_for, obj

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def project(name: str) -> dict[str, object]:
    spec = {"id": str(uuid.uuid4()), "displayName": name, "namespace": f"runai-{name}", "department": "default"}
    return obj("run.ai/v1", "Project", name, spec=spec)


def workload(name: str, namespace: str = "runai-a") -> dict[str, object]:
    return obj("run.ai/v1", "Workload", name, namespace, spec={"type": "training", "image": "busybox"})


async def put(cluster_id: uuid.UUID, key: str, body: dict[str, object]) -> int:
    return await in_db(lambda: services.put_desired(cluster_id=cluster_id, key=key, body=body))


async def test_enrol_then_the_token_is_gone_and_the_cluster_is_connected(rig: Rig) -> None:
    cluster_id = await rig.cluster()
    kube = kube_for(rig.server.url, cluster_id, await rig.token(cluster_id))
    async with agent(kube) as health:
        await eventually(lambda: health.ok)
        secrets = {item["metadata"]["name"] for item in kube.all(SECRET)}
        assert "runai-enrolment" not in secrets and "runai-link-identity" in secrets
        seen = await eventually(lambda: connected(cluster_id))
        assert seen.agent_version and seen.enrolled_at is not None
    assert [row.body_event for row in await security(rig, cluster_id)] == ["enrolled"]


async def connected(cluster_id: uuid.UUID):
    found = (await in_db(lambda: services.liveness([cluster_id])))[cluster_id]
    return found if found.connected else None


async def security(rig: Rig, cluster_id: uuid.UUID):
    class Row:
        def __init__(self, body: dict[str, str]) -> None:
            self.body_event = body["event"]

    return [Row(loads(row.body)) for row in await rig.inbox(cluster_id, "Security")]


def loads(body):
    return json.loads(body) if isinstance(body, str) else body


async def test_documents_reach_the_cluster_and_are_reported_applied(rig: Rig) -> None:
    cluster_id = await rig.cluster()
    kube = kube_for(rig.server.url, cluster_id, await rig.token(cluster_id))
    async with agent(kube) as health:
        await eventually(lambda: health.ok)
        rev = await put(cluster_id, "project/a", project("a"))
        await eventually(lambda: kube.all(PROJECT))
        made = kube.all(PROJECT)[0]
        assert made["metadata"]["labels"][labels.CLUSTER_ID] == str(cluster_id)
        assert made["metadata"]["annotations"][labels.DESIRED_REV] == str(rev)
        await eventually(lambda: applied(cluster_id, "project/a"))
        await in_db(lambda: services.delete_desired(cluster_id=cluster_id, key="project/a"))
        await eventually(lambda: not kube.all(PROJECT))


async def applied(cluster_id: uuid.UUID, key: str) -> bool:
    return (await in_db(lambda: services.desired_status(cluster_id=cluster_id, keys=[key])))[key].applied


async def test_equal_bodies_make_no_new_revision(rig: Rig) -> None:
    cluster_id = await rig.cluster()
    body = project("a")
    first = await put(cluster_id, "project/a", body)
    assert await put(cluster_id, "project/a", dict(body)) == first
    assert await put(cluster_id, "project/b", project("b")) == first + 1


async def test_what_kubectl_made_is_never_swept(rig: Rig) -> None:
    cluster_id = await rig.cluster()
    kube = kube_for(rig.server.url, cluster_id, await rig.token(cluster_id))
    kube.seed(workload("by-hand"))
    ours = workload("stale")
    ours["metadata"]["labels"] = {labels.CLUSTER_ID: str(cluster_id), labels.MANAGED_BY: "control-plane"}
    ours["metadata"]["annotations"] = {labels.DESIRED_KEY: "workload/stale", labels.DESIRED_REV: "1"}
    kube.seed(ours)
    await put(cluster_id, "workload/fresh", workload("fresh"))
    async with agent(kube):
        await eventually(lambda: {item["metadata"]["name"] for item in kube.all(WORKLOAD)} == {"by-hand", "fresh"})


async def test_pod_changes_reach_the_inbox(rig: Rig) -> None:
    cluster_id = await rig.cluster()
    kube = kube_for(rig.server.url, cluster_id, await rig.token(cluster_id))
    async with agent(kube) as health:
        await eventually(lambda: health.ok)
        kube.seed(pod("p", phase="Pending"))
        rows = await eventually(lambda: rig.inbox(cluster_id, "Pod"))
        assert (rows[0].topic, rows[0].op, rows[0].schema_name) == ("workloads", "upsert", rig.schema_name)
        assert loads(rows[0].body)["phase"] == "Pending"
        kube.seed({**pod("p", phase="Running"), "metadata": kube.all(POD)[0]["metadata"]})
        await eventually(lambda: phases(rig, cluster_id, ["Pending", "Running"]))
        await kube.delete(POD, "p", "runai-a")
        await eventually(lambda: deleted(rig, cluster_id))


def pod(name: str, phase: str) -> dict[str, object]:
    meta = {"labels": {labels.WORKLOAD_ID: str(uuid.uuid4())}}
    spec = {"containers": [{"name": "main", "image": "busybox"}]}
    return obj("v1", "Pod", name, "runai-a", meta=meta, spec=spec, status={"phase": phase})


async def phases(rig: Rig, cluster_id: uuid.UUID, wanted: list[str]) -> bool:
    rows = await rig.inbox(cluster_id, "Pod")
    return [loads(row.body)["phase"] for row in rows if row.op == "upsert"] == wanted


async def deleted(rig: Rig, cluster_id: uuid.UUID) -> bool:
    return (await rig.inbox(cluster_id, "Pod"))[-1].op == "delete"


async def test_a_command_is_carried_out_once_and_its_result_known(rig: Rig) -> None:
    cluster_id = await rig.cluster()
    kube = kube_for(rig.server.url, cluster_id, await rig.token(cluster_id))
    kube.seed(obj("v1", "Namespace", "runai-a", meta={"labels": {labels.PROJECT: "a"}}))
    made = kube.seed(pod("p", phase="Running"))
    async with agent(kube) as health:
        await eventually(lambda: health.ok)
        body = {"namespace": "runai-a", "name": "p", "uid": made["metadata"]["uid"]}
        command_id = await in_db(
            lambda: services.send_command(cluster_id=cluster_id, kind="pod.delete", body=body, delivery="at_most_once")
        )
        await eventually(lambda: not kube.all(POD))
        status = await eventually(lambda: ended(cluster_id, command_id))
        assert (status.state, status.effects[0]["name"]) == ("succeeded", "p")
        await eventually(lambda: not journal(kube)["entries"])


async def ended(cluster_id: uuid.UUID, command_id: uuid.UUID):
    found = await in_db(lambda: services.command_status(command_ids=[command_id], cluster_ids=[cluster_id]))
    return found[command_id] if found[command_id].ended else None


def journal(kube) -> dict[str, object]:
    found = next(item for item in kube.all(CONFIG_MAP) if item["metadata"]["name"] == "runai-link-journal")
    return json.loads(found["data"]["journal"])


async def test_a_command_sent_while_the_agent_is_away_waits_for_it(rig: Rig) -> None:
    cluster_id = await rig.cluster()
    kube = kube_for(rig.server.url, cluster_id, await rig.token(cluster_id))
    async with agent(kube) as health:
        await eventually(lambda: health.ok)
    command_id = await in_db(
        lambda: services.send_command(
            cluster_id=cluster_id, kind="workload.delete", body={"namespace": "runai-a", "name": "gone"}
        )
    )
    async with agent(kube):
        status = await eventually(lambda: ended(cluster_id, command_id))
        assert status.state == "succeeded"


async def test_a_pod_outside_projects_is_not_deleted(rig: Rig) -> None:
    cluster_id = await rig.cluster()
    kube = kube_for(rig.server.url, cluster_id, await rig.token(cluster_id))
    kube.seed(obj("v1", "Pod", "dns", "kube-system", spec={"containers": []}, status={"phase": "Running"}))
    async with agent(kube) as health:
        await eventually(lambda: health.ok)
        body = {"namespace": "kube-system", "name": "dns"}
        command_id = await in_db(lambda: services.send_command(cluster_id=cluster_id, kind="pod.delete", body=body))
        status = await eventually(lambda: ended(cluster_id, command_id))
    assert (status.state, status.code) == ("failed", "not_ours")
    assert kube.all(POD)


async def test_logs_come_up_byte_for_byte(rig: Rig) -> None:
    cluster_id = await rig.cluster()
    kube = kube_for(rig.server.url, cluster_id, await rig.token(cluster_id))
    kube.seed(pod("p", phase="Succeeded"))
    text = b"line one\nline \xff two\n" * 30_000
    kube.log_text["runai-a", "p"] = text
    async with agent(kube) as health:
        await eventually(lambda: health.ok)
        target = {"namespace": "runai-a", "pod": "p"}
        stream_id = await in_db(
            lambda: services.open_log(cluster_id=cluster_id, target=target, follow=False, tail=None)
        )
        await eventually(lambda: log_ended(cluster_id, stream_id, len(text)))
    assert await whole_log(cluster_id, stream_id) == text


async def log_ended(cluster_id: uuid.UUID, stream_id: uuid.UUID, offset: int) -> bool:
    chunk = await in_db(
        lambda: services.read_log(stream_id=stream_id, cluster_ids=[cluster_id], offset=offset, limit=10)
    )
    return bool(chunk.ended)


async def whole_log(cluster_id: uuid.UUID, stream_id: uuid.UUID) -> bytes:
    data, offset = b"", 0
    while True:
        read = partial(services.read_log, stream_id=stream_id, cluster_ids=[cluster_id], offset=offset, limit=100_000)
        chunk = await in_db(read)
        data, offset = data + chunk.data, chunk.next_offset
        if chunk.ended or not chunk.data:
            return data


async def test_a_log_of_a_pod_that_is_gone_says_so(rig: Rig) -> None:
    cluster_id = await rig.cluster()
    kube = kube_for(rig.server.url, cluster_id, await rig.token(cluster_id))
    async with agent(kube) as health:
        await eventually(lambda: health.ok)
        target = {"namespace": "runai-a", "pod": "nobody"}
        stream_id = await in_db(lambda: services.open_log(cluster_id=cluster_id, target=target))
        await eventually(lambda: log_ended(cluster_id, stream_id, 0))
    chunk = await in_db(lambda: services.read_log(stream_id=stream_id, cluster_ids=[cluster_id]))
    assert (chunk.data, chunk.error) == (b"", "the pod is gone")


async def test_a_large_document_travels_as_a_blob(rig: Rig) -> None:
    cluster_id = await rig.cluster()
    kube = kube_for(rig.server.url, cluster_id, await rig.token(cluster_id))
    big = workload("big")
    big["spec"]["args"] = ["x" * 1000] * 100
    await put(cluster_id, "workload/big", big)
    async with agent(kube):
        await eventually(lambda: kube.all(WORKLOAD))
    assert kube.all(WORKLOAD)[0]["spec"]["args"] == ["x" * 1000] * 100


async def test_secrets_are_sealed_at_rest_and_open_in_the_cluster(rig: Rig) -> None:
    cluster_id = await rig.cluster()
    kube = kube_for(rig.server.url, cluster_id, await rig.token(cluster_id))
    async with agent(kube) as health:
        await eventually(lambda: health.ok)
        body = workload("w")
        body["spec"]["environment"] = [{"name": "PASSWORD", "value": {"$secret": "hunter2"}}]
        await put(cluster_id, "workload/w", body)
        await eventually(lambda: kube.all(WORKLOAD))
    stored = await in_db(lambda: raw_body(cluster_id))
    assert "hunter2" not in stored and "$sealed" in stored
    assert kube.all(WORKLOAD)[0]["spec"]["environment"] == [{"name": "PASSWORD", "value": "hunter2"}]


def raw_body(cluster_id: uuid.UUID) -> str:
    return str(query("SELECT body::text AS body FROM public.link_desired WHERE cluster_id = %s", [cluster_id])[0].body)


async def test_a_restored_server_removes_nothing(rig: Rig) -> None:
    cluster_id = await rig.cluster()
    kube = kube_for(rig.server.url, cluster_id, await rig.token(cluster_id))
    await put(cluster_id, "project/a", project("a"))
    async with agent(kube):
        await eventually(lambda: kube.all(PROJECT))
        await in_db(lambda: execute("DELETE FROM public.link_desired WHERE cluster_id = %s", [cluster_id]))
        await in_db(lambda: call_command("renew_link_generation", verbosity=0))
        await put(cluster_id, "project/b", project("b"))
        await eventually(lambda: len(kube.all(PROJECT)) == 2, within_s=40)
        await eventually(lambda: held_back(cluster_id))
    assert {item["metadata"]["name"] for item in kube.all(PROJECT)} == {"a", "b"}


async def held_back(cluster_id: uuid.UUID) -> bool:
    rows = await in_db(
        lambda: query("SELECT failures_hash FROM public.link_agentsession WHERE cluster_id = %s", [cluster_id])
    )
    return bool(rows[0].failures_hash)


async def test_state_that_differs_is_found_and_repaired(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("link.protocol.state.COMPARE_EVERY_MS", 0)
    cluster_id = await rig.cluster()
    kube = kube_for(rig.server.url, cluster_id, await rig.token(cluster_id))
    kube.seed(pod("p", phase="Running"))
    kube.seed(pod("q", phase="Running"))
    async with agent(kube) as health:
        await eventually(lambda: health.ok)
        await eventually(lambda: reported(cluster_id, 3))
        await in_db(
            lambda: execute("DELETE FROM public.link_state WHERE cluster_id = %s AND kind = 'Pod'", [cluster_id])
        )
        for number in range(12):  # each document ends a held poll, and each poll carries a digest
            await put(cluster_id, "project/a", project(f"a{number}") | {"metadata": {"name": "a"}})
            await asyncio.sleep(0.25)
        await eventually(lambda: reported(cluster_id, 3))


async def reported(cluster_id: uuid.UUID, at_least: int) -> bool:
    rows = await in_db(lambda: query("SELECT kind FROM public.link_state WHERE cluster_id = %s", [cluster_id]))
    return sum(row.kind in ("Pod", "Cluster") for row in rows) >= at_least
