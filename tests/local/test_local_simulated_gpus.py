"""The DCGM simulator: who holds which device, and a page that our own parser reads and that says it is made up."""

from __future__ import annotations

import pytest

from agent.metrics.dcgm import devices
from agent.metrics.exposition import parse
from local.simulated_gpus import Holder, Node, assign, holder, page, utilisation


def held(uid: str, count: int = 1, milli: int = 1000, started: float = 0.0, **more: object) -> Holder:
    return Holder(uid, "ns", uid, "n1", count, milli, started, **more)


def nodes(gpus: int = 4) -> dict[str, Node]:
    return {"n1": Node("n1", 1000, [{} for _ in range(gpus)])}


def slots(world: dict[str, Node]) -> list[list[str]]:
    return [sorted(slot) for slot in world["n1"].slots]


def test_whole_devices_are_given_in_order_and_kept():
    world = nodes()
    assign(world, [held("a", 2), held("b", started=1)])
    assign(world, [held("b", started=1), held("c", started=2)])
    assert slots(world) == [["c"], [], ["b"], []]


def test_fractions_share_a_device_until_it_is_full():
    world = nodes()
    assign(world, [held("a", milli=500), held("b", milli=500, started=1), held("c", milli=500, started=2)])
    assert slots(world) == [["a", "b"], ["c"], [], []]


def test_the_schedulers_groups_decide_who_shares():
    world = nodes()
    assign(world, [held("a", milli=300, groups=("g1",)), held("b", milli=300, started=1, groups=("g2",))])
    assign(world, [*[held(u, milli=300, groups=(g,)) for u, g in (("a", "g1"), ("b", "g2"), ("c", "g2"))]])
    assert slots(world) == [["a"], ["b", "c"], [], []]


def test_a_pod_beyond_the_devices_gets_none():
    world = nodes(1)
    assign(world, [held("a"), held("b", started=1)])
    assert slots(world) == [["a"]]


@pytest.mark.parametrize(
    ("annotations", "limits", "expected"),
    [
        ({}, {"nvidia.com/gpu": "2"}, (2, 1000)),
        ({"gpu-fraction": "0.25"}, {}, (1, 250)),
        ({"gpu-fraction": "0.5", "gpu-fraction-num-devices": "2"}, {}, (2, 500)),
        ({"gpu-memory": "100"}, {}, (1, 100)),
        ({}, {}, None),
    ],
)
def test_what_a_pod_holds(annotations, limits, expected):
    meta = {"uid": "u", "namespace": "ns", "name": "p", "annotations": annotations}
    found = holder(
        {"metadata": meta, "spec": {"nodeName": "n1", "containers": [{"resources": {"limits": limits}}]}}, 0, 1000
    )
    assert (found and (found.devices, found.milli)) == expected


def test_the_page_reads_back_and_says_that_it_is_made_up():
    world = nodes(2)
    assign(world, [held("a")])
    text = page(world, 100.0)
    busy, idle = devices(parse(text).readings)
    assert (busy.pods, idle.pods) == ((("ns", "a"),), ())
    assert busy.utilisation > 30 > idle.utilisation == 0
    assert (busy.memory_total, idle.memory_used) == (1000 << 20, 0)
    assert text.count("SIMULATED") == 3


def test_a_pod_can_set_its_use_and_a_restart_changes_nothing():
    assert utilisation(held("a", fixed=0.0), 0, 500.0) == 0
    assert utilisation(held("a"), 0, 500.0) == utilisation(held("a"), 0, 500.0) > 0
