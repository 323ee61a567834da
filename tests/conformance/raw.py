"""Fills in what a generated cluster leaves out, as the test fakes of the recorded scheduler do (README, "Job fields").

The result has the form of the ``resolved`` part of a recorded scenario.
"""

MINUTE = 60
NODE_CPU, NODE_MEMORY, NODE_PODS, DEVICE_MEMORY = 20_000_000, 20_000_000_000, 110, 100
POD_CPU, POD_MEMORY = 1000, 1_000_000_000
UNLIMITED = {"deserved": -1, "overQuotaWeight": 1, "limit": -1}


def resolve(scenario: dict) -> dict:
    jobs = sorted(scenario["jobs"], key=lambda job: -job["Priority"])
    return {
        "nodes": {node["name"]: _node(node) for node in scenario["nodes"]},
        "queues": _queues(scenario),
        "jobs": [_job(job, (len(jobs) - index) * MINUTE) for index, job in enumerate(jobs)],
    }


def _node(raw: dict) -> dict:
    return {
        "allocatable": {"cpu": NODE_CPU, "memory": NODE_MEMORY, "pods": NODE_PODS, "gpu": raw.get("GPUs", 0)},
        "gpu_memory_mib": DEVICE_MEMORY,
        "labels": {"kai.scheduler/type": raw["name"], **(raw.get("Labels") or {})},
    }


def _queues(scenario: dict) -> list[dict]:
    found = []
    for index, department in enumerate(scenario["departments"]):
        deserved = department.get("DeservedGPUs", 0)
        gpu = {"deserved": deserved, "overQuotaWeight": deserved, "limit": department.get("MaxAllowedGPUs") or -1}
        found.append(_queue(department["Name"], "", 100, index, gpu))
    if not scenario["departments"]:
        found.append(_queue("default", "", 100, 0, {"deserved": -1, "overQuotaWeight": -1, "limit": -1}))
    for index, queue in enumerate(scenario["queues"]):
        gpu = {
            "deserved": queue.get("DeservedGPUs", 0),
            "overQuotaWeight": queue.get("GPUOverQuotaWeight", 0),
            "limit": queue.get("MaxAllowedGPUs") or -1,
        }
        parent = queue.get("ParentQueue") or "default"
        found.append(_queue(queue["Name"], parent, queue.get("Priority") or 100, index, gpu))
    return found


def _queue(name: str, parent: str, priority: int, index: int, gpu: dict) -> dict:
    return {
        "name": name,
        "parent": parent,
        "priority": priority,
        "created_offset_seconds": index * MINUTE,
        "resources": {"gpu": gpu, "cpu": UNLIMITED, "memory": UNLIMITED},
    }


def _job(raw: dict, age: int) -> dict:
    tree = raw.get("RootSubGroupSet") or {"PodSets": [{"Name": "default", "MinAvailable": len(raw["Tasks"])}]}
    return {
        "name": raw["Name"],
        "namespace": raw.get("Namespace") or "",
        "queue": raw["QueueName"],
        "priority": raw["Priority"],
        "preemptible": raw["Priority"] < 100,
        "age_seconds": age,
        "subgroups": tree,
        "tasks": [_task(raw, task, index) for index, task in enumerate(raw["Tasks"])],
    }


def _task(job: dict, raw: dict, index: int) -> dict:
    gpus = job.get("RequiredGPUsPerTask", 0)
    whole = float(gpus).is_integer()
    return {
        "name": f"{job['Name']}-{index}",
        "status": raw["State"],
        "node": raw.get("NodeName") or "",
        "gpu_groups": raw.get("GPUGroups"),
        "subgroup": raw.get("SubGroupName") or "",
        "request": {"cpu": POD_CPU, "memory": POD_MEMORY, "gpu": gpus},
        "request_type": "Regular" if whole else "Fraction",
        "gpu_devices": 1,
        "gpu_portion": 1 if whole else gpus,
        "gpus": gpus,
    }
