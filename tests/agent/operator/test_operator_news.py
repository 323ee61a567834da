"""No news is lost and none is told twice: interleavings of the queue, of caches and of answers; requests counted."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.kube.errors import NotFound
from agent.kube.resources import POD, WORKLOAD
from agent.loops import first_news, reconcile_workload
from agent.loops.first_news import BURST, FirstNews
from agent.loops.workqueue import WorkQueue
from tests.agent.fake_kube import FakeKube
from tests.agent.operator.operating import namespace, operating, play, project, running, status, workload

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from("abc")),
        st.tuples(st.just("later"), st.sampled_from("abc")),
        st.tuples(st.just("cancel"), st.integers(0, 3)),
        st.tuples(st.just("turn"), st.integers(1, 3)),
    ),
    max_size=30,
)


@given(STEPS, st.integers(1, 4))
def test_after_its_last_call_every_key_is_looked_at_once_more(steps, workers):
    """Workers come, work for a while, fail now and then and are cancelled anywhere but in their work."""

    async def play_it() -> None:
        queue: WorkQueue[str] = WorkQueue()
        called: dict[str, int] = {}
        seen: dict[str, int] = {}

        async def work(number: int) -> None:
            while True:
                key = await queue.get()
                seen[key] = called[key]
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0)
                if (called[key] + number) % 5 == 4:
                    queue.failed(key)
                else:
                    queue.done(key)

        crew = [asyncio.create_task(work(number)) for number in range(workers)]
        for verb, what in steps:
            if verb in ("add", "later"):
                called[what] = called.get(what, 0) + 1
                queue.add(what) if verb == "add" else queue.add_after(what, 0.001)
            elif verb == "cancel":
                crew[what % workers].cancel()
                crew[what % workers] = asyncio.create_task(work(what))
            else:
                for _ in range(what):
                    await asyncio.sleep(0)
        for _ in range(2000):
            if seen == called and queue.idle:
                break
            await asyncio.sleep(0.001)
        for task in crew:
            task.cancel()
        assert seen == called

    asyncio.run(play_it())


async def test_one_key_wakes_one_worker():
    queue: WorkQueue[str] = WorkQueue()
    woken = []

    async def work(number: int) -> None:
        woken.append((number, await queue.get()))

    crew = [asyncio.create_task(work(number)) for number in range(5)]
    await asyncio.sleep(0)
    queue.add("a")
    assert len(queue._sleepers) == 4
    await asyncio.sleep(0)
    assert woken == [(0, "a")]
    for task in crew:
        task.cancel()


async def test_pods_are_known_when_the_definition_of_workloads_was_away_for_a_moment():
    """An API server that starts, or brings a definition up to date, answers 404 meanwhile."""
    kube = FakeKube(project(), namespace("runai-vision"), workload(type="distributed", workers=3))
    async with operating(kube) as operator:
        await operator.settle()
        for pod in kube.all(POD):
            await kube.bind("runai-vision", pod["metadata"]["name"], "n", uid=pod["metadata"]["uid"])
        for index in range(2):
            await play(kube, f"hello-{index}", **running())
        await operator.settle()
        kube.fail("watch", "Workload", NotFound("the server could not find the requested resource", status=404))
        kube.drop_watches()
        store = operator.workloads.workloads
        await _until(lambda: not len(store))
        await _until(lambda: len(store) == 1)
        await play(kube, "hello-2", **running())
        await operator.settle()
        assert (status(kube)["phase"], status(kube)["runningPods"]) == ("Running", 3)


async def test_a_pod_that_was_deleted_before_its_making_was_answered_is_made_again(monkeypatch):
    monkeypatch.setattr(reconcile_workload, "SEEN_WITHIN_S", 0.2)
    kube = FakeKube(project(), namespace("runai-vision"))
    create = kube.create

    async def slow(obj):
        """The answer comes after the watch has shown the pod come and go."""
        made = await create(obj)
        if obj["kind"] == "Pod" and kube.calls["create", "Pod"] == 1:
            await asyncio.sleep(0.02)
            await kube.delete(POD, made["metadata"]["name"], made["metadata"]["namespace"])
            await asyncio.sleep(0.05)
        return made

    kube.create = slow
    async with operating(kube) as operator:
        await create(workload())
        await operator.settle()
        await _until(lambda: bool(kube.all(POD)))


async def test_workloads_that_are_gone_leave_nothing_in_memory(monkeypatch):
    monkeypatch.setattr(reconcile_workload, "SEEN_WITHIN_S", 0.0)
    keys = {"type": "distributed", "framework": "MPI", "workers": 2, "sshAuthMountPath": "/keys"}
    kube = FakeKube(project(), namespace("runai-vision"))
    async with operating(kube) as operator:
        known, facts = operator.workloads, operator.workloads._facts
        for _ in range(3):
            await kube.create(workload(**keys))
            await _until(lambda: len(kube.all(POD)) == 2)
            for pod in kube.all(POD):
                kube.seed(pod | {"spec": pod["spec"] | {"nodeName": "n1"}})
            await _until(lambda: facts._on_node)
            await kube.delete(WORKLOAD, "hello", "runai-vision")
            await _until(lambda: not len(known.workloads))
            for pod in kube.all(POD):
                await kube.delete(POD, pod["metadata"]["name"], "runai-vision")
            await _until(lambda: not facts._pods_of)
        assert facts._on_node == {}
        assert len(known._made) <= 1, "what was made last is enough to remember"


async def test_requests_of_a_workload_in_a_burst():
    """Its pod is made and its status is written once: nothing is read, and nothing said that a better word follows."""
    count = 3 * BURST
    kube = FakeKube(project(), namespace("runai-vision"))
    async with operating(kube, first_news_s=30.0) as operator:
        await operator.settle()
        before = kube.calls.copy()
        for number in range(count):
            await kube.create(workload(f"w-{number:03d}"))
        await _until(lambda: len(kube.all(POD)) == count)
        await operator.settle()
        for number in range(count):
            await play(kube, f"w-{number:03d}-0", **running())
        await _until(lambda: all(obj.get("status") for obj in kube.all(WORKLOAD)))
        await operator.settle()
        made = {call: n for call, n in (kube.calls - before).items() if call != ("watch", "Pod")}
        assert made == {
            ("create", "Workload"): count,
            ("create", "Pod"): count,
            ("patch", "Pod"): count,  # this test's
            ("patch", "Workload"): count,
        }


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("others", "waited", "trouble", "held"),
    [
        (BURST, 0.1, False, True),
        (BURST - 2, 0.1, False, False),
        (BURST, 0.1, True, False),
        (BURST, first_news.BURST_NEWS_S, False, False),
    ],
    ids=["burst", "few", "trouble", "long enough"],
)
def test_words_of_a_burst_wait(others, waited, trouble, held):
    clock = Clock()
    news = FirstNews(clock)
    news.born("mine")
    clock.now += waited
    for number in range(others):
        news.born(f"other-{number}")
    assert (news.hold("mine", trouble=trouble) > 0) == held


async def _until(question) -> None:
    async with asyncio.timeout(30):
        while not question():
            await asyncio.sleep(0.01)
