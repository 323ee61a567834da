"""Random clusters with every feature side by side: trees of sub-groups, topologies, MIG, claims, shares of devices by
fraction and by memory, minimum run times, limits, taints, selectors, pools; consistent to begin with.
"""

import random
from dataclasses import replace

from agent.domain.constraints import Constraints, PodTerm, Requirement, Taint, Toleration
from agent.domain.groups import SubGroup, TopologyConstraint
from agent.domain.nodes import DeviceClaim, DeviceSlice, Node, NodePool, Topology
from agent.domain.pods import Request
from agent.domain.quantities import MILLI
from tests.agent.scheduler.cluster import GIB, MINUTE, NOW, Cluster

RACK, HOST, MIG = "rack", "host", "nvidia.com/mig-1g.5gb"
GPU_CLASS = "gpu.nvidia.com"


def varied(roll: random.Random) -> Cluster:
    """One cluster; what runs was placed by plans, so nothing is broken to begin with."""
    cluster = Cluster()
    pools = ["default"] if roll.random() < 0.7 else ["default", "other"]
    for pool in pools:
        cluster.pools.append(NodePool(pool, gpu_placement=roll.choice(("binpack", "binpack", "spread"))))
        leaves = _queues(roll, cluster, pool)
        _nodes(roll, cluster, pool)
        cluster.topologies = [Topology("tree", (RACK, HOST))]
        for index in range(roll.randrange(1, 6)):
            _job(roll, cluster, f"old{index}-{pool}", leaves, pool)
    for _ in range(2):
        cluster.carry_out(cluster.plan())
    started = {pod.group for pod in cluster.pods if pod.node}
    cluster.groups = [
        replace(group, last_start=NOW - roll.choice((1, 30)) * MINUTE) if group.key in started else group
        for group in cluster.groups
    ]
    for pool in pools:
        leaves = [queue.name for queue in cluster.queues if queue.pool == pool and queue.name.startswith("q")]
        for index in range(roll.randrange(1, 7)):
            _job(roll, cluster, f"new{index}-{pool}", leaves, pool)
    return cluster


def _nodes(roll: random.Random, cluster: Cluster, pool: str) -> None:
    for index in range(roll.randrange(1, 6)):
        name = f"n{index}-{pool}"
        facts: dict = {"labels": {RACK: f"r{index % 2}", HOST: name, "kind": roll.choice("ab")}, "pool": pool}
        kind = roll.random()
        if kind < 0.15:
            facts |= {"mig_strategy": "mixed", "mig": ((MIG, roll.choice((2, 4))),)}
        elif kind < 0.25:
            facts["taints"] = (Taint("keep", "out"),)
        facts["gpu_memory"] = roll.choice((40_000, 40_000, 80_000, 0))
        facts["max_pods"] = roll.choice((110, 110, 3))
        gpus = roll.choice((1, 2, 4, 8))
        if 0.25 < kind < 0.35:
            cluster.slices.append(DeviceSlice(name, GPU_CLASS, gpus))
            gpus = 0
        cluster.node(name, gpus, cores=roll.choice((4, 64)), **facts)


def _queues(roll: random.Random, cluster: Cluster, pool: str) -> list[str]:
    departments = [f"d{index}-{pool}" for index in range(roll.randrange(3))]
    for name in departments:
        limit = roll.choice((-1, -1, -1, 6))
        cluster.queue(name, roll.choice((0, 2, 4, 8)), limit=limit, weight=roll.choice((0, 1, 2)), pool=pool)
    leaves = [f"q{index}-{pool}" for index in range(roll.randrange(1, 5))]
    for index, name in enumerate(leaves):
        cluster.queue(
            name,
            roll.choice((0, 1, 2, 4, -1)),
            limit=roll.choice((-1, -1, 2, 6)),
            weight=roll.choice((0, 1, 2)),
            parent=departments[index % len(departments)] if departments else "",
            priority=roll.choice((100, 100, 101)),
            pool=pool,
            reclaim_min_runtime=roll.choice((None, None, 10 * MINUTE)),
            preempt_min_runtime=roll.choice((None, None, 10 * MINUTE)),
        )
    return leaves


def _request(roll: random.Random, cluster: Cluster, name: str) -> Request:
    base = Request(cpu=roll.choice((0, MILLI, 3 * MILLI)), memory=GIB)
    kind = roll.random()
    if kind < 0.4:
        return replace(base, gpus=roll.choice((1, 1, 2, 4)))
    if kind < 0.6:
        return replace(base, gpu_fraction=roll.choice((250, 500, 700)), gpu_devices=roll.choice((1, 1, 2)))
    if kind < 0.7:
        return replace(base, gpu_memory=roll.choice((10_000, 30_000)))
    if kind < 0.8:
        return replace(base, mig=((MIG, roll.choice((1, 2))),))
    if kind < 0.88 and cluster.slices:
        cluster.claims.append(DeviceClaim(f"team/{name}", GPU_CLASS, roll.choice((1, 2)), queue="q"))
        return replace(base, claims=(f"team/{name}",))
    return base


def _constraints(roll: random.Random) -> Constraints:
    kind = roll.random()
    if kind < 0.1:
        return Constraints(node_selector=(("kind", "a"),))
    if kind < 0.2:
        return Constraints(tolerations=(Toleration(operator="Exists"),))
    if kind < 0.27:
        apart = PodTerm(roll.choice((RACK, HOST)), (Requirement("app", "In", ("x",)),))
        return Constraints(pod_anti_affinity=(apart,))
    if kind < 0.32:
        return Constraints(pod_affinity=(PodTerm(RACK, (Requirement("app", "In", ("x",)),)),))
    if kind < 0.36:
        return Constraints(host_ports=(("TCP", "", 80),))
    return Constraints()


def _rule(roll: random.Random) -> TopologyConstraint | None:
    kind = roll.random()
    if kind < 0.6:
        return None
    return TopologyConstraint("tree", *roll.choice(((RACK, ""), (HOST, ""), ("", HOST), (RACK, HOST))))


def _job(roll: random.Random, cluster: Cluster, name: str, leaves: list[str], pool: str) -> None:
    pods = roll.randrange(1, 5)
    subgroups = None
    root = SubGroup("default", roll.randrange(1, pods + 1), topology=_rule(roll))
    if pods > 1 and roll.random() < 0.3:
        first = roll.randrange(1, pods)
        names = ["one"] * first + ["two"] * (pods - first)
        subgroups = names
        parts = (
            SubGroup("one", roll.randrange(1, first + 1), topology=_rule(roll)),
            SubGroup("two", roll.randrange(1, pods - first + 1), topology=_rule(roll)),
        )
        root = SubGroup("root", children=parts, min_subgroup=roll.choice((None, 1)), topology=_rule(roll))
    cluster.job(
        name,
        roll.choice(leaves),
        pods,
        root=root,
        subgroups=subgroups,
        request=_request(roll, cluster, name) if pods == 1 else _request(roll, Cluster(), name),
        constraints=_constraints(roll),
        labels={"app": roll.choice("xy")},
        priority=roll.choice((50, 50, 75, 100, 125)),
        preemptibility=roll.choice(("", "", "", "semi-preemptible", "preemptible", "non-preemptible")),
        pool=pool,
    )


def node_named(cluster: Cluster, name: str) -> Node:
    return next(node for node in cluster.nodes if node.name == name)
