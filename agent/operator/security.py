"""As whom a workload's containers run and what they may, and when a pod can take requests: contexts and probes."""

from __future__ import annotations

from typing import Any

from agent.operator.bounds import too_small
from agent.wire.objects import CAPABILITIES, SECCOMP_PROFILES, Probe, Security, WorkloadSpec

Object = dict[str, Any]
LARGEST_ID = 2**31 - 1


def pod_context(security: Security | None) -> Object:
    """``securityContext`` of the pod: ids for all of its containers, and for its volumes' files. A group without a user
    is for the container alone: no runtime takes one for the sandbox, which has no image to say the user."""
    if security is None:
        return {}
    found = {
        "runAsUser": security.run_as_uid,
        "runAsGroup": security.run_as_gid if security.run_as_uid is not None else None,
        "fsGroup": security.run_as_gid,
        "supplementalGroups": list(security.supplemental_groups) or None,
        "runAsNonRoot": security.run_as_non_root,
        "seccompProfile": {"type": security.seccomp_profile_type} if security.seccomp_profile_type else None,
    }
    return {key: value for key, value in found.items() if value is not None}


def container_context(security: Security | None) -> Object:
    """``securityContext`` of the container that the workload names."""
    if security is None:
        return {}
    found = {
        "runAsGroup": security.run_as_gid if security.run_as_uid is None else None,
        "readOnlyRootFilesystem": security.read_only_root_filesystem,
        "allowPrivilegeEscalation": security.allow_privilege_escalation,
        "capabilities": {"add": list(security.capabilities)} if security.capabilities else None,
    }
    return {key: value for key, value in found.items() if value is not None}


def readiness_probe(probe: Probe) -> Object:
    get = {"path": probe.path, "port": probe.port, "scheme": probe.scheme, "host": probe.host}
    times = {
        "initialDelaySeconds": probe.initial_delay_seconds,
        "periodSeconds": probe.period_seconds,
        "timeoutSeconds": probe.timeout_seconds,
        "successThreshold": probe.success_threshold,
        "failureThreshold": probe.failure_threshold,
    }
    set_times = {key: value for key, value in times.items() if value is not None}
    return {"httpGet": {key: value for key, value in get.items() if value is not None}, **set_times}


def problems(spec: WorkloadSpec) -> list[str]:
    """Mistakes in both: field, what was given, what is allowed."""
    return _security(spec.security) + _readiness(spec)


def _security(security: Security | None) -> list[str]:
    if security is None:
        return []
    found = []
    ids = [("runAsUid", security.run_as_uid), ("runAsGid", security.run_as_gid)]
    ids += [(f"supplementalGroups[{index}]", group) for index, group in enumerate(security.supplemental_groups)]
    for name, value in ids:
        if value is not None and not 0 <= value <= LARGEST_ID:
            found.append(f"spec.security.{name}: {value} given, allowed is 0 to {LARGEST_ID}")
    if security.run_as_non_root and security.run_as_uid == 0:
        found.append("spec.security.runAsUid: 0 given together with runAsNonRoot; give another user")
    if security.seccomp_profile_type not in (None, *SECCOMP_PROFILES):
        allowed = ", ".join(SECCOMP_PROFILES)
        given = security.seccomp_profile_type
        found.append(f"spec.security.seccompProfileType: {given!r} given, allowed are {allowed}")
    for index, name in enumerate(security.capabilities):
        if name not in CAPABILITIES:
            found.append(f"spec.security.capabilities[{index}]: {name!r} given, which is no capability of Linux")
    return found


def _readiness(spec: WorkloadSpec) -> list[str]:
    probe = spec.readiness
    if probe is None:
        return []
    found = []
    if spec.readiness_path is not None:
        found.append("spec.readiness: given together with readinessPath; give one of them")
    if not probe.path.startswith("/"):
        found.append(f"spec.readiness.path: {probe.path!r} given, needed is a path from / on")
    if not 1 <= probe.port <= 65535:
        found.append(f"spec.readiness.port: {probe.port} given, allowed is 1 to 65535")
    if probe.scheme not in (None, "HTTP", "HTTPS"):
        found.append(f"spec.readiness.scheme: {probe.scheme!r} given, allowed are HTTP, HTTPS")
    times = (
        ("initialDelaySeconds", probe.initial_delay_seconds, 0),
        ("periodSeconds", probe.period_seconds, 1),
        ("timeoutSeconds", probe.timeout_seconds, 1),
        ("successThreshold", probe.success_threshold, 1),
        ("failureThreshold", probe.failure_threshold, 1),
    )
    return found + too_small("spec.readiness", times)
