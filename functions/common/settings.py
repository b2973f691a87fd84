"""Settings: the only place where the environment is read, once, at start.

A program declares a frozen dataclass; each field is the variable of the same name in capitals. A field without a
default must be set. `NAME_FILE` names a file to read the value from (mounted secrets). All problems are told at once.
"""

import os
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

S = TypeVar("S", bound="DataclassInstance")


class SettingsError(Exception):
    """One or more settings are missing or unreadable; the message names each of them."""


def _boolean(text: str) -> bool:
    try:
        return {"true": True, "1": True, "false": False, "0": False}[text.strip().lower()]
    except KeyError:
        raise ValueError("must be true or false") from None


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return path


_URLS = {
    "MYSQL_URL": ("mysql",),
    "MONGO_URL": ("mongodb", "mongodb+srv"),
    "RABBITMQ_URL": ("amqp", "amqps"),
    "SMTP_URL": ("smtp", "smtps"),
}
_CASTS: dict[Any, Any] = {str: str, int: int, float: float, bool: _boolean, Path: _file}


def load(kind: type[S], environ: Mapping[str, str] = os.environ) -> S:
    """Fills `kind` from the environment. Raises SettingsError naming every missing or unreadable variable."""
    values, problems = {}, []
    for field in fields(kind):
        name = field.name.upper()
        text = _text(name, field.type is Path, environ)
        if text is None:
            if field.default is MISSING:
                problems.append(f"{name} is not set")
            continue
        try:
            _check_url(name, text)
            values[field.name] = _CASTS[field.type](text)
        except ValueError as error:
            problems.append(f"{name} is unreadable: {error}")
    if problems:
        raise SettingsError(f"{kind.__module__}: {'; '.join(problems)}")
    return kind(**values)


def _check_url(name: str, text: str) -> None:
    # Here and not where it is used: that would be found out by the first request.
    address = urlsplit(text)
    if name in _URLS and (address.scheme not in _URLS[name] or not address.hostname):
        raise ValueError(f"it must be like {_URLS[name][0]}://HOST")


def _text(name: str, is_path: bool, environ: Mapping[str, str]) -> str | None:
    # An empty variable counts as unset: that is what a manifest with a missing key leaves.
    if text := environ.get(name):
        return text
    if (file := environ.get(f"{name}_FILE")) and not is_path:
        return Path(file).read_text(encoding="utf-8").strip()
    return None
