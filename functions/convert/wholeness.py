"""Whether a file goes on to the end that its container names: a cut-off upload is told by that, exactly and at once.

Each rule reads a few bytes. Where a container names no end (a live recording), nothing is found to be missing. Layouts
from the formats' specifications: ISO 14496-12, RFC 8794 and 9559, RFC 3533, ISO 13818-1, RIFF, ASF.
"""

import re
import struct
from collections.abc import Callable

ReadAt = Callable[[int, int], bytes]
"""`read_at(offset, count)`: that many bytes, fewer only at the end of the file."""

_SLACK = 0.01  # of the named length: as much as a sound may be short (see timeline.py)
_MAGIC = re.compile(
    rb"\x1a\x45\xdf\xa3|OggS|fLaC|ID3|FLV\x01|RIFF|RF64|riff|#!AMR|\x30\x26\xb2\x75|\x00\x00\x01[\xba\xb3]"
    rb"|\xff[\xe2-\xff]|\x47|.{4}(ftyp|moov|mdat|free|skip|wide|pnot|styp)",
    re.DOTALL,
)
_MOST_BOXES = 100_000  # a day of fragments; a file of nothing but empty boxes must not keep us
_BOXES = frozenset(
    {
        b"ftyp",
        b"moov",
        b"moof",
        b"mdat",
        b"styp",
        b"sidx",
        b"mfra",
        b"free",
        b"skip",
        b"wide",
        b"uuid",
        b"meta",
        b"emsg",
    }
    | {b"emsg", b"pdin", b"prft", b"pnot", b"udta", b"ssix"}
)
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_OGG_PAGE_BYTES = 65_307  # the largest page
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def is_known(head: bytes) -> bool:
    """Whether a file that begins with `head` is meant to be media of a kind that convert reads."""
    return _MAGIC.match(head) is not None


def id3_bytes(head: bytes) -> int:
    """How long the ID3v2 tag is that a file beginning with `head` (10 bytes) has in front; 0 without one."""
    if head[:3] != b"ID3":
        return 0
    return 10 + sum((byte & 0x7F) << 7 * (3 - n) for n, byte in enumerate(head[6:10]))  # seven bits to the byte


def is_cut_off(read_at: ReadAt, length: int, container: str) -> bool:
    """Whether a file of `length` bytes in `container` (libav's name of it) ends before its named end."""
    rule = _RULES.get(container)
    return rule is not None and rule(read_at, length)


def _boxes(read_at: ReadAt, length: int) -> bool:
    position, is_fragmented = 0, False
    for _ in range(_MOST_BOXES):
        if position + 8 > length:
            return False
        size, kind = _box(read_at(position, 16), length - position)
        if kind not in _BOXES:
            # Cameras append what is no box at all; between fragments it can only be damage.
            return is_fragmented and not kind.isalnum()
        is_fragmented = is_fragmented or kind == b"moof"
        position += size
        if size < 8 or position > length:
            return True
    return False


def _box(head: bytes, rest: int) -> tuple[int, bytes]:
    size = int.from_bytes(head[:4], "big")
    if size == 1:
        size = int.from_bytes(head[8:16], "big")
    return size or rest, head[4:8]  # 0: up to the end


def _segment(read_at: ReadAt, length: int) -> bool:
    position, head = 0, read_at(0, 64)
    if head[:4] == _EBML:
        size, width = _varying(head[4:12])
        position = 4 + width + size
        head = read_at(position, 12)
    if head[:4] != _SEGMENT:
        return False
    size, width = _varying(head[4:12])
    is_unknown = size == (1 << 7 * width) - 1
    return not is_unknown and _is_short(position + 4 + width + size, length)


def _varying(data: bytes) -> tuple[int, int]:
    # An EBML number: as many bytes as the first one has leading zeros, and one.
    width = 9 - data[0].bit_length() if data and data[0] else 8
    return int.from_bytes(data[:width], "big") & ((1 << 7 * width) - 1), width


def _riff(read_at: ReadAt, length: int) -> bool:
    head = read_at(0, 8)
    size = int.from_bytes(head[4:8], "little")
    is_unknown = head[:4] != b"RIFF" or size == 0 or size >= 0x7FFFF000  # written to a pipe, or RF64
    return not is_unknown and _is_short(8 + size, length)


def _wave64(read_at: ReadAt, length: int) -> bool:
    # As RIFF, with identifiers of 16 bytes and sizes of 8 that include themselves.
    size = int.from_bytes(read_at(16, 8), "little")
    is_unknown = size == 0 or size >= 1 << 62
    return not is_unknown and _is_short(size, length)


def _page(read_at: ReadAt, length: int) -> bool:
    tail = read_at(max(0, length - _OGG_PAGE_BYTES), _OGG_PAGE_BYTES)
    page = tail[tail.rfind(b"OggS") :] if b"OggS" in tail else b""
    if not page:
        return False
    return len(page) < 27 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])


def _packets(read_at: ReadAt, length: int) -> bool:
    head = read_at(0, 1024)
    for first, stride in ((0, 188), (4, 192), (0, 204)):
        if set(head[first::stride][:4]) == {0x47}:
            return length % stride != 0
    return False


def _xing(read_at: ReadAt, length: int) -> bool:
    tag = id3_bytes(read_at(0, 10))
    frame = read_at(tag, 64)
    mark = re.search(rb"Xing|Info", frame)
    if mark is None or not frame[mark.end() + 3] & 2:
        return False
    size_at = mark.end() + (8 if frame[mark.end() + 3] & 1 else 4)
    return _is_short(tag + int.from_bytes(frame[size_at : size_at + 4], "big"), length)


def _asf(read_at: ReadAt, length: int) -> bool:
    head = read_at(0, 4096)
    at = head.find(_ASF_FILE_PROPERTIES)
    if at < 0 or at + 92 > len(head):
        return False
    (size,) = struct.unpack_from("<Q", head, at + 40)
    is_broadcast = head[at + 88] & 1 == 1
    return not is_broadcast and _is_short(size, length)


def _is_short(named: int, length: int) -> bool:
    return named - length > named * _SLACK


_RULES: dict[str, Callable[[ReadAt, int], bool]] = {
    "mov,mp4,m4a,3gp,3g2,mj2": _boxes,
    "matroska,webm": _segment,
    "avi": _riff,
    "wav": _riff,
    "w64": _wave64,
    "ogg": _page,
    "mpegts": _packets,
    "mp3": _xing,
    "asf": _asf,
}
