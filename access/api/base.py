"""The base of every API view of every room: permission by declaration, ``Idempotency-Key`` on every POST."""

import functools
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from access.grants import Actor
from access.idempotency import once
from runai_cp.lib import api


class ApiView(api.ApiView):
    """A POST with the header runs inside one transaction with the record of its answer (see ``access.idempotency``)."""

    idempotent = True

    @property
    def actor(self) -> Actor:
        return self.request.user  # type: ignore[return-value]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        key = request.headers.get("Idempotency-Key")
        if request.method == "POST" and key and self.idempotent and isinstance(request.user, Actor):
            self.post = functools.partial(self._post_once, type(self).post.__get__(self), key)  # type: ignore[attr-defined]

    def _post_once(self, post: Any, key: str, request: Request, *args: Any, **kwargs: Any) -> Response:
        def run() -> tuple[int, Any]:
            response = post(request, *args, **kwargs)
            return response.status_code, response.data

        asked = b"\n".join([request.path.encode(), request._request.body])
        status, data = once(actor_id=self.actor.id, key=key, request=asked, run=run)
        return Response(data, status=status)
