"""Pictures as bytes, made by the formats' own rules; the PNG is whole and opens."""

import struct
import zlib


def png(width: int = 64, height: int = 32, rgb: tuple[int, int, int] = (11, 128, 116)) -> bytes:
    rows = b"".join(b"\x00" + bytes(rgb) * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def jpeg(width: int = 64, height: int = 32) -> bytes:
    """The head alone: a comment, then the frame's size."""
    comment = b"\xff\xfe" + struct.pack(">H", 6) + b"note"
    return (
        b"\xff\xd8\xff\xe0\x00\x04ab" + comment + b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", height, width) + b"\x03"
    )


def webp(width: int = 64, height: int = 32) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00" + bytes(4) + size + bytes(8)
