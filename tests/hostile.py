"""Files that someone would make to hurt a converter: small, and claiming or unpacking to far more than they are."""

import io
import struct
import zlib
from collections.abc import Iterator

import av

from tests import media

_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"edts")
_FLAC_BLOCK = 65_535  # samples of one frame, the most there can be


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


def element(number: str, payload: bytes) -> bytes:
    """One EBML element, by its number in hexadecimal."""
    return bytes.fromhex(number) + (len(payload) | 1 << 56).to_bytes(8, "big") + payload


def matroska(tracks: int, milliseconds: float) -> bytes:
    """A Matroska file with so many tracks, of which the first has a second of PCM, and that names this duration."""
    entries = b""
    for n in range(1, tracks + 1):
        sound = element("b5", struct.pack(">d", 8000)) + element("9f", b"\1") + element("6264", b"\x10")
        entries += element(
            "ae",
            element("d7", n.to_bytes(4, "big"))
            + element("73c5", n.to_bytes(4, "big"))
            + element("83", b"\2")
            + element("86", b"A_PCM/INT/LIT")
            + element("e1", sound),
        )
    blocks = b"".join(element("a3", b"\x81" + (100 * n).to_bytes(2, "big") + b"\x80" + bytes(1600)) for n in range(10))
    segment = (
        element("1549a966", element("2ad7b1", b"\x0f\x42\x40") + element("4489", struct.pack(">d", milliseconds)))
        + element("1654ae6b", entries)
        + element("1f43b675", element("e7", b"\0") + blocks)
    )
    return element("1a45dfa3", element("4282", b"matroska")) + element("18538067", segment)


def overcut_mp3() -> bytes:
    """Matroska with MP3 of whose every frame but the first a whole second is to be thrown away."""
    with av.open(io.BytesIO(media.make("mp3", seconds=0.3))) as source:
        frames = [bytes(packet) for packet in source.demux(audio=0) if packet.size]
    sound = element("b5", struct.pack(">d", 48_000)) + element("9f", b"\2")
    track = element("d7", b"\1") + element("73c5", b"\1") + element("83", b"\2") + element("86", b"A_MPEG/L3")
    groups = b"".join(
        element(
            "a0",
            element("a1", b"\x81" + (24 * n).to_bytes(2, "big") + b"\0" + frame)
            + (element("75a2", (10**9).to_bytes(8, "big")) if n else b""),
        )
        for n, frame in enumerate(frames)
    )
    segment = element("1549a966", element("2ad7b1", b"\x0f\x42\x40"))
    segment += element("1654ae6b", element("ae", track + element("e1", sound)))
    segment += element("1f43b675", element("e7", b"\0") + groups)
    return element("1a45dfa3", element("4282", b"matroska")) + element("18538067", segment)


def flac_silence(seconds: int, *, named: int | None = None) -> bytes:
    """FLAC of so many seconds of silence, 20 bytes to the frame, 8 kHz mono; its header names as many, or `named`."""
    count = 8000 * seconds // _FLAC_BLOCK
    total = count * _FLAC_BLOCK if named is None else 8000 * named
    about = struct.pack(">HH6x", _FLAC_BLOCK, _FLAC_BLOCK) + (8000 << 44 | 15 << 36 | total).to_bytes(8, "big")
    head = b"fLaC" + b"\x80\0\0\x22" + about + bytes(16)
    return head + b"".join(_flac_frame(n) for n in range(count))


def _flac_frame(number: int) -> bytes:
    # Fixed block size, told in 16 bits; 8 kHz; mono; 16 bits; then the number as UTF-8 writes code points.
    utf8 = chr(number).encode(errors="surrogatepass")
    head = b"\xff\xf8\x74\x08" + utf8 + (_FLAC_BLOCK - 1).to_bytes(2, "big")
    head += _crc(head, 8, 0x07).to_bytes(1, "big")
    body = head + b"\0\0\0"  # one constant subframe, of zero
    return body + _crc(body, 16, 0x8005).to_bytes(2, "big")


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    crc = 0
    for byte in data:
        crc ^= byte << bits - 8
        for _ in range(8):
            crc = (crc << 1 ^ polynomial if crc >> bits - 1 else crc << 1) & (1 << bits) - 1
    return crc


def wav(rate: int, channels: int = 2) -> bytes:
    """A WAV of a second at 48 kHz that says something else of itself."""
    data = bytearray(media.make("wav", seconds=1))
    data[22:24] = channels.to_bytes(2, "little")
    data[24:28] = rate.to_bytes(4, "little")
    data[28:32] = (rate * 4 & 0xFFFFFFFF).to_bytes(4, "little")
    return bytes(data)
