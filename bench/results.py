"""What the parts of the bench gave, each the last time it ran: kept in `.bench/parts`, told in docs/benchmark.md."""

import json
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.rows import Point, Row, write
from bench.serving import ROOT
from bench.ways import ORIGINAL
from loadtest.report import replace
from loadtest.report import table as markdown

FOLDER = ROOT / ".bench"
DOCUMENT = ROOT / "docs" / "benchmark.md"
GIB = 1 << 30


@dataclass(frozen=True)
class Result:
    """What a part gave on a `day`; it took `seconds`."""

    day: str
    seconds: int
    rows: Sequence[Row]
    points: Sequence[Point]


def keep(name: str, found: Sequence[Row | Point], seconds: float, folder: Path = FOLDER) -> None:
    """Replaces what the part `name` gave before."""
    rows = [row for row in found if isinstance(row, Row)]
    points = [point for point in found if isinstance(point, Point)]
    result = Result(f"{datetime.now(UTC):%Y-%m-%d}", round(seconds), rows, points)
    path = folder / "parts" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(result), indent=2, ensure_ascii=False), encoding="utf-8")


def kept(names: Sequence[str], folder: Path = FOLDER) -> dict[str, Result]:
    """What these parts gave, as far as they ever ran."""
    results = {}
    for name in names:
        path = folder / "parts" / f"{name}.json"
        if path.exists():
            said = json.loads(path.read_text(encoding="utf-8"))
            rows, points = [Row(**row) for row in said["rows"]], [Point(**point) for point in said["points"]]
            results[name] = Result(said["day"], said["seconds"], rows, points)
    return results


def publish(titles: dict[str, str], folder: Path = FOLDER, document: Path = DOCUMENT) -> None:
    """Writes `latest.json`, the sections of the document, and its picture. `titles` are those of the parts, by name."""
    results = kept(list(titles), folder)
    write([row for result in results.values() for row in result.rows], folder / "latest.json")
    told = [
        section(name, title, results[name])
        if name in results
        else f"### {title}\n\nNot measured yet: `make bench N={name}`."
        for name, title in titles.items()
    ]
    replace("results", "\n\n".join(told), document)
    replace("machine", machine(), document)
    points = folder / "points.json"
    points.write_text(
        json.dumps([asdict(one) for result in results.values() for one in result.points]), encoding="utf-8"
    )
    picture = document.with_suffix(".png")
    subprocess.run([str(ORIGINAL), "-m", "bench.plot", str(points), str(picture)], check=True, cwd=ROOT)


def section(name: str, title: str, result: Result) -> str:
    """A part's table with its heading."""
    lines = [
        [
            row.name,
            f"{row.value:.4g} {row.unit}",
            f"{row.bar} {row.unit}",
            "yes" if row.passed else "**no**",
            row.reference,
        ]
        for row in result.rows
    ]
    head = f"### {title}\n\nMeasured on {result.day} in {result.seconds} s (`make bench N={name}`).\n\n"
    return head + markdown(["what", "measured", "bar", "met", "against"], lines)


def machine() -> str:
    """The machine and the programs, as the figures hold for no other."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*: (.*)$", info, re.M)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    words = subprocess.run(["ffmpeg", "-version"], check=True, capture_output=True, text=True).stdout.split()
    moviepy = re.search(r"^moviepy==([\d.]+)", (ROOT / "requirements/bench.txt").read_text(encoding="utf-8"), re.M)
    facts = [
        f"{os.cpu_count()} cores ({model[1] if model else platform.machine()}) and {memory:.0f} GiB for everything",
        f"Linux {'.'.join(platform.release().split('.')[:2])}, Python {platform.python_version()}",
        f"PyAV {version('av')}, ffmpeg {words[2]}, moviepy {moviepy[1] if moviepy else '?'}",
        f"SecantusDB {version('secantusdb')}",
    ]
    return "; ".join(facts) + "."
