"""How the pods of a gang find each other: the environment that distributed launchers read.

Plain variables (``WORLD_SIZE``, ``RANK``, ``LOCAL_WORLD_SIZE`` = 1) describe one process per pod; ``PET_*`` is what
``torchrun`` reads and starts one process per GPU. Every framework's own variables come on top.
"""

from __future__ import annotations

import json

from agent.operator.names import host_name, service_name

PORT = 29500
TF_PORT = 2222


def member_address(workload: str, namespace: str, index: int) -> str:
    """DNS name of one member: a host of the gang's headless service."""
    return f"{host_name(workload, index)}.{service_name(workload)}.{namespace}.svc"


def environment(
    workload: str, namespace: str, *, index: int, workers: int, gpus: int, framework: str | None, minimum: int = 0
) -> dict[str, str]:
    """Variables for member ``index`` of ``workers``; ``gpus`` whole devices per pod (0: one process); ``minimum``:
    members with which an elastic gang goes on (0: all)."""
    master = member_address(workload, namespace, 0)
    variables = {
        "MASTER_ADDR": master,
        "MASTER_PORT": str(PORT),
        "WORLD_SIZE": str(workers),
        "RANK": str(index),
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
    }
    match (framework or "").lower():
        case "tf" | "tensorflow":
            variables["TF_CONFIG"] = _tf_config(workload, namespace, index, workers)
        case "jax":
            variables |= {
                "JAX_COORDINATOR_ADDRESS": f"{master}:{PORT}",
                "JAX_NUM_PROCESSES": str(workers),
                "JAX_PROCESS_ID": str(index),
            }
        case "xgboost":
            members = [member_address(workload, namespace, number) for number in range(1, workers)]
            variables |= {"WORKER_ADDRS": ",".join(members), "WORKER_PORT": str(PORT)}
        case _:
            variables |= _torchrun(master, index, workers, max(1, gpus), minimum or workers)
    return variables


def _torchrun(master: str, index: int, workers: int, processes: int, minimum: int) -> dict[str, str]:
    return {
        "PET_MASTER_ADDR": master,
        "PET_MASTER_PORT": str(PORT),
        "PET_NNODES": str(workers) if minimum >= workers else f"{minimum}:{workers}",
        "PET_NODE_RANK": str(index),
        "PET_NPROC_PER_NODE": str(processes),
    }


def _tf_config(workload: str, namespace: str, index: int, workers: int) -> str:
    members = [f"{member_address(workload, namespace, number)}:{TF_PORT}" for number in range(workers)]
    return json.dumps({"cluster": {"worker": members}, "task": {"type": "worker", "index": index}}, sort_keys=True)
