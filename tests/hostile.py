"""Files that someone would make to hurt a converter: small, and claiming or unpacking to far more than they are."""

import struct
from pathlib import Path

from tests import media

_FLAC_BLOCK = 65_535  # samples of one frame, the most there can be


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


def behind_tag(size: int, sound: bytes) -> bytes:
    """An MP3 behind an ID3v2 tag of that many bytes, nearly all of them one comment."""
    comment = b"COMM" + _synchsafe(size - 20) + b"\0\0" + b"\0eng\0" + b"x" * (size - 25)
    return b"ID3\4\0\0" + _synchsafe(size - 10) + comment + sound


def _synchsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))
