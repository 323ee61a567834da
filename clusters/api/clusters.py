"""REST of clusters: list, make, rename, remove, install."""

from uuid import UUID

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.base import ApiView
from access.grants import Actor
from access.roles import Action
from clusters.api import shapes
from clusters.models import Cluster
from clusters.services import (
    CreateCluster,
    UpdateCluster,
    create_cluster,
    delete_cluster,
    install_command,
    install_manifest,
    revoke_credentials,
    statuses,
    update_cluster,
)
from link import services as link
from runai_cp.lib.api import body
from runai_cp.lib.errors import FieldError, Invalid, NotFound
from tenants.context import current_tenant


def cluster_of(actor: Actor, cluster_uuid: UUID) -> Cluster:
    """A cluster the actor may see. Raises ``NotFound``."""
    found: Cluster | None = Cluster.objects.visible_to(actor).with_name().filter(pk=cluster_uuid).first()
    if found is None:
        raise NotFound()
    return found


def _shapes(rows: list[Cluster], *, full: bool = True) -> list[shapes.Json]:
    states, alive = statuses(rows), link.liveness([row.pk for row in rows])
    tenant_id = current_tenant().pk
    return [shapes.cluster(row, states[row.pk], alive.get(row.pk), tenant_id, full=full) for row in rows]


def _is_full(request: Request) -> bool:
    verbosity = request.query_params.get("verbosity", "full")
    if verbosity not in ("metadata", "full"):
        raise Invalid(FieldError("verbosity", "must be metadata or full", verbosity, ["metadata", "full"]))
    return verbosity == "full"


def _text(data: dict[str, object], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, (str, type(None))):
        raise Invalid(FieldError(name, "must be text", value))
    return value or ""


class ClustersView(ApiView):
    allow = {"GET": Action.CLUSTER_VIEW, "POST": Action.CLUSTER_CREATE}

    def get(self, request: Request) -> Response:
        rows = Cluster.objects.visible_to(self.actor).with_name().order_by("created_at")
        if request.query_params.get("includeRequestedForDelete", "").lower() != "true":
            rows = rows.present()
        return Response(_shapes(list(rows), full=_is_full(request)))

    def post(self, request: Request) -> Response:
        data = body(request)
        asked = CreateCluster(name=_text(data, "name"), domain=_text(data, "domain"), location=_text(data, "location"))
        cluster = create_cluster(actor=self.actor, request=asked)
        return Response(_shapes([cluster])[0], status=201)


class ClusterView(ApiView):
    allow = {"GET": Action.CLUSTER_VIEW, "PUT": Action.CLUSTER_UPDATE, "DELETE": Action.CLUSTER_DELETE}

    def get(self, request: Request, cluster_uuid: UUID) -> Response:
        return Response(_shapes([cluster_of(self.actor, cluster_uuid)], full=_is_full(request))[0])

    def put(self, request: Request, cluster_uuid: UUID) -> Response:
        """``location`` and ``safeMode`` (read-only) are ours; what is not named stays, but for the name."""
        data = body(request)
        safe = data.get("safeMode")
        if not isinstance(safe, (bool, type(None))):
            raise Invalid(FieldError("safeMode", "must be true or false", safe))
        asked = UpdateCluster(
            name=_text(data, "name"),
            location=_text(data, "location") if "location" in data else None,
            safe_mode=safe,
        )
        update_cluster(actor=self.actor, cluster=cluster_of(self.actor, cluster_uuid), request=asked)
        return Response(status=204)

    def delete(self, request: Request, cluster_uuid: UUID) -> Response:
        force = request.query_params.get("force", "").lower() == "true"
        gone = delete_cluster(actor=self.actor, cluster=cluster_of(self.actor, cluster_uuid), force=force)
        if gone:
            return Response(status=204)
        return Response({"code": 202, "message": "Request has been accepted."}, status=202)


class ClusterInstallInfoView(ApiView):
    """How to install. The secret is not here: a GET may be cached and logged; the manifest's POST mints it."""

    allow = {"GET": Action.CLUSTER_UPDATE}

    def get(self, request: Request, cluster_uuid: UUID) -> Response:
        cluster = cluster_of(self.actor, cluster_uuid)
        if not request.query_params.get("version"):
            raise Invalid(FieldError("version", "is required: the version to install"))
        base = request.build_absolute_uri("/").rstrip("/")
        return Response(
            {
                "installationStr": install_command(base_url=base, cluster=cluster),
                "repositoryName": "runai",
                "chartRepoURL": f"{base}/api/v1/clusters/{cluster.pk}/manifest",
                "clientSecret": "",
            }
        )


class ClusterManifestView(ApiView):
    """POST, so that no URL holds a secret and nothing caches it; never remembered for an ``Idempotency-Key``."""

    allow = {"POST": Action.CLUSTER_UPDATE}
    idempotent = False

    def post(self, request: Request, cluster_uuid: UUID) -> HttpResponse:
        text = install_manifest(actor=self.actor, cluster=cluster_of(self.actor, cluster_uuid))
        return HttpResponse(text, content_type="text/yaml", headers={"Cache-Control": "no-store"})


class ClusterCredentialsView(ApiView):
    """Rotation (ours): the agent's key is refused from now on, and the answer is the manifest that enrols it anew."""

    allow = {"POST": Action.CLUSTER_UPDATE}
    idempotent = False

    def post(self, request: Request, cluster_uuid: UUID) -> HttpResponse:
        cluster = cluster_of(self.actor, cluster_uuid)
        revoke_credentials(actor=self.actor, cluster=cluster)
        text = install_manifest(actor=self.actor, cluster=cluster)
        return HttpResponse(text, content_type="text/yaml", headers={"Cache-Control": "no-store"})
