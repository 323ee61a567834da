"""Host names under which people reach exposed ports from outside: an Ingress, or an HTTPRoute of the Gateway API. Pure.

The host is ``SERVICE.NAMESPACE.DOMAIN`` (``SERVICE-PORT.…`` for further ports), so that it says whose it is, no two can
meet, and the activator knows the workload by it. Ports of type NodePort and LoadBalancer have their own way out.
"""

from __future__ import annotations

from typing import Any

from agent.operator import names
from agent.operator.workload import WorkloadView

Object = dict[str, Any]


def hosts(view: WorkloadView) -> list[tuple[str, int]]:
    """(host, port of the Service), in the order of the ports; empty where the cluster has no domain for them."""
    domain = view.cluster.ingress.domain
    if not domain:
        return []
    service = names.port_service_name(view.name, view.gang)
    found: list[tuple[str, int]] = []
    for port in view.spec.ports:
        if port.service_type == "ClusterIP":
            number = port.external or port.container
            label = names.bounded(f"{service}-{number}" if found else service)
            found.append((f"{label}.{view.namespace}.{domain}", number))
    return found


def urls(view: WorkloadView) -> tuple[str, ...]:
    scheme = "https" if view.cluster.ingress.tls_secret or view.cluster.ingress.https else "http"
    return tuple(f"{scheme}://{host}" for host, _ in hosts(view))


def route(view: WorkloadView, common: dict[str, str], owner: Object) -> Object | None:
    """The Ingress or HTTPRoute of a workload; None without a domain or a port for it."""
    found = hosts(view)
    if not found:
        return None
    meta: Object = {
        "name": names.port_service_name(view.name, view.gang),
        "namespace": view.namespace,
        "labels": common,
        "ownerReferences": [owner],
    }
    gateway = view.cluster.ingress.gateway
    return _http_route(meta, found, gateway) if gateway else _ingress(view, meta, found)


def _ingress(view: WorkloadView, meta: Object, found: list[tuple[str, int]]) -> Object:
    settings = view.cluster.ingress
    rules = [
        {
            "host": host,
            "http": {
                "paths": [
                    {
                        "path": "/",
                        "pathType": "Prefix",
                        "backend": {"service": {"name": meta["name"], "port": {"number": port}}},
                    }
                ]
            },
        }
        for host, port in found
    ]
    spec: Object = {"rules": rules}
    if settings.class_name:
        spec["ingressClassName"] = settings.class_name
    if settings.tls_secret:
        spec["tls"] = [{"hosts": [host for host, _ in found], "secretName": settings.tls_secret}]
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": meta, "spec": spec}


def _http_route(meta: Object, found: list[tuple[str, int]], gateway: str) -> Object:
    """One host: a route sends all of its hosts to the same rules, so further ports are reached by the Service only."""
    space, _, name = gateway.rpartition("/")
    parent: Object = {"name": name} | ({"namespace": space} if space else {})
    host, port = found[0]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": meta,
        "spec": {
            "parentRefs": [parent],
            "hostnames": [host],
            "rules": [{"backendRefs": [{"name": meta["name"], "port": port}]}],
        },
    }
