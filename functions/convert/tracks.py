"""Which of a file's tracks is converted, and which is its cover."""

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream

from functions.convert import formats
from functions.convert.errors import MediaError

MOST_TRACKS = 100


def chosen(container: InputContainer, track: str | None) -> AudioStream:
    """The sound track of that number (from 1) or language; without one the default track, or else the first.

    Raises MediaError: `no_audio`, `no_such_track`, `unsupported` when nothing here decodes it.
    """
    if len(container.streams) > MOST_TRACKS:
        raise MediaError("unsupported")
    sounds = container.streams.audio
    if not sounds:
        raise MediaError("no_audio")
    asked = list(sounds) if track is None else _asked(list(sounds), track)
    if not asked:
        raise MediaError("no_such_track")
    # libav has no context for a stream that it has no decoder for, whatever the stubs say.
    readable = [s for s in asked if getattr(s.codec_context, "name", None) in formats.DECODERS]
    if not readable:
        raise MediaError("unsupported")
    return next((s for s in readable if s.disposition & Disposition.default), readable[0])


def _asked(sounds: list[AudioStream], track: str) -> list[AudioStream]:
    if track.isdigit():
        return sounds[int(track) - 1 : int(track)]
    return [s for s in sounds if _language(s).startswith(track) or track.startswith(_language(s) or "-")]


def _language(stream: Stream) -> str:
    return stream.metadata.get("language", "").lower()


def cover(container: InputContainer) -> Stream | None:
    """The track that holds a still picture, if one does."""
    return next((s for s in container.streams if s.disposition & Disposition.attached_pic), None)
