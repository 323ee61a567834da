"""Is a request sound by itself? All problems at once, each with its field; services ask what needs the database."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import fields

from agent.wire.objects import PRIORITIES, EnvVar
from workloads.specs import quantities
from workloads.specs.problems import Problem
from workloads.specs.request import DISTRIBUTED, INFERENCE, TRAINING, WORKSPACE, SubmitRequest

SUBMITTABLE_TYPES = (TRAINING, DISTRIBUTED, WORKSPACE, INFERENCE)
FRAMEWORKS = ("PyTorch", "MPI", "TF", "XGBoost", "JAX")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
RESTART_POLICIES = ("Always", "Never", "OnFailure")
PREEMPTIBILITY = ("preemptible", "non-preemptible")
TOLERATION_EFFECTS = ("NoSchedule", "NoExecute", "PreferNoSchedule", "Any")

NAME = "at most 63 lower-case letters, digits and dashes, starting with a letter and not ending with a dash"
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
PREFIX_ROOM = 6
"""Characters that ``name_is_prefix`` adds: a dash and five random ones."""

IMAGE = "an image reference without spaces, such as registry.example/team/image:tag"
_IMAGE = re.compile(
    r"(?P<domain>[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?/)?"
    r"[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@[a-z0-9]+:[0-9a-f]{32,128})?"
)
ENV_NAME = "letters, digits, '_', '-' and '.', not starting with a digit"
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
LABEL_NAME = "an optional DNS prefix with '/', then at most 63 letters, digits, '-', '_' and '.'"
_LABEL_PART = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_DNS = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
OBJECT_NAME = "the name of a Secret of the project: at most 253 lower-case letters, digits, '-' and '.'"
_OBJECT_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
LABEL_VALUE = "at most 63 letters, digits, '-', '_' and '.', starting and ending with a letter or digit, or nothing"
RESERVED_PREFIXES = ("run.ai/", "kai.scheduler/", "kubernetes.io/", "k8s.io/")
SIMULATION_PREFIX = "local.run.ai/"
"""Not reserved: instructions of a person to a simulated node about a pod; no real node and no role reads them."""

TEXT_LIMIT = 32 * 1024
"""Characters of all words, arguments and environment values together (a desired document holds 64 KiB)."""

MAX_ITEMS = {"tolerations": 100, "node_pools": 64, "image_pull_secrets": 16}
"""Items of a list that the cluster takes; 1000 where nothing is said."""

Check = Callable[[SubmitRequest], Iterator[Problem]]


def problems(request: SubmitRequest) -> tuple[Problem, ...]:
    """Every problem of the request, in the order of the form; empty when it is sound."""
    return tuple(problem for check in _CHECKS for problem in check(request))


def _identity(request: SubmitRequest) -> Iterator[Problem]:
    if not is_name(request.name, room=PREFIX_ROOM if request.name_is_prefix else 0):
        yield Problem("name", request.name, NAME)
    if not re.fullmatch(r"[0-9]{1,10}", request.project_id):
        yield Problem("project_id", request.project_id, "the id of a project: digits")
    if request.type not in SUBMITTABLE_TYPES:
        yield Problem("type", request.type, _one_of(SUBMITTABLE_TYPES))


def is_name(name: str, *, room: int = 0) -> bool:
    """May a workload have this name, with ``room`` characters to spare?"""
    return _NAME.fullmatch(name) is not None and len(name) <= 63 - room


def _container(request: SubmitRequest) -> Iterator[Problem]:
    if len(request.image) > 512 or not _IMAGE.fullmatch(request.image):
        yield Problem("image", request.image, IMAGE)
    yield from _choice(request, "image_pull_policy", PULL_POLICIES)
    if request.working_dir is not None and not request.working_dir.startswith("/"):
        yield Problem("working_dir", request.working_dir, "an absolute path such as /workspace")
    yield from _pull_secrets(request.image_pull_secrets)
    yield from _environment(request.environment)


def _pull_secrets(secrets: tuple[str, ...]) -> Iterator[Problem]:
    for index, name in enumerate(secrets):
        if not _OBJECT_NAME.fullmatch(name):
            yield Problem(f"image_pull_secrets[{index}]", name, OBJECT_NAME)
        elif name in secrets[:index]:
            yield Problem(f"image_pull_secrets[{index}]", name, "each Secret once")


def _environment(environment: tuple[EnvVar, ...]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, variable in enumerate(environment):
        if len(variable.name) > 253 or not _ENV_NAME.fullmatch(variable.name):
            yield Problem(f"environment[{index}]", variable.name, f"a variable's name of {ENV_NAME}")
        elif variable.name in seen:
            yield Problem(f"environment[{index}]", variable.name, "each variable once")
        seen.add(variable.name)


def _gpu(request: SubmitRequest) -> Iterator[Problem]:
    devices = yield from _amount(request, "gpu_devices", quantities.gpu_devices)
    if request.gpu_portion is not None and request.gpu_memory is not None:
        yield Problem("gpu_memory", request.gpu_memory, "either a portion or memory of each device, not both")
        return
    for name, read in (("gpu_portion", quantities.gpu_portion_milli), ("gpu_memory", quantities.gpu_memory_mib)):
        yield from _amount(request, name, read)
        if getattr(request, name) is not None and devices == 0:
            yield Problem(name, getattr(request, name), "left out when 0 devices are asked for")
        yield from _gpu_limit(request, name, read)


def _gpu_limit(request: SubmitRequest, name: str, read: Callable[[str], int]) -> Iterator[Problem]:
    """What a pod may use beyond its share: of the same kind, and at least as much. A whole device is its own limit."""
    asked, limit = getattr(request, name), getattr(request, f"{name}_limit")
    most = yield from _amount(request, f"{name}_limit", read)
    if limit is None or most is None:
        return
    if asked is None:
        yield Problem(f"{name}_limit", limit, "left out without a request of the same kind")
        return
    try:
        least = read(asked)
    except ValueError:
        return
    if most < least:
        yield Problem(f"{name}_limit", limit, f"at least the request, {asked}")
    elif name == "gpu_portion" and least == 1000:
        yield Problem(f"{name}_limit", limit, "left out for a whole device")


def _cpu_and_memory(request: SubmitRequest) -> Iterator[Problem]:
    pairs = (("cpu", "cpu_limit", quantities.cpu_milli), ("memory", "memory_limit", quantities.memory_bytes))
    for asked_name, limit_name, read in pairs:
        asked = yield from _amount(request, asked_name, read)
        limit = yield from _amount(request, limit_name, read)
        if asked is not None and limit is not None and limit < asked:
            yield Problem(
                limit_name, getattr(request, limit_name), f"at least the request, {getattr(request, asked_name)}"
            )


def _amount(request: SubmitRequest, name: str, read: Callable[[str], int]) -> Generator[Problem, None, int | None]:
    text = getattr(request, name)
    if text is None:
        return None
    try:
        return read(text)
    except ValueError as error:
        yield Problem(name, text, str(error))
    return None


def _replicas(request: SubmitRequest) -> Iterator[Problem]:
    if request.type == DISTRIBUTED:
        if request.workers is None:
            yield Problem("workers", "", "1 to 1000 workers for a distributed workload")
        if request.completions is not None or request.parallelism is not None:
            yield Problem("completions", str(request.completions), "left out for a distributed workload")
    elif request.framework is not None:
        yield Problem("framework", request.framework, "left out unless the type is distributed")
    if request.type == WORKSPACE and request.workers not in (None, 1):
        yield Problem("workers", str(request.workers), "left out for a workspace: it is one pod")
    yield from _choice(request, "framework", FRAMEWORKS)
    yield from _between(request, "workers", 1, 1000)
    yield from _between(request, "completions", 1, 10_000)
    yield from _between(request, "parallelism", 1, 10_000)


def _scheduling(request: SubmitRequest) -> Iterator[Problem]:
    yield from _choice(request, "priority_class", tuple(PRIORITIES))
    yield from _choice(request, "preemptibility", PREEMPTIBILITY)
    if len(set(request.node_pools)) != len(request.node_pools):
        yield Problem("node_pools", ", ".join(request.node_pools), "each node pool once")
    if request.node_type is not None and not is_label_value(request.node_type, empty=False):
        yield Problem("node_type", request.node_type, LABEL_VALUE)
    yield from _labels("node_selector", request.node_selector, values=True, reserved=False)
    for index, toleration in enumerate(request.tolerations):
        field = f"tolerations[{index}]"
        if toleration.operator not in ("Equal", "Exists"):
            yield Problem(field, toleration.operator, "operator Equal or Exists")
        if toleration.operator == "Exists" and toleration.value:
            yield Problem(field, toleration.value, "no value with operator Exists")
        if toleration.operator == "Equal" and not toleration.key:
            yield Problem(field, "", "a key with operator Equal")
        if toleration.effect is not None and toleration.effect not in TOLERATION_EFFECTS:
            yield Problem(field, toleration.effect, _one_of(TOLERATION_EFFECTS))


def _life(request: SubmitRequest) -> Iterator[Problem]:
    yield from _choice(request, "restart_policy", RESTART_POLICIES)
    yield from _between(request, "backoff_limit", 0, 100)
    yield from _between(request, "ttl_seconds_after_finished", 0, 10 * 365 * 86400)
    yield from _between(request, "termination_grace_period_seconds", 0, 3600)


def _metadata(request: SubmitRequest) -> Iterator[Problem]:
    yield from _labels("labels", request.labels, values=True, reserved=True)
    yield from _labels("annotations", request.annotations, values=False, reserved=True)


def _labels(field: str, labels: dict[str, str] | None, *, values: bool, reserved: bool) -> Iterator[Problem]:
    for key, value in (labels or {}).items():
        if not is_label_key(key):
            yield Problem(field, key, f"names of {LABEL_NAME}")
        elif reserved and _is_reserved(key):
            yield Problem(field, key, f"names outside {', '.join(RESERVED_PREFIXES)}: those belong to the platform")
        if not isinstance(value, str) or (values and not is_label_value(value)):
            yield Problem(field, f"{key}={value}", f"values of {LABEL_VALUE}")


def _is_reserved(key: str) -> bool:
    prefix, slash, _ = key.rpartition("/")
    if f"{prefix}/" == SIMULATION_PREFIX:
        return False
    return bool(slash) and any(f"{prefix}/" == p or f"{prefix}/".endswith("." + p) for p in RESERVED_PREFIXES)


def is_label_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    return _LABEL_PART.fullmatch(name) is not None and (not slash or _DNS.fullmatch(prefix) is not None)


def is_label_value(value: str, *, empty: bool = True) -> bool:
    return (empty and value == "") or _LABEL_PART.fullmatch(value) is not None


def _text(request: SubmitRequest) -> Iterator[Problem]:
    """NUL cannot be stored or put in a pod; too much text cannot travel in one document."""
    total = 0
    for name, text in _strings(request):
        total += len(text)
        if "\x00" in text:
            yield Problem(name, text.replace("\x00", "\\0"), "text without NUL characters")
    for name in ("command", "args", "environment", "tolerations", "node_pools", "image_pull_secrets"):
        if len(getattr(request, name)) > MAX_ITEMS.get(name, 1000):
            yield Problem(name, f"{len(getattr(request, name))} items", f"at most {MAX_ITEMS.get(name, 1000)} items")
    if total > TEXT_LIMIT:
        yield Problem(
            "args", f"{total} characters", f"at most {TEXT_LIMIT} characters in command, arguments and environment"
        )


def _strings(request: SubmitRequest) -> Iterator[tuple[str, str]]:
    for item in fields(request):
        value = getattr(request, item.name)
        if isinstance(value, str):
            yield item.name, value
        elif item.name in ("command", "args", "node_pools"):
            yield from ((item.name, word) for word in value)
        elif isinstance(value, dict):
            yield from ((item.name, str(word)) for pair in value.items() for word in pair)
    for index, variable in enumerate(request.environment):
        yield f"environment[{index}]", variable.name + variable.value


def _choice(request: SubmitRequest, name: str, allowed: tuple[str, ...]) -> Iterator[Problem]:
    value = getattr(request, name)
    if value is not None and value not in allowed:
        yield Problem(name, value, _one_of(allowed))


def _between(request: SubmitRequest, name: str, low: int, high: int) -> Iterator[Problem]:
    value = getattr(request, name)
    if value is not None and not low <= value <= high:
        yield Problem(name, str(value), f"a whole number from {low} to {high}")


def _one_of(allowed: tuple[str, ...]) -> str:
    return "one of " + ", ".join(allowed)


_CHECKS: tuple[Check, ...] = (
    _identity, _container, _gpu, _cpu_and_memory, _replicas, _scheduling, _life, _metadata, _text,
)  # fmt: skip
