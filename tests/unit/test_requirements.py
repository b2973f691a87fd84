"""Each file of pinned packages is what pyproject.toml asks for; `make requirements` writes them."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
GROUPS: dict[str, list[Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
FILES = sorted((ROOT / "requirements").glob("*.txt"))


def asked(group: str) -> Iterator[Requirement]:
    """What a group asks for, with the groups that it includes."""
    for entry in GROUPS[group]:
        if isinstance(entry, str):
            yield Requirement(entry)
        else:
            yield from asked(entry["include-group"])


def pins(file: Path) -> dict[str, str]:
    """The versions in a file of pinned packages, by name."""
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;]+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_pins_whatever_its_group_asks_for(file: Path) -> None:
    pinned = pins(file)

    wrong = [
        str(one) for one in asked(file.stem) if not one.specifier.contains(pinned.get(canonicalize_name(one.name), "0"))
    ]

    assert wrong == []


def test_every_program_has_its_file() -> None:
    assert {"dev", "auth", "upload", "convert", "notify", "download", "janitor", "migrate", "loadtest"} <= {
        f.stem for f in FILES
    }
