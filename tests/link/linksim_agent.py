"""The agent of the simulator: the real ``Core`` and ``Outbox`` in a process that crashes, stalls and is replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.link.core import Core
from agent.link.documents import plan_removal
from agent.link.outbox import Outbox
from agent.wire.messages import PollAnswer, PollRequest, Problem, Result
from tests.link.linksim_world import CLUSTER, World

KINDS = ("act",)


class Crash(Exception):
    """The agent's process dies here."""


@dataclass
class SimAgent:
    """One process: the real ``Core`` and ``Outbox`` with a clock, a lease and a way to die."""

    world: World
    name: str
    core: Core | None = None
    outbox: Outbox = field(default_factory=Outbox)
    version: int = 0
    dead: bool = False
    stalled_until: int = 0
    in_session: bool = False
    polling: bool = False
    telling: bool = False
    reporting: bool = False
    resync_buckets: bool = False
    executing: set[str] = field(default_factory=set)
    shown: dict[str, int] = field(default_factory=dict)

    def later(self, delay: int, act: Callable[[], None]) -> None:
        """Run ``act`` in this process: never after death, and not while it is stopped."""

        def guarded() -> None:
            if self.dead:
                return
            if self.world.now < self.stalled_until:
                self.world.at(self.stalled_until - self.world.now, guarded)
                return
            try:
                act()
            except Crash:
                self.die()

        self.world.at(delay, guarded)

    def point(self, probability: float = 0.04) -> None:
        """A named point where the process may be killed or stopped."""
        if self.world.chance(probability):
            raise Crash
        if self.world.chance(probability):
            self.world.counts["stalled"] += 1
            self.stalled_until = self.world.now + self.world.random.randrange(1_000, 180_000)

    def die(self) -> None:
        self.dead = True
        self.world.counts["crashed"] += 1
        start_agent(self.world, self.world.random.randrange(100, 10_000))

    # ---- life

    def begin(self) -> None:
        if not self.world.leads(self):
            self.later(2_000 if self.world.faulty else 10_000, self.begin)
            return
        self.version = self.world.cluster.version
        self.core = Core(CLUSTER, self.name, KINDS, self.world.cluster.journal)
        self.outbox = Outbox()
        self.beat()
        if self.write():
            self.point()
            self.open_session()

    def beat(self) -> None:
        """Renew the lease; a process that lost it ends, and starts anew as another instance."""
        if not self.world.renew(self):
            self.die()
            return
        self.tick()
        self.later(2_000 if self.world.faulty else 12_000, self.beat)

    def write(self) -> bool:
        """Make the draft durable. Losing the race means that a successor took over: this process ends."""
        core = self.core
        assert core is not None
        if core.dirty:
            if not self.world.write_journal(self, core.draft):
                self.die()
                return False
            self.point()
            core.written(core.draft)
        return True

    def open_session(self) -> None:
        core = self.core
        assert core is not None
        request = core.session_request()
        self.world.call(
            lambda: self.world.server.session_open(request, self.world.now),
            lambda answer: self.later(0, lambda: self.session_answered(answer)),
        )

    def session_answered(self, answer) -> None:
        assert self.core is not None
        if answer is None:
            self.later(self.world.random.randrange(100, 3_000), self.open_session)
            return
        self.core.session_opened(answer, self.world.now)
        self.outbox.resume(answer.report_seq)
        self.in_session, self.polling = True, False
        if self.write():
            self.tick()

    def lost_epoch(self) -> None:
        assert self.core is not None
        self.core.fence()
        if self.in_session:
            self.in_session = False
            if self.world.cluster.journal.instance_id != self.name:
                self.die()
            else:
                self.later(self.world.random.randrange(1_000, 10_000), self.open_session)

    def tick(self) -> None:
        if not self.in_session or self.core is None:
            return
        self.work()
        if not self.dead:
            self.poll()
            self.tell()
            self.report()

    # ---- commands and documents

    def work(self) -> None:
        core, world = self.core, self.world
        assert core is not None
        core.plan(world.now)
        if not self.write():
            return
        for command in core.to_execute(world.now):
            self.executing.add(command.id)
            self.later(world.random.randrange(1, 2_000), lambda command=command: self.execute(command))
        for item in core.documents.due(world.now, 8):
            self.later(world.random.randrange(1, 200), lambda item=item: self.apply(item))
        if core.documents.sweep_wanted is not None:
            self.later(1, self.sweep)

    def execute(self, command) -> None:
        """Act, in one step with the last look at the fence: a process that lost its lease does not act."""
        core, world = self.core, self.world
        assert core is not None
        self.point(0.08)
        if self.stalled_until > world.now:
            self.later(0, lambda: self.execute(command))
            return
        if world.cluster.lease[0] != self.name or world.now >= world.cluster.lease[1] or not core.may_act(world.now):
            self.die()
            return
        world.effect(command.id, command.cluster_id)
        self.point(0.08)
        core.finished(Result(command.id, world.random.choice(("succeeded", "succeeded", "failed"))))
        self.work()
        if not self.dead:
            self.tell()

    def apply(self, item) -> None:
        core, world = self.core, self.world
        assert core is not None
        if world.cluster.lease[0] != self.name or world.now >= world.cluster.lease[1]:
            return
        if world.chance(0.1):
            core.documents.failed(item, "conflict", "", world.now)
            return
        if item.op == "put":
            world.cluster.objects[item.key] = item.rev
        else:
            world.cluster.objects.pop(item.key, None)
        self.point()
        core.documents.applied(item)

    def sweep(self) -> None:
        core, world = self.core, self.world
        assert core is not None
        wanted = core.documents.sweep_wanted
        if wanted is None or world.cluster.lease[0] != self.name or world.now >= world.cluster.lease[1]:
            return
        plan = plan_removal(world.cluster.objects, wanted, confirmed=False, safe_mode=core.safe_mode)
        for key in plan.keys:
            world.cluster.ledger.foreign_deletes += key in world.cluster.foreign
            world.cluster.objects.pop(key, None)
        core.documents.swept(plan.held_back)

    # ---- talking

    def poll(self) -> None:
        core = self.core
        assert core is not None
        if self.polling or not self.in_session:
            return
        self.polling = True
        digest = self.outbox.digest(buckets=self.resync_buckets)
        request = core.poll_request(digest)
        token = core.epoch
        self.world.poll(self, request, lambda answer: self.later(0, lambda: self.poll_answered(token, request, answer)))
        self.later(35_000, lambda: self.poll_answered(token, request, None))

    def poll_answered(self, epoch: int, request: PollRequest, answer) -> None:
        core = self.core
        assert core is not None
        if epoch != core.epoch or request.poll_seq != core._poll_seq or not self.polling:
            return
        self.polling = False
        if isinstance(answer, Problem) and answer.code == "stale_epoch":
            self.lost_epoch()
            return
        if isinstance(answer, PollAnswer):
            self.point()
            core.poll_answered(request, answer, self.world.now)
            self.resync_buckets = answer.directives.resync == "buckets"
            if answer.directives.resync == "snapshot":
                self.outbox.start_over(answer.directives.resync_buckets)
            self.tick()
        else:
            self.later(self.world.random.randrange(100, 2_000), self.tick)

    def tell(self) -> None:
        core = self.core
        assert core is not None
        request = core.results_request() if not self.telling else None
        if request is None:
            return
        self.telling = True

        def answered(answer) -> None:
            self.telling = False
            if answer is not None:
                core.results_answered(request, answer)
                self.write()

        self.world.call(
            lambda: self.world.server.results(request, self.world.now),
            lambda answer: self.later(0, lambda: answered(answer)),
        )

    def report(self) -> None:
        core, world = self.core, self.world
        assert core is not None
        if self.shown != world.cluster.things:
            self.watch(world.cluster.things)
        if self.reporting:
            return
        page = self.outbox.next_page(core.epoch, world.new_id(f"{self.name}-snap"))
        delta = self.outbox.next_delta(core.epoch)
        if page is None and delta is None:
            return
        self.reporting = True
        handle = (lambda: world.server.page(page)) if page is not None else (lambda: world.server.delta(delta))
        world.call(handle, lambda answer: self.later(0, lambda: self.report_answered(page, delta, answer)))

    def watch(self, things: dict[str, int]) -> None:
        """What an informer tells: every object that is there, and which ones have gone."""
        self.shown = dict(things)
        for uid, content in things.items():
            self.outbox.put("Pod", uid, {"n": content})
        for _, uid in self.outbox.keys() - {("Pod", uid) for uid in things}:
            self.outbox.drop("Pod", uid)

    def report_answered(self, page, delta, answer) -> None:
        self.reporting = False
        if answer is None:
            return
        if isinstance(answer, Problem):
            if answer.code == "stale_epoch":
                self.lost_epoch()
            else:
                self.outbox.gap(answer.committed)
        elif page is not None:
            self.outbox.page_confirmed(page, answer.committed)
        else:
            self.outbox.delta_confirmed(delta, answer.committed)


def start_agent(world: World, delay: int) -> SimAgent:
    agent = SimAgent(world, f"agent-{len(world.agents) + 1}")
    world.agents.append(agent)
    agent.later(delay, agent.begin)
    return agent


def rival(world: World) -> None:
    """A second replica appears now and then, as when a node is lost and the Deployment starts another pod."""
    if world.faulty:
        if sum(not agent.dead for agent in world.agents) < 3:
            start_agent(world, 0)
        world.at(world.random.randrange(20_000, 80_000), lambda: rival(world))


def play(seed: int) -> World:
    """Run one schedule to its end."""
    world = World(seed)
    world.plan_actions()
    start_agent(world, 0)
    world.at(world.random.randrange(10_000, 60_000), lambda: rival(world))
    world.run()
    return world
