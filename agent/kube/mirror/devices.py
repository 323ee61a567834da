"""Devices that drivers offer, claims for them and what waits for which, incrementally."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from agent.domain.constraints import NodeTerm
from agent.domain.nodes import DeviceClaim, DeviceSlice
from agent.domain.reasons import Reason, reason
from agent.kube.cache import Change
from agent.kube.convert import claims as read
from agent.kube.convert.claims import Device, NotUnderstood, Wanted
from agent.kube.convert.volumes import NOWHERE
from agent.kube.protocol import Obj
from agent.scheduler.deviceclaims import is_gpu_class


class Devices:
    """Kept true by changes. ``taken``: devices given to a claim that the API has not shown yet."""

    def __init__(self) -> None:
        self.claims: dict[str, Obj] = {}
        self.classes: dict[str, Obj] = {}
        self.taken: dict[tuple[str, str, str], str] = {}
        self._slices: dict[str, Obj] = {}
        self._users: dict[str, tuple[str, ...]] = {}
        self._devices: list[Device] | None = None
        self._on_node: dict[str, list[Device]] = {}
        self._held: dict[tuple[str, str, str], set[str]] = {}
        """Devices that claims show as theirs → the keys of those claims."""
        self._unread: set[str] = set()
        """Claims that are not understood and yet hold devices: nobody plans with them, so nothing offers those."""
        self._where: dict[tuple[str, str, str], str] = {}
        self._offers: tuple[DeviceSlice, ...] | None = None
        self._read: dict[str, DeviceClaim] = {}
        """Claims as they are planned with, by key; those that changed are read again."""
        self._claims: tuple[DeviceClaim, ...] | None = None
        self._fitting: dict[tuple[Wanted, ...], tuple[NodeTerm, ...]] = {}
        """Requests with selectors → the nodes that have such devices."""

    # -- changes -----------------------------------------------------------------------------------------------------

    def note(self, pod: Obj) -> None:
        """Which claims a pod uses, that its verdict is looked at again when one of them changes."""
        keys = read.device_claim_keys(pod) if (pod.get("spec") or {}).get("resourceClaims") else ()
        if keys and not (pod.get("spec") or {}).get("nodeName"):
            self._users[pod["metadata"]["uid"]] = keys
        else:
            self._users.pop(pod["metadata"]["uid"], None)

    def forget(self, uid: str) -> None:
        self._users.pop(uid, None)

    def on_change(self, change: Change) -> list[str]:
        """A slice, class or claim. The pods to look at again."""
        match change.current["kind"]:
            case "DeviceClass":
                return self.on_class(change)
            case "ResourceClaim":
                return self.on_claim(change)
        return self.on_slice(change)

    def on_slice(self, change: Change) -> list[str]:
        """The pods to look at again."""
        _keep(self._slices, change)
        self._devices = self._offers = self._claims = None
        self._read.clear()
        self._fitting.clear()
        return list(self._users)

    def on_class(self, change: Change) -> list[str]:
        """The pods to look at again."""
        _keep(self.classes, change)
        self._offers = None
        self._fitting.clear()
        return list(self._users)

    def on_claim(self, change: Change) -> list[str]:
        """The pods to look at again."""
        shown = self._hold(change)
        _keep(self.claims, change)
        self._read.pop(change.key, None)
        self._claims = None
        own = [device for device, key in self.taken.items() if key == change.key]
        self.release(device for device in own if change.new is None or device in shown)
        return [uid for uid, keys in self._users.items() if change.key in keys]

    def _hold(self, change: Change) -> set[tuple[str, str, str]]:
        """Which devices the claim holds, or held when it went."""
        for result in read.results_of(self.claims.get(change.key, {})):
            holders = self._held.get(_key(result), set())
            holders.discard(change.key)
            if not holders:
                self._held.pop(_key(result), None)
        shown = {_key(result) for result in read.results_of(change.current)}
        if change.new is not None:
            for device in shown:
                self._held.setdefault(device, set()).add(change.key)
        unread = bool(shown) and change.new is not None and not _is_understood(change.new)
        if unread or change.key in self._unread:
            self._offers = None
            (self._unread.add if unread else self._unread.discard)(change.key)
        return shown

    def release(self, devices: Iterable[tuple[str, str, str]]) -> None:
        """No longer taken."""
        for device in list(devices):
            self.taken.pop(device, None)

    # -- answers -----------------------------------------------------------------------------------------------------

    def offers(self) -> tuple[DeviceSlice, ...]:
        """Devices by node and class. A GPU counts once, whatever number of classes would hand it out."""
        if self._offers is None:
            counts: dict[tuple[str, str, str], int] = {}
            tests = [(name, test) for name in sorted(self.classes) if (test := self._test(name)) is not None]
            for device in self._all():
                if self._unread and not self._unread.isdisjoint(self._held.get(device.key, ())):
                    continue
                names = [name for name, test in tests if test(device)]
                gpus = [name for name in names if is_gpu_class(name)]
                for name in [*gpus[:1], *(name for name in names if not is_gpu_class(name))]:
                    place = (device.node, name, device.driver)
                    counts[place] = counts.get(place, 0) + 1
            self._offers = tuple(
                DeviceSlice(node, name, count, driver) for (node, name, driver), count in sorted(counts.items())
            )
        return self._offers

    def known_claims(self) -> tuple[DeviceClaim, ...]:
        """Claims that can be planned with."""
        if self._claims is None:
            for key, obj in self.claims.items():
                if key not in self._read:
                    with contextlib.suppress(NotUnderstood):  # its pods wait, see ``waits``
                        self._read[key] = read.claim_of(obj, self.node_of(obj))
            self._claims = tuple(claim for _, claim in sorted(self._read.items()))
        return self._claims

    def waits(self, uid: str) -> tuple[Reason, ...]:
        """What a pod's claims say that is not understood here."""
        found = []
        for key in self._users.get(uid, ()):
            obj = self.claims.get(key)
            try:
                wanted = read.wanted_of(obj) if obj is not None else ()
                self._class_test(wanted)
            except NotUnderstood as error:
                where = f"ResourceClaim {key}: {error.field}"
                found.append(reason("Invalid", field=where, given=error.given, allowed=error.allowed))
        return tuple(found)

    def places(self, uid: str) -> tuple[tuple[NodeTerm, ...], ...]:
        """Per claim of a waiting pod that selects among devices: nodes that have enough of them, whoever holds them.

        The planner counts devices by class and would choose a node again and again that has only others."""
        found = []
        for key in self._users.get(uid, ()):
            with contextlib.suppress(NotUnderstood):  # its pods wait, see ``waits``
                wanted = read.wanted_of(self.claims.get(key, {}))
                if any(one.selectors for one in wanted):
                    found.append(self._places(wanted))
        return tuple(terms for terms in found if terms)

    def _places(self, wanted: tuple[Wanted, ...]) -> tuple[NodeTerm, ...]:
        if wanted not in self._fitting:
            of_class, number = self._class_test(wanted), sum(one.count for one in wanted)
            self._all()
            own = {node: list(filter(of_class, devices)) for node, devices in sorted(self._on_node.items())}
            counted = [node for node, devices in own.items() if len(devices) >= number]
            nodes = [node for node in counted if _give(wanted, own[node])]
            some = (NodeTerm(names=tuple(nodes)),) if nodes else NOWHERE
            self._fitting[wanted] = () if nodes == counted else some  # names make each node a class of its own
        return self._fitting[wanted]

    def node_of(self, claim: Obj) -> str:
        """Where a claim is allocated; "" if it is not."""
        self._all()
        return next((self._where[key] for result in read.results_of(claim) if (key := _key(result)) in self._where), "")

    def choose(self, claim: Obj, node: str, key: str = "") -> list[tuple[Wanted, Device]] | None:
        """Free devices of the node for a claim, lowest numbers first; None if there are not enough. What was taken for
        the claim ``key`` is free for it.

        Raises ``NotUnderstood``."""
        wanted = read.wanted_of(claim)
        of_class = self._class_test(wanted)
        self._all()
        free = [
            device
            for device in self._on_node.get(node, ())
            if device.key not in self._held and self.taken.get(device.key, key) == key and of_class(device)
        ]
        return _give(wanted, free)

    def _all(self) -> list[Device]:
        if self._devices is None:
            self._devices = read.devices_of(self._slices.values())
            self._where = {device.key: device.node for device in self._devices}
            self._on_node = {}
            for device in self._devices:
                self._on_node.setdefault(device.node, []).append(device)
        return self._devices

    def _class_test(self, wanted: Iterable[Wanted]) -> read.Test:
        """Raises ``NotUnderstood`` for a class that is not there or selects by what is not understood."""
        tests = []
        for name in {one.device_class for one in wanted}:
            if name not in self.classes:
                raise NotUnderstood("deviceClassName", repr(name), "a DeviceClass of the cluster")
            tests.append(read.test_of(_selectors(self.classes[name])))
        return lambda device: all(test(device) for test in tests)

    def _test(self, name: str) -> read.Test | None:
        try:
            return read.test_of(_selectors(self.classes[name]))
        except NotUnderstood:
            return None


def _give(wanted: Iterable[Wanted], free: Iterable[Device]) -> list[tuple[Wanted, Device]] | None:
    """Devices for each request, the first that fit; None if there are not enough."""
    left, found = list(free), list[tuple[Wanted, Device]]()
    for one in wanted:
        fits = read.test_of(one.selectors)
        chosen = [device for device in left if fits(device)][: one.count]
        if len(chosen) < one.count:
            return None
        left = [device for device in left if device not in chosen]
        found += [(one, device) for device in chosen]
    return found


def _is_understood(claim: Obj) -> bool:
    try:
        read.wanted_of(claim)
    except NotUnderstood:
        return False
    return True


def _selectors(device_class: Obj) -> tuple[str, ...]:
    return read.expressions_of((device_class.get("spec") or {}).get("selectors"))


def _key(result: Obj) -> tuple[str, str, str]:
    return str(result.get("driver")), str(result.get("pool")), str(result.get("device"))


def _keep(kept: dict[str, Obj], change: Change) -> None:
    if change.new is None:
        kept.pop(change.key, None)
    else:
        kept[change.key] = change.new
