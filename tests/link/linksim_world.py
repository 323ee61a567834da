"""A deterministic world: virtual clock, lossy network, a cluster, agents that crash, stall and are replaced.

One seed is one schedule. Faults happen until ``HEAL``; then everything works and the world comes to rest. The real
cores of both sides run in it; only clock, transport and storage are the simulator's.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.link.journal import Journal
from agent.wire.messages import PollRequest, Problem
from tests.link.linksim_server import SimServer

if TYPE_CHECKING:
    from tests.link.linksim_agent import SimAgent

CLUSTER = "c-1"
HEAL = 120_000
END = 600_000
LEASE = 15_000


@dataclass
class Ledger:
    """E: what was really done in the cluster."""

    effects: list[tuple[str, str]] = field(default_factory=list)
    """(command id, cluster id it was sent for), in order; an idempotent repeat is not listed."""
    repeats: int = 0
    foreign_deletes: int = 0


@dataclass
class Cluster:
    """What survives every crash of the agent."""

    journal: Journal = field(default_factory=Journal)
    version: int = 0
    objects: dict[str, int] = field(default_factory=dict)
    """Documents in the cluster: key → rev."""
    foreign: set[str] = field(default_factory=lambda: {"other/of-somebody-else"})
    things: dict[str, int] = field(default_factory=dict)
    """Reported objects: uid → content."""
    lease: tuple[str, int] = ("", 0)
    ledger: Ledger = field(default_factory=Ledger)


class World:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0
        self.server = SimServer(CLUSTER)
        self.cluster = Cluster()
        self.agents: list[SimAgent] = []
        self.held: dict[str, tuple[PollRequest, Callable[[object], None]]] = {}
        self.sent: dict[str, tuple[str, str]] = {}
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._tick = itertools.count()
        self._ids = itertools.count(1)
        self.counts = {"lost": 0, "duplicated": 0, "crashed": 0, "stalled": 0, "wakes lost": 0}

    # ---- clock

    def at(self, delay: int, act: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now + delay, next(self._tick), act))

    def run(self) -> None:
        while self._queue:
            at, _, act = heapq.heappop(self._queue)
            if at > END:
                return
            self.now = at
            act()

    @property
    def faulty(self) -> bool:
        return self.now < HEAL

    def chance(self, probability: float) -> bool:
        return self.faulty and self.random.random() < probability

    def new_id(self, prefix: str) -> str:
        return f"{prefix}{next(self._ids)}"

    # ---- network

    def call(self, handle: Callable[[], object], reply: Callable[[object], None]) -> None:
        """A request: lost before, lost after (the server did it), duplicated, delayed; never half done."""
        if self.chance(0.08):
            self.counts["lost"] += 1
            self.at(8_000, lambda: reply(None))
            return
        lost_after = self.chance(0.1)
        self.at(self._delay(), lambda: self._arrive(handle, None if lost_after else reply))
        if lost_after:
            self.counts["lost"] += 1
            self.at(9_000, lambda: reply(None))
        if self.chance(0.06):
            self.counts["duplicated"] += 1
            self.at(self.random.randrange(1, 40_000), lambda: self._arrive(handle, None))

    def _delay(self) -> int:
        return self.random.randrange(1, 3_000 if self.faulty and self.random.random() < 0.1 else 40)

    def _arrive(self, handle: Callable[[], object], reply: Callable[[object], None] | None) -> None:
        answer = handle()
        if reply is not None:
            self.at(self._delay(), lambda: reply(answer))

    def poll(self, agent: SimAgent, request: PollRequest, reply: Callable[[object], None]) -> None:
        """The held poll: answered when there is news, at a wake-up, or at the end of the hold."""

        def handle() -> object:
            answer = self.server.poll(request, self.now)
            if isinstance(answer, Problem) or self.server.has_news(answer) or request.wait_ms == 0:
                return answer
            self.held[agent.name] = (request, reply)
            self.at(25_000, lambda: self._end_hold(agent.name, request))
            return "held"

        def answered(answer: object) -> None:
            if answer != "held":
                reply(answer)

        self.call(handle, answered)

    def _end_hold(self, name: str, request: PollRequest) -> None:
        found = self.held.get(name)
        if found is None or found[0] is not request:
            return
        del self.held[name]
        if request.epoch != self.server.epoch:
            answer: object = Problem("stale_epoch", status=409)
        elif request.poll_seq != self.server.poll_seq:
            answer = Problem("superseded", status=409)
        else:
            answer = self.server.owed(request, self.now, tuple(ack.id for ack in request.acks))
        if not self.chance(0.1):
            self.at(self._delay(), lambda: found[1](answer))
        else:
            self.at(10_000, lambda: found[1](None))

    def wake(self) -> None:
        """Redis' hint, which may be lost."""
        if self.chance(0.3):
            self.counts["wakes lost"] += 1
            return
        for name, (request, _) in list(self.held.items()):
            self.at(2, lambda name=name, request=request: self._end_hold(name, request))

    # ---- people

    def plan_actions(self) -> None:
        rng = self.random
        for _ in range(rng.randrange(2, 7)):
            self.at(rng.randrange(HEAL), self._send)
        for _ in range(rng.randrange(2, 7)):
            self.at(rng.randrange(HEAL), self._document)
        for _ in range(rng.randrange(2, 7)):
            self.at(rng.randrange(HEAL), self._change_thing)
        if rng.random() < 0.3:
            self.at(rng.randrange(HEAL), self.server.prune)
        for moment in range(5_000, END, 30_000):
            self.at(moment, lambda: self.server.sweep(self.now))

    def _send(self) -> None:
        name, rng = self.new_id("cmd-"), self.random
        key, delivery = rng.choice(("a", "b")), rng.choice(("at_least_once", "at_most_once"))
        self.server.send(name, key, delivery, self.now, rng.choice((5_000, 60_000, 120_000)))
        self.sent[name] = (key, delivery)
        self.wake()
        if rng.random() < 0.2:
            self.at(rng.randrange(1, 20_000), lambda: self._cancel(name))

    def _cancel(self, name: str) -> None:
        self.server.cancel(name, self.now)
        self.wake()

    def _document(self) -> None:
        key = f"workload/{self.random.randrange(4)}"
        known = self.server.docs.get(key)
        gone = known is not None and known.body is not None and self.random.random() < 0.4
        self.server.put(key, None if gone else {"n": self.now})
        self.wake()

    def _change_thing(self) -> None:
        uid = f"uid-{self.random.randrange(5)}"
        if uid in self.cluster.things and self.random.random() < 0.4:
            del self.cluster.things[uid]
        else:
            self.cluster.things[uid] = self.now

    # ---- the cluster

    def write_journal(self, agent: SimAgent, journal: Journal) -> bool:
        if self.cluster.version != agent.version:
            return False
        self.cluster.journal, self.cluster.version = journal, self.cluster.version + 1
        agent.version = self.cluster.version
        return True

    def leads(self, agent: SimAgent) -> bool:
        holder, until = self.cluster.lease
        if holder == agent.name and self.now < until:
            return True
        if self.now >= until + 500 or holder == "":
            self.cluster.lease = (agent.name, self.now + LEASE)
            return True
        return False

    def renew(self, agent: SimAgent) -> bool:
        holder, until = self.cluster.lease
        if holder != agent.name or self.now >= until:
            return False
        self.cluster.lease = (agent.name, self.now + LEASE)
        return True

    def effect(self, command_id: str, cluster_id: str) -> None:
        ledger = self.cluster.ledger
        if self.sent[command_id][1] == "at_least_once" and any(item[0] == command_id for item in ledger.effects):
            ledger.repeats += 1
            return
        ledger.effects.append((command_id, cluster_id))
