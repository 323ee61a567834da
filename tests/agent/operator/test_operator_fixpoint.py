"""Invariants: doing what was decided and deciding again does nothing; nothing of others is touched."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.operator.facts import pod_facts
from agent.operator.lifecycle import decide
from agent.operator.observed import Observation, status_of
from agent.operator.reconcile import Create, Delete, Patch, contains, foreign, is_ours, key_of, reconcile
from agent.operator.workload import WorkloadView
from agent.wire import labels
from tests.agent.operator.builders import NOW, view

OURS = {labels.MANAGED_BY: labels.MANAGED_BY_OPERATOR}


def obj(name: str, *, ours: bool = True, value: int = 0) -> dict[str, Any]:
    meta = {"name": name, "uid": f"uid-{name}", "labels": dict(OURS) if ours else {}}
    return {"kind": "Queue", "metadata": meta, "spec": {"value": value, "list": [{"a": value}]}}


objects = st.lists(
    st.builds(obj, st.sampled_from("abcdef"), ours=st.booleans(), value=st.integers(0, 2)),
    unique_by=lambda item: item["metadata"]["name"],
)
wanted = st.lists(
    st.builds(obj, st.sampled_from("abcdef"), value=st.integers(0, 2)),
    unique_by=lambda item: item["metadata"]["name"],
)


def do(observed: list[dict[str, Any]], actions: list[Any]) -> list[dict[str, Any]]:
    there = {key_of(item): item for item in observed}
    for action in actions:
        match action:
            case Create(new) | Patch(new):
                there[key_of(new)] = new
            case Delete(kind, namespace, name, _):
                del there[kind, namespace, name]
    return list(there.values())


@given(wanted, objects)
def test_a_second_time_there_is_nothing_to_do(desired, observed):
    after = do(observed, reconcile(desired, observed))
    assert reconcile(desired, after) == []
    for item in desired:
        assert any(contains(other, item) for other in after) or key_of(item) in foreign(desired, observed)


@given(wanted, objects)
def test_what_is_not_ours_is_left_as_it_is(desired, observed):
    others = [item for item in observed if not is_ours(item)]
    after = do(observed, reconcile(desired, observed))
    assert all(item in after for item in others)


specs = st.one_of(
    st.builds(lambda n: {"type": "distributed", "workers": n}, st.integers(1, 4)),
    st.builds(lambda c, p: {"completions": c, "parallelism": p}, st.integers(1, 4), st.integers(1, 4)),
    st.builds(lambda b: {"backoff_limit": b}, st.integers(0, 3)),
)
OUTCOMES = st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "gone"])


class World:
    """Pods of one workload as the API server would keep them."""

    def __init__(self) -> None:
        self.pods: dict[str, dict[str, Any]] = {}

    def step(self, workload: WorkloadView) -> WorkloadView:
        """One pass of the operator: decide, do, write the status."""
        before = [pod_facts(pod) for pod in self.pods.values()]
        decision = decide(workload, before, NOW)
        for pod in decision.delete:
            self.pods.pop(pod.name, None)
        for new in decision.create:
            if new["kind"] == "Pod":
                name = new["metadata"]["name"]
                self.pods.setdefault(name, new | {"metadata": new["metadata"] | {"uid": name}})
        status = status_of(workload, decision, Observation(before, {}), NOW)
        return _with(workload, status)

    def settle(self, workload: WorkloadView) -> WorkloadView:
        for _ in range(12):
            before, last = dict(self.pods), workload.status
            workload = self.step(workload)
            if self.pods == before and workload.status == last:
                return workload
        raise AssertionError("it never comes to rest")


def _with(workload: WorkloadView, status: Any) -> WorkloadView:
    values = {name: getattr(workload, name) for name in WorkloadView.__slots__}
    return WorkloadView(**{**values, "status": status})


@settings(max_examples=150, deadline=None)
@given(specs, st.lists(st.tuples(st.integers(0, 3), OUTCOMES), max_size=8))
def test_whatever_happens_to_pods_the_operator_comes_to_rest_within_its_bounds(spec, events):
    world, workload = World(), view(**spec)
    workload = world.settle(workload)
    for index, outcome in events:
        names = sorted(world.pods)
        if not names:
            break
        name = names[index % len(names)]
        if outcome == "gone":
            del world.pods[name]
        elif pod_facts(world.pods[name]).active:  # what has ended stays as it ended
            world.pods[name] = world.pods[name] | {"status": {"phase": outcome}}
        failed_before = workload.status.failed_attempts
        workload = world.settle(workload)
        active = [pod for pod in world.pods.values() if pod_facts(pod).active]
        assert len(active) <= workload.parallelism
        assert workload.status.failed_attempts >= failed_before
        assert workload.status.message
