"""The bench's bars, ratios and report."""

import io
import json
import os
import wave
from pathlib import Path

import pytest
from bson import ObjectId

from bench.goods import chunk_documents, media_like
from bench.memory import Peak, Watermark, tree
from bench.price import RATE, made_sound
from bench.rows import Row, median_ratio, table, write
from functions.upload.media import HEAD_BYTES, looks_like_media


def row(value: float, bar: str) -> Row:
    return Row("what", value, bar, "x", "something")


@pytest.mark.parametrize(
    ("value", "bar", "passed"),
    [(0.7, ">= 0.7", True), (0.69, ">= 0.7", False), (8, "<= 8", True), (8.01, "<= 8", False), (300, "< 300", False)],
)
def test_a_bar_is_met_from_its_right_side(value: float, bar: str, passed: bool) -> None:
    assert row(value, bar).passed == passed


def test_a_round_that_was_slow_for_both_does_not_move_the_ratio() -> None:
    assert median_ratio([1.0, 50.0, 1.1], [2.0, 100.0, 2.2]) == pytest.approx(0.5)


def test_the_report_has_the_issues_fields_and_the_table_marks_misses(tmp_path: Path) -> None:
    rows = [row(1.23456, ">= 0.7"), row(0.5, ">= 0.7")]
    write(rows, tmp_path / "new" / "latest.json")

    first, _ = json.loads((tmp_path / "new" / "latest.json").read_text())
    assert first == {"name": "what", "value": 1.235, "bar": ">= 0.7", "unit": "x", "reference": "something"}
    assert table(rows).count("MISSED") == 1


@pytest.mark.parametrize("length", [1000, 1_000_000, 5_000_001])
def test_what_is_sent_passes_as_media_and_has_its_length(length: int) -> None:
    sent = b"".join(media_like(length))

    assert len(sent) == length
    assert looks_like_media(sent[:HEAD_BYTES])


@pytest.mark.parametrize("length", [1, 261_120, 261_121, 17 * 261_120, 9_000_000])
def test_what_is_inserted_directly_is_a_whole_gridfs_file(length: int) -> None:
    chunks = [chunk for batch in chunk_documents(length, ObjectId()) for chunk in batch]

    assert [chunk["n"] for chunk in chunks] == list(range(len(chunks)))
    assert {len(chunk["data"]) for chunk in chunks[:-1]} <= {261_120}
    assert sum(len(chunk["data"]) for chunk in chunks) == length


def test_growth_is_seen_even_when_it_is_over() -> None:
    mark = Watermark([os.getpid()])
    with Peak(os.getpid()) as peak:
        held = b"x" * 60_000_000
        peak._ended.wait(0.3)  # a sampling interval or two
        del held

    assert os.getpid() in tree(os.getpid())
    assert mark.growth() > 50
    assert peak.growth > 50


def test_the_sound_of_a_price_is_a_whole_wav_of_its_length() -> None:
    with wave.open(io.BytesIO(made_sound(2))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (RATE, 2, 2 * RATE)
        assert file.readframes(RATE) == file.readframes(RATE)
