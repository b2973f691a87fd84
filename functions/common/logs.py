"""JSON log lines on standard output: a fixed short phrase, the data in fields, a job's id on each of its lines."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_fields: ContextVar[dict[str, Any]] = ContextVar("log_fields", default={})  # noqa: B039 - never changed in place


class JsonFormatter(logging.Formatter):
    """One line of JSON: time, severity, program, message, then the fields given as `extra`."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "severity": record.levelname,
            "program": self._program,
            "message": record.getMessage(),
            **_fields.get(),
            **{name: value for name, value in vars(record).items() if name not in _STANDARD},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure(program: str, level: str = "INFO") -> None:
    """Sends every logger of this process to standard output as JSON lines; called once, by the launcher."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(program))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # pika tells of every failed connection attempt at ERROR, many lines each; the publisher reports the outcome once.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    logging.getLogger("pymongo").setLevel(logging.WARNING)


@contextmanager
def fields(**values: Any) -> Iterator[None]:
    """Puts `values` on every line logged inside the block, in this thread."""
    token = _fields.set(_fields.get() | values)
    try:
        yield
    finally:
        _fields.reset(token)
