"""Slices, classes and claims of devices: what is offered, what is understood, and which devices a claim gets."""

from __future__ import annotations

from typing import Any

import pytest

from agent.domain.constraints import NodeTerm
from agent.domain.nodes import DeviceClaim, DeviceSlice
from agent.kube.cache import Change, Store
from agent.kube.convert.claims import (
    NotUnderstood,
    allocation,
    device_claim_keys,
    devices_of,
    results_of,
    test_of,
    wanted_of,
)
from agent.kube.convert.volumes import NOWHERE
from agent.kube.mirror import Mirror
from agent.kube.mirror.checking import rebuilt
from agent.kube.mirror.devices import Devices
from agent.kube.resources import DEVICE_CLASS, NODE, POD, RESOURCE_CLAIM, RESOURCE_SLICE

Obj = dict[str, Any]
test_of.__test__ = False  # type: ignore[attr-defined]
DRIVER = "gpu.example.com"


def slice_of(node: str = "n1", count: int = 2, *, generation: int = 1, name: str = "", **device: Any) -> Obj:
    devices = [{"name": f"gpu-{index}", **device} for index in range(count)]
    pool = {"name": node, "generation": generation, "resourceSliceCount": 1}
    spec = {"driver": DRIVER, "nodeName": node, "pool": pool, "devices": devices}
    return {"metadata": {"name": name or f"{node}-{generation}", "uid": "s"}, "spec": spec}


def class_of(name: str = "gpu.example.com", expression: str = f'device.driver == "{DRIVER}"') -> Obj:
    return {"metadata": {"name": name, "uid": name}, "spec": {"selectors": [{"cel": {"expression": expression}}]}}


def claim(name: str = "c", count: int = 1, device_class: str = "gpu.example.com", **more: Any) -> Obj:
    request = {"name": "gpu", "exactly": {"deviceClassName": device_class, "count": count, **more}}
    return {"metadata": {"name": name, "namespace": "ns", "uid": name}, "spec": {"devices": {"requests": [request]}}}


def devices(*objects: Obj, classes: tuple[Obj, ...] = (class_of(),), slices: tuple[Obj, ...] = ()) -> Devices:
    found = Devices()
    for obj in slices or (slice_of(),):
        found.on_slice(Change(obj["metadata"]["name"], None, obj))
    for obj in classes:
        found.on_class(Change(obj["metadata"]["name"], None, obj))
    for obj in objects:
        found.on_claim(Change(f"ns/{obj['metadata']['name']}", None, obj))
    return found


def allocated(obj: Obj, known: Devices, node: str = "n1", *holders: str) -> Obj:
    chosen = known.choose(obj, node)
    assert chosen is not None
    status = {"allocation": allocation(obj, chosen, known.classes["gpu.example.com"], node)}
    return obj | {"status": status | {"reservedFor": [{"resource": "pods", "uid": uid} for uid in holders]}}


MEMORY = {"memory": {"value": "80Gi"}}
KINDS = {name: {"attributes": {"model": {"string": name}}} for name in ("old", "new")}
KIND = {"model": {"string": "A100"}, "mig": {"bool": True}, "slot": {"int": 3}}


@pytest.mark.parametrize(
    ("expression", "met"),
    [
        ('device.driver == "gpu.example.com"', True),
        ('device.driver == "other"', False),
        ('device.attributes["gpu.example.com"].model == "A100"', True),
        ('device.attributes["gpu.example.com"].model == "H100"', False),
        ('device.attributes["gpu.example.com"].mig == true', True),
        ('device.attributes["gpu.example.com"].slot == 3', True),
        ('device.attributes["other"].model == "A100"', False),
        ('device.driver == "gpu.example.com" && device.attributes["gpu.example.com"].slot == 4', False),
        ('device.capacity["gpu.example.com"].memory.compareTo(quantity("80Gi")) >= 0', True),
        ('device.capacity["gpu.example.com"].memory.compareTo(quantity("80Gi")) > 0', False),
        ('device.capacity["gpu.example.com"].memory.isGreaterThan(quantity("40Gi"))', True),
        ("device.driver == 'gpu.example.com' && device.attributes['gpu.example.com'].model == 'A100'", True),
        ("device.attributes['gpu.example.com'].model == 'H100'", False),
        ("device.capacity['gpu.example.com'].memory.compareTo(quantity('80Gi')) >= 0", True),
        ('device.capacity["gpu.example.com"].cores.compareTo(quantity("1")) >= 0', False),
    ],
)
def test_selectors_that_are_understood(expression, met):
    device = devices_of([slice_of(count=1, attributes=KIND, capacity=MEMORY)])[0]
    assert test_of([expression])(device) == met


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "true",
        'device.driver != "x"',
        'device.driver == "a" || device.driver == "b"',
        "device.driver.startsWith('a')",
        """device.driver == 'a"b'""",
        'device.attributes["a.b"].c == 007',
        'device.attributes["a.b"].c == -0x1',
        r'device.attributes["a.b"].c == "\a"',
        'device.attributes["a.b"].c == "a\tb"',
        r'device.driver == "\x61"',
        'device.capacity["a.b"].c.compareTo(quantity("1e")) >= 0',
    ],
)
def test_selectors_that_are_not(expression):
    with pytest.raises(NotUnderstood):
        test_of([expression])


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"allocationMode": "All"}, "allocationMode"),
        ({"adminAccess": True}, "adminAccess"),
        ({"selectors": [{"cel": {"expression": "size(device) > 1"}}]}, "selector"),
    ],
)
def test_claims_that_ask_for_more_wait_and_say_why(change, names):
    odd = claim(**change)
    known = devices(odd)
    known.note({"metadata": {"uid": "p", "namespace": "ns"}, "spec": {"resourceClaims": [by_name("c")]}})
    (reason,) = known.waits("p")
    assert "ns/c" in reason.text and names in reason.text
    assert known.known_claims() == ()


NOT_JSON = {"cel": {"expression": 'device.attributes["a.b"].c == 007'}}
NOT_READ: dict[str, tuple[Obj, ...]] = {
    "a selector": (class_of(), claim("odd", selectors=[NOT_JSON])),
    "a count": (class_of(), claim("odd", count="many")),  # type: ignore[arg-type]
    "a class": (class_of() | {"spec": {"selectors": [NOT_JSON]}}, claim("odd")),
}


@pytest.mark.parametrize("case", NOT_READ)
def test_nothing_that_somebody_writes_ends_a_cycle(case):
    device_class, odd = NOT_READ[case]
    known = devices(odd, claim("good", device_class="fine"), classes=(device_class, class_of("fine")))
    known.note({"metadata": {"uid": "p", "namespace": "ns"}, "spec": {"resourceClaims": [by_name("odd")]}})
    assert len(known.waits("p")) == 1
    assert "ns/good" in [one.key for one in known.known_claims()]
    assert ("fine", 2) in [(offer.device_class, offer.count) for offer in known.offers()]


def test_a_device_that_cannot_be_read_is_not_handed_out():
    odd, good = slice_of(count=1, attributes={"model": "A100"}), slice_of("n2", count=1)
    assert [device.node for device in devices_of([odd, good])] == ["n2"]


def by_name(name: str) -> Obj:
    return {"name": "gpu", "resourceClaimName": name}


def test_two_classes_in_one_claim_are_not_understood():
    both = claim()
    both["spec"]["devices"]["requests"] += claim(device_class="nic")["spec"]["devices"]["requests"]
    with pytest.raises(NotUnderstood, match="2 device classes"):
        wanted_of(both)


def test_a_gpu_is_offered_once_whatever_number_of_classes_names_it():
    classes = (class_of("b.gpu"), class_of("a.gpu"), class_of("nic", 'device.driver == "nic"'))
    assert devices(classes=classes).offers() == (DeviceSlice("n1", "a.gpu", 2, DRIVER),)


def test_only_the_newest_generation_of_a_pool_counts():
    known = devices(slices=(slice_of(count=8), slice_of(count=3, generation=2)))
    assert [offer.count for offer in known.offers()] == [3]


def test_devices_that_share_counters_or_are_tainted_are_not_handed_out():
    parts = slice_of(count=2, consumesCounters=[{"counterSet": "gpu"}])
    bad = slice_of("n2", count=2, taints=[{"key": "bad", "effect": "NoSchedule"}])
    assert devices(slices=(parts, bad)).offers() == ()


def test_a_claim_gets_the_lowest_free_devices():
    known = devices(slices=(slice_of(count=12),))
    known.on_claim(Change("ns/a", None, allocated(claim("a", 2), known)))
    known.taken[(DRIVER, "n1", "gpu-2")] = "ns/other"
    chosen = known.choose(claim("b", 8), "n1")
    assert [device.name for _, device in chosen or ()] == [f"gpu-{index}" for index in range(3, 11)]
    assert known.choose(claim("b", 10), "n1") is None


def test_what_is_allocated_is_planned_with():
    known = devices()
    held = allocated(claim("a"), known, "n1", "pod-1")
    known.on_claim(Change("ns/a", None, held))
    assert known.known_claims() == (
        DeviceClaim("ns/a", "gpu.example.com", 1, "n1", ("gpu-0",), reserved_for=("pod-1",)),
    )


def test_what_was_taken_is_free_again_once_it_is_shown_or_gone():
    known = devices()
    held = allocated(claim("a"), known)
    for change in (Change("ns/a", None, held), Change("ns/a", held, None)):
        known.taken = {(DRIVER, "n1", "gpu-0"): "ns/a", (DRIVER, "n1", "gpu-1"): "ns/b"}
        known.on_claim(change)
        assert known.taken == {(DRIVER, "n1", "gpu-1"): "ns/b"}


def test_devices_of_a_claim_that_is_not_understood_are_not_offered():
    known = devices()
    held = allocated(claim("odd"), known)
    odd = claim("odd", adminAccess=True) | {"status": held["status"]}
    steps = ((None, odd, 1), (odd, claim("odd", adminAccess=True), 2), (None, odd, 1), (odd, None, 2))
    for old, new, count in steps:
        known.on_claim(Change("ns/odd", old, new))
        assert [offer.count for offer in known.offers()] == [count]


def test_choosing_looks_at_the_devices_of_one_node_and_at_no_other_claims(monkeypatch):
    known = devices(slices=tuple(slice_of(f"n{index}", 8) for index in range(20)))
    for index in range(20):
        known.on_claim(Change(f"ns/c{index}", None, allocated(claim(f"c{index}"), known, f"n{index}")))
    tested: list[str] = []
    results = results_of
    monkeypatch.setattr("agent.kube.convert.claims.results_of", lambda obj: tested.append("claim") or results(obj))
    monkeypatch.setattr(known, "_class_test", lambda wanted: lambda device: tested.append(device.node) or True)
    assert [device.name for _, device in known.choose(claim("x"), "n3") or ()] == ["gpu-1"]
    assert set(tested) == {"n3"} and len(tested) == 7


def test_a_device_is_free_again_once_its_claim_gave_it_back_or_is_gone():
    for after in (claim("a"), None):
        known = devices()
        held = allocated(claim("a", 2), known)
        known.on_claim(Change("ns/a", None, held))
        assert known.choose(claim("b"), "n1") is None
        known.on_claim(Change("ns/a", held, after))
        assert len(known.choose(claim("b", 2), "n1") or ()) == 2


@pytest.mark.parametrize(
    ("spec", "statuses", "keys"),
    [
        ([by_name("c")], [], ("ns/c",)),
        ([{"name": "gpu", "resourceClaimTemplateName": "t"}], [], ("ns/t (from a template)",)),
        (
            [{"name": "gpu", "resourceClaimTemplateName": "t"}],
            [{"name": "gpu", "resourceClaimName": "t-x"}],
            ("ns/t-x",),
        ),
        ([{"name": "gpu", "resourceClaimTemplateName": "t"}], [{"name": "gpu"}], ()),
        ([], [], ()),
    ],
)
def test_the_claims_of_a_pod(spec, statuses, keys):
    pod = {
        "metadata": {"namespace": "ns"},
        "spec": {"resourceClaims": spec},
        "status": {"resourceClaimStatuses": statuses},
    }
    assert device_claim_keys(pod) == keys


def test_a_mirror_that_followed_changes_is_one_that_reads_anew():
    """Slices that change, claims that come, are allocated and go: the snapshot is what the stores say."""
    stores = {kind: Store() for kind in (NODE, POD, DEVICE_CLASS, RESOURCE_SLICE, RESOURCE_CLAIM)}
    mirror = Mirror(("s",))
    for kind in (DEVICE_CLASS, RESOURCE_SLICE, RESOURCE_CLAIM):
        stores[kind].on_change(mirror.on_device)
    known = devices(slices=(slice_of(count=4),))
    held = allocated(claim("a", 2), known, "n1", "p")
    steps = (
        (RESOURCE_CLAIM, claim("a", 2)),
        (DEVICE_CLASS, class_of()),
        (RESOURCE_SLICE, slice_of(count=4, name="s")),
        (RESOURCE_CLAIM, held),
        (RESOURCE_CLAIM, claim("b", adminAccess=True)),
        (RESOURCE_SLICE, slice_of(count=2, name="s")),
        (RESOURCE_SLICE, slice_of("n2", count=2, name="t")),
    )
    for version, (kind, obj) in enumerate(steps):
        meta = obj["metadata"] | {"resourceVersion": str(version)}
        stores[kind].put(obj | {"kind": kind.kind, "metadata": meta})
        kept, fresh = mirror.snapshot(0), rebuilt(mirror, stores, 0).snapshot(0)
        assert (kept.slices, kept.claims) == (fresh.slices, fresh.claims)
    assert [(one.node, one.count) for one in kept.slices] == [("n1", 2), ("n2", 2)]
    assert [(one.key, one.node, one.devices) for one in kept.claims] == [("ns/a", "n1", ("gpu-0", "gpu-1"))]
    stores[RESOURCE_CLAIM].drop(stores[RESOURCE_CLAIM].by_key("ns/a") or {})
    assert mirror.snapshot(0).claims == ()


MODELS = (slice_of("n1", 2, **KINDS["old"]), slice_of("n2", 2, **KINDS["new"]), slice_of("n3", 1, **KINDS["new"]))
NEW = [{"cel": {"expression": 'device.attributes["gpu.example.com"].model == "new"'}}]


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ({"selectors": NEW}, ((NodeTerm(names=("n2", "n3")),),)),
        ({"selectors": NEW, "count": 2}, ((NodeTerm(names=("n2",)),),)),
        ({"selectors": NEW, "count": 3}, ()),  # no node has so many of the class: the planner sees that by itself
        ({"selectors": [{"cel": {"expression": f'device.driver == "{DRIVER}"'}}]}, ()),
        ({"selectors": [{"cel": {"expression": 'device.driver == "other"'}}]}, (NOWHERE,)),
        ({}, ()),
    ],
)
def test_a_pod_goes_where_the_devices_are_that_its_claim_selects(wanted, places):
    known = devices(claim("c", **wanted), slices=MODELS)
    known.note({"metadata": {"uid": "p", "namespace": "ns"}, "spec": {"resourceClaims": [by_name("c")]}})
    assert known.places("p") == places


def test_a_slice_that_comes_later_is_looked_at():
    known = devices(claim("c", selectors=NEW), slices=MODELS[:1])
    known.note({"metadata": {"uid": "p", "namespace": "ns"}, "spec": {"resourceClaims": [by_name("c")]}})
    assert known.places("p") == (NOWHERE,)
    assert known.on_slice(Change("n2", None, MODELS[1])) == ["p"]
    assert known.places("p") == ((NodeTerm(names=("n2",)),),)
