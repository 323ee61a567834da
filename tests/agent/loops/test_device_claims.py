"""Pods whose device claims are allocated side by side, on an API in memory: turns, lost answers, what is given back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.kube.cache import Change
from agent.kube.errors import Conflict, Forbidden, ServerFailed, Unreachable
from agent.kube.mirror.devices import Devices
from agent.kube.resources import RESOURCE_CLAIM
from agent.loops import device_claims
from agent.loops.device_claims import ClaimBinder, ClaimsNotAllocated
from tests.agent.fake_kube import FakeKube
from tests.agent.loops.scheduling import node as machine
from tests.agent.loops.scheduling import placed, queue, scheduling, until
from tests.agent.loops.scheduling import pod as waiting

Obj = dict[str, Any]
CLASS, DRIVER = "gpu.example.com", "gpu.example.com"


def claim(name: str, count: int = 1) -> Obj:
    request = {"name": "gpu", "exactly": {"deviceClassName": CLASS, "count": count}}
    meta = {"name": name, "namespace": "ns", "uid": name}
    spec = {"devices": {"requests": [request]}}
    return {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": meta, "spec": spec}


def pod(name: str, *claims: str) -> Obj:
    wanted = [{"name": one, "resourceClaimName": one} for one in claims]
    meta = {"name": name, "namespace": "ns", "uid": name}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"resourceClaims": wanted}}


class Scene:
    """A cluster with nodes n1 and n2 of ``count`` devices each, and what the scheduler has seen of it."""

    def __init__(self, *objects: Obj, count: int = 2, kube: type[FakeKube] = FakeKube) -> None:
        self.kube, self.devices = kube(*objects), Devices()
        self.binder = ClaimBinder(self.kube, self.devices)
        selector = {"cel": {"expression": f'device.driver == "{DRIVER}"'}}
        self.devices.on_class(Change(CLASS, None, {"metadata": {"name": CLASS}, "spec": {"selectors": [selector]}}))
        for node in ("n1", "n2"):
            offered = [{"name": f"gpu-{index}"} for index in range(count)]
            spec = {"driver": DRIVER, "nodeName": node, "pool": {"name": node}, "devices": offered}
            self.devices.on_slice(Change(node, None, {"metadata": {"name": node}, "spec": spec}))
        self.see()

    def see(self) -> None:
        """The watch tells what the claims are now."""
        for one in self.kube.all(RESOURCE_CLAIM):
            key = f"ns/{one['metadata']['name']}"
            self.devices.on_claim(Change(key, self.devices.claims.get(key), one))

    def held(self) -> dict[str, tuple[list[tuple[str, str]], list[str]]]:
        """Claim → (node, device) of what it has, and its pods."""
        found = {}
        for one in self.kube.all(RESOURCE_CLAIM):
            status = one.get("status") or {}
            results = ((status.get("allocation") or {}).get("devices") or {}).get("results") or []
            holders = sorted(holder["uid"] for holder in status.get("reservedFor") or ())
            found[one["metadata"]["name"]] = ([(result["pool"], result["device"]) for result in results], holders)
        return found


async def test_pods_that_share_a_claim_do_not_block_each_other():
    """All start from one cached version; each writes once, and the cache sees none of it."""
    names = [f"p{index:02}" for index in range(48)]
    scene = Scene(claim("shared"), *(pod(name, "shared") for name in names))
    await asyncio.gather(*(scene.binder.bind(pod(name, "shared"), "n1") for name in names))
    assert scene.held() == {"shared": ([("n1", "gpu-0")], names)}
    assert scene.kube.calls["patch", "ResourceClaim"] == len(names) + 1
    assert scene.kube.calls["get", "ResourceClaim"] == 0


async def test_a_claim_that_somebody_changed_is_looked_at_once_more():
    scene = Scene(claim("c"), pod("p", "c"))
    await scene.kube.patch(RESOURCE_CLAIM, "c", "ns", body={"metadata": {"labels": {"a": "b"}}})
    await scene.binder.bind(pod("p", "c"), "n1")
    assert scene.held() == {"c": ([("n1", "gpu-0")], ["p"])}


class LostAnswers(FakeKube):
    """The next ``lost`` writes of a status are done, and nobody hears of it."""

    lost = 1

    async def patch(self, *args: Any, **options: Any) -> Obj:
        done = await super().patch(*args, **options)
        if options.get("subresource") == "status" and self.lost:
            self.lost -= 1
            raise Unreachable("reset")
        return done


async def test_a_device_goes_to_one_claim_though_an_answer_is_lost():
    scene = Scene(claim("a"), claim("b"), pod("p", "a"), pod("q", "b"), kube=LostAnswers)
    with pytest.raises(Unreachable):
        await scene.binder.bind(pod("p", "a"), "n1")
    await scene.binder.bind(pod("q", "b"), "n1")
    assert scene.held() == {"a": ([("n1", "gpu-0")], ["p"]), "b": ([("n1", "gpu-1")], ["q"])}
    await scene.binder.bind(pod("p", "a"), "n1")
    scene.see()
    assert (scene.devices.taken, scene.held()["a"]) == ({}, ([("n1", "gpu-0")], ["p"]))


async def test_devices_of_a_write_that_was_not_done_serve_the_next_try_and_are_free_later(monkeypatch):
    monkeypatch.setattr(device_claims, "DOUBT_S", 0.0)
    scene = Scene(claim("a"), pod("p", "a"), count=1)
    for _ in range(2):
        scene.kube.fail("patch", "ResourceClaim", ServerFailed("no"))
    for _ in range(2):
        with pytest.raises(ServerFailed):
            await scene.binder.bind(pod("p", "a"), "n1")
        assert len(scene.devices.taken) == 1
    while scene.devices.taken:
        await asyncio.sleep(0)
    await scene.binder.bind(pod("p", "a"), "n1")
    assert scene.held() == {"a": ([("n1", "gpu-0")], ["p"])}


async def test_what_a_pod_got_is_given_back_when_another_claim_of_it_gets_nothing():
    scene = Scene(claim("a"), claim("b", count=2), claim("c", count=2), pod("p", "a", "b"), pod("q", "c"))
    with pytest.raises(ClaimsNotAllocated, match="no free devices for claim ns/b"):
        await scene.binder.bind(pod("p", "a", "b"), "n1")
    await scene.binder.bind(pod("q", "c"), "n1")
    assert scene.held() == {"a": ([], []), "b": ([], []), "c": ([("n1", "gpu-0"), ("n1", "gpu-1")], ["q"])}


@pytest.mark.parametrize("bound", [True, False])
async def test_what_other_pods_hold_or_a_bound_pod_uses_is_not_given_back(bound):
    scene = Scene(claim("a"), claim("b", count=9), pod("p", "a", "b"), pod("other", "a"))
    holder = "p" if bound else "other"
    await scene.binder.bind(pod(holder, "a"), "n1")
    scene.see()
    if bound:
        await scene.kube.bind("ns", "p", "n1", uid="p")
    with pytest.raises(ClaimsNotAllocated):
        await scene.binder.bind(pod("p", "a", "b"), "n1")
    devices, holders = scene.held()["a"]
    assert devices == [("n1", "gpu-0")] and holder in holders


@pytest.mark.parametrize("bound", [True, False])
async def test_claims_of_a_pod_that_was_not_bound_after_all_are_given_back(bound):
    scene = Scene(claim("a"), pod("p", "a"))
    held = await scene.binder.bind(pod("p", "a"), "n1")
    if bound:
        await scene.kube.bind("ns", "p", "n1", uid="p")
    await scene.binder.give_back(pod("p", "a"), held)
    assert scene.held() == {"a": ([("n1", "gpu-0")], ["p"]) if bound else ([], [])}


REFUSED = [Conflict("no"), Forbidden("no")]


@pytest.mark.parametrize("error", REFUSED, ids=lambda error: type(error).__name__)
async def test_a_refused_bind_leaves_no_device_taken(error):
    wanted = claim("a")
    wanted["metadata"]["labels"] = {"kai.scheduler/queue": "q"}
    kube = FakeKube(machine(gpus=0), queue(), offered("n1"), device_class(), wanted)
    kube.fail("bind", "Pod", error)
    async with scheduling(kube):
        made = waiting("p", gpus=0)
        made["spec"]["resourceClaims"] = [{"name": "a", "resourceClaimName": "a"}]
        await kube.create(made)
        await until(lambda: kube.calls["bind", "Pod"] and not reserved(kube))
        await until(lambda: placed(kube) == {"p": "n1"})
    assert len(reserved(kube)) == 1


def reserved(kube: FakeKube) -> list[str]:
    """Pods that hold a claim."""
    return [
        one["uid"] for obj in kube.all(RESOURCE_CLAIM) for one in (obj.get("status") or {}).get("reservedFor") or ()
    ]


def offered(on: str) -> Obj:
    spec = {"driver": DRIVER, "nodeName": on, "pool": {"name": on}, "devices": [{"name": "gpu-0"}]}
    return {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": {"name": on}, "spec": spec}


def device_class() -> Obj:
    spec = {"selectors": [{"cel": {"expression": f'device.driver == "{DRIVER}"'}}]}
    return {"apiVersion": "resource.k8s.io/v1", "kind": "DeviceClass", "metadata": {"name": CLASS}, "spec": spec}
