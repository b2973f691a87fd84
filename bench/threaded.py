"""A function that uses as many threads as it is told, on all cores: `python -m bench.threaded COUNT NAME`."""

import sys

from functions.common import serve
from functions.convert import cores


def main(count: int, name: str) -> None:
    """Serves the function `name`, which goes by the cores that it was given, as if these were `count`."""
    cores.cores = lambda group=None: count
    serve.main(name)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
