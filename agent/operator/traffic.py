"""Requests to inference workloads as numbers: how many are in progress and come, over the last seconds. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW_S = 6.0


@dataclass(slots=True)
class Traffic:
    """Of one workload. Times are seconds of one monotonic clock."""

    active: int = 0
    _area: deque[tuple[float, float, int]] = field(default_factory=deque)
    """(from, until, active) of the past, oldest first."""
    _arrived: deque[float] = field(default_factory=deque)
    _since: float = 0.0

    def begin(self, now: float) -> None:
        self._close(now)
        self.active += 1
        self._arrived.append(now)

    def end(self, now: float) -> None:
        self._close(now)
        self.active -= 1

    def concurrency(self, now: float) -> float:
        """Average number of requests in progress over the window."""
        self._close(now)
        return sum((until - max(begun, now - WINDOW_S)) * active for begun, until, active in self._area) / WINDOW_S

    def throughput(self, now: float) -> float:
        """Requests a second over the window."""
        self._forget(now)
        return len(self._arrived) / WINDOW_S

    def _close(self, now: float) -> None:
        if self.active:
            self._area.append((self._since, now, self.active))
        self._since = now
        self._forget(now)

    def _forget(self, now: float) -> None:
        while self._area and self._area[0][1] < now - WINDOW_S:
            self._area.popleft()
        while self._arrived and self._arrived[0] < now - WINDOW_S:
            self._arrived.popleft()


def workload_of_host(host: str) -> tuple[str, str]:
    """(service, namespace) of a Host header such as ``w.runai-vision.svc.cluster.local:8080``; namespace "" if none."""
    name = host.rsplit(":", 1)[0] if host.rsplit(":", 1)[-1].isdigit() else host
    parts = name.split(".")
    return parts[0], parts[1] if len(parts) > 1 else ""


def endpoint_slice(service: dict[str, object], address: str, port: int) -> dict[str, object]:
    """Makes the activator the one endpoint of a Service without selector. Goes with the Service."""
    meta: dict[str, object] = service["metadata"]  # type: ignore[assignment]
    ports = [{"name": item["name"], "port": port, "protocol": "TCP"} for item in service["spec"]["ports"]]  # type: ignore[index]
    owner = {"apiVersion": "v1", "kind": "Service", "name": meta["name"], "uid": meta["uid"]}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{meta['name']}-activator",
            "namespace": meta["namespace"],
            "labels": {
                "kubernetes.io/service-name": meta["name"],
                "endpointslice.kubernetes.io/managed-by": "runai-activator",
            },
            "ownerReferences": [owner],
        },
        "addressType": "IPv6" if ":" in address else "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": ports,
    }
