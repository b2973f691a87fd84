"""`python -m loadtest [JOBS]`: hey, locust, the burst and its picture; the figures go into docs/autoscaling.md.

Bounded: hey and locust by their counts, the burst by its deadlines. The exit code is 1 when a job was lost or doubled,
when draining took too long, or when a request failed.
"""

import logging
import sys
from pathlib import Path

from loadtest import burst, hey, journeys, plot, report, series, story, target
from loadtest.cluster import Cluster, NoClusterError

FOLDER = Path(".loadtest")
PICTURE = report.DOCUMENT.with_name("autoscaling.png")


def main(count: int = burst.COUNT) -> int:
    """Everything; the exit code."""
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    cluster = Cluster()
    where = target.find(cluster.gateway())
    FOLDER.mkdir(exist_ok=True)
    tables = []
    try:
        hey.program()
        tables.append(hey.table(hey.runs(FOLDER)))
    except hey.MissingError as error:
        print(error, file=sys.stderr)
        tables.append("hey was not there for this run.")
    rows = journeys.run(where.gateway, FOLDER)
    tables.append(report.table(["locust", "requests", "failures", "p50", "p95", "longest"], rows))
    good = all(row[2] == "0" for row in rows)
    users = f"{journeys.USERS} users for {journeys.SECONDS} s"
    report.replace("requests", "\n\n".join([report.when(), tables[0], f"locust with {users}:", tables[1]]))
    result = burst.run(count, FOLDER)
    plot.main(FOLDER / "burst.json", PICTURE)
    report.replace("burst", story.told(result, series.read(FOLDER / "burst.jsonl")))
    print(report.DOCUMENT)
    return 0 if good and burst.passed(result) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(*map(int, sys.argv[1:2])))
    except (target.NoTargetError, NoClusterError, TimeoutError) as error:
        sys.exit(str(error))
