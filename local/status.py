"""`status`: what runs, since when, how often it was started again, and what waits."""

import time
from collections.abc import Mapping
from typing import Any

from pika.exceptions import AMQPError
from pymongo.errors import PyMongoError

from local import mongo, rabbitmq, state
from local.supervisor import HOME

ROW = "{:<13} {:<9} {:>8} {:>6} {:>9} {:>9}"


def show() -> int:
    """Prints the table, then the queues and jobs."""
    found = state.read(HOME)
    if not found or not state.running(HOME):
        print("Nothing is running; make up starts it.")
        return 0
    print(ROW.format("NAME", "STATE", "PID", "PORT", "SINCE", "RESTARTS"))
    for child in found["children"]:
        print(_row(child).rstrip())
    print(f"\nGateway  {found['url'] or 'none: only the backing services run'}")
    print(f"Inbox    {found['inbox'] or 'none: SMTP_URL is set'}")
    print(f"Queues   {_queues(found['rabbitmq'])}\nJobs     {_jobs(found['mongo'])}")
    return 0


def _row(child: Mapping[str, Any]) -> str:
    since = time.strftime("%H:%M:%S", time.localtime(child["since"])) if child["pid"] else ""
    return ROW.format(child["name"], _word(child), child["pid"] or "", child["port"] or "", since, child["restarts"])


def _word(child: Mapping[str, Any]) -> str:
    if child["every"]:
        return "working" if child["pid"] else "waiting"
    if child["once"]:
        return "done" if child["ready"] else "trying"
    return "ready" if child["ready"] else "starting" if child["pid"] else "dead"


def _queues(url: str) -> str:
    try:
        depths = rabbitmq.depths(url)
    except (AMQPError, OSError):
        return "RabbitMQ does not answer"
    return ", ".join(f"{name} {count}" for name, count in depths.items())


def _jobs(url: str) -> str:
    try:
        return f"{mongo.unfinished(url)} unfinished"
    except PyMongoError:
        return "MongoDB does not answer"
