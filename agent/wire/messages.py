"""Requests and answers of the link, version 1: frozen, no behaviour (``codec`` makes JSON of them).

The agent dials; every fact goes up in a request and down in its answer. Durations are milliseconds; instants are the
server's alone and are never compared with the agent's clock. All paths are under ``/agent/v1/``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PROTOCOL_VERSION = 1
PATH_PREFIX = "/agent/v1/"


@dataclass(frozen=True, slots=True)
class Problem:
    """Body of every refusal (``application/problem+json``). ``permanent``: trying the same again is useless."""

    code: str
    detail: str = ""
    status: int = 500
    retry_after_ms: int | None = None
    permanent: bool = False
    committed: int | None = None
    """409 ``gap``: the report_seq (state) or page (snapshot) up to which the server has everything."""
    next: int | None = None
    """409 of a log append: the offset the server expects."""
    max_items: int | None = None
    instance_id: str | None = None
    """409 ``stale_epoch``: who holds the session now."""


# ---------------------------------------------------------------- session


@dataclass(frozen=True, slots=True)
class SessionRequest:
    instance_id: str
    """Random per process start: tells a restart from a clone."""
    agent_version: str = ""
    caps: tuple[str, ...] = ()
    cluster_uid: str = ""
    protocol: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class LogTarget:
    """Which container's log. ``container`` None: the first one."""

    namespace: str
    pod: str
    container: str | None = None
    previous: bool = False


@dataclass(frozen=True, slots=True)
class LogOrder:
    """Body of a ``log.open`` command, and what a new session is told to resume."""

    stream_id: str
    target: LogTarget
    follow: bool = True
    tail: int | None = None
    next_offset: int = 0


@dataclass(frozen=True, slots=True)
class Directives:
    """The server sets the pace."""

    wait_ms: int = 25_000
    state_flush_ms: int = 500
    metrics_ms: int = 15_000
    log_flush_ms: int = 500
    max_inflight: int = 8
    lease_ms: int = 100_000
    """A running command that no poll names for this long is ``unconfirmed``; the agent's own limit is shorter."""
    shed: tuple[str, ...] = ()
    spread_ms: int = 0
    """Before the next request, wait a random time below this."""
    resync: str | None = None
    """``buckets``: send 256 bucket digests in the next poll; ``snapshot``: send one of ``resync_buckets``."""
    resync_buckets: tuple[int, ...] = ()
    """Which buckets; empty with ``snapshot``: all."""


@dataclass(frozen=True, slots=True)
class SessionAnswer:
    session: str
    epoch: int
    cluster_id: str
    server_generation: str
    report_seq: int
    """Highest state report the server has committed."""
    directives: Directives = Directives()
    streams: tuple[LogOrder, ...] = ()
    """Log streams that were open: resume each at ``next_offset``."""


# ---------------------------------------------------------------- poll


@dataclass(frozen=True, slots=True)
class Cursor:
    command_seq: int = 0
    """Every command at or below is in the agent's journal, or never will be."""
    desired_rev: int = 0
    """Every document change at or below has been taken. 0: nothing known, a full set is wanted."""
    full_to: int = 0
    """While a full set is being read: the revision it stands for."""
    full_after: str = ""
    """While a full set is being read: the last key received."""


@dataclass(frozen=True, slots=True)
class Ack:
    id: str
    state: str
    """``received`` (durably journalled), ``started`` or ``rejected``."""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that could not be applied (yet). ``rev`` is the one that was tried."""

    key: str
    rev: int
    code: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """``desired_rev``: every document at or below is applied or listed in ``failed``."""

    desired_rev: int = 0
    failed: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Digest:
    count: int
    root: str
    report_seq: int
    buckets: tuple[str, ...] = ()
    """256 hex digests, only when asked for."""


@dataclass(frozen=True, slots=True)
class PollRequest:
    session: str
    epoch: int
    poll_seq: int
    wait_ms: int
    cursor: Cursor = Cursor()
    acks: tuple[Ack, ...] = ()
    running: tuple[str, ...] = ()
    """Commands held or being executed: names renew their lease."""
    applied: Applied | None = None
    capacity: int = 50
    """Commands the agent can take now."""
    digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class Command:
    id: str
    seq: int
    cluster_id: str
    kind: str
    delivery: str
    """``at_least_once`` or ``at_most_once``."""
    body: dict[str, object]
    object_key: str = ""
    """Commands of one key run strictly by ``seq``; different keys in parallel."""
    start_within_ms: int = 120_000
    deadline_ms: int = 60_000
    v: int = 1


@dataclass(frozen=True, slots=True)
class DesiredItem:
    key: str
    rev: int
    op: str
    """``put`` or ``delete``."""
    cluster_id: str
    hash: str = ""
    body: dict[str, object] | None = None
    body_ref: str | None = None
    """``sha256:<hex>`` of a blob that holds the JSON of a body above 64 KiB."""


@dataclass(frozen=True, slots=True)
class Desired:
    since: int
    to: int
    full: bool = False
    complete: bool = True
    """Full sets come in pages; nothing is removed before the last one."""
    items: tuple[DesiredItem, ...] = ()
    confirm_removals: bool = False
    """Somebody confirmed that more than the usual share of objects may go."""


@dataclass(frozen=True, slots=True)
class PollAnswer:
    epoch: int
    server_generation: str
    server_time: str = ""
    commands: tuple[Command, ...] = ()
    cancel: tuple[str, ...] = ()
    desired: Desired | None = None
    acked: tuple[str, ...] = ()
    """Acks of this request that are committed: need not be sent again."""
    report_seq: int = 0
    directives: Directives = Directives()
    more: bool = False


# ---------------------------------------------------------------- results


@dataclass(frozen=True, slots=True)
class Effect:
    """One object that a command touched, as evidence."""

    gvk: str
    namespace: str
    name: str
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    id: str
    state: str
    """``succeeded``, ``failed``, ``unknown``, ``cancelled`` or ``expired``."""
    code: str = ""
    output: str = ""
    """At most 32 KiB."""
    effects: tuple[Effect, ...] = ()
    elapsed_ms: int = 0


@dataclass(frozen=True, slots=True)
class ResultsRequest:
    """Also carries acks and applied revisions, so that nothing waits for a held poll."""

    epoch: int
    items: tuple[Result, ...] = ()
    acks: tuple[Ack, ...] = ()
    running: tuple[str, ...] = ()
    applied: Applied | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    id: str
    verdict: str
    """``accepted``, ``duplicate``, ``conflict`` (the agent may forget these) or ``unknown_command``."""


@dataclass(frozen=True, slots=True)
class ResultsAnswer:
    items: tuple[Receipt, ...] = ()
    acked: tuple[str, ...] = ()


# ---------------------------------------------------------------- state


@dataclass(frozen=True, slots=True)
class StateItem:
    """One object's change. ``obj`` is a dataclass of ``reports`` as JSON; None for ``delete``."""

    seq: int
    kind: str
    uid: str
    op: str
    """``upsert`` or ``delete``."""
    hash: str = ""
    obj: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class StateDelta:
    """``base`` must equal what the server committed; ``seq`` of the items run on from it without a gap."""

    epoch: int
    base: int
    items: tuple[StateItem, ...]


@dataclass(frozen=True, slots=True)
class SnapshotPage:
    """Pages of everything (or of some buckets). Only the last one, ``complete``, lets the server sweep."""

    epoch: int
    snapshot_id: str
    page: int
    complete: bool
    base: int
    """What the server had committed before it; ``base + 1`` is committed once the snapshot is complete."""
    items: tuple[StateItem, ...] = ()
    buckets: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class StateAnswer:
    committed: int
    page: int | None = None


@dataclass(frozen=True, slots=True)
class EventsRequest:
    """``POST events``: Kubernetes events (``reports.EventReport`` as JSON); same uid and count: no-op."""

    epoch: int
    items: tuple[dict[str, object], ...] = field(default_factory=tuple)


# ---------------------------------------------------------------- logs and metrics


@dataclass(frozen=True, slots=True)
class LogAnswer:
    next: int
    """Offset of the next byte the server wants."""
    closed: bool = False
    """Nobody reads this stream any more: stop sending."""


@dataclass(frozen=True, slots=True)
class LogEnd:
    """``POST logs/{stream_id}/end``: the stream is complete at ``total`` bytes, or ended with ``error``."""

    total: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class MetricsAnswer:
    accepted: int
