"""The mirror: kept up to date change by change it equals one that is built anew, and it keeps unchanged objects."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.domain.pods import PodStatus
from agent.grouping.owners import Reference, owner_of
from agent.kube.cache import Change, Store, key_of
from agent.kube.mirror import Mirror, owners
from agent.scheduler.snapshot import Snapshot
from tests.agent.loops.scheduling import group, node, pod, queue

NOW = 1_700_000_000 * 10**9
CREATED = "2023-11-14T22:13:20Z"


class World:
    """Stores that feed a mirror, as the scheduler's informers do."""

    def __init__(self) -> None:
        self.woken = 0
        self.stores = {kind: Store() for kind in ("Queue", "PodGroup", "Node", "Pod")}
        self.mirror = self.fresh(self._count)
        self.version = 0

    def _count(self) -> None:
        self.woken += 1

    def fresh(self, wake: Callable[[], None] = lambda: None) -> Mirror:
        mirror = Mirror(["runai-scheduler"], wake=wake, clock=lambda: NOW)
        handlers = {
            "Queue": mirror.on_queue,
            "PodGroup": mirror.on_group,
            "Node": mirror.on_node,
            "Pod": mirror.on_pod,
        }
        for kind, handler in handlers.items():
            self.stores[kind].on_change(handler)
        return mirror

    def put(self, obj: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        obj = copy.deepcopy(obj)
        meta = obj["metadata"]
        old = self.stores[obj["kind"]].by_key(key_of(obj))
        meta |= {"resourceVersion": str(self.version), "creationTimestamp": CREATED}
        meta["uid"] = old["metadata"]["uid"] if old else f"{obj['kind']}-{self.version}"
        self.stores[obj["kind"]].put(obj)
        return obj

    def drop(self, kind: str, key: str) -> None:
        obj = self.stores[kind].by_key(key)
        if obj is not None:
            self.stores[kind].drop(obj)


def as_sets(snapshot: Snapshot) -> tuple[object, ...]:
    pods = {(p.uid, p.status, p.node, p.group, p.request, p.constraints, p.gpu_groups) for p in snapshot.pods}
    nodes = {(n.name, n.gpus, n.foreign, n.pool) for n in snapshot.nodes}
    groups = {(g.key, g.queue, g.priority, g.root, g.pool, g.created) for g in snapshot.groups}
    return pods, nodes, groups, {(q.name, q.parent, q.pool, q.gpu) for q in snapshot.queues}


PODS = st.tuples(
    st.just("pod"),
    st.integers(0, 5),
    st.fixed_dictionaries(
        {
            "gpus": st.integers(0, 2),
            "in_group": st.sampled_from([None, "g0", "g1"]),
            "scheduler": st.sampled_from(["runai-scheduler", "other"]),
            "node": st.sampled_from([None, "n0", "n1"]),
            "phase": st.sampled_from(["Pending", "Running", "Succeeded"]),
            "leaving": st.booleans(),
            "gated": st.booleans(),
            "fraction": st.sampled_from([None, "0.5", "nonsense"]),
        }
    ),
)
STEPS = st.one_of(
    PODS,
    st.tuples(st.just("no-pod"), st.integers(0, 5)),
    st.tuples(st.just("group"), st.integers(0, 1), st.integers(0, 3)),
    st.tuples(st.just("no-group"), st.integers(0, 1)),
    st.tuples(st.just("node"), st.integers(0, 1), st.integers(0, 8)),
    st.tuples(st.just("no-node"), st.integers(0, 1)),
    st.tuples(st.just("queue"), st.sampled_from(["q", "r"]), st.integers(-1, 4)),
    st.tuples(st.just("look")),
)


def made_pod(number: int, facts: dict[str, Any]) -> dict[str, Any]:
    notes = {"gpu-fraction": facts["fraction"]} if facts["fraction"] else {}
    gpus = 0 if notes else facts["gpus"]
    more = {"schedulingGates": [{"name": "g"}]} if facts["gated"] and not facts["node"] else {}
    found = pod(f"p{number}", gpus, in_group=facts["in_group"], scheduler=facts["scheduler"], annotations=notes, **more)
    if facts["node"]:
        found["spec"]["nodeName"] = facts["node"]
    found["status"] = {"phase": facts["phase"]}
    if facts["leaving"]:
        found["metadata"]["deletionTimestamp"] = CREATED
    return found


def step(world: World, kind: str, *facts: Any) -> None:
    match kind:
        case "pod":
            before = world.stores["Pod"].by_key(f"ns/p{facts[0]}")
            after = made_pod(*facts)
            if before is not None:  # the scheduler of a pod and its node, once set, never change
                world.drop("Pod", f"ns/p{facts[0]}")
            world.put(after)
        case "no-pod":
            world.drop("Pod", f"ns/p{facts[0]}")
        case "group":
            world.put(group(f"g{facts[0]}", facts[1]))
        case "no-group":
            world.drop("PodGroup", f"ns/g{facts[0]}")
        case "node":
            world.put(node(f"n{facts[0]}", facts[1]))
        case "no-node":
            world.drop("Node", f"n{facts[0]}")
        case "queue":
            world.put(queue(facts[0], facts[1]))
        case "look":
            world.mirror.snapshot(NOW)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=30))
def test_step_by_step_equals_built_anew(steps):
    world = World()
    for one in steps:
        step(world, *one)
    assert as_sets(world.mirror.snapshot(NOW)) == as_sets(world.fresh().snapshot(NOW))


@settings(max_examples=50, deadline=None)
@given(st.lists(STEPS, max_size=15))
def test_what_did_not_change_is_the_same_object(steps):
    world = World()
    for one in steps:
        step(world, *one)
    first, second = world.mirror.snapshot(NOW), world.mirror.snapshot(NOW)
    for left, right in ((first.pods, second.pods), (first.nodes, second.nodes), (first.groups, second.groups)):
        assert all(one is other for one, other in zip(left, right, strict=True))


def world_of(*objects: dict[str, Any]) -> World:
    world = World()
    for obj in objects:
        world.put(obj)
    world.woken = 0
    return world


def only_pod(world: World):
    (found,) = world.mirror.snapshot(NOW).pods
    return found


def test_an_assumed_bind_counts_until_the_api_shows_it():
    world = world_of(node("n0"), queue(), pod("a"))
    uid = only_pod(world).uid
    world.mirror.assume_bound(uid, "n0", ("g",))
    assert (only_pod(world).status, only_pod(world).node, only_pod(world).gpu_groups) == (
        PodStatus.BINDING,
        "n0",
        ("g",),
    )
    bound = pod("a")
    bound["spec"]["nodeName"] = "n0"
    world.put(bound)
    assert (only_pod(world).status, world.mirror.demand.assumed) == (PodStatus.BOUND, {})


def test_a_failed_bind_pauses_the_pod_until_its_time():
    world = world_of(node("n0"), queue(), pod("a"))
    uid = only_pod(world).uid
    world.mirror.assume_bound(uid, "n0", ())
    world.mirror.bind_failed(uid, 5)
    assert only_pod(world).status == PodStatus.GATED
    assert world.mirror.restless()
    assert world.mirror.snapshot(NOW + 5 * 10**9).pods[0].status == PodStatus.PENDING


def test_an_eviction_on_its_way_counts_as_leaving():
    running = pod("a")
    running["spec"]["nodeName"] = "n0"
    running["status"] = {"phase": "Running"}
    world = world_of(node("n0"), queue(), running)
    uid = only_pod(world).uid
    world.mirror.assume_leaving(uid)
    assert only_pod(world).status == PodStatus.RELEASING
    world.mirror.eviction_failed(uid)
    assert only_pod(world).status == PodStatus.RUNNING


@pytest.mark.parametrize(
    ("status", "wakes"),
    [({"phase": "Running"}, False), ({"phase": "Succeeded"}, True), ({"phase": "Pending", "podIP": "1"}, False)],
)
def test_only_changes_that_matter_wake(status, wakes):
    bound = pod("a")
    bound["spec"]["nodeName"] = "n0"
    bound["status"] = {"phase": "Pending"}
    world = world_of(node("n0"), queue(), bound)
    world.put(bound | {"status": status})
    assert bool(world.woken) is wakes


def test_a_heartbeat_does_not_wake():
    world = world_of(node("n0"), queue())
    beat = node("n0")
    beat["status"]["conditions"][0]["lastHeartbeatTime"] = "2024-01-01T00:00:00Z"
    world.put(beat)
    assert world.woken == 0


def test_our_own_status_on_a_group_does_not_wake():
    world = world_of(node("n0"), queue(), group("g"), pod("a", in_group="g"))
    world.put(group("g") | {"status": {"schedulingConditions": [{}]}})
    assert world.woken == 0


def test_pods_that_wait_for_an_owner_are_grouped_when_it_is_known():
    reference = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "ju", "controller": True}
    owned = pod("a")
    owned["metadata"]["ownerReferences"] = [reference]
    world = world_of(node("n0"), queue(), owned)
    assert world.mirror.snapshot(NOW).pods == ()
    (wanted,) = world.mirror.owners.wanted
    assert wanted == Reference("batch/v1", "Job", "j", "ju")
    world.mirror.learn(owner_of(wanted, {"metadata": {"name": "j"}}))
    assert only_pod(world).group == "ns/pg-j-ju"
    assert world.mirror.owners.wanted == {}


def owner(name: str) -> Reference:
    return Reference("batch/v1", "Job", name, f"{name}u")


def under(name: str) -> dict:
    """The manifest of something that the Job of that name owns."""
    reference = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": f"{name}u", "controller": True}
    return {"metadata": {"name": "x", "ownerReferences": [reference]}}


def owned_world() -> World:
    """A pod of Job j, which Job top owns."""
    owned = pod("a")
    owned["metadata"] |= {"ownerReferences": under("j")["metadata"]["ownerReferences"]}
    world = world_of(node("n0"), queue(), owned)
    world.mirror.learn(owner_of(owner("j"), under("top")))
    return world


def test_owners_above_the_nearest_are_not_forgotten_while_a_pod_is_there():
    world = owned_world()
    world.mirror.learn(owner_of(owner("top"), {"metadata": {"name": "top"}}))
    world.mirror.forget_owners()
    assert set(world.mirror.owners.known) == {"ju", "topu"}


def test_an_owner_that_was_not_there_is_read_again_and_its_pods_stay_grouped():
    world = owned_world()
    world.mirror.learn(owner_of(owner("top"), None))
    group = only_pod(world).group
    world.mirror.forget_owners()
    assert set(world.mirror.owners.wanted) == {owner("top")}
    assert only_pod(world).group == group


def test_ten_thousand_pods_of_one_unknown_owner_ask_once():
    world = World()
    for number in range(10_000):
        owned = pod(f"p{number}")
        owned["metadata"]["ownerReferences"] = [{"apiVersion": "x/v1", "kind": "Bad", "name": "b", "uid": "bu"}]
        world.put(owned)
    assert len(world.mirror.owners.wanted) == 1


def steps_to_drop_one_of(count: int) -> int:
    """Lines that run when one of so many pods goes that wait for an owner each."""
    world = World()
    for number in range(count):
        owned = pod(f"p{number}")
        owned["metadata"]["ownerReferences"] = under(f"j{number}")["metadata"]["ownerReferences"]
        world.put(owned)
    steps, before = 0, sys.gettrace()

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., Any]:
        nonlocal steps
        steps += event == "line" and frame.f_code.co_filename == owners.__file__
        return trace

    sys.settrace(trace)
    try:
        world.drop("Pod", "ns/p0")
    finally:
        sys.settrace(before)
    assert owner("j0") not in world.mirror.owners.wanted
    assert len(world.mirror.owners.wanted) == count - 1
    return steps


def test_to_drop_a_pod_that_waits_for_its_owner_takes_no_look_at_the_others():
    assert steps_to_drop_one_of(100) == steps_to_drop_one_of(10)


def test_a_pod_whose_owner_changes_while_it_waits_leaves_nothing_behind():
    world = World()
    for name in ("one", "two"):
        world.put(pod("a") | {"metadata": pod("a")["metadata"] | under(name)["metadata"] | {"name": "a"}})
    world.mirror.learn(owner_of(owner("two"), {"metadata": {"name": "two"}}))
    world.drop("Pod", "ns/a")
    assert world.mirror.owners.wanted == {}


def test_a_queue_without_pool_counts_in_every_pool_that_is_asked_for():
    there = pod("a", labels={"kai.scheduler/node-pool": "h100"})
    world = world_of(node("n0"), queue(), there)
    assert {q.pool for q in world.mirror.snapshot(NOW).queues} == {"default", "h100"}


def test_priorities_come_from_the_classes_of_the_cluster():
    world = world_of(node("n0"), queue(), group("g", priorityClassName="mine"), pod("a", in_group="g"))
    obj = {"metadata": {"name": "mine"}, "value": 77, "globalDefault": True}
    world.mirror.on_priority_class(Change("mine", None, obj))
    assert world.mirror.snapshot(NOW).groups[0].priority == 77


def test_a_namespace_that_gets_a_queue_moves_its_pods():
    alone = pod("a")
    alone["metadata"]["labels"] = {}
    world = world_of(node("n0"), queue(), alone)
    assert world.mirror.snapshot(NOW).groups[0].queue == "default"
    space = {"metadata": {"name": "ns", "labels": {"runai/queue": "team"}}}
    world.mirror.on_namespace(Change("ns", None, space))
    assert world.mirror.snapshot(NOW).groups[0].queue == "team"


def test_a_leaving_pod_is_stuck_when_its_time_has_passed_and_not_before():
    world, minute = World(), 60 * 10**9
    for obj in (node(), queue(), group("g")):
        world.put(obj)
    leaving = pod("p", in_group="g", nodeName="n1")
    leaving["metadata"]["deletionTimestamp"] = CREATED
    world.put(leaving | {"status": {"phase": "Running"}})
    states = [world.mirror.snapshot(NOW + after).pods[0].status for after in (0, minute, 3 * minute, 0)]
    releasing, stuck = PodStatus.RELEASING, PodStatus.STUCK_IN_RELEASING
    assert states == [releasing, releasing, stuck, releasing]  # also when the clock is set back
