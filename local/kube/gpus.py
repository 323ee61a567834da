"""Keeps the simulated GPUs on the real node: capacity through its status, labels of GPU feature discovery.

A process of its own, because kubelet may drop the capacity whenever it restarts. It watches the one node and patches
what differs; ending at any line loses nothing, the next start compares again.
"""

from __future__ import annotations

import argparse
import http.client
import time
from pathlib import Path
from typing import Any

from agent.wire.labels import GPU_RESOURCE
from local.kube.api import Api, ApiError
from local.kube.simulated import gpu_capacity, gpu_labels


def patches(item: dict[str, Any], gpus: int) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Merge patches for the node and for its status, None where nothing differs."""
    present = item["metadata"].get("labels", {})
    labels = {key: value for key, value in gpu_labels(gpus).items() if present.get(key) != value}
    status = item.get("status", {})
    has = [status.get(part, {}).get(GPU_RESOURCE) for part in ("capacity", "allocatable")]
    capacity = None if has == [str(gpus)] * 2 else gpu_capacity(gpus)
    return ({"metadata": {"labels": labels}} if labels else None), capacity


def keep(api: Api, node: str, gpus: int) -> None:
    """Follow the node until the connection ends, patching what differs. Raises ApiError, OSError."""
    watch = f"/api/v1/nodes?watch=true&fieldSelector=metadata.name%3D{node}&timeoutSeconds=300"
    for event in api.stream(watch):
        if event["type"] not in ("ADDED", "MODIFIED"):
            continue
        labels, capacity = patches(event["object"], gpus)
        if labels:
            api.patch(f"/api/v1/nodes/{node}", labels)
        if capacity:
            api.patch(f"/api/v1/nodes/{node}/status", capacity)


def main() -> None:
    parser = argparse.ArgumentParser(description="Keep simulated GPUs on a node of the local cluster.")
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--node", required=True)
    parser.add_argument("--gpus", type=int, required=True)
    arguments = parser.parse_args()
    api = Api(arguments.kubeconfig)
    while True:
        try:
            keep(api, arguments.node, arguments.gpus)
        except (ApiError, OSError, http.client.HTTPException) as error:
            print(f"trying again in a second: {error}", flush=True)
            time.sleep(1)


if __name__ == "__main__":
    main()
