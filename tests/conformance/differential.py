"""Compares rounds on generated clusters with what the recorded scheduler did:
``python -m tests.conformance.differential FILE --json``.

Prints every task that ends the round elsewhere than recorded, with the reason for the difference, and judges our rounds
by the invariants. Later rounds of a cluster start from what we did, so only its first differing round is compared.
"""

import argparse
import json
import sys

from agent.scheduler import Plan
from tests.conformance.raw import resolve
from tests.conformance.rounds import session, write_back
from tests.conformance.scenarios import ALL_ACTIONS, world_of
from tests.conformance.world import World, load

DEFAULT = {
    "max_consolidation_preemptees": -1,
    "allow_consolidating_reclaim": True,
    "plugins": [
        {"name": "gpusharingorder"},
        {"name": "nodeplacement", "arguments": {"cpu": "binpack", "gpu": "binpack"}},
    ],
}
WAITING = ("Pending", "Releasing", "Pipelined")


def after_round(state: dict[str, str]) -> dict[str, str]:
    """What the cluster makes of a session: waiting again, or running."""
    return {task: "Pending" if status in WAITING else "Running" for task, status in state.items()}


def recorded(scenario: dict, index: int, before: dict[str, str]) -> dict[str, str]:
    state = dict(before)
    for action in scenario["sessions"][index]:
        state.update({task: change["status"] for task, change in action["changes"].items()})
    return state


def harm(scenario: dict, index: int) -> tuple[int, int]:
    """(running pods disturbed, pods given a place) in a recorded round."""
    last: dict[str, str] = {}
    for action in scenario["sessions"][index]:
        last.update({task: change["status"] for task, change in action["changes"].items()})
    running = {
        f"{job['Name']}-{i}" for job in scenario["jobs"] for i, t in enumerate(job["Tasks"]) if t["State"] != "Pending"
    }
    disturbed = sum(1 for task, status in last.items() if task in running and status in ("Releasing", "Pipelined"))
    placed = sum(1 for task, status in last.items() if task not in running and status in ("Binding", "Pipelined"))
    return disturbed, placed


def explain(scenario: dict, index: int, decided: Plan) -> str:
    """Why the rounds differ, in terms of what each side achieved and disturbed."""
    theirs, placed = harm(scenario, index)
    ours, given = len(decided.evictions), len(decided.binds) + len(decided.nominations)
    later = _undone(scenario, index)
    if later:
        return f"the recorded scheduler evicts and restarts {', '.join(later)} again and again; ours does not"
    if given > placed:
        return f"ours finds places for {given} pods, the recorded scheduler for {placed}"
    if ours < theirs:
        return f"ours disturbs {ours} running pods, the recorded scheduler {theirs}"
    if given == placed and ours == theirs:
        return "equal in pods placed and disturbed; other pods of equal standing were chosen"
    return (
        f"other victims: ours disturbs {ours} and places {given}, the recorded scheduler {theirs} and {placed}; "
        "its simulation orders queues by jobs it does not try, ours only by those it tries"
    )


def _undone(scenario: dict, index: int) -> list[str]:
    """Pods that the recorded scheduler evicts in this round, binds in the next and evicts once more."""
    rounds = scenario["sessions"]
    found = []
    if index + 1 < len(rounds):
        evicted = {t for a in rounds[index] for t, c in a["changes"].items() if c["status"] == "Releasing"}
        again = {t for a in rounds[index + 1] for t, c in a["changes"].items() if c["status"] == "Binding"}
        found = sorted(evicted & again)
    return found


def compare(scenario: dict) -> tuple[list[dict], list[str]]:
    """Differences of one cluster's first differing round, and broken invariants of all of our rounds."""
    world = world_of({**scenario, "config": "default", "resolved": resolve(scenario)}, DEFAULT)
    before = {name: task.status.label for name, task in world.tasks.items()}
    differences: list[dict] = []
    broken: list[str] = []
    for index in range(scenario["rounds"]):
        decided = session(world, ALL_ACTIONS)
        broken += [f"{scenario['id']} round {index}: {what}" for what in violations(world, decided)]
        ours = after_round({name: task.status.label for name, task in world.tasks.items()})
        kai = after_round(recorded(scenario, index, before))
        if not differences and ours != kai:
            why = explain(scenario, index, decided)
            differences = [
                {
                    "id": scenario["id"],
                    "round": index,
                    "task": task,
                    "ours": ours[task],
                    "kai": kai[task],
                    "reason": why,
                }
                for task in sorted(ours)
                if ours[task] != kai[task]
            ]
        before = kai
        write_back(world, set())
    return differences, broken


def violations(world: World, decided: Plan) -> list[str]:
    """Limits, room on nodes, gang atomicity and quota of non-preemptible work after a round."""
    placed = {one.pod for one in (*decided.binds, *decided.nominations)}
    grown = {job["queue"] for job in world.jobs if placed & set(job["tasks"])}
    parents = {queue.name: queue.parent for queue in world.queues}
    grown |= {parents[name] for name in grown}
    found = [
        f"queue {name} was given more and holds {one.allocated[0]} of its limit {one.limit[0]}"
        for name, one in decided.shares.items()
        if name in grown and one.limit[0] != -1 and one.allocated[0] > one.limit[0]
    ]
    for node in world.nodes:
        here = [t for t in world.tasks.values() if t.node == node.name and t.status.label in ("Running", "Binding")]
        groups = {group for task in here for group in task.groups}
        whole = sum(task.fixed["request"].gpus for task in here)
        if whole + len(groups) > node.gpus:
            found.append(f"{node.name} holds {whole} whole and {len(groups)} shared of {node.gpus} GPUs")
    for job in world.jobs:
        bound = {bind.pod for bind in decided.binds} & set(job["tasks"])
        active = sum(1 for name in job["tasks"] if world.tasks[name].status.label in ("Running", "Binding"))
        least = sum(leaf.min_available for leaf in job["root"].children)
        if bound and active < least:
            found.append(f"{job['name']} starts with {active} of {least} pods")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--json", action="store_true", help="print one JSON list instead of a summary")
    args = parser.parse_args()
    differences: list[dict] = []
    broken: list[str] = []
    scenarios = load(args.file)["scenarios"]
    for scenario in scenarios:
        found, wrong = compare(scenario)
        differences += found
        broken += wrong
    if args.json:
        print(json.dumps(differences, indent=1))
    else:
        ids = {one["id"] for one in differences}
        print(f"{len(scenarios) - len(ids)} of {len(scenarios)} clusters equal; {len(differences)} tasks differ")
        for one in sorted({(one["id"], one["round"], one["reason"]) for one in differences}):
            print(*one)
    for line in broken:
        print("broken:", line, file=sys.stderr)
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
