"""Ours beside the contract: the log of a workload as JSON parts, its YAML, and a batch of acts."""

import time
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.base import ApiView
from access.roles import Action
from runai_cp.lib.api import body
from runai_cp.lib.errors import DomainError, FieldError, Invalid
from runai_cp.lib.models import uuid7
from workloads.api.lists import flag, workload_of
from workloads.services import (
    LogPart,
    delete_workload,
    read_workload_log,
    resume_workload,
    suspend_workload,
    workload_yaml,
)

MAX_WAIT_S = 10.0
STEP_S = 0.15
MAX_BATCH = 500
ACTS: dict[str, Any] = {"delete": delete_workload, "suspend": suspend_workload, "resume": resume_workload}


class WorkloadLogsView(ApiView):
    """``{stream, pod, text, nextOffset, ended, error}``. First call without ``stream``; then with it and the offset.

    ``wait`` (seconds, 0 to 10, default 2) is how long an answer may wait for text.
    """

    allow = {"GET": Action.WORKLOAD_VIEW}

    def get(self, request: Request, workload_id: UUID) -> Response:
        workload, params = workload_of(self.actor, workload_id), request.query_params
        common: dict[str, Any] = {"actor": self.actor, "workload": workload, "pod": params.get("pod", "")}
        offset, deadline = _number(request, "offset", 0), time.monotonic() + _wait(request)
        if params.get("stream"):
            part = read_workload_log(**common, stream=_uuid(params["stream"]), offset=offset)
        else:
            tail = _number(request, "tail", -1)
            part = read_workload_log(
                **common,
                container=params.get("container") or None,
                follow=flag(request, "follow"),
                previous=flag(request, "previous"),
                tail=None if tail < 0 else tail,
            )
        while part.stream and not part.text and not part.ended and not part.error and time.monotonic() < deadline:
            time.sleep(STEP_S)
            part = read_workload_log(**{**common, "pod": part.pod}, stream=part.stream, offset=offset)
        return Response(_part(part))


def _part(part: LogPart) -> dict[str, Any]:
    return {
        "stream": str(part.stream) if part.stream else None,
        "pod": part.pod,
        "text": part.text,
        "nextOffset": part.next_offset,
        "ended": part.ended,
        "error": part.error,
    }


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    if text and not text.isdecimal():
        raise Invalid(FieldError(name, "must be a whole number of at least 0", text))
    return int(text) if text else default


def _wait(request: Request) -> float:
    text = request.query_params.get("wait", "2")
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MAX_WAIT_S:
        raise Invalid(FieldError("wait", f"must be 0 to {MAX_WAIT_S:g} seconds", text))
    return value


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Invalid(FieldError("stream", "must be the stream of an earlier answer", text)) from error


class WorkloadYamlView(ApiView):
    allow = {"GET": Action.WORKLOAD_VIEW}

    def get(self, request: Request, workload_id: UUID) -> HttpResponse:
        text = workload_yaml(workload_of(self.actor, workload_id))
        return HttpResponse(text, content_type="application/yaml")


class WorkloadBatchView(ApiView):
    """Each id by itself: what fails for one says why and stops no other."""

    allow = {"POST": Action.WORKLOAD_VIEW}

    def post(self, request: Request) -> Response:
        data = body(request)
        act, ids = ACTS.get(str(data.get("action"))), data.get("ids")
        if act is None:
            raise Invalid(FieldError("action", "must be delete, suspend or resume", data.get("action"), list(ACTS)))
        if not isinstance(ids, list) or not 1 <= len(ids) <= MAX_BATCH:
            raise Invalid(FieldError("ids", f"must be a list of 1 to {MAX_BATCH} ids of workloads", ids))
        succeeded: list[str] = []
        failed: list[dict[str, Any]] = []
        for item in ids:
            try:
                act(actor=self.actor, workload=workload_of(self.actor, _id(item)))
                succeeded.append(str(item))
            except DomainError as error:
                failed.append({"id": str(item), "code": error.status, "message": error.message})
        return Response({"id": str(uuid7()), "succeeded": succeeded, "failed": failed})


def _id(item: object) -> UUID:
    try:
        return UUID(str(item))
    except ValueError as error:
        raise Invalid(FieldError("ids", "must be ids of workloads", item)) from error
