"""The scheduler as a whole on a Kubernetes in memory: what it binds, what it tells, what it never touches."""

from __future__ import annotations

import asyncio
import random

import pytest

from agent.kube import errors
from agent.kube.resources import EVENT, POD, POD_GROUP, QUEUE
from agent.loops import execution
from tests.agent.fake_kube import FakeKube
from tests.agent.loops.scheduling import group, node, placed, pod, queue, scheduling, told, until


async def test_a_pod_is_bound_and_a_gang_whole():
    kube = FakeKube(node(), queue(), group("g", 3))
    async with scheduling(kube):
        await kube.create(pod("single"))
        for index in range(3):
            await kube.create(pod(f"g{index}", in_group="g"))
        await until(lambda: len(placed(kube)) == 4)


async def test_a_gang_that_does_not_fit_waits_whole_and_says_why():
    kube = FakeKube(node(gpus=2), queue(), group("g", 3))
    async with scheduling(kube):
        for index in range(3):
            await kube.create(pod(f"g{index}", in_group="g"))
        await until(lambda: "2 of the 3 pods" in told(kube, "g0"))
        assert placed(kube) == {}
        await until(lambda: _conditions(kube, "g"))
        assert _conditions(kube, "g")[0]["reason"] == "Gang"


async def test_conditions_go_when_the_gang_runs():
    kube = FakeKube(node("n1", 2), queue(), group("g", 3))
    async with scheduling(kube):
        for index in range(3):
            await kube.create(pod(f"g{index}", in_group="g"))
        await until(lambda: _conditions(kube, "g"))
        await kube.create(node("n2", 2))
        kube.seed(node("n2", 2))
        await until(lambda: len(placed(kube)) == 3)
        await until(lambda: not _conditions(kube, "g"))


async def test_reasons_are_events_that_do_not_repeat():
    kube = FakeKube(node(gpus=1), queue())
    for _ in range(2):
        async with scheduling(kube):
            if not kube.all(POD):
                await kube.create(pod("big", gpus=2))
            await until(lambda: "requested" in told(kube, "big"))
            await asyncio.sleep(0.8)
    events = [event for event in kube.all(EVENT) if event["reason"] == "FailedScheduling"]
    assert len(events) == 1
    assert events[0]["involvedObject"]["name"] == "big"


async def test_a_bare_pod_that_waits_gets_a_stored_group():
    kube = FakeKube(node(gpus=1), queue())
    async with scheduling(kube):
        await kube.create(pod("quick"))
        await kube.create(pod("big", gpus=2, labels={"run.ai/workload-id": "w"}))
        await until(lambda: kube.all(POD_GROUP))
        stored = kube.all(POD_GROUP)[0]
        assert stored["metadata"]["labels"]["run.ai/workload-id"] == "w"
        await until(lambda: _conditions(kube, stored["metadata"]["name"]))
        assert len(kube.all(POD_GROUP)) == 1


async def test_a_fraction_gets_its_device_before_its_node():
    kube = FakeKube(node(), queue())
    async with scheduling(kube):
        for name in ("a", "b"):
            await kube.create(pod(name, gpus=0, annotations={"gpu-fraction": "0.5"}))
        await until(lambda: len(placed(kube)) == 2)
    labels = {p["metadata"]["labels"]["runai-gpu-group"] for p in kube.all(POD)}
    assert len(labels) == 1
    assert kube.all(POD)[0]["metadata"]["annotations"]["received-resource-type"] == "Fraction"


async def test_pods_of_others_are_never_touched():
    other = pod("other", scheduler="somebody-else", in_group="g")
    kube = FakeKube(node(), queue(), group("g"), other)
    before = kube.all(POD)
    async with scheduling(kube):
        await kube.create(pod("mine"))
        await until(lambda: "mine" in placed(kube))
        await asyncio.sleep(0.6)
    assert [p for p in kube.all(POD) if p["metadata"]["name"] == "other"] == before


async def test_what_others_hold_is_not_given_away():
    foreign = pod("foreign", gpus=3, scheduler="somebody-else", nodeName="n1")
    kube = FakeKube(node(gpus=4), queue(), foreign)
    async with scheduling(kube):
        await kube.create(pod("one"))
        await kube.create(pod("two"))
        await until(lambda: len(placed(kube)) == 2)
        await until(lambda: "at most 0 free" in (told(kube, "one") or told(kube, "two")))


async def test_preemption_marks_and_deletes_the_victim_once():
    kube = FakeKube(node(gpus=1), queue(gpus=1), linger=True)
    async with scheduling(kube):
        await kube.create(pod("low"))
        await until(lambda: "low" in placed(kube))
        _run(kube, "low")
        await kube.create(pod("high", priorityClassName="build-preemptible"))
        await until(lambda: _leaving(kube, "low"))
        await asyncio.sleep(0.3)
        conditions = {c["type"]: c for c in _pod(kube, "low")["status"]["conditions"]}
        assert "high" in conditions["DisruptionTarget"]["message"]
        assert kube.calls["delete", "Pod"] == 1
        kube.finish("low", "ns")
        await until(lambda: "high" in placed(kube))


@pytest.mark.parametrize(
    "error",
    [
        errors.Conflict("busy", status=409),
        errors.TooManyRequests("slow down", status=429),
        errors.ServerFailed("oops", status=500),
        errors.Unreachable("gone"),
        errors.Forbidden("not now", status=403),
    ],
)
async def test_a_failed_bind_is_tried_again_and_nothing_is_overcommitted(error):
    kube = FakeKube(node(gpus=1), queue())
    kube.fail("bind", "Pod", error)
    async with scheduling(kube):
        await kube.create(pod("a"))
        await until(lambda: "a" in placed(kube))


class Stormy(FakeKube):
    """Fails three of ten calls, before or after doing them."""

    def __init__(self, seed: int, *objects: dict[str, object]) -> None:
        self.chance = random.Random(seed)
        super().__init__(*objects)

    async def _enter(self, method: str, resource: object) -> None:
        await super()._enter(method, resource)
        if self.chance.random() < 0.15:
            raise self.chance.choice(
                [errors.Conflict, errors.TooManyRequests, errors.ServerFailed, errors.Unreachable]
            )("storm")

    async def bind(self, *args: object, **kwargs: object) -> None:
        await super().bind(*args, **kwargs)
        if self.chance.random() < 0.15:
            raise errors.Unreachable("the answer was lost")


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_storm_of_errors_loses_nothing_and_binds_nothing_twice(seed, monkeypatch):
    monkeypatch.setattr(execution, "FIRST_PAUSE_S", 0.05)
    kube = Stormy(seed, node("n1", 8), node("n2", 8), queue(), group("g", 4))
    async with scheduling(kube):
        for number in range(4):
            kube.seed(pod(f"g{number}", in_group="g"))
        for number in range(12):
            kube.seed(pod(f"p{number}"))
        await until(lambda: len(placed(kube)) == 16, within=20)
    assert sorted(list(placed(kube).values()).count(name) for name in ("n1", "n2")) == [8, 8]


async def test_a_planner_that_breaks_is_replaced_once(monkeypatch):
    kube = FakeKube(node(), queue())
    async with scheduling(kube) as scheduler:
        await kube.create(pod("a"))
        await until(lambda: "a" in placed(kube))
        monkeypatch.setattr(scheduler._planner, "plan", None)
        await kube.create(pod("b"))
        await until(lambda: "b" in placed(kube))


async def test_a_bind_that_was_done_without_an_answer_is_seen():
    kube = FakeKube(node(gpus=1), queue())
    real = kube.bind

    async def silent(*args: object, **kwargs: object) -> None:
        await real(*args, **kwargs)
        raise errors.Unreachable("no answer")

    kube.bind = silent
    async with scheduling(kube) as scheduler:
        await kube.create(pod("a"))
        await until(lambda: "a" in placed(kube))
        await until(lambda: scheduler._executor.idle)
        assert kube.calls["bind", "Pod"] == 1


async def test_a_scheduler_started_anew_goes_on_where_the_last_one_died():
    kube = FakeKube(node(gpus=4), queue(), group("g", 3))
    async with scheduling(kube):
        await kube.create(pod("first"))
        await until(lambda: placed(kube))
    for index in range(3):
        await kube.create(pod(f"g{index}", in_group="g"))
    async with scheduling(kube):
        await until(lambda: len(placed(kube)) == 4)
    assert kube.calls["bind", "Pod"] == 4


async def test_a_job_whose_owner_must_be_read_is_grouped_by_it():
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job", "namespace": "ns", "uid": "job-uid"}}
    job["metadata"]["annotations"] = {"kai.scheduler/batch-min-member": "2"}
    kube = FakeKube(node(), queue(), {**job, "spec": {}})
    async with scheduling(kube):
        await kube.create(_owned("one"))
        await asyncio.sleep(0.3)
        assert placed(kube) == {}
        await kube.create(_owned("two"))
        await until(lambda: len(placed(kube)) == 2)


@pytest.mark.parametrize(
    ("annotations", "word"),
    [({"gpu-fraction": "NaN"}, "gpu-fraction is NaN"), ({"gpu-memory": "-5"}, "gpu-memory is -5")],
)
async def test_nonsense_on_a_pod_is_named_and_others_go_on(annotations, word):
    kube = FakeKube(node(), queue())
    async with scheduling(kube):
        await kube.create(pod("bad", gpus=0, annotations=annotations))
        await kube.create(pod("good"))
        await until(lambda: "good" in placed(kube))
        await until(lambda: word in told(kube, "bad"))


async def test_a_loop_of_queues_is_told_on_the_queue():
    kube = FakeKube(node(), queue(), queue("a", parent="b"), queue("b", parent="a"))
    async with scheduling(kube):
        await kube.create(pod("good"))
        await until(lambda: any(e["involvedObject"]["kind"] == "Queue" for e in kube.all(EVENT)))
        await until(lambda: "good" in placed(kube))


async def test_queues_say_what_they_hold():
    kube = FakeKube(node(), queue("d"), queue("q", parent="d"))
    async with scheduling(kube):
        await kube.create(pod("a", gpus=2))
        await kube.create(pod("b", gpus=0, annotations={"gpu-fraction": "0.5"}))
        await until(lambda: _allocated(kube, "d") == "2500m")
        assert _allocated(kube, "q") == "2500m"
        assert next(q for q in kube.all(QUEUE) if q["metadata"]["name"] == "d")["status"]["childQueues"] == ["q"]


@pytest.mark.parametrize("gone", ["queue", "group"])
async def test_what_holds_a_node_is_counted_though_its_queue_or_group_is_gone(gone):
    kube = FakeKube(node(gpus=2), queue(), queue("other"), group("g", queue_name="other"))
    async with scheduling(kube):
        await kube.create(pod("first", gpus=1, in_group="g"))
        await kube.create(pod("half", gpus=0, in_group="g", annotations={"gpu-fraction": "0.5"}))
        await until(lambda: len(placed(kube)) == 2)
        await (kube.delete(QUEUE, "other") if gone == "queue" else kube.delete(POD_GROUP, "g", "ns"))
        await kube.create(pod("next"))
        await until(lambda: "at most 0 free" in told(kube, "next"))
        await kube.create(queue("other") if gone == "queue" else group("g", queue_name="other"))
        await kube.delete(POD, "half", "ns")
        await until(lambda: "next" in placed(kube))


async def test_a_missing_config_map_keeps_a_pod_waiting():
    kube = FakeKube(node(), queue())
    volumes = [{"name": "v", "configMap": {"name": "settings"}}]
    async with scheduling(kube):
        await kube.create(pod("a", volumes=volumes))
        await until(lambda: "ConfigMap ns/settings" in told(kube, "a"))
        await kube.create(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "ns"}}
        )
        await until(lambda: "a" in placed(kube))


async def test_a_gate_holds_a_pod_back():
    kube = FakeKube(node(), queue())
    async with scheduling(kube):
        await kube.create(pod("a", schedulingGates=[{"name": "g"}]))
        await asyncio.sleep(0.3)
        assert placed(kube) == {}
        await kube.patch(POD, "a", "ns", body={"spec": {"schedulingGates": []}})
        await until(lambda: "a" in placed(kube))


async def test_the_watch_may_break_at_any_time():
    kube = FakeKube(node(gpus=8), queue())
    async with scheduling(kube):
        for index in range(8):
            await kube.create(pod(f"p{index}"))
            kube.drop_watches()
            if index == 4:
                kube.compact()
        await until(lambda: len(placed(kube)) == 8)


def _conditions(kube: FakeKube, name: str) -> list[dict[str, str]]:
    found = next(g for g in kube.all(POD_GROUP) if g["metadata"]["name"] == name)
    return (found.get("status") or {}).get("schedulingConditions") or []


def _pod(kube: FakeKube, name: str) -> dict[str, object]:
    return next((p for p in kube.all(POD) if p["metadata"]["name"] == name), {})


def _leaving(kube: FakeKube, name: str) -> bool:
    return bool(_pod(kube, name).get("metadata", {}).get("deletionTimestamp"))


def _run(kube: FakeKube, name: str) -> None:
    found = _pod(kube, name)
    found["status"]["phase"] = "Running"
    kube.seed(found)


def _owned(name: str) -> dict[str, object]:
    found = pod(name)
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "job", "uid": "job-uid", "controller": True}
    found["metadata"]["ownerReferences"] = [owner]
    return found


def _allocated(kube: FakeKube, name: str) -> str:
    found = next(q for q in kube.all(QUEUE) if q["metadata"]["name"] == name)
    return ((found.get("status") or {}).get("allocated") or {}).get("nvidia.com/gpu", "")


async def test_a_kind_that_is_added_while_pods_run():
    kube = FakeKube(node(gpus=8), queue())
    made = pod("p", gpus=9)
    made["metadata"]["ownerReferences"] = [
        {"apiVersion": "example.com/v1", "kind": "Thing", "name": "t", "uid": "gone", "controller": True}
    ]
    kind = {
        "apiVersion": "run.ai/v1",
        "kind": "WorkloadKind",
        "metadata": {"name": "things"},
        "spec": {"group": "example.com", "kind": "Thing", "priorityClass": "inference"},
    }
    async with scheduling(kube):
        await kube.create(made)
        await kube.create(kind)
        await until(lambda: kube.all(POD_GROUP))
        assert kube.all(POD_GROUP)[0]["spec"]["priorityClassName"] == "inference"
