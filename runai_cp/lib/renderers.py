"""JSON by msgspec: several times faster than the standard library, and it knows UUID, Decimal and datetime."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from rest_framework.renderers import BaseRenderer


def _encode(value: Any) -> Any:
    """Lazy strings and other types that msgspec does not know."""
    return str(value)


ENCODER = msgspec.json.Encoder(enc_hook=_encode)


class JSONRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return b"" if data is None else ENCODER.encode(data)


def timestamp(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC with milliseconds, as the public API writes it: ``2022-06-08T11:28:24.131Z``."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
