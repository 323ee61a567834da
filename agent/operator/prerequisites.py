"""What a cluster needs before the platform is installed, as a list of findings, each with its remedy. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.operator.facts import node_facts
from agent.wire import labels

LEAST_KUBERNETES = (1, 29)
Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    ok: bool
    required: bool
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What was read. ``refused``: what this user may not do, as ``verb resource``. ``link_error``: why the control
    plane was not reached, "" when it was, None when it was not tried."""

    version: str
    nodes: Sequence[Manifest] = ()
    storage_classes: Sequence[Manifest] = ()
    pods: Sequence[Manifest] = ()
    namespace_phase: str = ""
    foreign_definitions: Sequence[str] = ()
    refused: Sequence[str] = ()
    link_error: str | None = None


def findings(cluster: Cluster) -> list[Finding]:
    """Required ones first."""
    found = [
        _version(cluster.version),
        _nodes(cluster.nodes),
        _rights(cluster.refused),
        _namespace(cluster.namespace_phase),
        _definitions(cluster.foreign_definitions),
        _link(cluster.link_error),
        _devices(cluster.nodes),
        _exporter(cluster.pods),
        _storage(cluster.storage_classes),
    ]
    return sorted(found, key=lambda finding: not finding.required)


def _version(text: str) -> Finding:
    least = ".".join(map(str, LEAST_KUBERNETES))
    match = re.match(r"v?(\d+)\.(\d+)", text)
    ok = match is not None and (int(match[1]), int(match[2])) >= LEAST_KUBERNETES
    remedy = "" if ok else f"upgrade the cluster to Kubernetes {least} or newer"
    return Finding("Kubernetes version", ok, True, f"{text or 'unknown'}; needed is {least} or newer", remedy)


def _nodes(nodes: Sequence[Manifest]) -> Finding:
    ready = sum(1 for node in nodes if node_facts(node).ready)
    remedy = "" if ready else "add a node, or look at the kubelet of those that are not ready"
    return Finding("Ready nodes", bool(ready), True, f"{ready} of {len(nodes)} nodes are ready", remedy)


def _rights(refused: Sequence[str]) -> Finding:
    message = f"this user may not {', '.join(refused)}" if refused else "this user may install"
    remedy = "install with a user that is bound to ClusterRole cluster-admin" if refused else ""
    return Finding("Rights to install", not refused, True, message, remedy)


def _namespace(phase: str) -> Finding:
    ok = phase != "Terminating"
    remedy = "" if ok else f"wait until namespace {labels.NAMESPACE} is gone, or remove the finalizers that hold it"
    return Finding("Namespace", ok, True, f"namespace {labels.NAMESPACE}: {phase or 'not there yet'}", remedy)


def _definitions(foreign: Sequence[str]) -> Finding:
    message = f"definitions of another installation: {', '.join(foreign)}" if foreign else "no definitions of others"
    remedy = "uninstall the other scheduler first: two would fight over the same queues" if foreign else ""
    return Finding("Definitions", not foreign, True, message, remedy)


def _link(error: str | None) -> Finding:
    message = (
        f"control plane not reached: {error}" if error else "control plane reached" if error == "" else "not tried"
    )
    remedy = "allow HTTPS from the cluster to the control plane, and check URL and CA" if error else ""
    return Finding("Control plane", not error, True, message, remedy)


def _devices(nodes: Sequence[Manifest]) -> Finding:
    have = sum(1 for node in nodes if str(_allocatable(node).get(labels.GPU_RESOURCE, "0")) not in ("0", ""))
    remedy = "" if have else "install the NVIDIA GPU Operator or its device plugin"
    return Finding("GPUs", bool(have), False, f"{have} of {len(nodes)} nodes offer {labels.GPU_RESOURCE}", remedy)


def _exporter(pods: Sequence[Manifest]) -> Finding:
    count = sum(1 for pod in pods if (pod["metadata"].get("labels") or {}).get("app") == "nvidia-dcgm-exporter")
    remedy = "" if count else "install the DCGM exporter to see how busy GPUs are"
    return Finding("DCGM exporter", bool(count), False, f"{count} exporter pods", remedy)


def _storage(classes: Sequence[Manifest]) -> Finding:
    key = "storageclass.kubernetes.io/is-default-class"
    ok = any((item["metadata"].get("annotations") or {}).get(key) == "true" for item in classes)
    remedy = "" if ok else "mark a StorageClass as default, so that claims without a class are served"
    message = "there is a default StorageClass" if ok else f"none of {len(classes)} StorageClasses is the default"
    return Finding("Default StorageClass", ok, False, message, remedy)


def _allocatable(node: Manifest) -> Manifest:
    return (node.get("status") or {}).get("allocatable") or {}


def report(found: Sequence[Finding]) -> str:
    """For a terminal: one line a finding, its remedy below."""
    lines = []
    for item in found:
        word = "ok" if item.ok else "MISSING" if item.required else "absent (optional)"
        lines.append(f"{item.name}: {word}: {item.message}")
        if item.remedy:
            lines.append(f"    remedy: {item.remedy}")
    return "\n".join(lines)
