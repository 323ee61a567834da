"""Scheduling rules and node types of departments and projects: read, checked, and what holds in the end. Pure.

A project inherits its department's rules and may only tighten them: an earlier limit, fewer node types.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from runai_cp.lib.errors import FieldError

Rules = dict[str, int]
Types = dict[str, list[str]]

LIMITS: dict[str, str] = {
    "interactiveJobTimeLimitSeconds": "how long a workspace may run",
    "interactiveJobMaxIdleDurationSeconds": "how long a non-preemptible workspace may be idle",
    "interactiveJobPreemptIdleDurationSeconds": "how long a preemptible workspace may be idle",
    "trainingJobMaxIdleDurationSeconds": "how long a training may be idle",
    "trainingJobTimeLimitSeconds": "how long a training may run",
}
"""Rules by the API's names, in seconds."""
WITHIN = {
    "interactiveJobMaxIdleDurationSeconds": "interactiveJobTimeLimitSeconds",
    "interactiveJobPreemptIdleDurationSeconds": "interactiveJobTimeLimitSeconds",
    "trainingJobMaxIdleDurationSeconds": "trainingJobTimeLimitSeconds",
}
"""An idle limit that is not shorter than the time limit would never be reached."""
MAX_SECONDS = 10 * 366 * 24 * 3600
KINDS = ("training", "workspace")
MAX_TYPES = 50
_TYPE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def read_rules(value: object) -> tuple[Rules, list[FieldError]]:
    """``schedulingRules`` of a body → the limits it sets. null and absent members set none."""
    if value is None:
        return {}, []
    if not isinstance(value, dict):
        return {}, [FieldError("schedulingRules", "must be an object", value)]
    errors = [
        FieldError(f"schedulingRules.{name}", f"unknown; allowed are {', '.join(LIMITS)}", None, list(LIMITS))
        for name in sorted(set(value) - set(LIMITS), key=str)
    ]
    found: Rules = {}
    for name in LIMITS:
        given = value.get(name)
        if given is None:
            continue
        if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= MAX_SECONDS:
            allowed = f"1 to {MAX_SECONDS}"
            errors.append(FieldError(f"schedulingRules.{name}", f"must be whole seconds, {allowed}", given, allowed))
        else:
            found[name] = given
    for idle, whole in WITHIN.items():
        if idle in found and whole in found and found[idle] >= found[whole]:
            message = f"must be shorter than {whole}, {found[whole]} seconds"
            errors.append(FieldError(f"schedulingRules.{idle}", message, found[idle], f"less than {found[whole]}"))
    return found, errors


def read_types(value: object) -> tuple[Types, list[FieldError]]:
    """``nodeTypes`` of a body → node types by kind of workload; a kind that is absent may use all."""
    if value is None:
        return {}, []
    if not isinstance(value, dict):
        return {}, [FieldError("nodeTypes", "must be an object", value)]
    errors: list[FieldError] = []
    found: Types = {}
    for kind in KINDS:
        given = value.get(kind)
        if given is None:
            continue
        good = isinstance(given, list) and all(isinstance(item, str) and _TYPE.fullmatch(item) for item in given)
        if not good or len(given) > MAX_TYPES:
            message = f"must be a list of at most {MAX_TYPES} label values"
            errors.append(FieldError(f"nodeTypes.{kind}", message, given))
        elif given:
            found[kind] = list(dict.fromkeys(given))
    return found, errors


def loosened(own: Rules, types: Types, parent: Rules, parent_types: Types) -> list[FieldError]:
    """Where a project would allow more than its department does."""
    errors = [
        FieldError(
            f"schedulingRules.{name}",
            f"may only tighten the department's limit of {parent[name]} seconds",
            value,
            f"1 to {parent[name]}",
        )
        for name, value in own.items()
        if name in parent and value > parent[name]
    ]
    for kind, values in types.items():
        extra = sorted(set(values) - set(parent_types[kind])) if kind in parent_types else []
        if extra:
            message = f"may only be among the department's node types {', '.join(parent_types[kind])}"
            errors.append(FieldError(f"nodeTypes.{kind}", message, extra, parent_types[kind]))
    return errors


def effective_rules(own: Mapping[str, int], parent: Mapping[str, int]) -> Rules:
    """The earlier of both limits: a department that tightens later tightens its projects too."""
    return {
        name: min(limits[name] for limits in (own, parent) if name in limits)
        for name in LIMITS
        if name in own or name in parent
    }


def effective_types(own: Mapping[str, list[str]], parent: Mapping[str, list[str]]) -> Types:
    """The project's choice as far as its department allows it; the department's where there is none."""
    found: Types = {}
    for kind in KINDS:
        allowed = parent.get(kind)
        chosen = own.get(kind)
        if chosen is not None:
            found[kind] = [item for item in chosen if allowed is None or item in allowed]
        elif allowed is not None:
            found[kind] = list(allowed)
    return found


def rules_shape(rules: Mapping[str, int]) -> dict[str, Any] | None:
    """As the API shows them: every limit by name, null for none; null where nothing is limited."""
    return {name: rules.get(name) for name in LIMITS} if rules else None


def types_shape(types: Mapping[str, list[str]]) -> dict[str, Any] | None:
    return {kind: list(types[kind]) for kind in KINDS if kind in types} if types else None
