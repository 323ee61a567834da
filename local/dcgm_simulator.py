"""Serves ``/metrics`` like NVIDIA's DCGM exporter, for the GPUs of a local cluster that exist in name only.

``python -m local.dcgm_simulator --kubeconfig FILE --port PORT``: follows nodes labelled as simulated and the running
pods on them. Keeps nothing: a restart reads the cluster again.
"""

from __future__ import annotations

import argparse
import http.client
import json
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from local.kube.api import Api, ApiError
from local.kube.simulated import GPU_MEMORY_MIB, SIMULATED_GPUS
from local.simulated_gpus import Holder, Node, assign, holder, page

NODES_S = 15.0
_PODS = "/api/v1/pods?fieldSelector=status.phase%3DRunning"


class World:
    """What the cluster holds now; a thread keeps it, requests read it."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._nodes: dict[str, Node] = {}
        self._holders: dict[str, Holder] = {}
        self._read_nodes_at = 0.0

    def page(self) -> str:
        with self._lock:
            if time.monotonic() - self._read_nodes_at > NODES_S:
                self._read_nodes()
            assign(self._nodes, self._holders.values())
            return page(self._nodes, time.time())

    def _read_nodes(self) -> None:
        found = self._api.call("GET", f"/api/v1/nodes?labelSelector={SIMULATED_GPUS}%3Dtrue")
        fresh: dict[str, Node] = {}
        for item in found["items"]:
            name, labels = item["metadata"]["name"], item["metadata"].get("labels") or {}
            gpus = int((item["status"].get("allocatable") or {}).get("nvidia.com/gpu", 0))
            known = self._nodes.get(name)
            if known is None or len(known.slots) != gpus:
                memory = int(labels.get("nvidia.com/gpu.memory", GPU_MEMORY_MIB))
                known = Node(name, memory, [{} for _ in range(gpus)])
            fresh[name] = known
        self._nodes = fresh
        self._read_nodes_at = time.monotonic()

    def follow(self) -> None:
        """List running pods, then watch; begin again whenever the stream ends or fails."""
        while True:
            try:
                self._follow_once()
            except (ApiError, OSError, http.client.HTTPException, json.JSONDecodeError) as error:
                print(f"reading pods failed, again in two seconds: {error}", flush=True)
                time.sleep(2)

    def _follow_once(self) -> None:
        listing = self._api.call("GET", _PODS)
        with self._lock:
            self._holders = {}
            for pod in listing["items"]:
                self._put(pod)
        version = listing["metadata"]["resourceVersion"]
        for event in self._api.stream(f"{_PODS}&watch=true&timeoutSeconds=300&resourceVersion={version}"):
            if event["type"] == "ERROR":
                return
            with self._lock:
                if event["type"] == "DELETED":  # deleted, or not running any more
                    self._holders.pop(event["object"]["metadata"]["uid"], None)
                elif event["type"] in ("ADDED", "MODIFIED"):
                    self._put(event["object"])

    def _put(self, pod: dict[str, Any]) -> None:
        started = (pod.get("status") or {}).get("startTime") or pod["metadata"]["creationTimestamp"]
        node = self._nodes.get(pod["spec"].get("nodeName", ""))
        found = holder(pod, datetime.fromisoformat(started).timestamp(), node.memory_mib if node else GPU_MEMORY_MIB)
        if found is not None:
            self._holders[found.uid] = found


def handler_of(world: World) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path not in ("/metrics", "/healthz"):
                self.send_error(404)
                return
            try:
                text = world.page() if self.path == "/metrics" else "ok\n"
            except (ApiError, OSError) as error:
                self.send_error(503, str(error).splitlines()[0])
                return
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """No line per request."""

    return Handler


def main() -> None:
    parser = argparse.ArgumentParser(description="A DCGM exporter for simulated GPUs.")
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    world = World(Api(arguments.kubeconfig))
    threading.Thread(target=world.follow, daemon=True).start()
    ThreadingHTTPServer((arguments.address, arguments.port), handler_of(world)).serve_forever()


if __name__ == "__main__":
    main()
