"""`make demo` as its reader sees it, without make."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local import state
from local.process import ROOT
from tests import media


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


def demo(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "local", "demo", *arguments]
    environment = {**os.environ, "LOCAL_HOME": str(home)}
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, timeout=150, check=False)
    assert "Traceback" not in done.stderr
    assert not state.running(home / "demo" / "stack")
    return done


def test_the_demo_ends_with_an_mp3_that_lasts_as_long_as_its_video(home: Path) -> None:
    done = demo(home)

    assert (done.returncode, done.stderr) == (0, "")
    assert "Subject: Your MP3 is ready" in done.stdout
    assert re.search(r"decodes to 10\.0\d s, the video's sound lasts 10\.0\d s", done.stdout)
    assert (home / "demo" / "sample.mp3").stat().st_size > 10_000


def test_the_demo_names_what_is_wrong_with_a_file_that_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no media\n")

    done = demo(home, str(tmp_path / "text.mp4"))

    assert done.returncode == 1
    assert "415" in done.stderr
    assert "not_media" in done.stderr


def test_the_demo_shows_the_mail_about_a_file_that_cannot_be_converted(home: Path, tmp_path: Path) -> None:
    (tmp_path / "silent.mp4").write_bytes(media.make("mp4 silent picture", seconds=5))

    done = demo(home, str(tmp_path / "silent.mp4"))

    assert done.returncode == 1
    assert "Subject: Your video could not be converted" in done.stdout
    assert "has no sound" in done.stderr


def test_the_demo_wants_a_file_that_exists(home: Path, tmp_path: Path) -> None:
    done = demo(home, str(tmp_path / "none.mp4"))

    assert (done.returncode, done.stderr.strip()) == (1, f"There is no file {tmp_path / 'none.mp4'}.")
