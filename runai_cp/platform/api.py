"""REST of the platform's host: create, list, suspend, resume, export and delete tenants."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse

from runai_cp.lib.errors import DomainError, FieldError, Invalid, NotFound
from runai_cp.platform.export import export_archive
from runai_cp.platform.host import json_body
from runai_cp.platform.lifecycle import (
    Listed,
    ask_deletion,
    list_tenants,
    resume_tenant,
    shape,
    suspend_tenant,
)
from runai_cp.platform.provision import provision_tenant
from tenants.models import Domain, Tenant, TenantSchema, TenantState

MAX_LIMIT = 500


class WrongMethod(DomainError):
    status = 405
    title = "Method not allowed."


def healthz(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "ok"})


healthz.public = True  # type: ignore[attr-defined]


def tenants(request: HttpRequest) -> HttpResponse:
    """GET a page of tenants, POST a new one. The answer to a POST holds its secrets, once."""
    if request.method == "POST":
        return JsonResponse(_create(json_body(request)), status=201)
    if request.method != "GET":
        raise WrongMethod()
    offset = _number(request, "offset", 0, 0, 10**9)
    limit = _number(request, "limit", 50, 1, MAX_LIMIT)
    deleted = request.GET.get("deleted", "").lower() == "true"
    rows = list_tenants(offset=offset, limit=limit + 1, deleted=deleted)
    found: dict[str, Any] = {"tenants": [shape(row) for row in rows[:limit]]}
    return JsonResponse(found | ({"next": offset + limit} if len(rows) > limit else {}))


def tenant(request: HttpRequest, tenant_id: int) -> HttpResponse:
    """GET one; DELETE it with ``?name=`` typed again: 202, the rest happens behind."""
    row = _one(tenant_id)
    if request.method == "DELETE":
        ask_deletion(row.name, request.GET.get("name", ""))
        return JsonResponse({"code": 202, "message": "Request has been accepted."}, status=202)
    if request.method != "GET":
        raise WrongMethod()
    return JsonResponse(_shape(row))


def act(request: HttpRequest, tenant_id: int, action: str) -> HttpResponse:
    """POST …/suspend and …/resume."""
    if request.method != "POST":
        raise WrongMethod()
    run = {"suspend": suspend_tenant, "resume": resume_tenant}.get(action)
    if run is None:
        raise NotFound()
    return JsonResponse(_shape(run(_one(tenant_id).name)))


def export(request: HttpRequest, tenant_id: int) -> StreamingHttpResponse:
    """GET …/export: the tenant's data as a tar archive, whose last member is the manifest."""
    if request.method != "GET":
        raise WrongMethod()
    row = _one(tenant_id)
    headers = {"Content-Disposition": f'attachment; filename="{row.name}.tar"'}
    return StreamingHttpResponse(export_archive(row), content_type="application/x-tar", headers=headers)


def _create(data: dict[str, Any]) -> dict[str, Any]:
    name, domains, email = data.get("name"), data.get("domains"), data.get("adminEmail")
    errors = []
    if not isinstance(name, str):
        errors.append(FieldError("name", "must be text", name))
    if not isinstance(domains, list) or not all(isinstance(item, str) for item in domains):
        errors.append(FieldError("domains", "must be a list of host names", domains))
    if not isinstance(email, str):
        errors.append(FieldError("adminEmail", "must be an e-mail address", email))
    if errors:
        raise Invalid(*errors)
    made = provision_tenant(name=str(name), domains=tuple(domains or ()), admin_email=str(email))
    return _shape(made.tenant) | {
        "admin": {"email": made.admin_email, "password": made.admin_password},
        "application": {"id": made.application_id, "secret": made.application_secret},
    }


def _one(tenant_id: int) -> Tenant:
    row = Tenant.objects.exclude(schema_name="public").exclude(state=TenantState.DELETED).filter(pk=tenant_id).first()
    if row is None:
        raise NotFound()
    return row


def _shape(row: Tenant) -> dict[str, Any]:
    domains = Domain.objects.filter(tenant=row).order_by("-is_primary", "domain").values_list("domain", flat=True)
    schema = TenantSchema.objects.filter(schema_name=row.schema_name).first()
    return shape(Listed(row, tuple(domains), schema, 0)) | {}


def _number(request: HttpRequest, name: str, default: int, low: int, high: int) -> int:
    text = request.GET.get(name, str(default))
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise Invalid(FieldError(name, f"must be a whole number from {low} to {high}", text))
    return int(text)
