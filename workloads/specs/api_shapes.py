"""The public API's creation bodies ⇄ a request. Pure: no rows, no HTTP.

What the contract has and this release does not carry is refused by name, never dropped silently.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from agent.wire.objects import EnvVar, Toleration
from workloads.specs.problems import Problem, SpecError
from workloads.specs.request import DISTRIBUTED, SubmitRequest

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
    "cpuCoreRequest": "cpu",
    "cpuCoreLimit": "cpu_limit",
    "cpuMemoryRequest": "memory",
    "cpuMemoryLimit": "memory_limit",
}
LISTS = ("environmentVariables", "labels", "annotations", "tolerations", "nodePools")
_AS_NUMBER = frozenset({"gpuPortionRequest", "cpuCoreRequest", "cpuCoreLimit"})
SUPPORTED = frozenset({*TEXTS, *INTEGERS, *WORDS, *LISTS, "compute"})
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
        "environment": reader.items(spec, "environmentVariables", _variable),
        "labels": dict(reader.items(spec, "labels", _pair)) or None,
        "annotations": dict(reader.items(spec, "annotations", _pair)) or None,
        "tolerations": reader.items(spec, "tolerations", _toleration),
        "node_pools": reader.items(spec, "nodePools", _pool),
    }
    values["image"] = values["image"] or ""
    reader.gpu_type(compute, values)
    reader.unsupported(body, spec, compute)
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

    def items(self, source: Json, key: str, read: Callable[[Any], Any]) -> tuple[Any, ...]:
        """The items of a list, without those that say ``exclude``."""
        value = source.get(key) or []
        path = f"spec.{key}"
        if not isinstance(value, list):
            self.wrong(path, value, "a list")
            return ()
        found = []
        for index, item in enumerate(value):
            if isinstance(item, dict) and item.get("exclude") is True:
                continue
            try:
                found.append(read(item))
            except ValueError as error:
                self.wrong(f"{path}[{index}]", item, str(error))
        return tuple(found)

    def gpu_type(self, compute: Json, values: Mapping[str, Any]) -> None:
        """``gpuRequestType`` names which of portion and memory counts; the other must be absent, the limit equal."""
        kind = compute.get("gpuRequestType")
        if kind not in (None, "portion", "memory"):
            self.wrong("spec.compute.gpuRequestType", kind, "portion or memory")
        elif kind is not None and values[f"gpu_{kind}"] is None:
            self.wrong(f"spec.compute.gpu{kind.title()}Request", None, f"an amount, since gpuRequestType is {kind}")
        for name in ("Portion", "Memory"):
            limit = compute.get(f"gpu{name}Limit")
            if limit is not None and str(limit) != values[f"gpu_{name.lower()}"]:
                self.wrong(f"spec.compute.gpu{name}Limit", limit, "the same as the request, or left out")

    def unsupported(self, body: Json, spec: Json, compute: Json) -> None:
        known_compute = {*AMOUNTS, "gpuRequestType", "gpuPortionLimit", "gpuMemoryLimit"}
        for prefix, source, known in (
            ("", {k: body.get(k) for k in ("templateId", "masterSpec")}, set()),
            ("spec.", spec, SUPPORTED),
            ("spec.compute.", compute, known_compute),
        ):
            for key, value in source.items():
                if key not in known and value not in (None, False, "", [], {}):
                    self.wrong(prefix + key, value, LEFT_OUT)
        if body.get("masterSpecSameAsWorker") is False:
            self.wrong("masterSpecSameAsWorker", False, "true: every worker of the gang has the same spec")


def _variable(item: Any) -> EnvVar:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise ValueError("an object with name and value")
    sources = [key for key in ("secret", "configMap", "podFieldRef", "userCredential") if item.get(key)]
    if sources:
        raise ValueError(f"name and value; {sources[0]} is not supported by this release")
    value = item.get("value")
    if not isinstance(value, (str, type(None))):
        raise ValueError("a value that is text")
    return EnvVar(item["name"], value or "")


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
        spec["environmentVariables"] = [{"name": item.name, "value": item.value} for item in request.environment]
    for key, pairs in (("labels", request.labels), ("annotations", request.annotations)):
        if pairs:
            spec[key] = [{"name": name, "value": value} for name, value in pairs.items()]
    if request.node_pools:
        spec["nodePools"] = list(request.node_pools)
    if request.tolerations:
        spec["tolerations"] = [_toleration_json(item) for item in request.tolerations]
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
