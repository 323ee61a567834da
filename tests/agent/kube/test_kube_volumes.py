"""Which volume a claim could get, and where: kube-scheduler's rules, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from agent.domain.constraints import NodeTerm, Requirement
from agent.kube.cache import Change
from agent.kube.convert import volumes as read
from agent.kube.mirror.volumes import Volumes

LOCAL = {"metadata": {"name": "local"}, "provisioner": read.NO_PROVISIONER, "volumeBindingMode": "WaitForFirstConsumer"}
DYNAMIC = {"metadata": {"name": "disk"}, "provisioner": "csi.example", "volumeBindingMode": "WaitForFirstConsumer"}
ON_N1 = NodeTerm((Requirement("kubernetes.io/hostname", "In", ("n1",)),))


def volume(name: str = "v", *, node: str = "n1", size: str = "10Gi", phase: str = "Available", **spec: Any) -> dict:
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    body = {"storageClassName": "local", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}}
    body |= {"nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}} if node else {}
    meta = {"name": name, "labels": spec.pop("labels", {})}
    return {"metadata": meta, "spec": body | spec, "status": {"phase": phase}}


def claim(name: str = "c", *, size: str = "5Gi", bound: str = "", node: str = "", **spec: Any) -> dict:
    body = {"storageClassName": "local", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    notes = {read.BIND_COMPLETED: "yes"} if bound else {}
    notes |= {read.SELECTED_NODE: node} if node else {}
    body |= {"volumeName": bound} if bound else {}
    return {
        "metadata": {"name": name, "namespace": "ns", "uid": f"u-{name}", "annotations": notes},
        "spec": body | spec,
    }


@pytest.mark.parametrize(
    ("one", "wanted", "verdict"),
    [
        (volume(), claim(), True),
        (volume(size="4Gi"), claim(), False),
        (volume(storageClassName="other"), claim(), False),
        (volume(volumeMode="Block"), claim(), False),
        (volume(), claim(accessModes=["ReadWriteMany"]), False),
        (volume(phase="Released"), claim(), False),
        (volume(labels={"tier": "fast"}), claim(selector={"matchLabels": {"tier": "fast"}}), True),
        (volume(labels={"tier": "slow"}), claim(selector={"matchLabels": {"tier": "fast"}}), False),
        (volume(phase="Bound", claimRef={"namespace": "ns", "name": "c", "uid": "u-c"}), claim(), True),
        (volume(claimRef={"namespace": "ns", "name": "c"}), claim(), True),
        (volume(claimRef={"namespace": "ns", "name": "c", "uid": "another"}), claim(), False),
        (volume(claimRef={"namespace": "ns", "name": "d"}), claim(), False),
    ],
)
def test_what_fits(one, wanted, verdict):
    assert read.fits(one, wanted) is verdict


def test_the_smallest_that_fits_and_is_reached_is_chosen():
    offered = [volume("far", node="n2", size="5Gi"), volume("large", size="90Gi"), volume("small", size="6Gi")]
    chosen = read.choose(offered, claim(), "n1", {"kubernetes.io/hostname": "n1"})
    assert chosen is not None
    assert chosen["metadata"]["name"] == "small"


@pytest.mark.parametrize(
    ("wanted", "offered", "storage_class", "places"),
    [
        (claim(), [volume()], LOCAL, (ON_N1,)),
        (claim(), [volume(node="")], LOCAL, ()),
        (claim(), [], LOCAL, read.NOWHERE),
        (claim(node="n7"), [volume()], LOCAL, (NodeTerm(names=("n7",)),)),
        (claim(), [], DYNAMIC, ()),
        (
            claim(),
            [volume()],
            DYNAMIC | {"allowedTopologies": [{"matchLabelExpressions": [{"key": "zone", "values": ["a"]}]}]},
            (ON_N1, NodeTerm((Requirement("zone", "In", ("a",)),))),
        ),
    ],
)
def test_where_an_unbound_claim_could_be(wanted, offered, storage_class, places):
    assert read.places_of(wanted, offered, storage_class) == places


def test_a_volume_is_reached_in_its_zones_too():
    one = volume(labels={"topology.kubernetes.io/zone": "a__b"})
    assert read.reachable(one, "n1", {"kubernetes.io/hostname": "n1", "topology.kubernetes.io/zone": "b"})
    assert not read.reachable(one, "n1", {"kubernetes.io/hostname": "n1", "topology.kubernetes.io/zone": "c"})


def pod(*volumes: dict, node: str = "") -> dict:
    return {"metadata": {"name": "p", "namespace": "ns", "uid": "p"}, "spec": {"volumes": volumes, "nodeName": node}}


USES_C = {"name": "data", "persistentVolumeClaim": {"claimName": "c"}}


@pytest.mark.parametrize(
    ("wanted", "waits"),
    [
        (None, ["MissingObject"]),
        (claim(storageClassName="gone"), ["VolumeUnbound"]),
        (claim(storageClassName="at-once"), ["VolumeUnbound"]),
        (claim(), []),
        (claim(bound="v"), []),
        (claim(bound="gone"), ["MissingObject"]),
    ],
)
def test_what_keeps_a_pod_waiting(wanted, waits):
    known = Volumes()
    known.on_class(Change("local", None, LOCAL))
    known.on_class(Change("at-once", None, {"metadata": {"name": "at-once"}, "provisioner": "x"}))
    known.on_volume(Change("v", None, volume()))
    if wanted is not None:
        known.on_claim(Change("ns/c", None, wanted))
    known.note(pod(USES_C))
    found = known.verdict("p")
    assert [why.code for why in found.waits] == waits
    assert bool(found.places) is not bool(waits)


def test_a_volume_made_for_a_pod_is_a_claim_of_its_name():
    assert list(read.claims_of(pod({"name": "scratch", "ephemeral": {}}, USES_C))) == ["p-scratch", "c"]


def test_changes_name_the_pods_to_look_at_again():
    known = Volumes()
    known.note(pod(USES_C))
    assert known.on_claim(Change("ns/c", None, claim(bound="v"))) == ["p"]
    assert known.on_claim(Change("ns/d", None, claim("d"))) == []
    assert known.on_volume(Change("w", None, volume("w"))) == []
    assert known.on_volume(Change("v", None, volume(claimRef={"namespace": "ns", "name": "c"}))) == ["p"]
    known.note(pod(USES_C, node="n1"))
    assert known.on_claim(Change("ns/c", None, claim())) == []
