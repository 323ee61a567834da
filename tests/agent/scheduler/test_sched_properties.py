"""What holds for every cluster: room, limits, whole gangs, quota, order of input, no endless evictions."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.domain.pods import PodStatus
from agent.scheduler import Planner, plan
from tests.agent.scheduler.cluster import NOW, Cluster, Decided
from tests.agent.scheduler.generated import afterwards, clusters, shuffled

quick = settings(max_examples=120, deadline=None)


@quick
@given(clusters())
def test_nodes_are_never_overfilled(cluster):
    snapshot = cluster.snapshot()
    places = afterwards(snapshot, plan(snapshot, NOW))
    requests = {pod.uid: pod.request for pod in snapshot.pods}
    for node in snapshot.nodes:
        here = [uid for uid, (name, _) in places.items() if name == node.name]
        devices: dict[str, int] = {}
        for uid in here:
            for group in places[uid][1]:
                devices[group] = devices.get(group, 0) + requests[uid].gpu_fraction
        assert sum(requests[uid].gpus for uid in here) + len(devices) <= node.gpus
        assert all(share <= 1000 for share in devices.values())
        assert sum(requests[uid].cpu for uid in here) <= node.cpu


@quick
@given(clusters())
def test_limits_are_never_passed(cluster):
    snapshot = cluster.snapshot()
    decided = plan(snapshot, NOW)
    shares = decided.shares
    assert all(one.limit[0] == -1 or one.allocated[0] <= one.limit[0] for one in shares.values())


@quick
@given(clusters())
def test_gangs_run_whole_or_not_at_all(cluster):
    snapshot = cluster.snapshot()
    places = afterwards(snapshot, plan(snapshot, NOW))
    for group in snapshot.groups:
        active = sum(1 for pod in snapshot.pods if pod.group == group.key and pod.uid in places)
        assert active == 0 or active >= group.root.min_available


@quick
@given(clusters())
def test_a_gang_is_not_bound_in_part(cluster):
    snapshot = cluster.snapshot()
    decided = plan(snapshot, NOW)
    bound = {bind.pod for bind in decided.binds}
    gone = {eviction.pod for eviction in decided.evictions}
    for group in snapshot.groups:
        mine = [pod for pod in snapshot.pods if pod.group == group.key]
        if any(pod.uid in bound for pod in mine):
            running = [pod for pod in mine if pod.uid in bound or (pod.node and pod.uid not in gone)]
            assert len(running) >= group.root.min_available


@quick
@given(clusters())
def test_non_preemptible_jobs_are_never_evicted(cluster):
    snapshot = cluster.snapshot()
    fixed = {group.key for group in snapshot.groups if group.priority >= 100}
    owner = {pod.uid: pod.group for pod in snapshot.pods}
    assert not any(owner[eviction.pod] in fixed for eviction in plan(snapshot, NOW).evictions)


@quick
@given(clusters(), st.data())
def test_the_order_of_input_does_not_matter(cluster, data):
    snapshot = cluster.snapshot()
    assert plan(snapshot, NOW) == plan(shuffled(data.draw, snapshot), NOW)


@quick
@given(clusters())
def test_fair_shares_stay_within_the_parent(cluster):
    snapshot = cluster.snapshot()
    shares = plan(snapshot, NOW).shares
    for parent in snapshot.queues:
        children = [queue for queue in snapshot.queues if queue.parent == parent.name]
        if children:
            total = sum(shares[child.name].fair_share[0] for child in children)
            quota = sum(min(child.gpu.deserved, shares[child.name].requested[0]) for child in children)
            assert total <= max(shares[parent.name].fair_share[0], quota)


@quick
@given(clusters())
def test_every_waiting_job_has_a_reason(cluster):
    snapshot = cluster.snapshot()
    decided = plan(snapshot, NOW)
    placed = {one.pod for one in (*decided.binds, *decided.nominations)}
    for pod in snapshot.pods:
        if pod.status == PodStatus.PENDING and pod.uid not in placed:
            assert decided.pod_reasons[pod.uid].text


@quick
@given(clusters())
def test_evictions_have_a_beneficiary_that_gets_a_place(cluster):
    snapshot = cluster.snapshot()
    decided = plan(snapshot, NOW)
    owner = {pod.uid: pod.group for pod in snapshot.pods}
    gainers = {owner[one.pod] for one in (*decided.nominations, *decided.binds)}
    assert all(eviction.by in gainers for eviction in decided.evictions if eviction.action != "stalegangeviction")


@settings(max_examples=60, deadline=None)
@given(clusters())
def test_the_cluster_comes_to_rest(cluster):
    """Carrying plans out ends in a plan that changes nothing."""
    for _ in range(12):
        decided = cluster.plan()
        if not (decided.plan.binds or decided.plan.evictions):
            return
        cluster.carry_out(decided)
    pytest.fail("the plans never come to an end")


@settings(max_examples=60, deadline=None)
@given(clusters())
def test_planning_from_changes_equals_planning_afresh(cluster):
    planner = Planner()
    for _ in range(4):
        snapshot = cluster.snapshot()
        fresh = plan(snapshot, NOW)
        assert planner.plan(snapshot, NOW) == fresh
        cluster.carry_out(Decided(fresh))


def test_departures_and_arrivals_are_followed():
    """The same planner over a changing cluster, against a fresh one each time."""
    planner, cluster = Planner(), Cluster().node("n1", 4).node("n2", 4).queue("a", 4).queue("b", 4)
    for step in range(12):
        cluster.job(f"a{step}", "a", pods=1 + step % 3, gpus=1).job(f"b{step}", "b", fraction=0.5)
        if step % 3 == 2:
            gone = cluster.groups.pop(0)
            cluster.pods = [pod for pod in cluster.pods if pod.group != gone.key]
        snapshot = cluster.snapshot()
        fresh = plan(snapshot, NOW)
        assert planner.plan(snapshot, NOW) == fresh
        cluster.carry_out(Decided(fresh))
