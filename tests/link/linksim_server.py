"""The server of the simulator: tables in dicts, every decision by ``link.protocol``. Each method is one transaction."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from agent.wire import limits
from agent.wire.commands import Delivery, ResultState, Verdict
from agent.wire.digest import StateDigest, bucket_of, differing
from agent.wire.messages import (
    Command,
    Desired,
    DesiredItem,
    Directives,
    PollAnswer,
    PollRequest,
    Problem,
    Receipt,
    ResultsAnswer,
    ResultsRequest,
    SessionAnswer,
    SessionRequest,
    SnapshotPage,
    StateAnswer,
    StateDelta,
)
from link.protocol import commands as rules
from link.protocol import exchange
from link.protocol.commands import ENDED, CommandRow, CommandState
from link.protocol.state import SnapshotCursor, Take, judge_delta, judge_page, next_cursor

PAGE = 2


@dataclass
class Doc:
    key: str
    rev: int
    body: dict[str, object] | None


@dataclass
class Stored:
    hash: str
    obj: dict[str, object]
    mark: str = ""


@dataclass
class SimServer:
    cluster_id: str
    generation: str = "g1"
    rows: dict[str, CommandRow] = field(default_factory=dict)
    bodies: dict[str, Command] = field(default_factory=dict)
    docs: dict[str, Doc] = field(default_factory=dict)
    last_seq: int = 0
    last_rev: int = 0
    pruned_rev: int = 0
    epoch: int = 0
    instance: str = ""
    session_log: tuple[tuple[str, int], ...] = ()
    poll_seq: int = 0
    applied_rev: int = 0
    report_seq: int = 0
    snapshot: SnapshotCursor = field(default_factory=SnapshotCursor)
    state: dict[tuple[str, str], Stored] = field(default_factory=dict)
    anomalies: list[tuple[str, str, str]] = field(default_factory=list)
    ended_once: dict[str, CommandState] = field(default_factory=dict)
    misses: int = 0
    resync: tuple[str, tuple[int, ...]] | None = None
    terminal_changes: int = 0
    polls: int = 0

    # ---- the API's side

    def send(self, command_id: str, key: str, delivery: str, now: int, within_ms: int) -> None:
        self.last_seq += 1
        self.rows[command_id] = CommandRow(
            command_id, self.last_seq, CommandState.OWED, Delivery(delivery), now + within_ms
        )
        self.bodies[command_id] = Command(
            command_id, self.last_seq, self.cluster_id, "act", delivery, {}, key, start_within_ms=within_ms
        )

    def cancel(self, command_id: str, now: int) -> None:
        row = self.rows[command_id]
        if row.state not in ENDED:
            self._store(exchange.overdue(replace(row, cancel=True), now))

    def put(self, key: str, body: dict[str, object] | None) -> None:
        self.last_rev += 1
        self.docs[key] = Doc(key, self.last_rev, body)

    def prune(self) -> None:
        for key in [key for key, doc in self.docs.items() if doc.body is None]:
            self.pruned_rev = max(self.pruned_rev, self.docs.pop(key).rev)

    def sweep(self, now: int) -> None:
        for row in self._open():
            self._store(exchange.overdue(row, now))

    # ---- the agent's side

    def session_open(self, request: SessionRequest, now: int) -> SessionAnswer:
        made = exchange.open_session(self.epoch, self.instance, self.session_log, request.instance_id, now)
        self.session_log = made.log
        if not made.resumed:
            self.epoch, self.instance, self.poll_seq = made.epoch, request.instance_id, 0
        return SessionAnswer(
            f"s{self.epoch}", self.epoch, self.cluster_id, self.generation, self.report_seq, Directives()
        )

    def poll(self, request: PollRequest, now: int) -> PollAnswer | Problem:
        self.polls += 1
        refused = self._fence(request.epoch)
        if refused:
            return refused
        if request.poll_seq <= self.poll_seq:
            return Problem("superseded", status=409)
        self.poll_seq = request.poll_seq
        self._acks(request.acks, request.running, now)
        self._applied(request)
        return self.owed(request, now, tuple(ack.id for ack in request.acks))

    def owed(self, request: PollRequest, now: int, acked: tuple[str, ...] = ()) -> PollAnswer:
        named = frozenset(request.running) | frozenset(ack.id for ack in request.acks)
        settled = exchange.settle_offers(self._open(), request.cursor.command_seq, request.capacity, now, named=named)
        for row in settled.changed:
            self._store(row)
        return PollAnswer(
            epoch=request.epoch,
            server_generation=self.generation,
            commands=tuple(self.bodies[name] for name in settled.offers),
            cancel=settled.cancel,
            desired=self._desired(request),
            acked=acked,
            report_seq=self.report_seq,
            directives=self._directives(request),
            more=settled.more,
        )

    def has_news(self, answer: PollAnswer) -> bool:
        return bool(answer.commands or answer.cancel or answer.desired or answer.directives.resync)

    def results(self, request: ResultsRequest, now: int) -> ResultsAnswer:
        if request.epoch == self.epoch:
            self._acks(request.acks, request.running, now)
        receipts = []
        for result in request.items:
            row = self.rows.get(result.id)
            verdict, state = rules.judge_result(row, ResultState(result.state))
            told = ResultState(result.state)
            if row is not None and verdict is Verdict.CONFLICT and rules.proves_double_execution(row.state, told):
                self.anomalies.append((result.id, row.state, result.state))
            if row is not None and state is not None:
                until = now + limits.LEASE_MS if state not in ENDED else None
                self._store(replace(row, state=state, until=until))
            receipts.append(Receipt(result.id, verdict))
        return ResultsAnswer(tuple(receipts), tuple(ack.id for ack in request.acks))

    def delta(self, request: StateDelta) -> StateAnswer | Problem:
        refused = self._fence(request.epoch)
        if refused:
            return refused
        take = judge_delta(self.report_seq, request.base, request.items)
        if take is Take.GAP:
            return Problem("gap", status=409, committed=self.report_seq)
        if take is Take.APPLY:
            for item in request.items:
                self._report(item)
                self.report_seq = item.seq
        return StateAnswer(self.report_seq)

    def page(self, page: SnapshotPage) -> StateAnswer | Problem:
        refused = self._fence(page.epoch)
        if refused:
            return refused
        take = judge_page(self.report_seq, self.snapshot, page)
        if take is Take.GAP:
            return Problem("gap", status=409, committed=self.report_seq)
        if take is Take.APPLY:
            for item in page.items:
                self._report(item, page.snapshot_id)
            if page.complete:
                buckets = set(page.buckets)
                for key, stored in list(self.state.items()):
                    if stored.mark != page.snapshot_id and (not buckets or bucket_of(key[1]) in buckets):
                        del self.state[key]
                self.report_seq = page.base + 1
            self.snapshot = next_cursor(self.snapshot, page)
        return StateAnswer(self.report_seq, page.page)

    # ---- inside

    def _fence(self, epoch: int) -> Problem | None:
        return Problem("stale_epoch", status=409, instance_id=self.instance) if epoch != self.epoch else None

    def _open(self) -> list[CommandRow]:
        return sorted((row for row in self.rows.values() if row.state not in ENDED), key=lambda row: row.seq)

    def _store(self, row: CommandRow) -> None:
        before = self.rows[row.id]
        if before.state in ENDED and row.state is not before.state:
            self.terminal_changes += 1
        self.rows[row.id] = row

    def _acks(self, acks, running, now: int) -> None:
        for row in exchange.settle_acks(self._open(), acks, running, now).changed:
            self._store(row)

    def _applied(self, request: PollRequest) -> None:
        if request.applied is not None:
            self.applied_rev = max(self.applied_rev, min(request.applied.desired_rev, self.last_rev))

    def _desired(self, request: PollRequest) -> Desired | None:
        plan = exchange.plan_desired(request.cursor, self.last_rev, self.pruned_rev)
        if plan is None:
            return None
        if plan.full:
            live = sorted((doc for doc in self.docs.values() if doc.body is not None), key=lambda doc: doc.key)
            rest = [doc for doc in live if doc.key > plan.after]
            return Desired(plan.since, plan.to, True, len(rest) <= PAGE, tuple(map(self._item, rest[:PAGE])))
        changed = sorted((doc for doc in self.docs.values() if doc.rev > plan.since), key=lambda doc: doc.rev)[:PAGE]
        to = changed[-1].rev if len(changed) == PAGE else plan.to
        return Desired(plan.since, to, items=tuple(map(self._item, changed)))

    def _item(self, doc: Doc) -> DesiredItem:
        return DesiredItem(
            doc.key, doc.rev, "put" if doc.body is not None else "delete", self.cluster_id, body=doc.body
        )

    def _report(self, item, mark: str = "") -> None:
        if item.op == "delete":
            self.state.pop((item.kind, item.uid), None)
        else:
            self.state[(item.kind, item.uid)] = Stored(item.hash, item.obj, mark)

    def _directives(self, request: PollRequest) -> Directives:
        digest = request.digest
        if digest is None or digest.report_seq != self.report_seq:
            return Directives()
        mine = StateDigest.of((kind, uid, stored.hash) for (kind, uid), stored in self.state.items())
        if mine.root() == digest.root:
            self.misses = 0
            return Directives()
        self.misses += 1
        if digest.buckets:
            return Directives(resync="snapshot", resync_buckets=differing(mine.buckets(), digest.buckets))
        return Directives(resync="buckets") if self.misses >= 2 else Directives()
