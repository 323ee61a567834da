"""Files that a browser sends: small ones, in memory. A larger body is refused before a byte of it is kept."""

from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import MemoryFileUploadHandler

LARGEST = 1024 * 1024
"""Bytes of a whole multipart body. Nothing is spooled to the disk: CSRF reads the body before anybody is known."""


class SmallFiles(MemoryFileUploadHandler):
    def handle_raw_input(
        self, input_data: Any, META: Any, content_length: int, boundary: bytes, encoding: str | None = None
    ) -> None:
        """Raises ``RequestDataTooBig``, which Django answers with 400."""
        if content_length > LARGEST:
            raise RequestDataTooBig(f"A form may have {LARGEST} bytes with its files.")
        super().handle_raw_input(input_data, META, content_length, boundary, encoding)
        self.activated = True
