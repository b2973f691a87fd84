"""The ID3v2.4 tag in front of an MP3: what the source says of itself, and what the client says instead.

The parent writes it, as the child would need a tenth of its start to import what writes it.
"""

import io
from collections.abc import Mapping

from mutagen.id3 import APIC, ID3, TALB, TIT2, TPE1, Encoding, PictureType

from functions.common.options import Options
from functions.convert import labels


def tag(texts: Mapping[str, str], cover: bytes | None, options: Options) -> bytes:
    """The tag; empty where there is nothing to say. `texts` and `cover` are the source's."""
    asked = options.document
    lines = {name: asked.get(name, texts.get(name, "")) for name in labels.NAMES}
    kind = None if options.cover is False else labels.picture(cover)
    if not any(lines.values()) and kind is None:
        return b""
    made = ID3()
    for frame, name in ((TIT2, "title"), (TPE1, "artist"), (TALB, "album")):
        if lines[name]:
            made.add(frame(encoding=Encoding.UTF8, text=[lines[name]]))
    if kind is not None:
        made.add(APIC(encoding=Encoding.UTF8, mime=kind, type=PictureType.COVER_FRONT, desc="", data=cover))
    file = io.BytesIO()
    made.save(file, v2_version=4, padding=lambda info: 0)
    return file.getvalue()
