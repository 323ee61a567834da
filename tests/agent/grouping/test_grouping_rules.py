"""Pods and owners → pod groups."""

from __future__ import annotations

from typing import Any

import pytest

from agent.grouping.owners import LONGEST, Owner, Reference, chain, controller_of, owner_of
from agent.grouping.rules import Group, group_of, manifest, must_read

DEPLOYMENT = ("apps/v1", "Deployment")
REPLICA_SET = ("apps/v1", "ReplicaSet")
JOB = ("batch/v1", "Job")


def pod(**meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", "namespace": "ns", "uid": "pod-uid", **meta}, "spec": {}}


def owner(kind: tuple[str, str], **facts: Any) -> Owner:
    return Owner(Reference(*kind, "top", f"{kind[1]}-uid"), **facts)


def grouped(*owners: Owner, namespace: dict[str, str] | None = None, **meta: Any) -> Group:
    return group_of(pod(**meta), owners, namespace or {}, "default")


@pytest.mark.parametrize(
    ("kinds", "name", "priority"),
    [
        ([], "pg-p-pod-uid", "train"),
        ([JOB], "pg-top-Job-uid", "train"),
        ([JOB, ("batch/v1", "CronJob")], "pg-top-Job-uid", "train"),
        ([REPLICA_SET], "pg-top-ReplicaSet-uid", "train"),
        ([REPLICA_SET, DEPLOYMENT], "pg-p-pod-uid", "inference"),
        ([("apps/v1", "StatefulSet")], "pg-top-StatefulSet-uid", "train"),
        ([("apps/v1", "DaemonSet")], "pg-p-pod-uid", "train"),
        ([("run.ai/v1", "Workload")], "pg-p-pod-uid", "train"),
        ([("kubeflow.org/v1", "Notebook")], "pg-top-Notebook-uid", "build"),
        ([("example.com/v1", "Thing")], "pg-top-Thing-uid", "train"),
    ],
)
def test_which_pods_are_one_group(kinds, name, priority):
    group = grouped(*(owner(kind) for kind in kinds))
    assert (group.name, group.priority_class) == (name, priority)


@pytest.mark.parametrize(
    ("owner_labels", "pod_labels", "namespace", "queue"),
    [
        ({"kai.scheduler/queue": "a"}, {"kai.scheduler/queue": "b"}, {"runai/queue": "c"}, "a"),
        ({}, {"kai.scheduler/queue": "b"}, {"runai/queue": "c"}, "b"),
        ({}, {"project": "p"}, {"runai/queue": "c"}, "p"),
        ({}, {}, {"runai/queue": "c"}, "c"),
        ({}, {}, {"run.ai/project": "d"}, "d"),
        ({}, {}, {}, "default"),
    ],
)
def test_the_queue(owner_labels, pod_labels, namespace, queue):
    assert grouped(owner(JOB, labels=owner_labels), labels=pod_labels, namespace=namespace).queue == queue


def test_what_the_owner_says_wins_over_the_pod():
    top = owner(JOB, labels={"priorityClassName": "build", "kai.scheduler/preemptibility": "preemptible"})
    group = grouped(top, labels={"priorityClassName": "train", "kai.scheduler/node-pool": "h100"})
    assert (group.priority_class, group.preemptibility, group.pool) == ("build", "preemptible", "h100")


@pytest.mark.parametrize(("text", "minimum"), [("4", 4), ("0", 0), ("many", 1), ("-1", 1), ("9" * 20, 1)])
def test_minimum_of_a_batch(text, minimum):
    assert grouped(owner(JOB, annotations={"kai.scheduler/batch-min-member": text})).min_member == minimum


def test_the_object_goes_with_its_owner_and_carries_what_finds_it():
    group = grouped(
        owner(JOB), labels={"run.ai/workload-id": "w"}, annotations={"kai.scheduler/preemption-delay": "6s"}
    )
    obj = manifest(group)
    assert obj["metadata"]["ownerReferences"][0]["uid"] == "Job-uid"
    assert obj["metadata"]["labels"]["run.ai/workload-id"] == "w"
    assert obj["spec"] == {"queue": "default", "minMember": 1, "priorityClassName": "train", "preemptionDelay": "6s"}


def test_long_names_keep_their_uid():
    group = group_of({"metadata": {"name": "n" * 253, "namespace": "ns", "uid": "u" * 36}, "spec": {}}, [], {}, "q")
    assert len(group.name) == 253
    assert group.name.endswith("-" + "u" * 36)


def reference(uid: str) -> dict[str, Any]:
    return {"apiVersion": "batch/v1", "kind": "Job", "name": uid, "uid": uid, "controller": True}


def test_the_chain_asks_for_what_it_does_not_know():
    start = pod(ownerReferences=[reference("a")])
    assert chain(start, {}, must_read) == ([], controller_of(start))


def test_an_owner_that_tells_nothing_is_not_asked_for():
    workload = {"apiVersion": "run.ai/v1", "kind": "Workload", "name": "w", "uid": "u", "controller": True}
    found, wanted = chain(pod(ownerReferences=[workload]), {}, must_read)
    assert ([item.reference.kind for item in found], wanted) == (["Workload"], None)


def test_a_loop_of_owners_ends():
    first = owner_of(controller_of(pod(ownerReferences=[reference("a")])), pod(ownerReferences=[reference("b")]))
    second = owner_of(controller_of(pod(ownerReferences=[reference("b")])), pod(ownerReferences=[reference("a")]))
    found, wanted = chain(pod(ownerReferences=[reference("a")]), {"a": first, "b": second}, must_read)
    assert ([item.reference.uid for item in found], wanted) == (["a", "b"], None)


def test_an_endless_chain_is_cut():
    known = {
        str(i): owner_of(Reference("batch/v1", "Job", str(i), str(i)), pod(ownerReferences=[reference(str(i + 1))]))
        for i in range(50)
    }
    found, wanted = chain(pod(ownerReferences=[reference("0")]), known, must_read)
    assert (len(found), wanted) == (LONGEST, None)


def test_an_owner_that_is_gone_still_groups():
    top = owner_of(Reference(*JOB, "top", "Job-uid"), None)
    assert grouped(top).name == "pg-top-Job-uid"


def test_an_owner_that_may_not_be_read_groups_and_is_told():
    group = grouped(Owner(Reference("example.com/v1", "Thing", "t", "u"), known=False, forbidden=True))
    assert group.name == "pg-t-u"
    assert group.mistake[:2] == ('owner Thing "t"', "forbidden to the scheduler")
    assert "get on Thing.example.com" in group.mistake[2]


def test_an_owner_that_may_not_be_read_is_not_told_of_once_a_pod():
    assert grouped(Owner(Reference("apps/v1", "Deployment", "d", "u"), known=False, forbidden=True)).mistake is None


@pytest.mark.parametrize(("job", "cron_job", "queue"), [("a", "b", "a"), ("", "b", "b"), ("", "", "of-the-pod")])
def test_what_an_owner_above_the_grouped_one_says_counts_after_it(job, cron_job, queue):
    below, above = ({"kai.scheduler/queue": name} if name else {} for name in (job, cron_job))
    owners = (owner(JOB, labels=below), owner(("batch/v1", "CronJob"), labels=above))
    assert grouped(*owners, labels={"kai.scheduler/queue": "of-the-pod"}).queue == queue
