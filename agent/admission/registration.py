"""How the API server finds the webhook: two configurations that ask only about project namespaces and our own kinds.

Every question costs the API server as much as storing the object, so none is asked twice: a new pod or Workload is
judged at the mutating door, which is asked again when another webhook changed the object; pods that the agent makes
follow from Workloads that were judged, and are not asked about at all.
``failurePolicy: Ignore`` and a short timeout everywhere: a webhook that is down delays nobody and blocks nothing.
"""

from __future__ import annotations

import base64
from typing import Any

from agent.wire import labels
from agent.wire.install import PART_OF, SERVICE_ACCOUNT

Obj = dict[str, Any]
NAME = "runai"
SERVICE = "runai-webhook"
TIMEOUT_S = 2
_NOT_OURS = {
    "name": "not-made-by-the-agent",
    "expression": f"request.userInfo.username != 'system:serviceaccount:{labels.NAMESPACE}:{SERVICE_ACCOUNT}'",
}
_PROJECTS = {"matchExpressions": [{"key": labels.PROJECT, "operator": "Exists"}]}


def configurations(ca_pem: bytes, *, url: str = "") -> list[Obj]:
    """``url``: ``https://host:port`` of a process outside of the cluster; without it the Service is asked."""
    return [
        _configuration("MutatingWebhookConfiguration", ca_pem, url, "/mutate"),
        _configuration("ValidatingWebhookConfiguration", ca_pem, url, "/validate"),
    ]


def _configuration(kind: str, ca_pem: bytes, url: str, path: str) -> Obj:
    mutating = kind.startswith("Mutating")
    wide = ["CREATE", "UPDATE", "DELETE"]
    ours = [_rule("run.ai", "v1", ["workloads"], wide[:1] if mutating else wide[1:])]
    hooks = [_hook("workloads", ours, ca_pem, url, path, {})]
    if mutating:
        pods = _hook("pods", [_rule("", "v1", ["pods"], ["CREATE"])], ca_pem, url, path, _PROJECTS)
        hooks.insert(0, pods | {"matchConditions": [_NOT_OURS]})
    else:
        rules = [
            _rule("scheduling.run.ai", "v2", ["queues"], wide, "Cluster"),
            _rule("kai.scheduler", "v1alpha1", ["topologies"], wide, "Cluster"),
        ]
        hooks.append(_hook("scheduling", rules, ca_pem, url, path, {}))
    if mutating:
        for hook in hooks:
            hook["reinvocationPolicy"] = "IfNeeded"
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": NAME, "labels": dict(PART_OF)},
        "webhooks": hooks,
    }


def _hook(name: str, rules: list[Obj], ca_pem: bytes, url: str, path: str, spaces: Obj) -> Obj:
    client: Obj = {"caBundle": base64.b64encode(ca_pem).decode()}
    if url:
        client["url"] = url + path
    else:
        client["service"] = {"name": SERVICE, "namespace": labels.NAMESPACE, "path": path, "port": 443}
    return {
        "name": f"{name}.webhook.run.ai",
        "clientConfig": client,
        "rules": rules,
        "namespaceSelector": spaces,
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "matchPolicy": "Equivalent",
        "timeoutSeconds": TIMEOUT_S,
        "admissionReviewVersions": ["v1"],
    }


def _rule(group: str, version: str, resources: list[str], operations: list[str], scope: str = "Namespaced") -> Obj:
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "resources": resources,
        "operations": operations,
        "scope": scope,
    }
