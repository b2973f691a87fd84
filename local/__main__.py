"""The commands: `python -m local up|backing|down|status|logs|demo`. `make` has most of the names."""

import argparse
import logging
import os
import signal
import sys

from local import demo, logs, packages, status, supervisor
from local.plan import chosen

PORT = 8080


def main() -> int:
    """Runs one command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m local", description="The whole system on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything in the background and wait until it is ready")
    backing = commands.add_parser("backing", help="start the backing services alone, and print their addresses")
    backing.add_argument("--json", action="store_true", help="as one JSON object, and nothing else")
    commands.add_parser("down", help="stop everything")
    commands.add_parser("status", help="what runs, and what waits")
    log = commands.add_parser("logs", help="the end of the logs")
    log.add_argument("name", nargs="?", default="", help="one log, such as convert")
    log.add_argument("-f", "--follow", action="store_true", help="go on as lines are added")
    commands.add_parser("demo", help="one video, start to end").add_argument("video", nargs="?", default="")
    supervise = commands.add_parser("supervise", help="what up and backing run in the background")
    supervise.add_argument("--backing", action="store_true", help="the backing services alone")
    arguments = parser.parse_args()
    # Ctrl-C ends it even where a shell started it in its background, which ignores that signal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    # pika tells of each failed attempt at length; that a server is not there yet is no news here.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    port, settings = int(os.environ.get("PORT") or PORT), chosen()
    if arguments.command in ("up", "backing", "demo") and not packages.ensure():
        return 1
    match arguments.command:
        case "up":
            return supervisor.up()
        case "backing":
            return supervisor.backing(arguments.json)
        case "down":
            return supervisor.down()
        case "status":
            return status.show()
        case "logs":
            return logs.show(arguments.name, arguments.follow)
        case "demo":
            return demo.run(arguments.video, port, settings)
    return supervisor.supervise(port, settings, arguments.backing)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
