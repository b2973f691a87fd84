"""`python -m bench [PART…]`: speed and memory as ratios against a reference in the same run, on private servers.

Without a part all of them. Prints the table, writes it to `.bench/latest.json` and with a picture into
docs/benchmark.md, and ends with status 1 when a bar is missed. Absolute times are this machine's and are told beside
the ratios; none of them is a bar but the last kilobyte's.
"""

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench import results
from bench.caging import cage
from bench.conversion import carried, containers, conversions, copies, phone, talk
from bench.footprint import memory
from bench.goods import Goods, open_account
from bench.rows import Point, Row, table
from bench.serving import ROOT
from bench.starting import starts
from bench.transfer import downloads, refusals, uploads
from local.plan import URLS, chosen
from local.stack import Stack


@dataclass(frozen=True)
class Part:
    """What can be measured by itself, under its title in the document."""

    title: str
    measures: Sequence[Callable[[Goods], Iterator[Row | Point]]]


PARTS = {
    "conversion": Part("10 minutes of 1080p", (conversions,)),
    "phone": Part("3 minutes of 4K", (phone,)),
    "mp3": Part("MP3 that is there already", (copies, carried)),
    "containers": Part("Other containers", (containers,)),
    "talk": Part("A talk of 2 hours", (talk,)),
    "memory": Part("Memory", (memory,)),
    "cage": Part("What the cage costs", (cage,)),
    "serving": Part("Uploads, downloads, starts", (uploads, refusals, downloads, starts)),
}


def main(names: Sequence[str]) -> int:
    """Measures the parts, one after the other."""
    if unknown := set(names) - set(PARTS):
        print(f"no such part: {' '.join(sorted(unknown))}; there are {' '.join(PARTS)}", file=sys.stderr)
        return 2
    folder = ROOT / ".bench"
    home = folder / "stack"
    shutil.rmtree(home, ignore_errors=True)
    for log in folder.glob("*.log"):
        log.unlink()
    given = {name: url for name, url in chosen().items() if name in URLS}
    rows: list[Row] = []
    with Stack(home, overrides=given, backing_only=True) as backing:
        goods = open_account(backing)
        for name in names or PARTS:
            rows += _measured(name, goods)
    shutil.rmtree(home, ignore_errors=True)
    results.publish({name: part.title for name, part in PARTS.items()})
    print(table(rows))
    missed = sum(not row.passed for row in rows)
    print(f"\n{missed} of {len(rows)} missed" if missed else f"\nall {len(rows)} passed")
    return 1 if missed else 0


def _measured(name: str, goods: Goods) -> list[Row]:
    started = time.monotonic()
    found = [one for measure in PARTS[name].measures for one in measure(goods)]
    seconds = time.monotonic() - started
    print(f"{name}: {seconds:.0f} s", file=sys.stderr, flush=True)
    results.keep(name, found, seconds)
    return [row for row in found if isinstance(row, Row)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
