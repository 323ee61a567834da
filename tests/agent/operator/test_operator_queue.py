"""The operator's work queue: order, one worker a key, and nothing starves."""

from __future__ import annotations

from agent.loops import workqueue
from agent.loops.workqueue import FRESH_IN_A_ROW, WorkQueue


async def drain(queue: WorkQueue[str], count: int) -> list[str]:
    found = []
    for _ in range(count):
        found.append(await queue.get())
        queue.done(found[-1])
    return found


async def test_what_was_never_worked_on_goes_first():
    queue: WorkQueue[str] = WorkQueue()
    queue.add("old")
    await drain(queue, 1)
    for key in ("old", "new", "newer"):
        queue.add(key)
    assert await drain(queue, 3) == ["new", "newer", "old"]


async def test_a_burst_of_new_keys_starves_nobody():
    queue: WorkQueue[str] = WorkQueue()
    queue.add("old")
    await drain(queue, 1)
    queue.add("old")
    for number in range(5 * FRESH_IN_A_ROW):
        queue.add(f"new-{number}")
    assert "old" in await drain(queue, FRESH_IN_A_ROW + 1)


async def test_a_key_that_is_worked_on_waits_for_its_worker():
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert len(queue) == 1


async def test_the_memory_of_keys_is_bounded(monkeypatch):
    monkeypatch.setattr(workqueue, "REMEMBERED", 10)
    queue: WorkQueue[str] = WorkQueue()
    for number in range(1000):
        queue.add(str(number))
        await drain(queue, 1)
        assert len(queue._met) <= 10
    assert queue.idle
