"""Samples to MP3: a variable bit rate in blocks, on as many threads as there are cores; a constant one in one go.

A block is encoded by an encoder of its own, which is given WARM_FRAMES before it: then its frames are bit for bit those
of one encoder that saw everything, as long as no frame borrows room from another (docs/decisions/0010). The borrowing
is done here afterwards, block by block. So the file doesn't depend on the number of threads. A single thread keeps its
encoder from block to block, and need not warm it.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from av.audio.frame import AudioFrame

from functions.convert.lame import Encoder, LameError, Setting
from functions.convert.layer3 import DECODER_DELAY, Stream

BLOCK_FRAMES = 2048  # 49 s at 48 kHz
# LAME's follower of loudness falls by 7.5 % a frame at most: from 1 to its floor of 0.000625 that is 95 frames in
# silence, and up to 120 where the sound fades just as fast.
WARM_FRAMES = 128
_ENCODER_DELAY = 576  # samples that LAME puts in front
_LEAST_PADDING = 576  # and behind, before it fills up the last frame
_TAIL_FRAMES = 1  # what LAME must see beyond a frame to give it out
_SAMPLE_BYTES = 4


class Encoding(Protocol):
    """One way to make an MP3: take all `pieces`, then let `head` replace the first bytes."""

    samples: int  # that sound, once the last piece was taken

    def pieces(self) -> Iterator[bytes]:
        """The file, piece by piece."""

    def head(self) -> bytes:
        """The first frame as it must be in the end; after the last of the pieces."""


def encoding(frames: Iterable[AudioFrame], setting: Setting, pool: ThreadPoolExecutor, threads: int) -> Encoding:
    """How to encode `frames` (signed 32-bit planar samples, at most SLICE_SAMPLES each) on the `threads` of `pool`."""
    return OnePass(frames, setting) if setting.vbr is None else Blockwise(frames, setting, pool, threads)


class OnePass:
    """A constant bit rate: LAME's reservoir spans the whole, and it writes its own tag."""

    def __init__(self, frames: Iterable[AudioFrame], setting: Setting) -> None:
        self.samples = 0
        self._frames, self._encoder = frames, Encoder(setting)

    def pieces(self) -> Iterator[bytes]:
        """See Encoding."""
        for frame in self._frames:
            self.samples += frame.samples
            yield self._encoder.feed(frame.planes[0].buffer_ptr, frame.planes[-1].buffer_ptr, frame.samples)
        yield self._encoder.flush()

    def head(self) -> bytes:
        """See Encoding."""
        return self._encoder.tag()


Slice = tuple[AudioFrame, int, int]
"""Some of a frame's samples: from a number up to, not including, another."""


@dataclass
class Block:
    """Samples to encode; those of its first `warm` frames are another block's, it gives `keep`.

    Where an encoder goes on from the block before, it has seen a little of this one: then `warm` is negative.
    """

    slices: list[Slice]
    warm: int
    keep: int | None  # None: the last block, whose frames LAME knows when to end


class Blockwise:
    """A variable bit rate, on the `threads` of `pool`. At most two blocks more than threads are held at a time."""

    def __init__(
        self,
        frames: Iterable[AudioFrame],
        setting: Setting,
        pool: ThreadPoolExecutor,
        threads: int,
        *,
        block_frames: int = BLOCK_FRAMES,
        warm_frames: int = WARM_FRAMES,
    ) -> None:
        self.samples = 0
        self._frames, self._setting, self._pool, self._threads = frames, setting, pool, threads
        self._block_frames = block_frames
        self._frame_samples = 1152 if setting.rate >= 32000 else 576
        self._only = Encoder(setting, is_part=True) if threads == 1 else None
        self._overlap = -_TAIL_FRAMES if self._only else warm_frames  # of a block and the one before
        self._left: list[bytes] = []  # frames that it gave out, of the next block
        self._sizes: list[int] = []
        self._stream: Stream | None = None
        self._version = b""

    def pieces(self) -> Iterator[bytes]:
        """See Encoding."""
        coming: deque[Future[list[bytes]]] = deque()
        for block in self._blocks():
            if self._only and coming:
                yield self._laid(coming.popleft().result())
            coming.append(self._pool.submit(self._encoded, block))
            del block  # or it would be held while the next one grows
            while coming and (coming[0].done() or len(coming) > self._threads):
                yield self._laid(coming.popleft().result())
        while coming:
            yield self._laid(coming.popleft().result())

    def head(self) -> bytes:
        """See Encoding. Raises LameError if there are not as many frames as the samples take."""
        assert self._stream
        wanted = -(-(_ENCODER_DELAY + self.samples + _LEAST_PADDING) // self._frame_samples)
        if len(self._sizes) != wanted:
            raise LameError(f"{len(self._sizes)} frames for {self.samples} samples, which take {wanted}")
        return self._stream.tag(self._sizes, self.samples, _ENCODER_DELAY + DECODER_DELAY, self._version)

    def _blocks(self) -> Iterator[Block]:
        held: list[Slice] = []
        count = warm = 0
        for frame in self._frames:
            self.samples += frame.samples
            held.append((frame, 0, frame.samples))
            count += frame.samples
            # One frame more than the tail: what is left must be enough for a block of its own.
            if count >= (warm + self._block_frames + _TAIL_FRAMES + 1) * self._frame_samples:
                end = (warm + self._block_frames + _TAIL_FRAMES) * self._frame_samples
                block = Block(list(_within(held, 0, end)), warm, self._block_frames)
                begin = max(0, warm + self._block_frames - self._overlap)
                held = list(_within(held, begin * self._frame_samples, count))
                count -= begin * self._frame_samples
                warm = warm + self._block_frames - begin
                yield block
                del block
        yield Block(held, warm, None)

    def _encoded(self, block: Block) -> list[bytes]:
        if self._only:
            self._left += self._fed(self._only, block)
            end = len(self._left) if block.keep is None else block.keep
            frames, self._left = self._left[:end], self._left[end:]
        else:
            with Encoder(self._setting, is_part=True) as encoder:
                frames = self._fed(encoder, block)
            frames = frames[block.warm : None if block.keep is None else block.warm + block.keep]
        return Stream(frames[0]).repacked(frames)

    def _fed(self, encoder: Encoder, block: Block) -> list[bytes]:
        made = bytearray()
        for frame, start, stop in block.slices:
            left, right = (frame.planes[channel].buffer_ptr + _SAMPLE_BYTES * start for channel in (0, -1))
            made += encoder.feed(left, right, stop - start)
        if block.keep is None:
            made += encoder.flush()
        self._version = encoder.version
        return Stream(bytes(made[:4])).split(bytes(made)) if made else []

    def _laid(self, frames: list[bytes]) -> bytes:
        place = b""
        if self._stream is None:
            self._stream = Stream(frames[0])
            place = bytes(self._stream.tag_bytes)
        self._sizes += map(len, frames)
        return place + b"".join(frames)


def _within(slices: Iterable[Slice], first: int, end: int) -> Iterator[Slice]:
    """Of all their samples, counted through, those from number `first` up to, not including, `end`."""
    position = 0
    for frame, start, stop in slices:
        base = start - position
        position += stop - start
        if max(start, base + first) < min(stop, base + end):
            yield frame, max(start, base + first), min(stop, base + end)
