"""Plays sessions and rounds on a world: plan, write the decisions back, and the result in the recordings' form."""

from dataclasses import replace

from agent.domain.pods import PodStatus
from agent.scheduler import Plan, plan
from agent.scheduler.intake import take_in
from agent.scheduler.ledger import RELEASING
from tests.conformance.world import NOW, Task, World


def session(world: World, actions: tuple[str, ...]) -> Plan:
    """Plan once and put the decisions into the tasks as they stand inside the session."""
    decided = plan(world.snapshot(), NOW, replace(world.config, actions=actions))
    for eviction in decided.evictions:
        task = world.tasks[eviction.pod]
        if eviction.moved_to:
            task.leaves = (task.node, task.groups)
            task.status, task.node, task.groups = PodStatus.PIPELINED, eviction.moved_to, eviction.moved_groups
        else:
            task.status = PodStatus.RELEASING
    for bind in decided.binds:
        task = world.tasks[bind.pod]
        task.status, task.node, task.groups, task.zones = PodStatus.BINDING, bind.node, bind.gpu_groups, bind.numa_zones
    for nomination in decided.nominations:
        task = world.tasks[nomination.pod]
        task.status, task.node, task.groups = PodStatus.PIPELINED, nomination.node, nomination.gpu_groups
        task.zones = nomination.numa_zones
    return decided


def write_back(world: World, keep_releasing: set[str]) -> None:
    """What the cluster makes of it before the next round; ``keep_releasing``: jobs whose pods are really deleted."""
    for task in world.tasks.values():
        if task.status == PodStatus.PIPELINED or (
            task.status == PodStatus.RELEASING and task.job not in keep_releasing
        ):
            task.status, task.node, task.groups = PodStatus.PENDING, "", ()
            task.zones, task.leaves = (), None
        elif task.status == PodStatus.BINDING:
            task.status = PodStatus.RUNNING


def final(world: World) -> dict[str, dict]:
    return {name: _final(world, task) for name, task in world.tasks.items()}


def _final(world: World, task: Task) -> dict:
    result: dict = {"status": task.status.label}
    if task.node:
        result["node"] = task.node
    if task.groups:
        result["gpu_groups"] = list(task.groups)
    if task.zones:
        ids = [zone.id for node in world.nodes if node.name == task.node for zone in node.numa_zones]
        result["numa_zones"] = [ids.index(zone) for zone in task.zones if zone in ids]
    return result


def final_nodes(world: World) -> dict[str, dict]:
    """Whole idle and releasing GPUs of each node."""
    nodes = {}
    for one in take_in(world.snapshot()).sessions.values():
        for task in world.tasks.values():
            if task.leaves and task.name in one.tasks:
                one.nodes_by_name[task.leaves[0]].apply(one.tasks[task.name].shape, RELEASING, 1, task.leaves[1])
        for state in one.nodes:
            nodes[state.name] = {
                "idle": {"gpu": state.idle_gpu},
                "releasing": {"gpu": state.coming_gpu},
            }
    return nodes
