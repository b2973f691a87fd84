"""`python -m bench`: speed and memory as ratios against a reference in the same run, on private servers.

Prints the table, writes it to `.bench/latest.json`, and ends with status 1 when a bar is missed. Absolute times are
this machine's and are told beside the ratios; none of them is a bar but the last kilobyte's.
"""

import shutil
import sys
import time

from bench.conversion import conversions
from bench.goods import open_account
from bench.rows import Row, table, write
from bench.serving import ROOT
from bench.starting import starts
from bench.transfer import downloads, refusals, uploads
from local.plan import URLS, chosen
from local.stack import Stack

PARTS = (uploads, refusals, downloads, starts, conversions)


def main() -> int:
    """Measures everything, one part after the other."""
    folder = ROOT / ".bench"
    home = folder / "stack"
    shutil.rmtree(home, ignore_errors=True)
    for log in folder.glob("*.log"):
        log.unlink()
    given = {name: url for name, url in chosen().items() if name in URLS}
    rows: list[Row] = []
    with Stack(home, overrides=given, backing_only=True) as backing:
        goods = open_account(backing)
        for part in PARTS:
            started = time.monotonic()
            rows += part(goods)
            print(f"{part.__name__}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    shutil.rmtree(home, ignore_errors=True)
    write(rows, folder / "latest.json")
    print(table(rows))
    missed = sum(not row.passed for row in rows)
    print(f"\n{missed} of {len(rows)} missed" if missed else f"\nall {len(rows)} passed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
