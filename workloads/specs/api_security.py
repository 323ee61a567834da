"""``spec.security`` and ``spec.probes`` of the public API's bodies ⇄ the wire's values. Pure.

Readers raise ``ValueError`` with the path below ``spec`` and what is allowed: ``security.runAsUid: a whole number``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.wire.objects import Probe, Security

Json = Mapping[str, Any]
_IDS = {"runAsUid": "run_as_uid", "runAsGid": "run_as_gid"}
_TRUTHS = {
    "runAsNonRoot": "run_as_non_root",
    "readOnlyRootFilesystem": "read_only_root_filesystem",
    "allowPrivilegeEscalation": "allow_privilege_escalation",
}
_TIMES = {
    "initialDelaySeconds": "initial_delay_seconds",
    "periodSeconds": "period_seconds",
    "timeoutSeconds": "timeout_seconds",
    "successThreshold": "success_threshold",
    "failureThreshold": "failure_threshold",
}
_OTHERS = {"uidGidSource", "supplementalGroups", "seccompProfileType", "capabilities"}
_UNKNOWN = "left out: this release does not support it"


class Wrong(ValueError):
    """``path`` below ``spec``, what was ``given`` and what is ``allowed``."""

    def __init__(self, path: str, given: object, allowed: str) -> None:
        super().__init__(f"{path}: {allowed}")
        self.path, self.given, self.allowed = path, given, allowed


def security(value: Any) -> Security | None:
    """None where nothing is said. ``uidGidSource`` ``fromTheImage`` leaves the user to the image."""
    given = _object(value, "security")
    _only(given, "security", {*_IDS, *_TRUTHS, *_OTHERS})
    source = given.get("uidGidSource")
    if source not in (None, "fromTheImage", "custom"):
        raise Wrong("security.uidGidSource", source, "fromTheImage or custom")
    found: dict[str, Any] = {name: _of(given, key, int, "security", "a whole number") for key, name in _IDS.items()}
    found |= {name: _of(given, key, bool, "security", "true or false") for key, name in _TRUTHS.items()}
    if source == "custom" and found["run_as_uid"] is None:
        raise Wrong("security.runAsUid", None, "a user id, since uidGidSource is custom")
    found["supplemental_groups"] = _groups(given.get("supplementalGroups"))
    found["seccomp_profile_type"] = _of(given, "seccompProfileType", str, "security", "text")
    names = given.get("capabilities") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Wrong("security.capabilities", names, "a list of capabilities")
    made = Security(**found, capabilities=tuple(names))
    return made if made != Security() else None


def _groups(text: Any) -> tuple[int, ...]:
    """``"100,200"``."""
    if text in (None, ""):
        return ()
    parts = [part.strip() for part in text.split(",")] if isinstance(text, str) else []
    if not parts or not all(part.isascii() and part.isdigit() and len(part) < 12 for part in parts):
        raise Wrong("security.supplementalGroups", text, "numbers with commas between them")
    return tuple(int(part) for part in parts)


def readiness(value: Any) -> Probe | None:
    """The one probe that the contract has. None where there is none."""
    given = _object(value, "probes")
    _only(given, "probes", {"readiness"})
    probe = _object(given.get("readiness"), "probes.readiness")
    if not probe:
        return None
    _only(probe, "probes.readiness", {*_TIMES, "handler"})
    handler = _object(probe.get("handler"), "probes.readiness.handler")
    where = "probes.readiness.handler.httpGet"
    get = _object(handler.get("httpGet"), where)
    port = _of(get, "port", int, where, "a port from 1 to 65535")
    if port is None:
        raise Wrong(f"{where}.port", None, "a port from 1 to 65535")
    return Probe(
        port=port,
        path=_of(get, "path", str, where, "a path") or "/",
        scheme=_of(get, "scheme", str, where, "HTTP or HTTPS"),
        host=_of(get, "host", str, where, "a host name"),
        **{name: _of(probe, key, int, "probes.readiness", "a whole number") for key, name in _TIMES.items()},
    )


def security_json(value: Security) -> dict[str, Any]:
    found = {key: getattr(value, name) for key, name in (_IDS | _TRUTHS).items()}
    found |= {
        "uidGidSource": "custom" if value.run_as_uid is not None else None,
        "supplementalGroups": ",".join(map(str, value.supplemental_groups)) or None,
        "seccompProfileType": value.seccomp_profile_type,
        "capabilities": list(value.capabilities) or None,
    }
    return {key: item for key, item in found.items() if item is not None}


def readiness_json(value: Probe) -> dict[str, Any]:
    get = {"path": value.path, "port": value.port, "scheme": value.scheme, "host": value.host}
    times = {key: getattr(value, name) for key, name in _TIMES.items()}
    handler = {"httpGet": {key: item for key, item in get.items() if item is not None}}
    return {key: item for key, item in times.items() if item is not None} | {"handler": handler}


def _object(value: Any, path: str) -> Json:
    if not isinstance(value, (dict, type(None))):
        raise Wrong(path, value, "an object")
    return value or {}


def _only(given: Json, path: str, known: set[str]) -> None:
    for key, value in given.items():
        if key not in known and value not in (None, False, "", [], {}):
            raise Wrong(f"{path}.{key}", value, _UNKNOWN)


def _of(given: Json, key: str, kind: type, path: str, allowed: str) -> Any:
    value = given.get(key)
    if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
        raise Wrong(f"{path}.{key}", value, allowed)
    return value
