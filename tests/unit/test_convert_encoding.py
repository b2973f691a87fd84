"""Encoding in blocks: bit for bit the same as in one go, whatever the sound, and its length exact to the sample.

`ENCODINGS=500 pytest --timeout 3000` on this file tries more than the suite has time for.
"""

import array
import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.convert.encoding import WARM_FRAMES, Blockwise, Encoding, OnePass, encoding
from functions.convert.lame import RATES, LameError, Setting
from functions.convert.layer3 import NotLayer3Error, Stream, bit_rates
from tests import media

EXAMPLES = int(os.environ.get("ENCODINGS", "15"))
POOL = ThreadPoolExecutor(3)
FALLS = (0.999964, 0.999928)  # a sample; 8 % of the power in a frame of 1152 and of 576 of them
WHOLE = 1 << 30  # frames; more than any of these sounds has


def sound(samples: int, channels: int, seed: int) -> list[array.array]:
    """Noise that comes, goes and fades, down to digital silence."""
    chance = random.Random(seed)
    made = [array.array("i") for _ in range(channels)]
    while len(made[0]) < samples:
        level, fall = chance.choice([0, 0, 0.0025, 0.125, 0.25]), chance.choice([1, 1, 0.9999, *FALLS])
        piece = array.array("i", chance.randbytes(4 * chance.choice([100, 3000, 9000]))) * 4
        faded = [int(value * level * fall**number) for number, value in enumerate(piece)]
        for channel in made:
            channel.extend(faded)
    return [channel[:samples] for channel in made]


def frames(channels: list[array.array], rate: int) -> Iterator[av.AudioFrame]:
    for start in range(0, len(channels[0]), 8192):
        count = min(8192, len(channels[0]) - start)
        frame = av.AudioFrame("s32p", "mono" if len(channels) == 1 else "stereo", count)
        frame.sample_rate = rate
        for plane, samples in zip(frame.planes, channels, strict=True):
            data = samples[start : start + count].tobytes()
            plane.update(data + bytes(plane.buffer_size - len(data)))
        yield frame


def made(making: Encoding) -> bytes:
    mp3 = bytearray(b"".join(making.pieces()))
    head = making.head()
    mp3[: len(head)] = head
    return bytes(mp3)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    samples=st.integers(2_000, 500_000),  # libav forgets to cut the front of what lasts a frame or two
    rate=st.sampled_from(RATES),
    channels=st.integers(1, 2),
    block=st.integers(WARM_FRAMES, 260),
    threads=st.integers(1, 3),
    vbr=st.sampled_from([0.0, 2.0, 5.0, 9.0]),
    most=st.sampled_from([0, 64, 128, 160]),
    seed=st.integers(0, 99),
)
def test_blocks_on_threads_decode_to_the_samples_of_one_encoder(
    samples: int, rate: int, channels: int, block: int, threads: int, vbr: float, most: int, seed: int
) -> None:
    source, setting = sound(samples, channels, seed), Setting(rate, channels, vbr, most=most)

    parallel = made(Blockwise(frames(source, rate), setting, POOL, threads, block_frames=block))
    serial = made(Blockwise(frames(source, rate), setting, POOL, 1, block_frames=WHOLE))

    assert media.decoded(parallel) == media.decoded(serial)
    rate_found, decoded = media.decoded(parallel)
    assert rate_found == rate
    assert [len(channel) for channel in decoded] == [samples] * channels


@pytest.mark.parametrize("rate", [48_000, 22_050])
def test_a_silence_is_not_too_long_to_know_what_came_before_it(rate: int) -> None:
    frame, chance = 1152 if rate == 48_000 else 576, random.Random(1)
    noise = [value // 4 for value in array.array("i", chance.randbytes(4 * 100 * frame))]
    source = [array.array("i", noise + [0] * 70 * frame + [value // 1000 for value in noise])]

    def decoded(block: int, warm: int) -> object:
        making = Blockwise(frames(source, rate), Setting(rate, 1), POOL, 2, block_frames=block, warm_frames=warm)
        return media.decoded(made(making))

    whole = decoded(WHOLE, WARM_FRAMES)
    assert decoded(165, WARM_FRAMES) == whole
    assert decoded(165, 64) != whole  # which begins in the silence


@pytest.mark.parametrize("samples", [400_000, *(132 * 1152 + more for more in (-1, 0, 1))])
def test_the_bytes_do_not_depend_on_the_number_of_threads(samples: int) -> None:
    source = sound(samples, 2, 1)

    one, three = (
        made(Blockwise(frames(source, 48_000), Setting(48_000, 2), POOL, threads, block_frames=130))
        for threads in (1, 3)
    )

    assert one == three


@pytest.mark.parametrize("change", [lambda made: made[:-1], lambda made: [*made, made[-1]]], ids=["lost", "doubled"])
def test_frames_that_do_not_fit_the_samples_are_no_mp3(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    whole = Stream.repacked
    monkeypatch.setattr(Stream, "repacked", lambda self, given: change(whole(self, given)))

    with pytest.raises(LameError, match="frames for 100000 samples"):
        made(Blockwise(frames(sound(100_000, 1, 1), 48_000), Setting(48_000, 1), POOL, 1))


def test_what_stands_for_itself_is_packed_closer_and_sounds_the_same() -> None:
    source = sound(200_000, 2, 2)
    encoder_alone = Blockwise(frames(source, 48_000), Setting(48_000, 2), POOL, 1)
    loose: list[bytes] = []
    stream_class = Stream.repacked
    Stream.repacked = lambda self, given: loose.extend(given) or given  # type: ignore[method-assign]
    try:
        unpacked = made(encoder_alone)
    finally:
        Stream.repacked = stream_class  # type: ignore[method-assign]

    packed = made(Blockwise(frames(source, 48_000), Setting(48_000, 2), POOL, 1))

    assert loose
    assert len(packed) < len(unpacked)
    assert media.decoded(packed) == media.decoded(unpacked)


@pytest.mark.parametrize("kbits", [64, 128, 320])
def test_a_constant_bit_rate_is_constant_and_exact_in_length(kbits: int) -> None:
    making = encoding(frames(sound(100_001, 2, 3), 44_100), Setting(44_100, 2, vbr=None, kbits=kbits), POOL, 2)
    assert isinstance(making, OnePass)

    mp3 = made(making)

    stream, at, rates = Stream(mp3), 0, set()
    while at < len(mp3):
        rates.add(mp3[at + 2] >> 4)
        at += stream.size(mp3[at:])
    assert {bit_rates(44_100)[index - 1] for index in rates} == {kbits}
    assert len(media.decoded(mp3)[1][0]) == 100_001


def test_a_variable_bit_rate_keeps_below_its_cap() -> None:
    mp3 = made(encoding(frames(sound(200_000, 2, 4), 48_000), Setting(48_000, 2, vbr=0, most=96), POOL, 2))

    assert 8 * len(mp3) / (200_000 / 48_000) < 100_000


@pytest.mark.parametrize("head", ["", "fffb", "52494646", "fffd9000", "fffb9c00", "ffeb9000"])
def test_what_is_no_layer_three_frame_is_told(head: str) -> None:
    with pytest.raises(NotLayer3Error):
        Stream(bytes.fromhex(head))


@pytest.mark.parametrize("head", ["fffb9400", "fff39000", "fffb90c0", "fffb0000", "00fb9000"])
def test_a_frame_of_another_stream_is_told(head: str) -> None:
    with pytest.raises(NotLayer3Error):
        Stream(b"\xff\xfb\x90\x00").size(bytes.fromhex(head))


def test_a_delay_that_has_no_room_is_told() -> None:
    with pytest.raises(NotLayer3Error):
        Stream(b"\xff\xfb\x90\x00").tag([417] * 10, 10 * 1152 - 9000, 8000, b"LAME3.100")
