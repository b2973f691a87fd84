"""MP4 files that someone would make to hurt a converter, out of the boxes of honest ones."""

import struct
import zlib
from collections.abc import Iterator

from tests import media

_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"edts")


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The kinds and payloads of the MP4 boxes that `data` is a sequence of."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size


def box(kind: bytes, payload: bytes) -> bytes:
    """One MP4 box."""
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def with_boxes(data: bytes, changed: dict[bytes, bytes | None]) -> bytes:
    """The MP4 with the payload of each box of a kind in `changed` replaced; None leaves the box out."""
    made = bytearray()
    for kind, payload in boxes(data):
        new = changed.get(kind, payload)
        if new is not None:
            made += box(kind, with_boxes(new, changed) if kind in _CONTAINERS and kind not in changed else new)
    return bytes(made)


def one_packet_many_times(seconds: int) -> bytes:
    """An MP4 whose table refers to the same packet over and over, for so many seconds of sound."""
    count = seconds * 48_000 // 1024
    data = media.make("m4a", seconds=2)
    table = data.index(b"stsz") + 16
    sizes = struct.unpack_from(">40I", data, table)
    at = data.index(b"mdat") + 4 + sum(sizes[:39])
    tables = {
        b"stts": struct.pack(">IIII", 0, 1, count, 1024),
        b"stsz": struct.pack(">III", 0, sizes[39], count),
        b"stsc": struct.pack(">IIIII", 0, 1, 1, 1, 1),
        b"stco": struct.pack(">II", 0, count) + struct.pack(">I", at) * count,
    }
    return with_boxes(data, {**tables, b"edts": None, b"sgpd": None, b"sbgp": None})


def sound_elsewhere(path: str) -> bytes:
    """An MP4 whose sound, so it says, lies in the file at `path`: by an alias record, as QuickTime has them."""
    name = path.encode()
    alias = bytes(10) + b"\4disk".ljust(28, b"\0") + bytes(12) + b"\1x".ljust(64, b"\0") + bytes(16)
    alias += struct.pack(">HH", 1, 1) + bytes(16)
    alias += struct.pack(">HH", 2, len(name)) + name + bytes(len(name) % 2) + b"\xff\xff\0\0"
    reference = box(b"dref", struct.pack(">II", 0, 1) + box(b"alis", bytes(4) + alias))
    return with_boxes(media.make("m4a", seconds=2), {b"dinf": reference})


def many_tracks_mp4(count: int) -> bytes:
    """An MP4 that has its one track so many times."""
    *front, (_, moov) = boxes(media.make("m4a", seconds=1))
    parts = list(boxes(moov))
    tracks = b"".join(box(b"trak", payload) * count for kind, payload in parts if kind == b"trak")
    rest = b"".join(box(kind, payload) for kind, payload in parts if kind != b"trak")
    return b"".join(box(kind, payload) for kind, payload in front) + box(b"moov", rest + tracks)


def compressed_moov(unpacked: int) -> bytes:
    """An MP4 whose index is compressed and says that it unpacks to so many bytes; 64 MB of them are there."""
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    moov = box(b"cmov", box(b"dcom", b"zlib") + box(b"cmvd", struct.pack(">I", unpacked) + packed))
    return box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(b"moov", moov)
