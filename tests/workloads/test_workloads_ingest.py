"""Reports become rows: order, repetition, what kubectl made, acts that race with reports, and what disappears."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access.services.bootstrap import system_actor
from link.models import Command
from projects.models import Project
from runai_cp.lib.errors import Conflict
from tests.fixtures_rooms import (
    commands,
    documents,
    event_report,
    kubectl_report,
    make_workload,
    pod_report,
    take,
    tell,
    workload_report,
)
from workloads.models import Event, PhaseChange, Pod, Source, Workload
from workloads.services import delete_workload, finish_deletions, resume_workload, settle_acts, suspend_workload


def told(workload: Workload, phase: str, *, seq: int | None = None, **more: Any) -> Workload:
    tell(workload.cluster, "Workload", workload_report(workload, phase, **more), seq=seq)
    take("workloads")
    workload.refresh_from_db()
    return workload


def test_a_report_sets_phase_sentence_and_counts(workload: Workload) -> None:
    told(workload, "Running", running_pods=1, ready_pods=1, allocated_gpu_milli=2000, node_pools=("default",))
    assert (workload.phase, workload.message, workload.running_pods) == ("Running", "it is Running", 1)
    assert (workload.allocated_gpu_milli, workload.node_pools) == (2000, ["default"])


def test_an_older_report_changes_nothing(workload: Workload) -> None:
    told(workload, "Running", seq=100)
    assert told(workload, "Pending", seq=99).phase == "Running"


def test_every_turn_is_remembered_once(workload: Workload) -> None:
    for phase in ("Pending", "Running", "Running", "Completed"):
        told(workload, phase)
    turns = list(PhaseChange.objects.filter(workload=workload).order_by("pk").values_list("phase", flat=True))
    assert turns == ["Creating", "Pending", "Running", "Completed"]


def test_only_the_last_of_a_batch_counts(workload: Workload) -> None:
    uid = str(uuid4())
    for phase in ("Pending", "Running", "Completed"):
        tell(workload.cluster, "Workload", workload_report(workload, phase, uid=uid))
    take("workloads")
    workload.refresh_from_db()
    assert workload.phase == "Completed"


def test_a_workload_made_with_kubectl_becomes_a_row(project: Project) -> None:
    tell(project.cluster, "Workload", kubectl_report(submitted_by="kubernetes-admin"))
    take("workloads")
    row = Workload.objects.get()
    assert (row.name, row.source, row.managed, row.requested_gpu_milli) == ("by-hand", Source.OTHER, False, 2000)
    assert row.submitted_by == "kubernetes-admin" and row.message == "waits"


def test_what_happens_outside_projects_is_not_ours(project: Project) -> None:
    tell(project.cluster, "Workload", kubectl_report(namespace="kube-system"))
    tell(project.cluster, "Pod", pod_report(uuid4(), namespace="kube-system"))
    take("workloads")
    assert (Workload.objects.count(), Pod.objects.count()) == (0, 0)


def test_a_copied_manifest_does_not_take_over_the_original(workload: Workload) -> None:
    copy = workload_report(workload, "Failed", name="copy", uid=str(uuid4()))
    tell(workload.cluster, "Workload", copy)
    take("workloads")
    workload.refresh_from_db()
    assert workload.phase == "Creating"
    assert Workload.objects.get(name="copy").managed is False


def test_kubectl_changes_are_followed(project: Project) -> None:
    first = kubectl_report()
    stopped = kubectl_report(uid=first.uid, id=first.id, phase="Stopped", spec={**first.spec, "suspend": True})
    for report in (first, stopped):
        tell(project.cluster, "Workload", report)
        take("workloads")
    row = Workload.objects.get()
    assert (row.phase, row.desired_phase) == ("Stopped", "Stopped")


def test_acts_on_kubectl_made_ones_are_commands(project: Project) -> None:
    report = kubectl_report(phase="Running")
    tell(project.cluster, "Workload", report)
    take("workloads")
    row = Workload.objects.get()
    suspend_workload(actor=system_actor(), workload=row)
    resume_workload(actor=system_actor(), workload=row)
    delete_workload(actor=system_actor(), workload=row)
    target = {"namespace": "runai-team-a", "name": "by-hand", "uid": report.uid}
    assert commands(project.cluster) == [
        ("workload.suspend", {**target, "suspend": True}),
        ("workload.suspend", {**target, "suspend": False}),
        ("workload.delete", target),
    ]
    assert not [key for key in documents(project.cluster) if key.startswith("workload/")]


def test_a_report_from_before_a_stop_does_not_undo_it(workload: Workload) -> None:
    told(workload, "Running")
    suspend_workload(actor=system_actor(), workload=workload)
    assert told(workload, "Running", spec={"suspend": False}).phase == "Stopping"
    assert told(workload, "Stopped", spec={"suspend": True}).phase == "Stopped"


def test_acts_repeated_change_nothing(workload: Workload) -> None:
    told(workload, "Running")
    for _ in range(2):
        suspend_workload(actor=system_actor(), workload=workload)
    assert PhaseChange.objects.filter(workload=workload, phase="Stopping").count() == 1
    for _ in range(2):
        delete_workload(actor=system_actor(), workload=workload)
    workload.refresh_from_db()
    assert workload.generation == 3


@pytest.mark.parametrize("phase", ["Completed", "Failed"])
def test_what_has_ended_is_neither_suspended_nor_resumed(workload: Workload, phase: str) -> None:
    told(workload, phase)
    for act in (suspend_workload, resume_workload):
        with pytest.raises(Conflict):
            act(actor=system_actor(), workload=workload)


def test_a_deletion_ends_when_the_object_is_gone(workload: Workload) -> None:
    told(workload, "Running")
    delete_workload(actor=system_actor(), workload=workload)
    assert told(workload, "Running").deleted_at is None
    tell(workload.cluster, "Workload", uid=str(workload.object_uid))
    take("workloads")
    workload.refresh_from_db()
    assert workload.deleted_at is not None and workload.running_pods == 0


def test_a_deletion_the_cluster_never_saw_is_swept(workload: Workload) -> None:
    delete_workload(actor=system_actor(), workload=workload)
    assert finish_deletions() == 0
    with connection.cursor() as cursor:
        cursor.execute("UPDATE public.link_agentsession SET applied_rev = 1000000")
    assert finish_deletions() == 1
    workload.refresh_from_db()
    assert workload.deleted_at is not None


def test_an_object_that_ended_by_itself_takes_its_document_along(workload: Workload) -> None:
    told(workload, "Completed")
    tell(workload.cluster, "Workload", uid=str(workload.object_uid))
    take("workloads")
    workload.refresh_from_db()
    assert workload.deleted_at is not None
    assert documents(workload.cluster)[f"workload/{workload.pk}"] is None


@pytest.mark.parametrize(("number", "believed"), [(10, True), (11, False)])
def test_many_vanished_at_once_are_not_believed(project: Project, number: int, believed: bool) -> None:
    rows = [told(make_workload(project, f"w-{index}"), "Running") for index in range(number)]
    for row in rows:
        tell(row.cluster, "Workload", uid=str(row.object_uid))
    take("workloads")
    assert Workload.objects.present().count() == (0 if believed else number)
    kept = [body for key, body in documents(project.cluster).items() if key.startswith("workload/") and body]
    assert len(kept) == (0 if believed else number)


def test_an_object_made_again_keeps_its_row(workload: Workload) -> None:
    told(workload, "Running", uid=str(uuid4()))
    old = str(workload.object_uid)
    tell(workload.cluster, "Workload", uid=old)
    tell(workload.cluster, "Workload", workload_report(workload, "Running", uid=str(uuid4())))
    take("workloads")
    workload.refresh_from_db()
    assert workload.deleted_at is None and str(workload.object_uid) != old


def test_pods_find_their_workload_and_stay_after_deletion(workload: Workload) -> None:
    report = pod_report(workload.pk)
    tell(workload.cluster, "Pod", report)
    tell(workload.cluster, "Pod", pod_report(workload.pk, uid=report.uid, phase="Succeeded", exit_code=0))
    take("workloads")
    tell(workload.cluster, "Pod", uid=report.uid)
    take("workloads")
    pod = Pod.objects.get()
    assert (pod.workload_id, pod.phase, pod.exit_code) == (workload.pk, "Succeeded", 0)
    assert pod.deleted_at is not None


@pytest.mark.parametrize("event_first", [True, False])
def test_an_event_finds_its_workload_whichever_came_first(workload: Workload, event_first: bool) -> None:
    pod = pod_report(workload.pk)
    tell(workload.cluster, "Pod", pod)
    tell(workload.cluster, "Event", event_report(pod.uid))
    for topic in ("events", "workloads") if event_first else ("workloads", "events"):
        take(topic)
    assert Event.objects.get().workload_id == workload.pk


def test_an_event_of_a_pod_group_is_the_workloads(workload: Workload) -> None:
    tell(workload.cluster, "Pod", pod_report(workload.pk, pod_group="pg-train"))
    take("workloads")
    tell(workload.cluster, "Event", event_report(uuid4(), kind="PodGroup", name="pg-train"))
    take("events")
    assert Event.objects.get().workload_id == workload.pk


def test_an_event_counted_again_is_one_row(workload: Workload) -> None:
    first = event_report(uuid4())
    for count in (1, 5):
        tell(workload.cluster, "Event", event_report(first.object_uid, uid=first.uid, count=count))
        take("events")
    assert Event.objects.get().count == 5


def test_nonsense_in_a_report_stops_nothing(workload: Workload) -> None:
    tell(workload.cluster, "Workload", {"id": "x"}, uid="bad")
    tell(workload.cluster, "Pod", pod_report("not-an-id", message="nul \x00 inside".replace("\x00", "")), uid="p")
    assert told(workload, "Running").phase == "Running"
    assert Pod.objects.get().workload_id is None


def test_a_batch_costs_the_same_for_any_size(project: Project) -> None:
    spent = []
    for number in (2, 20):
        rows = [make_workload(project, f"w-{number}-{index}") for index in range(number)]
        for row in rows:
            tell(row.cluster, "Workload", workload_report(row, "Running"))
            tell(row.cluster, "Pod", pod_report(row.pk, name=f"{row.name}-0"))
        with CaptureQueriesContext(connection) as seen:
            take("workloads")
        spent.append(len(seen))
    assert spent[0] == spent[1]


@pytest.mark.parametrize(("state", "phase"), [("failed", "Running"), ("expired", "Running"), ("succeeded", "Stopping")])
def test_an_act_the_cluster_could_not_carry_out_is_undone(project: Project, state: str, phase: str) -> None:
    tell(project.cluster, "Workload", kubectl_report(phase="Running"))
    take("workloads")
    row = suspend_workload(actor=system_actor(), workload=Workload.objects.get())
    assert settle_acts() == 0 and Workload.objects.get().phase == "Stopping"
    Command.objects.filter(pk=row.command_id).update(state=state, ended_at=timezone.now(), output="no such object")
    assert settle_acts() == (state != "succeeded")
    row.refresh_from_db()
    assert (row.phase, row.command_id) == (phase, None)
    assert ("could not suspend it: no such object" in row.message) == (state != "succeeded")
