"""The base of every API view of every room: permission by declaration, ``Idempotency-Key`` on every POST, ``ETag`` and
``If-Match`` on everything that can be changed, and rate limits with their headers.
"""

import functools
import hashlib
from typing import Any, ClassVar

from django.conf import settings
from django.db import connection, transaction
from rest_framework.request import Request
from rest_framework.response import Response

from access.grants import Actor
from access.guard import refuse_unless
from access.idempotency import once
from runai_cp.lib import api, rates
from runai_cp.lib.errors import PreconditionFailed, TooMany
from runai_cp.lib.renderers import ENCODER

CHANGES = ("PUT", "PATCH", "DELETE")


class ApiView(api.ApiView):
    """A POST with ``Idempotency-Key`` runs inside one transaction with the record of its answer; a change with
    ``If-Match`` runs inside one with the comparison."""

    idempotent = True
    etag_ignores: ClassVar[frozenset[str]] = frozenset({"status", "lastLiveness", "lastLogin"})
    """Members of an answer that the world changes and no caller: they do not count for the ETag."""
    rate: ClassVar[str] = ""
    """Key of ``API_RATES``; empty chooses read or write by the method."""
    _taken: rates.Rate | None = None

    @property
    def actor(self) -> Actor:
        return self.request.user  # type: ignore[return-value]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        method = (request.method or "").lower()
        key, wanted = request.headers.get("Idempotency-Key"), request.headers.get("If-Match")
        handler = getattr(type(self), method, None)
        if handler is None:
            return
        if request.method == "POST" and key and self.idempotent and isinstance(request.user, Actor):
            self.post = functools.partial(self._post_once, handler.__get__(self), key)  # type: ignore[attr-defined]
        if request.method in CHANGES and wanted and hasattr(self, "get"):
            setattr(self, method, functools.partial(self._change_if, handler.__get__(self), wanted))

    def check_throttles(self, request: Request) -> None:
        """Raises ``TooMany``. Counted per actor, and per address for routes that nobody signs in for."""
        kind = self.rate or ("read" if request.method in ("GET", "HEAD", "OPTIONS") else "write")
        user = request.user
        who = f"{user.kind}:{user.id}" if isinstance(user, Actor) else f"ip:{request.META.get('REMOTE_ADDR', '')}"
        self._taken = rates.take(f"{connection.schema_name}:{kind}:{who}", settings.API_RATES[kind])
        if self._taken is not None and self._taken.exceeded:
            error = TooMany(
                f"More than {self._taken.limit} requests in a minute; try again in {self._taken.reset_s} s."
            )
            error.retry_after_s = self._taken.reset_s
            raise error

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        if self._taken is not None:
            for name, value in self._taken.headers().items():
                response[name] = value
        tag = self._tag(request, response)
        if tag:
            response["ETag"] = tag
            if tag in _tags(request.headers.get("If-None-Match", "")):
                response = Response(status=304, headers={"ETag": tag})
        return super().finalize_response(request, response, *args, **kwargs)

    def _tag(self, request: Request, response: Any) -> str:
        changeable = any(hasattr(self, method.lower()) for method in CHANGES)
        if request.method != "GET" or not changeable or getattr(response, "status_code", 0) != 200:
            return ""
        data = getattr(response, "data", None)
        return etag(data, self.etag_ignores) if isinstance(data, dict) else ""

    def _change_if(self, handler: Any, wanted: str, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Run the change only if the object still is what the caller saw. Two conditional writers take turns."""
        need = self.allow.get("GET")
        if need is not None:
            refuse_unless(self.actor, need)
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_advisory_xact_lock(hashtext(%s), hashtext(%s))", [connection.schema_name, request.path]
                )
            shown = self.get(request, *args, **kwargs)  # type: ignore[attr-defined]
            if wanted.strip() != "*" and etag(shown.data, self.etag_ignores) not in _tags(wanted):
                raise PreconditionFailed("The object has changed since you read it; read it again.")
            answer: Response = handler(request, *args, **kwargs)
            return answer

    def _post_once(self, post: Any, key: str, request: Request, *args: Any, **kwargs: Any) -> Response:
        def run() -> tuple[int, Any]:
            response = post(request, *args, **kwargs)
            return response.status_code, response.data

        asked = b"\n".join([request.path.encode(), request._request.body])
        status, data = once(actor_id=self.actor.id, key=key, request=asked, run=run)
        return Response(data, status=status)


def etag(data: Any, ignores: frozenset[str]) -> str:
    """A strong tag over the JSON of an object, without members that only the world changes."""
    kept = {key: value for key, value in data.items() if key not in ignores} if isinstance(data, dict) else data
    return f'"{hashlib.sha256(ENCODER.encode(kept)).hexdigest()[:32]}"'


def _tags(header: str) -> set[str]:
    return {part.strip().removeprefix("W/") for part in header.split(",") if part.strip()}
