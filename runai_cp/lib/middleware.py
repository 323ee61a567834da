"""Facts about each request (an id, queries, milliseconds), and who may keep its answer."""

import time
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from runai_cp.lib.logs import request_id
from runai_cp.lib.models import uuid7


class PrivateAnswersMiddleware:
    """What a view says nothing else about is for the browser that asked alone, which asks anew before it shows it.

    Cookies know no ports, caches may know no cookies: two stacks on one address, or a proxy between, must not hand one
    person's page to another. Files that name their content in their address say ``public`` themselves.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.setdefault("Cache-Control", "private, no-cache")
        if "public" not in response["Cache-Control"]:
            patch_vary_headers(response, ["Cookie", "Authorization"])
        return response


class _Counter:
    def __init__(self) -> None:
        self.queries = 0
        self.seconds = 0.0

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        self.queries += 1
        started = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.seconds += time.perf_counter() - started


class RequestFactsMiddleware:
    """Adds ``X-Request-Id`` and ``Server-Timing: total;dur=…, db;dur=…;desc="N queries"`` to every answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        counter, started = _Counter(), time.perf_counter()
        identifier = str(uuid7())
        request.request_id = identifier  # type: ignore[attr-defined]
        token = request_id.set(identifier)
        try:
            with connection.execute_wrapper(counter):
                response = self.get_response(request)
        finally:
            request_id.reset(token)
        total = (time.perf_counter() - started) * 1000
        response["X-Request-Id"] = identifier
        response["Server-Timing"] = (
            f'total;dur={total:.1f}, db;dur={counter.seconds * 1000:.1f};desc="{counter.queries} queries"'
        )
        return response
