"""One term of the link role: from taking over the journal to losing the place. Loops around the pure core.

Each loop may fail and is tried again with back-off; what ends a term is a successor, a new credential, or nothing
having worked for minutes. A term that ends loses nothing: journal, identity and objects are in the cluster.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

import structlog

from agent.kube.errors import KubeError
from agent.kube.protocol import Kube
from agent.kube.watch import Informers
from agent.link.applier import KINDS, PARALLEL, Applier
from agent.link.client import LinkClient, LinkError
from agent.link.clock import chance, now_ms
from agent.link.core import Core
from agent.link.ends import Decommissioned, Hopeless, Revoked, main_cause
from agent.link.executor import Executor
from agent.link.identity import Identity
from agent.link.logs import LogStreams
from agent.link.memory import Memory, TakenOver
from agent.link.outbox import Outbox
from agent.link.pace import Move, hopeless, react
from agent.link.reporter import VERSION, Reporter
from agent.wire import limits
from agent.wire.codec import to_json
from agent.wire.messages import (
    Applied,
    Command,
    DesiredItem,
    EventsRequest,
    PollAnswer,
    PollRequest,
    ResultsAnswer,
    SessionAnswer,
    SnapshotPage,
    StateAnswer,
    StateDelta,
)

log = structlog.get_logger(__name__)

CAPS = ("desired.1", "logs.1", "digest.1")
TICK_S = 1.0
FULL_EVERY_S = 6 * 3600.0
"""Compare all documents with the cluster this often, less a random part so that agents do not come together."""
HELD_BACK_S = 60.0
"""While removals wait for a confirmation: look whether it is given."""
METRICS_EVERY_S = 480.0
"""A token lives 15 minutes; the metrics role always finds one with several minutes left."""


class Term:
    """``say(ok, message)`` tells people how the link is; ``leading()`` is asked before acting."""

    def __init__(
        self,
        kube: Kube,
        informers: Informers,
        link: LinkClient,
        memory: Memory,
        identity: Identity,
        reporter: Reporter,
        outbox: Outbox,
        *,
        leading: Callable[[], bool],
        say: Callable[[bool, str], None],
    ) -> None:
        self._link = link
        self._memory = memory
        self._identity = identity
        self._reporter = reporter
        self._outbox = outbox
        self._leading = leading
        self._say = say
        self._informers = informers
        self._stores = {resource: informers.of(resource, optional=True).store for resource in KINDS}
        self._logs = LogStreams(kube, link, lambda: self._core.directives.log_flush_ms)
        self._executor = Executor(kube, self._logs)
        self._kube = kube
        self._core: Core
        self._applier: Applier
        self._open = asyncio.Event()
        self._reopen = asyncio.Event()
        self._work = asyncio.Event()
        self._tell = asyncio.Event()
        self._writing = asyncio.Lock()
        self._running: set[asyncio.Task[None]] = set()
        self._applying = 0
        self._told: Applied | None = None
        self._send_buckets = False
        self._snapshots = 0
        self._flushed_at = 0.0
        self._full_at = time.monotonic() - FULL_EVERY_S * 0.2 * chance()

    async def run(self) -> None:
        """Ends only by an exception: ``TakenOver``, ``Revoked``, ``Decommissioned``, ``Hopeless``, a defect."""
        journal = await self._memory.load_journal()
        self._core = Core(self._identity.cluster_id, str(uuid4()), self._executor.kinds, journal)
        self._applier = Applier(self._kube, self._stores, self._core.documents, self._identity, self._fetch_blob)
        await self._commit()
        try:
            async with asyncio.TaskGroup() as group:
                for loop in (self._sessions, self._polls, self._works, self._results, self._reports, self._credentials):
                    group.create_task(loop(), name=f"link{loop.__name__}")
                group.create_task(self._watchdog(), name="link_watchdog")
        except ExceptionGroup as errors:
            raise main_cause(errors) from errors
        finally:
            self._core.fence()
            await self._logs.stop()
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    # ---- session

    async def _sessions(self) -> None:
        """Open a session now and whenever the present one is void."""
        uid = await self._memory.cluster_uid()
        self._reopen.set()
        failures = 0
        while True:
            await self._reopen.wait()
            if failures == 0 and await self._memory.writer() != self._core.instance_id:
                raise TakenOver("another instance writes the journal")
            request = self._core.session_request(VERSION, CAPS, uid)
            try:
                answer = await self._link.post("session", request, SessionAnswer)
            except LinkError as error:
                failures += 1
                self._say(False, str(error))
                await self._react(error, failures, -1)
                continue
            failures = 0
            self._core.session_opened(answer, now_ms())
            self._outbox.resume(answer.report_seq)
            await self._commit()
            for order in answer.streams:
                self._logs.open(order)
            self._reopen.clear()
            self._open.set()
            self._work.set()
            self._say(True, f"connected, epoch {answer.epoch}")
            log.info("session_open", epoch=answer.epoch, cluster=answer.cluster_id)

    def _void_session(self) -> None:
        """Stop acting; the session loop opens a new one."""
        self._core.fence()
        self._open.clear()
        self._reopen.set()

    async def _react(self, error: LinkError, failures: int, epoch: int) -> None:
        """Wait as the table says. ``epoch``: of the session that was refused. Raises what ends the term."""
        reaction = react(error.status, error.problem, failures, chance())
        if reaction.move is Move.REVOKED:
            raise Revoked(str(error))
        if reaction.move is Move.STOP:
            raise Decommissioned(str(error))
        if failures in (1, 5) or failures % 20 == 0:
            log.warning("link_trouble", error=str(error), failures=failures, wait_ms=reaction.wait_ms)
        stale = reaction.move is Move.NEW_SESSION
        if stale and epoch != self._core.epoch:
            return  # another loop has dealt with it
        if stale:
            self._core.fence()
            self._open.clear()
        await asyncio.sleep(reaction.wait_ms / 1000)
        if stale and epoch == self._core.epoch:
            self._void_session()

    async def _retrying(self, step: Callable[[], Awaitable[None]]) -> None:
        """Run ``step`` for ever while a session is open, with back-off when it fails."""
        failures = 0
        while True:
            await self._open.wait()
            epoch = self._core.epoch
            try:
                await step()
                failures = 0
            except LinkError as error:
                failures += 1
                await self._react(error, failures, epoch)
            except KubeError as error:
                failures += 1
                log.warning("cluster_trouble", error=error.message, failures=failures)
                await asyncio.sleep(min(15.0, 0.2 * 2**failures))

    # ---- polls

    async def _polls(self) -> None:
        await self._retrying(self._poll)

    async def _poll(self) -> None:
        core = self._core
        request = core.poll_request(self._outbox.digest(buckets=self._send_buckets))
        timeout_s = (request.wait_ms * (1 + limits.HOLD_JITTER) + limits.SOCKET_EXTRA_MS) / 1000
        reply = await self._link.send("POST", "poll", to_json(request), timeout_s=timeout_s)
        if reply.status == 204:
            core.last_poll_ok = now_ms()
            self._say(True, f"connected, epoch {core.epoch}")
            await asyncio.sleep(int(reply.headers.get("Runai-Spread-Ms", "0")) / 1000 * chance())
            return
        answer = self._link.read(PollAnswer, reply)
        await self._take(request, answer)
        await asyncio.sleep(answer.directives.spread_ms / 1000 * chance())

    async def _take(self, request: PollRequest, answer: PollAnswer) -> None:
        core = self._core
        core.poll_answered(request, answer, now_ms())
        if core.fenced:
            self._void_session()
            return
        self._send_buckets = answer.directives.resync == "buckets"
        if answer.directives.resync == "snapshot":
            log.warning("state_differs", buckets=len(answer.directives.resync_buckets))
            self._outbox.start_over(answer.directives.resync_buckets)
            self._reporter.changed.set()
        if answer.desired is not None or answer.cancel:
            self._work.set()
        if answer.commands or core.dirty:
            core.plan(now_ms())
            # Written before the next poll, which would be offered the same commands again.
            await self._commit()
            self._work.set()

    async def _commit(self) -> None:
        """Make the draft durable. Raises ``TakenOver``, ``KubeError``."""
        async with self._writing:
            while self._core.dirty:
                draft = self._core.draft
                await self._memory.write_journal(draft)
                self._core.written(draft)
                self._tell.set()

    # ---- work

    async def _works(self) -> None:
        """Commands and documents: what is due is started; the loop itself never waits for one of them."""
        await self._informers.synced()
        await self._retrying(self._do_due)

    async def _do_due(self) -> None:
        core = self._core
        self._work.clear()
        core.plan(now_ms())
        await self._commit()
        if time.monotonic() - self._full_at > (HELD_BACK_S if core.documents.held_back else FULL_EVERY_S):
            self._full_at = time.monotonic()
            core.documents.restart()
        if self._leading():
            for command in core.to_execute(now_ms()):
                self._spawn(self._execute(command))
            if not core.fenced:
                for item in core.documents.due(now_ms(), PARALLEL - self._applying):
                    self._applying += 1
                    self._spawn(self._apply(item))
                if core.documents.sweep_wanted is not None:
                    await self._applier.sweep(safe_mode=core.safe_mode)
                    self._tell.set()
        await self._pause()

    async def _pause(self) -> None:
        waits = self._core.documents.next_due_in(now_ms())
        timeout = TICK_S if waits is None or self._applying >= PARALLEL else min(TICK_S, max(0.01, waits / 1000))
        try:
            async with asyncio.timeout(timeout):
                await self._work.wait()
        except TimeoutError:
            return

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _execute(self, command: Command) -> None:
        if not self._leading():
            return
        self._core.finished(await self._executor.run(command))
        self._work.set()

    async def _apply(self, item: DesiredItem) -> None:
        try:
            if self._leading():
                await self._applier.apply(item, now_ms)
        except LinkError as error:  # its blob could not be fetched
            self._core.documents.failed(item, "blob_unavailable", str(error), now_ms())
        finally:
            self._applying -= 1
            self._work.set()
            self._tell.set()

    async def _fetch_blob(self, address: str) -> bytes:
        return (await self._link.send("GET", f"blobs/{address}")).body

    # ---- results

    async def _results(self) -> None:
        await self._retrying(self._tell_results)

    async def _tell_results(self) -> None:
        await self._tell.wait()
        await asyncio.sleep(0.02)
        self._tell.clear()
        applied = self._core.documents.report()
        request = self._core.results_request(applied if applied != self._told else None)
        if request is None:
            return
        try:
            answer = await self._link.post("results", request, ResultsAnswer)
        except LinkError:
            self._tell.set()
            raise
        self._told = applied
        self._core.results_answered(request, answer)
        await self._commit()

    # ---- reports

    async def _reports(self) -> None:
        await self._informers.synced()
        await self._retrying(self._report)

    async def _report(self) -> None:
        """One window: what changed in it goes up as few batches. After a quiet time the first change goes sooner."""
        try:
            async with asyncio.timeout(10.0):
                await self._reporter.changed.wait()
            window = min(1.0, max(0.1, self._core.directives.state_flush_ms / 1000))
            quiet = time.monotonic() - self._flushed_at > 2 * window
            await asyncio.sleep(0.2 * window if quiet else 0.6 * window)
        except TimeoutError:
            pass
        self._flushed_at = time.monotonic()
        self._reporter.flush(self._outbox)
        while self._outbox.waiting and self._open.is_set():
            await self._send_state()
        await self._send_events()

    async def _send_state(self) -> None:
        self._snapshots += 1
        page = self._outbox.next_page(self._core.epoch, f"{self._core.instance_id[:18]}-{self._snapshots}")
        delta = None if page is not None else self._outbox.next_delta(self._core.epoch)
        try:
            if page is not None:
                answer = await self._link.post("state/snapshot", page, StateAnswer)
                self._outbox.page_confirmed(page, answer.committed)
            elif delta is not None:
                answer = await self._link.post("state/delta", delta, StateAnswer)
                self._outbox.delta_confirmed(delta, answer.committed)
        except LinkError as error:
            if not self._reconciled(error, page, delta):
                raise

    def _reconciled(self, error: LinkError, page: SnapshotPage | None, delta: StateDelta | None) -> bool:
        """Cursors that differ are set straight without waiting; a batch that will never be taken is given up."""
        if error.status == 409 and error.problem is not None and error.problem.committed is not None:
            if page is not None:
                self._outbox.committed = error.problem.committed
                self._outbox.start_over(page.buckets)
            else:
                self._outbox.gap(error.problem.committed)
            return True
        if error.status in (413, 415, 422) and delta is not None:
            log.error("state_refused", error=str(error), items=len(delta.items))
            self._outbox.give_up()
        return False

    async def _send_events(self) -> None:
        while self._reporter.has_events and self._open.is_set():
            batch = self._reporter.take_events()
            if batch:
                await self._link.send("POST", "events", to_json(EventsRequest(self._core.epoch, tuple(batch))))

    # ---- the rest

    async def _credentials(self) -> None:
        """A fresh token for the metrics role, in its Secret."""
        await self._retrying(self._renew_metrics_token)

    async def _renew_metrics_token(self) -> None:
        await self._memory.store_metrics_token(await self._link.token("metrics"))
        await asyncio.sleep(METRICS_EVERY_S)

    async def _watchdog(self) -> None:
        while True:
            await asyncio.sleep(5.0)
            if hopeless(int(self._link.last_success * 1000), now_ms()):
                raise Hopeless(f"nothing worked for {limits.WATCHDOG_MS // 1000} s")
