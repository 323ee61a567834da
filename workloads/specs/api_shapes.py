"""The public API's creation bodies ⇄ a request. Pure: no rows, no HTTP.

What the contract has and this release does not carry is refused by name, never dropped silently.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from agent.wire.objects import Port, RoleSpec, Toleration
from workloads.specs import api_parts as parts
from workloads.specs import api_security
from workloads.specs.compile import compute_of
from workloads.specs.problems import Problem, SpecError
from workloads.specs.quantities import gpu_memory_mib
from workloads.specs.request import DISTRIBUTED, INFERENCE, SubmitRequest

Json = Mapping[str, Any]

TEXTS = {
    "image": "image",
    "imagePullPolicy": "image_pull_policy",
    "workingDir": "working_dir",
    "nodeType": "node_type",
    "priorityClass": "priority_class",
    "preemptibility": "preemptibility",
    "category": "category",
    "restartPolicy": "restart_policy",
    "distributedFramework": "framework",
}
INTEGERS = {
    "backoffLimit": "backoff_limit",
    "autoDeletionTimeAfterCompletionSeconds": "ttl_seconds_after_finished",
    "terminationGracePeriodSeconds": "termination_grace_period_seconds",
    "completions": "completions",
    "parallelism": "parallelism",
    "numWorkers": "workers",
}
WORDS = {"command": "command", "args": "args"}
AMOUNTS = {
    "gpuDevicesRequest": "gpu_devices",
    "gpuPortionRequest": "gpu_portion",
    "gpuMemoryRequest": "gpu_memory",
    "gpuPortionLimit": "gpu_portion_limit",
    "gpuMemoryLimit": "gpu_memory_limit",
    "cpuCoreRequest": "cpu",
    "cpuCoreLimit": "cpu_limit",
    "cpuMemoryRequest": "memory",
    "cpuMemoryLimit": "memory_limit",
}
LISTS = ("environmentVariables", "labels", "annotations", "tolerations", "nodePools", "ports", "imagePullSecrets")
_AS_NUMBER = frozenset({"gpuPortionRequest", "gpuPortionLimit", "cpuCoreRequest", "cpuCoreLimit"})
SUPPORTED = frozenset({*TEXTS, *INTEGERS, *WORDS, *LISTS, "compute", "storage", "security", "probes"})
ONLY_INFERENCE = frozenset({"servingPort", "autoscaling"})
MASTER = frozenset({"image", "command", "args", "environmentVariables", "compute"})
"""What the first pod of a gang may have different."""
DEFAULT_SHARED_MEMORY_MIB = 4096
"""``largeShmRequest`` names no size: the pod's own memory, or this where it names none."""
LEFT_OUT = "left out: this release does not support it"

PATHS: dict[str, str] = {
    "name": "name",
    "project_id": "projectId",
    "cluster_id": "clusterId",
    **{attribute: f"spec.{key}" for table in (TEXTS, INTEGERS, WORDS) for key, attribute in table.items()},
    **{attribute: f"spec.compute.{key}" for key, attribute in AMOUNTS.items()},
    "environment": "spec.environmentVariables",
    "labels": "spec.labels",
    "annotations": "spec.annotations",
    "tolerations": "spec.tolerations",
    "node_pools": "spec.nodePools",
    "ports": "spec.ports",
    "storage": "spec.storage",
    "image_pull_secrets": "spec.imagePullSecrets",
    "autoscaling": "spec.autoscaling",
    "extended_resources": "spec.compute.extendedResources",
    "shared_memory_mib": "spec.compute.largeShmRequest",
    "master": "masterSpec",
    "security": "spec.security",
    "readiness": "spec.probes.readiness",
}
"""Attribute of ``SubmitRequest`` → where the contract has it."""


def json_path(field: str) -> str:
    """``environment[0]`` → ``spec.environmentVariables[0]``: an error's field in the caller's own words."""
    name, bracket, rest = field.partition("[")
    return PATHS.get(name, name) + bracket + rest


def read_creation(body: Json, workload_type: str) -> SubmitRequest:
    """The request of a creation body. Raises ``SpecError`` with JSON paths for what has the wrong shape."""
    reader = _Reader()
    spec = reader.mapping(body, "spec", "spec")
    compute = reader.mapping(spec, "compute", "spec.compute")
    values: dict[str, Any] = {
        "name": reader.text(body, "name", "name") or "",
        "project_id": reader.identifier(body, "projectId") or "",
        "cluster_id": reader.identifier(body, "clusterId"),
        "type": workload_type,
        "name_is_prefix": body.get("useGivenNameAsPrefix") is True,
    }
    for key, name in TEXTS.items():
        values[name] = reader.text(spec, key, f"spec.{key}")
    for key, name in INTEGERS.items():
        values[name] = reader.integer(spec, key, f"spec.{key}")
    for key, name in WORDS.items():
        values[name] = reader.words(spec, key, f"spec.{key}")
    for key, name in AMOUNTS.items():
        values[name] = reader.amount(compute, key, f"spec.compute.{key}")
    values |= {
        "environment": reader.items(spec, "environmentVariables", parts.variable),
        "labels": dict(reader.items(spec, "labels", _pair)) or None,
        "annotations": dict(reader.items(spec, "annotations", _pair)) or None,
        "tolerations": reader.items(spec, "tolerations", _toleration),
        "node_pools": reader.items(spec, "nodePools", _pool),
        "ports": reader.items(spec, "ports", parts.port),
        "image_pull_secrets": reader.items(spec, "imagePullSecrets", parts.pull_secret),
        "storage": parts.storage(spec.get("storage"), reader.wrong),
        "extended_resources": dict(reader.items(compute, "extendedResources", parts.extended_resource, "spec.compute"))
        or None,
        "shared_memory_mib": reader.shared_memory(compute),
        "master": reader.master(body),
        "security": reader.part(spec, "security", api_security.security),
        "readiness": reader.part(spec, "probes", api_security.readiness),
    }
    if workload_type == INFERENCE:
        values |= reader.serving(spec, values["ports"])
    values["image"] = values["image"] or ""
    reader.gpu_type(compute, values)
    reader.unsupported(body, spec, compute, workload_type)
    if reader.problems:
        raise SpecError(reader.problems)
    return SubmitRequest(**{name: value for name, value in values.items() if value is not None})


class _Reader:
    """Reads one body and collects what is wrong with its shape."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def wrong(self, path: str, given: object, allowed: str) -> None:
        self.problems.append(Problem(path, "" if given is None else str(given), allowed))

    def mapping(self, source: Json, key: str, path: str) -> Json:
        value = source.get(key)
        if value is not None and not isinstance(value, dict):
            self.wrong(path, value, "an object")
        return value if isinstance(value, dict) else {}

    def text(self, source: Json, key: str, path: str) -> str | None:
        value = source.get(key)
        if value is not None and not isinstance(value, str):
            self.wrong(path, value, "text")
            return None
        return value

    def identifier(self, source: Json, key: str) -> str | None:
        """Ids are text; clients that read older examples send numbers."""
        value = source.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return self.text(source, key, key)

    def integer(self, source: Json, key: str, path: str) -> int | None:
        value = source.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            self.wrong(path, value, "a whole number")
            return None
        return value

    def amount(self, source: Json, key: str, path: str) -> str | None:
        value = source.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float, str, type(None))):
            self.wrong(path, value, "a number or quantity")
            return None
        return None if value is None else str(value)

    def words(self, source: Json, key: str, path: str) -> tuple[str, ...]:
        value = self.text(source, key, path)
        try:
            return tuple(shlex.split(value)) if value else ()
        except ValueError as error:
            self.wrong(path, value, f"words as a shell reads them ({error})".replace("No closing", "no closing"))
            return ()

    def items(self, source: Json, key: str, read: Callable[[Any], Any], inside: str = "spec") -> tuple[Any, ...]:
        """The items of a list, without those that say ``exclude``."""
        value = source.get(key) or []
        path = f"{inside}.{key}"
        if not isinstance(value, list):
            self.wrong(path, value, "a list")
            return ()
        found = []
        for index, item in enumerate(value):
            if isinstance(item, dict) and item.get("exclude") is True:
                continue
            try:
                found.append(parts.readable(read(item)))
            except ValueError as error:
                self.wrong(f"{path}[{index}]", item, str(error))
        return tuple(found)

    def part(self, spec: Json, key: str, read: Callable[[Any], Any]) -> Any:
        try:
            return read(spec.get(key))
        except api_security.Wrong as error:
            self.wrong(f"spec.{error.path}", error.given, error.allowed)
            return None

    def shared_memory(self, compute: Json) -> int | None:
        if compute.get("largeShmRequest") is not True:
            return None
        for key in ("cpuMemoryLimit", "cpuMemoryRequest"):
            try:
                return gpu_memory_mib(str(compute[key]))
            except (KeyError, ValueError):
                continue
        return DEFAULT_SHARED_MEMORY_MIB

    def serving(self, spec: Json, ports: tuple[Port, ...]) -> dict[str, Any]:
        """The port that answers comes first; how it scales."""
        found: dict[str, Any] = {}
        serving = self.mapping(spec, "servingPort", "spec.servingPort")
        try:
            found["autoscaling"] = parts.autoscaling(spec.get("autoscaling"))
        except ValueError as error:
            self.wrong("spec.autoscaling", spec.get("autoscaling"), str(error))
        if serving:
            try:
                found["ports"] = (parts.port({"container": serving.get("container")}), *ports)
            except ValueError as error:
                self.wrong("spec.servingPort", serving, str(error))
            for key in ("authorizedUsers", "authorizedGroups", "clusterLocalAccessOnly"):
                if serving.get(key):
                    self.wrong(f"spec.servingPort.{key}", serving[key], LEFT_OUT)
        return found

    def master(self, body: Json) -> RoleSpec | None:
        """What the first pod of a gang has different; None where it is as the others."""
        given = self.mapping(body, "masterSpec", "masterSpec")
        if body.get("masterSpecSameAsWorker") is True or not given:
            return None
        compute = self.mapping(given, "compute", "masterSpec.compute")
        for key, value in given.items():
            if key not in MASTER and value not in (None, False, "", [], {}):
                self.wrong(f"masterSpec.{key}", value, LEFT_OUT)
        try:
            amounts: dict[str, Any] = {
                name: self.amount(compute, key, f"masterSpec.compute.{key}") for key, name in AMOUNTS.items()
            }
            resources = compute_of(SubmitRequest("", "", "", **amounts)) if compute else None
        except ValueError as error:
            self.wrong("masterSpec.compute", compute, str(error))
            resources = None
        return RoleSpec(
            image=self.text(given, "image", "masterSpec.image"),
            command=self.words(given, "command", "masterSpec.command"),
            args=self.words(given, "args", "masterSpec.args"),
            environment=self.items(given, "environmentVariables", parts.variable, "masterSpec"),
            compute=resources,
        )

    def gpu_type(self, compute: Json, values: Mapping[str, Any]) -> None:
        """``gpuRequestType`` names which of portion and memory counts; the other must be absent."""
        kind = compute.get("gpuRequestType")
        if kind not in (None, "portion", "memory"):
            self.wrong("spec.compute.gpuRequestType", kind, "portion or memory")
        elif kind is not None and values[f"gpu_{kind}"] is None:
            self.wrong(f"spec.compute.gpu{kind.title()}Request", None, f"an amount, since gpuRequestType is {kind}")

    def unsupported(self, body: Json, spec: Json, compute: Json, workload_type: str) -> None:
        known_compute = {*AMOUNTS, "gpuRequestType", "extendedResources", "largeShmRequest"}
        others = ("templateId",) if workload_type == DISTRIBUTED else ("templateId", "masterSpec")
        for prefix, source, known in (
            ("", {k: body.get(k) for k in others}, set()),
            ("spec.", spec, SUPPORTED | ONLY_INFERENCE if workload_type == INFERENCE else SUPPORTED),
            ("spec.compute.", compute, known_compute),
        ):
            for key, value in source.items():
                if key not in known and value not in (None, False, "", [], {}):
                    self.wrong(prefix + key, value, LEFT_OUT)
        if body.get("masterSpecSameAsWorker") is False and not body.get("masterSpec"):
            self.wrong("masterSpecSameAsWorker", False, "true, or a masterSpec")


def _pair(item: Any) -> tuple[str, str]:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise ValueError("an object with name and value")
    return item["name"], str(item.get("value") or "")


def _toleration(item: Any) -> Toleration:
    seconds = item.get("seconds") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(seconds, (int, type(None))):
        raise ValueError("an object with key, operator, value, effect and seconds")
    return Toleration(
        key=item.get("key"),
        operator=item.get("operator") or "Exists",
        value=item.get("value"),
        effect=item.get("effect"),
        toleration_seconds=seconds,
    )


def _pool(item: Any) -> str:
    if not isinstance(item, str) or not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", item):
        raise ValueError("the name of a node pool")
    return item


def spec_json(request: SubmitRequest) -> dict[str, Any]:
    """The contract's ``spec`` of a request: what was asked, not what it was compiled to."""
    spec: dict[str, Any] = {}
    for table in (TEXTS, INTEGERS):
        spec |= {key: getattr(request, name) for key, name in table.items() if getattr(request, name) is not None}
    if request.type != DISTRIBUTED:
        spec.pop("numWorkers", None)
    for key, name in WORDS.items():
        if getattr(request, name):
            spec[key] = shlex.join(getattr(request, name))
    if request.environment:
        spec["environmentVariables"] = [parts.variable_json(item) for item in request.environment]
    for key, pairs in (("labels", request.labels), ("annotations", request.annotations)):
        if pairs:
            spec[key] = [{"name": name, "value": value} for name, value in pairs.items()]
    if request.node_pools:
        spec["nodePools"] = list(request.node_pools)
    if request.tolerations:
        spec["tolerations"] = [_toleration_json(item) for item in request.tolerations]
    if request.storage:
        spec["storage"] = parts.storage_json(request.storage)
    if request.security is not None:
        spec["security"] = api_security.security_json(request.security)
    if request.readiness is not None:
        spec["probes"] = {"readiness": api_security.readiness_json(request.readiness)}
    if request.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in request.image_pull_secrets]
    ports = request.ports
    if request.type == INFERENCE and ports:
        spec["servingPort"] = {"container": ports[0].container}
        ports = ports[1:]
    if ports:
        spec["ports"] = [parts.port_json(item) for item in ports]
    if request.autoscaling is not None:
        spec["autoscaling"] = parts.autoscaling_json(request.autoscaling)
    compute = _compute_json(request)
    return spec | ({"compute": compute} if compute else {})


def _compute_json(request: SubmitRequest) -> dict[str, Any]:
    compute: dict[str, Any] = {}
    for key, name in AMOUNTS.items():
        text = getattr(request, name)
        if text is not None:
            compute[key] = _number(text) if key in _AS_NUMBER else text
    if "gpuDevicesRequest" in compute:
        compute["gpuDevicesRequest"] = int(float(compute["gpuDevicesRequest"]))
    if request.extended_resources:
        pairs = request.extended_resources.items()
        compute["extendedResources"] = [{"resource": name, "quantity": str(count)} for name, count in pairs]
    if request.shared_memory_mib is not None:
        compute["largeShmRequest"] = True
    if request.gpu_portion is not None:
        compute["gpuRequestType"] = "portion"
    elif request.gpu_memory is not None:
        compute["gpuRequestType"] = "memory"
    return compute


def _number(text: str) -> float:
    return int(text[:-1]) / 1000 if text.endswith("m") else float(text)


def _toleration_json(item: Toleration) -> dict[str, Any]:
    values = {
        "key": item.key,
        "operator": item.operator,
        "value": item.value,
        "effect": item.effect,
        "seconds": item.toleration_seconds,
    }
    return {key: value for key, value in values.items() if value is not None}
