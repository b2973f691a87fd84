"""The ID3v2.4 tag in front of an MP3: what the source says of itself, and what the client says instead."""

import io
from collections.abc import Mapping

from mutagen.id3 import APIC, ID3, TALB, TIT2, TPE1, Encoding, PictureType

from functions.common.options import MOST_CHARACTERS, Options

MOST_COVER_BYTES = 200_000  # with the rest it must fit the file's first chunk, which is written last
_PICTURES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png"}
_NAMES = ("title", "artist", "album")


def id3(metadata: Mapping[str, str], cover: bytes | None, options: Options) -> bytes:
    """The tag; empty where there is nothing to say. What the source says is shortened where it is long.

    A cover of more than MOST_COVER_BYTES is left out.
    """
    known = {name.lower(): text for name, text in metadata.items()}
    said = {name: getattr(options, name) for name in _NAMES}
    texts = {name: _line(known.get(name, "")) if text is None else text for name, text in said.items()}
    kind = next((kind for magic, kind in _PICTURES.items() if cover and cover.startswith(magic)), None)
    has_cover = kind is not None and len(cover or b"") <= MOST_COVER_BYTES and options.cover is not False
    if not any(texts.values()) and not has_cover:
        return b""
    tag = ID3()
    for frame, name in ((TIT2, "title"), (TPE1, "artist"), (TALB, "album")):
        if texts[name]:
            tag.add(frame(encoding=Encoding.UTF8, text=[texts[name]]))
    if has_cover:
        tag.add(APIC(encoding=Encoding.UTF8, mime=kind, type=PictureType.COVER_FRONT, desc="", data=cover))
    file = io.BytesIO()
    tag.save(file, v2_version=4, padding=lambda info: 0)
    return file.getvalue()


def _line(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:MOST_CHARACTERS].strip()
