"""MPEG audio layer III as bytes: frames, laying their contents out anew, and the Xing/LAME frame that opens a file.

Layouts: ISO 11172-3 sections 2.4.1 and 2.4.2, ISO 13818-3 for rates up to 24 kHz (and "MPEG 2.5" up to 12 kHz), the
Xing header as its SDK describes it, and LAME's extension of it (revision 1).
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

DECODER_DELAY = 529  # samples; what every decoder adds in front, and players subtract with the encoder's delay
_MPEG1, _LAYER3 = 3, 1
_KBITS = {
    True: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # Hz, by version and index
_RATES_MPEG1_FROM = 32000
_MONO = 3
_LENGTH_BITS = 12  # of part2_3_length
# Where part2_3_length stands in the side information, by (MPEG 1, mono): once a granule and channel.
_LENGTH_AT = {
    (True, False): (20, 79, 138, 197),
    (True, True): (18, 77),
    (False, False): (10, 73),
    (False, True): (9,),
}
_SIDE_BYTES = {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}
_TAG_BYTES = 156  # Xing with all its fields, and LAME's extension
_TAG_VBR, _TAG_CBR = 4, 1  # LAME's numbers for its methods
_MOST_DELAY = 4095  # twelve bits


def bit_rates(rate: int) -> tuple[int, ...]:
    """What a frame may have at this sample rate, in kbit/s, rising."""
    return _KBITS[rate >= _RATES_MPEG1_FROM]


class NotLayer3Error(ValueError):
    """The bytes are no layer III frame, or not of this stream."""


class Stream:
    """What all frames of one stream share, read from the header of any of them. Raises NotLayer3Error.

    `rate` in Hz, `channels` 1 or 2, `samples` in a frame.
    """

    def __init__(self, head: bytes) -> None:
        if len(head) < 4 or head[0] != 0xFF or head[1] < 0xE0:
            raise NotLayer3Error
        version, layer, index = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 2 & 3
        if layer != _LAYER3 or version not in _RATES or index == 3:
            raise NotLayer3Error
        self._is_mpeg1, is_mono = version == _MPEG1, head[3] >> 6 == _MONO
        self.rate, self._rate_index = _RATES[version][index], index
        self.channels = 1 if is_mono else 2
        self.samples = 1152 if self._is_mpeg1 else 576
        self._first = bytes(head[:2])
        side = _SIDE_BYTES[self._is_mpeg1, is_mono]
        self._main_at = 4 + side
        self._shifts = tuple(8 * side - at - _LENGTH_BITS for at in _LENGTH_AT[self._is_mpeg1, is_mono])
        self._sizes = tuple(self.samples * 125 * kbits // self.rate for kbits in _KBITS[self._is_mpeg1])
        self._areas = tuple(size - self._main_at for size in self._sizes)
        self._most_begin = 511 if self._is_mpeg1 else 255  # bytes; what main_data_begin can say
        self._known: dict[bytes, int] = {}  # sizes by header

    def size(self, head: bytes) -> int:
        """How many bytes the frame takes that begins with `head`. Raises NotLayer3Error for another stream's."""
        head = head[:4]
        size = self._known.get(head)
        if size is None:
            size = self._known[head] = self._size(head)
        return size

    def _size(self, head: bytes) -> int:
        index = head[2] >> 4
        # All of a stream but the bit for a CRC, the bit rate, the padding, and how two channels are joined.
        if head[0] != 0xFF or (head[1] ^ self._first[1]) & ~1 or (head[2] >> 2 & 3) != self._rate_index:
            raise NotLayer3Error
        if (head[3] >> 6 == _MONO) != (self.channels == 1):
            raise NotLayer3Error
        if not 1 <= index <= len(self._sizes):
            raise NotLayer3Error
        return self._sizes[index - 1] + (head[2] >> 1 & 1)

    def split(self, data: bytes) -> list[bytes]:
        """The frames that `data` is a sequence of. Raises NotLayer3Error."""
        frames, at, first, sizes = [], 0, self._first, self._sizes
        while at < len(data):
            if data[at : at + 2] != first:
                raise NotLayer3Error(f"no frame at {at}")
            size = sizes[(data[at + 2] >> 4) - 1] + (data[at + 2] >> 1 & 1)
            frames.append(data[at : at + size])
            at += size
        return frames

    def repacked(self, frames: Iterable[bytes]) -> list[bytes]:
        """Frames that each hold their own data, without a CRC, so laid out that each begins in what is spare before it.

        They decode to the same samples. Of the bit rates each takes the least that does.
        """
        heads, areas, spare, main = [], [], 0, bytearray()
        for frame in frames:
            data = self._main_data(frame)
            if spare > self._most_begin:
                main += bytes(spare - self._most_begin)
                spare = self._most_begin
            index = bisect_left(self._areas, len(data) - spare)
            heads.append(self._head(frame, index + 1, spare))
            areas.append(self._areas[index])
            main += data
            spare += self._areas[index] - len(data)
        main += bytes(spare)
        ends = list(accumulate(areas))
        return [bytes(head + main[end - area : end]) for head, area, end in zip(heads, areas, ends, strict=True)]

    def _main_data(self, frame: bytes) -> bytes:
        side = int.from_bytes(frame[4 : self._main_at], "big")
        bits = sum(side >> shift & 0xFFF for shift in self._shifts)
        return frame[self._main_at : self._main_at + (bits + 7) // 8]

    def _head(self, frame: bytes, index: int, begin: int) -> bytearray:
        head = bytearray(frame[: self._main_at])
        head[2] = index << 4 | head[2] & 0x0D  # the padding bit goes
        if self._is_mpeg1:
            head[4], head[5] = begin >> 1, (begin & 1) << 7 | head[5] & 0x7F
        else:
            head[4] = begin
        return head

    @property
    def tag_bytes(self) -> int:
        """How long the frame is that `tag` makes."""
        return self._sizes[self._tag_index]

    @property
    def _tag_index(self) -> int:
        return bisect_left(self._areas, _TAG_BYTES)

    def tag(self, sizes: Sequence[int], samples: int, skip: int, encoder: bytes, *, is_vbr: bool = True) -> bytes:
        """The frame to put in front of frames of these `sizes` (bytes): their count, a seek table, and what to cut off.

        Of the decoded samples the first `skip` and all after another `samples` are no sound. A skip below DECODER_DELAY
        cannot be told, and nothing is. `encoder` is its short name, as `LAME3.100`.
        """
        frame = bytearray(self.tag_bytes)
        frame[:2] = self._first
        frame[1] |= 1  # no CRC
        frame[2] = (self._tag_index + 1) << 4 | self._rate_index << 2
        frame[3] = (_MONO << 6) if self.channels == 1 else 0x40  # joint stereo, as LAME says
        body = memoryview(frame)[self._main_at :]
        total = len(frame) + sum(sizes)
        body[:4] = b"Xing" if is_vbr else b"Info"
        body[4:8] = (15).to_bytes(4, "big")  # frames, bytes, table and quality follow
        body[8:12] = len(sizes).to_bytes(4, "big")
        body[12:16] = total.to_bytes(4, "big")
        body[16:116] = self._seek_table(sizes, len(frame), total)
        padding = len(sizes) * self.samples - samples - skip + DECODER_DELAY
        if skip >= DECODER_DELAY:
            self._extend(frame, body, skip - DECODER_DELAY, padding, total, encoder, is_vbr)
        return bytes(frame)

    @staticmethod
    def _seek_table(sizes: Sequence[int], first: int, total: int) -> bytes:
        starts = [first, *(first + end for end in accumulate(sizes))]
        return bytes(min(255, starts[len(sizes) * percent // 100] * 256 // total) for percent in range(100))

    @staticmethod
    def _extend(
        frame: bytearray, body: memoryview, delay: int, padding: int, total: int, encoder: bytes, is_vbr: bool
    ) -> None:
        if not 0 <= delay <= _MOST_DELAY or not 0 <= padding <= _MOST_DELAY:
            raise NotLayer3Error(f"a delay of {delay} and a padding of {padding} samples cannot be told")
        body[120:129] = encoder[:9].ljust(9)
        body[129] = _TAG_VBR if is_vbr else _TAG_CBR
        body[141:144] = (delay << 12 | padding).to_bytes(3, "big")
        body[148:152] = total.to_bytes(4, "big")
        crc_at = len(frame) - len(body) + 154
        body[154:156] = _crc16(bytes(frame[:crc_at])).to_bytes(2, "big")


def _crc16(data: bytes) -> int:
    # CRC-16/ARC, as LAME's extension asks for.
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc
