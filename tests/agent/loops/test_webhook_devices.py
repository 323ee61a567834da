"""The largest device that a request may be for follows the nodes as they come, change and go."""

from __future__ import annotations

from agent.admission.review import Request
from agent.config import Settings
from agent.kube.resources import NODE
from agent.kube.watch import Informers
from agent.loops.context import Context, RoleState
from agent.loops.webhook import Webhook
from tests.agent.fake_kube import FakeKube

SPACE = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": "runai-vision", "labels": {"run.ai/project": "vision"}},
}


def node(name: str, mib: int) -> dict:
    meta = {"name": name, "labels": {"nvidia.com/gpu.memory": str(mib)}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": meta}


def asks(mib: int) -> Request:
    pod = {"metadata": {"name": "p", "annotations": {"gpu-memory": str(mib)}}, "spec": {"containers": [{"name": "c"}]}}
    return Request("u", "Pod", "CREATE", "runai-vision", "p", "alice", frozenset(), pod, {})


async def test_a_request_fits_the_largest_device_that_is_there_now():
    kube = FakeKube(SPACE, node("small", 1000), node("large", 2000))
    informers = Informers(kube)
    webhook = Webhook(Context("webhook", kube, informers, Settings(), RoleState("webhook")))
    await informers.synced()
    try:
        assert not webhook.decide(asks(2000)).problems
        await kube.delete(NODE, "large")
        while informers.store(NODE).get("large") is not None:
            await informers.store(NODE).changed.wait()
            informers.store(NODE).changed.clear()
        assert "at most 1000" in webhook.decide(asks(2000)).problems[0]
        assert not webhook.decide(asks(1000)).problems
    finally:
        await informers.close()
