"""What others reach a workload by: its Services, and the host file of an MPI job."""

from __future__ import annotations

from typing import Any

from agent.operator import names, rendezvous, ssh
from agent.operator.workload import WorkloadView
from agent.wire import labels

Object = dict[str, Any]
HOST_FILE = "hostfile"


def port_service(view: WorkloadView, common: dict[str, str], owner: Object) -> Object | None:
    """One Service for all exposed ports, of the widest type that one of them asks for; None without ports.

    A workload that scales by requests has one without selector: the activator is its endpoint and passes requests on.
    """
    if not view.spec.ports:
        return None
    types = {port.service_type for port in view.spec.ports}
    kind = next((name for name in ("LoadBalancer", "NodePort") if name in types), "ClusterIP")
    selector = {labels.WORKLOAD_ID: view.id, labels.WORKLOAD_NAME: names.bounded(view.name)}
    if view.gang:
        selector[labels.REPLICA_INDEX] = "0"
    spec: Object = {"type": kind, "ports": [_port(port, kind) for port in view.spec.ports]}
    if not view.counts_requests:
        spec["selector"] = selector
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": names.port_service_name(view.name, view.gang),
            "namespace": view.namespace,
            "labels": common,
            "ownerReferences": [owner],
        },
        "spec": spec,
    }


def _port(port: Any, kind: str) -> Object:
    found: Object = {
        "name": port.name or f"port-{port.container}",
        "port": port.external or port.container,
        "targetPort": port.container,
    }
    if kind == "NodePort" and port.service_type == "NodePort" and port.external is not None:
        found |= {"port": port.container, "nodePort": port.external}
    return found


def host_file(view: WorkloadView, common: dict[str, str], owner: Object) -> Object | None:
    """The hosts of an MPI job for ``mpirun --hostfile``: every member, with its slots."""
    if not needs_host_file(view):
        return None
    gpus = view.spec.compute.gpu_devices if not view.shares_gpu else 0
    slots = view.spec.slots_per_worker or max(1, gpus)
    members = range(ssh.first_worker(view), view.completions)
    hosts = [rendezvous.member_address(view.name, view.namespace, index) for index in members]
    text = "".join(f"{host} slots={slots}\n" for host in hosts)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": names.host_file_name(view.name),
            "namespace": view.namespace,
            "labels": common,
            "ownerReferences": [owner],
        },
        "data": {HOST_FILE: text},
    }


def needs_host_file(view: WorkloadView) -> bool:
    return view.gang and (view.spec.framework or "").lower() == "mpi"
