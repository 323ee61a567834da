"""The operator as a whole on a Kubernetes in memory: what it makes, what it never does, and being killed."""

from __future__ import annotations

import asyncio

import pytest

from agent.kube import errors
from agent.kube.resources import NAMESPACE, POD, POD_GROUP, PROJECT, QUEUE, ROLE_BINDING, SERVICE, WORKLOAD
from tests.agent.fake_kube import FakeKube
from tests.agent.operator.operating import (
    definition,
    ended,
    namespace,
    operating,
    play,
    pods,
    project,
    running,
    status,
    workload,
)


async def test_a_project_gets_a_namespace_and_a_queue():
    kube = FakeKube(project())
    async with operating(kube) as operator:
        await operator.settle()
        made = await kube.get(NAMESPACE, "runai-vision")
        queue = await kube.get(QUEUE, "vision")
        assert made["metadata"]["labels"]["runai/queue"] == "vision"
        assert queue["spec"]["resources"]["gpu"] == {"quota": 2, "limit": -1, "overQuotaWeight": 1}
        assert (await kube.get(PROJECT, "vision"))["status"]["phase"] == "Ready"


async def test_a_deleted_project_takes_the_namespace_it_made():
    kube = FakeKube(project(), definition())
    async with operating(kube) as operator:
        await operator.settle()
        await kube.delete(PROJECT, "vision")
        await operator.settle()
        assert (kube.all(NAMESPACE), kube.all(PROJECT), kube.all(QUEUE)) == ([], [], [])


async def test_an_adopted_namespace_outlives_its_project():
    kube = FakeKube(project(), definition(), namespace("runai-vision", team="a"))
    async with operating(kube) as operator:
        await operator.settle()
        assert (await kube.get(NAMESPACE, "runai-vision"))["metadata"]["labels"]["run.ai/project"] == "vision"
        await kube.delete(PROJECT, "vision")
        await operator.settle()
        assert (await kube.get(NAMESPACE, "runai-vision"))["metadata"]["labels"] == {"team": "a"}


async def test_namespaces_stay_when_the_definition_of_projects_goes():
    kube = FakeKube(project())  # no CustomResourceDefinition any more
    async with operating(kube) as operator:
        await operator.settle()
        await kube.delete(PROJECT, "vision")
        await operator.settle()
        assert [obj["metadata"]["name"] for obj in kube.all(NAMESPACE)] == ["runai-vision"]
        assert kube.all(PROJECT) == []


async def test_two_projects_do_not_share_a_namespace():
    kube = FakeKube(project(), project("other", namespace="runai-vision"))
    async with operating(kube) as operator:
        await operator.settle()
        found = (await kube.get(PROJECT, "other"))["status"]
        assert (found["phase"], found["message"]) == (
            "NotReady",
            'namespace "runai-vision" belongs to project "vision"',
        )


async def test_an_access_rule_becomes_a_role_binding_and_goes_with_it():
    spec = {"id": "7", "subjectKind": "User", "subject": "alice", "role": "researcher", "projects": ["vision"]}
    rule = {"apiVersion": "run.ai/v1", "kind": "AccessRule", "metadata": {"name": "rule-7"}, "spec": spec}
    kube = FakeKube(project(), rule)
    async with operating(kube) as operator:
        await operator.settle()
        binding = await kube.get(ROLE_BINDING, "runai-rule-7", "runai-vision")
        assert (binding["roleRef"]["name"], binding["subjects"][0]["name"]) == ("runai-researcher", "alice")
        changed = kube.all(type("R", (), {"group": "run.ai", "plural": "accessrules"})())[0]
        changed["spec"]["projects"] = []
        await kube.replace(changed)
        await operator.settle()
        assert kube.all(ROLE_BINDING) == []


async def test_a_workload_gets_its_pod_and_completes():
    kube = FakeKube(project(), namespace("runai-vision"), workload())
    async with operating(kube) as operator:
        await operator.settle()
        assert pods(kube) == ["hello-0"]
        assert status(kube)["phase"] == "Pending"
        await play(kube, "hello-0", **running())
        await operator.settle()
        await play(kube, "hello-0", **ended(0))
        await operator.settle()
        assert (status(kube)["phase"], status(kube)["message"]) == ("Completed", "completed")
        assert pods(kube) == ["hello-0"]


async def test_a_workload_that_fails_says_the_exit_code():
    kube = FakeKube(project(), namespace("runai-vision"), workload(backoffLimit=0))
    async with operating(kube) as operator:
        await operator.settle()
        await play(kube, "hello-0", **ended(3))
        await operator.settle()
        assert status(kube)["message"] == "hello-0 exited with code 3 after 10 s"
        assert status(kube)["phase"] == "Failed"
        await kube.delete(POD, "hello-0", "runai-vision")
        await operator.settle()
        assert (pods(kube), status(kube)["phase"]) == ([], "Failed")


async def test_a_failed_attempt_is_tried_again_under_a_new_name():
    kube = FakeKube(project(), namespace("runai-vision"), workload(backoffLimit=1))
    async with operating(kube) as operator:
        await operator.settle()
        await play(kube, "hello-0", **ended(1))
        await operator.settle()
        assert pods(kube) == ["hello-0", "hello-0-r1"]
        await play(kube, "hello-0-r1", **ended(1))
        await operator.settle()
        assert status(kube)["phase"] == "Failed"
        assert status(kube)["failedAttempts"] == 2


async def test_a_gang_has_its_group_and_service_before_its_pods():
    kube = FakeKube(project(), namespace("runai-vision"), workload(type="distributed", workers=3))
    async with operating(kube) as operator:
        await operator.settle()
        assert pods(kube) == ["hello-0", "hello-1", "hello-2"]
        group = await kube.get(POD_GROUP, "hello", "runai-vision")
        assert (group["spec"]["minMember"], group["spec"]["queue"]) == (3, "vision")
        versions = [int(obj["metadata"]["resourceVersion"]) for obj in kube.all(POD)]
        assert int(group["metadata"]["resourceVersion"]) < min(versions)
        assert [obj["metadata"]["name"] for obj in kube.all(SERVICE)] == ["hello"]


async def test_every_attempt_of_a_gang_has_a_group_of_its_own():
    kube = FakeKube(project(), namespace("runai-vision"), workload(type="distributed", workers=2))
    async with operating(kube) as operator:
        await operator.settle()
        await play(kube, "hello-0", **ended(1))
        await operator.settle()
        assert pods(kube) == ["hello-0", "hello-0-r1", "hello-1-r1"]
        assert [obj["metadata"]["name"] for obj in kube.all(POD_GROUP)] == ["hello-r1"]


async def test_suspend_takes_the_pods_and_resume_brings_them_back():
    kube = FakeKube(project(), namespace("runai-vision"), workload())
    async with operating(kube) as operator:
        await operator.settle()
        await kube.patch(WORKLOAD, "hello", "runai-vision", body={"spec": {"suspend": True}})
        await operator.settle()
        assert (pods(kube), status(kube)["phase"]) == ([], "Stopped")
        await kube.patch(WORKLOAD, "hello", "runai-vision", body={"spec": {"suspend": False}})
        await operator.settle()
        assert pods(kube) == ["hello-0"]


async def test_an_evicted_pod_comes_again_without_counting_as_failed():
    kube = FakeKube(project(), namespace("runai-vision"), workload(backoffLimit=0))
    async with operating(kube) as operator:
        await operator.settle()
        first = kube.all(POD)[0]["metadata"]["uid"]
        await kube.delete(POD, "hello-0", "runai-vision")
        await operator.settle()
        assert pods(kube) == ["hello-0"]
        assert kube.all(POD)[0]["metadata"]["uid"] != first
        assert status(kube)["failedAttempts"] == 0


async def test_a_pod_name_that_is_taken_is_said_and_left_alone():
    other = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "hello-0", "namespace": "runai-vision"},
        "spec": {},
    }
    kube = FakeKube(project(), namespace("runai-vision"), other, workload())
    async with operating(kube) as operator:
        await operator.settle()
        assert "belongs to somebody else" in status(kube)["message"]
        assert kube.calls["delete", "Pod"] == 0


async def test_a_workload_outside_of_projects_says_so_and_starts_once_there_is_one():
    kube = FakeKube(namespace("runai-vision"), workload())
    async with operating(kube) as operator:
        await operator.settle()
        assert "belongs to no project" in status(kube)["message"]
        kube.seed(project())
        await operator.settle()
        assert pods(kube) == ["hello-0"]


async def test_time_to_live_removes_a_finished_workload_of_kubectl():
    kube = FakeKube(project(), namespace("runai-vision"), workload(ttlSecondsAfterFinished=0))
    async with operating(kube) as operator:
        await operator.settle()
        await play(kube, "hello-0", **ended(0))
        await asyncio.sleep(0.3)
        await operator.settle()
        assert (kube.all(WORKLOAD), pods(kube)) == ([], [])


@pytest.mark.parametrize(
    ("method", "kind"),
    [("create", "Pod"), ("create", "PodGroup"), ("create", "Service"), ("create", "Namespace"), ("apply", "Queue")],
)
async def test_a_server_that_fails_once_is_asked_again(method, kind):
    kube = FakeKube(project(), workload(type="distributed", workers=2))
    kube.fail(method, kind, errors.ServerFailed("try later", status=503))
    async with operating(kube) as operator:
        await asyncio.sleep(0.2)
        await operator.settle()
        assert pods(kube) == ["hello-0", "hello-1"]
        assert [obj["metadata"]["name"] for obj in kube.all(QUEUE)] == ["vision"]


async def test_an_operator_that_starts_again_does_nothing_when_all_is_done():
    kube = FakeKube(project(), workload(type="distributed", workers=2), workload("bye", backoffLimit=3))
    async with operating(kube) as operator:
        await operator.settle()
        await play(kube, "bye-0", **ended(1))
        await operator.settle()
        await operator.settle()
    before = kube.calls.copy()
    async with operating(kube) as operator:
        await operator.settle()
    changing = ("create", "patch", "apply", "delete")
    writes = {call: n for call, n in (kube.calls - before).items() if call[0] in changing}
    writes.pop(("create", "SelfSubjectRulesReview"), None)  # a question: the API server stores nothing
    assert writes == {}


async def test_a_status_that_somebody_else_wrote_is_put_right():
    kube = FakeKube(project(), namespace("runai-vision"), workload())
    async with operating(kube) as operator:
        await operator.settle()
        await play(kube, "hello-0", **running())
        await operator.settle()
        stale = {"phase": "Initializing", "message": "an operator that was paused says so"}
        await kube.patch(WORKLOAD, "hello", "runai-vision", body={"status": stale}, subresource="status")
        await operator.settle()
        assert status(kube)["phase"] == "Running"
        assert "paused" not in status(kube)["message"]


async def test_a_trouble_is_told_once_as_an_event_and_on_the_condition():
    waits = {"waiting": {"reason": "ImagePullBackOff", "message": "manifest unknown"}}
    pulling = [{"name": "main", "ready": False, "restartCount": 0, "state": waits}]
    kube = FakeKube(project(), namespace("runai-vision"), workload())
    async with operating(kube) as operator:
        await operator.settle()
        await kube.bind("runai-vision", "hello-0", "n", uid=kube.all(POD)[0]["metadata"]["uid"])
        for _ in range(2):
            await play(kube, "hello-0", phase="Pending", containerStatuses=pulling)
            await operator.settle()
        events = [obj for obj in kube.objects.values() if obj["kind"] == "Event"]
        assert [event["reason"] for event in events] == ["ImagePullFailed"]
        ready = next(item for item in status(kube)["conditions"] if item["type"] == "Ready")
        assert "manifest unknown" in ready["message"] and ready["reason"] == "ImagePullFailed"


async def test_the_first_word_waits_for_a_better_one():
    kube = FakeKube(project(), namespace("runai-vision"), workload())
    async with operating(kube, first_news_s=30.0) as operator:
        await operator.settle()
        assert status(kube) == {}
        await play(kube, "hello-0", **running())
        await operator.settle()
        assert status(kube)["phase"] == "Running"
        assert kube.calls["patch", "Workload"] == 1


async def test_what_the_scheduler_refuses_is_said_at_once():
    no = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node has 1 GPU free"}
    kube = FakeKube(project(), namespace("runai-vision"), workload())
    async with operating(kube, first_news_s=30.0) as operator:
        await operator.settle()
        await play(kube, "hello-0", conditions=[no])
        await operator.settle()
        assert status(kube)["message"] == "no node has 1 GPU free"
