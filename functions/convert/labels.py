"""What a source says of itself: title, artist, album and cover, as the child picks them out for the parent."""

from collections.abc import Mapping

from functions.common.options import MOST_CHARACTERS
from functions.convert.wire import MOST_COVER_BYTES

NAMES = ("title", "artist", "album")
_PICTURES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png"}


def texts(metadata: Mapping[str, str]) -> dict[str, str]:
    """Those of NAMES that are told, as lines; what is long is shortened."""
    known = {name.lower(): text for name, text in metadata.items()}
    return {name: _line(known[name]) for name in NAMES if name in known}


def picture(cover: bytes | None) -> str | None:
    """The media type of a cover that can be kept, else None: an unknown one, or one of more than MOST_COVER_BYTES."""
    if cover is None or len(cover) > MOST_COVER_BYTES:
        return None
    return next((kind for magic, kind in _PICTURES.items() if cover.startswith(magic)), None)


def are_texts(said: Mapping[str, object]) -> bool:
    """Whether `texts` can have made them."""
    return all(name in NAMES and isinstance(text, str) and text == _line(text) for name, text in said.items())


def _line(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:MOST_CHARACTERS].strip()
