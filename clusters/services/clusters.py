"""The life of a cluster: made with a name, watched, renamed, removed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from access.grants import Actor
from access.models import Scope, ScopeKind
from access.permissions import require
from access.roles import Action
from access.services.audit import record
from access.services.bootstrap import system_actor
from access.services.scopes import add_scope, rename_scope, root_scope, set_ref
from agent.wire import labels
from clusters.models import Cluster, NodePool
from clusters.services import removal
from clusters.skew import own_version, skew
from clusters.states import ClusterStatus, Facts, cluster_status
from link import services as link
from runai_cp.lib.errors import Conflict, FieldError, Invalid, NotFound
from runai_cp.lib.nudge import nudge

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 ._-]{0,61}[A-Za-z0-9])?")
NAME_ALLOWED = (
    "1 to 63 letters, digits, spaces, dots, dashes and underscores, starting and ending with a letter or digit"
)
MAX_LOCATION = 120
DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
WITHDRAWAL = timedelta(minutes=2)
"""How long a connected agent gets to remove what came down the link before the cluster is forgotten."""
KEPT_TO_THE_END = ("accessrule", "nodepool", "topology")
"""Kinds of documents that a leaving cluster keeps until its workloads, projects and departments are taken back."""


@dataclass(frozen=True, slots=True)
class CreateCluster:
    name: str
    domain: str = ""
    location: str = ""


@dataclass(frozen=True, slots=True)
class UpdateCluster:
    """New values; None leaves one as it is."""

    name: str | None = None
    location: str | None = None
    safe_mode: bool | None = None


@dataclass(frozen=True, slots=True)
class DeletionImpact:
    """What goes with a cluster. Workloads are counted by the workloads room."""

    departments: int
    projects: int
    nodes: int
    connected: bool
    enrolled: bool = True
    """Whether an agent holds what came from here, connected or not."""


@transaction.atomic
def create_cluster(*, actor: Actor, request: CreateCluster) -> Cluster:
    """A cluster that waits for its agent, with the node pool ``default``. Raises ``Invalid``, ``Conflict``.

    The projects room adds the department ``default`` when it is nudged, or with the first project.
    """
    root = root_scope()
    require(actor, Action.CLUSTER_CREATE, root)
    _check_name(request.name)
    _check_free(request.name)
    if request.domain and not DOMAIN.fullmatch(request.domain):
        raise Invalid(FieldError("domain", "must be a host name without scheme or path", request.domain))
    _check_location(request.location)
    scope = add_scope(kind=ScopeKind.CLUSTER, name=request.name, parent=root)
    cluster = Cluster.objects.create(
        scope=scope, domain=request.domain, location=request.location, created_by=actor.name
    )
    set_ref(scope, cluster.pk)
    NodePool.objects.create(
        cluster=cluster, name=labels.DEFAULT_NODE_POOL, label_value=labels.DEFAULT_NODE_POOL, created_by="system"
    )
    _record(actor, "create", cluster, after={"name": request.name, "domain": request.domain})
    link.register_cluster(cluster_id=cluster.pk, schema_name=connection.schema_name, name=request.name)
    nudge("projects.tasks.open_cluster", connection.schema_name, str(cluster.pk))
    return cluster


@transaction.atomic
def update_cluster(*, actor: Actor, cluster: Cluster, request: UpdateCluster) -> None:
    """Name, place and safe mode. Raises ``Invalid``, ``Conflict``, ``NotFound``. The same values again change nothing.

    The row is read again under its lock: what was not asked for stays as it is now, not as ``cluster`` was read.
    """
    require(actor, Action.CLUSTER_UPDATE, cluster.scope)
    cluster = _locked(cluster)
    if request.name is not None:
        rename_cluster(actor=actor, cluster=cluster, name=request.name)
    before = {"location": cluster.location, "safeMode": cluster.safe_mode}
    if request.location is not None:
        _check_location(request.location)
        cluster.location = request.location
    if request.safe_mode is not None:
        cluster.safe_mode = request.safe_mode
    after = {"location": cluster.location, "safeMode": cluster.safe_mode}
    if after != before:
        cluster.save(update_fields=["location", "safe_mode", "updated_at"])
        _record(actor, "update", cluster, before=before, after=after)


@transaction.atomic
def revoke_credentials(*, actor: Actor, cluster: Cluster) -> None:
    """Refuse the agent's present key at once; it works again when a new manifest is applied. Workloads go on."""
    require(actor, Action.CLUSTER_UPDATE, cluster.scope)
    not_leaving(cluster, reading=True)
    _record(actor, "revoke-credentials", cluster)
    link.revoke_agent(cluster_id=cluster.pk)


@transaction.atomic
def rename_cluster(*, actor: Actor, cluster: Cluster, name: str) -> None:
    """Raises ``Invalid``, ``Conflict``. The same name again changes nothing."""
    require(actor, Action.CLUSTER_UPDATE, cluster.scope)
    _check_name(name)
    before = cluster.name
    if name == before:
        return
    _check_free(name, besides=cluster.scope_id)
    rename_scope(cluster.scope, name)
    cluster.save(update_fields=["updated_at"])
    _record(actor, "update", cluster, before={"name": before}, after={"name": name})
    link.rename_cluster(cluster_id=cluster.pk, name=name)


def deletion_impact(cluster: Cluster) -> DeletionImpact:
    below = Scope.objects.filter(path__startswith=cluster.scope.path)
    return DeletionImpact(
        departments=below.filter(kind=ScopeKind.DEPARTMENT).count(),
        projects=below.filter(kind=ScopeKind.PROJECT).count(),
        nodes=cluster.nodes.count(),
        connected=_is_connected(cluster.pk),
        enrolled=_was_enrolled(cluster.pk),
    )


@transaction.atomic
def delete_cluster(*, actor: Actor, cluster: Cluster, force: bool = False) -> bool:
    """Remove a cluster; True when it is gone at once, False when its agent first takes back what came down the link.

    Forced, or where no agent ever was: its mailbox closes at once, and whatever runs in the cluster goes on there
    without us; an agent that comes back is told so and stops. Rows of a small cluster go at once too; those of a large
    one in the background. Otherwise its documents are withdrawn, so that our workloads and namespaces end, and an agent
    that is away is waited for; ``finish_deletions`` does the rest. Safe to repeat, and with ``force`` after without.
    """
    require(actor, Action.CLUSTER_DELETE, cluster.scope)
    _record(actor, "delete", cluster, before={"name": cluster.name, "forced": force})
    if force or not _was_enrolled(cluster.pk):
        link.remove_cluster(cluster_id=cluster.pk)
        if removal.size(cluster) <= removal.SMALL:
            removal.forget(cluster)
            return True
        Cluster.objects.filter(pk=cluster.pk, delete_requested_at=None).update(delete_requested_at=timezone.now())
        nudge("clusters.tasks.forget_clusters", connection.schema_name)
        return False
    Cluster.objects.filter(pk=cluster.pk, delete_requested_at=None).update(delete_requested_at=timezone.now())
    _nudge_withdrawal(cluster.pk)
    return False


def finish_deletions() -> int:
    """Forget clusters whose agent has taken back what came from here: in batches, each a transaction. Called by beat.

    Safe to repeat and to die within. Returns how many are gone.
    """
    done = 0
    for cluster in Cluster.objects.filter(delete_requested_at__isnull=False).select_related("scope"):
        if _still_taking_back(cluster):
            with transaction.atomic():
                _nudge_withdrawal(cluster.pk)
                link.withdraw_last(cluster_id=cluster.pk, kinds=KEPT_TO_THE_END)
            continue
        removal.forget_rows(cluster)
        with transaction.atomic():
            if not Cluster.objects.select_for_update(of=("self",)).filter(pk=cluster.pk).exists():
                continue
            _record(system_actor(), "forget", cluster, before={"name": cluster.name})
            link.remove_cluster(cluster_id=cluster.pk)
            removal.forget(cluster)
        done += 1
    return done


def statuses(clusters: Iterable[Cluster]) -> dict[UUID, ClusterStatus]:
    """State, cause and since of each, with one query to the link for all of them."""
    rows = list(clusters)
    seen = link.liveness([cluster.pk for cluster in rows])
    found: dict[UUID, ClusterStatus] = {}
    own = own_version()
    for cluster in rows:
        alive = seen.get(cluster.pk)
        found[cluster.pk] = cluster_status(
            Facts(
                created_at=cluster.created_at,
                enrolled_at=alive.enrolled_at if alive else None,
                last_seen=alive.last_seen if alive else None,
                connected=bool(alive and alive.connected),
                reported_at=cluster.reported_at,
                roles=tuple(cluster.roles),
                dependencies=tuple(cluster.dependencies),
                skew=skew(cluster.agent_version, own),
                leaving=cluster.delete_requested_at is not None,
            )
        )
    return found


def _is_connected(cluster_id: UUID) -> bool:
    alive = link.liveness([cluster_id]).get(cluster_id)
    return bool(alive and alive.connected)


def _was_enrolled(cluster_id: UUID) -> bool:
    """Whether an agent holds, or held, what came from here; not once the mailbox is closed."""
    alive = link.liveness([cluster_id]).get(cluster_id)
    return bool(alive and alive.enrolled_at and alive.state != "removed")


def _still_taking_back(cluster: Cluster) -> bool:
    """Whether the agent is to be waited for: it is away, or has not yet had its time and heard all of it."""
    if not _was_enrolled(cluster.pk):
        return False
    if not _is_connected(cluster.pk):
        return True
    waited = timezone.now() - cluster.delete_requested_at
    return waited <= WITHDRAWAL or not link.caught_up(cluster_id=cluster.pk)


def _nudge_withdrawal(cluster_id: UUID) -> None:
    for room in ("workloads", "projects"):
        nudge(f"{room}.tasks.withdraw_cluster", connection.schema_name, str(cluster_id))


def _locked(cluster: Cluster) -> Cluster:
    rows = Cluster.objects.select_for_update(of=("self",)).select_related("scope")
    found: Cluster | None = rows.filter(pk=cluster.pk).first()
    if found is None:
        raise NotFound("The cluster is not there any more.")
    return found


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise Invalid(FieldError("name", f"must have {NAME_ALLOWED}", name, NAME_ALLOWED))


def _check_free(name: str, besides: int | None = None) -> None:
    """Two names that differ in case only would be taken for one another."""
    others = Scope.objects.filter(kind=ScopeKind.CLUSTER, name__iexact=name).exclude(pk=besides)
    known = others.values_list("name", flat=True).first()
    if known is not None:
        raise Conflict(f"A cluster named {known!r} exists already; {name!r} is told from it by case at most.")


def _record(actor: Actor, action: str, cluster: Cluster, **values: object) -> None:
    record(
        actor=actor,
        action=action,
        entity_type="cluster",
        entity_id=cluster.pk,
        entity_name=cluster.name,
        scope_path=cluster.scope.path,
        **values,
    )


def _check_location(location: str) -> None:
    if len(location) > MAX_LOCATION or not location.isprintable():
        raise Invalid(FieldError("location", f"must have at most {MAX_LOCATION} printable characters", location))


def not_leaving(cluster: Cluster, *, reading: bool = False) -> None:
    """Raises ``Conflict`` for a cluster whose deletion was asked for: nothing new starts there; and, unless
    ``reading``, for one in safe mode: nothing that is asked here changes what it holds.
    """
    if cluster.delete_requested_at is not None:
        raise Conflict(f"The cluster {cluster.name} is being deleted.")
    if not reading:
        not_safe(cluster)


def not_safe(cluster: Cluster) -> None:
    """Raises ``Conflict`` for a cluster in safe mode. Every order of a person to it asks this first; rights are the
    exception: what is taken from somebody is taken everywhere at once.
    """
    if cluster.safe_mode:
        raise Conflict(f"The cluster {cluster.name} is in safe mode: it can be looked at, and not changed from here.")
