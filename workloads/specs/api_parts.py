"""Ports, storage, scaling, variables and other parts of the public API's bodies ⇄ the wire's values. Pure.

Readers raise ``ValueError`` saying what is expected; what the contract has and the cluster cannot do is refused
by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import Any

from agent.wire import codec
from agent.wire.objects import Autoscaling, EnvVar, Mount, NewClaim, Port
from workloads.specs import quantities

Json = Mapping[str, Any]

SOURCES: dict[str, tuple[str, dict[str, str]]] = {
    "pvc": ("pvc", {"claimName": "name", "path": "path", "readOnly": "read_only"}),
    "hostPath": ("hostPath", {"path": "source", "mountPath": "path", "readOnly": "read_only"}),
    "nfs": ("nfs", {"server": "server", "path": "source", "mountPath": "path", "readOnly": "read_only"}),
    "git": ("git", {"repository": "source", "branch": "revision", "path": "path", "passwordSecret": "secret"}),
    "s3": ("s3", {"bucket": "source", "path": "path", "url": "endpoint", "accessKeySecret": "secret"}),
    "configMapVolume": ("configMap", {"configMap": "name", "mountPath": "path", "subPath": "sub_path"}),
    "secretVolume": ("secret", {"secret": "name", "mountPath": "path"}),
    "emptyDirVolume": ("emptyDir", {"path": "path", "sizeLimit": "size_mib"}),
}
"""Member of ``storage`` → kind of the mount, and its members → fields of ``Mount``."""
_IGNORED = {"name", "exclude", "existingPvc", "revision", "dataSharing", "defaultMode"}
_NEEDED = ("name", "source", "server", "path")
_SCALING = {
    "minReplicas": "min_replicas",
    "maxReplicas": "max_replicas",
    "metric": "metric",
    "metricThreshold": "threshold",
    "scaleDownDelaySeconds": "scale_down_delay_seconds",
    "scaleToZeroRetentionSeconds": "scale_to_zero_retention_seconds",
}
_MODES = {
    "readWriteOnce": "ReadWriteOnce",
    "readOnlyMany": "ReadOnlyMany",
    "readWriteMany": "ReadWriteMany",
    "readWriteOncePod": "ReadWriteOncePod",
}
_UNKNOWN = "is not supported by this release"


def variable(item: Any) -> EnvVar:
    """A value, or where it comes from: a Secret, a ConfigMap or a field of the pod."""
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise ValueError("an object with name and value")
    if item.get("userCredential"):
        raise ValueError(f"name and value; userCredential {_UNKNOWN}")
    sources = [key for key in ("secret", "configMap", "podFieldRef") if item.get(key)]
    value = item.get("value")
    if not isinstance(value, (str, type(None))) or len(sources) + bool(value) > 1:
        raise ValueError("a value that is text, or one of secret, configMap and podFieldRef")
    if not sources:
        return EnvVar(item["name"], value or "")
    source = item[sources[0]]
    if sources[0] == "podFieldRef":
        return EnvVar(item["name"], field_path=_text(source, "path"))
    key = _text(source, "key")
    if sources[0] == "secret":
        return EnvVar(item["name"], secret=_text(source, "name"), key=key)
    return EnvVar(item["name"], config_map=_text(source, "name"), key=key)


def variable_json(item: EnvVar) -> dict[str, Any]:
    if item.secret:
        return {"name": item.name, "secret": {"name": item.secret, "key": item.key}}
    if item.config_map:
        return {"name": item.name, "configMap": {"name": item.config_map, "key": item.key}}
    if item.field_path:
        return {"name": item.name, "podFieldRef": {"path": item.field_path}}
    return {"name": item.name, "value": item.value}


def port(item: Any) -> Port:
    if not isinstance(item, dict) or not _whole(item.get("container")):
        raise ValueError("an object with container, a port from 1 to 65535")
    return Port(
        container=item["container"],
        service_type=item.get("serviceType") or "ClusterIP",
        external=item.get("external"),
        name=item.get("name"),
        tool=item.get("toolName") or item.get("toolType"),
    )


def port_json(item: Port) -> dict[str, Any]:
    pairs = {
        "container": item.container,
        "serviceType": item.service_type,
        "external": item.external,
        "name": item.name,
        "toolName": item.tool,
    }
    return {key: value for key, value in pairs.items() if value is not None}


def pull_secret(item: Any) -> str:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str) or item.get("userCredential"):
        raise ValueError(f"an object with name; userCredential {_UNKNOWN}")
    return str(item["name"])


def storage(value: Any, wrong: Callable[[str, object, str], None]) -> tuple[Mount, ...]:
    """``spec.storage``: lists by kind. ``wrong(path, given, allowed)`` is told each mistake."""
    if value in (None, [], {}):
        return ()
    if not isinstance(value, dict):
        wrong("spec.storage", value, "an object")
        return ()
    found = []
    for member, items in value.items():
        path = f"spec.storage.{member}"
        if not items:
            continue
        if member not in SOURCES or not isinstance(items, list):
            wrong(path, items, f"a list under one of {', '.join(SOURCES)}")
            continue
        for index, item in enumerate(items):
            try:
                if not (isinstance(item, dict) and item.get("exclude") is True):
                    found.append(readable(_mount(member, item)))
            except ValueError as error:
                wrong(f"{path}[{index}]", item, str(error))
    return tuple(found)


def _mount(member: str, item: Any) -> Mount:
    kind, fields = SOURCES[member]
    if not isinstance(item, dict):
        raise ValueError(f"an object with {', '.join(fields)}")
    if member == "pvc" and item.get("existingPvc") is not True and item.get("claimInfo"):
        return _new_claim(item)
    known = set(fields) | _IGNORED
    extra = [key for key, given in item.items() if key not in known and given not in (None, False, "", [], {})]
    if extra:
        raise ValueError(f"{', '.join(fields)}; {extra[0]} {_UNKNOWN}")
    values = {name: item[key] for key, name in fields.items() if item.get(key) is not None}
    if member == "git" and item.get("revision"):
        values["revision"] = item["revision"]
    if "size_mib" in values:
        values["size_mib"] = quantities.gpu_memory_mib(str(values["size_mib"]))
    bad = [
        name for name, given in values.items() if name not in ("read_only", "size_mib") and not isinstance(given, str)
    ]
    missing = [key for key, name in fields.items() if name in _NEEDED and not values.get(name)]
    if missing:
        raise ValueError(f"{', '.join(fields)}; {missing[0]} is missing")
    if bad or not values.get("path") or not isinstance(values.get("read_only", False), bool):
        raise ValueError(f"texts, and where to mount it, in {', '.join(fields)}")
    return Mount(kind=kind, **values)


def _new_claim(item: Json) -> Mount:
    """A claim that is made for the workload; one that is not ephemeral stays when the workload goes."""
    info = item["claimInfo"]
    if not isinstance(info, dict) or not info.get("size") or not isinstance(item.get("path"), str):
        raise ValueError("path, and claimInfo with size")
    if info.get("volumeMode") not in (None, "Filesystem"):
        raise ValueError(f"volumeMode Filesystem; {info['volumeMode']} {_UNKNOWN}")
    asked = info.get("accessModes") or {"readWriteOnce": True}
    if not isinstance(asked, dict) or not set(asked) <= set(_MODES):
        raise ValueError(f"accessModes with {', '.join(_MODES)}")
    claim = NewClaim(
        size_mib=quantities.gpu_memory_mib(str(info["size"])),
        storage_class=info.get("storageClass"),
        access_modes=tuple(mode for key, mode in _MODES.items() if asked.get(key, key == "readWriteOnce") is True),
        ephemeral=item.get("ephemeral") is True,
    )
    return Mount("pvc", item["path"], name=item.get("claimName"), read_only=item.get("readOnly") is True, claim=claim)


def _claim_json(claim: NewClaim) -> dict[str, Any]:
    info: dict[str, Any] = {"size": f"{claim.size_mib}Mi", "volumeMode": "Filesystem"}
    info |= {"storageClass": claim.storage_class} if claim.storage_class else {}
    info["accessModes"] = {key: True for key, mode in _MODES.items() if mode in claim.access_modes}
    return {"existingPvc": False, "ephemeral": claim.ephemeral, "claimInfo": info}


def storage_json(mounts: tuple[Mount, ...]) -> dict[str, Any]:
    members = {kind: (member, fields) for member, (kind, fields) in SOURCES.items()}
    found: dict[str, Any] = {}
    for mount in mounts:
        member, fields = members[mount.kind]
        item = {key: getattr(mount, name) for key, name in fields.items() if getattr(mount, name)}
        if member == "pvc":
            item |= _claim_json(mount.claim) if mount.claim is not None else {"existingPvc": True}
        if mount.size_mib:
            item["sizeLimit"] = f"{mount.size_mib}Mi"
        found.setdefault(member, []).append(item)
    return found


def autoscaling(value: Any) -> Autoscaling | None:
    """``spec.autoscaling`` of an inference workload."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ValueError("an object")
    extra = [key for key, given in value.items() if key not in _SCALING and given is not None]
    if extra:
        raise ValueError(f"{', '.join(_SCALING)}; {extra[0]} {_UNKNOWN}")
    given = {name: value[key] for key, name in _SCALING.items() if value.get(key) is not None}
    if not all(_whole(item) for name, item in given.items() if name != "metric"):
        raise ValueError("whole numbers")
    if not isinstance(given.get("metric", ""), str):
        raise ValueError("a metric's name")
    least = given.get("min_replicas", 1)
    return Autoscaling(**{"max_replicas": max(1, least), **given})


def autoscaling_json(value: Autoscaling) -> dict[str, Any]:
    return {key: getattr(value, name) for key, name in _SCALING.items() if getattr(value, name) is not None}


def extended_resource(item: Any) -> tuple[str, int]:
    if not isinstance(item, dict) or not isinstance(item.get("resource"), str):
        raise ValueError("an object with resource and quantity")
    text = str(item.get("quantity"))
    if not text.isdecimal() or len(text) > 9:
        raise ValueError("a quantity that is a whole number of at least 0")
    return item["resource"], int(text)


def readable(part: Any) -> Any:
    """``part`` again. Raises ``ValueError`` where a field has another type than the wire's: it could be stored, and
    never be read back."""
    if is_dataclass(part) and not isinstance(part, type):
        codec.from_dict(type(part), codec.to_dict(part))
    return part


def _text(source: Any, key: str) -> str:
    if not isinstance(source, dict) or not isinstance(source.get(key), str) or not source[key]:
        raise ValueError(f"an object with {key}, a text")
    return str(source[key])


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
