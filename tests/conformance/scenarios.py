"""Runs recorded scheduler scenarios: ``python -m tests.conformance.scenarios FILE --out OUT [--only ID]``.

Reads only inputs (never expectations or what was observed) and writes results in the form of ``observed_kai``.
"""

import argparse
import json
import traceback
from pathlib import Path

from agent.domain.nodes import DEFAULT_POOL, DeviceClaim, DeviceSlice, NodePool, Topology
from agent.scheduler.deviceclaims import gpu_devices, is_gpu_class
from agent.scheduler.snapshot import Config
from tests.conformance.rounds import final, final_nodes, session, write_back
from tests.conformance.world import (
    STATUS,
    Task,
    World,
    constraints_of,
    duration,
    load,
    node_of,
    queue_of,
    request_of,
    tree_of,
)

ALL_ACTIONS = ("allocate", "consolidation", "reclaim", "preempt", "stalegangeviction")


def config_of(scenario: dict, default: dict) -> tuple[Config, NodePool]:
    given = default if scenario["config"] == "default" else scenario["config"]
    arguments = {plugin["name"]: plugin.get("arguments") or {} for plugin in given["plugins"]}
    placement = arguments.get("nodeplacement", {})
    config = Config(
        max_consolidation_victims=given["max_consolidation_preemptees"],
        allow_consolidating_reclaim=given["allow_consolidating_reclaim"],
        staleness_grace=0,
        k_value=round(float(arguments.get("proportion", {}).get("kValue", 1)) * 1000),
    )
    pool = NodePool(
        DEFAULT_POOL,
        gpu_placement=placement.get("gpu", "binpack"),
        cpu_placement=placement.get("cpu", "binpack"),
        device_placement="spread" if "gpuspread" in arguments else "binpack",
        join_shared="gpusharingorder" in arguments,
    )
    return config, pool


def _job(raw: dict, resolved: dict) -> dict:
    return {
        "name": resolved["name"],
        "namespace": resolved["namespace"],
        "queue": resolved["queue"],
        "priority": resolved["priority"],
        "preemptible": resolved["preemptible"],
        "age": resolved["age_seconds"],
        "root": tree_of(resolved["subgroups"]),
        "stale": None if raw.get("StaleDurationMs") is None else raw["StaleDurationMs"] * 1_000_000,
        "preemption_delay": duration(raw.get("PreemptionDelay")) or 0,
        "staleness_grace": duration(raw.get("PerJobStalenessGracePeriod")),
        "tasks": [task["name"] for task in resolved["tasks"]],
    }


def _claims_of(resolved: dict, namespace: str) -> tuple[str, ...]:
    names = [
        one.get("resourceClaimName") or _claim_from_status(resolved, one)
        for one in resolved.get("resourceClaims") or []
    ]
    return tuple(f"{namespace}/{name}" for name in names if name)


def _claim_from_status(resolved: dict, entry: dict) -> str:
    for status in resolved.get("resourceClaimStatuses") or []:
        if status["name"] == entry["name"]:
            return status.get("resourceClaimName") or ""
    return ""


def _task(resolved: dict, raw_job: dict, job: dict, index: int, costs: dict[str, int]) -> Task:
    raw = raw_job["Tasks"][index] if index < len(raw_job["Tasks"]) else {}
    labels = resolved.get("labels") or {}
    observed = json.loads((resolved.get("annotations") or {}).get("kai.scheduler/numa-placement-observed") or "[]")
    namespace = job["namespace"]
    claims = _claims_of(resolved, namespace)
    fixed = {
        "namespace": namespace,
        "name": resolved["name"],
        "group": f"{namespace}/{job['name']}",
        "request": request_of(resolved, claims, sum(costs.get(key, 0) for key in claims)),
        "constraints": constraints_of(resolved.get("affinity"), resolved.get("nodeSelector")),
        "subgroup": resolved.get("subgroup") or "",
        "task_priority": int(labels.get("kai.scheduler/task-priority", 0)),
        "labels": labels,
        "qos": raw_job.get("QOSClass") or "",
        "legacy_mig": bool(raw.get("IsLegacyMigTask")),
        "created": index,
    }
    return Task(
        name=resolved["name"],
        job=job["name"],
        fixed=fixed,
        status=STATUS[resolved["status"]],
        node=resolved.get("node") or "",
        groups=tuple(resolved.get("gpu_groups") or ()),
        zones=tuple(one["zone"] for one in observed),
    )


def _made_from_template(scenario: dict) -> set[str]:
    return {
        status.get("resourceClaimName") or ""
        for job in scenario["resolved"]["jobs"]
        for task in job["tasks"]
        for status in task.get("resourceClaimStatuses") or []
    }


def _dra(scenario: dict) -> tuple[tuple[DeviceSlice, ...], tuple[DeviceClaim, ...]]:
    dra = scenario.get("dra") or {}
    templates = _made_from_template(scenario)
    slices = tuple(
        DeviceSlice(one["nodeName"], one["DeviceClassName"], one["Count"], one["Name"])
        for one in dra.get("ResourceSlices") or []
    )
    claims = tuple(_claim(one, one["name"] in templates) for one in dra.get("ResourceClaims") or [])
    return slices, claims


def _claim(one: dict, template: bool) -> DeviceClaim:
    status = one.get("claimStatus") or {}
    results = ((status.get("allocation") or {}).get("devices") or {}).get("results") or []
    return DeviceClaim(
        key=f"{one['Namespace']}/{one['name']}",
        device_class=one["deviceClassName"],
        count=one["count"],
        node=results[0]["pool"] if results else "",
        devices=tuple(result["device"] for result in results),
        reserved_for=tuple(ref["uid"] for ref in status.get("reservedFor") or []),
        queue=(one.get("labels") or {}).get("kai.scheduler/queue", ""),
        template=template,
    )


def world_of(scenario: dict, default: dict) -> World:
    config, pool = config_of(scenario, default)
    resolved = scenario["resolved"]
    raw_nodes = {node["name"]: node for node in scenario["nodes"]}
    raw_jobs = {job["Name"]: job for job in scenario["jobs"]}
    slices, claims = _dra(scenario)
    offered = gpu_devices(slices)
    costs = {claim.key: claim.count for claim in claims if is_gpu_class(claim.device_class)}
    world = World(
        nodes=tuple(
            node_of(name, node, raw_nodes[name], offered.get(name, 0)) for name, node in resolved["nodes"].items()
        ),
        queues=tuple(queue_of(queue) for queue in resolved["queues"]),
        jobs=[_job(raw_jobs[job["name"]], job) for job in resolved["jobs"]],
        topologies=tuple(
            Topology(one["name"], tuple(level["nodeLabel"] for level in one["levels"]))
            for one in scenario.get("topologies") or []
        ),
        pools=(pool,),
        config=config,
        slices=slices,
        claims=claims,
    )
    for job, known in zip(resolved["jobs"], world.jobs, strict=True):
        for index, task in enumerate(job["tasks"]):
            world.tasks[task["name"]] = _task(task, raw_jobs[job["name"]], known, index, costs)
    return world


def run(scenario: dict, default: dict) -> dict:
    """All rounds of one scenario; ``final`` is the state the expectations are about."""
    world = world_of(scenario, default)
    rounds = scenario["rounds"]
    result: dict = {"binds": 0, "evictions": 0, "sessions": []}
    if scenario["runner"] == "action":
        decided = session(world, tuple(scenario["actions_per_session"]))
        _record(world, result, decided)
    else:
        keep = {job["Name"] for job in scenario["jobs"] if job.get("DeleteJobInTest")}
        for _ in range(rounds["until_match"]):
            decided = session(world, ALL_ACTIONS)
            _record(world, result, decided)
            write_back(world, keep)
        matched = final(world)
        for _ in range(rounds["after_match"]):
            decided = session(world, ALL_ACTIONS)
            result["sessions"].append({"binds": len(decided.binds), "evictions": len(decided.evictions)})
            result["restless"] = result.get("restless", 0) + len(decided.evictions)
            write_back(world, keep)
        if rounds["after_match"] and result["restless"]:
            return result | {"final": final(world), "final_nodes": final_nodes(world), "settled": matched}
    return result | {"final": final(world), "final_nodes": final_nodes(world)}


def _record(world: World, result: dict, decided) -> None:
    result["binds"] += len(decided.binds)
    result["evictions"] += len(decided.evictions)
    result["sessions"].append({"binds": len(decided.binds), "evictions": len(decided.evictions)})
    result["fit_errors"] = {key: "; ".join(why.text for why in reasons) for key, reasons in decided.reasons.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--out", required=True)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    recorded = load(args.file)
    results = {}
    for scenario in recorded["scenarios"]:
        if args.only in scenario["id"]:
            try:
                results[scenario["id"]] = run(scenario, recorded["default_config"])
            except Exception:  # one broken scenario must not hide the others
                results[scenario["id"]] = {"final": {}, "error": traceback.format_exc()}
    Path(args.out).write_text(json.dumps(results))


if __name__ == "__main__":
    main()
