"""`logs`: the end of the children's logs, and with -f what is added to them."""

import sys
import time
from pathlib import Path

from local.supervisor import HOME

LINES = 10  # of each log, when all are shown
LINES_OF_ONE = 100
FOLLOW_SECONDS = 0.3


def show(name: str, follow: bool) -> int:
    """Prints the end of one log, or of all with their names before the lines."""
    folder = HOME / "log"
    files = sorted(folder.glob(f"{name or '*'}.log"))
    if not files:
        known = ", ".join(sorted(file.stem for file in folder.glob("*.log")))
        print(f"no log called {name!r}; there are: {known}" if known else "no logs yet; make up starts everything")
        return 1
    width = max(len(file.stem) for file in files) if not name else 0
    places = {file: _end(file, LINES_OF_ONE if name else LINES) for file in files}
    _print_new(places, width)
    while follow:
        sys.stdout.flush()
        time.sleep(FOLLOW_SECONDS)
        _print_new(places, width)
    return 0


def _end(file: Path, lines: int) -> int:
    # The place in the file from which that many lines follow.
    content = file.read_bytes()
    place = len(content)
    for _ in range(lines + 1):
        place = content.rfind(b"\n", 0, place)
        if place < 0:
            return 0
    return place + 1


def _print_new(places: dict[Path, int], width: int) -> None:
    for file, place in places.items():
        with file.open("rb") as log:
            log.seek(place)
            for line in log:
                prefix = f"{file.stem:<{width}} | " if width else ""
                print(prefix + line.decode("utf-8", "replace").rstrip("\n"))
            places[file] = log.tell()
