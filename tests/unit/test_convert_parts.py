"""The converter's parts by themselves: what goes over the wire, reading ahead, the account of what was lost, LAME."""

import array
import socket
import threading
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.convert import lame, wire
from functions.convert.readahead import BATCH_CHUNKS, OverError, ReadAhead
from functions.convert.remote import KEPT_CHUNKS, RemoteFile
from functions.convert.timeline import Timeline, tolerance
from functions.convert.wire import MOST_NUMBERS, Channel, Kind, WireError


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_messages_arrive_as_they_were_sent(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = map(Channel, ends)
    chunk = bytes(range(256)) * 4000  # more than the socket holds: sent in pieces
    sender = threading.Thread(
        target=lambda: (ours.send(Kind.CHUNK, chunk), ours.send(Kind.MP3), ours.send_numbers(Kind.READ, [7, 9]))
    )
    sender.start()

    assert theirs.receive() == (Kind.CHUNK, chunk)
    assert theirs.receive() == (Kind.MP3, b"")
    kind, data = theirs.receive()
    assert (kind, wire.numbers(data)) == (Kind.READ, [7, 9])
    sender.join()


@pytest.mark.parametrize(
    "said",
    [b"\x00\x00\x00\x00\x00", b"\x63\x00\x00\x00\x00", b"\x02\x00\x00\x00\x41", b"\x04\xff\xff\xff\xff", b"\x04"],
)
def test_what_is_no_message_is_refused_before_memory_is_taken_for_it(
    ends: tuple[socket.socket, socket.socket], said: bytes
) -> None:
    ours, theirs = ends
    ours.sendall(said)
    ours.close()

    with pytest.raises(WireError):
        Channel(theirs).receive_head()


@pytest.mark.parametrize("said", [b"", b"[]", b"{", b"\xff", b"null"])
def test_what_is_no_json_object_is_refused(said: bytes) -> None:
    with pytest.raises(WireError):
        wire.json_object(said)


def test_speaking_to_nobody_is_an_error(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.close()

    with pytest.raises(WireError):
        Channel(ours).send(Kind.MP3, b"x")


class Store:
    """Chunks that say their number; counts what was asked for."""

    def __init__(self, total: int) -> None:
        self.total, self.asked = total, list[list[int]]()

    def fetch(self, numbers: Sequence[int]) -> list[bytes]:
        assert 0 <= numbers[0] <= numbers[-1] < self.total
        assert list(numbers) == sorted(set(numbers))
        self.asked.append(list(numbers))
        return [b"%d" % n for n in numbers]


@given(
    st.lists(st.tuples(st.integers(0, 30), st.lists(st.integers(0, 30), max_size=MOST_NUMBERS)), max_size=40),
    st.integers(0, 25),
)
def test_any_order_of_asking_gives_the_right_chunks(asked: list[tuple[int, list[int]]], run: int) -> None:
    store = Store(31)
    asked += [(n, []) for n in range(run, 31)]

    with ReadAhead(store.fetch, store.total) as chunks:
        got = [chunks.chunk(n, lambda: False, following) for n, following in asked]

    assert got == [b"%d" % n for n, _ in asked]
    assert max(map(len, store.asked)) <= BATCH_CHUNKS


def test_who_reads_in_sequence_gets_batches_and_who_jumps_gets_single_chunks() -> None:
    store = Store(100)

    with ReadAhead(store.fetch, store.total) as chunks:
        for n in range(100):
            chunks.chunk(n, lambda: False)
    in_sequence, store.asked = store.asked, []
    with ReadAhead(store.fetch, store.total) as chunks:
        for n in range(0, 100, 3):
            chunks.chunk(n, lambda: False)

    assert sum(map(len, in_sequence)) == 100
    assert len(in_sequence) < 20
    assert {len(numbers) for numbers in store.asked} == {1}


def test_who_jumps_and_says_where_to_gets_batches_and_nothing_else() -> None:
    store = Store(100)
    wanted = list(range(0, 100, 3))

    with ReadAhead(store.fetch, store.total) as chunks:
        for index, n in enumerate(wanted):
            chunks.chunk(n, lambda: False, wanted[index + 1 : index + MOST_NUMBERS])

    assert sorted(n for numbers in store.asked for n in numbers) == wanted
    assert len(store.asked) < 8


def test_waiting_for_a_chunk_ends_with_the_conversion() -> None:
    freed = threading.Event()

    def fetch(numbers: Sequence[int]) -> list[bytes]:
        freed.wait(10)
        return [b""] * len(numbers)

    with ReadAhead(fetch, 3) as chunks, pytest.raises(OverError):
        chunks.chunk(0, lambda: True)

    freed.set()


@given(st.integers(1, 200), st.integers(1, 64), st.data())
def test_the_remote_file_reads_as_the_file_itself(length: int, chunk_size: int, data: st.DataObject) -> None:
    whole = bytes(n % 251 for n in range(length))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server = threading.Thread(target=_serve, args=[Channel(ours), whole, chunk_size, []])
        server.start()
        file = RemoteFile(Channel(theirs), length, chunk_size)
        file.expect(data.draw(st.lists(st.tuples(st.integers(-5, length + 5), st.integers(-5, length + 5)))))
        for _ in range(10):
            position, count = data.draw(st.integers(0, length + 5)), data.draw(st.integers(0, 80))
            assert file.seek(position) == file.tell() == position
            got = file.read(count)
            assert got == whole[position : position + len(got)]
            assert bool(got) == bool(count and position < length)
        assert file.seek(-1, 2) == length - 1
        assert file.seek(0, 1) == length - 1
        assert len(file._kept) <= KEPT_CHUNKS
        theirs.shutdown(socket.SHUT_RDWR)
        server.join()


def test_the_remote_file_says_what_it_will_ask_for_as_far_as_it_was_told(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    asked: list[list[int]] = []
    threading.Thread(target=_serve, args=[Channel(ours), bytes(1000), 10, asked], daemon=True).start()
    file = RemoteFile(Channel(theirs), 1000, 10)

    places = [(100, 3), (105, 3), (258, 5), (990, 10), (990, 11), (-1, 2), (500, 0)]
    file.expect(places)
    for position in (0, 100, 105, 258, 260, 990):
        file.seek(position)
        file.read(3)

    assert asked == [[0], [10, 25, 26, 99], [25, 26, 99], [26, 99], [99]]


def _serve(channel: Channel, whole: bytes, chunk_size: int, asked: list[list[int]]) -> None:
    while True:
        try:
            _, data = channel.receive()
        except WireError:
            return
        wanted = wire.numbers(data)
        asked.append(wanted)
        first = wanted[0] * chunk_size
        channel.send(Kind.CHUNK, whole[first : first + chunk_size])


def timeline_of(*packets: tuple[float, int, bool], **kinds: bool) -> Timeline:
    """A timeline that saw packets of one second and 1000 bytes: start, position, whether of the sound."""
    timeline = Timeline(**kinds)
    for start, position, is_sound in packets:
        timeline.saw(start, 1.0, (position, 1000), is_sound)
    return timeline


def test_nothing_is_lost_of_a_whole_sound() -> None:
    timeline = timeline_of(*((n, 1000 * n, True) for n in range(10)))

    assert timeline.lost(decoded=10, missing=-0.02) == 0


def test_a_gap_counts_as_far_as_bytes_were_passed_over_in_it() -> None:
    before = [(n, 1000 * n, True) for n in range(10)]

    assert timeline_of(*before, (14, 14_000, True)).lost(11, 0) == pytest.approx(4)
    assert timeline_of(*before, (14, 12_000, True)).lost(11, 0) == pytest.approx(2)
    assert timeline_of(*before, (14, 10_000, True)).lost(11, 0) == 0
    assert timeline_of(*before, (14, 14_000, True), has_holes=False).lost(11, 0) == 0


def test_a_gap_in_the_sound_that_the_picture_goes_on_through_is_none() -> None:
    before = [(n, 1000 * n, True) for n in range(10)]
    picture = [(n, 1000 * n, False) for n in range(10, 14)]

    assert timeline_of(*before, *picture, (14, 14_000, True)).lost(11, 0) == 0


def test_a_hole_is_none_the_less_where_the_last_sound_before_it_comes_late() -> None:
    both = [(n, 1000 * (2 * n + is_sound), is_sound) for n in range(10) for is_sound in (False, True)]
    behind = [(14, 28_000, False), (10, 28_000, True), (14, 29_000, True), (15, 30_000, False), (15, 31_000, True)]

    assert timeline_of(*both, *behind).lost(13, 0) == pytest.approx(3)


def test_a_sound_that_lies_behind_its_picture_in_the_file_has_no_hole() -> None:
    pictures = [(n, 1000 * n, False) for n in (0, 1, 2, 8, 9)]
    sound = [(n, 10_000 + 1000 * n, True) for n in range(10)]

    assert timeline_of(*pictures, *sound).lost(10, 0) == 0


def test_packets_that_give_nothing_count_unless_the_sum_is_right() -> None:
    timeline = timeline_of(*((n, 1000 * n, True) for n in range(10)))
    timeline.gave_nothing(2)
    timeline.failed(1)

    assert timeline.lost(decoded=7, missing=0) == pytest.approx(3)
    assert timeline.lost(decoded=9, missing=0) == pytest.approx(1)


def test_a_second_or_a_hundredth_may_be_lost() -> None:
    assert [tolerance(seconds) for seconds in (0.5, 60, 100, 7200)] == [1, 1, 1, 72]


@pytest.mark.parametrize(
    ("source", "made"),
    [(1, 8000), (8000, 8000), (37_800, 44_100), (48_000, 48_000), (88_200, 44_100), (192_000, 48_000)],
)
def test_the_rate_that_fits(source: int, made: int) -> None:
    assert lame.fitting_rate(source) == made


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lame, "LIBRARY", "libno-such-thing.so.0")
    lame.load.cache_clear()

    with pytest.raises(lame.LameError, match=r"libno-such-thing\.so\.0 is not installed"):
        lame.Encoder(lame.Setting(48_000, 2))


def test_the_tag_takes_the_place_of_the_first_frame() -> None:
    silence = array.array("i", [0] * 4800)
    address, count = silence.buffer_info()
    encoder = lame.Encoder(lame.Setting(48_000, 1))

    mp3 = encoder.feed(address, address, count) + encoder.flush()
    tag = encoder.tag()
    encoder.close()

    assert len(tag) < len(mp3)
    assert mp3[:4] == tag[:4]
    assert b"Xing" in tag


def test_what_lame_cannot_do_is_an_error() -> None:
    with pytest.raises(lame.LameError, match="lame_set_out_samplerate: -1"):
        lame.Encoder(lame.Setting(12_345, 2))
    with pytest.raises(lame.LameError, match="is the limit"):
        lame.Encoder(lame.Setting(48_000, 2)).feed(0, 0, lame.SLICE_SAMPLES + 1)
