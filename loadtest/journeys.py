"""locust with the journeys of locustfile.py, bounded, and what it measured."""

import csv
import subprocess
import sys
from pathlib import Path

USERS, SECONDS = 10, 60


def run(gateway: str, folder: Path) -> list[list[str]]:
    """The journeys of USERS users; a line for each call."""
    script = Path(__file__).with_name("locustfile.py")
    command = [sys.executable, "-m", "locust", "-f", str(script), "--headless", "--only-summary", "--host", gateway]
    bounds = ["-u", str(USERS), "-r", "2", "-t", f"{SECONDS}s", "--csv", str(folder / "locust")]
    # Its exit code is 1 where a request failed: the table says that.
    subprocess.run([*command, *bounds, "--exit-code-on-error", "0"], check=True)
    return rows((folder / "locust_stats.csv").read_text(encoding="utf-8"))


def rows(text: str) -> list[list[str]]:
    """The calls in locust's statistics, without their sum."""
    found = [row for row in csv.DictReader(text.splitlines()) if row["Type"]]
    return [
        [
            f"{row['Type']} {row['Name']}",
            row["Request Count"],
            row["Failure Count"],
            *(f"{float(row[name]):.0f} ms" for name in ("50%", "95%", "100%")),
        ]
        for row in found
    ]
