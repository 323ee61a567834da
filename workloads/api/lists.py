"""Lists, counts and one workload: everything that reads."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from access.api.base import ApiView
from access.grants import Actor
from access.roles import Action
from runai_cp.lib.api import choice
from runai_cp.lib.errors import FieldError, Invalid, NotFound
from runai_cp.lib.listing import ListQuery, Page
from tenants.context import current_tenant
from workloads.api import shapes
from workloads.filters import PODS, WORKLOADS, listed
from workloads.models import Event, Pod, Workload
from workloads.querysets import PodQuerySet, WorkloadQuerySet
from workloads.services import history


def workload_of(actor: Actor, workload_id: UUID, workload_type: str | None = None) -> Workload:
    """A workload the actor may see, of a type if one is given. Raises ``NotFound``."""
    rows = Workload.objects.visible_to(actor).with_names()
    if workload_type is not None:
        rows = rows.filter(type=workload_type)
    found: Workload | None = rows.filter(pk=workload_id).first()
    if found is None:
        raise NotFound()
    return found


def flag(request: Request, name: str) -> bool:
    """A boolean of the query, ``true`` or ``false``; absent is false."""
    text = request.query_params.get(name, "false").lower()
    if text not in ("true", "false", ""):
        raise Invalid(FieldError(name, "must be true or false", text, ["true", "false"]))
    return text == "true"


def _with_next(key: str, rows: list[object], page: Page) -> dict[str, object]:
    return page.envelope(key, rows)


class WorkloadsView(ApiView):
    allow = {"GET": Action.WORKLOAD_VIEW}
    listing = WORKLOADS

    def get(self, request: Request) -> Response:
        query = WORKLOADS.parse(request.query_params)
        tenant_id = current_tenant().pk
        page = WORKLOADS.page(listed(_asked(request, self.actor).for_list()), query)
        return Response(_with_next("workloads", [shapes.workload(row, tenant_id) for row in page.rows], page))


class WorkloadsCountView(ApiView):
    allow = {"GET": Action.WORKLOAD_VIEW}
    listing = WORKLOADS

    def get(self, request: Request) -> Response:
        query = WORKLOADS.parse(request.query_params)
        return Response({"count": WORKLOADS.count(listed(_asked(request, self.actor)), query)})


def _asked(request: Request, actor: Actor) -> WorkloadQuerySet:
    rows = Workload.objects.visible_to(actor)
    return rows.deleted() if flag(request, "deleted") else rows.present()


class WorkloadView(ApiView):
    allow = {"GET": Action.WORKLOAD_VIEW}

    def get(self, request: Request, workload_id: UUID) -> Response:
        return Response(shapes.workload_detail(workload_of(self.actor, workload_id), current_tenant().pk))


class PodsView(ApiView):
    allow = {"GET": Action.WORKLOAD_VIEW}
    listing = PODS

    def get(self, request: Request) -> Response:
        query = PODS.parse(request.query_params)
        tenant_id = current_tenant().pk
        choice(request, "verbosity", ("brief", "full"), "brief")
        page = PODS.page(_pods(request, self.actor).with_names(), query)
        return Response(_with_next("pods", [shapes.pod(row, tenant_id) for row in page.rows], page))


class PodsCountView(ApiView):
    allow = {"GET": Action.WORKLOAD_VIEW}
    listing = PODS

    def get(self, request: Request) -> Response:
        return Response({"count": PODS.count(_pods(request, self.actor), PODS.parse(request.query_params))})


def _pods(request: Request, actor: Actor) -> PodQuerySet:
    """Pods of workloads: a pod that belongs to none has no place in the contract."""
    rows = Pod.objects.visible_to(actor).filter(workload_id__isnull=False)
    if not flag(request, "deleted"):
        rows = rows.present()
    completed = request.query_params.get("completed", "all")
    ended = ("Succeeded", "Failed")
    if completed not in ("all", "true", "false"):
        raise Invalid(FieldError("completed", "must be all, true or false", completed, ["all", "true", "false"]))
    if completed == "all":
        return rows
    return rows.filter(phase__in=ended) if completed == "true" else rows.exclude(phase__in=ended)


class WorkloadPodsView(ApiView):
    allow = {"GET": Action.WORKLOAD_VIEW}

    def get(self, request: Request, workload_id: UUID) -> Response:
        workload = workload_of(self.actor, workload_id)
        rows = Pod.objects.of(workload.pk).with_names()
        rows = rows if flag(request, "deleted") or workload.deleted_at else rows.present()
        query = PODS.parse(request.query_params)
        found = list(PODS.filtered(rows, query)[query.offset : query.offset + query.limit + 1])
        page = _page(found, query)
        tenant_id = current_tenant().pk
        return Response(_with_next("pods", [shapes.pod(row, tenant_id) for row in page.rows], page))


class WorkloadEventsView(ApiView):
    allow = {"GET": Action.WORKLOAD_VIEW}

    def get(self, request: Request, workload_id: UUID) -> Response:
        workload, query = workload_of(self.actor, workload_id), PODS.parse(request.query_params)
        rows = Event.objects.of(workload.pk)
        if request.query_params.get("sortOrder", "desc").lower() == "asc":
            rows = rows.reverse()
        page = _page(list(rows[query.offset : query.offset + query.limit + 1]), query)
        return Response(_with_next("events", [shapes.event(row) for row in page.rows], page))


class WorkloadHistoryView(ApiView):
    allow = {"GET": Action.WORKLOAD_VIEW}

    def get(self, request: Request, workload_id: UUID) -> Response:
        workload, query = workload_of(self.actor, workload_id), PODS.parse(request.query_params)
        page = _page(history(workload, offset=query.offset, limit=query.limit + 1), query)
        return Response(_with_next("records", [shapes.history_record(row) for row in page.rows], page))


def _page(found: list[object], query: ListQuery) -> Page:
    """The page of rows fetched with one more than was asked."""
    more = len(found) > query.limit
    return Page(found[: query.limit], query.offset, query.offset + query.limit if more else None)
