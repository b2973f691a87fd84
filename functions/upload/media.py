"""Tells from a file's first bytes whether it may be media, so that nothing else is ever stored.

Signatures of the containers that convert reads, from their specifications. It is a sieve, not a judgement: what
passes here and is no media after all fails in convert, with a mail.
"""

HEAD_BYTES = 65_536

_AT_START = (
    b"\x1a\x45\xdf\xa3",  # EBML: Matroska, WebM
    b"OggS",
    b"fLaC",
    b"ID3",  # an MP3 behind its tag
    b"FLV\x01",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF: WMV, WMA
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG video
    b"#!AMR",
    b"riff\x2e\x91\xcf\x11",  # Sony Wave64
)
_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp"})
_RIFF = frozenset({b"AVI ", b"WAVE", b"AVIX"})
_RIFF_IDS = frozenset({b"RIFF", b"RF64"})
_TS_STRIDES = ((0, 188), (4, 192), (0, 204))  # plain, with time codes (M2TS), with error correction


def looks_like_media(head: bytes) -> bool:
    """Whether `head`, the first bytes of a file, begins like a container or stream that holds sound."""
    return (
        head.startswith(_AT_START)
        or head[4:8] in _BOXES  # ISO base media and QuickTime
        or (head[:4] in _RIFF_IDS and head[8:12] in _RIFF)
        or any(_transport_stream(head, first, stride) for first, stride in _TS_STRIDES)
        or _mpeg_audio(head)
    )


def _transport_stream(head: bytes, first: int, stride: int) -> bool:
    marks = head[first : first + 5 * stride : stride]
    return len(marks) >= 3 and set(marks) == {0x47}


def _mpeg_audio(head: bytes) -> bool:
    # ISO 11172-3 and ADTS: eleven set bits, then version, layer and rate fields that are in use.
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    is_adts = head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 0xF < 13
    is_mpeg = head[1] & 0x06 != 0 and head[1] & 0x18 != 0x08 and head[2] >> 4 not in (0, 15) and head[2] & 0x0C != 0x0C
    return is_adts or is_mpeg
