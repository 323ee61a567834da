"""The one table of sentences: every code speaks, numbers have units, data is ready for JSON."""

import json

import pytest

from agent.domain.reasons import TABLE, Reason, amount, decimal, reason

GIB = 1 << 30

SENTENCES = [
    (
        reason(
            "OverLimit",
            queue="v",
            label="vision",
            kind="project",
            pool="default",
            resource="gpu",
            used=8000,
            limit=8000,
            requested=1000,
        ),
        'project "vision" holds 8 of its limit of 8 GPUs in pool "default"; the workload requests 1',
    ),
    (
        reason(
            "NonPreemptibleOverQuota",
            queue="v",
            kind="project",
            pool="big",
            resource="gpu",
            used=500,
            quota=1000,
            requested=1000,
        ),
        'non-preemptible workloads of project "v" hold 0.5 of its quota of 1 GPU in pool "big"; this one requests 1 '
        "more and may go over quota only when preemptible",
    ),
    (
        reason(
            "Nodes",
            reason("Lacks", resource="gpu", requested=4000, free=2000, count=2),
            pool="default",
            in_pool=2,
            total=9,
        ),
        '2 of 9 nodes are in pool "default"; each lacks GPUs: 4 requested, at most 2 free',
    ),
    (
        reason(
            "Nodes",
            reason("Lacks", resource="memory", requested=2 * GIB, free=GIB, count=2),
            reason("Cordoned", count=1),
            pool="p",
            in_pool=3,
            total=3,
        ),
        '3 of 3 nodes are in pool "p": 2 lack memory: 2 GiB requested, at most 1 GiB free; 1 is cordoned',
    ),
    (
        reason("Gang", reason("NoNodes", pool="p"), placed=1, needed=4, subgroup="workers"),
        '1 of the 4 pods of sub-group "workers" fit and a gang starts whole: pool "p" has no nodes',
    ),
    (
        reason("Topology", topology="net", level="rack", needed=10, domains=12, best="r3", fits=9),
        'all 10 pods must run in one "rack" of topology "net"; of 12 domains the best, "r3", fits 9',
    ),
    (
        reason("FairShare", queue="v", resource="gpu", used=2000, requested=1000, fair_share=2000, quota=1000),
        'queue "v" holds 2 and with 1 more would pass its fair share of 2 GPUs (quota 1)',
    ),
    (
        reason("NoVictims", resource="gpu", requested=80000, free=0, reclaimable=79000),
        "80 GPUs are requested, 0 are free and others may be asked to give back 79",
    ),
    (
        reason("LacksDevices", requested=20000, free=100, devices=1),
        "lacks room on one GPU: 20000 MiB requested, at most 100 MiB free on a device",
    ),
    (reason("PreemptionDelayNotElapsed", seconds=30), "may not evict others for another 30 s (preemption delay)"),
    (reason("SomethingNew", number=1), "SomethingNew"),
]


@pytest.mark.parametrize(
    ("why", "sentence"), SENTENCES, ids=[why.code + str(i) for i, (why, _) in enumerate(SENTENCES)]
)
def test_sentences(why, sentence):
    assert why.text == sentence


NUMBERS = [
    ("gpu", 1000, "1 GPU"),
    ("gpu", 1500, "1.5 GPUs"),
    ("gpu", -1, "unlimited GPUs"),
    ("cpu", 250, "0.25 CPU cores"),
    ("memory", 512 << 20, "512 MiB of memory"),
    ("memory", 3 * (1 << 40), "3 TiB of memory"),
    ("memory", 100, "100 bytes of memory"),
    ("nvidia.com/mig-1g.10gb", 2, "2 nvidia.com/mig-1g.10gb"),
]


@pytest.mark.parametrize(("resource", "value", "text"), NUMBERS)
def test_amounts_have_units(resource, value, text):
    assert amount(resource, value) == text


@pytest.mark.parametrize(("milli", "text"), [(0, "0"), (1, "0.001"), (10, "0.01"), (2000, "2"), (-1500, "-1.5")])
def test_thousandths(milli, text):
    assert decimal(milli) == text


@pytest.mark.parametrize("code", sorted(TABLE))
def test_every_code_speaks_with_full_facts(code):
    """With every fact there is, no sentence shows a hole."""
    facts = dict.fromkeys(FACTS, 3) | {"resource": "gpu", "queue": "q", "label": "q", "kind": "queue", "pool": "p"}
    cause = Reason("NoNodes", (("count", 1), ("pool", "p")))
    assert "?" not in reason(code, cause, **facts).text


FACTS = [
    "used",
    "limit",
    "requested",
    "quota",
    "seconds",
    "placed",
    "needed",
    "subgroup",
    "topology",
    "level",
    "domains",
    "best",
    "fits",
    "fair_share",
    "free",
    "most",
    "reclaimable",
    "ahead",
    "field",
    "given",
    "allowed",
    "expected",
    "done",
    "name",
    "devices",
    "taint",
    "selector",
    "topology_key",
    "port",
    "strategy",
    "missing",
    "claim",
    "device_class",
    "by",
    "owner",
    "other",
    "other_used",
    "other_quota",
    "other_fair_share",
    "present",
    "in_pool",
    "total",
    "count",
    "why",
    "group",
    "node",
    "priority",
]


def test_data_is_ready_for_json():
    why = reason("Nodes", reason("Cordoned", count=1), pool="p", in_pool=1, total=1)
    assert json.loads(json.dumps(why.data()))["causes"][0]["facts"] == {"count": 1}


def test_facts_are_found_by_name():
    why = reason("OverLimit", used=5)
    assert (why["used"], why.get("limit", 7)) == (5, 7)


def test_a_missing_fact_is_an_error_to_the_programmer():
    with pytest.raises(KeyError):
        reason("OverLimit")["used"]
