"""The objects of one workload: pods, and for a gang its pod group and headless service. Same view, same manifests."""

from __future__ import annotations

from typing import Any

from agent.operator import names, new_claims, rendezvous, security, ssh, volumes
from agent.operator.defaults import requests_for
from agent.operator.services import HOST_FILE, needs_host_file
from agent.operator.sharing import config_map_name, device_environment
from agent.operator.workload import WorkloadView, shares_gpu
from agent.wire import labels
from agent.wire.config import Defaults
from agent.wire.objects import Compute, EnvVar, RoleSpec, Toleration

Object = dict[str, Any]
CONTAINER = "main"


def owner_reference(view: WorkloadView) -> Object:
    return {
        "apiVersion": "run.ai/v1",
        "kind": "Workload",
        "name": view.name,
        "uid": view.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def common_labels(view: WorkloadView) -> dict[str, str]:
    """On everything made for a workload; the scheduler's words included."""
    assert view.project is not None
    mine = {
        labels.MANAGED_BY: labels.MANAGED_BY_OPERATOR,
        labels.WORKLOAD_ID: view.id,
        labels.WORKLOAD_NAME: names.bounded(view.name),
        labels.WORKLOAD_TYPE: view.spec.type,
        labels.PROJECT: view.project.name,
        labels.QUEUE: labels.queue_name(view.project.name, view.pool),
        labels.NODE_POOL: view.pool,
        labels.PREEMPTIBILITY: view.preemptibility,
        "priorityClassName": view.priority_class,
    }
    return {**(view.spec.labels or {}), **mine}


def pod_group(view: WorkloadView, attempt: int) -> Object:
    """Made before the pods, so that the scheduler never sees a part of a gang as pods of their own."""
    assert view.project is not None
    return {
        "apiVersion": "scheduling.run.ai/v2alpha2",
        "kind": "PodGroup",
        "metadata": {
            "name": names.pod_group_name(view.name, attempt),
            "namespace": view.namespace,
            "labels": common_labels(view) | {labels.ATTEMPT: str(attempt)},
            "ownerReferences": [owner_reference(view)],
        },
        "spec": {
            "queue": labels.queue_name(view.project.name, view.pool),
            "minMember": view.minimum,
            "priorityClassName": view.priority_class,
            "preemptibility": view.preemptibility,
        },
    }


def headless_service(view: WorkloadView) -> Object:
    """Addresses of a gang's members, before they are ready too: a rendezvous waits for members that wait for it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": names.service_name(view.name),
            "namespace": view.namespace,
            "labels": common_labels(view),
            "ownerReferences": [owner_reference(view)],
        },
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {labels.WORKLOAD_ID: view.id, labels.WORKLOAD_NAME: names.bounded(view.name)},
            "ports": [{"name": "rendezvous", "port": rendezvous.PORT, "targetPort": rendezvous.PORT}],
        },
    }


def pod(view: WorkloadView, index: int, attempt: int) -> Object:
    """Pod ``index`` of a workload in one attempt."""
    name = names.pod_name(view.name, index, attempt)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": view.namespace,
            "labels": common_labels(view)
            | {labels.REPLICA_INDEX: str(index), labels.ATTEMPT: str(attempt)}
            | ({labels.REVISION: view.template} if view.spec.type == "inference" else {}),
            "annotations": _annotations(view, name, index, attempt),
            "ownerReferences": [owner_reference(view)],
        },
        "spec": _pod_spec(view, name, index),
    }


def _annotations(view: WorkloadView, name: str, index: int, attempt: int) -> dict[str, str]:
    compute = view.compute_of(index)
    found = dict(view.spec.annotations or {}) | _gpu_annotations(compute)
    if shares_gpu(compute):
        found[labels.SHARED_GPU_CONFIG_MAP] = config_map_name(name)
    if view.submitted_by:
        found[labels.SUBMITTED_BY] = view.submitted_by
    if view.gang:
        found[labels.POD_GROUP_NAME] = names.pod_group_name(view.name, attempt)
    return found


def _gpu_annotations(compute: Compute) -> dict[str, str]:
    if compute.gpu_portion_milli is not None:
        found = {labels.GPU_FRACTION: f"{compute.gpu_portion_milli / 1000:.3f}".rstrip("0")}
    elif compute.gpu_memory_mib is not None:
        found = {labels.GPU_MEMORY: str(compute.gpu_memory_mib)}
    else:
        return {}
    if compute.gpu_portion_limit_milli is not None:
        found[labels.GPU_FRACTION_LIMIT] = f"{compute.gpu_portion_limit_milli / 1000:.3f}".rstrip("0").rstrip(".")
    if compute.gpu_memory_limit_mib is not None:
        found[labels.GPU_MEMORY_LIMIT] = str(compute.gpu_memory_limit_mib)
    if compute.gpu_devices > 1:
        found[labels.GPU_FRACTION_DEVICES] = str(compute.gpu_devices)
    return found


def _pod_spec(view: WorkloadView, name: str, index: int) -> Object:
    spec: Object = {
        "schedulerName": labels.DEFAULT_SCHEDULER_NAME,
        "restartPolicy": view.restart_policy,
        "enableServiceLinks": False,
        "containers": [_container(view, name, index)],
        "tolerations": [_toleration(item) for item in _tolerations(view)],
    }
    if selector := _node_selector(view):
        spec["nodeSelector"] = selector
    if affinity := _affinity(view):
        spec["affinity"] = affinity
    if context := ssh.pod_context(view):
        spec["securityContext"] = context
    if view.spec.termination_grace_period_seconds is not None:
        spec["terminationGracePeriodSeconds"] = view.spec.termination_grace_period_seconds
    if view.gang:
        spec["hostname"] = names.host_name(view.name, index)
        spec["subdomain"] = names.service_name(view.name)
    more: Object = {
        "volumes": [*volumes.volumes(new_claims.with_names(view)), *_host_file_volume(view), *ssh.volumes(view)],
        "initContainers": [*volumes.init_containers(view.spec), *ssh.init_containers(view, index)],
        "imagePullSecrets": [{"name": secret} for secret in _pull_secrets(view)],
    }
    return {key: value for key, value in (spec | more).items() if value != []}


def _host_file_volume(view: WorkloadView) -> list[Object]:
    if not needs_host_file(view):
        return []
    return [{"name": "host-file", "configMap": {"name": names.host_file_name(view.name)}}]


def _pull_secrets(view: WorkloadView) -> list[str]:
    """The workload's and the project's: a pod that names any gets none from its service account."""
    assert view.project is not None
    return list(dict.fromkeys((*view.spec.image_pull_secrets, *view.project.spec.image_pull_secrets)))


def _affinity(view: WorkloadView) -> Object:
    """What no node selector can say: the default pool is every node without the label, and one of several types."""
    terms: list[list[Object]] = [[]]
    if view.pool == labels.DEFAULT_NODE_POOL:
        key = view.pool_label
        inside = {"key": key, "operator": "In", "values": [labels.DEFAULT_NODE_POOL]}
        terms = [[{"key": key, "operator": "DoesNotExist"}], [inside]]
    if view.node_types and not view.spec.node_type:
        kind = {"key": labels.NODE_TYPE, "operator": "In", "values": list(view.node_types)}
        terms = [[*term, kind] for term in terms]
    found = [{"matchExpressions": term} for term in terms if term]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": found}}
    return {"nodeAffinity": required} if found else {}


def _node_selector(view: WorkloadView) -> dict[str, str]:
    selector = dict(view.spec.node_selector or {})
    if view.spec.node_type:
        selector[labels.NODE_TYPE] = view.spec.node_type
    if view.pool != labels.DEFAULT_NODE_POOL:
        selector[view.pool_label] = view.pool
    return selector


def _tolerations(view: WorkloadView) -> list[Toleration]:
    found = list(view.spec.tolerations)
    if view.pool == labels.SIMULATED_NODE_POOL:
        found.append(Toleration(key=labels.SIMULATED_TAINT, operator="Exists"))
    return found


def _toleration(item: Toleration) -> Object:
    pairs = {
        "key": item.key,
        "operator": item.operator,
        "value": item.value,
        "effect": item.effect,
        "tolerationSeconds": item.toleration_seconds,
    }
    return {key: value for key, value in pairs.items() if value is not None}


def _container(view: WorkloadView, name: str, index: int) -> Object:
    spec, compute = view.spec, view.compute_of(index)
    master = spec.master if view.gang and index == 0 and spec.master is not None else RoleSpec()
    own = bool(master.command or master.args)
    devices = device_environment(config_map_name(name), _gpu_annotations(compute)) if shares_gpu(compute) else []
    container: Object = {
        "name": CONTAINER,
        "image": master.image or spec.image,
        "env": devices + _environment(view, index, master.environment),
        "resources": _resources(compute, view.cluster.defaults),
    }
    mounted = [*volumes.mounts(spec), *ssh.mounts(view)]
    if needs_host_file(view):
        mounted.append({"name": "host-file", "mountPath": volumes.HOST_FILE_FOLDER, "readOnly": True})
    ports = [{"containerPort": port.container} | ({"name": port.name} if port.name else {}) for port in spec.ports]
    command, args = list(master.command if own else spec.command), list(master.args if own else spec.args)
    if ssh.serves(view, index):
        command, args = ssh.serve_command(view), []
    optional: Object = {
        "command": command,
        "args": args,
        "workingDir": spec.working_dir,
        "imagePullPolicy": spec.image_pull_policy,
        "volumeMounts": mounted,
        "ports": ports,
        "readinessProbe": _readiness(view),
        "securityContext": security.container_context(spec.security),
    }
    return container | {key: value for key, value in optional.items() if value}


def _readiness(view: WorkloadView) -> Object:
    """A pod takes requests when it answers on its first port: over HTTP where a path is given."""
    spec = view.spec
    if spec.readiness is not None:
        return security.readiness_probe(spec.readiness)
    if not spec.ports or not (spec.readiness_path or spec.type == "inference"):
        return {}
    port = spec.ports[0].container
    check: Object = {"httpGet": {"path": spec.readiness_path, "port": port}}
    if not spec.readiness_path:
        check = {"tcpSocket": {"port": port}}
    return check | {"periodSeconds": 1, "failureThreshold": 3}


def _environment(view: WorkloadView, index: int, more: tuple[EnvVar, ...]) -> list[Object]:
    """Ours first; a variable of the same name in the spec wins."""
    assert view.project is not None
    compute = view.compute_of(index)
    whole = 0 if shares_gpu(compute) else compute.gpu_devices
    variables = {
        "JOB_NAME": view.name,
        "JOB_UUID": view.id,
        "RUNAI_PROJECT": view.project.name,
        "RUNAI_NUM_OF_GPUS": str(whole),
    }
    if view.gang:
        variables |= rendezvous.environment(
            view.name,
            view.namespace,
            index=index,
            workers=view.completions,
            gpus=whole,
            framework=view.spec.framework,
            minimum=view.minimum,
        )
        if needs_host_file(view):
            file = f"{volumes.HOST_FILE_FOLDER}/{HOST_FILE}"
            variables |= {"OMPI_MCA_orte_default_hostfile": file, "HYDRA_HOST_FILE": file, "RUNAI_MPI_HOSTFILE": file}
            variables |= ssh.environment(view)
    else:
        variables["JOB_COMPLETION_INDEX"] = str(index)
    given = {variable.name: variable for variable in (*view.spec.environment, *more)}
    ours = [{"name": name, "value": value} for name, value in variables.items() if name not in given]
    return ours + [_variable(variable) for variable in given.values()]


def _variable(variable: EnvVar) -> Object:
    if variable.secret:
        source: Object = {"secretKeyRef": {"name": variable.secret, "key": variable.key}}
    elif variable.config_map:
        source = {"configMapKeyRef": {"name": variable.config_map, "key": variable.key}}
    elif variable.field_path:
        source = {"fieldRef": {"fieldPath": variable.field_path}}
    else:
        return {"name": variable.name, "value": variable.value}
    return {"name": variable.name, "valueFrom": source}


def _resources(compute: Compute, defaults: Defaults) -> Object:
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for name, request, limit, unit in (
        ("cpu", compute.cpu_milli, compute.cpu_limit_milli, "m"),
        ("memory", compute.memory_bytes, compute.memory_limit_bytes, ""),
    ):
        if request is not None:
            requests[name] = f"{request}{unit}"
        if limit is not None:
            limits[name] = f"{limit}{unit}"
    wanted = requests_for(_gpu_milli(compute), defaults.cpu_per_gpu_milli, defaults.memory_per_gpu_mib)
    for name, amount in wanted.items():
        if name not in limits:
            requests.setdefault(name, amount)
    for name, count in (compute.extended_resources or {}).items():
        requests[name] = limits[name] = str(count)
    if compute.gpu_devices and not shares_gpu(compute):
        requests[labels.GPU_RESOURCE] = limits[labels.GPU_RESOURCE] = str(compute.gpu_devices)
    return {key: value for key, value in (("requests", requests), ("limits", limits)) if value}


def _gpu_milli(compute: Compute) -> int:
    """Thousandths of devices that are known to be asked for; those of a device's memory are not."""
    if compute.gpu_memory_mib is not None:
        return 0
    return compute.gpu_devices * (compute.gpu_portion_milli or 1000)
