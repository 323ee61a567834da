"""Dynamic resource allocation as Kubernetes writes it: slices of devices, device classes and claims, read and judged.

Selectors are expressions (CEL). Those are understood that drivers and people write: terms joined by ``&&`` that compare
the driver, an attribute with a text, number or truth, or a capacity with a least quantity. A claim that says more is
not guessed at: its pods wait, and the reason names what is not understood.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.domain.nodes import DeviceClaim
from agent.kube import quantity
from agent.kube.protocol import Obj
from agent.wire import labels as names

POD_CLAIM = "resource.kubernetes.io/pod-claim-name"
"""Annotation of claims that were made for one pod from a template."""
FINALIZER = "resource.kubernetes.io/delete-protection"
"""Kubernetes keeps a claim by it while it is allocated."""
_DRIVER = re.compile(r'device\.driver\s*==\s*"([^"]*)"')
_ATTRIBUTE = re.compile(
    r'device\.attributes\["([^"]+)"\]\.(\w+)\s*==\s*("[^"\x00-\x1f]*"|true|false|-?(?:0|[1-9][0-9]{0,18}))'
)
_CAPACITY = re.compile(
    r'device\.capacity\["([^"]+)"\]\.(\w+)\.compareTo\(quantity\("([^"]+)"\)\)\s*(>=|>|==)\s*0|'
    r'device\.capacity\["([^"]+)"\]\.(\w+)\.isGreaterThan\(quantity\("([^"]+)"\)\)'
)


class NotUnderstood(ValueError):
    """``field``, ``given`` and ``allowed`` of what a claim or class says and this scheduler does not do."""

    def __init__(self, field: str, given: str, allowed: str) -> None:
        super().__init__(f"{field}: {given}")
        self.field, self.given, self.allowed = field, given, allowed


@contextlib.contextmanager
def _readable(field: str) -> Iterator[None]:
    """Whatever an object says that cannot be read is not understood: anybody may write one, and none ends a cycle."""
    try:
        yield
    except NotUnderstood:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise NotUnderstood(field, repr(error)[:200], "what Kubernetes lets such an object say") from error


@dataclass(frozen=True, slots=True)
class Device:
    """One device that a driver offers on a node. Attributes and capacities by (domain, name)."""

    node: str
    driver: str
    pool: str
    name: str
    attributes: Mapping[tuple[str, str], object] = field(default_factory=dict)
    capacity: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str]:
        return self.driver, self.pool, self.name


@dataclass(frozen=True, slots=True)
class Wanted:
    """One request of a claim."""

    request: str
    device_class: str
    count: int
    selectors: tuple[str, ...] = ()


Test = Callable[[Device], bool]


def devices_of(slices: Iterable[Obj]) -> list[Device]:
    """Devices that belong to one node, by name. Of a pool only the newest generation counts; a device that shares
    counters with others, or is tainted, is not handed out."""
    known = list(slices)
    newest: dict[tuple[str, str], int] = {}
    for obj in known:
        pool = _pool(obj)
        newest[pool] = max(newest.get(pool, 0), _generation(obj))
    found = [device for obj in known if _generation(obj) == newest[_pool(obj)] for device in _devices(obj)]
    return sorted(found, key=lambda device: (device.node, device.driver, device.pool, _natural(device.name)))


def _pool(obj: Obj) -> tuple[str, str]:
    spec = obj.get("spec") or {}
    return str(spec.get("driver", "")), str((spec.get("pool") or {}).get("name", ""))


def _generation(obj: Obj) -> int:
    return int(((obj.get("spec") or {}).get("pool") or {}).get("generation") or 0)


def _devices(obj: Obj) -> list[Device]:
    spec = obj.get("spec") or {}
    node, (driver, pool) = spec.get("nodeName"), _pool(obj)
    if not node:
        return []
    found = []
    for one in spec.get("devices") or ():
        with contextlib.suppress(NotUnderstood), _readable("devices"):
            if not one.get("consumesCounters") and not one.get("taints"):
                read = _attributes(one, driver), _capacity(one, driver)
                found.append(Device(str(node), driver, pool, str(one["name"]), *read))
    return found


def _attributes(device: Obj, driver: str) -> dict[tuple[str, str], object]:
    given = device.get("attributes") or {}
    return {_qualified(name, driver): next(iter(value.values()), None) for name, value in given.items()}


def _capacity(device: Obj, driver: str) -> dict[tuple[str, str], int]:
    found = {}
    for name, value in (device.get("capacity") or {}).items():
        try:
            found[_qualified(name, driver)] = quantity.whole(value.get("value"))
        except ValueError:
            continue
    return found


def _qualified(name: str, driver: str) -> tuple[str, str]:
    domain, _, plain = name.rpartition("/")
    return domain or driver, plain


def _natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """gpu-2 before gpu-10."""
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name) if part)


@_readable("selector")
def test_of(expressions: Iterable[str]) -> Test:
    """Whether a device meets all expressions. Raises ``NotUnderstood``."""
    terms = [_term(term.strip()) for text in expressions for term in text.split("&&")]
    return lambda device: all(term(device) for term in terms)


def _term(text: str) -> Test:
    allowed = "&& of device.driver ==, device.attributes[…].name == and device.capacity[…].name.compareTo(…) >= 0"
    if "\\" in text:  # the escapes of CEL are not those of JSON
        raise NotUnderstood("selector", text[:200], "texts without escapes")
    given, text = text, text.replace("'", '"')  # texts of CEL have either
    if match := _DRIVER.fullmatch(text):
        driver = match[1]
        return lambda device: device.driver == driver
    if match := _ATTRIBUTE.fullmatch(text):
        key, value = (match[1], match[2]), json.loads(match[3])
        return lambda device: device.attributes.get(key) == value
    if match := _CAPACITY.fullmatch(text):
        return _least(match)
    raise NotUnderstood("selector", given[:200], allowed)


def _least(match: re.Match[str]) -> Test:
    key = (match[1] or match[5], match[2] or match[6])
    try:
        amount = quantity.whole(match[3] or match[7])
    except ValueError as error:
        raise NotUnderstood("selector", match[0][:200], "a quantity") from error
    exact, above = match[4] == "==", match[4] in (">", None)
    if exact:
        return lambda device: device.capacity.get(key) == amount
    return lambda device: device.capacity.get(key, -1) >= amount + above


def expressions_of(selectors: Iterable[Obj] | None) -> tuple[str, ...]:
    return tuple(str((selector.get("cel") or {}).get("expression") or "") for selector in selectors or ())


@_readable("spec.devices")
def wanted_of(claim: Obj) -> tuple[Wanted, ...]:
    """The requests of a claim. Raises ``NotUnderstood`` for those that are more than a number of devices of a class."""
    devices = (claim.get("spec") or {}).get("devices") or {}
    if devices.get("constraints"):
        raise NotUnderstood("spec.devices.constraints", "constraints between devices", "none")
    found = tuple(_wanted(one) for one in devices.get("requests") or ())
    classes = sorted({one.device_class for one in found})
    if len(classes) != 1:
        raise NotUnderstood("spec.devices.requests", f"{len(classes)} device classes", "one device class in a claim")
    return found


def _wanted(one: Obj) -> Wanted:
    where, exactly = f"spec.devices.requests[{one.get('name')}]", one.get("exactly")
    if not isinstance(exactly, Mapping):
        raise NotUnderstood(where, ", ".join(sorted(key for key in one if key != "name")), "exactly")
    if exactly.get("allocationMode", "ExactCount") != "ExactCount":
        raise NotUnderstood(f"{where}.allocationMode", str(exactly["allocationMode"]), "ExactCount")
    for name in ("adminAccess", "capacity", "tolerations"):
        if exactly.get(name):
            raise NotUnderstood(f"{where}.{name}", "given", "nothing")
    count, selectors = int(exactly.get("count") or 1), expressions_of(exactly.get("selectors"))
    test_of(selectors)
    return Wanted(str(one.get("name")), str(exactly.get("deviceClassName")), count, selectors)


@_readable("status")
def claim_of(claim: Obj, node: str) -> DeviceClaim:
    """The claim for planning; ``node`` is where it is allocated, "" if it is not. Raises ``NotUnderstood``."""
    meta, status, wanted = claim["metadata"], claim.get("status") or {}, wanted_of(claim)
    return DeviceClaim(
        key=f"{meta['namespace']}/{meta['name']}",
        device_class=wanted[0].device_class,
        count=sum(one.count for one in wanted),
        node=node,
        devices=tuple(str(result["device"]) for result in results_of(claim)),
        reserved_for=tuple(str(holder.get("uid")) for holder in status.get("reservedFor") or ()),
        queue=(meta.get("labels") or {}).get(names.QUEUE, ""),
        template=POD_CLAIM in (meta.get("annotations") or {}),
    )


def results_of(claim: Obj) -> list[Obj]:
    """What is allocated to a claim: driver, pool and device of each."""
    allocation = (claim.get("status") or {}).get("allocation") or {}
    return list((allocation.get("devices") or {}).get("results") or ())


def device_claim_keys(pod: Obj) -> tuple[str, ...]:
    """Keys of the claims that a pod uses. One from a template is named in the pod's status once it is made: until then
    by the template, as one that is not there."""
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    made = {one.get("name"): one.get("resourceClaimName") for one in status.get("resourceClaimStatuses") or ()}
    found = []
    for one in spec.get("resourceClaims") or ():
        name = one.get("resourceClaimName")
        if name is None and one.get("name") in made and not made[one["name"]]:
            continue  # the template asks for nothing
        found.append(f"{meta.get('namespace', '')}/{name or made.get(one.get('name')) or _unmade(one)}")
    return tuple(found)


def _unmade(one: Obj) -> str:
    return f"{one.get('resourceClaimTemplateName')} (from a template)"


def allocation(claim: Obj, chosen: Iterable[tuple[Wanted, Device]], device_class: Obj, node: str) -> Obj:
    """``status.allocation`` of a claim that gets these devices."""
    pairs = list(chosen)
    results = [{"request": w.request, "driver": d.driver, "pool": d.pool, "device": d.name} for w, d in pairs]
    own = ((claim.get("spec") or {}).get("devices") or {}).get("config") or ()
    config = [
        {"source": "FromClass", "requests": [], **one} for one in (device_class.get("spec") or {}).get("config") or ()
    ]
    config += [{"source": "FromClaim", **one} for one in own]
    place = {"key": "metadata.name", "operator": "In", "values": [node]}
    devices: dict[str, Any] = {"results": results} | ({"config": config} if config else {})
    return {"devices": devices, "nodeSelector": {"nodeSelectorTerms": [{"matchFields": [place]}]}}
