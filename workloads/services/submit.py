"""Submit a workload, the story in one function: may they, what exactly, is the name free, write, tell the cluster."""

import secrets
import string
from dataclasses import replace
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from access.grants import Actor
from access.permissions import require
from access.roles import Action
from access.services.audit import record
from agent.wire.objects import WorkloadSpec
from agent.wire.phases import Phase
from clusters.models import NodePool
from clusters.services.clusters import not_leaving
from link import services as link
from projects.documents import node_types
from projects.models import Project
from runai_cp.lib.errors import Conflict, FieldError, Invalid
from runai_cp.lib.models import uuid7
from workloads.models import PhaseChange, Source, Workload
from workloads.services.rows import document, document_key, spec_columns
from workloads.specs.compile import compile_spec
from workloads.specs.manifest import plain_manifest
from workloads.specs.phases import MESSAGES
from workloads.specs.problems import Problem, SpecError
from workloads.specs.request import SubmitRequest, from_json, to_json

ALPHABET = string.ascii_lowercase + string.digits


@transaction.atomic
def submit_workload(*, actor: Actor, request: SubmitRequest, source: str = Source.CONTROL_PLANE) -> Workload:
    """The new workload, in phase Creating; its document is owed to the cluster when the transaction commits.

    Raises ``Invalid`` with the request's attribute names as fields, ``NotAllowed``, ``Conflict`` for a name that an
    unfinished or finished workload of the project still has. Exactly once under an ``Idempotency-Key``.
    """
    project = _project(actor, request)
    require(actor, Action.WORKLOAD_CREATE, project.scope)
    if request.name_is_prefix:
        tail = "".join(secrets.choice(ALPHABET) for _ in range(5))
        spec = compiled(request)
        request = replace(request, name=f"{request.name}-{tail}", name_is_prefix=False)
        spec = replace(spec, display_name=request.name)
    else:
        spec = compiled(request)
    check_place(request, project)
    workload = _insert(actor, request, spec, project, source)
    PhaseChange.objects.create(
        workload=workload, at=workload.created_at, phase=workload.phase, message=workload.message
    )
    record(
        actor=actor,
        action="create",
        entity_type="workload",
        entity_id=workload.pk,
        entity_name=workload.name,
        scope_path=project.scope.path,
        after={"project": project.name, "type": spec.type, "image": spec.image},
    )
    link.put_desired(cluster_id=project.cluster_id, key=document_key(workload), body=document(workload, spec))
    return workload


def preview_manifest(*, actor: Actor, request: SubmitRequest) -> dict[str, Any]:
    """The manifest that a request would become; nothing is written. Raises as ``submit_workload``."""
    project = _project(actor, request)
    spec = compiled(request)
    check_place(request, project)
    return plain_manifest(spec, object_name=request.name, namespace=project.namespace)


def invalid(error: SpecError) -> Invalid:
    """The pure room's problems as the error every door knows."""
    return Invalid(*(_field_error(problem) for problem in error.problems))


def _field_error(problem: Problem) -> FieldError:
    return FieldError(problem.field, problem.message, problem.given, problem.allowed)


def compiled(request: SubmitRequest) -> WorkloadSpec:
    """Raises ``Invalid``; also for a field of another type than declared: a row could hold it, and nobody read it."""
    try:
        from_json(to_json(request))
    except ValueError as error:
        raise Invalid(FieldError("spec", str(error))) from error
    try:
        return compile_spec(request)
    except SpecError as error:
        raise invalid(error) from error


def _project(actor: Actor, request: SubmitRequest) -> Project:
    """The project, if the actor may know of it. An unknown and a hidden one get the same answer."""
    visible = Project.objects.visible_to(actor).with_names()
    known = visible.filter(pk=int(request.project_id)).first() if _is_id(request.project_id) else None
    if known is None:
        allowed = "the id of a project that you can see"
        problem = Problem("project_id", request.project_id, allowed)
        raise Invalid(_field_error(problem))
    return known


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) < 2**31


def check_place(request: SubmitRequest, project: Project) -> None:
    """Cluster and node pools of the request must be the project's."""
    if request.cluster_id and request.cluster_id.lower() != str(project.cluster_id):
        problem = Problem("cluster_id", request.cluster_id, f"{project.cluster_id}, the cluster of {project.name}")
        raise Invalid(_field_error(problem))
    not_leaving(project.cluster)
    if project.delete_requested_at is not None:
        raise Conflict(f"The project {project.name} is being deleted.")
    _check_node_type(request, project)
    if request.node_pools:
        known = set(NodePool.objects.filter(cluster_id=project.cluster_id).values_list("name", flat=True))
        unknown = [pool for pool in request.node_pools if pool not in known]
        if unknown:
            allowed = f"node pools of the cluster: {', '.join(sorted(known))}"
            raise Invalid(_field_error(Problem("node_pools", ", ".join(unknown), allowed)))


def _check_node_type(request: SubmitRequest, project: Project) -> None:
    """Where the project says on which types of nodes its workloads may run, the request may ask for one of these."""
    types = node_types(project) if request.node_type else None
    allowed = types.of(request.type) if types is not None else ()
    if allowed and request.node_type not in allowed:
        text = f"node types of the project {project.name}: {', '.join(allowed)}"
        raise Invalid(_field_error(Problem("node_type", request.node_type, text)))


def _insert(actor: Actor, request: SubmitRequest, spec: WorkloadSpec, project: Project, source: str) -> Workload:
    now, key = timezone.now(), uuid7()
    present = Workload.objects.present().filter(project=project)
    named = present.filter(Q(name=request.name) | Q(object_name=request.name)).values_list("name", "desired_phase")
    if any(name == request.name and desired != "Deleted" for name, desired in named):
        raise _taken(request.name, project)
    # An object of that name that is still going must not be mistaken for the new one.
    object_name = f"{request.name[:54].rstrip('-')}-{key.hex[-8:]}" if named else request.name
    workload = Workload(
        id=key,
        name=request.name,
        object_name=object_name,
        project=project,
        cluster=project.cluster,
        source=source,
        submitted_by=actor.name,
        request=to_json(request),
        phase=Phase.CREATING,
        phase_since=now,
        message=MESSAGES[Phase.CREATING],
        created_at=now,
        updated_at=now,
        **spec_columns(spec, request.category),
    )
    try:
        with transaction.atomic():
            workload.save(force_insert=True)
    except IntegrityError as error:
        raise _taken(request.name, project) from error
    return workload


def _taken(name: str, project: Project) -> Conflict:
    return Conflict(f"A workload named {name!r} exists already in the project {project.name}.")
