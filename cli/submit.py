"""From the flags of ``training submit`` to the body of the REST call. Pure: the server judges the values."""

from collections.abc import Mapping, Sequence
from typing import Any

from cli.errors import BadUsage

COMPUTE = {
    "gpu_devices_request": "gpuDevicesRequest",
    "gpu_request_type": "gpuRequestType",
    "gpu_portion_request": "gpuPortionRequest",
    "gpu_portion_limit": "gpuPortionLimit",
    "gpu_memory_request": "gpuMemoryRequest",
    "gpu_memory_limit": "gpuMemoryLimit",
    "cpu_core_request": "cpuCoreRequest",
    "cpu_core_limit": "cpuCoreLimit",
    "cpu_memory_request": "cpuMemoryRequest",
    "cpu_memory_limit": "cpuMemoryLimit",
}
SPEC = {
    "image": "image",
    "image_pull_policy": "imagePullPolicy",
    "working_dir": "workingDir",
    "node_type": "nodeType",
    "backoff_limit": "backoffLimit",
    "parallelism": "parallelism",
    "runs": "completions",
    "priority": "priorityClass",
    "auto_deletion_time_after_completion": "autoDeletionTimeAfterCompletionSeconds",
    "termination_grace_period": "terminationGracePeriodSeconds",
}


def training_body(
    name: str | None, flags: Mapping[str, Any], words: Sequence[str], project_id: str, cluster_id: str
) -> dict[str, Any]:
    """``words`` are the arguments after ``--``: the command with ``--command``, else the arguments of the image's own.

    Raises ``BadUsage`` for flags that do not go together.
    """
    prefix = flags.get("name_prefix")
    if bool(name) == bool(prefix):
        raise BadUsage("give either a NAME or --name-prefix")
    spec = {field: flags[flag] for flag, field in SPEC.items() if flags.get(flag) is not None}
    compute = {field: flags[flag] for flag, field in COMPUTE.items() if flags.get(flag) is not None}
    if compute:
        spec["compute"] = _with_request_type(compute)
    spec |= _command(flags, words)
    for flag, field in (("environment", "environmentVariables"), ("label", "labels"), ("annotation", "annotations")):
        if flags.get(flag):
            spec[field] = [pair(flag, text) for text in flags[flag]]
    if flags.get("image_pull_secret"):
        spec["imagePullSecrets"] = [{"name": secret} for secret in flags["image_pull_secret"]]
    if flags.get("node_pools"):
        spec["nodePools"] = [pool for text in flags["node_pools"] for pool in text.split(",") if pool]
    if flags.get("preemptible") is not None:
        spec["preemptibility"] = "preemptible" if flags["preemptible"] else "non-preemptible"
    body = {"name": name or prefix, "projectId": project_id, "clusterId": cluster_id, "spec": spec}
    return body | ({"useGivenNameAsPrefix": True} if prefix else {})


def pair(flag: str, text: str) -> dict[str, str]:
    """``A=b`` → ``{"name": "A", "value": "b"}``. Raises ``BadUsage`` without the equals sign."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BadUsage(f"--{flag}: expected NAME=VALUE, got {text!r}")
    return {"name": name, "value": value}


def seconds(text: str) -> int:
    """``90``, ``90s``, ``5m``, ``1h30m``, ``2d`` → seconds. Raises ``BadUsage``."""
    if text.isdigit():
        return int(text)
    total, number = 0, ""
    for letter in text.lower():
        if letter.isdigit():
            number += letter
        elif number and letter in "smhd":
            total, number = total + int(number) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[letter], ""
        else:
            raise BadUsage(f"{text!r} is no duration; write 90s, 5m, 1h30m or 2d")
    if number or not text:
        raise BadUsage(f"{text!r} is no duration; write 90s, 5m, 1h30m or 2d")
    return total


def _with_request_type(compute: dict[str, Any]) -> dict[str, Any]:
    portion, memory = "gpuPortionRequest" in compute, "gpuMemoryRequest" in compute
    if portion and memory:
        raise BadUsage("--gpu-portion-request and --gpu-memory-request exclude each other")
    if "gpuRequestType" not in compute and (portion or memory):
        compute["gpuRequestType"] = "portion" if portion else "memory"
    if (portion or memory) and "gpuDevicesRequest" not in compute:
        compute["gpuDevicesRequest"] = 1
    return compute


def _command(flags: Mapping[str, Any], words: Sequence[str]) -> dict[str, str]:
    if flags.get("command") and not words:
        raise BadUsage("--command needs the command after --")
    if not words:
        return {}
    quoted = " ".join(map(quote, words))
    if not flags.get("command"):
        return {"args": quoted}
    return {"command": quote(words[0])} | ({"args": " ".join(map(quote, words[1:]))} if words[1:] else {})


def quote(word: str) -> str:
    """Quote a word the way a POSIX shell would need it; the server splits the text again."""
    safe = "@%_-+=:,./"
    if word and all(letter.isalnum() or letter in safe for letter in word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"
