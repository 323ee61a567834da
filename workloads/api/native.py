"""Trainings, workspaces and distributed trainings: submit, read, suspend, resume, delete. One type a route."""

from dataclasses import replace
from typing import ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from access.api.base import ApiView
from access.roles import Action
from runai_cp.lib.api import body
from runai_cp.lib.errors import Invalid
from workloads.api import shapes
from workloads.api.lists import workload_of
from workloads.models import Source
from workloads.services import delete_workload, resume_workload, submit_workload, suspend_workload
from workloads.services.submit import invalid
from workloads.specs.api_shapes import json_path, read_creation
from workloads.specs.problems import SpecError
from workloads.specs.request import TRAINING

CLI_AGENT = "runai-cli"
"""User agent of the command line: its submissions say so."""


def source_of(request: Request) -> str:
    """The command line says who it is; everybody else is the control plane's own doors."""
    return Source.CLI if request.headers.get("User-Agent", "").startswith(CLI_AGENT) else Source.CONTROL_PLANE


class NativeView(ApiView):
    workload_type: ClassVar[str] = TRAINING


class NativeListView(NativeView):
    allow = {"POST": Action.WORKLOAD_CREATE}

    def post(self, request: Request) -> Response:
        try:
            asked = read_creation(body(request), self.workload_type)
        except SpecError as error:
            raise invalid(error) from error
        try:
            workload = submit_workload(actor=self.actor, request=asked, source=source_of(request))
        except Invalid as error:
            raise in_callers_words(error) from error
        return Response(shapes.native(workload), status=202)


def in_callers_words(error: Invalid) -> Invalid:
    """The same problems with the contract's paths as fields."""
    return Invalid(*(replace(item, field=json_path(item.field)) for item in error.fields))


class NativeItemView(NativeView):
    allow = {"GET": Action.WORKLOAD_VIEW, "DELETE": Action.WORKLOAD_DELETE}

    def get(self, request: Request, workload_id: UUID) -> Response:
        return Response(shapes.native(workload_of(self.actor, workload_id, self.workload_type)))

    def delete(self, request: Request, workload_id: UUID) -> Response:
        workload = workload_of(self.actor, workload_id, self.workload_type)
        delete_workload(actor=self.actor, workload=workload)
        return Response(shapes.ACCEPTED, status=202)


class NativeSuspendView(NativeView):
    allow = {"POST": Action.WORKLOAD_UPDATE}

    def post(self, request: Request, workload_id: UUID) -> Response:
        suspend_workload(actor=self.actor, workload=workload_of(self.actor, workload_id, self.workload_type))
        return Response(shapes.ACCEPTED, status=202)


class NativeResumeView(NativeView):
    allow = {"POST": Action.WORKLOAD_UPDATE}

    def post(self, request: Request, workload_id: UUID) -> Response:
        resume_workload(actor=self.actor, workload=workload_of(self.actor, workload_id, self.workload_type))
        return Response(shapes.ACCEPTED, status=202)
