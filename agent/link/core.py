"""The agent's side of the protocol as one state machine: no I/O, no clock, no chance.

The shell sends what ``*_request`` returns, hands every answer in, writes ``draft`` down whenever it differs from
``durable``, and executes what ``to_execute`` returns. Only durable facts are told or acted upon.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from agent.link import journal as j
from agent.link.documents import Documents
from agent.link.journal import Journal, Stage
from agent.wire import limits
from agent.wire.commands import FORGETTABLE
from agent.wire.messages import (
    Ack,
    Applied,
    Command,
    Digest,
    Directives,
    PollAnswer,
    PollRequest,
    Result,
    ResultsAnswer,
    ResultsRequest,
    SessionAnswer,
    SessionRequest,
)

MAX_ENTRIES = 200
"""Commands kept at once: the journal must fit one object of the cluster's store."""
RESULTS_BATCH = 100


class Core:
    """One instance's state. Times are monotonic milliseconds."""

    def __init__(self, cluster_id: str, instance_id: str, kinds: Collection[str], stored: Journal) -> None:
        """``stored`` is what the cluster remembers; the shell must write ``draft`` before the first session."""
        self.cluster_id = cluster_id
        self.instance_id = instance_id
        self.documents = Documents(cluster_id)
        self.durable = stored
        self.draft = j.take_over(stored, instance_id)
        self.directives = Directives()
        self.session = ""
        self.epoch = 0
        self.fenced = True
        """True until a session is open and after another instance took over: nothing new is started."""
        self.committed_report_seq = 0
        self.last_poll_ok = 0
        self._kinds = frozenset(kinds)
        self._poll_seq = 0
        self._acked: dict[str, str] = {}
        self._received_at: dict[str, int] = {}
        self._dispatched: set[str] = set()

    @property
    def safe_mode(self) -> bool:
        """Nothing is removed (see ``Journal.safe_mode``)."""
        return self.draft.safe_mode

    # ---- session

    def session_request(self, agent_version: str = "", caps: tuple[str, ...] = (), uid: str = "") -> SessionRequest:
        return SessionRequest(self.instance_id, agent_version, caps, uid)

    def session_opened(self, answer: SessionAnswer, now: int) -> None:
        """Raises ``ValueError`` when the server answers for another cluster."""
        if answer.cluster_id != self.cluster_id:
            raise ValueError(f"session: the server answered for cluster {answer.cluster_id}")
        if self.draft.server_generation not in ("", answer.server_generation):
            self.documents.restart()
            self.draft = j.new_generation(self.draft, answer.server_generation)
        elif not self.draft.server_generation:
            self.draft = replace(self.draft, server_generation=answer.server_generation)
        self.session, self.epoch = answer.session, answer.epoch
        self.directives = answer.directives
        self.committed_report_seq = answer.report_seq
        self._acked.clear()
        self.fenced = False
        self.last_poll_ok = now

    def fence(self) -> None:
        """Another instance holds the session, or our place is lost: start nothing more."""
        self.fenced = True

    # ---- poll

    def poll_request(self, digest: Digest | None = None, wait_ms: int | None = None) -> PollRequest:
        self._poll_seq += 1
        return PollRequest(
            session=self.session,
            epoch=self.epoch,
            poll_seq=self._poll_seq,
            wait_ms=self.directives.wait_ms if wait_ms is None else wait_ms,
            cursor=self.documents.with_seq(self.durable.command_seq),
            acks=self._acks(),
            running=j.open_ids(self.durable),
            applied=self.documents.report(),
            capacity=self._capacity(),
            digest=digest,
        )

    def poll_answered(self, request: PollRequest, answer: PollAnswer, now: int) -> None:
        """Take commands into the draft and documents into the queue. An answer of another epoch is void."""
        if answer.epoch != self.epoch or self.fenced:
            return
        self.last_poll_ok = now
        self.directives = answer.directives
        self.committed_report_seq = max(self.committed_report_seq, answer.report_seq)
        self._note_acked(request.acks, answer.acked)
        if answer.server_generation != self.draft.server_generation:
            self.fenced = True  # a new session sorts it out
            return
        known = {item.command.id for item in self.draft.entries}
        self.draft = j.receive(self.draft, answer.commands, self.cluster_id, self._kinds)
        for command in answer.commands:
            if command.id not in known:
                self._received_at[command.id] = now
        self.draft = j.cancel(self.draft, answer.cancel)
        desired = answer.desired
        if desired is not None:
            self.documents.take(desired)
            if desired.full and desired.complete and desired.confirm_removals:
                self.draft = replace(self.draft, safe_mode=False)

    # ---- journal

    def plan(self, now: int) -> None:
        """Move the draft on: expire what waited too long, start what may start. The shell then writes the draft."""
        late = [
            entry.command.id
            for entry in self.draft.entries
            if entry.stage is Stage.RECEIVED
            and now - self._received_at.setdefault(entry.command.id, now) > entry.command.start_within_ms
        ]
        self.draft = j.expire(self.draft, late)
        if self.may_act(now):
            self.draft = j.start(self.draft, j.startable(self.draft, self.directives.max_inflight))

    @property
    def dirty(self) -> bool:
        return self.draft != self.durable

    def written(self, journal: Journal) -> None:
        """``journal`` is now in the cluster."""
        self.durable = journal

    def may_act(self, now: int) -> bool:
        """False when fenced or when the server may have given us up: its lease is one renewal longer than ours."""
        return not self.fenced and now - self.last_poll_ok < limits.AGENT_LEASE_MS

    def to_execute(self, now: int) -> list[Command]:
        """Commands whose start is durable; each is handed out once by this instance."""
        if not self.may_act(now):
            return []
        found = [
            entry.command
            for entry in self.durable.entries
            if entry.stage is Stage.STARTED and entry.command.id not in self._dispatched
        ]
        self._dispatched.update(command.id for command in found)
        return sorted(found, key=lambda command: command.seq)

    def finished(self, result: Result) -> None:
        """A command has ended; told to the server once it is durable."""
        self.draft = j.finish(self.draft, result)

    # ---- results

    def results_request(self, applied: Applied | None = None) -> ResultsRequest | None:
        """None when there is nothing to tell."""
        items, acks = j.results(self.durable)[:RESULTS_BATCH], self._acks()
        if not items and not acks and applied is None:
            return None
        return ResultsRequest(self.epoch, items, acks, j.open_ids(self.durable), applied)

    def results_answered(self, request: ResultsRequest, answer: ResultsAnswer) -> None:
        self._note_acked(request.acks, answer.acked)
        done = {item.id for item in answer.items if item.verdict in FORGETTABLE or item.verdict == "unknown_command"}
        self.draft = j.forget(self.draft, done)
        for name in done:
            self._acked.pop(name, None)
            self._received_at.pop(name, None)
            self._dispatched.discard(name)

    # ---- inside

    def _acks(self) -> tuple[Ack, ...]:
        """Stages the server has not confirmed. Done ones need none: their result says it all."""
        return tuple(
            Ack(entry.command.id, entry.stage)
            for entry in self.durable.entries
            if entry.stage is not Stage.DONE and self._acked.get(entry.command.id) != entry.stage
        )

    def _note_acked(self, sent: tuple[Ack, ...], confirmed: Collection[str]) -> None:
        wanted = set(confirmed)
        self._acked.update({ack.id: ack.state for ack in sent if ack.id in wanted})

    def _capacity(self) -> int:
        if len(j.results(self.draft)) >= limits.MAX_RESULTS_BACKLOG:
            return 0
        return max(0, min(limits.MAX_COMMANDS, MAX_ENTRIES - len(self.draft.entries)))
