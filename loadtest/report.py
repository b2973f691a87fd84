"""docs/autoscaling.md: its sections between comments are replaced by what was measured, the rest is written by hand."""

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "docs" / "autoscaling.md"


class NoSectionError(Exception):
    """The document has no such section; the message names it."""


def replace(section: str, text: str, document: Path = DOCUMENT) -> None:
    """Puts `text` between `<!-- SECTION -->` and `<!-- end SECTION -->`. Raises NoSectionError."""
    begin, end = f"<!-- {section} -->", f"<!-- end {section} -->"
    found = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.S)
    old = document.read_text(encoding="utf-8")
    if not found.search(old):
        raise NoSectionError(f"{document.name} has no section {begin}")
    document.write_text(found.sub(lambda _: f"{begin}\n{text.strip()}\n{end}", old), encoding="utf-8")


def when() -> str:
    """The day and the machine, as the figures hold for no other."""
    cores = os.cpu_count()
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}; the machine, with the cluster and all servers, has {cores} cores."
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
