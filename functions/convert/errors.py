"""How a conversion can end otherwise than with an MP3; light, so that both sides of the socket can import it."""


class MediaError(Exception):
    """The source cannot become an MP3; `code` is one of functions.common.failures (`no_audio`, `corrupt`, …)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ChildDied(Exception):
    """The child ended without a result: killed, crashed, or talking nonsense. Another try may succeed."""


class Stopped(Exception):
    """The caller's event was set before the conversion came to its end."""


class NotCopyable(Exception):
    """The source's frames cannot be taken over as they are after all; encoding will do."""
