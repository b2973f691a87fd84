"""Files that were whole once: whatever is done to their bytes, the conversion ends with an MP3 or a code.

`MUTATIONS=2000 pytest -k mutated -s` tries more than the suite has time for, and prints the outcomes by kind.
"""

import os
import random
from collections import Counter, defaultdict
from collections.abc import Callable

import pytest

from functions.convert.errors import MediaError
from tests import media
from tests.converting import Conversion, children

MUTATIONS = int(os.environ.get("MUTATIONS", "150"))
BATCHES = 15
KINDS = [
    *("m4a", "mp4 alac", "mp4 fragmented", "mp4 ac3", "mov", "3gp amr", "mkv", "mkv mp3", "mka tta", "mka wavpack"),
    *("webm opus", "webm vorbis", "avi", "avi adpcm", "ts", "ts mp2", "mpeg", "flv", "wmv", "wma", "wav", "wav adpcm"),
    *("w64", "flac", "ogg", "opus", "mp3", "aac", "amr", "mkv eac3"),
]
CODES = {"corrupt", "unsupported", "no_audio", "too_long", "nothing_left"}
HEAD_BYTES = 2048  # where most of what a demuxer believes stands


def flipped(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice([1, 10, 100])):
        data[chance.randrange(len(data))] = chance.randrange(256)


def flipped_in_front(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice([1, 3, 20])):
        data[chance.randrange(min(HEAD_BYTES, len(data)))] = chance.choice([0, 1, 127, 128, 255, chance.randrange(256)])


def flipped_behind(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice([1, 3, 20])):
        data[-chance.randrange(1, min(HEAD_BYTES, len(data)))] = chance.choice([0, 255, chance.randrange(256)])


def cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(1, len(data)) :]


def cut_out(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    del data[start : start + chance.choice([1, 50, 5000])]


def grown(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    data[start:start] = chance.randbytes(chance.choice([1, 50, 5000]))


def repeated(data: bytearray, chance: random.Random) -> None:
    start, source = chance.randrange(len(data)), chance.randrange(len(data))
    data[start:start] = data[source : source + chance.choice([8, 500, 20_000])]


WAYS: list[Callable[[bytearray, random.Random], None]] = [
    *(flipped, flipped_in_front, flipped_in_front, flipped_behind, cut, cut_out, grown, repeated),
]


def mutated(seed: int) -> tuple[str, bytes]:
    """A kind of file, and the bytes of one after an accident."""
    chance = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    data = bytearray(media.make(kind, seconds=0.7))
    chance.choice(WAYS)(data, chance)
    return kind, bytes(data)


@pytest.mark.timeout(900 + 10 * MUTATIONS)
@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_mutated_file_ends_in_an_mp3_or_a_code(batch: int) -> None:
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)

    for seed in range(batch, MUTATIONS, BATCHES):
        kind, data = mutated(seed)
        outcomes[kind][outcome(data, seed)] += 1

    assert {code for counts in outcomes.values() for code in counts} <= CODES | {"mp3"}
    assert children() == []
    for kind, counts in sorted(outcomes.items()):
        print(kind, dict(counts))


def outcome(data: bytes, seed: int) -> str:
    """`mp3`, or the code; which mutation it was that ended otherwise stands in the failure."""
    conversion = Conversion(data, seconds=60)
    try:
        result = conversion.run()
    except MediaError as error:
        return error.code
    except Exception as error:
        raise AssertionError(f"mutation {seed} of {KINDS[seed % len(KINDS)]}") from error
    if result.mode == "encode":  # what is taken over keeps its scratches
        assert len(media.decoded(conversion.mp3)[1][0]) == result.samples, f"mutation {seed}"
    return "mp3"


def test_the_function_s_next_file_is_converted_as_ever() -> None:
    assert Conversion(media.make("wav", seconds=1)).run().samples == 48_000
