"""Why a pod group or a pod does not run, as data, and the one table that makes the sentence.

Deciding code builds ``Reason`` values with numbers; consoles, conditions and events show ``reason.text``. Nobody else
writes such a sentence, so all screens say the same.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.domain.quantities import MILLI, UNLIMITED

Value = int | str | tuple[str, ...]

UNITS = {"gpu": "GPUs", "cpu": "CPU cores", "memory": "memory"}


@dataclass(frozen=True, slots=True)
class Reason:
    """A code, named numbers and names, and the reasons below it (deepest known cause).

    Amounts are in the domain's units (milli-GPU, milli-CPU, bytes). ``data()`` is the JSON form.
    """

    code: str
    facts: tuple[tuple[str, Value], ...] = ()
    causes: tuple["Reason", ...] = ()

    def __getitem__(self, name: str) -> Value:
        for key, value in self.facts:
            if key == name:
                return value
        raise KeyError(name)

    def get(self, name: str, default: Value = "") -> Value:
        return next((value for key, value in self.facts if key == name), default)

    @property
    def text(self) -> str:
        """The sentence: no final stop, starts with a lower-case word or a number unless a name comes first."""
        return sentence(self)

    def data(self) -> dict[str, object]:
        """``{"code", "message", "facts": {…}, "causes": […]}``, ready for JSON."""
        return {
            "code": self.code,
            "message": self.text,
            "facts": {key: list(value) if isinstance(value, tuple) else value for key, value in self.facts},
            "causes": [cause.data() for cause in self.causes],
        }


def reason(code: str, *causes: Reason, **facts: Value) -> Reason:
    """Shorthand: ``reason("OverLimit", queue="a", resource="gpu", used=8000, …)``."""
    return Reason(code, tuple(sorted(facts.items())), causes)


def decimal(milli: int) -> str:
    """1500 -> "1.5", 2000 -> "2"."""
    whole, rest = divmod(abs(milli), MILLI)
    text = f"{whole}.{rest:03d}".rstrip("0") if rest else str(whole)
    return f"-{text}" if milli < 0 else text


def amount(resource: str, value: Value) -> str:
    """A quantity with the unit people read: "2 GPUs", "1.5 CPU cores", "16 GiB of memory", "unlimited"."""
    return f"{number(resource, value)} {_noun(resource, value)}".strip()


def number(resource: str, value: Value) -> str:
    """The quantity alone: "2", "0.5", "16 GiB"."""
    if not isinstance(value, int):
        return str(value)
    if value == UNLIMITED:
        return "unlimited"
    if resource == "memory":
        return _bytes(value)
    return decimal(value) if resource in ("gpu", "cpu") else str(value)


def _noun(resource: str, value: Value) -> str:
    if resource == "memory":
        return "of memory"
    if value == MILLI:
        return {"gpu": "GPU", "cpu": "CPU core"}.get(resource, UNITS.get(resource, resource))
    return UNITS.get(resource, resource)


def _bytes(value: int) -> str:
    for size, unit in ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if abs(value) >= size:
            return f"{decimal(round(value * MILLI / size / 10) * 10)} {unit}"
    return f"{value} bytes"


def plural(count: Value, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _queue(r: Reason) -> str:
    return f'{r.get("kind", "queue")} "{r.get("label") or r["queue"]}"'


def _over_limit(r: Reason) -> str:
    res = str(r["resource"])
    return (
        f"{_queue(r)} holds {number(res, r['used'])} of its limit of {amount(res, r['limit'])} in pool "
        f'"{r["pool"]}"; the workload requests {number(res, r["requested"])}'
    )


def _over_quota(r: Reason) -> str:
    res = str(r["resource"])
    return (
        f"non-preemptible workloads of {_queue(r)} hold {number(res, r['used'])} of its quota of "
        f'{amount(res, r["quota"])} in pool "{r["pool"]}"; this one requests {number(res, r["requested"])} more '
        "and may go over quota only when preemptible"
    )


def _nodes(r: Reason) -> str:
    head = f'{r["in_pool"]} of {plural(r["total"], "node")} {_be(r["in_pool"])} in pool "{r["pool"]}"'
    if not r.causes:
        return f"{head}; none fits"
    if len(r.causes) == 1:
        only = r.causes[0]
        subject = "it" if r["in_pool"] == 1 else "each"
        return f"{head}; {subject} {sentence(only)}"
    parts = "; ".join(f"{cause['count']} {_cause_verb(cause)}" for cause in r.causes)
    return f"{head}: {parts}"


def _be(count: Value) -> str:
    return "is" if count == 1 else "are"


_PLURAL_VERBS = {"lacks": "lack", "has": "have", "does": "do", "is": "are", "holds": "hold", "already": "already"}


def _cause_verb(cause: Reason) -> str:
    text = sentence(cause)
    verb, _, rest = text.partition(" ")
    return text if cause["count"] == 1 else f"{_PLURAL_VERBS.get(verb, verb)} {rest}"


def _lacks(r: Reason) -> str:
    res = str(r["resource"])
    name = UNITS.get(res, res)
    return f"lacks {name}: {number(res, r['requested'])} requested, at most {number(res, r['free'])} free"


def _too_small(r: Reason) -> str:
    res = str(r["resource"])
    name = UNITS.get(res, res)
    return f"is too small in {name}: {number(res, r['requested'])} requested, the largest has {number(res, r['most'])}"


def _gang(r: Reason) -> str:
    where = f' of sub-group "{r["subgroup"]}"' if r.get("subgroup") else ""
    deeper = f": {sentence(r.causes[0])}" if r.causes else ""
    return f"{r['placed']} of the {plural(r['needed'], 'pod')}{where} fit and a gang starts whole{deeper}"


def _topology(r: Reason) -> str:
    best = f'the best, "{r["best"]}", fits {r["fits"]}' if r.get("best") else "none has room for any"
    return (
        f'all {plural(r["needed"], "pod")} must run in one "{r["level"]}" of topology "{r["topology"]}"; '
        f"of {plural(r['domains'], 'domain')} {best}"
    )


def _reclaim(r: Reason) -> str:
    res = str(r["resource"])
    return (
        f"{_queue(r)} holds {number(res, r['used'])} and with {number(res, r['requested'])} more would pass its "
        f"fair share of {amount(res, r['fair_share'])} (quota {number(res, r['quota'])})"
    )


def _victims(r: Reason) -> str:
    res = str(r["resource"])
    return (
        f"{number(res, r['requested'])} {UNITS.get(res, res)} are requested, {number(res, r['free'])} are free and "
        f"others may be asked to give back {number(res, r['reclaimable'])}"
    )


Maker = Callable[[Reason], str]

TABLE: Mapping[str, str | Maker] = {
    # the pod group as a whole
    "QueueDoesNotExist": 'queue "{queue}" does not exist in pool "{pool}"',
    "QueueNotLeaf": 'queue "{queue}" has child queues; workloads must name a project\'s queue',
    "QueueRefused": 'queue "{queue}" cannot be used: {why}',
    "GroupDoesNotExist": 'pod group "{group}" does not exist',
    "SubGroupDoesNotExist": 'pod group "{group}" has no sub-group "{subgroup}"',
    "NodeGone": 'its node "{node}" is not there any more',
    "NotReady": "waiting for pods: {present} of the minimum of {needed} exist",
    "OverLimit": _over_limit,
    "NonPreemptibleOverQuota": _over_quota,
    "PreemptionDelayNotElapsed": "may not evict others for another {seconds} s (preemption delay)",
    "Gang": _gang,
    "Nodes": _nodes,
    "NoNodes": 'pool "{pool}" has no nodes',
    "TopologyUnknown": 'topology "{topology}" does not exist or has no level "{level}"',
    "Topology": _topology,
    "FairShare": _reclaim,
    "NoVictims": _victims,
    "TooFewDomains": 'all {needed} pods must be on different "{topology_key}" and there are {domains} of them',
    "OutOfReach": "even without all the workloads that may be evicted only {fits} of its {needed} pods would fit",
    "Invalid": "{field} is {given}, allowed is {allowed}",
    "Unexpected": "{field} is {given}, expected is {expected}; {done}",
    "Duplicate": 'another {kind} "{name}" has the same {field}',
    "TooLarge": "the workload needs {requested} and the whole pool has {most}",
    "WaitsForTurn": "room is free, but others come first in this round",
    "TurnToCome": "whether others can give it room is not known yet: its turn to ask comes within the next rounds",
    "Promised": "has room that is promised to pods before it",
    # one node class
    "Lacks": _lacks,
    "TooSmall": _too_small,
    "LacksDevices": "lacks room on one GPU: {requested} MiB requested, at most {free} MiB free on a device",
    "LacksMig": "lacks MIG profile {resource}: {requested} requested, at most {free} free",
    "LacksPods": "has no free pod slot: {most} at most",
    "Taint": 'has taint "{taint}" that the pod does not tolerate',
    "Selector": "does not match the node selector {selector}",
    "Affinity": "does not match the required node affinity",
    "PodAffinity": 'does not match the pod affinity rule per "{topology_key}"',
    "PodAntiAffinity": 'already holds, per "{topology_key}", a pod this one must stay away from',
    "Ports": "already uses host port {port}",
    "Volume": "does not match the node affinity of a volume or the devices that a claim selects",
    "Cordoned": "is cordoned",
    "NodeNotReady": "is not ready",
    "MigStrategy": "does not serve this kind of GPU request (MIG strategy {strategy})",
    "UnknownMemory": "does not tell the memory of its GPUs",
    "ClaimedDevices": "hands out its GPUs by claims, which are not shared by fractions",
    "LegacyMig": "holds pods of the old MIG kind",
    "NumaMisfit": "cannot align the request to its NUMA zones",
    "OutsideTopology": "is outside the chosen domain",
    "MissingObject": "{missing} does not exist",
    "OwnerUnread": 'its owner {kind} "{name}" cannot be read, which says how its pods belong together: {why}',
    "VolumeUnbound": "volume claim {claim} is not bound yet",
    "ClaimMissing": "device claim {claim} does not exist",
    "ClaimFull": "device claim {claim} has its maximum of {most} consumers",
    "ClaimQueue": "device claim {claim} is shared and must carry the queue's label",
    "ClaimElsewhere": "device claim {claim} is in use on another node",
    "ClaimClass": "lacks devices of class {device_class}: {requested} requested, at most {free} free",
    # evictions
    "Preempted": "preempted by the higher priority workload {by}",
    "Reclaimed": (
        "reclaimed by workload {by}: {owner} uses {used} of quota {quota}, fair share {fair_share}; "
        "{other} uses {other_used} of quota {other_quota}, fair share {other_fair_share}"
    ),
    "Consolidated": "moved to make room for {by} (consolidation)",
    "Stale": "the workload has fewer pods than its minimum of {needed}; the remaining pod is evicted",
}


class _Facts(dict[str, Value]):
    def __missing__(self, key: str) -> str:
        return "?"


def sentence(r: Reason) -> str:
    """The words for a reason; an unknown code is shown as itself."""
    entry = TABLE.get(r.code)
    if entry is None:
        return r.code
    if isinstance(entry, str):
        return entry.format_map(_Facts(r.facts))
    return entry(r)
