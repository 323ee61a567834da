"""Names of what the operator makes: the same input gives the same name, so that creating twice is seen as done."""

from __future__ import annotations

import hashlib

MAX_LABEL = 63


def bounded(name: str, limit: int = MAX_LABEL) -> str:
    """``name``, or its beginning with eight hex digits of its hash where it is longer than ``limit``."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: limit - 9].rstrip('-.')}-{digest}"


def pod_name(workload: str, index: int, attempt: int) -> str:
    """``w-0``, and ``w-0-r2`` for the second retry. No two workloads of a namespace can meet: an index is a number."""
    suffix = f"-{index}-r{attempt}" if attempt else f"-{index}"
    return bounded(workload, MAX_LABEL - len(suffix)) + suffix


def host_name(workload: str, index: int) -> str:
    """Name of a gang's member in DNS: without the attempt, so that a retry is found under the same address."""
    return pod_name(workload, index, 0)


def pod_group_name(workload: str, attempt: int) -> str:
    """Every attempt of a gang is a group of its own: what is left of the last one never counts towards the next."""
    return bounded(f"{workload}-r{attempt}" if attempt else workload)


def port_service_name(workload: str, gang: bool) -> str:
    """Service of the exposed ports: named like the workload, unless that is the gang's headless one."""
    return bounded(f"{service_name(workload)}-ports") if gang else service_name(workload)


def host_file_name(workload: str) -> str:
    return bounded(f"{workload}-hosts")


def service_name(workload: str) -> str:
    """Headless service of a gang. A service's name starts with a letter; a workload's may start with a digit."""
    return bounded(workload if workload[:1].isalpha() else f"w-{workload}")
