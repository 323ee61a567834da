"""Tables of the post office, all in the public schema. Facts live here; Redis holds only wake-ups.

The ASGI app and the services read and write them with short, schema-qualified statements; the models are their
definition. ``schema_name`` names the tenant a row belongs to and comes from the credential, never from a request.
"""

# Without Django's mypy plugin field declarations have no types of their own.
# mypy: disable-error-code="var-annotated,no-any-return,attr-defined"
from __future__ import annotations

from django.db import models

from link.protocol.commands import CommandState
from runai_cp.lib.models import uuid7


class ClusterState(models.TextChoices):
    WAITING = "waiting", "Waiting to enrol"
    ENROLLED = "enrolled", "Enrolled"
    QUARANTINED = "quarantined", "Quarantined: cloned credential"
    REMOVED = "removed", "Removed"


class Server(models.Model):
    """One row. ``generation`` changes when a backup is restored: agents then resynchronise and delete nothing."""

    id = models.PositiveSmallIntegerField(primary_key=True)
    generation = models.CharField(max_length=32)

    def __str__(self) -> str:
        return self.generation


class Cluster(models.Model):
    """One agent's mailbox. The counters are taken under this row's lock, last in the caller's transaction."""

    id = models.UUIDField(primary_key=True)
    schema_name = models.CharField(max_length=63, db_index=True)
    name = models.CharField(max_length=253)
    state = models.CharField(max_length=12, choices=ClusterState.choices, default=ClusterState.WAITING)
    last_seq = models.BigIntegerField(default=0)
    """Seq of the newest command: contiguous, in commit order."""
    last_rev = models.BigIntegerField(default=0)
    """Rev of the newest document change: the same."""
    pruned_rev = models.BigIntegerField(default=0)
    """Tombstones up to here are gone: an older cursor needs a full set."""
    kube_uid = models.CharField(max_length=64, default="", blank=True)
    public_key = models.TextField(default="", blank=True)
    key_id = models.CharField(max_length=32, default="", blank=True)
    old_public_key = models.TextField(default="", blank=True)
    old_key_id = models.CharField(max_length=32, default="", blank=True)
    rotation_id = models.CharField(max_length=64, default="", blank=True)
    key_used_at = models.DateTimeField(null=True)
    """First use of the current key: the old one dies ten minutes later."""
    key_version = models.IntegerField(default=0)
    """Raised by revocation and enrolment: tokens of another version are refused."""
    agent_version = models.CharField(max_length=64, default="", blank=True)
    enrolled_at = models.DateTimeField(null=True)
    removals_confirmed_rev = models.BigIntegerField(default=0)
    """Somebody confirmed that a full set up to here may remove more than the usual share."""
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class AgentSession(models.Model):
    """Where the agent of a cluster stands: its fence and its cursors. Only the agent's requests write it."""

    cluster = models.OneToOneField(Cluster, primary_key=True, on_delete=models.CASCADE, related_name="agent_session")
    epoch = models.BigIntegerField(default=0)
    instance_id = models.CharField(max_length=64, default="", blank=True)
    session = models.CharField(max_length=64, default="", blank=True)
    session_log = models.JSONField(default=list)
    """Recent sessions as [instance id, milliseconds]: two that alternate are a cloned credential."""
    poll_seq = models.BigIntegerField(default=0)
    """Newest poll that was allowed to change something: an older one is a ghost."""
    applied_rev = models.BigIntegerField(default=0)
    failures_hash = models.CharField(max_length=64, default="", blank=True)
    report_seq = models.BigIntegerField(default=0)
    snapshot_id = models.CharField(max_length=64, default="", blank=True)
    snapshot_page = models.IntegerField(default=-1)
    snapshot_done = models.CharField(max_length=64, default="", blank=True)

    def __str__(self) -> str:
        return f"epoch {self.epoch}"


class Enrolment(models.Model):
    """A minted token: its id is public, of its secret only the hash is kept."""

    id = models.CharField(primary_key=True, max_length=12)
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="enrolments")
    secret_hash = models.BinaryField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    enrolment_id = models.CharField(max_length=64, default="", blank=True)
    key_id = models.CharField(max_length=32, default="", blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.id


class UsedAssertion(models.Model):
    """Client assertions seen lately: each may be used once."""

    jti = models.CharField(primary_key=True, max_length=64)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.jti


class Command(models.Model):
    """A verb that a cluster is owed. Ended rows never change (``link.protocol.commands``)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="commands")
    schema_name = models.CharField(max_length=63)
    seq = models.BigIntegerField()
    kind = models.CharField(max_length=32)
    v = models.PositiveSmallIntegerField(default=1)
    delivery = models.CharField(max_length=16)
    object_key = models.CharField(max_length=400, default="", blank=True)
    body = models.JSONField(default=dict)
    start_within_ms = models.PositiveIntegerField()
    deadline_ms = models.PositiveIntegerField()
    not_after = models.DateTimeField()
    state = models.CharField(
        max_length=12, choices=[(item.value, item.value) for item in CommandState], default=CommandState.OWED.value
    )
    cancel = models.BooleanField(default=False)
    lease_until = models.DateTimeField(null=True)
    """When the state is given up: start limit of a held one, lease of a running one, grace of an unconfirmed one."""
    ended_at = models.DateTimeField(null=True)
    code = models.CharField(max_length=64, default="", blank=True)
    output = models.TextField(default="", blank=True)
    effects = models.JSONField(default=list)
    elapsed_ms = models.BigIntegerField(default=0)
    late = models.BooleanField(default=False)
    """The result came from an older epoch."""
    operation_id = models.UUIDField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cluster", "seq"], name="link_command_seq")]
        indexes = [
            models.Index(fields=["cluster", "seq"], name="link_command_open", condition=models.Q(ended_at=None)),
            models.Index(fields=["schema_name"], name="link_command_tenant", condition=models.Q(ended_at=None)),
            models.Index(fields=["ended_at"], name="link_command_ended", condition=models.Q(ended_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.seq}"


class Desired(models.Model):
    """One document that a cluster shall hold; ``deleted_at`` makes it a tombstone."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="documents")
    key = models.CharField(max_length=400)
    rev = models.BigIntegerField()
    hash = models.CharField(max_length=64)
    body = models.JSONField(null=True)
    body_ref = models.CharField(max_length=71, default="", blank=True)
    deleted_at = models.DateTimeField(null=True)
    error_rev = models.BigIntegerField(default=0)
    error_code = models.CharField(max_length=64, default="", blank=True)
    error_message = models.TextField(default="", blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["cluster", "key"], name="link_desired_key"),
            models.UniqueConstraint(fields=["cluster", "rev"], name="link_desired_rev"),
        ]

    def __str__(self) -> str:
        return self.key


class Inbox(models.Model):
    """What came up and waits for the room that owns the fact; that room deletes the row with its own change."""

    schema_name = models.CharField(max_length=63)
    topic = models.CharField(max_length=32)
    cluster_id = models.UUIDField()
    kind = models.CharField(max_length=32)
    uid = models.CharField(max_length=100)
    op = models.CharField(max_length=8)
    body = models.JSONField(null=True)
    report_seq = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["schema_name", "topic", "id"], name="link_inbox_topic")]

    def __str__(self) -> str:
        return f"{self.topic}: {self.kind} {self.uid}"


class State(models.Model):
    """The newest report of each object: its hash only, so that equal reports and sweeps are cheap."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="states", db_index=False)
    kind = models.CharField(max_length=32)
    uid = models.CharField(max_length=100)
    bucket = models.PositiveSmallIntegerField()
    hash = models.CharField(max_length=64)
    report_seq = models.BigIntegerField()
    snapshot_id = models.CharField(max_length=64, default="", blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cluster", "kind", "uid"], name="link_state_object")]

    def __str__(self) -> str:
        return f"{self.kind} {self.uid}"


class LogStream(models.Model):
    """A container's log on its way to a reader. Chunks are kept while somebody may read them."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="log_streams")
    target = models.JSONField()
    follow = models.BooleanField(default=True)
    tail = models.PositiveIntegerField(null=True)
    next_offset = models.BigIntegerField(default=0)
    ended = models.BooleanField(default=False)
    error = models.TextField(default="", blank=True)
    closed = models.BooleanField(default=False)
    """Nobody reads it any more: the agent is told to stop."""
    read_at = models.DateTimeField(auto_now_add=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.id)


class LogChunk(models.Model):
    stream = models.ForeignKey(LogStream, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    offset = models.BigIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["stream", "offset"], name="link_log_chunk_offset")]

    def __str__(self) -> str:
        return f"{self.stream_id}@{self.offset}"


class Blob(models.Model):
    """A body above the inline limit, found by its content's address."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="blobs", db_index=False)
    sha256 = models.CharField(max_length=64)
    data = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cluster", "sha256"], name="link_blob_address")]

    def __str__(self) -> str:
        return self.sha256


class SchedulerSnapshot(models.Model):
    """What a cluster's scheduler saw last: gzip of the JSON that ``python -m agent.scheduler.replay`` reads."""

    cluster = models.OneToOneField(Cluster, on_delete=models.CASCADE, primary_key=True, related_name="scheduler")
    data = models.BinaryField()
    taken_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.cluster_id} {self.taken_at}"


class Anomaly(models.Model):
    """What must not happen: a second, different result of one command, a cloned credential."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="anomalies")
    kind = models.CharField(max_length=32)
    command_id = models.UUIDField(null=True)
    detail = models.JSONField(default=dict)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "anomalies"

    def __str__(self) -> str:
        return self.kind


class Liveness(models.Model):
    """When each agent was last heard, by the server's clock. Narrow, and no index on the times: updates stay HOT."""

    cluster = models.OneToOneField(Cluster, primary_key=True, on_delete=models.CASCADE, related_name="liveness")
    last_seen = models.DateTimeField()
    dropped_at = models.DateTimeField(null=True)
    """Its connection broke then and nothing came since."""

    class Meta:
        verbose_name_plural = "liveness"

    def __str__(self) -> str:
        return str(self.last_seen)


class Issuer(models.Model):
    """Public keys (JWKs) with which a tenant's ID tokens are signed; API servers read them from the link."""

    schema_name = models.CharField(max_length=63, primary_key=True)
    keys = models.JSONField(default=list)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.schema_name
