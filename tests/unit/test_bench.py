"""The bench's bars, ratios and report."""

import io
import json
import os
import wave
from pathlib import Path

import pytest
from bson import ObjectId

from bench import footprint, results
from bench.__main__ import PARTS, main
from bench.contest import FFMPEG, ONE_CORE, ONE_THREAD, ORIGINAL, TWO, Contest, ours
from bench.goods import chunk_documents, media_like
from bench.memory import Peak, Watermark, tree
from bench.price import RATE, made_sound
from bench.rows import Point, Row, median_ratio, table, write
from bench.serving import command
from bench.video import MADE
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


def test_a_contest_compares_within_each_round_and_the_original_with_the_rounds_it_took_part_in() -> None:
    contest = Contest("hd-fine.mp4", "ten minutes", (ONE_CORE, TWO), original_rounds=1)
    contest.seconds |= {ours(ONE_CORE): [2.0, 4.0], ours(TWO): [1.0, 2.0], FFMPEG: [2.0, 4.0], ORIGINAL: [5.0]}

    one, two = contest.against_ffmpeg({ONE_CORE: "<= 1.1", TWO: "<= 0.75"})
    faster = contest.against_original(">= 2")

    assert (one.value, two.value, faster.value) == (1.0, 0.5, 5.0)
    assert two.name == "ten minutes, 2 cores: time ÷ ffmpeg's"
    assert two.reference == "1.50 against 3.00 s"
    assert {point.series: point.value for point in contest.points()} == {
        ours(ONE_CORE): 1.0,
        ours(TWO): 0.5,
        FFMPEG: 1.0,
        ORIGINAL: 2.5,
    }


def test_a_function_gets_the_share_of_the_machine_that_is_asked_for() -> None:
    assert command("convert", ONE_CORE)[:3] == ["taskset", "--cpu-list", "0-0"]
    assert command("convert", TWO)[:3] == ["taskset", "--cpu-list", "0-1"]
    assert command("convert", TWO)[3:] == command("convert")
    assert command("convert", ONE_THREAD)[-3:] == ["bench.threaded", "1", "convert"]


def test_everything_that_is_measured_can_be_made() -> None:
    assert set(footprint.SIZES) <= set(MADE)


def test_a_part_that_there_is_not_is_refused_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conversion", "conversation"]) == 2
    assert "conversation" in capsys.readouterr().err


def test_a_part_that_ran_again_replaces_its_figures_and_leaves_the_others(tmp_path: Path) -> None:
    point = Point("time", "ten minutes", "ours", 0.5)
    results.keep("one", [row(1, "<= 2"), point], 10, tmp_path)
    results.keep("two", [row(3, "<= 2")], 10, tmp_path)
    results.keep("one", [row(2, "<= 2"), point], 12.4, tmp_path)

    found = results.kept(["one", "two", "never"], tmp_path)

    assert list(found) == ["one", "two"]
    assert [one.value for one in found["one"].rows] == [2]
    assert found["one"].points == [point]
    assert found["one"].seconds == 12
    assert not found["two"].rows[0].passed


def test_the_document_tells_what_was_measured_and_marks_misses(tmp_path: Path) -> None:
    results.keep("one", [row(1.2341, "<= 2"), row(3, "<= 2")], 10, tmp_path)

    told = results.section("one", "The first", results.kept(["one"], tmp_path)["one"])

    assert told.startswith("### The first\n")
    assert "| what | 1.234 x | <= 2 x | yes | something |" in told
    assert "| what | 3 x | <= 2 x | **no** | something |" in told


@pytest.mark.parametrize("section", ["results", "machine"])
def test_the_document_has_a_place_for_each_section(section: str) -> None:
    text = results.DOCUMENT.read_text(encoding="utf-8")

    assert text.count(f"<!-- {section} -->") == text.count(f"<!-- end {section} -->") == 1


def test_the_document_and_make_name_the_parts() -> None:
    text = results.DOCUMENT.read_text(encoding="utf-8")
    example = text.split("make bench N='")[1].split("'")[0]

    assert set(example.split()) <= set(PARTS)
