"""Mounts of a workload as volumes, mounts and init containers of its pods."""

from __future__ import annotations

from typing import Any

from agent.wire.objects import Mount, WorkloadSpec

Object = dict[str, Any]
GIT_IMAGE = "docker.io/alpine/git:2.47.2"
S3_IMAGE = "docker.io/amazon/aws-cli:2.22.35"
HOST_FILE_FOLDER = "/etc/mpi"
_CLONE = (
    'set -eu; url="$REPOSITORY"; '
    'if [ -n "${GIT_USERNAME:-}" ]; then '
    "git config --global credential.helper "
    "'!f() { echo username=$GIT_USERNAME; echo password=$GIT_PASSWORD; }; f'; fi; "
    'git clone -- "$url" /target; if [ -n "${REVISION:-}" ]; then git -C /target checkout "$REVISION"; fi'
)
"""Credentials come from the environment through a helper: they are in no URL, command line or file."""
_COPY = 'set -eu; aws ${ENDPOINT:+--endpoint-url "$ENDPOINT"} s3 sync "s3://$BUCKET" /target'


def volumes(spec: WorkloadSpec) -> list[Object]:
    found = [{"name": _name(index), **_source(mount)} for index, mount in enumerate(spec.storage)]
    if spec.shared_memory_mib is not None:
        memory = {"medium": "Memory", "sizeLimit": f"{spec.shared_memory_mib}Mi"}
        found.append({"name": "shared-memory", "emptyDir": memory})
    return found


def mounts(spec: WorkloadSpec) -> list[Object]:
    found = []
    for index, mount in enumerate(spec.storage):
        one: Object = {"name": _name(index), "mountPath": mount.path}
        if mount.sub_path:
            one["subPath"] = mount.sub_path
        if mount.read_only or mount.kind in ("configMap", "secret"):
            one["readOnly"] = True
        found.append(one)
    if spec.shared_memory_mib is not None:
        found.append({"name": "shared-memory", "mountPath": "/dev/shm"})  # noqa: S108
    return found


def init_containers(spec: WorkloadSpec) -> list[Object]:
    """One for each mount that is fetched before the start."""
    found = []
    for index, mount in enumerate(spec.storage):
        if mount.kind == "git":
            found.append(_fetch(index, mount, mount.image or GIT_IMAGE, _CLONE))
        elif mount.kind == "s3":
            found.append(_fetch(index, mount, mount.image or S3_IMAGE, _COPY))
    return found


def _fetch(index: int, mount: Mount, image: str, script: str) -> Object:
    values = {
        "REPOSITORY": mount.source,
        "BUCKET": mount.source,
        "REVISION": mount.revision,
        "ENDPOINT": mount.endpoint,
    }
    unused = "BUCKET" if mount.kind == "git" else "REPOSITORY"
    env: list[Object] = [{"name": key, "value": value} for key, value in values.items() if value and key != unused]
    if mount.secret:
        keys = (
            {"GIT_USERNAME": "username", "GIT_PASSWORD": "password"}
            if mount.kind == "git"
            else {"AWS_ACCESS_KEY_ID": "AccessKeyId", "AWS_SECRET_ACCESS_KEY": "SecretKey"}
        )
        for name, key in keys.items():
            env.append({"name": name, "valueFrom": {"secretKeyRef": {"name": mount.secret, "key": key}}})
    return {
        "name": f"fetch-{index}",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "env": env,
        "volumeMounts": [{"name": _name(index), "mountPath": "/target"}],
    }


def _name(index: int) -> str:
    return f"storage-{index}"


def _source(mount: Mount) -> Object:
    match mount.kind:
        case "pvc":
            return {"persistentVolumeClaim": {"claimName": mount.name, "readOnly": mount.read_only}}
        case "hostPath":
            return {"hostPath": {"path": mount.source}}
        case "nfs":
            return {"nfs": {"server": mount.server, "path": mount.source, "readOnly": mount.read_only}}
        case "configMap":
            return {"configMap": {"name": mount.name}}
        case "secret":
            return {"secret": {"secretName": mount.name}}
    return {"emptyDir": {"sizeLimit": f"{mount.size_mib}Mi"} if mount.size_mib else {}}
