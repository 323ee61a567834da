"""Volume claims that a workload brings: made before its pods, from what its mounts say.

One that is ephemeral belongs to the workload and goes with it. Any other outlives it: data is nobody's to delete.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from agent.operator import names
from agent.operator.workload import WorkloadView
from agent.wire.objects import Mount, NewClaim, WorkloadSpec

Object = dict[str, Any]


def with_names(view: WorkloadView) -> WorkloadSpec:
    """The spec with every claim named: a new one by itself where it has no name."""
    mounts = tuple(
        replace(mount, name=_name(view, index, mount)) if mount.claim is not None else mount
        for index, mount in enumerate(view.spec.storage)
    )
    return replace(view.spec, storage=mounts)


def _name(view: WorkloadView, index: int, mount: Mount) -> str:
    if mount.name:
        return mount.name
    own = hashlib.sha256(view.uid.encode()).hexdigest()[:8]
    return f"{names.bounded(view.name, 40)}-{own}-data-{index}"


def claims(view: WorkloadView, common: dict[str, str], owner: Object) -> list[Object]:
    found = []
    for mount in with_names(view).storage:
        if mount.claim is not None:
            meta: Object = {"name": mount.name, "namespace": view.namespace, "labels": common}
            if mount.claim.ephemeral:
                meta["ownerReferences"] = [owner]
            kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta}
            found.append(kind | {"spec": _spec(mount.claim)})
    return found


def _spec(claim: NewClaim) -> Object:
    spec: Object = {
        "accessModes": list(claim.access_modes),
        "resources": {"requests": {"storage": f"{claim.size_mib}Mi"}},
    }
    return spec | ({"storageClassName": claim.storage_class} if claim.storage_class is not None else {})
