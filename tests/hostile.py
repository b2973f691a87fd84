"""Files that someone would make to hurt a converter: small, and claiming or unpacking to far more than they are."""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

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


def playlists(path: Path, url: str) -> dict[str, str]:
    """Scripts that make a player open the file at `path`, or call `url`."""
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-MEDIA-SEQUENCE:0\n{}#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n"
    key = f'#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n'
    return {
        "hls to a path": hls.format("", path),
        "hls to a file url": hls.format("", f"file://{path}"),
        "hls to a host": hls.format("", url),
        "hls with a key from a host": hls.format(key, path),
        "hls joining files": hls.format("", f"concat:{path}|{path}"),
        "hls to a part of a file": hls.format("", f"subfile,,start,0,end,1000,,:{path}"),
        "hls to the bytes of a file": hls.format("#EXT-X-BYTERANGE:1000@0\n", path),
        "hls to another hls": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}.m3u8\n",
        "hls with its start elsewhere": hls.format(f'#EXT-X-MAP:URI="{path}"\n', url),
        "hls to the environment": hls.format("", "file:///proc/self/environ"),
        "ffconcat to a path": f"ffconcat version 1.0\nfile '{path}'\n",
        "ffconcat to a host": f"ffconcat version 1.0\nfile '{url}'\n",
        "session description": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
        "hls to a relative path": hls.format("", path.name),
        "hls behind an id3 tag": "ID3\x04\0\0\0\0\0\0" + hls.format("", url),
        "hls behind an mp4 box": "\0\0\0\x10ftypisom\0\0\0\0" + hls.format("", url),
        "hls behind the mark of wave": "RIFF\x10\0\0\0WAVE" + hls.format("", url),
        "hls behind a byte order mark": "\ufeff" + hls.format("", url),
        "ffconcat to a relative path": f"ffconcat version 1.0\nfile {path.name}\n",
        "ffconcat with options": f"ffconcat version 1.0\nfile '{url}'\noption protocol_whitelist file,http,tcp\n",
        "xspf": f'<?xml version="1.0"?><playlist version="1"><trackList><track><location>{url}</location></track>'
        "</trackList></playlist>",
        "pls": f"[playlist]\nNumberOfEntries=1\nFile1={url}\n",
        "asx": f'<asx version="3.0"><entry><ref href="{url}"/></entry></asx>',
        "windows media redirector": f"[Reference]\nRef1={url}?MSWMExt=.asf\n",
        "real media": f"rtsp://{url.removeprefix('http://')}\n",
        "smil": f'<smil><body><audio src="{url}"/></body></smil>',
        "dash": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{url}</BaseURL></MPD>',
    }


def avi_with_script(script: str) -> bytes:
    """An AVI with a subtitle track (GAB2) that is a playlist: the way in of CVE-2016-1897."""
    data = media.make("avi pcm", seconds=1)
    movi = data.index(b"movi")
    entry = b"GAB2\0\2\0" + struct.pack("<I", 2) + b"x\0" + struct.pack("<HI", 4, len(script)) + script.encode()
    chunk = _riff(b"02tx", entry)
    track = _riff(b"strh", b"txts" + bytes(16) + struct.pack("<IIIIIII", 1, 1, 0, 1, 0, 0, 0) + bytes(8))
    strl = _riff(b"LIST", b"strl" + track + _riff(b"strf", b""))
    # hdrl ends where the next list or junk of its level begins; the track goes in front of that.
    hdrl = data.index(b"hdrl")
    end = hdrl + int.from_bytes(data[hdrl - 4 : hdrl], "little")
    made = bytearray(data[:end] + strl + data[end : movi + 4] + chunk + data[movi + 4 :])
    grown = len(strl)
    for at, more in ((4, grown + len(chunk)), (hdrl - 4, grown), (movi + grown - 4, len(chunk))):
        made[at : at + 4] = (int.from_bytes(made[at : at + 4], "little") + more).to_bytes(4, "little")
    streams = made.index(b"avih") + 8 + 24
    made[streams] += 1
    return bytes(made)


def _riff(kind: bytes, payload: bytes) -> bytes:
    return kind + struct.pack("<I", len(payload)) + payload + bytes(len(payload) % 2)


def with_attachment(script: str, url: str) -> bytes:
    """A Matroska file that is said to go on in others, and brings a playlist along."""
    name, kind = element("466e", b"list.m3u8"), element("4660", b"application/vnd.apple.mpegurl")
    attached = element("61a7", name + kind + element("465c", script.encode()) + element("46ae", b"\1"))
    following = element("3eb923", bytes(16)) + element("3e83bb", url.encode())  # the next segment's id, and its file
    return matroska(1, 1000, about=following, more=element("1941a469", attached))


def behind_tag(size: int, sound: bytes) -> bytes:
    """An MP3 behind an ID3v2 tag of that many bytes, nearly all of them one comment."""
    comment = b"COMM" + _synchsafe(size - 20) + b"\0\0" + b"\0eng\0" + b"x" * (size - 25)
    return b"ID3\4\0\0" + _synchsafe(size - 10) + comment + sound


def _synchsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def labelled(count: int, characters: int) -> bytes:
    """A Matroska file with so many labels, of so many characters each, and with a title as long."""
    tags = b"".join(
        element("67c8", element("45a3", b"NAME%d" % n) + element("4487", b"v" * characters)) for n in range(count)
    )
    title = element("67c8", element("45a3", b"ARTIST") + element("4487", b"a" * characters))
    return matroska(1, 1000, more=element("1254c367", element("7373", element("63c0", b"") + title + tags)))
