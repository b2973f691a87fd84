"""Matroska files that someone would make to hurt a converter, element by element."""

import io
import struct

import av

from tests import media


def element(number: str, payload: bytes) -> bytes:
    """One EBML element, by its number in hexadecimal."""
    return bytes.fromhex(number) + (len(payload) | 1 << 56).to_bytes(8, "big") + payload


def matroska(tracks: int, milliseconds: float, about: bytes = b"", more: bytes = b"") -> bytes:
    """A Matroska file with so many tracks, of which the first has a second of PCM, and that names this duration.

    `about` goes into what it says of the segment, and `more` elements in front of the sound.
    """
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
        element(
            "1549a966", element("2ad7b1", b"\x0f\x42\x40") + element("4489", struct.pack(">d", milliseconds)) + about
        )
        + element("1654ae6b", entries)
        + more
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


def with_attachment(script: str, url: str) -> bytes:
    """A Matroska file that is said to go on in others, and brings a playlist along."""
    name, kind = element("466e", b"list.m3u8"), element("4660", b"application/vnd.apple.mpegurl")
    attached = element("61a7", name + kind + element("465c", script.encode()) + element("46ae", b"\1"))
    following = element("3eb923", bytes(16)) + element("3e83bb", url.encode())  # the next segment's id, and its file
    return matroska(1, 1000, about=following, more=element("1941a469", attached))


def labelled(count: int, characters: int) -> bytes:
    """A Matroska file with so many labels, of so many characters each, and with a title as long."""
    tags = b"".join(
        element("67c8", element("45a3", b"NAME%d" % n) + element("4487", b"v" * characters)) for n in range(count)
    )
    title = element("67c8", element("45a3", b"ARTIST") + element("4487", b"a" * characters))
    return matroska(1, 1000, more=element("1254c367", element("7373", element("63c0", b"") + title + tags)))
