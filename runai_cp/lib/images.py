"""What kind of picture some bytes are and how large it is, read from its head. Pure; nothing is decoded.

Three raster formats that run nothing: SVG is a document with scripts and addresses in it, and is no picture here.
"""

import struct
from dataclasses import dataclass

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG segment that gives the size (ITU-T T.81, table B.1)."""


@dataclass(frozen=True, slots=True)
class Picture:
    """``media`` is the content type; pixels."""

    media: str
    width: int
    height: int


def picture_of(data: bytes) -> Picture | None:
    """None for what is no PNG, JPEG or WebP, or ends before it has said how large it is."""
    try:
        if data.startswith(_PNG):
            return _png(data)
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
    except (struct.error, IndexError):
        return None
    return None


def _png(data: bytes) -> Picture | None:
    length, kind, width, height = struct.unpack_from(">I4sII", data, 8)
    whole = kind == b"IHDR" and length == 13 and b"IEND" in data[-12:]
    return Picture("image/png", width, height) if whole and width and height else None


def _jpeg(data: bytes) -> Picture | None:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return Picture("image/jpeg", width, height) if width and height else None
        (length,) = struct.unpack_from(">H", data, at + 2)
        if length < 2:
            return None
        at += 2 + length
    return None


def _webp(data: bytes) -> Picture | None:
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    elif kind == b"VP8L" and data[20] == 0x2F:
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", data, 26))
    else:
        return None
    return Picture("image/webp", width, height) if width and height and len(data) >= 30 else None
