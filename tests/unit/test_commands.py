"""make explains itself, and missing packages are named."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from local import packages

ROOT = Path(__file__).parents[2]


def test_make_alone_names_every_target_with_a_line_of_explanation() -> None:
    shown = subprocess.run(["make", "-C", ROOT, "--no-print-directory"], check=True, capture_output=True, text=True)

    explained = set(re.findall(r"^  make ([a-z-]+) +\S", shown.stdout, re.M))
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(phony.split()) == targets
    assert explained == targets - {"help"}


@pytest.mark.parametrize("target", ["deploy", "secrets"])
def test_a_target_that_needs_an_overlay_says_so_before_anything_else(target: str) -> None:
    tried = subprocess.run(["make", "-C", ROOT, target], check=False, capture_output=True, text=True)

    assert tried.returncode == 2
    assert "OVERLAY= is missing: local, external, production, or the path" in tried.stderr


def test_a_missing_program_or_library_names_its_package() -> None:
    needed = {"shell": "sh", "libc": "libc.so.6", "one": "no-such-program", "two": "libno-such.so.0"}

    assert packages.missing(needed) == ["one", "two"]


def test_the_packages_are_looked_for_without_anything_installed() -> None:
    # -I and -S leave nothing but Python's own library: what there is before .venv.
    code = (
        "import sys; sys.path.append(sys.argv[1]); import packages; print(packages.missing({'a': 'sh', 'b': 'none'}))"
    )
    command = [sys.executable, "-I", "-S", "-c", code, str(ROOT / "local")]

    assert "'b'" in subprocess.run(command, check=True, capture_output=True, text=True).stdout
